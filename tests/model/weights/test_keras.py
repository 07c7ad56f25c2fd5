from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.folder import load_trunk
from model.trunk import TrunkConfig
from model.weights import Choices, import_weights
from model.weights.importing import read_weights
from model.weights.keras import read_keras
from model.weights.layers import Conv, conv_shapes, tower_growth, trunk_config
from tests.model.weights.conftest import LAYOUTS, KerasLayer, computed, relative, with_weights, write_keras
from tracks.errors import TracksError

Expected = dict[str, np.ndarray]
BAR = 5e-6
"""Relative error that float32 leaves between Keras and this trunk; two GELUs differ by more."""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_of_each_layout_computes_what_keras_computes(
    layout: str, golden: dict[str, Path], expected: Expected, tmp_path: Path
) -> None:
    import_weights(golden[layout], tmp_path)
    embedding, labels = computed(tmp_path, expected["codes"])
    assert relative(embedding, expected["embedding_tanh"]) < BAR
    assert relative(labels, expected["labels_tanh"]) < BAR


@pytest.mark.parametrize("gelu", ["tanh", "sigmoid", "erf"])
def test_each_gelu_is_the_keras_one(gelu: str, golden: dict[str, Path], expected: Expected, tmp_path: Path) -> None:
    import_weights(golden["keras2_model.h5"], tmp_path, Choices(gelu=gelu))  # type: ignore[arg-type]
    assert load_trunk(tmp_path).config.gelu == gelu
    embedding, labels = computed(tmp_path, expected["codes"])
    assert relative(embedding, expected[f"embedding_{gelu}"]) < BAR
    assert relative(labels, expected[f"labels_{gelu}"]) < BAR
    others = {"tanh", "sigmoid", "erf"} - {gelu}
    assert all(relative(embedding, expected[f"embedding_{other}"]) > 10 * BAR for other in others)


def test_the_shape_of_the_trunk_is_read_off_the_weights(golden: dict[str, Path]) -> None:
    made = TrunkConfig(
        stem_filters=5, tower_filters=4, tower_growth=1.2, residual_filters=6, residual_blocks=3, embedding_filters=7
    )
    for layout in LAYOUTS:
        contents = read_weights(golden[layout])
        assert contents.trunk is not None
        assert contents.trunk[0] == made


def test_names_of_layers_say_nothing(layers: list[KerasLayer], expected: Expected, tmp_path: Path) -> None:
    """Session counters in no order, groups made in no order: the attribute layer_names alone has the order."""
    shuffled = random.Random(3)
    counters = [f"conv1d_{counter}" for counter in shuffled.sample(range(2, 400), len(layers))]
    renamed = [KerasLayer(name, layer.weights) for name, layer in zip(counters, layers, strict=True)]
    assert sorted(counters) != counters
    path = write_keras(tmp_path / "odd.h5", renamed, made=lambda given: shuffled.sample(given, len(given)))
    import_weights(path, tmp_path / "model")
    assert relative(computed(tmp_path / "model", expected["codes"])[0], expected["embedding_tanh"]) < BAR


def test_the_fourth_layout_is_read_by_number_and_not_by_alphabet(golden: dict[str, Path]) -> None:
    with h5py.File(golden["keras3.weights.h5"]) as file:
        alphabet = [name for name in file["layers"] if name.startswith("conv1d")]
    found = [conv.name for conv in read_keras(golden["keras3.weights.h5"]).layers.convs]
    assert found == ["conv1d", *(f"conv1d_{number}" for number in range(1, 14))]
    assert sorted(found) == sorted(alphabet) != found


