"""A hub for tests, made without files."""

from __future__ import annotations

from tracks.hub.looks import difference_signal, observed_signal, predicted_signal
from tracks.hub.model import Hub, HubIntervals, HubTrack
from tracks.regions import Region
from tracks.track import Track

TRACK = Track("CpG methylation IMR90", "WGBS", "IMR90", "methylated fraction", "#d95f02", source="Lister <2009>")
COUNTS = Track("Reads of K562", "ChIP-seq", "K562", "reads", "#1b6ca8")


def small_hub(track: Track = TRACK, label: str = "a hub") -> Hub:
    """One overlay of three signals with a difference, one signal without limits, one file of intervals."""
    ends = (0.0, 1.0)
    overlay = HubTrack(
        "cpg",
        track,
        (
            observed_signal("cpg", track, "o.bw", ends, ends),
            predicted_signal("cpg", track, "p.bw", ends, ends, "bins", 0, "p.bw?slot=131072"),
            predicted_signal("cpg", track, "q.bw", ends, ends, "conv", 1),
        ),
        difference_signal("cpg", track, "d.bw", (-1.0, 1.0), (-0.5, 0.25)),
        "cpg.html",
    )
    single = HubTrack("reads", COUNTS, (predicted_signal("reads", COUNTS, "r.bw", None, (0.0, 12_345_678.0), "", 0),))
    intervals = HubIntervals("bed_islands", "CpG islands", "i.bb", "#2a7f62", 4)
    return Hub("tests", label, "me@lab.example", "hg38", (overlay, single), (intervals,), Region("chr20", 1_000, 2_000))
