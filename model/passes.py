"""Passes of the trunk over a genome: the embedding of any 896 bins, as the method of a prediction wants it."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from model.engine.strip import TowerStrip
from tracks.errors import TracksError
from tracks.genome import N
from tracks.grid import BIN, BINS, FLANK, INPUT, WINDOW, window_count

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from model.engine.base import TrunkEngine
    from model.residuals import WindowResiduals
    from tracks.genome import Genome
    from tracks.method import Method

_LOG = logging.getLogger(__name__)

_SHARED_TOLERANCE = {"fp32": 1e-4, "winograd": 1e-4}
"""Largest difference of a residual stream, by its largest value; with 8 and 16 bits a tenth, some rounded steps."""


@dataclass(frozen=True)
class Reading:
    """How a chromosome's sequence is read: one of its strands, from ``shift`` bases further on.

    A reading has positions of its own, in which bins and windows lie on the grid again: those of the reverse strand
    count from the end of the chromosome's last window.
    """

    reverse: bool = False
    shift: int = 0

    def codes(self, genome: Genome, chrom: str, start: int, end: int) -> np.ndarray:
        """Return base codes uint8 ``[end - start]`` of this reading's ``[start, end)``."""
        if not self.reverse:
            return genome.codes(chrom, start + self.shift, end + self.shift)
        mirror = _mirror(genome, chrom) + self.shift
        codes = genome.codes(chrom, mirror - end, mirror - start)[::-1]
        return np.where(codes < N, 3 - codes, N).astype(np.uint8)

    def start(self, genome: Genome, chrom: str, start: int) -> int:
        """Return where the 896 bins from base ``start`` of the chromosome on begin in this reading."""
        return _mirror(genome, chrom) - start - WINDOW if self.reverse else start


def _mirror(genome: Genome, chrom: str) -> int:
    return window_count(genome.chrom_sizes[chrom]) * WINDOW


@dataclass(frozen=True)
class Place:
    """896 bins from base ``start`` on, 0-based and maybe outside the chromosome, in a reading of its sequence."""

    chrom: str
    start: int
    reading: Reading = Reading()


def readings(method: Method) -> tuple[Reading, ...]:
    """Return the readings that a method averages."""
    strands = (False, True) if method.ensemble.reverse_complement else (False,)
    return tuple(Reading(strand, shift) for strand in strands for shift in method.ensemble.shifts)


def _is_window(place: Place) -> bool:
    return place.reading == Reading() and place.start >= 0 and place.start % WINDOW == 0


