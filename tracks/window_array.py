"""Arrays on disk that are written window by window: one Zarr v3 chunk a window, known when its chunk is there.

Chunks are read and written here as the files they are: through Zarr's own machinery a window takes a millisecond, as
a file some tens of microseconds. Any Zarr reader opens them.
"""

from __future__ import annotations

import json
import math
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np
from numcodecs import zstd

from tracks.errors import TracksError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


PARTIAL = ".partial"
"""How the names of files end that are being written, which a killed process may leave (as Zarr's own do)."""


@dataclass(frozen=True)
class Codec:
    """How a chunk's bytes are stored: Zarr's words for it, and both ways. ``decode`` raises ValueError for damage."""

    metadata: Mapping[str, Any]
    encode: Callable[[np.ndarray], bytes]
    decode: Callable[[bytes], bytes | memoryview]


def _unzip(stored: bytes) -> bytes:
    try:
        return bytes(zstd.decompress(stored))
    except (RuntimeError, MemoryError) as error:  # a damaged header may ask for any amount of memory
        raise ValueError(str(error)) from error


def _sealed(values: np.ndarray) -> bytes:
    plain = values.tobytes()
    return plain + int(google_crc32c.value(plain)).to_bytes(4, "little")


def _unsealed(stored: bytes) -> memoryview:
    plain = memoryview(stored)[:-4]
    if int(google_crc32c.value(plain.tobytes())).to_bytes(4, "little") != stored[-4:]:
        raise ValueError("the checksum is of other bytes")
    return plain


ZSTD = Codec(
    {"name": "zstd", "configuration": {"level": 1, "checksum": True}},
    lambda values: bytes(zstd.compress(values, level=1, checksum=True)),
    _unzip,
)
CRC32C = Codec({"name": "crc32c"}, _sealed, _unsealed)
"""No compression, and a checksum."""


