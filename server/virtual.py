"""The virtual bigWigs of a site: one for each track that a head predicts, and one for what it differs by from what was
observed. Their values are those of the store, where all other answers have them from too."""

from __future__ import annotations

import functools
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from server.channel import HangUp
from server.virtual_http import no_such_file
from tracks.errors import TracksError, first_few
from tracks.grid import BIN, BINS, WINDOW, bin_count
from tracks.regions import Region
from tracks.remote.allowance import answer_of
from tracks.remote.errors import RemoteError
from tracks.virtual import SLOT, Layout, Totals, lay_out
from tracks.virtual.difference import DifferenceSummaries
from tracks.virtual.overview import Overview, file_digest, layout_digest, overview_path
from tracks.virtual.stored import stored_records

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from server.channel import Connection
    from server.readers import Reading
    from server.site import Site
    from server.tilesets import ObservedTileset
    from server.virtual_http import OpenValues
    from tracks.track import Track

_NO_TOTALS = Totals(0, 0.0, 0.0, 0.0, 0.0)
_HESITATION, _LONGEST = 0.05, 0.5
"""Seconds that a reader who asked for all bytes from a place on is given to hang up before the next window is computed:
for each of the first windows, then twice as long each time, up to the second. What it has not read may lie in buffers
on the way, so nobody can see how much it wants."""
_PROMPT = 4
"""Windows of one answer, about what a view of 400 kb needs, that are computed with the least hesitation."""
_LOOK = 0.01
_DIFFERENCE = ".difference"


@dataclass(frozen=True)
class _Place:
    """What an address names: a head's predictions, with zoom levels that grow or, ``frozen``, do not."""

    head: str
    frozen: bool


