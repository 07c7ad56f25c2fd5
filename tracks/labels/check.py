"""What a built label set holds, and what looks wrong in it: distributions, covered and masked fractions, warnings."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracks.errors import first_few
from tracks.grid import BIN
from tracks.labels.distribution import Distribution, run_lengths
from tracks.track import values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tracks.labels.built import BuiltLabels, BuiltTrack, GridPiece

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_BARS = 60
_LONGEST = 1 << 16
_BATCH = 1 << 15
"""Bins that are counted at once, at least."""
_SAME = 0.999
"""A track is nearly constant when this fraction of its labels is one value."""
_FEW = 0.01
"""A track is hardly covered when less than this fraction of the bins that are not masked has a label."""
_LOG2 = (-10.0, 10.0)
"""No enrichment is above a thousandfold: these are no log2 values then."""
_STEP = 8
"""Bins. Half of the labels in runs of so many equal ones or more: the signal is coarser than the bins."""


@dataclass(frozen=True)
class ChromFacts:
    """Bins of a chromosome (of its given windows, where there is no grid), and how many of them are masked."""

    chrom: str
    bins: int
    masked: int


@dataclass(frozen=True)
class Histogram:
    """Counts of labels in equal parts of ``low`` to ``high``, in the track's unit; ``beyond`` are outside."""

    low: float
    high: float
    counts: tuple[int, ...]
    beyond: int


@dataclass(frozen=True)
class TrackFacts:
    """One track: its bins with a label, by chromosome; the distribution of their values in the track's unit (None
    without any); the length in bins of the run of equal values that the median label lies in; warnings."""

    name: str
    unit: str
    color: str
    aggregation: str
    labelled: int
    labelled_by_chrom: tuple[int, ...]
    mean: float | None
    sd: float | None
    minimum: float | None
    maximum: float | None
    quantiles: dict[str, float]
    most_common: tuple[float, float] | None
    """The value that more than half of the labels have, if one is, and the fraction that does."""
    outside: int
    run: int
    histogram: Histogram | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class LabelFacts:
    """A label set: its chromosomes, its tracks, and what its build noted."""

    name: str
    recipe: str
    on_grid: bool
    chroms: tuple[ChromFacts, ...]
    tracks: tuple[TrackFacts, ...]
    notes: tuple[str, ...]

    @property
    def bins(self) -> int:
        """Bins in all."""
        return sum(chrom.bins for chrom in self.chroms)

    @property
    def masked(self) -> int:
        """Masked bins in all."""
        return sum(chrom.masked for chrom in self.chroms)

    @property
    def warnings(self) -> int:
        """How many warnings there are."""
        return sum(len(track.warnings) for track in self.tracks)


