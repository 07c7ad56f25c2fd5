"""Modified bases counted: against plain loops, calls that are known, samtools and modbampy; and files and commands."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyBigWig
import pysam
import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from tests.tracks.bam.modbam import (
    Group,
    Read,
    call,
    plain_counts,
    reverse_complement,
    sequence_read,
    write_fasta,
    write_modbam,
)
from tracks.bam.alignments import ReadFilter, check_alignments
from tracks.bam.methylation import methylation
from tracks.bam.methylation_counts import Counting
from tracks.bam.methylation_sites import CONTEXTS, parse_target
from tracks.errors import TracksError, UsageError
from tracks.genome import Genome, demo_genome

Cli = Callable[..., Result]
Counts = dict[tuple[str, int, str], Counter[str]]
COLUMNS = ("modified", "canonical", "other", "deleted", "failed", "different", "no_call")

TARGETS: dict[str, tuple[str, set[object], str, int]] = {
    "5mC:CpG": ("C", {"m"}, "CG", 0),
    "5mC:GpC": ("C", {"m"}, "GCH", 1),
    "5mC:HCG": ("C", {"m"}, "HCG", 1),
    "6mA:A": ("A", {"a"}, "A", 0),
    "5hmC:C": ("C", {"h", 76792}, "C", 0),
    "6mA:GATC:1": ("A", {"a"}, "GATC", 1),
}


def small_reads(chroms: dict[str, str], seed: int = 1) -> list[Read]:
    random = np.random.default_rng(seed)
    reads = []
    for number in range(110):
        at = int(random.integers(len(chroms)))
        sequence = list(chroms.values())[at]
        length = int(random.integers(100, 700))
        start = int(random.integers(0, len(sequence) - length + 1))
        read = sequence_read(random, sequence, f"read{number}", start, length)
        read.chrom = at
        match number % 6:
            case 0:
                call(random, read, "C", "m", "?")
            case 1:
                call(random, read, "C", "mh", "")
            case 2:
                call(random, read, "C", "m", ".")
                call(random, read, "A", "a", "", 0.4)
            case 3:
                call(random, read, "C", "m", ".")
                call(random, read, "C", "76792", "?")
                call(random, read, "A", "a", "?")
            case 4:
                call(random, read, "C", "m", "?")
                call(random, read, "G", "m", "?", strand="-")
        read.mapq = int(random.integers(0, 61))
        read.flag = 0 if number < 12 else int(random.choice([0, 0, 0, 0, 0x100, 0x200, 0x400, 0x800]))
        if number // 6 % 4:
            read.tags["HP"] = number // 6 % 4
        reads.append(read)
    return reads


class Given:
    """A small genome and its reads, as files."""

    def __init__(self, folder: Path) -> None:
        random = np.random.default_rng(0)
        self.chroms = {
            "chr2": "GATC".join("".join(random.choice(list("ACGT"), 76)) for _ in range(50)) + "GATC",
            "chr1": "".join(random.choice(list("CGA"), 1500)),
        }
        self.sizes = {chrom: len(sequence) for chrom, sequence in self.chroms.items()}
        self.fasta = write_fasta(folder / "genome.fa", self.chroms)
        self.reads = small_reads(self.chroms)
        self.bam = write_modbam(folder / "reads.bam", self.sizes, self.reads)

    def counting(self, *targets: str, keep: ReadFilter | None = None, **options: object) -> Counting:
        parsed = tuple(parse_target(target) for target in targets)
        alignments = check_alignments(self.bam, self.sizes)
        return Counting(alignments, self.fasta, parsed, keep or ReadFilter(), **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def given_(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return Given(tmp_path_factory.mktemp("given"))


def bedmethyl_lines(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in gzip.decompress(path.read_bytes()).decode().splitlines()]


def read_counts(path: Path) -> Counts:
    """The counts of a bedMethyl file, in the words of the plain count."""
    found: Counts = {}
    for fields in bedmethyl_lines(path):
        count = Counter(dict(zip(COLUMNS, map(int, fields[11:]), strict=True)))
        count["valid"] = int(fields[9])
        found[fields[0], int(fields[1]), fields[5]] = count
    return found


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("threshold", "keep", "excluded", "haplotype"),
    [
        (129, ReadFilter(), 0xF04, None),
        (200, ReadFilter(20, True, True, True, True), 0x4, None),
        (1, ReadFilter(0, duplicates=True), 0xB04, 2),
    ],
)
def test_counts_are_those_of_a_plain_loop_over_modified_bases(
    given_: Given, tmp_path: Path, target: str, threshold: int, keep: ReadFilter, excluded: int, haplotype: int | None
) -> None:
    base, codes, motif, offset = TARGETS[target]
    expected = plain_counts(
        given_.bam, given_.chroms, base, codes, motif, offset, threshold, excluded, keep.min_mapq, haplotype
    )
    counting = given_.counting(target, keep=keep, threshold=threshold, haplotypes=haplotype is not None)
    methylation(counting, tmp_path, "x")
    group = f".hap{haplotype}" if haplotype else ""
    found = read_counts(tmp_path / f"x.{counting.targets[0].name}{group}.bedmethyl.gz")
    assert found == expected
    assert len(found) > 3
    assert sum(count["modified"] for count in found.values()) > 0


def test_haplotypes_add_up_to_all_reads(given_: Given, tmp_path: Path) -> None:
    report = methylation(given_.counting("5mC:CpG", haplotypes=True), tmp_path, "x")
    parts = [read_counts(tmp_path / f"x.5mC.CpG.{group}.bedmethyl.gz") for group in ("hap1", "hap2", "unphased")]
    valid: Counter[tuple[str, int, str]] = Counter()
    for part in parts:
        valid.update({key: count["valid"] for key, count in part.items()})
    whole = read_counts(tmp_path / "x.5mC.CpG.bedmethyl.gz")
    assert valid == {key: count["valid"] for key, count in whole.items()}
    assert [entry.group for entry in report.counted] == ["", "hap1", "hap2", "unphased"]
    assert any("haplotype other than 1 and 2" in note for note in report.notes)


@pytest.fixture(scope="module")
def chr20(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str, Counts]:
    """Reads without errors of real sequence of chr20, every call of which is known: their counts are kept while they
    are made, by arithmetic on positions."""
    with Genome(demo_genome()) as genome:
        codes = genome.codes("chr20", 10_200_000, 10_230_000)
    sequence = "".join("ACGTN"[code] for code in codes)
    random = np.random.default_rng(3)
    expected: Counts = {}
    reads = []
    for number in range(60):
        length = int(random.integers(500, 6000))
        start = int(random.integers(0, len(sequence) - length + 1))
        stored = sequence[start : start + length]
        reverse = bool(random.integers(2))
        sequenced = reverse_complement(stored) if reverse else stored
        calls: dict[int, list[int]] = {}
        for match in re.finditer("CG", sequenced):
            at = match.start()
            kind = random.choice(["modified", "canonical", "none"], p=[0.5, 0.4, 0.1])
            where = ("chr20", start + (length - 1 - at if reverse else at), "-" if reverse else "+")
            if kind != "none":
                calls[at] = [int(random.integers(129, 256) if kind == "modified" else random.integers(0, 129))]
                expected.setdefault(where, Counter())[kind] += 1
                expected[where]["valid"] += 1
        group = Group("C", "+", "m", "?", calls)
        reads.append(Read(f"read{number}", start, stored, [(0, length)], reverse, [group]))
    folder = tmp_path_factory.mktemp("chr20")
    fasta = write_fasta(folder / "chr20.fa", {"chr20": sequence})
    return write_modbam(folder / "reads.bam", {"chr20": len(sequence)}, reads), fasta, sequence, expected


def test_known_calls_on_real_sequence_are_counted_exactly(
    chr20: tuple[Path, Path, str, Counts], tmp_path: Path
) -> None:
    bam, fasta, sequence, expected = chr20
    counting = Counting(
        check_alignments(bam, {"chr20": len(sequence)}), fasta, (parse_target("5mC:CpG"),), ReadFilter()
    )
    methylation(counting, tmp_path, "x")
    found = read_counts(tmp_path / "x.5mC.CpG.bedmethyl.gz")
    assert {key: (count["modified"], count["valid"]) for key, count in found.items()} == {
        key: (count["modified"], count["valid"]) for key, count in expected.items()
    }
    assert len(found) > 200


def test_combined_strands_are_the_sum_of_both(chr20: tuple[Path, Path, str, Counts], tmp_path: Path) -> None:
    bam, fasta, sequence, expected = chr20
    counting = Counting(
        check_alignments(bam, {"chr20": len(sequence)}),
        fasta,
        (parse_target("5mC:CpG"),),
        ReadFilter(),
        combine_strands=True,
    )
    # Tiles of 37 bases end between the C and the G of some CpG.
    methylation(counting, tmp_path, "x", tile=1 << 20)
    methylation(counting, tmp_path, "y", tile=37)
    summed: Counts = {}
    for (chrom, at, strand), count in expected.items():
        summed.setdefault((chrom, at - (strand == "-"), "."), Counter()).update(count)
    for prefix in "xy":
        found = read_counts(tmp_path / f"{prefix}.5mC.CpG.bedmethyl.gz")
        assert {key: (count["modified"], count["valid"]) for key, count in found.items()} == {
            key: (count["modified"], count["valid"]) for key, count in summed.items()
        }


@pytest.mark.parametrize("combine", [False, True])
def test_tiles_and_processes_leave_no_trace(given_: Given, tmp_path: Path, combine: bool) -> None:
    targets = ["5mC:CpG", "6mA:GATC:1"] if combine else ["5mC:CpG", "6mA:A", "5mC:GpC"]
    counting = given_.counting(*targets, combine_strands=combine, haplotypes=True)
    whole, small = tmp_path / "whole", tmp_path / "small"
    methylation(counting, whole, "x")
    told: list[tuple[int, int]] = []
    methylation(counting, small, "x", tile=61, processes=2, update=lambda done, total: told.append((done, total)))
    names = sorted(path.name for path in whole.iterdir())
    assert names == sorted(path.name for path in small.iterdir())
    assert len(names) >= 20
    for name in names:
        assert (whole / name).read_bytes() == (small / name).read_bytes(), name
    assert told[-1] == (len(told), len(told))
    assert len(told) == sum(-(-size // 61) for size in given_.sizes.values())


def test_bigwigs_and_bedmethyl_hold_the_same(given_: Given, tmp_path: Path) -> None:
    report = methylation(given_.counting("6mA:A"), tmp_path, "x")
    counts = read_counts(tmp_path / "x.6mA.A.bedmethyl.gz")
    found = {}
    for signal in ("modified", "valid", "fraction"):
        with pyBigWig.open(str(tmp_path / f"x.6mA.A.{signal}.bw")) as bigwig:
            assert bigwig.chroms() == given_.sizes
            for chrom in given_.sizes:
                for start, end, value in bigwig.intervals(chrom):
                    assert end == start + 1
                    found[signal, chrom, start] = value
    for (chrom, at, _), count in counts.items():
        assert found["modified", chrom, at] == count["modified"]
        assert found["valid", chrom, at] == count["valid"] > 0
        assert found["fraction", chrom, at] == np.float32(count["modified"] / count["valid"])
    assert len(found) == 3 * len(counts)
    entry = report.counted[0]
    assert entry.sites == len(counts)
    assert entry.valid == sum(count["valid"] for count in counts.values())
    assert entry.modified == sum(count["modified"] for count in counts.values())


def test_the_columns_of_bedmethyl_and_its_index(given_: Given, tmp_path: Path) -> None:
    methylation(given_.counting("5hmC:C"), tmp_path, "x")
    path = tmp_path / "x.5hmC.C.bedmethyl.gz"
    lines = bedmethyl_lines(path)
    for fields in lines:
        modified, canonical, other, *_ = map(int, fields[11:])
        assert len(fields) == 18
        assert (fields[3], fields[8]) == ("h", "255,0,0")
        assert fields[1:3] == fields[6:8] == [fields[1], str(int(fields[1]) + 1)]
        assert int(fields[4]) == int(fields[9]) == modified + canonical + other
        assert fields[10] == f"{100 * modified / int(fields[9]):.2f}"
    with pysam.TabixFile(str(path)) as table:
        assert table.contigs == list(given_.sizes)
        inside = [line.split("\t") for line in table.fetch("chr2", 1000, 3000)]
    assert inside == [fields for fields in lines if fields[0] == "chr2" and 1000 <= int(fields[1]) < 3000]
    assert inside


def explicit_bam(folder: Path, chroms: dict[str, str], seed: int) -> Path:
    """Reads that call every C (as 5mC and 5hmC) and A, but for a few, and no byte 0."""
    random = np.random.default_rng(seed)
    reads = []
    for number in range(80):
        at = number % len(chroms)
        sequence = list(chroms.values())[at]
        start = int(random.integers(0, len(sequence) - 600))
        read = sequence_read(random, sequence, f"read{number}", start, 600)
        read.chrom = at
        for base, codes in (("C", "mh"), ("A", "a")):
            where = [at for at, letter in enumerate(read.sequenced) if letter == base and random.random() < 0.9]
            bytes_ = 1 + random.dirichlet(np.full(len(codes) + 1, 0.5), len(where))[:, : len(codes)] * 252
            calls = dict(zip(where, bytes_.astype(int).tolist(), strict=True))
            read.groups.append(Group(base, "+", codes, "?", calls))
        reads.append(read)
    return write_modbam(folder / "explicit.bam", {chrom: len(text) for chrom, text in chroms.items()}, reads)


@pytest.fixture(scope="module")
def explicit(given_: Given, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return explicit_bam(tmp_path_factory.mktemp("explicit"), given_.chroms, 5)


def mpileup_bases(column: str) -> list[tuple[str, dict[str, int]]]:
    """Each read's sign (``.`` and ``,`` are the reference's base, forward and reverse) and calls in a column of
    samtools mpileup: ``.[+m12+h200]+2A[+a9]C`` has an insertion behind its base."""
    found = []
    behind = 0
    for start, count, sign, calls in re.findall(r"(\^.)|[-+]([0-9]+)|([^$])(?:\[([^]]*)\])?", column):
        if start:
            continue
        if count:
            # Of "+2AC" the two letters are skipped; a number never touches a letter that is no part of it.
            behind = int(count)
        elif behind:
            behind -= 1
        else:
            found.append((sign, {code: int(byte) for code, byte in re.findall(r"[-+]([a-z])([0-9]+)", calls)}))
    return found


def test_counts_are_those_of_samtools_mpileup(given_: Given, explicit: Path, tmp_path: Path) -> None:
    text = pysam.mpileup("-M", "-B", "-x", "-Q", "0", "-d", "0", "-f", str(given_.fasta), str(explicit))
    expected: dict[str, dict[tuple[str, int], list[int]]] = {"a": {}, "m": {}}
    for line in text.splitlines():
        chrom, position, base, depth, column = line.split("\t")[:5]
        bases = mpileup_bases(column)
        assert len(bases) == int(depth)
        for sign, calls in bases:
            for code, letter in (("a", "A"), ("m", "C")):
                strand = {".": letter, ",": reverse_complement(letter)}
                if code in calls and base == strand.get(sign):
                    count = expected[code].setdefault((chrom, int(position) - 1), [0, 0])
                    count[0] += calls[code] >= 129
                    count[1] += 1
    counting = Counting(
        check_alignments(explicit, given_.sizes),
        given_.fasta,
        (parse_target("6mA:A"), parse_target("5mC:C")),
        ReadFilter(),
    )
    methylation(counting, tmp_path, "x")
    for code, name in (("a", "6mA.A"), ("m", "5mC.C")):
        counts = read_counts(tmp_path / f"x.{name}.bedmethyl.gz")
        assert {
            (chrom, at): [count["modified"], count["valid"]] for (chrom, at, _), count in counts.items()
        } == expected[code]
        assert len(counts) > 500


_MODBAMPY = """
import json, sys
from modbampy import ModBam
bam, chrom, end, code, threshold = sys.argv[1:]
with ModBam(bam) as file:
    positions, counts = file.pileup(chrom, 0, int(end), threshold=float(threshold), mod_base=code)
