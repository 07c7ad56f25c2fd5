"""Bars, and whether what was measured meets them: a table that ``results.py`` gathers."""

from __future__ import annotations

from dataclasses import dataclass

from tracks.markdown import table_lines

HEADER = ("what", "measured", "bar", "met")


@dataclass(frozen=True)
class Bar:
    """``at_least`` or else at most ``bar``; ``measured`` is None where it was not. ``form`` says how to show both."""

    what: str
    measured: float | None
    bar: float
    at_least: bool = True
    form: str = "{:.2f}"

    @property
    def met(self) -> str:
        if self.measured is None:
            return "not measured"
        return "yes" if (self.measured >= self.bar if self.at_least else self.measured <= self.bar) else "NO"

    def row(self) -> tuple[str, str, str, str]:
        """What it is in the table."""
        measured = "-" if self.measured is None else self.form.format(self.measured)
        return self.what, measured, f"{'>=' if self.at_least else '<='} {self.form.format(self.bar)}", self.met


def show(*bars: Bar) -> None:
    """Print the table."""
    print("\n" + "\n".join(table_lines(HEADER, [bar.row() for bar in bars])))
