"""Measured files on a small genome, what their bases hold, and recipes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tracks.bigwig_writer import BigWigWriter
from tracks.grid import BIN

SIZES = {"chr2": 2_000_050, "chr10": 400_000}
"""Not in the order of their names; one with more than one piece of the grid."""
HOLE = (262_144, 300_000)
"""N on chr2."""


def per_base(chrom: str, seed: int, missing: float = 0.3) -> np.ndarray:
    """A value for every base, float32; steps of ten to four hundred bases, NaN where there is none."""
    rng = np.random.default_rng([seed, SIZES[chrom]])
    lengths = rng.integers(10, 400, SIZES[chrom] // 100)
    values = rng.normal(0, 2, len(lengths)).astype(np.float32)
    values[rng.random(len(lengths)) < missing] = np.nan
    bases = np.repeat(values, lengths)[: SIZES[chrom]]
    return np.append(bases, np.full(SIZES[chrom] - len(bases), np.nan, np.float32))


def binned(bases: np.ndarray, function: Callable[..., np.ndarray], bins: int, origin: int = 0) -> np.ndarray:
    """A function of each bin's bases from ``origin`` on (which may lie before the first), NaN where there is none."""
    low, high = max(-origin, 0), max(origin + bins * BIN - len(bases), 0)
    here = bases[max(origin, 0) : max(origin + bins * BIN, 0)].astype(np.float64)
    padded = np.concatenate([np.full(min(low, bins * BIN), np.nan), here, np.full(min(high, bins * BIN), np.nan)])
    padded = padded[: bins * BIN].reshape(bins, BIN)
    out = np.full(bins, np.nan)
    some = np.isfinite(padded).any(axis=1)
    out[some] = function(padded[some], axis=1)
    return out


def write_bigwig_of(path: Path, bases: dict[str, np.ndarray], sizes: dict[str, int] | None = None) -> Path:
    """Write values of single bases as a bigWig of runs."""
    with BigWigWriter(path, sizes or {chrom: len(values) for chrom, values in bases.items()}) as writer:
        for chrom, values in bases.items():
            edges = np.flatnonzero(np.diff(values, prepend=np.nan, append=np.nan) != 0)
            starts, ends = edges[:-1], edges[1:]
            kept = np.isfinite(values[starts])
            writer.add(chrom, starts[kept], ends[kept], values[starts][kept])
    return path


def track(name: str, **fields: object) -> str:
    """The text of one track of a recipe."""
    described = {"assay": "x", "biosample": "y", "unit": "z", "color": "#1b6ca8", **fields}
    return f'[[track]]\nname = "{name}"\n' + "".join(f"{key} = {_toml(value)}\n" for key, value in described.items())


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return (
        str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str | Path) else str(value)
    )


def recipe_file(folder: Path, genome: Path, *tracks: str, head: str = "") -> Path:
    path = folder / "labels.toml"
    path.write_text(f'name = "small"\ngenome = "{genome}"\n{head}\n' + "\n".join(tracks))
    return path