print(json.dumps([positions.tolist(), counts.tolist()]))
"""


@pytest.fixture(scope="module")
def modbampy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with modbampy, the counting of modbam2bed, from its wheel; its library is of the stable ABI, so that it
    loads in later Pythons than its tag says."""
    folder = tmp_path_factory.mktemp("modbampy")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    pip += ["--target", str(folder), "--only-binary=:all:"]
    wheel = ["--no-deps", "--python-version=3.10", "--implementation=cp", "--abi=cp310", "modbampy==0.10.0"]
    wheel += ["--platform=manylinux_2_24_x86_64"]
    for words in (wheel, ["cffi"]):
        done = subprocess.run([*pip, *words], capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            pytest.skip(f"modbampy is not at hand: {(done.stderr.splitlines() or ['pip failed'])[-1]}")
    return folder


@pytest.mark.parametrize(("target", "code"), [("5mC:C", "m"), ("5hmC:C", "h"), ("6mA:A", "a")])
def test_counts_are_those_of_modbampy(
    given_: Given, explicit: Path, tmp_path: Path, modbampy: Path, target: str, code: str
) -> None:
    """All seven columns. It counts calls above a byte, modified or not, and leaves the others out as filtered."""
    byte = 168
    counting = Counting(
        check_alignments(explicit, given_.sizes),
        given_.fasta,
        (parse_target(target),),
        ReadFilter(),
        byte + 1,
        drop_ambiguous=True,
    )
    methylation(counting, tmp_path, "x")
    found = read_counts(tmp_path / f"x.{counting.targets[0].name}.bedmethyl.gz")
    base = target[-1]
    # Columns of its matrix: A, C, G, T of reverse reads, of forward reads, then pairs (reverse, forward).
    pairs = {"deleted": 8, "modified": 10, "other": 12, "failed": 14, "no_call": 16}
    expected: Counts = {}
    for chrom, sequence in given_.chroms.items():
        words = [str(explicit), chrom, str(len(sequence)), code, f"{(byte + 0.5) / 255}"]
        # Its libraries are C, and may not share a process with pysam's.
        done = subprocess.run(
            [sys.executable, "-c", _MODBAMPY, *words],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(modbampy)},
        )
        for at, row in zip(*json.loads(done.stdout.splitlines()[-1]), strict=True):
            for strand, forward in (("+", 1), ("-", 0)):
                letter = base if forward else reverse_complement(base)
                if sequence[at] != letter:
                    continue
                count = Counter({name: row[column + forward] for name, column in pairs.items()})
                bases = dict(zip("ACGT", row[4:8] if forward else row[:4], strict=True))
                count["canonical"] = bases.pop(letter)
                count["different"] = sum(bases.values())
                count["valid"] = count["modified"] + count["canonical"] + count["other"]
                if count["valid"]:
                    expected[chrom, at, strand] = count
    assert found == expected
    assert sum(count["failed"] for count in found.values()) > 100


