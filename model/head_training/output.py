"""Where a trained head goes: the trunk's own folder, or another that gets the trunk too."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from model.folder import head_names, load_trunk, save_trunk
from model.head_training.adapters import merge_adapters
from model.head_training.folds import split_text
from tracks.errors import UsageError
from tracks.files import check_folder, written_beside
from tracks.split import read_split

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from model.folder import LoadedTrunk
    from tracks.genome import Genome
    from tracks.windows import WindowRow


def check_output(out: Path, trunk_folder: Path, digest: str, name: str, *, tuned: bool) -> None:
    """See, before any work, that a head of that name can be added to a folder.

    Raises UsageError when it has one already, holds another trunk, or is the trunk's own while that is tuned.
    """
    check_folder(out, "the head")
    if name in head_names(out):
        raise UsageError(f"{out} already has a head '{name}'; give another --name, or remove {out / 'heads' / name}")
    if not (out / "model.json").exists():
        return
    if tuned:
        where = "the trunk's own folder" if out.samefile(trunk_folder) else f"{out}, which holds a trunk"
        raise UsageError(f"a tuned trunk is a new trunk and cannot go to {where}; give a new folder with -o")
    if not out.samefile(trunk_folder) and load_trunk(out).digest != digest:
        raise UsageError(f"{out} holds another trunk than {trunk_folder}; give another folder with -o")


def save_tuned_trunk(
    out: Path, loaded: LoadedTrunk, trunk_folder: Path, windows: Sequence[WindowRow], genome: Genome
) -> None:
    """Merge the adapters, if there are any, and write a tuned trunk. Its split joins what the trunk had seen before
    and the windows that it was tuned on."""
    trunk = loaded.trunk.cpu()
    merge_adapters(trunk)
    before = trunk_folder / "split.bed"
    save_trunk(
        out,
        name=loaded.name,
        config=loaded.config,
        weights={name: value.detach() for name, value in trunk.state_dict().items()},
        source={**loaded.source, "tuned_from": loaded.digest},
        split=split_text(windows, genome, read_split(before) if before.exists() else ()),
    )


def copy_trunk(out: Path, trunk_folder: Path) -> None:
    """Put the trunk into a folder that has none: hard links where the file system can, else copies."""
    if (out / "model.json").exists():
        return
    # model.json comes last, because a folder without it is not a model folder.
    for name in ("trunk.safetensors", "split.bed", "model.json"):
        if (trunk_folder / name).exists():
            with written_beside(out / name) as beside:
                try:
                    os.link(trunk_folder / name, beside)
                except OSError:  # another file system
                    shutil.copyfile(trunk_folder / name, beside)