class VirtualFiles:
    """All virtual bigWigs of a site, by their addresses. Safe for several threads."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._predictions = site.predictions
        self._sizes = site.axis.chrom_sizes
        self._tracks = {
            (spec.name, track.slug): (column, track)
            for spec in site.model.heads
            for column, track in enumerate(spec.tracks)
        }
        self._made: dict[tuple[str, str, bool], PredictedFile | DifferenceFile] = {}
        self._making = threading.Lock()
        self._laid_out = functools.cache(lambda slot: lay_out(self._sizes, _NO_TOTALS, slot))

    def path(self, head: str, slug: str, slot: int = SLOT, difference: bool = False) -> str:
        """Return the address of a track's file, without the host. Where the whole genome's overview is kept it is that
        of the file that does not change. The first time the genome is read for its digest."""
        frozen = not difference and self._overview(head, slug).is_file()
        query = "" if slot == SLOT else f"?slot={slot}"
        return f"/virtual/{self._digest(head, frozen)}/{slug}{_DIFFERENCE if difference else ''}.bw{query}"

    def find(self, digest: str, name: str) -> PredictedFile | DifferenceFile:
        """Return the file at an address. Raises NotFound that says which there are."""
        slug = name.removesuffix(_DIFFERENCE)
        place = self._places.get(digest)
        if place is None or (place.head, slug) not in self._tracks:
            raise no_such_file(digest, name, self._listed())
        if name == slug:
            if place.frozen and not self._overview(place.head, slug).is_file():
                raise no_such_file(digest, name, self._listed())
            return self._predicted(place, slug)
        if place.frozen or self._observed(slug) is None:
            raise no_such_file(digest, name, self._listed())
        return self._difference(place, slug)

    def _predicted(self, place: _Place, slug: str) -> PredictedFile:
        with self._making:
            made = self._made.get((place.head, slug, place.frozen))
            if not isinstance(made, PredictedFile):
                column, track = self._tracks[place.head, slug]
                overview = Overview(self._overview(place.head, slug), self._sizes) if place.frozen else None
                totals = overview.totals if overview is not None else assumed_totals(*self._scale(track), self._bases)
                made = PredictedFile(self._site, place.head, column, self._layout(totals), overview)
                self._made[place.head, slug, place.frozen] = made
        return made

    def _difference(self, place: _Place, slug: str) -> DifferenceFile:
        predicted, observed = self._predicted(place, slug), self._observed(slug)
        assert observed is not None
        with self._making:
            made = self._made.get((place.head, f"{slug}{_DIFFERENCE}", False))
            if not isinstance(made, DifferenceFile):
                low, high = self._scale(self._tracks[place.head, slug][1])
                totals = assumed_totals(low - high, high - low, self._bases)
                made = DifferenceFile(predicted, observed, self._layout(totals))
                self._made[place.head, f"{slug}{_DIFFERENCE}", False] = made
        return made

    def _layout(self, totals: Totals) -> Callable[[int], Layout]:
        """The layout by the slot, of which all files share what does not depend on the totals."""
        return lambda slot: self._laid_out(slot).with_totals(totals)

    def _observed(self, slug: str) -> ObservedTileset | None:
        return next((panel.observed for panel in self._site.panels if panel.track.slug == slug), None)

    def _scale(self, track: Track) -> tuple[float, float]:
        """The ends of a track's axis: as the page has it, which takes them from what was observed."""
        return next((panel.scale for panel in self._site.panels if panel.track.slug == track.slug), (0.0, 1.0))

    @property
    def _bases(self) -> int:
        return sum(self._sizes.values())

    def _overview(self, head: str, slug: str) -> Path:
        method = self._site.predictor.method
        return overview_path(
            self._site.store.root, self._site.model.head_digests[head], method, self._genome_digest, slug
        )

    def _digest(self, head: str, frozen: bool) -> str:
        return next(digest for digest, place in self._places.items() if place == _Place(head, frozen))

    @functools.cached_property
    def _places(self) -> dict[str, _Place]:
        digests, method = self._site.model.head_digests, self._site.predictor.method
        return {
            file_digest(digests[head], method, self._genome_digest, frozen): _Place(head, frozen)
            for head in self._predictions.heads
            for frozen in (False, True)
        }

    @functools.cached_property
    def _genome_digest(self) -> str:
        return layout_digest(self._sizes, {chrom: self._site.genome.digest(chrom) for chrom in self._sizes})

    def _listed(self) -> list[str]:
        found = []
        for head in self._predictions.heads:
            slugs = [slug for of, slug in self._tracks if of == head]
            folder = self.path(head, slugs[0]).rpartition("/")[0]
            found.append(f"{folder}/ of model {self._site.model.name}, head {head}: {first_few(slugs, 18)}")
        return found


class PredictedFile:
    """The file of one head's predictions of a track: a ``VirtualTrack``."""

    def __init__(
        self, site: Site, head: str, column: int, layout: Callable[[int], Layout], overview: Overview | None
    ) -> None:
        self.layout, self.head, self.column = layout, head, column
        self.predictions, self.chrom_sizes = site.predictions, site.axis.chrom_sizes
        self._overview = overview

    @property
    def frozen(self) -> bool:
        """Whether no byte of it changes any more."""
        return self._overview is not None

    def open(self, connection: Connection, to_the_end: bool) -> OpenValues:
        """Return its values for one answer, as ``VirtualTrack`` has them."""
        return _Live(self, self.predictions.reading(self.head, connection.gone), connection, to_the_end)

    def known(self, chrom: str, index: int) -> np.ndarray | None:
        """Return a window's values if they are known, float32 ``[896]``."""
        values = self.predictions.known_values((chrom, index), self.head)
        return None if values is None else values[:, self.column]

    def records(self, chrom: str, level: int, over: range) -> np.ndarray:
        """Return what is known of it, as ``Values`` has it."""
        if self._overview is not None:
            return self._overview.records(chrom, level, over)
        store = self.predictions.stored.open(chrom, self.head)
        return stored_records(store, self.chrom_sizes[chrom], self.column, level, over)


