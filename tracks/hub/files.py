"""The files of a hub, made one after the other in a folder of their own."""

from __future__ import annotations

import math
import shutil
from typing import TYPE_CHECKING

from tracks.bigwig import summarise_bigwig
from tracks.bigwig_reader import BigWigReader
from tracks.errors import UsageError
from tracks.hub.assemblies import fitting_names
from tracks.hub.bigbed import place, read_intervals, write_bigbed
from tracks.hub.igv import session_json, session_xml
from tracks.hub.jbrowse import jbrowse_config
from tracks.hub.limits import difference_limits, signal_limits, value_range
from tracks.hub.links import custom_tracks
from tracks.hub.looks import difference_signal, observed_signal, predicted_signal
from tracks.hub.model import Hub, HubIntervals, HubTrack, placed
from tracks.hub.names import track_name, unique
from tracks.hub.pages import hub_page, intervals_page, track_page
from tracks.hub.signals import put_file, rename_chroms, write_difference
from tracks.hub.stanzas import hub_text
from tracks.regions import Region

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tracks.hub.looks import Ends
    from tracks.hub.model import Signal
    from tracks.hub.order import BedFile, HubOrder
    from tracks.hub.sources import Source
    from tracks.track import Track

HUB_TXT, IGV_XML, IGV_JSON, JBROWSE, SIZES, CUSTOM, INDEX = (
    "hub.txt",
    "igv_session.xml",
    "igv_session.json",
    "jbrowse.json",
    "chrom.sizes",
    "custom_tracks.txt",
    "hub.html",
)
"""Files of every hub; the custom tracks only where its address is known."""
INDEX_NAME = INDEX.removesuffix(".html")
"""No track's name, since pages are named after their tracks."""

_WIDTH = 1_000_000
"""Bases that a browser shows first where nobody says which."""


