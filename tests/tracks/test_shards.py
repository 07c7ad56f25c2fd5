from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.bigwig_export import ExportChrom, ExportHead, total_windows
from tracks.errors import TracksError, UsageError
from tracks.grid import BINS, WINDOW
from tracks.method import Ensemble, Method
from tracks.shards import (
    BLOCK,
    Shard,
    ShardRecord,
    by_chrom,
    check_agreement,
    check_finished,
    read_records,
    shard_numbers,
)
from tracks.store import Store
from tracks.store_admin import array_attributes
from tracks.stored_windows import collect, whole_windows
from tracks.track import Track
from tracks.transform import Affine

TRACKS = (
    Track("One", "WGBS", "cells", "methylated fraction", "#d95f02", transform=Affine(0.5, 0.25)),
    Track("Two", "DamID", "cells", "covered fraction", "#1b6ca8", context=True),
)
CHROMS = (
    ExportChrom("chr2", 3 * WINDOW, "SQ." + "a" * 32),
    ExportChrom("chr1", 2 * WINDOW - 500, "SQ." + "b" * 32),
    ExportChrom("tiny", 10, "SQ." + "c" * 32),
)
HEAD = ExportHead("0123456789abcdef" * 4, 3, (0, 2), TRACKS)


def record(number: int = 1, of: int = 2, store: Path = Path("/somewhere/store"), **changed: Any) -> ShardRecord:
    fields: dict[str, Any] = {
        "shard": Shard(number, of),
        "model": "tiny, models/tiny",
        "genome": "/genomes/small.fa",
        "method": Method("bf16", "seamless", Ensemble(reverse_complement=True, shift=3)),
        "chrom_sizes": {"chr2": 3 * WINDOW, "chr1": 2 * WINDOW - 500, "left_out": 5, "tiny": 10},
        "chroms": CHROMS,
        "heads": (HEAD,),
        "store": store,
        "command": f"tracks predict --genome-wide -o out --shard {number}/{of}",
        "windows": 3,
        "done": 3,
        "finished": True,
    }
    return ShardRecord(**{**fields, **changed})


@pytest.mark.parametrize(("text", "number", "of"), [("1/1", 1, 1), (" 2/8 ", 2, 8), ("03/10", 3, 10)])
def test_a_shard_is_read(text: str, number: int, of: int) -> None:
    assert Shard.parse(text) == Shard(number, of)
    assert Shard.parse(str(Shard(number, of))) == Shard(number, of)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0/4", "there is no shard 0/4; give 1/4 to 4/4"),
        ("5/4", "there is no shard 5/4; give 1/4 to 4/4"),
        ("1/0", "there is no shard 1/0; give 1/1 to 1/1"),
        *(
            (text, f"'{text}' is no shard; give one like 2/8")
            for text in ("2", "2/", "-1/4", "a/b", "1/2/3", "", "²/8")
        ),
    ],
)
def test_what_is_no_shard_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Shard.parse(text)


@given(total=st.integers(0, 5_000), of=st.integers(1, 70))
def test_shards_share_all_windows_out(total: int, of: int) -> None:
    parts = [Shard(number, of).windows(total) for number in range(1, of + 1)]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(total))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= BLOCK
    if total >= 4 * of:
        assert max(sizes) <= 1.5 * min(sizes)
    for number, part in enumerate(parts, 1):
        assert (np.diff(part) > 0).all()
        assert (shard_numbers(part, total, of) == number).all()


def test_a_genome_is_dealt_in_blocks() -> None:
    part = Shard(2, 8).windows(26_925)
    np.testing.assert_array_equal(part[: 2 * BLOCK], [*range(32, 64), *range(288, 320)])


