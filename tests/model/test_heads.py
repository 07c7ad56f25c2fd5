from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import erf, expit
from torch import nn

from model.folder import Model, head_names, load_head, load_model, save_head
from model.heads import (
    AttentionConfig,
    ConvConfig,
    HeadConfig,
    HeadSpec,
    LinearConfig,
    MaxPoolConfig,
    build_head,
    head_labels,
    positions,
)
from model.predict import Predictor
from tests.model.conftest import TINY_TRACKS, TINY_TRUNK, PassCount
from tracks.errors import TracksError, UsageError
from tracks.genome import Genome
from tracks.grid import BIN, BINS, FLANK, WINDOW

FILTERS = TINY_TRUNK.embedding_filters
CONFIGS: tuple[HeadConfig, ...] = (
    LinearConfig(),
    ConvConfig(hidden=6),
    MaxPoolConfig(hidden=6),
    AttentionConfig(heads=2, feed_forward=12),
    AttentionConfig(heads=2, feed_forward=12, width=4),
    AttentionConfig(legacy=True, heads=2, feed_forward=12),
)


def spec_of(config: HeadConfig, name: str = "head") -> HeadSpec:
    return HeadSpec(name, tuple(replace(track, context=False) for track in TINY_TRACKS), ("identity",) * 2, config)


def built(config: HeadConfig, seed: int = 1) -> nn.Module:
    torch.manual_seed(seed)
    head = build_head(spec_of(config), FILTERS).eval().requires_grad_(False)
    for name, value in head.state_dict().items():
        if "norm" in name:
            value.uniform_(0.5, 1.5)
    return head


def embedding(windows: int = 2) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(4).normal(size=(windows, FILTERS, BINS)).astype(np.float32))


def in_float64(head: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.numpy().astype(np.float64) for name, value in head.state_dict().items()}


def gelu(x: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * x * (1 + erf(x / math.sqrt(2))))


