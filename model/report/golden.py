"""The published heads against what their authors printed: 20 test windows, four heads (facts/cs282a.md section 8).

The tables are tab-separated: ``golden_sample_predictions.tsv`` (model, row, chrom, start, end, t0 to t17: window
heads) and ``golden_sample_probe_corners.tsv`` (row, chrom, start, end, track, bin, value: some bins of the linear
probe). Numbers are labels, printed to four decimals.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model.heads import AttentionConfig, ConvConfig, LinearConfig, MaxPoolConfig
from tracks.errors import TracksError, UsageError
from tracks.grid import BINS, INPUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from model.heads import HeadSpec
    from model.predict import Predictor

WINDOWS, PROBE = "golden_sample_predictions.tsv", "golden_sample_probe_corners.tsv"

ABSOLUTE, RELATIVE = 0.01, 2e-4
"""What a label may differ by: 0.01 + 0.0002 times the printed one.

Printing to four decimals is 0.00005. The original ran the trunk in TensorFlow and stored the embedding as float16;
float32 here differs by 2e-6, which turns about one in 500 channels to the next float16 (5e-4 of it): of 1,536
channels three or so, or some thousandths of a label of 100. Another GELU (3 % of the embedding for the sigmoid form)
or another order of layers is far outside."""

PROBE_NAME = "linear probe"
TRACKS = 18


@dataclass(frozen=True)
class Printed:
    """One printed number: which table it is of, the window's input, track, bin (0 for a head of one value a window)
    and label."""

    head: str
    row: int
    chrom: str
    start: int
    track: int
    bin: int
    label: float


@dataclass(frozen=True)
class Comparison:
    """One head against its table: the number that deviates most, in units of what it may, with what was computed."""

    head: str
    table: str
    numbers: int
    worst: Printed
    computed: float
    share: float
    """Deviation over tolerance."""

    @property
    def passes(self) -> bool:
        """Whether every number is within its tolerance."""
        return self.share <= 1

    def line(self) -> str:
        """Say it in one line."""
        worst = self.worst
        place = f"row {worst.row}, {worst.chrom}:{worst.start + 1:,}, track {worst.track}, bin {worst.bin}"
        return (
            f"{'pass' if self.passes else 'FAIL'}  head '{self.head}' against {self.table}: {self.numbers:,} numbers, "
            f"largest deviation {abs(self.computed - worst.label):.4g} ({self.share:.0%} of the tolerance) at {place}: "
            f"printed {worst.label:g}, computed {self.computed:.4f}"
        )


def shipped_tables() -> Path:
    """Return the folder of the tables that come with the package."""
    return Path(__file__).parent / "printed"


def read_golden(folder: Path) -> tuple[Printed, ...]:
    """Read the tables of a folder; one of the two is enough. Raises UsageError when it holds neither, TracksError
    naming a line that is wrong."""
    found: list[Printed] = []
    for name, read in ((WINDOWS, _window_numbers), (PROBE, _probe_numbers)):
        path = folder / name
        if not path.is_file():
            continue
        try:
            with path.open(newline="") as lines:
                for number, fields in enumerate(csv.DictReader(lines, delimiter="\t"), 2):
                    try:
                        found += read(fields)
                    except (KeyError, TypeError, ValueError) as error:
                        raise TracksError(
                            f"{path}, line {number}: it is not as the printed tables are ({error})"
                        ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise TracksError(f"cannot read {path}: {error}") from error
    if not found:
        raise UsageError(f"{folder} holds neither {WINDOWS} nor {PROBE}, or nothing in them")
    return tuple(found)


def _window_numbers(fields: dict[str, str]) -> Iterator[Printed]:
    _check_span(fields)
    for track in range(TRACKS):
        yield Printed(
            fields["model"], int(fields["row"]), fields["chrom"], int(fields["start"]), track, 0,
            float(fields[f"t{track}"]),
        )  # fmt: skip


def _probe_numbers(fields: dict[str, str]) -> Iterator[Printed]:
    _check_span(fields)
    track, index = int(fields["track"]), int(fields["bin"])
    if not (0 <= track < TRACKS and 0 <= index < BINS):
        raise ValueError(f"no track {track}, or no bin {index}")
    yield Printed(
        PROBE_NAME, int(fields["row"]), fields["chrom"], int(fields["start"]), track, index, float(fields["value"])
    )


def _check_span(fields: dict[str, str]) -> None:
    if int(fields["end"]) - int(fields["start"]) != INPUT:
        raise ValueError(f"a window has {INPUT:,} bases")


def table_of(spec: HeadSpec) -> str | None:
    """Return which table a head is compared with, by its kind; None for one that the original had not."""
    if len(spec.tracks) != TRACKS:
        return None
    if isinstance(spec.config, LinearConfig):
        return PROBE_NAME if spec.config.context is None else None
    if isinstance(spec.config, MaxPoolConfig):
        return "maxpool"
    if isinstance(spec.config, ConvConfig):
        return "conv_perceptron"
    return "transformer" if isinstance(spec.config, AttentionConfig) and spec.config.legacy else None


def compare(
    predictor: Predictor,
    printed: Sequence[Printed],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Comparison, ...]:
    """Compare every head of a model that a table is of; each window is computed once.

    Raises UsageError when the model has no such head, or the genome lacks a window's chromosome or is shorter.
    """
    heads = {spec.name: table for spec in predictor.model.heads if (table := table_of(spec))}
    tables = {one.head for one in printed}
    heads = {name: table for name, table in heads.items() if table in tables}
    if not heads:
        raise UsageError(
            f"{predictor.model.folder} has no head of the published kinds with {TRACKS} tracks; "
            "make them with tracks weights import"
        )
    wanted = [one for one in printed if one.head in heads.values()]
    _check_genome(predictor, wanted)
    windows = list(dict.fromkeys((one.chrom, one.start) for one in wanted))
    deviations: dict[str, list[tuple[float, float, Printed]]] = {name: [] for name in heads}
    for done, (chrom, start) in enumerate(windows):
        progress(done, len(windows))
        labels = predictor.labels(chrom, start)
        for name, table in heads.items():
            for one in wanted:
                if (one.chrom, one.start, one.head) == (chrom, start, table):
                    computed = float(labels[name][one.bin, one.track])
                    share = abs(computed - one.label) / (ABSOLUTE + RELATIVE * abs(one.label))
                    deviations[name].append((share, computed, one))
    progress(len(windows), len(windows))
    found = []
    for name, table in heads.items():
        share, computed, worst = max(deviations[name], key=lambda one: one[0])
        found.append(Comparison(name, table, len(deviations[name]), worst, computed, share))
    return tuple(found)


def _check_genome(predictor: Predictor, printed: Sequence[Printed]) -> None:
    genome = predictor.genome
    absent = sorted({one.chrom for one in printed if one.chrom not in genome.chrom_sizes})
    if absent:
        raise UsageError(f"{genome.path} lacks {', '.join(absent)}: the printed windows are of hg38; give that genome")
    for one in printed:
        if one.start + INPUT > genome.chrom_sizes[one.chrom]:
            raise UsageError(
                f"{genome.path} ends before the printed window {one.chrom}:{one.start + 1:,}-{one.start + INPUT:,}: "
                "the printed windows are of hg38; give that genome"
            )
