"""What a liftover did, in numbers, and where its unmapped parts are listed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from tracks.liftover.lift import COLLIDES, LEFT_OUT, MULTI_MAPPED, REASONS, UNMAPPED, Lost, Pieces

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


@dataclass(frozen=True)
class LiftReport:
    """How many bases (or rows, for counts) a liftover was given, and what became of them.

    ``source`` is the sum of ``lifted``, ``unmapped``, ``multi_mapped``, ``colliding`` and ``left_out``. Of the lifted
    ones, ``moved`` are on another chromosome and ``reversed`` on the other strand. ``split`` intervals (runs, or rows)
    lie in several stretches.
    """

    unit: Literal["bases", "rows"]
    source: int
    lifted: int
    unmapped: int
    multi_mapped: int
    colliding: int
    left_out: int
    split: int
    moved: int
    reversed: int

    @property
    def summary(self) -> tuple[str, ...]:
        """Return it in words, a line each; what did not happen is left out, except for what was lifted."""

        def part(count: int, what: str) -> str:
            return f"{count:,} {self.unit} {what} ({100 * count / max(self.source, 1):.3f}%)"

        lines = [part(self.lifted, f"of {self.source:,} lifted")]
        lines += [part(count, what) for count, what in (
            (self.unmapped, "unmapped: no chain holds them"),
            (self.multi_mapped, "multi-mapped: several chains hold them; masked"),
            (self.colliding, "colliding: other bases land where they do; masked"),
            (self.left_out, "left out: they land on chromosomes that the target's lengths do not name"),
            (self.moved, "lifted to another chromosome"),
            (self.reversed, "lifted to the other strand"),
        ) if count]  # fmt: skip
        return (*lines, f"{self.split:,} intervals split by the chains") if self.split else tuple(lines)


@dataclass
class Tally:
    """The counts of a report as they grow. Lost parts are listed in a BED file with their reason, where one is open."""

    unit: Literal["bases", "rows"]
    source: int = 0
    lifted: int = 0
    split: int = 0
    moved: int = 0
    reversed: int = 0
    lost: np.ndarray = field(default_factory=lambda: np.zeros(len(REASONS), np.int64))

    def add_lifted(self, pieces: Pieces, weights: np.ndarray, same_chrom: np.ndarray) -> None:
        """Count pieces, each ``weights`` (int64 ``[n]``) bases or rows; ``same_chrom`` bool ``[n]``."""
        self.lifted += int(weights.sum())
        self.moved += int(weights[~same_chrom].sum())
        self.reversed += int(weights[pieces.reverse].sum())

    def add_lost(self, lost: Lost) -> None:
        """Count lost parts, a row each where rows are counted."""
        weights = np.ones(len(lost), np.int64) if self.unit == "rows" else lost.ends - lost.starts
        self.lost += np.bincount(lost.reasons, weights, len(REASONS)).astype(np.int64)

    def report(self) -> LiftReport:
        """Return the counts."""
        unmapped, multi_mapped, colliding, left_out = (
            int(self.lost[reason]) for reason in (UNMAPPED, MULTI_MAPPED, COLLIDES, LEFT_OUT)
        )
        return LiftReport(
            self.unit, self.source, self.lifted, unmapped, multi_mapped, colliding, left_out,
            self.split, self.moved, self.reversed,
        )  # fmt: skip


class LostFile:
    """A BED file of what found no place: chromosome, start and end in the source's build, and the reason.

    Without a path nothing is written.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = path.open("w") if path is not None else None

    def add(self, chrom: str, lost: Lost) -> None:
        """Write parts of one chromosome."""
        if self._file is not None:
            columns = zip(lost.starts.tolist(), lost.ends.tolist(), lost.reasons.tolist(), strict=True)
            self._file.writelines(f"{chrom}\t{start}\t{end}\t{REASONS[reason]}\n" for start, end, reason in columns)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
