"""A reference genome: an indexed FASTA file, read as base codes."""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import pysam

from tracks.digest_memory import DigestMemory
from tracks.errors import TracksError, UsageError
from tracks.htslib import quiet
from tracks.regions import check_chrom

if TYPE_CHECKING:
    from types import TracebackType

N = 4
"""The code of an unknown base; A, C, G, T are 0, 1, 2, 3."""

_NOT_DNA = 255
_CODES = np.full(256, _NOT_DNA, np.uint8)
for _letters, _code in (("Aa", 0), ("Cc", 1), ("Gg", 2), ("Tt", 3), ("NnXxRrYySsWwKkMmBbDdHhVv", N)):
    _CODES[np.frombuffer(_letters.encode(), np.uint8)] = _code

_DIGEST_PIECE = 1 << 23


def demo_genome() -> Path:
    """Return the embedded part of hg19 (chr20 and chr22; real bases where the demo looks, N elsewhere)."""
    return Path(__file__).parent / "demo" / "hg19_demo.fa.gz"


def demo_project() -> Path:
    """Return the project file of the data that ships with the package."""
    return demo_genome().with_name("tracks.toml")


class Genome:
    """A FASTA file (plain or bgzip) with its index, which is built beside it when missing.

    Lower case counts as upper case; IUPAC ambiguity codes count as N. Safe for several threads.
    Raises TracksError when the file cannot be read, indexed, or is not DNA.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._local = threading.local()
        self._digests: dict[str, str] = {}
        self._memory: DigestMemory | None = None
        _ensure_index(self.path)
        handle = self._handle()
        self.chrom_sizes: dict[str, int] = dict(zip(handle.references, handle.lengths, strict=True))
        """Length of each chromosome, in the order of the file."""
        if not self.chrom_sizes:
            raise TracksError(f"{self.path} holds no sequence: a FASTA file starts with a line like >chr1")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle().close()
        del self._local.handle

    def _handle(self) -> pysam.FastaFile:
        # htslib handles hold a file position, so each thread has its own.
        if not hasattr(self._local, "handle"):
            try:
                with quiet():
                    self._local.handle = pysam.FastaFile(str(self.path))
            except (OSError, ValueError) as error:
                raise TracksError(
                    f"cannot read the FASTA file {self.path}: {error}; "
                    f"if its index is damaged, delete {self.path}.fai and run again"
                ) from error
        handle: pysam.FastaFile = self._local.handle
        return handle

    def codes(self, chrom: str, start: int, end: int) -> np.ndarray:
        """Return base codes uint8 ``[end - start]`` of ``[start, end)``, 0-based; N (4) outside the chromosome.

        Raises UsageError for an unknown chromosome, TracksError where the file holds something that is not DNA.
        """
        check_chrom(chrom, self.chrom_sizes, str(self.path))
        codes = np.full(end - start, N, np.uint8)
        first, last = max(start, 0), min(end, self.chrom_sizes[chrom])
        if first < last:
            codes[first - start : last - start] = _encode(self._fetch(chrom, first, last), chrom, first, self.path)
        return codes

    def remember(self, folder: Path) -> None:
        """Keep digests in a folder, and use those that are kept there; the first folder counts."""
        if self._memory is None:
            self._memory = DigestMemory(folder)
            sizes = self.chrom_sizes
            self._digests |= {name: kept for name, kept in self._memory.recall(self.path).items() if name in sizes}

    def digest(self, chrom: str) -> str:
        """Return the chromosome's GA4GH refget digest, ``SQ.`` and 32 characters: the same for plain and bgzip,
        soft-masked and not (https://samtools.github.io/hts-specs/refget.html)."""
        if chrom not in self._digests:
            check_chrom(chrom, self.chrom_sizes, str(self.path))
            sha = hashlib.sha512()
            for start in range(0, self.chrom_sizes[chrom], _DIGEST_PIECE):
                end = min(start + _DIGEST_PIECE, self.chrom_sizes[chrom])
                sha.update(self._fetch(chrom, start, end).upper())
            self._digests[chrom] = "SQ." + base64.urlsafe_b64encode(sha.digest()[:24]).decode()
            if self._memory is not None:
                self._memory.keep(self.path, {chrom: self._digests[chrom]})
        return self._digests[chrom]

    def _fetch(self, chrom: str, start: int, end: int) -> bytes:
        try:
            with quiet():
                sequence = self._handle().fetch(chrom, start, end).encode()
        except (OSError, ValueError) as error:
            raise TracksError(
                f"cannot read {chrom}:{start + 1:,}-{end:,} from {self.path}: {error}; "
                "its index may be of another file (delete the .fai and run again)"
            ) from error
        if len(sequence) != end - start:
            raise TracksError(
                f"{self.path} ends early: {chrom}:{start + 1:,}-{end:,} gave {len(sequence):,} bases; "
                "its index may be of another file (delete the .fai and run again)"
            )
        return sequence


def _encode(sequence: bytes, chrom: str, start: int, path: Path) -> np.ndarray:
    codes: np.ndarray = _CODES[np.frombuffer(sequence, np.uint8)]
    bad = codes == _NOT_DNA
    if bad.any():
        at = int(bad.argmax())
        raise TracksError(f"{path} is not DNA: {chrom}, base {start + at + 1:,} is '{chr(sequence[at])}'")
    return codes


def _ensure_index(path: Path) -> None:
    """Build the .fai (and .gzi, for bgzip) beside a FASTA file, unless they are there."""
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except FileNotFoundError as error:
        raise UsageError(f"there is no FASTA file {path}") from error
    except OSError as error:
        raise TracksError(f"cannot read the FASTA file {path}: {error.strerror}") from error
    if not head:
        raise TracksError(f"{path} is empty: a FASTA file starts with a line like >chr1")
    bgzip = head[:2] == b"\x1f\x8b"
    if bgzip and head[3] & 4 == 0:
        raise TracksError(f"{path} is gzip, which cannot be read by position; recompress it: gunzip it, then bgzip it")
    if not bgzip and head[:1] != b">":
        raise TracksError(f"{path} is not FASTA: it should start with '>', and starts with {head[:1]!r}")
    indexes = [Path(f"{path}.fai"), *([Path(f"{path}.gzi")] if bgzip else [])]
    if all(index.is_file() and index.stat().st_size for index in indexes):
        return
    if not os.access(path.parent, os.W_OK):
        raise TracksError(
            f"{path} has no index and its folder is not writable; copy it to a folder of yours, "
            f"or have its owner run: samtools faidx {path}"
        )
    beside = [index.with_name(f"{index.name}.{os.getpid()}.partial") for index in indexes]
    try:
        options = ["--fai-idx", str(beside[0]), *(["--gzi-idx", str(beside[1])] if bgzip else [])]
        with quiet():
            pysam.faidx(*options, str(path))
        for made, final in zip(beside, indexes, strict=True):
            made.replace(final)
    except pysam.utils.SamtoolsError as error:
        raise TracksError(
            f"cannot index the FASTA file {path}: it is cut short, or not a line like >chr1 and lines of one length "
            "(but for the last) for each sequence"
        ) from error
    except OSError as error:
        raise TracksError(f"cannot index the FASTA file {path}: {error.strerror}") from error
    finally:
        for made in beside:
            made.unlink(missing_ok=True)