@given(st.lists(st.integers(1, 5 * WINDOW), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_windows_by_chromosome(lengths: list[int], chance: Any) -> None:
    chroms = [ExportChrom(str(at), length, "") for at, length in enumerate(lengths)]
    every = [(chrom.name, index) for chrom in chroms for index in range(-(-chrom.length // WINDOW))]
    assert total_windows(chroms) == len(every)
    chosen = np.array(sorted(chance.sample(range(len(every)), chance.randint(0, len(every)))), np.int64)
    found = [(chrom.name, index) for chrom, indices in by_chrom(chroms, chosen) for index in indices.tolist()]
    assert found == [every[at] for at in chosen]


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    one, other = record(1), record(2, done=1, finished=False)
    other.write(tmp_path)
    one.write(tmp_path)
    assert read_records(tmp_path) == (one, other)
    assert sorted(path.name for path in (tmp_path / "shards").iterdir()) == ["1-of-2.json", "2-of-2.json"]
    assert one.bare_command == "tracks predict --genome-wide -o out"
    export = one.bigwigs(tmp_path / "o", tmp_path / "s", True)
    assert (export.tracks, export.windows, export.method.key) == (TRACKS, 6, "bf16-seamless-rc+shift3")
    # A killed process leaves what is being written under another name.
    (tmp_path / "shards" / ".1-of-2.77.partial.json").write_text("{")
    assert len(read_records(tmp_path)) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda fields: "{", "1-of-2.json is damaged, at .*; remove it and run its shard again"),
        (lambda fields: "[]", "is damaged"),
        (lambda fields: json.dumps({**fields, "format": 2}), "is of another version of tracks, tracks .*; merge with"),
        (lambda fields: json.dumps({**fields, "chroms": 3}), "is damaged"),
        (lambda fields: json.dumps({**fields, "shard": 9}), "is damaged, at there is no shard 9/2"),
        (lambda fields: json.dumps({**fields, "heads": [{**fields["heads"][0], "digest": "../.."}]}), r"'\.\./\.\.'"),
        (lambda fields: json.dumps({**fields, "chroms": [{**fields["chroms"][0], "sequence": "/etc"}]}), "'/etc'"),
        (lambda fields: json.dumps({key: fields[key] for key in fields if key != "store"}), "is damaged, at 'store'"),
    ],
)
def test_a_damaged_record_is_said(tmp_path: Path, change: Any, words: str) -> None:
    record().write(tmp_path)
    path = record().file(tmp_path)
    path.write_text(change(json.loads(path.read_text())))
    with pytest.raises(TracksError, match=words):
        read_records(tmp_path)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"shard": Shard(2, 3)}, "there are 2 shards in one and 3 in the other"),
        ({"method": Method()}, "one is bf16-seamless-rc.shift3, the other fp32-single"),
        (
            {"heads": (dataclasses.replace(HEAD, digest="f" * 64),), "model": "new, m/new"},
            "their models differ .tiny, models/tiny and new, m/new",
        ),
        ({"heads": (dataclasses.replace(HEAD, columns=(0,), tracks=TRACKS[:1]),)}, "they are of other tracks"),
        ({"chroms": CHROMS[:2]}, "their chromosomes differ .*: chr2, chr1, tiny and chr2, chr1"),
        (
            {"chroms": (dataclasses.replace(CHROMS[0], sequence="SQ." + "d" * 32), *CHROMS[1:]), "genome": "/g/other"},
            "their chromosomes differ ./genomes/small.fa and /g/other.;",
        ),
    ],
)
def test_shards_of_other_exports_are_refused(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    same = record(2, store=Path("/another"), genome="/copies/small.fa", model="tiny, /copies/tiny", done=0)
    check_agreement([record(), same], tmp_path)
    with pytest.raises(UsageError, match=f"1-of-2.json and .*2-of-..json are not of one export: {words}"):
        check_agreement([record(), record(2, **changed)], tmp_path)


def test_what_is_not_finished_is_named_with_its_command(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no shard in"):
        check_finished((), tmp_path)
    check_finished((record(1), record(2)), tmp_path)
    with pytest.raises(TracksError) as told:
        check_finished((record(1, 4), record(3, 4, done=1, finished=False)), tmp_path)
    assert str(told.value) == (
        "3 of 4 shards are not finished: 2/4 (not begun), 3/4 (1 of 3 windows), 4/4 (not begun); "
        "run: tracks predict --genome-wide -o out --shard 2/4"
    )


def test_windows_of_several_stores_come_together(tmp_path: Path) -> None:
    export = record().bigwigs(tmp_path / "out", tmp_path / "s0")
    roots = [tmp_path / f"s{at}" for at in range(3)]
    values = {at: np.random.default_rng(at).random((BINS, 3), np.float32) for at in range(6)}
    places = [(chrom, index) for chrom, indices in by_chrom(CHROMS, np.arange(6)) for index in indices.tolist()]

    def windows(root: Path, chrom: ExportChrom, about: dict[str, str] | None = None) -> Any:
        return Store(root).windows(HEAD.digest, chrom.sequence, chrom.length, 3, export.method, about)

    for at, holders in enumerate([[0], [1], [0, 1], [2], [], [1, 2]]):
        for holder in holders:
            chrom, index = places[at]
            windows(roots[holder], chrom, {"model": f"of store {holder}"}).write(index, values[at])
    # The same window under another method is another window.
    Store(roots[1]).windows(HEAD.digest, CHROMS[1].sequence, CHROMS[1].length, 3).write(1, values[4])
    told: list[tuple[int, int]] = []
    missing = collect(export, roots[1:], lambda done, total: told.append((done, total)))
    assert missing.tolist() == [4]
    assert told == [(0, 6), (3, 6), (5, 6), (6, 6)]
    for at, (chrom, index) in enumerate(places):
        found = windows(roots[0], chrom).read(index)
        if at == 4:
            assert found is None
        else:
            np.testing.assert_array_equal(found, values[at])
    about = array_attributes(windows(roots[0], CHROMS[2]).folder)
    assert about is not None
    assert (about["model"], about["precision"]) == ("of store 1", "bf16")
    assert not windows(roots[1], CHROMS[0]).known()[0], "other stores stay as they are"


def test_a_window_whose_file_lost_its_content_is_not_known(tmp_path: Path) -> None:
    store = Store(tmp_path).windows(HEAD.digest, CHROMS[0].sequence, CHROMS[0].length, 3)
    for index in range(3):
        store.write(index, np.full((BINS, 3), index, np.float32))
    store.chunk_file(1).write_bytes(b"")
    store.chunk_file(2).unlink()
    assert store.known().all()
    assert whole_windows(store).tolist() == [True, False, False]
    assert store.known().tolist() == [True, False, False]
