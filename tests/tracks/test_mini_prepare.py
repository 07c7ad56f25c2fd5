"""The whole preparation on a small genome, and independent checks on the real sources where they were fetched."""

from __future__ import annotations

import gzip
import json
import os
import sys
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from click.testing import CliRunner

from tracks.bigwig import read_bins
from tracks.cli import data
from tracks.errors import TracksError
from tracks.files import sha256
from tracks.genome import Genome
from tracks.liftover.chains import read_chains
from tracks.liftover.lift import Route
from tracks.mini import debian, labels, liftover, methylation, prepare, prepare_mini, sequence, sources
from tracks.mini.cache import Cache
from tracks.mini.methylation import Sites
from tracks.mini.sources import Source
from tracks.project import load_project
from tracks.regions import Region
from tracks.split import read_split

SIZES = {"chr20": 20_000, "chr22": 12_000, "chrX": 16_000}
_CHAIN = "chain 1000 {0} 90000 + 0 11000 {0} 90000 + {1} {2} {3}\n11000\n\n"


class SmallCache(Cache):
    """Sources of a small genome, made here. ``asked`` counts what was taken."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked: list[str] = []
        folder.mkdir()

    def get(self, source: Source) -> Path:
        self.asked.append(source.name)
        path = self.folder / source.name
        if not path.exists():
            content = _content(source)
            path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        return path


def _bases(seed: int, length: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


def _content(source: Source) -> bytes:
    if source in (sources.CHR20, sources.CHRX):
        length = SIZES["chr20"] if source == sources.CHR20 else SIZES["chrX"] - 3_000
        return f">x\n{_bases(length, length).lower()}\n".encode()
    if source == sources.CHR22_ALIGNMENT:
        bases = _bases(22, 12_000)
        rows = [(1_000, bases[1_000:6_000]), (7_040, bases[7_040:11_500])]
        return "".join(f"a\ns Hsap.22 {start} {len(row)} + 12000 {row}\n\n" for start, row in rows).encode()
    if source == sources.CHR22_PIECE:
        return f">22\n{_bases(22, 12_000)[6_000:7_100]}\n".encode()
    if source in (sources.CHAIN_HG18, sources.CHAIN_HG38):
        shift = 10 if source == sources.CHAIN_HG18 else 1_000
        return "".join(_CHAIN.format(chrom, shift, shift + 11_000, n) for n, chrom in enumerate(SIZES, 1)).encode()
    # Every interval file: one interval of each chromosome, and one of a chromosome that is not held.
    return b"chr1\t5\t900\nchr20\t2000\t4000\tT1LAD1\nchr20\t4000\t5000\tT2LAD1\nchr22\t2000\t4000\nchrX\t2000\t6000\n"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallCache:
    monkeypatch.setattr(prepare, "CHROM_SIZES", SIZES)
    monkeypatch.setattr(prepare, "HG38_SIZES", dict.fromkeys(SIZES, 12_000))
    monkeypatch.setattr(prepare, "PAR1_END", 2_560)
    monkeypatch.setattr(prepare, "CHR22_PIECE_START", 6_000)
    reference = np.frombuffer(_bases(22, 12_000).encode(), np.uint8)
    cpg = np.flatnonzero((reference[:-1] == ord("C")) & (reference[1:] == ord("G")))
    measured = cpg[(cpg > 1_010) & (cpg < 11_000)][::2] - 10  # the chain shifts by 10
    found = Sites(measured, np.full(len(measured), 3), np.full(len(measured), 4))
    monkeypatch.setattr(methylation, "read_bsseq", lambda path: found)
    return SmallCache(tmp_path / "cache")


def test_a_project_is_made_whole(small: SmallCache, tmp_path: Path) -> None:
    said: list[str] = []
    steps: list[tuple[int, int]] = []
    out = tmp_path / "mini"
    project = load_project(prepare_mini(out, small, said.append, lambda done, total: steps.append((done, total))))
    assert steps == [(number, steps[-1][1]) for number in range(steps[-1][1] + 1)]
    genome = Genome(project.genome)
    assert genome.chrom_sizes == SIZES
    assert "".join("ACGTN"[code] for code in genome.codes("chr20", 0, 20_000)) == _bases(20_000, 20_000)
    chr22 = "".join("ACGTN"[code] for code in genome.codes("chr22", 0, 12_000))
    # 6,000 to 7,040 comes from the second source, which must agree with the first where both are.
    assert chr22 == "N" * 1_000 + _bases(22, 12_000)[1_000:11_500] + "N" * 500
    assert (genome.codes("chrX", 13_000, 16_000) == 4).all()

    observed = {entry.name: entry.observed for entry in project.track if entry.observed}
    assert len(observed) == 8
    tig3 = read_bins(observed["LMNB1 LAD Tig-3"], Region("chr20", 0, 20_000))
    np.testing.assert_allclose(tig3[15:40], [0.375, *[1] * 23, 0.0625], rtol=1e-6)
    # Cardiac domains move 1,000 bases; what no hg38 base reaches is unknown.
    cardiac = read_bins(observed["LMNB1 LAD cardiac myocytes"], Region("chr20", 0, 20_000))
    assert np.isnan(cardiac[:7]).all()
    np.testing.assert_allclose(cardiac[22:48], [0, 0.5625, *[1] * 22, 0.875, 0], rtol=1e-6)
    assert np.isnan(cardiac[94:]).all()
    # chrX: nothing before the end of PAR1, nothing without sequence.
    chrx = read_bins(observed["LMNB1 LAD Tig-3"], Region("chrX", 0, 16_000))
    assert np.isnan(chrx[:20]).all()
    assert np.isfinite(chrx[20:102]).all()
    assert np.isnan(chrx[102:]).all()
    assert set(np.unique(read_bins(observed["TSS"], Region("chr20", 0, 19_968)))) == {0, 1}
    # The last bin of chr20 has 32 bases, too few for a label.
    assert np.isnan(tig3[-1])
    # Half of the CpGs are measured at 3 of 4, the others are restored as 0 of 20.
    methylated = read_bins(observed["CpG methylation IMR90"], Region("chr22", 0, 12_000))
    assert np.nanmean(methylated) == pytest.approx(3 / 24, abs=0.03)
    assert all(path.name[0] != "." for path in out.rglob("*"))


def test_a_second_run_makes_only_what_is_missing(small: SmallCache, tmp_path: Path) -> None:
    out = tmp_path / "mini"
    prepare_mini(out, small)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.bw")}
    small.asked.clear()
    said: list[str] = []
    prepare_mini(out, small, said.append)
    assert small.asked == []
    assert all(" is there already: " in line for line in said)
    (out / "observed" / "tss.bw").write_bytes(b"damaged")
    (out / "observed" / "genes.bw").unlink()
    prepare_mini(out, small)
    assert {sources.TSS.name, sources.GENES.name} <= set(small.asked)
    assert sources.METHYLATION.name not in small.asked
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*.bw")}
    assert {path.name for path in before if after[path] != before[path]} == {"tss.bw", "genes.bw"}


@pytest.mark.parametrize("record", ["not JSON", "[]", '{"observed/tss.bw": "a digest"}'])
def test_a_record_that_cannot_be_used_means_making_again(small: SmallCache, tmp_path: Path, record: str) -> None:
    out = tmp_path / "mini"
    prepare_mini(out, small, with_geo=False)
    (out / "prepared.json").write_text(record)
    said: list[str] = []
    prepare_mini(out, small, said.append, with_geo=False)
    assert all(line.startswith("wrote ") for line in said)


def test_what_is_wrong_is_found_before_anything_is_fetched(
    small: SmallCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TracksError, match=r"cannot make the folder .*file/mini"):
        prepare_mini(tmp_path / "file" / "mini", small)
    monkeypatch.setitem(sys.modules, "rdata", None)
    with pytest.raises(TracksError, match="needs the Python package rdata; install it with"):
        prepare_mini(tmp_path / "mini", small)
    assert small.asked == []


def test_the_sources_that_may_be_missing_are_taken_first(small: SmallCache, tmp_path: Path) -> None:
    prepare_mini(tmp_path / "mini", small)
    assert small.asked[:2] == [sources.LADS_CARDIAC.name, sources.LADS_LIVER.name]


def test_changed_sources_are_prepared_again(small: SmallCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "mini"
    prepare_mini(out, small)
    said: list[str] = []
    monkeypatch.setattr(prepare, "RECIPE", prepare.RECIPE + 1)
    prepare_mini(out, small, said.append)
    assert all(line.startswith("wrote ") for line in said)


def test_without_geo_there_are_two_targets_and_no_such_source(small: SmallCache, tmp_path: Path) -> None:
    project = load_project(prepare_mini(tmp_path / "mini", small, with_geo=False))
    assert [entry.name for entry in project.targets()] == ["CpG methylation IMR90", "LMNB1 LAD Tig-3"]
    assert not [name for name in small.asked if name.startswith("GSM") or "hg38" in name]


def test_provenance_names_every_source_of_every_file(small: SmallCache, tmp_path: Path) -> None:
    out = tmp_path / "mini"
    prepare_mini(out, small)
    record = json.loads((out / "sources.json").read_text())
    assert set(record["files"]) == {
        str(path.relative_to(out)) for path in out.rglob("*") if path.suffix in (".bw", ".gz")
    }
    used = {source["path"].rsplit("/", 1)[-1]: source for source in record["sources"]}
    for name, made in record["files"].items():
        assert made["sha256"] == sha256(out / name)
        assert set(made["made_of"]) <= set(used)
    assert all(source["licence"] and source["package"] for source in used.values())


def test_sources_that_disagree_about_the_sequence_stop_it(small: SmallCache, tmp_path: Path) -> None:
    small.get(sources.CHR22_PIECE).write_text(f">22\n{_bases(23, 1_100)}\n")
    with pytest.raises(TracksError, match="two sources of sequence disagree at base 7,0"):
        prepare_mini(tmp_path / "mini", small)
    assert not [path for path in (tmp_path / "mini").rglob("*") if path.is_file()]


def test_the_split_covers_the_chromosomes_once(tmp_path: Path) -> None:
    path = tmp_path / "split.bed"
    path.write_text(prepare.SPLIT)
    at = {"chr20": 0, "chr22": 0, "chrX": 2_699_520}
    for block in read_split(path):
        assert block.region.start == at[block.region.chrom]
        at[block.region.chrom] = block.region.end
    assert at == sequence.CHROM_SIZES
    held_out = {(str(block.region), block.fold) for block in read_split(path) if block.fold != "train"}
    assert ("chr20:10,000,001-15,000,000", "test") in held_out
    assert ("chr22:46,000,001-51,304,566", "test") in held_out
    assert len(held_out) == 7


def test_the_command_refuses_what_contradicts(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        data.command, ["mini", "-o", str(tmp_path / "x"), "--lads", str(tmp_path), "--without-geo"]
    )
    assert "give one of them" in str(result.exception)
    assert getattr(result.exception, "exit_code", None) == 2
    assert not (tmp_path / "x").exists()


# Independent checks on the real sources. They need what `tracks data mini` keeps in its cache.

_FETCHED = Path(os.environ.get("TRACKS_SOURCES", Path(platformdirs.user_cache_dir("tracks")) / "sources"))


def _fetched(source: Source) -> Path:
    path = _FETCHED / f"{source.sha256[:16]}-{source.name}"
    if not path.is_file():
        pytest.skip(f"{source.name} is not in {_FETCHED}; 'tracks data mini' fetches it")
    return path


def test_real_methylation_lands_on_the_cpgs_of_the_real_alignment() -> None:
    """Two builds, two packages: a wrong liftover, an offset of one or a wrong MAF position breaks this."""
    sites = methylation.read_bsseq(_fetched(sources.METHYLATION))
    assert len(sites.positions) == 494_728
    lifted = methylation.lifted(sites, Route.through([read_chains(_fetched(sources.CHAIN_HG18))]), "chr22")
    assert len(lifted.positions) == 494_724
    whole = np.full(sequence.CHROM_SIZES["chr22"], sequence.UNKNOWN, np.uint8)
    with gzip.open(_fetched(sources.CHR22_ALIGNMENT), "rt") as lines:
        for start, bases in sequence.alignment_rows(lines, "Hsap.22", len(whole)):
            sequence.fill(whole, start, bases)
    assert (whole != sequence.UNKNOWN).sum() == 21_629_084
    held = lifted.positions[whole[lifted.positions] != sequence.UNKNOWN]
    on_cpg = (whole[held] == ord("C")) & (whole[held + 1] == ord("G"))
    assert on_cpg.sum() == 305_458
    assert on_cpg.mean() > 0.991
    codes = np.select([whole == letter for letter in b"ACGT"], range(4), 4).astype(np.uint8)
    repaired = methylation.repaired(lifted, codes)
    assert len(repaired.positions) == 336_904
    assert len(repaired.positions) - on_cpg.sum() == 31_446


def _lifted_islands(tmp_path: Path, old: str, chain: Source, old_length: int) -> tuple[np.ndarray, np.ndarray]:
    """CpG islands of chr20 in an older or newer build lifted to hg19, and UCSC's own hg19 ones, per bin."""
    packages = sorted(_FETCHED.glob("chromhmm-example_*.deb"))
    if not packages:
        pytest.skip(f"this check needs the Debian package chromhmm-example in {_FETCHED} (apt-get download it there)")
    debian.extract(packages[-1], {sources.CPG_ISLANDS.path.replace("hg19", old): tmp_path / "old.bed.gz"})
    domains = labels.read_intervals(tmp_path / "old.bed.gz", "chr20")
    pieces = liftover.lifted_pieces(Route.through([read_chains(_fetched(chain))]), "chr20", old_length, piece=50)
    length = sequence.CHROM_SIZES["chr20"]
    lifted = liftover.lifted_fraction(domains, pieces, length, piece=50)
    own = labels.covered_fraction(labels.read_intervals(_fetched(sources.CPG_ISLANDS), "chr20"), length)
    reached = np.isfinite(lifted)
    return lifted[reached], own[reached]


@pytest.mark.parametrize(
    ("old", "chain", "old_length"),
    [("hg38", sources.CHAIN_HG38, 64_444_167), ("hg18", sources.CHAIN_HG18, 62_435_964)],
)
def test_real_islands_lift_onto_the_islands_of_the_other_build(
    tmp_path: Path, old: str, chain: Source, old_length: int
) -> None:
    """UCSC finds islands in each build anew, so its hg19 ones do not depend on the chain."""
    lifted, own = _lifted_islands(tmp_path, old, chain, old_length)
    assert np.corrcoef(lifted, own)[0, 1] > 0.95
    shifted = np.corrcoef(lifted[2:], own[:-2])[0, 1]
    assert shifted < 0.8


def test_real_lads_are_1302_on_the_whole_genome() -> None:
    with gzip.open(_fetched(sources.LADS_TIG3), "rt") as lines:
        rows = [line.split() for line in lines]
    assert len(rows) == 1_302
    assert sum(int(row[2]) - int(row[1]) for row in rows) == pytest.approx(1.141e9, rel=0.001)