class HubFiles:
    """The files of one hub, being made."""

    def __init__(self, folder: Path, order: HubOrder) -> None:
        self.folder, self.order = folder, order
        self.notes: list[str] = []
        self.sizes = dict(order.assembly.sizes)

    def write(self) -> Hub:
        """Make all files; return the hub."""
        order = self.order
        apart = self.folder / "more"
        apart.mkdir()
        sources = [*order.sources, *(order.more(apart) if order.more is not None else ())]
        if not sources:
            raise UsageError("there is nothing to show; name bigWig files, a model folder, or a --project")
        groups: dict[str, list[Source]] = {}
        for source in sources:
            groups.setdefault(source.track.slug, []).append(source)
        names = unique([*groups, *(f"bed_{bed.label}" for bed in order.beds)], [INDEX_NAME])
        tracks = tuple(self._track(name, group) for name, group in zip(names, groups.values(), strict=False))
        shutil.rmtree(apart)
        beds = zip(names[len(groups) :], order.beds, strict=True)
        intervals = tuple(part for name, bed in beds for part in self._intervals(name, bed))
        region = order.region or self._first_region(tracks[0].signals[0].url)
        hub = Hub(order.name, order.label, order.email, order.assembly.name, tracks, intervals, region, INDEX)
        for track in hub.tracks:
            self._text(track.page, track_page(track, hub, order.model))
        self._text(INDEX, hub_page(hub, order.model))
        self._text(HUB_TXT, hub_text(hub))
        self._text(SIZES, "".join(f"{chrom}\t{length}\n" for chrom, length in self.sizes.items()))
        # Whole addresses where they are known: IGV's web application needs them, and pages with JBrowse's components.
        there = placed(hub, order.base_url) if order.base_url else hub
        sizes = f"{order.base_url}/{SIZES}" if order.base_url else SIZES
        self._text(JBROWSE, jbrowse_config(there, sizes))
        self._text(IGV_XML, session_xml(there))
        self._text(IGV_JSON, session_json(there, sizes))
        if order.base_url:
            self._text(CUSTOM, custom_tracks(there))
        return hub

    def _text(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def _track(self, name: str, group: Sequence[Source]) -> HubTrack:
        track = group[0].track
        observed = next((source for source in group if source.kind == "observed"), None)
        predicted = [source for source in group if source.kind == "predicted"]
        signals = []
        if observed is not None:
            url = self._bigwig(f"{name}_observed", observed)
            signals.append(observed_signal(name, track, url, *self._ranges(url, track), bool(predicted)))
        for number, source in enumerate(predicted):
            head = source.head if len(predicted) > 1 else ""
            url = self._bigwig(track_name(f"{name}_predicted_{head}" if head else f"{name}_predicted"), source)
            signals.append(predicted_signal(name, track, url, *self._ranges(url, track), head, number))
        difference = None
        if observed is not None and predicted:
            difference = self._difference(name, track, signals[1], signals[0])
        return HubTrack(name, track, tuple(signals), difference, f"{name}.html")

    def _bigwig(self, name: str, source: Source) -> str:
        """Put a file into the folder, under the assembly's chromosome names; return its own name there."""
        order, target = self.order, self.folder / f"{name}.bw"
        with BigWigReader(source.path) as reader:
            sizes = reader.chrom_sizes
        names = fitting_names(order.assembly, sizes, str(source.path), order.skip_unknown)
        for old, new in names.items():
            self.sizes.setdefault(new, sizes[old])
        self._say_shorter(source, sizes, names)
        finite = self._finite(source)
        if finite and all(names.get(chrom) == chrom for chrom in sizes):
            copied = put_file(source.path, target, order.link or self.folder in source.path.parents)
            if copied and order.link:
                self.notes.append(f"{source.path} was copied: that folder cannot link to it")
            return target.name
        rename_chroms(source.path, target, names, order.assembly.sizes)
        if not finite:
            self.notes.append(f"{source.path}: values that are not finite were left out")
        changed = [(old, new) for old, new in names.items() if old != new]
        if changed:
            more = " and so on" if len(changed) > 1 else ""
            self.notes.append(f"{source.path}: its chromosome {changed[0][0]} was named {changed[0][1]}{more}")
        return target.name

    def _ranges(self, file: str, track: Track) -> tuple[Ends, Ends]:
        """The ends of a signal's axis, and the range of its values."""
        summary = summarise_bigwig(self.folder / file)
        return signal_limits(self.folder / file, track, summary), value_range(self.folder / file, summary)

    def _finite(self, source: Source) -> bool:
        """Whether a file holds no NaN and no infinity, which no browser is to meet, as far as its header tells."""
        summary = summarise_bigwig(source.path)
        if not summary.covered:
            raise UsageError(f"{source.path} has no value to show")
        return all(map(math.isfinite, (summary.minimum, summary.maximum, summary.mean)))

    def _say_shorter(self, source: Source, sizes: Mapping[str, int], names: Mapping[str, str]) -> None:
        own = self.order.assembly
        for old, new in names.items():
            if sizes[old] < own.sizes.get(new, 0):
                self.notes.append(
                    f"warning: {source.path}: its {old} has {sizes[old]:,} bases, {new} of {own.name} "
                    f"{own.sizes[new]:,}; see that it is of the same build"
                )
                return

    def _difference(self, name: str, track: Track, predicted: Signal, observed: Signal) -> Signal | None:
        target = self.folder / f"{name}_difference.bw"
        if not write_difference(target, self.folder / predicted.url, self.folder / observed.url):
            self.notes.append(f"{track.name}: observed and predicted share no bin, so there is no difference")
            return None
        summary = summarise_bigwig(target)
        values = value_range(target, summary)
        return difference_signal(name, track, target.name, difference_limits(target, track, summary), values)

    def _intervals(self, name: str, bed: BedFile) -> Iterator[HubIntervals]:
        found = place(read_intervals(bed.path), self.sizes, self.order.assembly.name_of)
        if found.left_out or found.cut:
            self.notes.append(
                f"{bed.path}: {found.left_out:,} intervals outside {self.order.assembly.name} left out, "
                f"{found.cut:,} cut at a chromosome's end"
            )
        if not found.intervals:
            self.notes.append(f"{bed.path} has no interval to show, so '{bed.label}' is not in the hub")
            return
        target = self.folder / f"{name}.bb"
        write_bigbed(target, found, self.sizes)
        self._text(f"{name}.html", intervals_page(bed.label, len(found.intervals), f"file {bed.path.name}"))
        yield HubIntervals(name, bed.label, target.name, bed.color, found.columns, f"{name}.html")

    def _first_region(self, file: str) -> Region | None:
        """A megabase from the first value on."""
        with BigWigReader(self.folder / file) as reader:
            for chrom, length in reader.chrom_sizes.items():
                found = next(reader.runs(chrom), None)
                if found is not None:
                    start = int(found.starts[0])
                    return Region(chrom, start, min(start + _WIDTH, length))
        return None
