"""The 8-bit engine: what its graphs compute is what its numbers say, and that is near float32."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.engine import int8
from model.engine.convolution import ConvolutionEngine
from model.engine.folded import FoldedTrunk, fold
from model.engine.int8 import Int8Engine, calibration_codes, check_int8
from model.engine.onnx_graph import embedding_graph, residual_graph, tower_graph
from model.engine.quantize import STEM_STEP, ByteLayer, Bytes, quantize
from model.folder import Model, demo_model_folder, load_model
from model.heads import head_labels
from model.trunk import GELU, GeluVariant, Trunk, TrunkConfig, one_hot
from tracks.errors import UsageError
from tracks.genome import Genome, demo_genome
from tracks.grid import BIN, BINS, INPUT

CPU = torch.device("cpu")
VARIANTS: tuple[GeluVariant, ...] = ("tanh", "sigmoid", "erf")
VNNI = frozenset({"avx2", "avx512f", "avx512_vnni"})


def random_trunk(gelu: GeluVariant) -> FoldedTrunk:
    """Channels that do not come by fours, BatchNorm that is not the identity."""
    torch.manual_seed(5)
    shape = TrunkConfig(
        stem_filters=10, tower_filters=11, tower_growth=1.2, residual_filters=9, residual_blocks=4, embedding_filters=21
    )
    trunk = Trunk(dataclasses.replace(shape, gelu=gelu)).eval().requires_grad_(False)
    for module in trunk.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(std=0.3)
            module.running_mean.normal_(std=0.3)  # type: ignore[union-attr, operator]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr, operator]
    return fold(trunk)


@pytest.fixture(scope="module")
def engines() -> dict[GeluVariant, Int8Engine]:
    return {gelu: Int8Engine(random_trunk(gelu)) for gelu in VARIANTS}


@pytest.fixture(scope="module")
def codes() -> torch.Tensor:
    """Real sequence that scales do not come from, with N: two inputs of 32,768 bases."""
    with Genome(demo_genome()) as genome:
        found = np.stack([genome.codes("chr20", start, start + 32_768) for start in (11_000_000, 8_990_000)])
    return torch.from_numpy(found)


def distance(x: torch.Tensor, reference: torch.Tensor) -> float:
    return float((x - reference).double().pow(2).mean().sqrt() / reference.double().std())


@given(st.floats(-1e3, 0), st.floats(0, 1e3), st.integers(0, 255))
def test_bytes_hold_zero_and_round_to_the_nearest(low: float, high: float, at: int) -> None:
    kept = Bytes.over(low, high)
    assert 0 <= kept.zero <= 255
    assert kept.carry(torch.zeros(1)).item() == 0
    x = torch.tensor(low + (high - low) * at / 255)
    # Half a step, and another half where zero had to be moved to a whole byte.
    assert abs(kept.carry(x[None]).item() - x.item()) <= 1.001 * kept.scale


def test_what_bytes_do_not_reach_is_cut_off() -> None:
    kept = Bytes.over(-1, 1.55)
    assert kept.carry(torch.tensor([-7.0, 7.0])).tolist() == pytest.approx([-1, 1.55])


def convolved(x: torch.Tensor, layer: ByteLayer) -> torch.Tensor:
    """A layer in float64, as its own words say, of ``[1, in, L]`` as bytes carry it; then max-pooling."""
    weight = torch.from_numpy(layer.weight.astype(np.float64) * layer.scale[:, None, None]).permute(0, 2, 1)
    bias = torch.from_numpy(layer.bias).double()
    y = torch.nn.functional.conv1d(x, weight, bias, padding=layer.reach, dilation=layer.dilation)
    return torch.nn.functional.max_pool1d(y, layer.pool)


def run(graph: bytes, **inputs: np.ndarray) -> list[torch.Tensor]:
    """What a graph gives and, after it, the bytes of each layer of the tower: ``[N, C, positions]``."""
    model = onnx.load_from_string(graph)
    pooled = [node.output[0] for node in model.graph.node if node.op_type == "NhwcMaxPool"]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.UINT8, None) for name in pooled)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    outputs = onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, inputs)
    return [torch.from_numpy(output)[:, 0].transpose(1, 2) for output in outputs]


@pytest.mark.parametrize("gelu", VARIANTS)
def test_each_layer_of_the_tower_computes_what_its_numbers_say(
    engines: dict[GeluVariant, Int8Engine], codes: torch.Tensor, gelu: GeluVariant
) -> None:
    trunk, activate = engines[gelu]._bytes, GELU[gelu]
    tower, *found = run(tower_graph(trunk, signed=True), codes=codes[:1].numpy())
    layers = (trunk.stem, *trunk.tower)
    x = activate(one_hot(codes[:1], torch.float64))
    for layer, following, bytes_found in zip(layers, layers[1:], found, strict=False):
        kept = layer.result
        assert kept is not None
        got = (bytes_found.double() - kept.zero) * kept.scale
        steps = (got - kept.carry(convolved(x, layer))).abs() / kept.scale
        # A number half way between two bytes may round either way.
        assert steps.max() < 1.01
        assert (steps > 0.01).double().mean() < 0.01
        x = following.entry.carry(activate(got))
    assert len(found) == len(layers) - 1
    assert distance(tower, convolved(x, layers[-1])) < 1e-5


@pytest.mark.parametrize("gelu", VARIANTS)
def test_each_residual_block_computes_what_its_numbers_say(
    engines: dict[GeluVariant, Int8Engine], codes: torch.Tensor, gelu: GeluVariant
) -> None:
    trunk, activate = engines[gelu]._bytes, GELU[gelu]
    tower = engines[gelu].tower(codes[:1])
    x = tower[:, :, 0].double()
    for narrow, widen in trunk.residual:
        one = dataclasses.replace(trunk, residual=((narrow, widen),), crop=5)
        (got,) = run(residual_graph(one, signed=True, padded=True), x=tower.permute(0, 2, 3, 1).numpy())
        y = convolved(narrow.entry.carry(activate(x)), narrow)
        expected = x + convolved(widen.entry.carry(activate(y)), widen)
        # A number half way between two bytes may round either way.
        assert (got - expected[..., 5:-5]).abs().median() < 1e-5
        assert distance(got, expected[..., 5:-5]) < 0.002
    (got,) = run(embedding_graph(trunk, signed=True), x=tower.permute(0, 2, 3, 1).numpy())
    expected = activate(convolved(trunk.embed.entry.carry(activate(x)), trunk.embed))
    assert (got - expected).abs().median() < 1e-5


@pytest.mark.parametrize("gelu", VARIANTS)
def test_it_is_near_float32(engines: dict[GeluVariant, Int8Engine], codes: torch.Tensor, gelu: GeluVariant) -> None:
    reference = ConvolutionEngine(random_trunk(gelu), CPU)
    embedding, exact = engines[gelu](codes), reference(codes)
    assert embedding.dtype == torch.float32
    assert embedding.shape == exact.shape == (2, 21, 32_768 // BIN - 128)
    assert distance(embedding, exact) < 0.05
    unpadded = reference.residual_unpadded(reference.tower(codes))
    # As the engine says, its stream is that of the trunk, whereas the reference scales it for the sigmoid GELU.
    unpadded = unpadded / (1.702 if gelu == "sigmoid" else 1)
    mine = engines[gelu].residual_unpadded(engines[gelu].tower(codes))
    assert mine.shape == unpadded.shape
    assert distance(mine, unpadded) < 0.05


def test_unpadded_is_padded_where_no_end_is_seen(engines: dict[GeluVariant, Int8Engine], codes: torch.Tensor) -> None:
    engine = engines["tanh"]
    tower = engine.tower(codes)
    reach, crop = engine.folded.reach, engine.folded.crop
    assert reach < crop
    inner = engine.residual_unpadded(tower)[..., crop - reach : tower.shape[-1] - crop - reach]
    torch.testing.assert_close(inner, engine.residual(tower), rtol=1e-5, atol=1e-5)


def test_a_bin_is_the_same_in_any_input_that_holds_it(
    engines: dict[GeluVariant, Int8Engine], codes: torch.Tensor
) -> None:
    engine = engines["tanh"]
    whole = engine.tower(codes)
    assert torch.equal(engine.tower(codes[1:]), whole[1:])
    part = engine.tower(codes[:, 40 * BIN : 52 * BIN])
    assert torch.equal(part[..., 3:-3], whole[..., 43:49])
    assert not torch.equal(part[..., 0], whole[..., 40])


@pytest.mark.parametrize("strip", [1, 7, 250, 256])
def test_the_strips_of_the_tower_are_not_seen(
    engines: dict[GeluVariant, Int8Engine], codes: torch.Tensor, strip: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,) = run(tower_graph(engines["tanh"]._bytes, signed=True), codes=codes.numpy())[:1]
    monkeypatch.setattr(int8, "_STRIP", strip)
    assert torch.equal(engines["tanh"].tower(codes)[:, :, 0], whole)


def test_every_code_but_acgt_is_n(engines: dict[GeluVariant, Int8Engine]) -> None:
    unknown = torch.tensor([4, 5, 128, 255], dtype=torch.uint8).repeat_interleave(1_024)[None]
    tower = engines["tanh"].tower(unknown)
    assert torch.equal(tower, engines["tanh"].tower(torch.full_like(unknown, 4)))
    assert not torch.equal(tower, engines["tanh"].tower(torch.zeros_like(unknown)))


def test_the_same_trunk_gives_the_same_numbers(engines: dict[GeluVariant, Int8Engine], codes: torch.Tensor) -> None:
    assert torch.equal(Int8Engine(random_trunk("erf"))(codes), engines["erf"](codes))


def test_numbers_do_not_depend_on_the_threads(codes: torch.Tensor) -> None:
    folded = fold(load_model(demo_model_folder(), ("linear",)).network.trunk)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(Int8Engine(folded)(codes))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_unsigned_weights_are_the_same_numbers(
    engines: dict[GeluVariant, Int8Engine], codes: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "cpu_features", lambda: frozenset({"avx2", "avx512f"}))
    monkeypatch.setattr(int8.platform, "machine", lambda: "x86_64")
    engine = Int8Engine(random_trunk("tanh"))
    assert torch.equal(engine(codes), engines["tanh"](codes))
    weights = [x for x in onnx.load_from_string(tower_graph(engine._bytes, engine._signed)).graph.initializer if x.dims]
    assert onnx.TensorProto.INT8 not in {weight.data_type for weight in weights}


def test_weights_of_the_stem_have_two_bytes_and_others_one() -> None:
    folded = random_trunk("tanh")
    trunk = quantize(folded, calibration_codes()[:1])
    for layer, made, steps in ((folded.stem, trunk.stem, 127 * STEM_STEP), (folded.tower[0], trunk.tower[0], 127)):
        assert np.abs(made.weight).max(axis=(1, 2)).tolist() == [steps] * len(made.weight)
        off = made.weight.transpose(0, 2, 1) * made.scale[:, None, None] - layer.weight.numpy()
        assert (np.abs(off) <= 0.51 * made.scale[:, None, None]).all()


def test_each_channel_has_the_mean_that_it_has_in_float32() -> None:
    folded, codes = random_trunk("tanh"), calibration_codes()[:2]
    trunk = quantize(folded, codes)
    exact = ConvolutionEngine(folded, CPU).tower(torch.from_numpy(codes)).mean(dim=(0, 2, 3))
    x = one_hot(torch.from_numpy(codes), torch.float64)
    for layer in (trunk.stem, *trunk.tower):
        x = GELU["tanh"](x) if layer is trunk.stem else layer.entry.carry(GELU["tanh"](x))
        x = convolved(x, layer)
        x = x if layer.result is None else layer.result.carry(x)
    np.testing.assert_allclose(x.mean(dim=(0, 2)), exact, atol=1e-3)


def test_calibration_reads_real_sequence_with_a_little_n() -> None:
    codes = calibration_codes()
    assert codes.shape[0] * codes.shape[1] == INPUT
    assert 0 < (codes == 4).mean() < 0.2
    assert ((codes == 4).mean(axis=1) < 0.4).all()


def test_the_shipped_model_keeps_its_tracks() -> None:
    model: Model = load_model(demo_model_folder(), ("linear",))
    (head,) = model.heads
    folded = fold(model.network.trunk)
    with Genome(demo_genome()) as genome:
        codes = torch.from_numpy(genome.codes("chr20", 49_000_000, 49_000_000 + INPUT))[None]
    exact, labels = (
        head_labels(head.links, model.network.read(engine(codes))[head.name])[0].numpy()
        for engine in (ConvolutionEngine(folded, CPU), Int8Engine(folded))
    )
    assert labels.shape == (len(head.tracks), BINS)
    for mine, reference in zip(labels, exact, strict=True):
        assert np.corrcoef(mine, reference)[0, 1] > 0.99
        assert abs(mine.mean() - reference.mean()) < 0.05 * reference.std()


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=rf"needs the package {package}, .*pip install 'tracks-genome\[int8\]'"):
        Int8Engine(random_trunk("tanh"))


@pytest.mark.parametrize(
    ("machine", "features", "warned"),
    [
        ("x86_64", VNNI, False),
        ("x86_64", frozenset({"avx2", "avx_vnni"}), False),
        ("x86_64", frozenset({"avx2", "avx512f"}), True),
        ("AMD64", frozenset(), True),
        ("aarch64", frozenset({"asimd"}), False),
        ("arm64", frozenset(), False),
    ],
)
def test_a_cpu_that_multiplies_bytes_slowly_is_said_so(
    machine: str, features: frozenset[str], warned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8.platform, "machine", lambda: machine)
    monkeypatch.setattr(int8, "cpu_features", lambda: features)
    warning = check_int8()
    assert (warning is not None) == warned
    assert warning is None or "--precision fp32" in warning