def layer_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return np.asarray((x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * weight + bias)


def linear_64(w: dict[str, np.ndarray], e: np.ndarray) -> np.ndarray:
    return w["weight"][:, :, 0] @ e + w["bias"][:, None]


def conv_64(w: dict[str, np.ndarray], e: np.ndarray) -> np.ndarray:
    mixed = gelu(w["mix.weight"][:, :, 0] @ e + w["mix.bias"][:, None])
    flat = np.array([mixed[channel, place] for channel in range(len(mixed)) for place in range(BINS)])
    return w["output.weight"] @ flat + w["output.bias"]


def maxpool_64(w: dict[str, np.ndarray], e: np.ndarray) -> np.ndarray:
    mixed = gelu(w["mix.weight"][:, :, 0] @ e + w["mix.bias"][:, None])
    return np.asarray(w["output.weight"] @ mixed.max(axis=1) + w["output.bias"])


def attention_64(w: dict[str, np.ndarray], e: np.ndarray) -> np.ndarray:
    """A post-norm transformer layer: attention over bins when there are queries, else of each bin to itself."""
    x = e.T
    if "project.weight" in w:
        x = x @ w["project.weight"].T + w["project.bias"]
    if "qkv.weight" in w:
        width = x.shape[1]
        for place in range(BINS):
            for pair in range(width // 2):
                angle = place / 10_000 ** (2 * pair / width)
                x[place, 2 * pair] += math.sin(angle)
                x[place, 2 * pair + 1] += math.cos(angle)
        q, k, v = np.split(x @ w["qkv.weight"].T + w["qkv.bias"], 3, axis=1)
        half = width // 2  # two heads
        mixed = []
        for part in (slice(0, half), slice(half, width)):
            scores = q[:, part] @ k[:, part].T / math.sqrt(half)
            scores = np.exp(scores - scores.max(axis=1, keepdims=True))
            mixed.append(scores / scores.sum(axis=1, keepdims=True) @ v[:, part])
        attended = np.concatenate(mixed, axis=1)
    else:
        attended = x @ w["value.weight"].T + w["value.bias"]
    merged = attended @ w["merge.weight"].T + w["merge.bias"]
    query = layer_norm(merged + x, w["norm1.weight"], w["norm1.bias"])
    hidden = np.maximum(query @ w["expand.weight"].T + w["expand.bias"], 0)
    changed = hidden @ w["contract.weight"].T + w["contract.bias"]
    out = layer_norm(changed + query, w["norm2.weight"], w["norm2.bias"])
    return np.asarray((out @ w["output.weight"].T + w["output.bias"]).mean(axis=0))


FORMULAS = {"linear": linear_64, "conv": conv_64, "maxpool": maxpool_64, "attention": attention_64}


@pytest.mark.parametrize("config", CONFIGS)
def test_each_head_is_its_formula_in_float64(config: HeadConfig) -> None:
    head, e = built(config), embedding()
    raw = head(e, None).numpy()
    expected = np.stack([FORMULAS[config.kind](in_float64(head), one.numpy().astype(np.float64)) for one in e])
    assert raw.shape == ((2, 2, BINS) if config.kind == "linear" else (2, 2))
    assert expected.std() > 1e-3
    np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS)
def test_a_window_does_not_depend_on_its_batch(config: HeadConfig) -> None:
    head, e = built(config), embedding(3)
    alone = torch.cat([head(one[None], None) for one in e])
    torch.testing.assert_close(head(e, None), alone, rtol=1e-5, atol=1e-5)


def test_legacy_attention_is_torchs_over_a_batch_of_one() -> None:
    """The published head gave nn.MultiheadAttention ``(1, 896, C)`` with the batch first, which it takes for time."""
    head, e = built(CONFIGS[-1]), embedding(1)
    attention = nn.MultiheadAttention(FILTERS, 2, dropout=0.2).eval()
    state = head.state_dict()
    with torch.no_grad():
        attention.in_proj_weight[2 * FILTERS :] = state["value.weight"]
        attention.in_proj_bias[2 * FILTERS :] = state["value.bias"]
        attention.out_proj.weight.copy_(state["merge.weight"])
        attention.out_proj.bias.copy_(state["merge.bias"])
        x = e.transpose(1, 2)
        attended = attention(x, x, x)[0]
    assert isinstance(head.merge, nn.Linear)
    torch.testing.assert_close(head.merge(head.attend(x)), attended, rtol=1e-5, atol=1e-6)  # type: ignore[operator]


def test_attention_sees_other_bins_and_their_order_and_the_legacy_head_does_not() -> None:
    e = embedding(1)
    shuffled = e[..., torch.randperm(BINS, generator=torch.Generator().manual_seed(1))]
    fixed, legacy = built(CONFIGS[3]), built(CONFIGS[-1])
    assert (fixed(e, None) - fixed(shuffled, None)).abs().max() > 1e-4
    torch.testing.assert_close(legacy(e, None), legacy(shuffled, None), rtol=1e-4, atol=1e-5)
    assert len(torch.unique(positions(BINS, 16), dim=0)) == BINS


def test_links() -> None:
    spec = replace(spec_of(LinearConfig()), links=("sigmoid", "softplus"))
    raw = torch.linspace(-4, 4, 2 * 5, dtype=torch.float64).view(1, 2, 5)
    labels = head_labels(spec.links, raw).numpy()
    np.testing.assert_allclose(labels[0, 0], expit(raw[0, 0].numpy()))
    np.testing.assert_allclose(labels[0, 1], np.log1p(np.exp(raw[0, 1].numpy())))
    with pytest.raises(ValueError, match="needs a link"):
        replace(spec, links=("sigmoid",))


def test_impossible_attention() -> None:
    with pytest.raises(ValueError, match="cannot be shared by 3 heads"):
        build_head(spec_of(AttentionConfig(heads=3)), FILTERS)


# Model folders with several heads


@pytest.fixture
def folder(model: Model, tmp_path: Path) -> Path:
    """The tiny model with one head of each kind beside its own."""
    folder = Path(shutil.copytree(model.folder, tmp_path / "copy"))
    for name, config in zip(("linear", "conv", "maxpool", "attention", "narrow", "legacy"), CONFIGS, strict=True):
        save_head(folder, spec_of(config, name), built(config).state_dict(), training={"epochs": 1})
    return folder


def test_heads_come_back_as_they_were(folder: Path) -> None:
    assert head_names(folder) == ("bins", "attention", "conv", "legacy", "linear", "maxpool", "narrow")
    for name, config in zip(("linear", "conv", "maxpool", "attention", "narrow", "legacy"), CONFIGS, strict=True):
        spec, head = load_head(folder, name, FILTERS)
        assert spec == spec_of(config, name)
        torch.testing.assert_close(head(embedding(), None), built(config)(embedding(), None), rtol=0, atol=0)


def test_several_heads_share_a_model(folder: Path, model: Model, genome: Genome) -> None:
    together = load_model(folder, ("bins", "maxpool", "linear"))
    assert [track.name for track in together.tracks] == [
        f"{name} ({head})" for head in ("bins", "maxpool", "linear") for name in ("Methylation", "LAD")
    ]
    digests = {load_model(folder, names).digest for names in (("bins",), ("maxpool",), ("bins", "maxpool"))}
    assert len(digests) == 3
    assert load_model(folder).digest == model.digest in digests
    values = Predictor(together, genome, "cpu").window("chr1", 1)
    for place, name in enumerate(("bins", "maxpool", "linear")):
        alone = Predictor(load_model(folder, (name,)), genome, "cpu").window("chr1", 1)
        np.testing.assert_array_equal(values[:, 2 * place : 2 * place + 2], alone)


def test_a_window_head_is_a_step_and_a_stride_slides_it(folder: Path, genome: Genome) -> None:
    plain = Predictor(load_model(folder, ("conv",)), genome, "cpu").window("chr1", 1)
    assert len(np.unique(plain[np.isfinite(plain[:, 0]), 0])) == 1
    stride = WINDOW // 7
    slid_model = load_model(folder, ("conv",), stride)
    assert slid_model.digest != load_model(folder, ("conv",)).digest
    predictor = Predictor(slid_model, genome, "cpu")
    slid = predictor.window("chr1", 1)
    per_bin = stride // BIN
    for place in range(7):
        part = slid[place * per_bin : (place + 1) * per_bin]
        part = part[np.isfinite(part[:, 0])]
        centre = WINDOW + place * stride + stride // 2
        expected = predictor.labels("chr1", centre - WINDOW // 2 - FLANK)["conv"][0]
        if len(part):
            # Of tower bins that the strides share, so but for rounding.
            np.testing.assert_allclose(part, np.broadcast_to(expected, part.shape), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(slid[3 * per_bin, :], plain[3 * per_bin, :])
    assert len(np.unique(slid[np.isfinite(slid[:, 0]), 0])) > 3


def test_labels_of_a_grid_window_are_its_values(folder: Path, genome: Genome) -> None:
    predictor = Predictor(load_model(folder, ("bins", "maxpool")), genome, "cpu")
    labels = predictor.labels("chr1", WINDOW - FLANK)
    values = predictor.window("chr1", 1)
    seen = np.isfinite(values[:, 0])
    assert labels["bins"].shape == (BINS, 2)
    assert labels["maxpool"].shape == (1, 2)
    np.testing.assert_allclose(values[seen][:, :2], labels["bins"][seen], rtol=1e-6)
    np.testing.assert_array_equal(values[seen][:, 2:], np.repeat(labels["maxpool"], seen.sum(), axis=0))


def test_labels_may_leave_the_chromosome_and_the_grid(folder: Path, genome: Genome) -> None:
    predictor = Predictor(load_model(folder, ("bins", "maxpool")), genome, "cpu")
    for start in (-20_000, 12_345, genome.chrom_sizes["chr1"] - 30_000):
        assert all(np.isfinite(labels).all() for labels in predictor.labels("chr1", start).values())


def test_half_embedding_rounds(folder: Path, genome: Genome) -> None:
    spec, head = load_head(folder, "maxpool")
    save_head(folder, replace(spec, name="rounded", half_embedding=True), head.state_dict())
    labels = Predictor(load_model(folder, ("maxpool", "rounded")), genome, "cpu").labels("chr1", 10_000)
    difference = np.abs(labels["maxpool"] - labels["rounded"]).max()
    assert 0 < difference < 1e-2


def test_errors_name_what_is_there(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no head 'convex'; it has bins, attention, conv"):
        load_model(folder, ("convex",))
    with pytest.raises(UsageError, match="the heads chosen give one a bin"):
        load_model(folder, (), 16_384)
    with pytest.raises(UsageError, match=r"a stride of 1,000 does not divide .* \[57344, 28672, 16384"):
        load_model(folder, ("conv",), 1_000)
    with pytest.raises(UsageError, match="small letters, digits and underscores; 'My head'"):
        save_head(folder, spec_of(LinearConfig(), "My head"), {})
    wide = spec_of(LinearConfig(), "wide")
    save_head(folder, wide, build_head(wide, FILTERS + 1).state_dict())
    with pytest.raises(UsageError, match="reads an embedding of 9 channels, and the trunk there gives 8"):
        load_model(folder, ("wide",))
    save_head(tmp_path / "heads_only", spec_of(LinearConfig(), "linear"), built(LinearConfig()).state_dict())
    with pytest.raises(UsageError, match=r"has heads \(linear\) and no trunk yet"):
        load_model(tmp_path / "heads_only")
    shutil.rmtree(folder / "heads" / "bins")
    with pytest.raises(UsageError, match="has several heads; name one"):
        load_model(folder)
    shutil.rmtree(folder / "heads")
    with pytest.raises(UsageError, match="has a trunk and no head yet"):
        load_model(folder)


def test_a_damaged_head(folder: Path) -> None:
    home = folder / "heads" / "conv"
    fields = json.loads((home / "head.json").read_text())
    (home / "head.json").write_text(json.dumps({**fields, "config": {"kind": "conv", "depth": 3}}))
    with pytest.raises(TracksError, match="damaged"):
        load_model(folder, ("conv",))
    (home / "head.json").write_text(json.dumps(fields))
    (home / "weights.safetensors").write_bytes(b"\x00" * 50)
    with pytest.raises(TracksError, match="damaged"):
        load_model(folder, ("conv",))


@pytest.mark.parametrize(("stride", "passes"), [(WINDOW, 1), (WINDOW // 7, 7), (WINDOW // 2, 3)])
def test_the_heads_of_a_window_share_the_trunk(folder: Path, genome: Genome, stride: int, passes: int) -> None:
    """A slid head needs a pass for each step; where one of them is the grid window itself, it is not made twice."""
    model = load_model(folder, ("bins", "conv", "maxpool", "attention", "linear"), stride)
    predictor = Predictor(model, genome, "cpu")
    predictor.window("chr1", 0)  # what is shared is compared with what is not, the first time
    made = PassCount(predictor)
    predictor.window("chr1", 1)
    assert made.since() == passes