@given(st.text("ACGTN", min_size=1, max_size=80), st.sampled_from([*CONTEXTS.values()]))
def test_sites_are_those_of_a_regular_expression(sequence: str, context: object) -> None:
    from tracks.bam.methylation_sites import Context

    assert isinstance(context, Context)
    margin = len(context.motif)
    codes = np.full(len(sequence) + 2 * margin, 4, np.uint8)
    codes[margin : margin + len(sequence)] = ["ACGTN".index(letter) for letter in sequence]
    pattern = re.compile(f"(?={context.motif.replace('H', '[ACT]')})")
    forward = [match.start() + context.offset for match in pattern.finditer(sequence)]
    mirrored = [match.start() + context.offset for match in pattern.finditer(reverse_complement(sequence))]
    assert context.sites(codes, margin, "+").tolist() == forward
    assert context.sites(codes, margin, "-").tolist() == sorted(len(sequence) - 1 - at for at in mirrored)
    if context.partner is not None:
        assert [at + context.partner for at in forward] == context.sites(codes, margin, "-").tolist()


def test_gpc_and_hcg_leave_gcg_out_and_cpg_keeps_it() -> None:
    codes = np.array([4, 4, 4] + ["ACGTN".index(letter) for letter in "GCGCA"] + [4, 4, 4], np.uint8)
    found = {name: CONTEXTS[name].sites(codes, 3, "+").tolist() for name in ("CpG", "HCG", "GpC")}
    assert found == {"CpG": [1], "HCG": [], "GpC": [3]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5mc:CpG", "'5mc' is none of 5mC, 5hmC, 6mA"),
        ("5mC", "the context '' is none of CpG"),
        ("5mC:A", "5mC is a modified C, and A holds A there"),
        ("5mC:GATC:9", "nor a motif and the number"),
        ("C+:CpG", "nor a base and a code"),
    ],
)
def test_targets_that_are_none_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        parse_target(text)


