"""Virtual bigWigs written as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.tracks.virtual.toy import SIZES, Toy
from tracks.errors import TracksError
from tracks.grid import window_count
from tracks.virtual import JBROWSE_SLOT, SLOT, TIGHT, VirtualBigWig, lay_out, materialize
from tracks.virtual.materialize import materialize_all

WINDOWS = sum(map(window_count, SIZES.values()))


@pytest.mark.parametrize("slot", [TIGHT, SLOT, JBROWSE_SLOT])
def test_a_file_is_the_virtual_one_byte_for_byte(tmp_path: Path, slot: int) -> None:
    toy = Toy()
    layout = lay_out(SIZES, toy.totals(), slot)
    told: list[tuple[int, int]] = []
    materialize(tmp_path / "new" / "a.bw", layout, toy, lambda done, total: told.append((done, total)))
    assert told == [(done, WINDOWS) for done in range(1, WINDOWS + 1)]
    assert len(toy.asked) == WINDOWS
    assert (tmp_path / "new" / "a.bw").read_bytes() == VirtualBigWig(layout, toy).read(0, layout.size)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.bw"]


def test_gaps_are_holes(tmp_path: Path) -> None:
    toy = Toy()
    materialize(tmp_path / "a.bw", lay_out(SIZES, toy.totals(), JBROWSE_SLOT), toy)
    materialize(tmp_path / "b.bw", lay_out(SIZES, toy.totals(), TIGHT), toy)
    wide, tight = ((tmp_path / name).stat() for name in ("a.bw", "b.bw"))
    assert wide.st_size > tight.st_size + 2_000_000
    (tmp_path / "plain").write_bytes(bytes(2_000_000))
    if (tmp_path / "plain").stat().st_blocks * 512 < 2_000_000:
        pytest.skip("the disk makes holes of its own")
    assert wide.st_blocks * 512 < 1_000_000


def test_several_files_get_their_names_together(tmp_path: Path) -> None:
    toys = [Toy(seed=seed) for seed in (1, 2)]
    layout = lay_out(SIZES, toys[0].totals())
    files = {tmp_path / f"{at}.bw": VirtualBigWig(layout, toy) for at, toy in enumerate(toys)}
    named: list[list[Path]] = []
    counts: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        counts.append((done, total))
        named.append([path for path in files if path.exists()])

    materialize_all(files, progress)
    assert counts[-1] == (2 * WINDOWS, 2 * WINDOWS)
    assert not any(named)
    for path, virtual in files.items():
        assert path.read_bytes() == virtual.read(0, layout.size)


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    class Broken(Toy):
        def window(self, chrom: str, index: int) -> np.ndarray:
            if len(self.asked) == 3:
                raise TracksError("the store is gone")
            return super().window(chrom, index)

    toy = Toy()
    layout = lay_out(SIZES, toy.totals())
    (tmp_path / "b.bw").write_text("old")
    files = {tmp_path / "a.bw": VirtualBigWig(layout, toy), tmp_path / "b.bw": VirtualBigWig(layout, Broken())}
    with pytest.raises(TracksError, match="the store is gone"):
        materialize_all(files)
    assert [path.name for path in tmp_path.iterdir()] == ["b.bw"]
    assert (tmp_path / "b.bw").read_text() == "old"
    materialize(tmp_path / "b.bw", layout, toy)
    assert (tmp_path / "b.bw").stat().st_size == layout.size


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    toy = Toy()
    with pytest.raises(TracksError, match="cannot make the folder"):
        materialize(tmp_path / "out" / "a.bw", lay_out(SIZES, toy.totals()), toy)
    assert toy.asked == []