def put_file(path: Path, content: bytes) -> None:
    """Write a file under another name and rename it, so that its own name never holds half of it. Raises OSError."""
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PARTIAL}")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def array_metadata(
    shape: tuple[int, ...],
    chunk: tuple[int, ...],
    dtype: str,
    fill_value: float,
    codec: Codec | None = None,
    separator: str = "/",
    attributes: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the ``zarr.json`` of an array in chunks ``c/0/0`` of ``chunk``, or ``0.0`` with a dot as ``separator``."""
    order = {"configuration": {"endian": "little"}} if np.dtype(dtype).itemsize > 1 else {}
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunk)}},
        "chunk_key_encoding": {
            "name": "default" if separator == "/" else "v2",
            "configuration": {"separator": separator},
        },
        "fill_value": "NaN" if math.isnan(fill_value) else fill_value,
        "codecs": [{"name": "bytes", **order}, *([dict(codec.metadata)] if codec is not None else [])],
        "attributes": dict(attributes or {}),
        "storage_transformers": [],
    }


class WindowArray:
    """Windows of one shape, ``chunk``, stacked along its first axis; several processes and threads may read and write
    at once.

    Nothing is made on disk before ``open`` or the first ``write``. What is there is looked at before it is used: raises
    TracksError, naming ``what`` the folder is, when it holds an array of another shape or kind, or cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        windows: int,
        chunk: tuple[int, ...],
        dtype: str,
        fill_value: float,
        codec: Codec,
        what: str,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self.windows, self._chunk_shape, self._codec, self._what = windows, chunk, codec, what
        self._dtype = np.dtype(dtype).newbyteorder("<")
        shape = (windows * chunk[0], *chunk[1:])
        self._metadata = array_metadata(shape, chunk, dtype, fill_value, codec, attributes=attributes)
        self._checked = False

    def exists(self) -> bool:
        """Say whether the array is there; raises TracksError when something else is."""
        if not self._checked:
            try:
                found = json.loads((self.folder / "zarr.json").read_bytes())
            except (FileNotFoundError, NotADirectoryError):
                return False
            except (OSError, ValueError) as error:
                raise TracksError(f"cannot open {self._what} {self.folder}: {error}") from error
            self._check(found)
            self._checked = True
        return True

    def _check(self, found: Any) -> None:
        wanted = self._metadata
        try:
            if found["shape"] != wanted["shape"]:
                shape = tuple(found["shape"])
                raise TracksError(f"{self._what} {self.folder} is of another shape, {shape}; remove that folder")
            same = (
                [codec["name"] for codec in found["codecs"]] == [codec["name"] for codec in wanted["codecs"]]
                and found["codecs"][0] == wanted["codecs"][0]
                and found["chunk_key_encoding"]["name"] == "default"
                and found["chunk_key_encoding"].get("configuration", {}).get("separator", "/") == "/"
                and all(found[key] == wanted[key] for key in ("zarr_format", "node_type", "data_type", "chunk_grid"))
            )
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise TracksError(
                f"cannot open {self._what} {self.folder}: its zarr.json is damaged; remove that folder"
            ) from error
        if not same:
            raise TracksError(f"{self._what} {self.folder} holds an array of another kind; remove that folder")
        if wanted["attributes"] and not found.get("attributes"):
            self._told = False

    _told = True
    """False where the array is from before arrays said what they are of."""

    def open(self) -> None:
        """Make the array, unless it is there."""
        try:
            self._make()
        except OSError as error:
            raise TracksError(f"cannot make {self._what} {self.folder}: {error.strerror}") from error

    def _make(self) -> None:
        place = self.folder / "zarr.json"
        if not (self.exists() and self._told and place.exists()):
            self.folder.mkdir(parents=True, exist_ok=True)
            put_file(place, json.dumps(self._metadata, indent=1).encode())
            self._checked = self._told = True

    def chunk_file(self, window: int) -> Path:
        """Return the file that holds one window, when it is known."""
        return self.folder.joinpath("c", str(window), *["0"] * (len(self._chunk_shape) - 1))

    def read(self, index: int) -> np.ndarray | None:
        """Return one window, of the shape of a chunk, or None when it was never written, or is damaged.

        Raises TracksError when its file is there and cannot be read.
        """
        self.exists()
        try:
            stored = self.chunk_file(index).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise TracksError(f"cannot read {self._what} {self.folder}: {error.strerror}") from error
        try:
            return np.frombuffer(self._codec.decode(stored), self._dtype).reshape(self._chunk_shape).copy()
        except ValueError:  # a chunk that the disk lost
            return None

    def write(self, index: int, values: np.ndarray) -> None:
        """Keep one window, of the shape of a chunk. A finished chunk is renamed into place, so that a killed process
        or a full disk leaves no half one. Raises OSError when it cannot be written."""
        if not 0 <= index < self.windows:
            raise IndexError(f"{self.folder} has windows 0 to {self.windows - 1}, not {index}")
        if values.shape != self._chunk_shape:
            raise ValueError(f"a window of {self.folder} has shape {self._chunk_shape}, not {values.shape}")
        stored = self._codec.encode(np.ascontiguousarray(values, self._dtype))
        self._make()
        path = self.chunk_file(index)
        try:
            put_file(path, stored)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            put_file(path, stored)
        # Somebody may have removed the whole array (tracks store prune) after it was opened.
        self._make()

    def known(self) -> np.ndarray:
        """Return which windows were written, bool ``[windows]``."""
        return self._listed(np.zeros(self.windows, bool))

    def _listed(self, trusted: np.ndarray) -> np.ndarray:
        """Which windows have a chunk, from one directory listing; those ``trusted`` only if their folder is there."""
        there = np.zeros(self.windows, bool)
        try:
            names = [entry.name for entry in (self.folder / "c").iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return there
        except OSError as error:
            raise TracksError(f"cannot read {self._what} {self.folder}: {error.strerror}") from error
        for name in names:
            # What a killed process was writing lies there under another name.
            if name.isdecimal() and (index := int(name)) < self.windows:
                there[index] = trusted[index] or self.chunk_file(index).exists()
        return there
