from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr

from model.engine.convolution import ConvolutionEngine
from model.engine.folded import fold
from model.folder import Model
from model.residuals import ResidualStore, WindowResiduals
from tracks.errors import TracksError, UsageError
from tracks.genome import Genome
from tracks.grid import BINS, INPUT, WINDOW, input_span
from tracks.method import Ensemble, Method
from tracks.store_admin import holdings

FORMATS = (torch.float32, torch.bfloat16)
LENGTH = 3 * WINDOW + 50


def streams_of(root: Path, dtype: torch.dtype = torch.float32, width: int = 4) -> WindowResiduals:
    return ResidualStore(root).windows("d" * 64, "SQ.abc", LENGTH, width, "fp32-single", dtype)


def random_stream(dtype: torch.dtype, width: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(8)
    stream = torch.randn(1, width, 1, BINS, generator=generator).to(dtype)
    stream[0, 0, 0, :4] = torch.tensor([-0.0, 1e-40, math.inf, math.nan])
    return stream


def words(stream: torch.Tensor) -> torch.Tensor:
    return stream.contiguous().view(torch.int32 if stream.dtype == torch.float32 else torch.int16)


@pytest.mark.parametrize("dtype", FORMATS)
def test_a_stream_comes_back_bit_for_bit(tmp_path: Path, dtype: torch.dtype) -> None:
    windows, stream = streams_of(tmp_path, dtype), random_stream(dtype)
    assert windows.read(1) is None
    assert not windows.known().any()
    windows.write(1, stream)
    found = streams_of(tmp_path, dtype).read(1)
    assert found is not None
    assert found.dtype == dtype
    assert found.shape == stream.shape
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(words(found), words(stream))
    assert windows.known().tolist() == [False, True, False, False]


@pytest.mark.parametrize("dtype", FORMATS)
def test_what_is_read_of_it_is_what_sequence_gives(
    tmp_path: Path, deep_model: Model, genome: Genome, dtype: torch.dtype
) -> None:
    engine = ConvolutionEngine(fold(deep_model.network.trunk), torch.device("cpu"), dtype)
    start, _ = input_span(1)
    stream = engine.stream(torch.from_numpy(genome.codes("chr1", start, start + INPUT))[None])
    windows = streams_of(tmp_path, dtype, engine.folded.width)
    windows.write(1, stream)
    kept = windows.read(1)
    assert kept is not None
    assert torch.equal(engine.embedding(kept), engine.embedding(stream))
    assert float(engine.embedding(kept).std()) > 0.01


@pytest.mark.parametrize("place", [0, 100, -1])
def test_a_damaged_stream_is_none_and_can_be_written_again(tmp_path: Path, place: int) -> None:
    windows, stream = streams_of(tmp_path), random_stream(torch.float32)
    windows.write(0, stream)
    (chunk,) = (path for path in windows.folder.joinpath("c").rglob("*") if path.is_file())
    content = bytearray(chunk.read_bytes())
    assert len(content) == BINS * 4 * 4 + 4
    content[place] ^= 1
    chunk.write_bytes(content)
    assert windows.read(0) is None
    chunk.write_bytes(content[:10])
    assert windows.read(0) is None
    windows.write(0, stream)
    found = windows.read(0)
    assert found is not None
    assert torch.equal(words(found), words(stream))


def test_any_zarr_reader_opens_them(tmp_path: Path) -> None:
    for dtype in FORMATS:
        windows, stream = streams_of(tmp_path / str(dtype), dtype), random_stream(dtype)
        windows.write(2, stream)
        array = zarr.open_array(windows.folder, mode="r")
        assert array.attrs["number_format"] == str(dtype).removeprefix("torch.")
        assert array.attrs["method"] == "fp32-single"
        rows = torch.from_numpy(np.asarray(array[2 * BINS : 3 * BINS]))
        assert torch.equal(words(rows.view(dtype)), words(stream[0, :, 0].T))


def test_only_single_passes_with_window_edges_are_kept(tmp_path: Path) -> None:
    store = ResidualStore(tmp_path)
    for precision in ("fp32", "winograd", "bf16", "int8"):
        store.windows("d", "SQ.abc", LENGTH, 4, Method(precision).key, torch.float32)
    others = (Method(edges="seamless"), Method(ensemble=Ensemble(reverse_complement=True)), Method("bf16", "seamless"))
    for method in others:
        with pytest.raises(UsageError, match=f"window edges .*, not of '{method.key}'"):
            store.windows("d", "SQ.abc", LENGTH, 4, method.key, torch.float32)
    assert not list(tmp_path.iterdir())


def test_each_trunk_method_and_sequence_has_its_own(tmp_path: Path) -> None:
    store = ResidualStore(tmp_path)
    keys = [
        ("a" * 64, "SQ.x", "fp32-single"),
        ("b" * 64, "SQ.x", "fp32-single"),
        ("a" * 64, "SQ.y", "fp32-single"),
        ("a" * 64, "SQ.x", "winograd-single"),
    ]
    store.windows(*keys[0][:2], LENGTH, 4, keys[0][2], torch.float32).write(0, random_stream(torch.float32))
    known = [
        bool(store.windows(trunk, sequence, LENGTH, 4, method, torch.float32).known().any())
        for trunk, sequence, method in keys
    ]
    assert known == [True, False, False, False]


def test_another_number_format_or_width_is_refused(tmp_path: Path) -> None:
    windows, stream = streams_of(tmp_path), random_stream(torch.float32)
    for wrong in (stream.bfloat16(), stream[..., :-1], stream[:, :3], stream[0]):
        with pytest.raises(ValueError, match=r"are torch.float32 \(1, 4, 1, 896\), not"):
            windows.write(0, wrong)
    with pytest.raises(ValueError, match=r"not as torch.float64"):
        streams_of(tmp_path, torch.float64)
    with pytest.raises(IndexError, match="windows 0 to 3, not 4"):
        windows.write(4, stream)
    windows.write(0, stream)
    with pytest.raises(TracksError, match=r"residual streams .* is of another shape"):
        streams_of(tmp_path, width=5)
    with pytest.raises(TracksError, match=r"residual streams .* array of another kind"):
        streams_of(tmp_path, torch.bfloat16)


def test_a_folder_that_cannot_be_written_to_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    windows = streams_of(tmp_path / "file")
    assert windows.read(0) is None
    with pytest.raises(TracksError, match=r"cannot write to .*Not a directory; give another folder \(--residuals\)"):
        windows.write(0, random_stream(torch.float32))


def test_a_prediction_store_may_lie_in_the_same_folder(tmp_path: Path) -> None:
    streams_of(tmp_path).write(0, random_stream(torch.float32))
    assert holdings(tmp_path) == []
