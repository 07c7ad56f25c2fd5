"""A site's tracks as a hub of other browsers, made anew whenever it is asked for."""

from __future__ import annotations

import functools
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

from werkzeug.exceptions import NotFound

from tracks.bigwig import summarise_bigwig
from tracks.errors import TracksError
from tracks.hub.assemblies import ASSEMBLIES, Assembly
from tracks.hub.bigbed import Placed, place, read_intervals, write_bigbed
from tracks.hub.files import HUB_TXT, IGV_JSON, IGV_XML, INDEX, INDEX_NAME, JBROWSE
from tracks.hub.limits import signal_limits, value_range
from tracks.hub.links import custom_tracks, igv_desktop_link, igv_web_link, jbrowse_web_link, ucsc_link
from tracks.hub.looks import difference_signal, observed_signal, predicted_signal
from tracks.hub.made_by import ModelFacts, read_model
from tracks.hub.model import Hub, HubIntervals, HubTrack
from tracks.hub.names import long_label, track_name, unique, why_hidden
from tracks.hub.pages import hub_page, intervals_page, track_page
from tracks.hub.stanzas import hub_text
from tracks.regions import parse_region
from tracks.track import slug_of
from tracks.virtual import JBROWSE_SLOT, SLOT

if TYPE_CHECKING:
    from server.security import Access
    from server.site import Panel, Site
    from tracks.hub.looks import Ends
    from tracks.hub.model import Signal
    from tracks.project import Annotation

EMAIL = "nobody@example.org"
"""UCSC wants an address in every hub; a server has none (RFC 2606)."""

_WAYS_OUT = (
    "start with tracks serve --public-url https://... where it has an address that others reach, or write a folder for "
    "a web host with tracks hub -o"
)


class Virtual(Protocol):
    """Where virtual files lie (``server.virtual.VirtualFiles``)."""

    def path(self, head: str, slug: str, slot: int = SLOT, difference: bool = False) -> str:
        """Return a file's address, without the host."""
        ...


