"""Window by window, chunks are files that any Zarr reader and writer agrees on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr

from tracks.errors import TracksError
from tracks.window_array import CRC32C, ZSTD, Codec, WindowArray

RNG = np.random.default_rng(2)
KINDS = [
    ((5, 3), "float32", float("nan"), ZSTD, zarr.codecs.ZstdCodec(level=1)),
    ((5,), "uint8", 0, ZSTD, zarr.codecs.ZstdCodec(level=1)),
    ((1, 4, 6), "float16", 0.0, CRC32C, zarr.codecs.Crc32cCodec()),
]
kinds = pytest.mark.parametrize(("chunk", "dtype", "fill", "codec", "of_zarr"), KINDS)


def array_of(folder: Path, chunk: tuple[int, ...], dtype: str, fill: float, codec: Codec) -> WindowArray:
    return WindowArray(folder / "array", 7, chunk, dtype, fill, codec, "the array")


@kinds
def test_zarr_reads_what_is_written(
    tmp_path: Path, chunk: tuple[int, ...], dtype: str, fill: float, codec: Codec, of_zarr: object
) -> None:
    array = array_of(tmp_path, chunk, dtype, fill, codec)
    values = RNG.integers(0, 200, chunk).astype(dtype)
    array.write(4, values)
    np.testing.assert_array_equal(array.read(4), values)
    found = np.asarray(zarr.open_array(array.folder, mode="r")[:])
    assert found.dtype == np.dtype(dtype)
    expected = np.full((7 * chunk[0], *chunk[1:]), fill, dtype)
    expected[4 * chunk[0] : 5 * chunk[0]] = values
    np.testing.assert_array_equal(found, expected)
    assert np.flatnonzero(array.known()).tolist() == [4]


@kinds
def test_what_zarr_writes_is_read(
    tmp_path: Path, chunk: tuple[int, ...], dtype: str, fill: float, codec: Codec, of_zarr: object
) -> None:
    made = zarr.create_array(
        tmp_path / "array", shape=(7 * chunk[0], *chunk[1:]), chunks=chunk, dtype=dtype, fill_value=fill,
        compressors=[of_zarr],
    )  # fmt: skip
    values = RNG.integers(0, 200, chunk).astype(dtype)
    made[2 * chunk[0] : 3 * chunk[0]] = values
    array = array_of(tmp_path, chunk, dtype, fill, codec)
    found = array.read(2)
    np.testing.assert_array_equal(found, values)
    assert found is not None
    assert found.flags.writeable
    assert array.read(3) is None
    assert np.flatnonzero(array.known()).tolist() == [2]


@kinds
def test_every_flipped_byte_is_found(
    tmp_path: Path, chunk: tuple[int, ...], dtype: str, fill: float, codec: Codec, of_zarr: object
) -> None:
    array = array_of(tmp_path, chunk, dtype, fill, codec)
    values = RNG.integers(0, 200, chunk).astype(dtype)
    array.write(0, values)
    stored = array.chunk_file(0).read_bytes()
    for at in range(len(stored)):
        for damaged in (stored[:at], stored[:at] + bytes([stored[at] ^ 0x10]) + stored[at + 1 :]):
            array.chunk_file(0).write_bytes(damaged)
            found = array.read(0)
            # A bit of the frame's header may say nothing about the values.
            assert found is None or np.array_equal(found, values)


def test_threads_make_one_array(tmp_path: Path) -> None:
    def write(index: int) -> None:
        array_of(tmp_path, (5,), "uint8", 0, ZSTD).write(index, np.full(5, index, np.uint8))

    for start in range(20):
        with ThreadPoolExecutor(7) as pool:
            list(pool.map(write, range(7)))
        array = array_of(tmp_path, (5,), "uint8", 0, ZSTD)
        assert array.known().all(), start
        assert not list(tmp_path.rglob("*.partial"))
        array.folder.rename(tmp_path / f"done{start}")


def test_what_is_being_written_is_not_known(tmp_path: Path) -> None:
    array = array_of(tmp_path, (5,), "uint8", 0, ZSTD)
    array.write(1, np.ones(5, np.uint8))
    (array.folder / "c" / "2.0a1b.partial").touch()
    assert np.flatnonzero(array.known()).tolist() == [1]
    wide = array_of(tmp_path / "wide", (5, 3), "uint8", 0, ZSTD)
    wide.write(1, np.ones((5, 3), np.uint8))
    (wide.folder / "c" / "2").mkdir()
    (wide.folder / "c" / "2" / "0.0a1b.partial").touch()
    assert np.flatnonzero(wide.known()).tolist() == [1]


def test_another_codec_is_another_kind(tmp_path: Path) -> None:
    array_of(tmp_path, (5,), "uint8", 0, ZSTD).write(0, np.ones(5, np.uint8))
    with pytest.raises(TracksError, match=r"the array .* holds an array of another kind; remove that folder"):
        array_of(tmp_path, (5,), "uint8", 0, CRC32C).read(0)