class _Counts:
    """What is counted of one track while pieces pass."""

    def __init__(self, target: BuiltTrack) -> None:
        self.target = target
        is_log2 = target.stored == "log2" or "log2" in target.track.unit
        self.range = target.unit_range or (_LOG2 if is_log2 else None)
        self.distribution = Distribution(QUANTILES)
        self.outside = 0
        self.runs = np.zeros(_LONGEST, np.int64)
        self.bars = np.zeros(_BARS, np.int64)
        self.shown = (0.0, 0.0)

    def add(self, column: np.ndarray) -> None:
        values = column[np.isfinite(column)]
        self.distribution.add(values)
        if self.range is not None:
            low, high = (np.float32(bound) for bound in self.range)
            # A fraction that was scaled and scaled back may be past 1 by its last digits.
            room = 1e-5 * max(abs(low), abs(high))
            self.outside += int(((values < low - room) | (values > high + room)).sum())
        lengths = run_lengths(column)
        np.add.at(self.runs, np.minimum(lengths, _LONGEST - 1), lengths)

    def show(self) -> None:
        """Choose what the histogram spans: everything, or the middle 98 % and as much again where a few lie far out."""
        if self.distribution.n:
            found = self.distribution
            low, high = found.about(0.01), found.about(0.99)
            room = max(high - low, 1e-3 * max(abs(low), abs(high)), 1e-12)
            self.shown = max(found.minimum, low - room / 2), min(found.maximum, high + room / 2)

    def count(self, column: np.ndarray) -> None:
        values = column[np.isfinite(column)]
        if not len(values):
            return
        self.distribution.count(values)
        low, high = self.shown
        inside = values[(values >= low) & (values <= high)].astype(np.float64)
        places = (inside - low) * (_BARS / (high - low)) if high > low else np.full(len(inside), _BARS // 2)
        self.bars += np.bincount(np.minimum(places.astype(np.int64), _BARS - 1), minlength=_BARS)

    @property
    def run(self) -> int:
        """The run that the median label lies in."""
        return int(np.searchsorted(np.cumsum(self.runs), self.runs.sum() / 2)) if self.distribution.n else 0


def check_labels(labels: BuiltLabels, progress: Callable[[int, int], None] = lambda done, total: None) -> LabelFacts:
    """Read a built label set, twice, and return what it holds; memory does not grow with it.

    ``progress`` is told of bins. Raises TracksError when the label set is damaged.
    """
    counts = [_Counts(target) for target in labels.targets]
    chroms: dict[str, np.ndarray] = {}
    for batch in _batches(labels):
        # Of each piece: bins, masked bins, and those with a label of each track.
        columns = np.column_stack([np.ones(len(batch.values)), batch.masked, np.isfinite(batch.values)])
        for chrom, sums in zip(batch.chroms, np.add.reduceat(columns.astype(np.int64), batch.firsts), strict=True):
            chroms[chrom] = chroms.get(chrom, 0) + sums
        for at, one in enumerate(counts):
            one.add(batch.values[:, at])
    for one in counts:
        one.show()
    done, total = 0, sum(int(sums[0]) for sums in chroms.values())
    for batch in _batches(labels):
        for at, one in enumerate(counts):
            one.count(batch.values[:, at])
        done += len(batch.values)
        progress(done, total)
    facts = tuple(ChromFacts(chrom, int(sums[0]), int(sums[1])) for chrom, sums in chroms.items())
    legacy = labels.recipe == "legacy"
    return LabelFacts(
        name=labels.name,
        recipe=labels.recipe,
        on_grid=bool(labels.grid_chroms),
        chroms=facts,
        tracks=tuple(
            _facts(one, facts, tuple(int(sums[2 + at]) for sums in chroms.values()), legacy)
            for at, one in enumerate(counts)
        ),
        notes=labels.notes,
    )


@dataclass(frozen=True, eq=False)
class _Batch:
    """Some pieces: values float32 ``[bins, tracks]`` in track units, masked bins, and where each piece starts."""

    values: np.ndarray
    masked: np.ndarray
    chroms: list[str]
    firsts: list[int]


def _batches(labels: BuiltLabels) -> Iterator[_Batch]:
    # A piece of given windows is one window, too little to count at once.
    tracks = labels.tracks("bins")
    held: list[GridPiece] = []
    for piece in itertools.chain(labels.pieces(), [None]):
        if held and (piece is None or sum(len(one.labels) for one in held) >= _BATCH):
            firsts = np.cumsum([0, *(len(one.labels) for one in held[:-1])])
            yield _Batch(
                values_of(np.concatenate([one.labels for one in held]), tracks),
                np.concatenate([one.masked for one in held]),
                [one.chrom for one in held],
                firsts.tolist(),
            )
            held = []
        if piece is not None:
            held.append(piece)


def _facts(one: _Counts, chroms: Sequence[ChromFacts], by_chrom: tuple[int, ...], legacy: bool) -> TrackFacts:
    found, target = one.distribution, one.target
    any_label = found.n > 0
    # A value that more than half of all have is their median.
    most = (found.quantile(0.5), found.share(0.5)) if any_label and found.share(0.5) > 0.5 else None
    return TrackFacts(
        name=target.track.name,
        unit=target.track.unit,
        color=target.track.color,
        aggregation=target.aggregation,
        labelled=found.n,
        labelled_by_chrom=by_chrom,
        mean=found.mean if any_label else None,
        sd=found.sd if any_label else None,
        minimum=found.minimum if any_label else None,
        maximum=found.maximum if any_label else None,
        quantiles={f"{q:g}": found.quantile(q) for q in QUANTILES} if any_label else {},
        most_common=most,
        outside=one.outside,
        run=one.run,
        histogram=Histogram(*one.shown, tuple(one.bars.tolist()), found.n - int(one.bars.sum())) if any_label else None,
        warnings=tuple(_warnings(one, chroms, by_chrom, most, legacy)),
    )


def _warnings(
    one: _Counts,
    chroms: Sequence[ChromFacts],
    by_chrom: Sequence[int],
    most: tuple[float, float] | None,
    legacy: bool,
) -> Iterator[str]:
    found, target = one.distribution, one.target
    if not found.n:
        yield "no bin has a label: is the source of this genome build, and are its chromosomes named alike?"
        return
    # Domains leave most bins at 0 or 1, and in long runs.
    domains = target.aggregation == "covered" or "covered" in target.track.unit
    free = sum(chrom.bins - chrom.masked for chrom in chroms)
    if found.n < _FEW * free:
        yield f"only {found.n / free:.2%} of the bins that are not masked have a label"
    empty = [
        chrom.chrom for chrom, labels in zip(chroms, by_chrom, strict=True) if not labels and chrom.bins > chrom.masked
    ]
    if empty:
        yield (
            f"no label on {first_few(empty, 6)} ({len(empty)} of {len(chroms)} chromosomes): the source lacks them, "
            "names them otherwise, or is of another genome build"
        )
    if found.minimum == found.maximum:
        yield f"constant: every label is {found.minimum:.6g}"
    elif most is not None and most[1] >= _SAME:
        yield f"nearly constant: {most[1]:.2%} of the labels are {most[0]:.6g}"
    elif most is not None and not domains:
        why = "; the legacy recipe writes a number where nothing was measured" if legacy else ""
        yield f"more than half of the labels ({most[1]:.0%}) are {most[0]:.6g}{why}"
    elif not domains and one.run >= _STEP:
        yield (
            f"the signal comes in steps of about {one.run * BIN / 1e3:.2g} kb: bins of {BIN} bp say no more than these"
        )
    if one.outside:
        assert one.range is not None
        low, high = one.range
        yield (
            f"{one.outside:,} labels ({one.outside / found.n:.2%}) are outside {low:g} to {high:g}, which "
            f"'{target.track.unit}' spans (they go from {found.minimum:.6g} to {found.maximum:.6g})"
        )


def fact_lines(facts: LabelFacts) -> Iterator[str]:
    """Yield the facts as lines of text."""
    where = "of the grid" if facts.on_grid else "of given windows"
    named = [chrom.chrom for chrom in facts.chroms]
    yield f"labels {facts.name} ({facts.recipe} recipe): {facts.bins:,} bins of {BIN} bp {where}"
    yield f"  chromosomes  {first_few(named, 8)}" + (f" ({len(named)} in all)" if len(named) > 8 else "")
    yield f"  masked       {facts.masked:,} bins ({_percent(facts.masked, facts.bins)})"
    for note in facts.notes:
        yield f"  note         {note}"
    for track in facts.tracks:
        yield f"{track.name}: {track.unit}, {track.aggregation}"
        yield f"  with a label {track.labelled:,} bins ({_percent(track.labelled, facts.bins)})"
        if track.mean is not None:
            yield (
                f"  values       {track.minimum:.6g} to {track.maximum:.6g}, mean {track.mean:.6g}, "
                f"standard deviation {track.sd:.6g}"
            )
            shown = ", ".join(f"{float(q):.0%} {value:.4g}" for q, value in track.quantiles.items())
            yield f"  quantiles    {shown}"
        for warning in track.warnings:
            yield f"  warning      {warning}"
    yield f"{facts.warnings} warning{'' if facts.warnings == 1 else 's'}"


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "none"