class DifferenceFile:
    """The file of what a head's prediction of a track differs by from the observed: a ``VirtualTrack``."""

    frozen = False

    def __init__(self, predicted: PredictedFile, observed: ObservedTileset, layout: Callable[[int], Layout]) -> None:
        self.layout, self.predicted = layout, predicted
        self._observed = observed
        self._told: set[str] = set()
        self.summaries = DifferenceSummaries(
            predicted.chrom_sizes,
            predicted.known,
            lambda chrom: predicted.predictions.stored.open(chrom, predicted.head).known(),
            self.observed,
        )

    def open(self, connection: Connection, to_the_end: bool) -> OpenValues:
        """Return its values for one answer, as ``VirtualTrack`` has them."""
        return _LiveDifference(self, self.predicted.open(connection, to_the_end))

    def observed(self, chrom: str, index: int) -> np.ndarray:
        """Return what was observed in a window, float32 ``[896]`` with NaN. Raises TracksError for a damaged file,
        RemoteError where another server does not give it in time."""
        values = np.full(BINS, np.nan, np.float32)
        bins = min(BINS, bin_count(self.predicted.chrom_sizes[chrom]) - index * BINS)
        try:
            values[:bins] = self._observed.region_bins(Region(chrom, index * WINDOW, index * WINDOW + bins * BIN))
        except RemoteError:
            raise  # the file has said so itself
        except TracksError as error:
            # Readers are only told that the terminal says why.
            if str(error) not in self._told:
                self._told.add(str(error))
                print(f"tracks: warning: {error}", file=sys.stderr, flush=True)
            raise
        return values

    def records(self, chrom: str, level: int, over: range) -> np.ndarray:
        """Return what is known of it, as ``Values`` has it. Raises what ``observed`` raises."""
        # Of many windows, which all together are one answer: what they came to is kept for who asks again.
        with answer_of(self._observed.source):
            return self.summaries.records(chrom, level, over)


class _Live:
    """A predicted track's values for one answer: windows are waited for while somebody reads."""

    def __init__(self, file: PredictedFile, reading: Reading, connection: Connection, to_the_end: bool) -> None:
        self._file, self._reading, self._connection, self._to_the_end = file, reading, connection, to_the_end
        self._computed = 0

    def window(self, chrom: str, index: int) -> np.ndarray:
        values = self._reading.known((chrom, index))
        if values is None:
            self._see_that_it_is_read()
            self._computed += 1
            values = self._reading.wait_for((chrom, index))
        if values is None:
            raise HangUp
        return values[:, self._file.column]

    def records(self, chrom: str, level: int, over: range) -> np.ndarray:
        return self._file.records(chrom, level, over)

    def expect(self, windows: Sequence[tuple[str, int]]) -> None:
        self._reading.expect(windows)

    def close(self) -> None:
        self._reading.close()

    def _see_that_it_is_read(self) -> None:
        """Before a window is computed: the reader has all that was said, and wants more."""
        self._connection.settle(0)
        hesitation = min(_HESITATION * 2 ** max(self._computed - _PROMPT, 0), _LONGEST) if self._to_the_end else 0
        until = time.monotonic() + hesitation
        while not self._connection.gone():
            if time.monotonic() >= until:
                return
            time.sleep(_LOOK)
        raise HangUp


class _LiveDifference:
    """A difference's values for one answer."""

    def __init__(self, file: DifferenceFile, predicted: OpenValues) -> None:
        self._file, self._predicted = file, predicted
        self.records, self.expect, self.close = file.records, predicted.expect, predicted.close

    def window(self, chrom: str, index: int) -> np.ndarray:
        # First, because nothing is to be computed for a file that another server does not give.
        observed = self._file.observed(chrom, index)
        difference: np.ndarray = self._predicted.window(chrom, index) - observed
        return difference


def assumed_totals(low: float, high: float, bases: int) -> Totals:
    """Return what the header of a file says of values that are not known yet, so that readers choose a fitting axis:
    all ``bases`` have one, spread evenly from ``low`` to ``high``."""
    mean, variance = (low + high) / 2, (high - low) ** 2 / 12
    return Totals(bases, low, high, mean * bases, (variance + mean**2) * bases)
