"""Label sets built from small files whose every value is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tracks.bigwig import Bins, write_bigwig
from tracks.grid import BIN, bin_count
from tracks.labels.build import build_labels
from tracks.labels.built import BuiltLabels
from tracks.labels.recipe import Kind, load_recipe

SIZES = {"chr20": 1_600_050, "chr3": 900_000, "chrN": 20_000}
"""Not in the order of their names; a piece each, and a chromosome smaller than a window."""

Values = Mapping[str, np.ndarray]


def random_values(seed: int, missing: float = 0.3) -> dict[str, np.ndarray]:
    """Values from 0 to 1 of every bin, some of them missing."""
    rng = np.random.default_rng(seed)
    values = {chrom: rng.random(bin_count(length)).astype(np.float32) for chrom, length in SIZES.items()}
    for one in values.values():
        one[rng.random(len(one)) < missing] = np.nan
    return values


def write_signal(path: Path, values: Values) -> None:
    write_bigwig(path, SIZES, [Bins(chrom, 0, values[chrom]) for chrom in SIZES if chrom in values])


def build(
    folder: Path,
    tracks: Mapping[str, tuple[Values, str]],
    recipe: str = "",
    kind: Kind = "fixed",
    bed: Mapping[str, Sequence[str]] | None = None,
) -> BuiltLabels:
    """Build a label set of bigWigs: by name of the track its values and further lines of its entry. ``bed`` names
    files that the recipe's own lines mention, with their lines."""
    folder.mkdir(exist_ok=True)
    (folder / "g.sizes").write_text("".join(f"{chrom}\t{length}\n" for chrom, length in SIZES.items()))
    for name, lines in (bed or {}).items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
    text = f'name = "made"\ngenome = "g.sizes"\n{recipe}\n'
    for at, (name, (values, more)) in enumerate(tracks.items()):
        write_signal(folder / f"{at}.bw", values)
        text += f'[[track]]\nname = "{name}"\nassay = "a"\nbiosample = "b"\ncolor = "#1b6ca8"\nsignal = "{at}.bw"\n'
        text += ("" if "unit =" in more else 'unit = "level"\n') + f"{more}\n"
    (folder / "labels.toml").write_text(text)
    out = folder / "made.zarr"
    build_labels(load_recipe(folder / "labels.toml", kind), out, processes=1)
    return BuiltLabels(out)


def in_bins(regions: Sequence[tuple[str, int, int]]) -> list[str]:
    """BED lines of regions in bins."""
    return [f"{chrom}\t{first * BIN}\t{last * BIN}" for chrom, first, last in regions]