def test_a_code_of_ones_own_is_counted(given_: Given, tmp_path: Path) -> None:
    methylation(given_.counting("C+76792:CG:0"), tmp_path, "x")
    expected = plain_counts(given_.bam, given_.chroms, "C", {76792}, "CG", 0)
    assert read_counts(tmp_path / "x.C76792.CG0.bedmethyl.gz") == expected != {}


def _one_read(folder: Path, given_: Given, **tags: object) -> Path:
    sequence = given_.chroms["chr2"]
    read = Read("odd", 100, sequence[100:400], [(0, 300)], tags=tags)
    return write_modbam(folder / "odd.bam", given_.sizes, [*given_.reads[:6], read])


DAMAGED = {
    "ML longer": ({"MM": "C+m,0;", "ML": [1, 2, 3]}, "its ML tag holds 3 values, and its MM tag needs 1"),
    "ML shorter": ({"MM": "C+m,0,1;", "ML": [1]}, "its ML tag holds 1 values, and its MM tag needs 2"),
    "beyond": ({"MM": "C+m,500;", "ML": [1]}, "its MM tag counts beyond the"),
    "no bytes": ({"MM": "C+m,0;", "ML": "xx"}, "its ML tag should be an array of bytes"),
    "a word for MN": ({"MM": "C+m,0;", "ML": [1], "MN": "300"}, "its MN tag should be a whole number"),
    "a word for HP": ({"MM": "C+m,0;", "ML": [1], "HP": "abc"}, "its HP tag should be a whole number, found 'abc'"),
    "no MM": ({"MM": "nonsense;", "ML": [1]}, "which is no group"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_reads_are_named_or_left_out(given_: Given, tmp_path: Path, cli: Cli, case: str) -> None:
    import array

    tags, message = DAMAGED[case]
    values = tags["ML"] if isinstance(tags["ML"], str) else array.array("B", tags["ML"])
    bam = _one_read(tmp_path, given_, **{**tags, "ML": values})
    words: Sequence[object] = (bam, "--genome", given_.fasta, "--target", "5mC:CpG", "--processes", 1, "--haplotypes")
    result = cli("methylation", *words, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "read odd at chr2:101 is damaged: " in result.stderr
    assert message in result.stderr
    assert "--skip-damaged" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not list((tmp_path / "out").glob("*"))
    result = cli("methylation", *words, "-o", tmp_path / "out", "--skip-damaged")
    assert result.exit_code == 0
    assert "1 of " in result.stderr
    assert "have damaged tags" in result.stderr
    clean = write_modbam(tmp_path / "clean.bam", given_.sizes, given_.reads[:6])
    counting = Counting(check_alignments(clean, given_.sizes), given_.fasta, (parse_target("5mC:CpG"),), ReadFilter())
    methylation(counting, tmp_path / "clean", "odd")
    name = "odd.5mC.CpG.bedmethyl.gz"
    assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "clean" / name).read_bytes()


def test_hard_clipped_reads_count_only_where_mn_says_so(given_: Given, tmp_path: Path) -> None:
    sequence = given_.chroms["chr2"]

    def counted(name: str, **tags: object) -> tuple[int, tuple[str, ...]]:
        reads = [
            Read("whole", 0, sequence[:50], [(0, 50)], groups=[Group("C", "+", "m", ".", {})]),
            Read(
                "hard", 100, sequence[100:300], [(5, 40), (0, 200)], groups=[Group("C", "+", "m", ".", {})], tags=tags
            ),
        ]
        bam = write_modbam(tmp_path / f"{name}.bam", given_.sizes, reads)
        counting = Counting(check_alignments(bam, given_.sizes), given_.fasta, (parse_target("5mC:C"),), ReadFilter())
        report = methylation(counting, tmp_path, name)
        return report.counted[0].valid, report.notes

    whole = sequence[:50].count("C")
    assert counted("none")[0] == whole
    assert counted("wrong", MN=240)[0] == whole
    assert "1 of 2 alignments are clipped without their calls" in counted("other", MN=240)[1][0]
    assert counted("right", MN=200) == (whole + sequence[100:300].count("C"), ())


def test_the_command_says_what_it_wrote(given_: Given, tmp_path: Path, cli: Cli) -> None:
    out = tmp_path / "out"
    words = ("methylation", given_.bam, "-o", out, "--genome", given_.fasta, "--processes", 1)
    result = cli(*words, "--preset", "dimelo-lmnb1", "--prefix", "gm")
    assert result.exit_code == 0, result.output
    stems = ["gm.6mA.A", "gm.5mC.CpG"]
    suffixes = ["modified.bw", "valid.bw", "fraction.bw", "bedmethyl.gz", "bedmethyl.gz.tbi"]
    names = {f"{stem}.{suffix}" for stem in stems for suffix in suffixes}
    assert {path.name for path in out.iterdir()} == names
    assert result.stdout.splitlines()[-1].startswith(f"wrote 8 files in {out}: ")
    assert "6mA.A: " in result.stdout
    assert "have no MM tag and count nowhere" in result.stderr
    again = cli(*words, "--preset", "dimelo-lmnb1", "--prefix", "gm")
    assert again.exit_code == 2
    assert "exists already" in again.stderr
    assert cli(*words, "--preset", "dimelo-lmnb1", "--prefix", "gm", "--overwrite").exit_code == 0
    result = cli(*words, "--preset", "wgs-5mc", "--region", "chr2:1,001-2,000")
    assert result.exit_code == 0
    combined = bedmethyl_lines(out / "reads.5mC.CpG.bedmethyl.gz")
    assert {fields[5] for fields in combined} == {"."}
    assert all(fields[0] == "chr2" and 1000 <= int(fields[1]) < 2000 for fields in combined)


def test_a_group_without_calls_leaves_no_stale_files(given_: Given, tmp_path: Path) -> None:
    stale = tmp_path / "x.6mA.A.valid.bw"
    stale.write_text("of another run")
    only_c = write_modbam(tmp_path / "c.bam", given_.sizes, [given_.reads[0], given_.reads[1]])
    targets = (parse_target("5mC:C"), parse_target("6mA:A"))
    counting = Counting(check_alignments(only_c, given_.sizes), given_.fasta, targets, ReadFilter())
    with pytest.raises(UsageError, match="exists already"):
        methylation(counting, tmp_path, "x")
    report = methylation(counting, tmp_path, "x", overwrite=True)
    assert not stale.exists()
    assert "x.6mA.A: no valid call, so it has no files" in report.notes


def test_what_cannot_be_counted_is_said(given_: Given, tmp_path: Path, cli: Cli) -> None:
    sequence = given_.chroms["chr2"]
    plain = write_modbam(tmp_path / "plain.bam", given_.sizes, [Read("a", 5, sequence[5:99], [(0, 94)])])
    only_c = write_modbam(tmp_path / "c.bam", given_.sizes, [given_.reads[0]])
    cut = tmp_path / "cut.bam"
    cut.write_bytes(given_.bam.read_bytes()[:-2000])
    other = write_fasta(tmp_path / "other.fa", {**given_.chroms, "chr2": sequence + "A"})
    shutil.copy(given_.bam, tmp_path / "bare.bam")
    bare = tmp_path / "bare.bam"
    cases: list[tuple[int, str, Path, Path, tuple[str, ...]]] = [
        (2, "none of 1 reads has an MM tag", plain, given_.fasta, ("--target", "5mC:CpG")),
        (2, "do not call 6mA; their MM tags call C+m", only_c, given_.fasta, ("--target", "6mA:A")),
        (1, "cut short or damaged", cut, given_.fasta, ("--target", "6mA:A")),
        (2, "of another genome build: its chr2 has 4,000", given_.bam, other, ("--target", "6mA:A")),
        (2, "there is no FASTA file", given_.bam, tmp_path / "no.fa", ("--target", "6mA:A")),
        (2, "there is no BAM or CRAM file", tmp_path / "no.bam", given_.fasta, ("--target", "6mA:A")),
        (2, "say what to count", given_.bam, given_.fasta, ()),
        (2, "is asked for twice", given_.bam, given_.fasta, ("--target", "6mA:A", "--target", "6mA:A")),
        (2, "strands of A cannot be combined", given_.bam, given_.fasta, ("--target", "6mA:A", "--combine-strands")),
        (2, "no chromosome 'chr9'", given_.bam, given_.fasta, ("--target", "6mA:A", "--region", "chr9:1-5")),
    ]
    for code, message, bam, fasta, words in cases:
        result = cli("methylation", bam, "-o", tmp_path / "out", "--genome", fasta, "--processes", 1, *words)
        assert (result.exit_code, message in result.stderr) == (code, True), result.stderr
        assert len(result.stderr.strip().splitlines()) == 1, result.stderr
        assert not list((tmp_path / "out").glob("*"))
    # Without an index one is made.
    result = cli("methylation", bare, "-o", tmp_path / "out", "--genome", given_.fasta, "--preset", "wgs-5mc")
    assert result.exit_code == 0
    assert (tmp_path / "bare.bam.bai").exists()


def test_a_file_without_tags_is_not_read_to_its_end(given_: Given, tmp_path: Path) -> None:
    bam = tmp_path / "plain.bam"
    with pysam.AlignmentFile(str(given_.bam)) as like, pysam.AlignmentFile(str(bam), "wb", template=like) as file:
        segment = Read("plain", 0, "ACGT", [(0, 4)]).segment(like.header)
        for start in (0, 3000):
            segment.reference_start = start
            for _ in range(100_000):
                file.write(segment)
    counting = Counting(check_alignments(bam, given_.sizes), given_.fasta, (parse_target("5mC:CpG"),), ReadFilter())
    told: list[int] = []
    with pytest.raises(UsageError, match="none of 100,000 reads has an MM tag") as raised:
        methylation(counting, tmp_path / "out", "x", tile=1000, update=lambda done, total: told.append(done))
    assert told == []
    assert "dorado" in str(raised.value)


def test_a_cram_file_is_counted_as_its_bam(given_: Given, tmp_path: Path) -> None:
    cram = tmp_path / "reads.cram"
    pysam.view("-C", "-T", str(given_.fasta), "-o", str(cram), str(given_.bam), catch_stdout=False)
    alignments = check_alignments(cram, given_.sizes)
    counting = Counting(alignments, given_.fasta, (parse_target("5mC:CpG"),), ReadFilter())
    methylation(counting, tmp_path, "x")
    methylation(given_.counting("5mC:CpG"), tmp_path, "y")
    name = "5mC.CpG.bedmethyl.gz"
    assert (tmp_path / f"x.{name}").read_bytes() == (tmp_path / f"y.{name}").read_bytes()


def test_ambiguous_calls_are_left_out_where_asked(tmp_path: Path) -> None:
    """Four C with bytes around the threshold of 129: 129 is modified, 126 canonical (its C has 129), 127 and 128 not
    sure of either."""
    sequence = "ACACACACAA"
    fasta = write_fasta(tmp_path / "genome.fa", {"chr1": sequence})
    calls = {1: [129], 3: [128], 5: [127], 7: [126]}
    reads = [Read("read", 0, sequence, [(0, 10)], groups=[Group("C", "+", "m", "?", calls)])]
    bam = write_modbam(tmp_path / "reads.bam", {"chr1": 10}, reads)
    alignments = check_alignments(bam, {"chr1": 10})
    for drop, expected in ((False, {1: 1, 3: 0, 5: 0, 7: 0}), (True, {1: 1, 7: 0})):
        counting = Counting(alignments, fasta, (parse_target("5mC:C"),), ReadFilter(), drop_ambiguous=drop)
        methylation(counting, tmp_path, "x", overwrite=True)
        found = read_counts(tmp_path / "x.5mC.C.bedmethyl.gz")
        assert {at: count["modified"] for (_, at, _), count in found.items()} == expected


def test_a_worker_that_fails_is_one_line(given_: Given, tmp_path: Path) -> None:
    import array

    bam = _one_read(tmp_path, given_, MM="C+m,500;", ML=array.array("B", [1]))
    counting = Counting(check_alignments(bam, given_.sizes), given_.fasta, (parse_target("5mC:CpG"),), ReadFilter())
    with pytest.raises(TracksError, match="read odd at chr2:101 is damaged"):
        methylation(counting, tmp_path / "out", "x", tile=2000, processes=2)
    assert not list((tmp_path / "out").glob("*"))


def test_names_without_chr_are_matched_with_a_note(given_: Given, tmp_path: Path) -> None:
    renamed = write_modbam(
        tmp_path / "bare.bam", {chrom[3:]: size for chrom, size in given_.sizes.items()}, given_.reads
    )
    counting = Counting(check_alignments(renamed, given_.sizes), given_.fasta, (parse_target("5mC:CpG"),), ReadFilter())
    report = methylation(counting, tmp_path, "x")
    assert "its chromosome 2 is taken for chr2" in report.notes[0]
    methylation(given_.counting("5mC:CpG"), tmp_path, "y")
    for suffix in ("modified.bw", "bedmethyl.gz"):
        assert (tmp_path / f"x.5mC.CpG.{suffix}").read_bytes() == (tmp_path / f"y.5mC.CpG.{suffix}").read_bytes()