class LiveHub:
    """A site's hub, made when it is asked for, from what the site shows now."""

    def __init__(self, site: Site, virtual: Virtual, access: Access) -> None:
        self._site, self._virtual, self._access = site, virtual, access
        # Bounds of other tracks have panels only where they are observed themselves.
        self._panels = [panel for panel in site.panels if panel.predicted or _local(panel) is not None]
        beds = site.project.annotation
        slugs = [panel.track.slug for panel in self._panels]
        named = unique([*slugs, *(f"bed_{bed.slug}" for bed in beds)], [INDEX_NAME])
        self._names = named[: len(self._panels)]
        self._beds = dict(zip(named[len(self._panels) :], beds, strict=True))
        self._assembly = Assembly(site.assembly, site.genome.chrom_sizes)
        self._making = threading.Lock()
        self._limits = functools.cache(self._limits_of)
        self._read = functools.cache(self._placed_bed)
        self._bigbed = functools.cache(self._made_bigbed)

    def address(self, base: str, path: str, **asked: str) -> str:
        """Return the whole address of a path of this server, with the token where there is one."""
        token = self._access.token
        query = urlencode({**({"token": token} if token else {}), **asked})
        return f"{base}{path}{('&' if '?' in path else '?') + query if query else ''}"

    def hub(self, base: str, region: str | None = None) -> Hub:
        """Return the hub with whole addresses below ``base``; it opens at ``region``, by default the first locus.

        Raises UsageError for what is no region of the genome."""
        site = self._site
        place = parse_region(region, site.axis.chrom_sizes) if region else site.loci[0].region
        tracks = tuple(self._track(base, name, panel) for name, panel in zip(self._names, self._panels, strict=True))
        intervals = tuple(
            HubIntervals(
                name,
                bed.name,
                self.address(base, f"/hub/{name}.bb"),
                bed.color,
                self._placed(name).columns,
                self.address(base, f"/hub/{name}.html"),
            )
            for name, bed in self._beds.items()
            if self._placed(name).intervals
        )
        label = long_label(site.project.name) or "tracks"
        name, page = track_name(f"tracks_{site.project.name}"), self.address(base, f"/hub/{INDEX}")
        return Hub(name, label, EMAIL, track_genome(site.assembly), tracks, intervals, place, page)

    def _track(self, base: str, name: str, panel: Panel) -> HubTrack:
        track, slug = panel.track, panel.track.slug
        try:
            limits, values = self._limits(slug)
        except TracksError:  # its file went away, or is damaged; the others' hub stands
            limits, values = panel.limits, panel.limits or (0.0, 1.0)
        signals: list[Signal] = []
        if _local(panel) is not None:
            url = self.address(base, f"/files/{quote(slug)}.bw")
            signals.append(observed_signal(name, track, url, limits, values, bool(panel.predicted)))
        for number, made in enumerate(panel.predicted):
            head = made.head if len(panel.predicted) > 1 else ""
            urls = [self.address(base, self._virtual.path(made.head, slug, slot)) for slot in (SLOT, JBROWSE_SLOT)]
            signals.append(predicted_signal(name, track, urls[0], limits, values, head, number, urls[1]))
        difference = None
        if panel.predicted and _local(panel) is not None:
            head = panel.predicted[0].head
            urls = [
                self.address(base, self._virtual.path(head, slug, slot, difference=True))
                for slot in (SLOT, JBROWSE_SLOT)
            ]
            most = limits[1] - limits[0] if limits is not None else values[1] - values[0]
            difference = difference_signal(name, track, urls[0], (-most, most), (-most, most), urls[1])
        return HubTrack(name, track, tuple(signals), difference, self.address(base, f"/hub/{name}.html"))

    def _limits_of(self, slug: str) -> tuple[Ends | None, Ends]:
        """The ends of a track's axis, None where the browser is to find them, and the range of its values."""
        panel = next(panel for panel in self._panels if panel.track.slug == slug)
        path = _local(panel)
        if panel.track.is_fraction:
            return (0.0, 1.0), (0.0, 1.0)
        if path is None:
            return panel.limits, panel.limits or (0.0, 1.0)
        summary = summarise_bigwig(path)
        return signal_limits(path, panel.track, summary), value_range(path, summary)

    def observed_file(self, slug: str) -> Path:
        """Return the file of an observed track. Raises NotFound that says which there are."""
        paths = {panel.track.slug: _local(panel) for panel in self._panels}
        path = paths.get(slug)
        if path is None:
            there = ", ".join(own for own, found in paths.items() if found is not None)
            raise NotFound(f"there is no observed file '{slug[:80]}'; there are {there or 'none'}")
        return path

    def page(self, hub: Hub, name: str) -> str:
        """Return a description page. Raises NotFound."""
        if f"{name}.html" == INDEX:
            return hub_page(hub, self._facts)
        if name in self._beds:
            return intervals_page(self._beds[name].name, len(self._placed(name).intervals))
        for track in hub.tracks:
            if track.name == name:
                return track_page(track, hub, self._facts)
        raise NotFound(f"there is no description of '{name[:80]}' here")

    def bigbed(self, name: str) -> bytes:
        """Return the bytes of the bigBed of one of the project's BED files. Raises NotFound."""
        if name not in self._beds or not self._placed(name).intervals:
            raise NotFound(f"there are no intervals '{name[:80]}'; there are {', '.join(self._beds) or 'none'}")
        with self._making:
            return self._bigbed(name)

    def _made_bigbed(self, name: str) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "intervals.bb"
            write_bigbed(path, self._placed(name), self._site.genome.chrom_sizes)
            return path.read_bytes()

    def _placed(self, name: str) -> Placed:
        """The intervals of a BED file; none where it went away, or is damaged."""
        try:
            return self._read(name)
        except TracksError:
            return Placed((), 0, 0)

    def _placed_bed(self, name: str) -> Placed:
        bed: Annotation = self._beds[name]
        return place(read_intervals(bed.bed), self._assembly.sizes, self._assembly.name_of)

    @functools.cached_property
    def _facts(self) -> ModelFacts:
        model = self._site.model
        return read_model(model.folder, model.head_digests, self._site.predictor.method.words)

    def browsers(self, hub: Hub, base: str, region: str | None) -> dict[str, Any]:
        """Return how each browser opens the hub, as JSON-ready values: the menu's addresses."""
        asked = {"region": region} if region else {}
        url = self.address(base, f"/hub/{HUB_TXT}")
        session = self.address(base, f"/hub/{IGV_XML}", **asked)
        config = self.address(base, f"/hub/{JBROWSE}")
        json = self.address(base, f"/hub/{IGV_JSON}", **asked)
        # The XML session names a genome that IGV has; the other one brings its own.
        on_web = session if hub.genome in ASSEMBLIES else json
        why = self.why_not_ucsc(base)
        return {
            "hub": {"url": url, "text": hub_text(hub)},
            "ucsc": {"url": None if why else ucsc_link(hub, url), "why": why},
            "igv": {
                "session": session,
                "json": json,
                "desktop": igv_desktop_link(hub, session),
                **self._web(igv_web_link(on_web)),
                "file": _own_path(IGV_XML, **asked),
            },
            "jbrowse": {"config": config, **self._web(jbrowse_web_link(hub, config)), "file": _own_path(JBROWSE)},
            "custom_tracks": custom_tracks(hub),
        }

    def _web(self, link: str) -> dict[str, str | None]:
        """The address of a page elsewhere, or why a browser would not let that page read from this server."""
        site = urlsplit(link)
        origin = f"{site.scheme}://{site.netloc}"
        if self._access.lists(origin):
            return {"web": link, "why": ""}
        return {"web": None, "why": f"pages of {origin} may not read from this server; start it with --cors {origin}"}

    def file_name(self, ending: str) -> str:
        """Return the name under which a person saves a file of the hub."""
        return f"{slug_of(self._site.project.name) or 'tracks'}_{ending}"

    def why_not_ucsc(self, base: str) -> str:
        """Say in words why UCSC's browser cannot show the hub; empty where it can."""
        known = ASSEMBLIES.get(self._site.assembly)
        if known is None:
            return f"'{self._site.assembly}' is no assembly that UCSC has, as far as is known here"
        assembly = Assembly(self._site.assembly, known, contigs=True)
        other = next((chrom for chrom in self._assembly.sizes if assembly.name_of(chrom) != chrom), None)
        if other is not None:
            return f"UCSC has no chromosome '{other}' in {assembly.name}; tracks hub writes files with its names"
        hidden = why_hidden(base)
        return f"{hidden}; {_WAYS_OUT}" if hidden else ""


def _own_path(name: str, **asked: str) -> str:
    """The path of a file to save, for our own page, which keeps the token as a cookie."""
    return f"/hub/{name}?{urlencode({**asked, 'download': 1})}"


def track_genome(assembly: str) -> str:
    """Return an assembly's name as a hub may have it: a project's own name may hold anything."""
    return assembly if assembly in ASSEMBLIES else track_name(assembly)


def _local(panel: Panel) -> Path | None:
    """The observed file of a panel, where it lies on this machine."""
    return panel.observed.path if panel.observed is not None else None
