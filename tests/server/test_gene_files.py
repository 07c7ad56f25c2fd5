"""The same three genes in every format, as each of its makers writes it."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from server.axis import Axis
from server.genes import Gene, GeneTileset, read_genes
from tracks.errors import TracksError, UsageError
from tracks.regions import Region

SIZES = {"chr20": 100_000, "chr3": 50_000}

# ALPHA has two transcripts whose exons overlap in part; BETA one exon; what is elsewhere is left out.
ALPHA = Gene("ALPHA", Region("chr20", 999, 9000), "+", "999,2999,7999", "1500,4500,9000")
BETA = Gene("BETA;2", Region("chr3", 99, 200), "-", "99", "200")

ENSEMBL_GTF = """#!genome-build GRCh38.p14
20\thavana\tgene\t1000\t9000\t.\t+\t.\tgene_id "ENSG1"; gene_version "3"; gene_name "ALPHA"; gene_biotype "x";
20\thavana\ttranscript\t1000\t9000\t.\t+\t.\tgene_id "ENSG1"; transcript_id "T1"; gene_name "ALPHA";
20\thavana\texon\t1000\t1500\t.\t+\t.\tgene_id "ENSG1"; transcript_id "T1"; gene_name "ALPHA";
20\thavana\tCDS\tx\ty\t.\t+\t0\tgene_id "ENSG1"; transcript_id "T1"; gene_name "ALPHA";
20\thavana\texon\t3000\t4000\t.\t+\t.\tgene_id "ENSG1"; transcript_id "T1"; gene_name "ALPHA";
20\thavana\texon\t8000\t9000\t.\t+\t.\tgene_id "ENSG1"; transcript_id "T1"; gene_name "ALPHA";
20\thavana\ttranscript\t1200\t4500\t.\t+\t.\tgene_id "ENSG1"; transcript_id "T2"; gene_name "ALPHA";
20\thavana\texon\t3500\t4500\t.\t+\t.\tgene_id "ENSG1"; transcript_id "T2"; gene_name "ALPHA";
20\thavana\texon\t1200\t1500\t.\t+\t.\tgene_id "ENSG1"; transcript_id "T2"; gene_name "ALPHA";
3\thavana\tgene\t100\t200\t.\t-\t.\tgene_id "ENSG2"; gene_name "BETA;2";
3\thavana\texon\t100\t200\t.\t-\t.\tgene_id "ENSG2"; transcript_id "T3"; gene_name "BETA;2";
KI270728.1\tx\tgene\t1\t900000\t.\t-\t.\tgene_id "ENSG3";
"""

# As UCSC makes them of RefSeq, and other old programs: no gene lines, or exons alone.
UCSC_GTF = "".join(
    line.replace("20\t", "chr20\t", 1).replace("3\thav", "chr3\thav", 1) + "\n"
    for line in ENSEMBL_GTF.splitlines()
    if "\tgene\t" not in line
)
EXONS_GTF = "".join(line + "\n" for line in UCSC_GTF.splitlines() if "\ttranscript\t" not in line)

GENCODE_GFF3 = """##gff-version 3
chr20\tHAVANA\tgene\t1000\t9000\t.\t+\t.\tID=ENSG1.3;gene_id=ENSG1.3;gene_name=ALPHA
chr20\tHAVANA\ttranscript\t1000\t9000\t.\t+\t.\tID=T1;Parent=ENSG1.3;gene_name=ALPHA
chr20\tHAVANA\texon\t1000\t1500\t.\t+\t.\tID=exon:T1:1;Parent=T1
chr20\tHAVANA\tCDS\t1000\t1500\t.\t+\t0\tID=CDS:T1;Parent=T1
chr20\tHAVANA\texon\t3000\t4500\t.\t+\t.\tID=exon:T1:2;Parent=T1,T2
chr20\tHAVANA\texon\t8000\t9000\t.\t+\t.\tID=exon:T1:3;Parent=T1
chr20\tHAVANA\ttranscript\t1200\t4500\t.\t+\t.\tID=T2;Parent=ENSG1.3
chr3\tHAVANA\texon\t100\t200\t.\t-\t.\tParent=T3
chr3\tHAVANA\ttranscript\t100\t200\t.\t-\t.\tID=T3;Parent=ENSG2
chr3\tHAVANA\tgene\t100\t200\t.\t-\t.\tID=ENSG2;Name=BETA%3B2
##FASTA
>chr3
ACGT
"""

NCBI_GFF3 = (
    "NC_000020.11\tRefSeq\tregion\t1\t100000\t.\t+\t.\tID=r1;Name=20;genome=chromosome;gbkey=Src\n"
    "NC_000003.12\tRefSeq\tregion\t1\t50000\t.\t+\t.\tID=r2;Name=3;genome=chromosome\n"
    "NT_187361.1\tRefSeq\tregion\t1\t50000\t.\t+\t.\tID=r3;Name=1;genome=genomic\n"
    "NT_187361.1\tRefSeq\tgene\t1\t500\t.\t+\t.\tID=gene-X;Name=X\n"
    + GENCODE_GFF3.replace("chr20\t", "NC_000020.11\t").replace("chr3\t", "NC_000003.12\t")
).replace("\tgene\t100\t", "\tpseudogene\t100\t")

ENSEMBL_GFF3 = (
    GENCODE_GFF3.replace("chr20\t", "20\t")
    .replace("chr3\t", "3\t")
    .replace("ENSG1.3", "gene:ENSG1")
    .replace("gene_name", "Name")
    .replace("\tgene\t100\t", "\tncRNA_gene\t100\t")
)

BED12 = """track name=genes
chr20\t999\t9000\tALPHA\t0\t+\t999\t999\t0\t3\t501,1000,1001,\t0,2000,7000,
chr20\t1199\t4500\tALPHA\t0\t+\t1199\t1199\t0\t2\t301,1001\t0,2300
chr3\t99\t200\tBETA;2\t0\t-\t99\t200\t0\t1\t101\t0
chrY\t99\t200\tELSEWHERE\t0\t-\t99\t200\t0\t1\t101\t0
"""

TABLE = """name\tchrom\tstrand\ttx_start\ttx_end\texon_starts\texon_ends
ALPHA\t20\t+\t999\t9000\t999,2999,7999\t1500,4500,9000
BETA;2\t3\t-\t99\t200\t99\t200,
"""

FORMS = {
    "ensembl.gtf": ENSEMBL_GTF,
    "ucsc.gtf.gz": UCSC_GTF,
    "exons.GTF": EXONS_GTF,
    "gencode.gff3.gz": GENCODE_GFF3,
    "ncbi.gff": NCBI_GFF3,
    "ensembl.gff3": ENSEMBL_GFF3,
    "genes.bed": BED12,
    "genes.bed.gz": BED12,
    "genes.tsv": TABLE,
    "genes.txt.gz": TABLE,
}


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


@pytest.mark.parametrize("name", FORMS)
def test_every_format_gives_the_same_genes(tmp_path: Path, name: str) -> None:
    assert read_genes(written(tmp_path, name, FORMS[name]), SIZES) == [ALPHA, BETA]


def test_a_genome_without_chr_takes_files_with_it(tmp_path: Path) -> None:
    found = read_genes(written(tmp_path, "genes.bed", BED12), {"20": 100_000})
    assert [(gene.name, gene.region) for gene in found] == [("ALPHA", Region("20", 999, 9000))]
    assert found[0].exons == ((999, 1500), (2999, 4500), (7999, 9000))


def test_a_gene_database_of_clodius_is_read(tmp_path: Path) -> None:
    rows = "".join("\t".join(gene.bed_fields()) + "\n" for gene in (ALPHA, BETA))
    written(tmp_path, "genes.txt", rows)
    written(tmp_path, "chrom.sizes", "".join(f"{chrom}\t{size}\n" for chrom, size in SIZES.items()))
    words = ("aggregate", "bedfile", "genes.txt", "-o", "genes.beddb", "--chromsizes-filename", "chrom.sizes")
    program = "import sys, warnings; warnings.simplefilter('ignore'); from clodius.cli import cli; cli(sys.argv[1:])"
    subprocess.run([sys.executable, "-c", program, *words], cwd=tmp_path, check=True, capture_output=True)
    genes = read_genes(tmp_path / "genes.beddb", SIZES)
    assert genes == [ALPHA, BETA]
    tileset = GeneTileset("g", "g", Axis(SIZES), "none", genes)
    assert [gene.name for gene in tileset.suggest("al")] == ["ALPHA"]


def test_a_gene_that_is_there_twice_is_two_entries(tmp_path: Path) -> None:
    """RefSeq by UCSC: one id at two places and on two chromosomes, told apart by transcripts alone."""
    places = (("chr20", 100, 300), ("chr20", 200, 400), ("chr20", 5000, 5200), ("chr3", 100, 300))
    lines = [
        f'{chrom}\tr\t{feature}\t{start}\t{end}\t.\t+\t.\tgene_id "DUP"; transcript_id "NM_1_dup{at}";\n'
        for at, (chrom, start, end) in enumerate(places)
        for feature in ("transcript", "exon")
    ]
    found = read_genes(written(tmp_path, "refseq.gtf", "".join(lines)), SIZES)
    assert [str(gene.region) for gene in found] == ["chr20:100-400", "chr20:5,000-5,200", "chr3:100-300"]
    assert {gene.name for gene in found} == {"DUP"}
    assert GeneTileset("g", "g", Axis(SIZES), "none", found).find("dup") == found[0], "the longest"


GTF_LINE = "chr20\tx\texon\t{}\t{}\t.\t+\t.\t{}\n"
BED_LINE = "chr20\t10\t{}\tN\t0\t+\t10\t10\t0\t{}\n"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.gtf", "#x\n" + GTF_LINE.format("ten", 20, 'gene_id "a";'), r"line 2: .*found 'ten' and '20'"),
        ("a.gtf", GTF_LINE.format(20, 10, 'gene_id "a";'), "line 1: .*the span 20 to 10 is empty, reversed"),
        ("a.gtf", GTF_LINE.format(0, 10, 'gene_id "a";'), "line 1: .*out of bounds"),
        ("a.gtf", GTF_LINE.format(1, 10, 'transcript_id "a";'), "line 1: .*no gene_id"),
        ("a.gtf", "chr20 x exon 1 2\n", "line 1: .*9 columns.*found 1"),
        ("a.gtf", GTF_LINE.format(1, 100_001, 'gene_id "a";'), "line 1: a ends at 100,001, past the end of chr20"),
        ("a.gff3", "chr20\tx\tgene\t1\t2\t.\t+\t.\tName=a\n", "line 1: .*no ID="),
        ("a.bed", "chr20\t1\t2\tname\n", "line 1: .*12 columns.*found 4"),
        ("a.bed", BED_LINE.format(30, "2\t5,5\t0"), "line 1: not BED12"),
        ("a.bed", BED_LINE.format(30, "2\t5,50\t0,10"), "line 1: .*exons leave its span"),
        ("a.bed", BED_LINE.format(5, "1\t5\t0"), "line 1: .*the span 10 to 5"),
        ("a.beddb", "no database", "cannot read the genes"),
        ("a.gtf.gz", None, "cannot read the genes"),
        ("a.gtf", "# nothing\n", "holds no genes"),
        ("a.gtf", GTF_LINE.replace("chr20", "scaffold").format(1, 9, 'gene_id "a";'), "no chromosome of it"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, name: str, text: str | None, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode() if text is not None else b"\x1f\x8bbroken")
    with pytest.raises(TracksError, match=said) as caught:
        read_genes(path, SIZES)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_intervals_in_a_database_are_named(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "a.beddb") as database:
        database.execute("CREATE TABLE intervals (fields TEXT, startPos INT)")
        database.execute("INSERT INTO intervals VALUES ('chr20\t1\t2', 1)")
    database.close()
    with pytest.raises(TracksError, match=r"a\.beddb, line 1: .*14 columns, found 3"):
        read_genes(tmp_path / "a.beddb", SIZES)


@pytest.mark.parametrize("name", ["none.gtf", "none.beddb", "none.tsv.gz"])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="there is no gene file"):
        read_genes(tmp_path / name, SIZES)