class Passes:
    """Embeddings float32 ``[1, C, 896]`` of places, on the engine's device; bin 0 is the first of the *reading*, so
    that of the reverse strand the last of the chromosome's.

    ``batch`` windows go through the trunk at once, which gains something on a GPU alone. It halves where the GPU's
    memory does not suffice.
    """

    def __init__(
        self,
        engine: TrunkEngine,
        genome: Genome,
        method: Method,
        batch: int = 1,
        residuals: Callable[[str], WindowResiduals] | None = None,
    ) -> None:
        self.engine, self.genome, self.method, self.batch = engine, genome, method, batch
        self._residuals = residuals
        self._strips: dict[Reading, TowerStrip] = {}
        # Embeddings of the last places, of which neighbouring windows share some; 5.5 MB each for Basenji2.
        self._kept: OrderedDict[Place, torch.Tensor] = OrderedDict()
        self._most_kept = max(16, 2 * method.ensemble.overlap * len(readings(method)))
        # Streams of the last seamless windows: places off the grid each take two.
        self._seamless: OrderedDict[tuple[Reading, str, int], torch.Tensor] = OrderedDict()
        self._most_seamless = 3 * len(readings(method))

    def alone(self, places: Sequence[Place]) -> list[torch.Tensor]:
        """Return the embeddings of places, each computed as a window of its own: zero padding at both its ends. Those
        of grid windows whose residual stream was kept are made of that; the streams of others are kept."""
        streams = {place: stream for place in places if (stream := self._kept_stream(place)) is not None}
        missing = [place for place in dict.fromkeys(places) if place not in streams]
        for place, stream in zip(missing, self._streams(missing), strict=True):
            streams[place] = stream
            self._keep_stream(place, stream)
        # One at a time, so that a kept stream gives the very numbers that sequence gave.
        return [self.engine.embedding(streams[place]) for place in places]

    def _streams(self, places: Sequence[Place]) -> list[torch.Tensor]:
        codes = []
        for place in places:
            start = place.reading.start(self.genome, place.chrom, place.start) - FLANK
            codes.append(place.reading.codes(self.genome, place.chrom, start, start + INPUT))
        found: list[torch.Tensor] = []
        while len(found) < len(codes):
            part = codes[len(found) : len(found) + self.batch]
            # Filled up, because another shape of input may round otherwise.
            filled = [*part, *[np.full(INPUT, N, np.uint8)] * (self.batch - len(part))]
            try:
                streams = self.engine.stream(torch.from_numpy(np.stack(filled)))
                found += torch.split(streams, 1)[: len(part)]
            except torch.OutOfMemoryError as error:
                self._halve(error)
        return found

    def _kept_stream(self, place: Place) -> torch.Tensor | None:
        if self._residuals is None or not _is_window(place):
            return None
        stream = self._residuals(place.chrom).read(place.start // WINDOW)
        return None if stream is None else stream.to(self.engine.device)

    def _keep_stream(self, place: Place, stream: torch.Tensor) -> None:
        if self._residuals is not None and _is_window(place):
            self._residuals(place.chrom).write(place.start // WINDOW, stream)

    def shared(self, place: Place) -> torch.Tensor:
        """Return the embedding of a place from tower bins that it shares with places around it; ``start`` is a multiple
        of 128. With the method's edges: of a window of its own, but for rounding, or without any padding."""
        found = self._kept.get(place)
        if found is None:
            found = self._kept[place] = self.engine.embedding(self._shared_stream(place))
            if len(self._kept) > self._most_kept:
                self._kept.popitem(last=False)
        self._kept.move_to_end(place)
        return found

    def _shared_stream(self, place: Place) -> torch.Tensor:
        strip = self._strips.get(place.reading)
        if strip is None:
            strip = self._strips[place.reading] = TowerStrip(self.engine, partial(place.reading.codes, self.genome))
            self._check(strip, place)
        start = place.reading.start(self.genome, place.chrom, place.start)
        if self.method.edges == "window":
            return strip.window(place.chrom, start)
        index, bases = divmod(start, WINDOW)
        stream = self._seamless_stream(place, index)
        if not bases:
            return stream
        both = torch.cat([stream, self._seamless_stream(place, index + 1)], dim=3)
        return both[..., bases // BIN : bases // BIN + BINS]

    def _seamless_stream(self, place: Place, index: int) -> torch.Tensor:
        key = (place.reading, place.chrom, index)
        found = self._seamless.get(key)
        if found is None:
            found = self._seamless[key] = self._strips[place.reading].seamless(place.chrom, index)
            if len(self._seamless) > self._most_seamless:
                self._seamless.popitem(last=False)
        self._seamless.move_to_end(key)
        return found

    def _check(self, strip: TowerStrip, place: Place) -> None:
        """Compare a window of shared tower bins with the same window alone: raises TracksError beyond rounding."""
        alone = self._streams([place])[0].float()
        shared = strip.window(place.chrom, place.reading.start(self.genome, place.chrom, place.start)).float()
        error = float((shared - alone).abs().max() / alone.abs().max().clamp(min=1e-12))
        if not error <= _SHARED_TOLERANCE.get(self.method.precision, 0.1):
            raise TracksError(
                f"shared tower bins differ from those of a window alone by {error:.1e} of the largest value on "
                f"{self.engine.device} with {self.method.precision}; leave --edges, overlap and --stride out"
            )

    def _halve(self, error: torch.OutOfMemoryError) -> None:
        if self.batch == 1:
            raise TracksError(f"{self.engine.device} has too little memory for one window; use --device cpu") from error
        self.batch //= 2
        torch.cuda.empty_cache()
        _LOG.warning("%s ran out of memory; going on with batches of %d", self.engine.device, self.batch)
