from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from model import export as export_module
from model.export import GenomeExport, Plan, export_heads, has_sequence, store_bytes
from model.folder import load_model
from model.predict import Predictor, predict_windows
from model.residuals import ResidualStore
from tests.conftest import CHROM_SIZES
from tests.model.conftest import PassCount
from tracks.composition import MIN_KNOWN_BASES, known_bases
from tracks.errors import UsageError
from tracks.genome import Genome
from tracks.grid import BIN, BINS, bin_count, window_count
from tracks.method import Ensemble, Method
from tracks.shards import Shard, by_chrom
from tracks.store import Store
from tracks.store_admin import holdings

# Windows of the small genome, in its order: five of chr20, of which the third has no sequence, two of chr3, and one of
# chrN, which has none.
EMPTY, ALL = [2, 7], 8


@pytest.fixture(scope="module")
def predictor(model_folder: Path, fasta: Path) -> Predictor:
    return Predictor(load_model(model_folder), Genome(fasta), "cpu", 1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def known(export: GenomeExport) -> list[bool]:
    """Which windows the store has, of all of the export."""
    found = []
    for chrom in export.chroms:
        parts = [export.predictor.known_windows(export.store, chrom.name, name) for name in export._names]
        found.append(np.all([part.known() for part in parts], axis=0))
    return [bool(one) for one in np.concatenate(found)]


def test_every_window_is_computed_once_whatever_happens(predictor: Predictor, store: Store) -> None:
    """Begun by something else, measured, stopped in the middle, gone on with, and asked for again."""
    passes = PassCount(predictor)
    list(predict_windows(predictor, "chr20", [4], store))
    assert passes.since() == 1
    tracks = predictor.model.tracks
    first = GenomeExport(predictor, store, CHROM_SIZES, tracks)
    assert first.plan == Plan(windows=ALL, known=1, empty=2, to_compute=5)
    assert first.measure() is not None
    assert passes.since() == 2
    assert first.plan == Plan(windows=ALL, known=3, empty=2, to_compute=3)
    assert known(first) == [at in (0, 1, 4) for at in range(ALL)]

    def stop(done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.compute(stop)
    assert passes.since() == 1
    again = GenomeExport(predictor, store, CHROM_SIZES, tracks)
    assert again.plan == Plan(windows=ALL, known=5, empty=1, to_compute=2)
    again.compute()
    assert passes.since() == 2
    last = GenomeExport(predictor, store, CHROM_SIZES, tracks)
    assert last.plan == Plan(windows=ALL, known=ALL, empty=0, to_compute=0)
    assert last.measure() is None
    last.compute()
    assert passes.since() == 0
    assert all(known(last))


def test_advance_tells_what_is_in_the_store(predictor: Predictor, store: Store) -> None:
    list(predict_windows(predictor, "chr20", [0, 3], store))
    list(predict_windows(predictor, "chr3", [0], store))
    export = GenomeExport(predictor, store, CHROM_SIZES, predictor.model.tracks)
    told: list[int] = []

    def advance(done: int) -> None:
        assert all(known(export)[:done])
        told.append(done)

    shown: list[tuple[int, int]] = []
    export.compute(lambda done, total: shown.append((done, total)), advance)
    assert told == [1, 2, 4, 6, 7, 8]
    assert shown == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_only_a_chosen_chromosome_and_head_is_computed(two_headed_folder: Path, fasta: Path, store: Store) -> None:
    predictor = Predictor(load_model(two_headed_folder, ("window", "bins")), Genome(fasta), "cpu", 1)
    track = predictor.model.tracks[3]
    export = GenomeExport(predictor, store, ["chrN", "chr3", "chr3"], [track])
    (head,) = export.heads
    assert (head.digest, head.stored, head.columns, head.tracks) == (
        predictor.model.head_digests["bins"],
        *(2, (1,), (track,)),
    )
    assert [chrom.name for chrom in export.chroms] == ["chr3", "chrN"]
    assert [chrom.sequence for chrom in export.chroms] == [predictor.genome.digest(name) for name in ("chr3", "chrN")]
    export.compute()
    assert {entry.digest for entry in holdings(store.root)} == {predictor.model.head_digests["bins"]}
    both = export_heads(predictor.model, [predictor.model.tracks[at] for at in (0, 2, 3)])
    assert [head.columns for head in both] == [(0,), (0, 1)]
    written = export.bigwigs(Path("out"), overwrite=True)
    assert (written.windows, written.tracks, written.method, written.overwrite) == (3, (track,), Method(), True)
    assert dict(written.chrom_sizes) == CHROM_SIZES


def test_an_unknown_chromosome_is_refused(predictor: Predictor, store: Store) -> None:
    with pytest.raises(UsageError, match="no chromosome 'chr4'"):
        GenomeExport(predictor, store, ["chr3", "chr4"], predictor.model.tracks)


@pytest.mark.parametrize("of", [1, 2, 3, 9])
def test_shards_compute_what_is_theirs_and_no_more(predictor: Predictor, store: Store, tmp_path: Path, of: int) -> None:
    passes, tracks = PassCount(predictor), predictor.model.tracks
    windows = 0
    for number in range(1, of + 1):
        export = GenomeExport(predictor, store, CHROM_SIZES, tracks, Shard(number, of))
        assert export.plan.known == 0
        before = known(export)
        record = export.record("again")
        assert (record.done, record.finished) == (0, record.windows == 0)
        export.compute()
        windows += export.plan.windows
        assert sum(known(export)) == sum(before) + export.plan.windows == windows
        record = export.record("again")
        assert (record.windows, record.done, record.finished) == (export.plan.windows, export.plan.windows, True)
    assert passes.since() == ALL - len(EMPTY)
    assert windows == ALL
    record.write(tmp_path)
    assert type(record).read(record.file(tmp_path)) == record


def test_another_method_and_another_model_share_nothing(
    predictor: Predictor, store: Store, model_folder: Path, tmp_path: Path
) -> None:
    tracks = predictor.model.tracks
    GenomeExport(predictor, store, ["chr3"], tracks).compute()
    method = Method(ensemble=Ensemble(reverse_complement=True))
    both_strands = Predictor(predictor.model, predictor.genome, "cpu", 1, method)
    assert GenomeExport(both_strands, store, ["chr3"], tracks).plan.known == 0
    other = Path(shutil.copytree(model_folder, tmp_path / "other"))
    weights = other / "heads" / "bins" / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    changed = Predictor(load_model(other), predictor.genome, "cpu", 1)
    assert GenomeExport(changed, store, ["chr3"], tracks).plan.known == 0
    assert GenomeExport(predictor, store, ["chr3"], tracks).plan.known == 2


def test_what_a_power_failure_emptied_is_computed_again(predictor: Predictor, store: Store) -> None:
    tracks = predictor.model.tracks
    GenomeExport(predictor, store, ["chr3"], tracks).compute()
    stored = predictor.known_windows(store, "chr3", "bins")
    before = stored.read(1)
    stored.chunk_file(1).write_bytes(b"")
    export = GenomeExport(predictor, store, ["chr3"], tracks)
    assert export.plan == Plan(windows=2, known=1, empty=0, to_compute=1)
    export.compute()
    np.testing.assert_array_equal(stored.read(1), before)


def test_a_window_has_sequence_where_the_predictor_passes_it(predictor: Predictor) -> None:
    found = [
        has_sequence(predictor.genome, chrom, index)
        for chrom, length in CHROM_SIZES.items()
        for index in range(window_count(length))
    ]
    assert found == [at not in EMPTY for at in range(ALL)]
    for chrom, index in (("chr20", 1), ("chr20", 2), ("chr20", 3), ("chrN", 0)):
        assert has_sequence(predictor.genome, chrom, index) == bool(predictor.inputs(chrom, index).passes)


def test_bins_without_sequence_are_counted(predictor: Predictor, store: Store) -> None:
    export = GenomeExport(predictor, store, CHROM_SIZES, predictor.model.tracks)
    export.compute()
    expected = 0
    for chrom, length in CHROM_SIZES.items():
        codes = predictor.genome.codes(chrom, 0, bin_count(length) * BIN)
        expected += int((known_bases(codes) < MIN_KNOWN_BASES).sum())
    assert export.bins_without_sequence() == expected > BINS


@pytest.mark.parametrize("tracks", [1, 18])
def test_the_store_takes_what_was_said(store: Store, tracks: int) -> None:
    windows = store.windows("0" * 64, "SQ." + "a" * 32, 114_688 * 70, tracks)
    random = np.random.default_rng(0)
    for index in range(60):
        windows.write(index, random.standard_normal((BINS, tracks), np.float32))
    taken = sum(path.stat().st_blocks * 512 for path in store.root.rglob("*"))
    assert 0.75 * store_bytes(60, 0, tracks) < taken - 100_000 < store_bytes(60, 0, tracks)


def test_needs_are_summed_by_disk(
    predictor: Predictor, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(export_module.shutil, "disk_usage", lambda folder: Usage(9, 2, 7))
    export = GenomeExport(predictor, store, CHROM_SIZES, predictor.model.tracks)
    (both,) = export.disk_needs(tmp_path / "new" / "out", "bigwig")
    assert both.folders == (store.root, tmp_path / "new" / "out")
    assert both.free == 7
    (alone,) = export.disk_needs(tmp_path / "out", None)
    assert alone.needed == store_bytes(6, 2, 2) + 3 * 12 * 4096
    assert both.needed - alone.needed == 8 * 2 * 6 * BINS
    (text,) = export.disk_needs(tmp_path / "out", "bedgraph")
    assert text.needed - alone.needed == 48 * 2 * 6 * BINS
    with_streams = Predictor(predictor.model, predictor.genome, "cpu", residuals=ResidualStore(tmp_path / "streams"))
    (more,) = GenomeExport(with_streams, store, CHROM_SIZES, predictor.model.tracks).disk_needs(tmp_path, None)
    assert more.folders == (store.root, tmp_path / "streams")
    assert more.needed - alone.needed > 6 * BINS * predictor.engine.folded.width * 4
    export.compute()
    (filled,) = export.disk_needs(tmp_path / "out", "bigwig")
    assert both.needed - alone.needed > filled.needed > 8 * 2 * 4 * BINS
    (nothing,) = export.disk_needs(tmp_path / "out", None)
    assert nothing.needed == 0


def test_windows_of_an_export_count_through_its_chromosomes(predictor: Predictor, store: Store) -> None:
    export = GenomeExport(predictor, store, ["chr3", "chrN"], predictor.model.tracks)
    places = [(chrom.name, indices.tolist()) for chrom, indices in by_chrom(export.chroms, np.arange(3))]
    assert places == [("chr3", [0, 1]), ("chrN", [0])]