def test_the_fourth_layout_as_keras_2_named_its_group(golden: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "old.weights.h5"
    path.write_bytes(golden["keras3.weights.h5"].read_bytes())
    with h5py.File(path, "a") as file:
        file.move("layers", "_layer_checkpoint_dependencies")
    found, wanted = read_weights(path).trunk, read_weights(golden["keras3.weights.h5"]).trunk
    assert found is not None
    assert wanted is not None
    assert found[0] == wanted[0]
    assert all(torch.equal(value, wanted[1][key]) for key, value in found[1].items())


def test_layer_names_that_keras_had_to_split(layers: list[KerasLayer], expected: Expected, tmp_path: Path) -> None:
    path = write_keras(tmp_path / "split.h5", layers)
    with h5py.File(path, "a") as file:
        root = file["model_weights"]
        names = root.attrs["layer_names"]
        del root.attrs["layer_names"]
        root.attrs["layer_names0"], root.attrs["layer_names1"] = names[:30], names[30:]
    import_weights(path, tmp_path / "model")
    assert relative(computed(tmp_path / "model", expected["codes"])[0], expected["embedding_tanh"]) < BAR


def test_a_trunk_without_a_head(layers: list[KerasLayer], tmp_path: Path) -> None:
    trunk = [layer for layer in layers if "bias:0" not in layer.weights]
    found = import_weights(write_keras(tmp_path / "trunk.h5", trunk), tmp_path / "model")
    assert found.head is None
    assert found.trunk is not None
    assert not (tmp_path / "model" / "heads").exists()


def _refused(path: Path) -> str:
    with pytest.raises(TracksError) as caught:
        read_weights(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_a_wrong_shape_names_the_layer_and_both_shapes(layers: list[KerasLayer], tmp_path: Path) -> None:
    convs = with_weights(layers, "kernel")
    second = convs[9]  # 1 stem, 6 tower, 2 of the first residual block: the next is the second block's first
    second.weights["kernel:0"] = np.zeros((3, 10, 5), np.float32)
    message = _refused(write_keras(tmp_path / "bad.h5", layers))
    assert f"layer {second.name} (residual block 2, 1st convolution)" in message
    assert "expected a kernel of width 3 from 10 to 6 channels, found a kernel of width 3 from 10 to 5" in message


def test_another_number_of_layers(layers: list[KerasLayer], tmp_path: Path) -> None:
    without_conv = [layer for layer in layers if layer is not with_weights(layers, "kernel")[-1]]
    assert "expected 8 convolutions and 2 for each residual block (Basenji2 has 30), found 13" in _refused(
        write_keras(tmp_path / "conv.h5", without_conv)
    )
    without_norm = [layer for layer in layers if layer is not with_weights(layers, "gamma")[3]]
    assert "expected a BatchNorm for each convolution, 14, found 13" in _refused(
        write_keras(tmp_path / "norm.h5", without_norm)
    )


def test_batchnorms_out_of_order(layers: list[KerasLayer], tmp_path: Path) -> None:
    norms = with_weights(layers, "gamma")
    norms[1].weights, norms[6].weights = norms[6].weights, norms[1].weights
    message = _refused(write_keras(tmp_path / "bad.h5", layers))
    assert f"layer {norms[1].name} (tower block 1): expected 4 x 4 numbers" in message
    assert "found 10" in message


@pytest.mark.parametrize(
    ("weight", "value", "says"),
    [
        ("moving_variance:0", -0.5, "expected variances of 0 or more, found -0.5"),
        ("beta:0", np.nan, "found NaN or infinity"),
        ("gamma:0", np.inf, "found NaN or infinity"),
    ],
)
def test_numbers_that_no_layer_has(
    weight: str, value: float, says: str, layers: list[KerasLayer], tmp_path: Path
) -> None:
    norm = with_weights(layers, "gamma")[5]
    norm.weights[weight][2] = value
    message = _refused(write_keras(tmp_path / "bad.h5", layers))
    assert f"layer {norm.name}" in message
    assert says in message


def test_layers_that_basenji2_does_not_have(layers: list[KerasLayer], tmp_path: Path) -> None:
    biased = KerasLayer("conv1d_99", {"kernel:0": np.ones((5, 4, 4), "f4"), "bias:0": np.ones(4, "f4")})
    message = _refused(write_keras(tmp_path / "bias.h5", [biased, *layers]))
    assert "layer conv1d_99 holds kernel 5 x 4 x 4, bias 4; expected a convolution (kernel of 3 dimensions" in message
    dense = KerasLayer("dense_2", with_weights(layers, "bias")[0].weights)
    assert "it has 2 dense layers (dense, dense_2); expected 1 or none" in _refused(
        write_keras(tmp_path / "dense.h5", [*layers, dense])
    )


def test_a_dense_head_of_another_width(layers: list[KerasLayer], tmp_path: Path) -> None:
    with_weights(layers, "bias")[0].weights["kernel:0"] = np.zeros((8, 5), np.float32)
    message = _refused(write_keras(tmp_path / "bad.h5", layers))
    assert "layer dense (the dense head): expected weights for 7 channels" in message
    assert "found 8 channels, 5 targets and 5 biases" in message


def test_files_that_are_not_whole(golden: dict[str, Path], tmp_path: Path) -> None:
    for layout in LAYOUTS:
        whole = golden[layout].read_bytes()
        for part in (0.0005, 0.01, 0.3, 0.7, 0.99):
            path = tmp_path / f"{part}-{layout}"
            path.write_bytes(whole[: max(9, int(len(whole) * part))])
            assert "it is not whole HDF5" in _refused(path)


@pytest.mark.parametrize("seed", range(20))
def test_broken_bytes_are_refused_or_harmless(seed: int, golden: dict[str, Path], tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(golden[LAYOUTS[seed % 4]].read_bytes())
    for at in rng.integers(100, len(data), 400):
        data[at] = rng.integers(256)
    path = tmp_path / "broken.h5"
    path.write_bytes(data)
    with contextlib.suppress(TracksError):
        read_weights(path)


def test_hdf5_that_is_not_keras(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["embeddings"] = np.zeros(4)
    assert "it is HDF5 without Keras layers" in _refused(tmp_path / "other.h5")


def test_weights_that_lie_in_another_file(layers: list[KerasLayer], tmp_path: Path) -> None:
    """HDF5 can point to any other file; a file from elsewhere should not make this one read it."""
    secret = tmp_path / "secret.h5"
    norm = with_weights(layers, "gamma")[0]
    with h5py.File(secret, "w") as file:
        file["values"] = norm.weights["gamma:0"]
    (tmp_path / "raw").write_bytes(norm.weights["beta:0"].tobytes())
    for name in ("gamma:0", "beta:0"):
        path = write_keras(tmp_path / f"{name[:4]}.h5", layers)
        with h5py.File(path, "a") as file:
            group = file["model_weights"][norm.name][norm.name]
            del group[name]
            if name == "gamma:0":
                group[name] = h5py.ExternalLink(str(secret), "values")
            else:
                group.create_dataset(name, (5,), "f4", external=str(tmp_path / "raw"))
        assert f"{norm.name}/{name} lies in another file" in _refused(path)


def test_a_layer_that_claims_all_memory(layers: list[KerasLayer], tmp_path: Path) -> None:
    path = write_keras(tmp_path / "bomb.h5", layers)
    dense = with_weights(layers, "bias")[0].name
    with h5py.File(path, "a") as file:
        del file["model_weights"][dense][dense]["kernel:0"]
        file["model_weights"][dense][dense].create_dataset("kernel:0", (10**6, 10**6), "f4", chunks=(100, 100))
    assert path.stat().st_size < 10**6
    assert "claims 1,000,000,000,000 numbers" in _refused(path)


def _model_config(path: Path, **changes: object) -> str:
    """Return the model's JSON with one field of every layer that has it changed."""
    with h5py.File(path) as file:
        described = json.loads(file.attrs["model_config"])
    for layer in described["config"]["layers"]:
        for field, value in changes.items():
            if field in layer["config"]:
                layer["config"][field] = value
    return json.dumps(described)


def test_what_a_file_says_of_itself_is_used_where_weights_say_nothing(
    golden: dict[str, Path], layers: list[KerasLayer], tmp_path: Path
) -> None:
    path = golden["keras2_model.h5"]
    found = read_keras(path).recorded
    assert (found.gelu, found.epsilon, found.crop) == ("tanh", 1e-3, 64)
    assert found.dilations[7:-1:2] == (1, 2, 3)

    steep = write_keras(tmp_path / "epsilon.h5", layers, model_config=_model_config(path, epsilon=0.01))
    assert read_weights(steep).trunk[0].batch_norm_epsilon == 0.01  # type: ignore[index]
    assert read_weights(steep, Choices(epsilon=0.002)).trunk[0].batch_norm_epsilon == 0.002  # type: ignore[index]

    flat = write_keras(tmp_path / "flat.h5", layers, model_config=_model_config(path, dilation_rate=[1]))
    assert read_weights(flat).trunk[0].dilations() == (1, 1, 1)  # type: ignore[index]
    even = write_keras(tmp_path / "even.h5", layers, model_config=_model_config(path, dilation_rate=[2]))
    assert "dilations 2, 2, 2; expected 1 and then a fixed factor more" in _refused(even)
    crop = write_keras(tmp_path / "crop.h5", layers, model_config=_model_config(path, cropping=[32, 32]))
    assert "crops 32 bins a side; expected 64" in _refused(crop)

    lies = write_keras(tmp_path / "lies.h5", layers, model_config=_model_config(path, filters=99, kernel_size=[99]))
    assert read_weights(lies).trunk[0] == read_weights(path).trunk[0]  # type: ignore[index]
    nonsense = write_keras(tmp_path / "nonsense.h5", layers, model_config="{]")
    assert read_weights(nonsense).trunk[0] == read_weights(path).trunk[0]  # type: ignore[index]


def test_another_gelu_in_the_file_is_told(golden: dict[str, Path], layers: list[KerasLayer], tmp_path: Path) -> None:
    """The published file has Basenji's own GELU layers of 2020; the heads were trained on tanh."""
    with h5py.File(golden["keras2_model.h5"]) as file:
        described = json.loads(file.attrs["model_config"])
    for layer in described["config"]["layers"]:
        if layer["class_name"] == "TFOpLambda":
            layer["class_name"] = "GELU"
    path = write_keras(tmp_path / "2020.h5", layers, model_config=json.dumps(described))
    assert "made with GELU 'sigmoid'; it is imported with 'tanh'" in read_weights(path).notes[0]
    assert read_weights(path, Choices(gelu="sigmoid")).notes == ()


def _convs(config: TrunkConfig) -> list[Conv]:
    """A trunk's convolutions, of zeros that take no memory."""
    return [
        Conv(f"conv1d_{place}", np.broadcast_to(np.float32(0), (shape.channels_out, shape.channels_in, shape.width)))
        for place, shape in enumerate(conv_shapes(config))
    ]


def test_basenji2_is_known_by_its_shapes() -> None:
    assert len(_convs(TrunkConfig())) == 30
    assert trunk_config(_convs(TrunkConfig())) == TrunkConfig()


def test_what_is_mostly_basenji2_is_held_against_it() -> None:
    convs = _convs(TrunkConfig())
    convs[4] = Conv("conv1d_4", np.broadcast_to(np.float32(0), (555, 470, 5)))
    with pytest.raises(
        TracksError, match=r"layer conv1d_4 \(tower block 4\): expected a kernel of width 5 from 470 to 554"
    ):
        trunk_config(convs)
    del convs[27:29]
    with pytest.raises(TracksError, match=r"expected 30 convolutions .* found 28"):
        trunk_config(convs)


@given(
    config=st.builds(
        TrunkConfig,
        stem_filters=st.integers(1, 300),
        stem_kernel=st.integers(0, 9).map(lambda half: 2 * half + 1),
        tower_filters=st.integers(1, 200),
        tower_growth=st.floats(1.0, 1.6),
        tower_kernel=st.sampled_from([1, 3, 5, 7]),
        residual_filters=st.integers(1, 400),
        residual_kernel=st.sampled_from([1, 3, 5]),
        residual_blocks=st.integers(1, 14),
        embedding_filters=st.integers(1, 2000),
    )
)
def test_every_shape_of_trunk_is_found_again(config: TrunkConfig) -> None:
    found = trunk_config(_convs(config))
    assert conv_shapes(found) == conv_shapes(config)
    assert found.dilations() == config.dilations()


def test_kernels_that_cannot_be_centred(layers: list[KerasLayer], tmp_path: Path) -> None:
    conv = with_weights(layers, "kernel")[0]
    conv.weights["kernel:0"] = conv.weights["kernel:0"][1:]
    assert f"layer {conv.name}: expected a kernel of odd width, found a kernel of width 14" in _refused(
        write_keras(tmp_path / "even.h5", layers)
    )


@given(first=st.integers(2, 700), growth=st.floats(1.0, 2.0))
def test_a_growth_is_found_for_every_tower(first: int, growth: float) -> None:
    widths = TrunkConfig(tower_filters=first, tower_growth=growth).tower_widths()
    assert TrunkConfig(tower_filters=first, tower_growth=tower_growth(widths)).tower_widths() == widths


def test_growths_are_short_numbers() -> None:
    assert tower_growth(TrunkConfig().tower_widths()) == pytest.approx(1.1776, abs=1e-3)
    assert tower_growth((64,) * 6) == 1
    with pytest.raises(TracksError, match=r"the tower's filters are 4, 5, 6, 9, 9, 20; expected each block"):
        tower_growth((4, 5, 6, 9, 9, 20))


def test_weights_arrive_as_float32(layers: list[KerasLayer], tmp_path: Path) -> None:
    for layer in layers:
        layer.weights = {name: values.astype(np.float64) for name, values in layer.weights.items()}
    contents = read_weights(write_keras(tmp_path / "double.h5", layers))
    assert contents.trunk is not None
    floats = [value for value in contents.trunk[1].values() if value.is_floating_point()]
    assert {value.dtype for value in floats} == {torch.float32}
