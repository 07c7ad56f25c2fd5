from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch

from model.folder import FORMAT, Model, load_model, stored_digests
from tests.model.conftest import TINY_TRACKS
from tracks.errors import TracksError, UsageError
from tracks.grid import WINDOW


@pytest.fixture
def copy(model: Model, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model.folder, tmp_path / "copy"))


def _edit(folder: Path, name: str = "model.json", **fields: object) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_a_folder_gives_back_what_was_saved(model: Model) -> None:
    assert model.tracks == TINY_TRACKS
    assert [block.fold for block in model.split] == ["train", "test"]
    assert not model.network.training
    assert model.card is None


def test_the_digest_follows_the_numbers_and_not_the_looks(model: Model, copy: Path) -> None:
    assert load_model(copy).digest == model.digest
    tracks = json.loads((copy / "heads/bins/head.json").read_text())["tracks"]
    _edit(copy, "heads/bins/head.json", tracks=[{**tracks[0], "color": "#000000"}, tracks[1]])
    assert load_model(copy).digest == model.digest
    scaled = {**tracks[0], "transform": {"scale": 2.0, "offset": 0.0}}
    _edit(copy, "heads/bins/head.json", tracks=[scaled, tracks[1]])
    assert load_model(copy).digest != model.digest


def test_the_digest_follows_the_weights(model: Model, copy: Path) -> None:
    import safetensors.torch

    weights = {name: value.clone() for name, value in model.network.heads["bins"].state_dict().items()}
    weights["bias"][0] += 1e-3
    safetensors.torch.save_file(weights, copy / "heads/bins/weights.safetensors")
    assert load_model(copy).digest != model.digest


def test_not_a_model_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is not a model folder: it holds no model\.json"):
        load_model(tmp_path)


def test_a_newer_format_names_both_versions(copy: Path) -> None:
    _edit(copy, format=FORMAT + 1)
    with pytest.raises(UsageError, match=f"has model format {FORMAT + 1}, and tracks .* reads up to {FORMAT}"):
        load_model(copy)


@pytest.mark.parametrize("damage", ["not json", "{}", "[]"])
def test_a_damaged_description(copy: Path, damage: str) -> None:
    (copy / "model.json").write_text(damage)
    with pytest.raises(TracksError, match="damaged"):
        load_model(copy)


def test_a_missing_field(copy: Path) -> None:
    _edit(copy, trunk={"stems": 3})
    with pytest.raises(TracksError, match="damaged"):
        load_model(copy)


def test_weights_of_another_model(copy: Path) -> None:
    import safetensors.torch

    safetensors.torch.save_file({"head.bias": torch.zeros(3)}, copy / "trunk.safetensors")
    with pytest.raises(TracksError, match="damaged"):
        load_model(copy)


def test_truncated_weights(copy: Path) -> None:
    weights = copy / "trunk.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(TracksError, match="damaged"):
        load_model(copy)


def test_a_heads_digest_is_that_of_a_model_with_it_alone(two_headed_folder: Path) -> None:
    """By these digests predictions are stored, so the rule may not change: it would orphan every store."""
    for names in (("bins", "window"), ("window", "bins"), ("window",)):
        for stride in (WINDOW, WINDOW // 7):
            model = load_model(two_headed_folder, names, stride)
            assert list(model.head_digests) == list(names)
            assert model.head_digests["window"] == load_model(two_headed_folder, ("window",), stride).digest
            if "bins" in names:  # to which a stride means nothing
                assert model.head_digests["bins"] == load_model(two_headed_folder, ("bins",)).digest
    digests = {load_model(two_headed_folder, ("window",), WINDOW // parts).digest for parts in (1, 2, 7)}
    assert len(digests) == 3
    assert load_model(two_headed_folder, ("bins", "window")).digest not in digests
    assert stored_digests(two_headed_folder) >= digests | {load_model(two_headed_folder, ("bins",)).digest}


def test_the_rule_of_a_heads_digest(two_headed_folder: Path) -> None:
    for name, stride in (("bins", WINDOW), ("window", WINDOW), ("window", WINDOW // 2)):
        home = two_headed_folder / "heads" / name
        described = json.loads((home / "head.json").read_text())
        tracks = [[track["name"], track["unit"], track["transform"]] for track in described["tracks"]]
        head = {key: described[key] for key in ("config", "links", "half_embedding")} | {"tracks": tracks}
        trunk = {"engine": 1, "trunk": json.loads((two_headed_folder / "model.json").read_text())["trunk"]}
        digest = hashlib.sha256(json.dumps(trunk, sort_keys=True).encode())
        digest.update(hashlib.sha256((two_headed_folder / "trunk.safetensors").read_bytes()).digest())
        numbers = {"trunk": digest.hexdigest(), "heads": [head]}
        if stride != WINDOW:
            numbers["stride"] = str(stride)
        digest = hashlib.sha256(json.dumps(numbers, sort_keys=True).encode())
        digest.update(hashlib.sha256((home / "weights.safetensors").read_bytes()).digest())
        assert load_model(two_headed_folder, ("bins", "window"), stride).head_digests[name] == digest.hexdigest()
