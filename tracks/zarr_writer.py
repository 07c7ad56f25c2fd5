"""A Zarr v3 group with what an HDF5 export holds, written as a stream of chunks.

Beside zarr.json and chunks there is nothing, so any Zarr reader opens it; dimensions are named, as xarray wants them.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from tracks.errors import TracksError
from tracks.files import sync_file, sync_folder
from tracks.grid import BINS
from tracks.window_array import ZSTD, Codec, array_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_CHUNK_VALUES = 1 << 18
"""Values of a chunk, about: 1 MB before compression, of so many whole windows."""

_TEXT_CODECS = [{"name": "vlen-utf8", "configuration": {}}, dict(ZSTD.metadata)]


class ZarrWriter:
    """A group being written to the folder ``path``, which must not be there. Raises OSError.

    ``values/<chromosome>`` is float32 ``[bins, tracks]`` with the chromosome's ``length`` as attribute; ``regions``
    is a group of columns: ``chrom``, ``start``, ``end`` (0-based half-open) and ``row``.
    """

    def __init__(self, path: Path, tracks: int, chrom_sizes: Mapping[str, int], attributes: Mapping[str, Any]) -> None:
        self._path, self._tracks, self._sizes = path, tracks, chrom_sizes
        path.mkdir()
        _group(path, attributes)
        _group(path / "values")
        self._held = np.empty((BINS * max(1, _CHUNK_VALUES // (BINS * tracks)), tracks), np.float32)
        self._chrom, self._rows = "", 0

    def append(self, chrom: str, values: np.ndarray) -> int:
        """Append rows float32 ``[bins, tracks]`` of a chromosome, all of one before the next; return the first's."""
        if chrom != self._chrom:
            self._end_chrom()
            self._chrom, self._rows = chrom, 0
        first, done = self._rows, 0
        while done < len(values):
            at = self._rows % len(self._held)
            count = min(len(self._held) - at, len(values) - done)
            self._held[at : at + count] = values[done : done + count]
            self._rows += count
            done += count
            if at + count == len(self._held):
                self._write_held()
        return first

    def _write_held(self) -> None:
        number = (self._rows - 1) // len(self._held)
        _chunk(self._path / "values" / self._chrom / "c" / str(number) / "0", ZSTD, self._held)

    def _end_chrom(self) -> None:
        if not self._rows:
            return
        if rest := self._rows % len(self._held):
            self._held[rest:] = np.nan
            self._write_held()
        metadata = array_metadata(
            (self._rows, self._tracks),
            self._held.shape,
            "float32",
            np.nan,
            ZSTD,
            attributes={"length": self._sizes[self._chrom]},
        )
        # In one xarray data set a name is one length, so each chromosome's bins have their own.
        metadata["dimension_names"] = [f"{self._chrom}_bin", "track"]
        _write_json(self._path / "values" / self._chrom, metadata)

    def close(self, regions: Sequence[tuple[str, int, int, int]]) -> None:
        """Write what is held, and the table of regions: chromosome, start, end and first row of each."""
        self._end_chrom()
        folder = self._path / "regions"
        _group(folder)
        shape = (len(regions),)
        chroms = [region[0] for region in regions]
        texts = array_metadata(shape, shape, "int8", 0, ZSTD)
        texts |= {"data_type": "string", "fill_value": "", "codecs": _TEXT_CODECS, "dimension_names": ["region"]}
        _write_json(folder / "chrom", texts)
        _put(folder / "chrom" / "c" / "0", ZSTD.encode(np.frombuffer(_vlen_utf8(chroms), np.uint8)))
        for column, name in enumerate(("start", "end", "row"), 1):
            metadata = array_metadata(shape, shape, "int64", 0, ZSTD)
            metadata["dimension_names"] = ["region"]
            _write_json(folder / name, metadata)
            _chunk(folder / name / "c" / "0", ZSTD, np.array([region[column] for region in regions], "<i8"))


def _vlen_utf8(texts: Sequence[str]) -> bytes:
    """Texts as Zarr's codec of that name has them: how many, then the bytes of each behind their number."""
    encoded = [text.encode() for text in texts]
    pairs = itertools.chain.from_iterable((struct.pack("<I", len(text)), text) for text in encoded)
    return struct.pack("<I", len(encoded)) + b"".join(pairs)


def _group(folder: Path, attributes: Mapping[str, Any] | None = None) -> None:
    _write_json(folder, {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes or {})})


def _write_json(folder: Path, content: Mapping[str, Any]) -> None:
    _put(folder / "zarr.json", json.dumps(content, indent=1).encode())


def _chunk(path: Path, codec: Codec, values: np.ndarray) -> None:
    _put(path, codec.encode(np.ascontiguousarray(values, values.dtype.newbyteorder("<"))))


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """Yield the name of a folder beside ``path`` to make; on success it replaces what is at ``path``, and on any
    failure it is removed.

    Its content is on the disk before it gets its name. Raises TracksError when it cannot be written.
    """
    beside = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    replaced = path.with_name(f".{path.stem}.{os.getpid()}.replaced{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove(beside)
        yield beside
        for made in beside.rglob("*"):
            (sync_folder if made.is_dir() else sync_file)(made)
        if path.exists():
            path.rename(replaced)
        try:
            beside.rename(path)
        except OSError:
            if replaced.exists():
                replaced.rename(path)
            raise
        sync_folder(path.parent)
        remove(replaced)
    except OSError as error:
        raise TracksError(f"cannot write {path}: {error.strerror}") from error
    finally:
        remove(beside)


def remove(path: Path) -> None:
    """Remove a file, a whole folder or a link, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
