"""Track hubs: observed and predicted tracks as UCSC, IGV and JBrowse open them."""

from tracks.hub.model import Hub, HubIntervals, HubTrack, Signal
from tracks.hub.stanzas import hub_text

__all__ = ["Hub", "HubIntervals", "HubTrack", "Signal", "hub_text"]
