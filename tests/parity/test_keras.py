"""Basenji2 in real Keras against what is imported from the files that Keras writes, at full size.

It needs TensorFlow, which the project does not: ``make parity`` makes an environment of its own and runs it.
"""

from __future__ import annotations

import importlib.util
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from model.folder import load_head, load_trunk
from model.heads import head_labels
from model.trunk import GELU, GeluVariant, TrunkConfig
from model.weights import Choices, import_weights
from tests.parity.build_keras import build, one_hot, random_codes, randomise, unsettle_counters
from tracks.grid import INPUT

pytestmark = [
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("tensorflow", "tf_keras", "keras")),
        reason="parity with Keras needs tensorflow-cpu and tf-keras: run make parity",
    ),
    pytest.mark.filterwarnings("ignore"),
]

BAR = 1e-5
TARGETS = 5313


@pytest.fixture(scope="module")
def kerases() -> dict[str, ModuleType]:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras
        import tf_keras
    return {"Keras 2": tf_keras, "Keras 3": keras}


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print what was measured past pytest's capture."""

    def show(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}", end="")

    return show


@pytest.fixture(scope="module")
def files(kerases: dict[str, ModuleType], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same full-size model with its 5,313 targets, in every layout that Keras writes."""
    folder = tmp_path_factory.mktemp("keras")
    written = {}
    for name, package in kerases.items():
        unsettle_counters(package, 210)
        model, _ = build(package, TrunkConfig(), targets=TARGETS)
        assert "conv1d_210" in [layer.name for layer in model.layers]
        randomise(model, seed=2)
        # Keras 3 writes the two older layouts by model.save alone; by ".weights.h5" it knows the fourth.
        saves = {"model.h5": model.save, "v.weights.h5": model.save_weights}
        if name == "Keras 2":
            saves["weights.h5"] = model.save_weights
        for kind, save in saves.items():
            written[f"{name} {kind}"] = folder / f"{name} {kind}"
            save(written[f"{name} {kind}"])
    return written


def test_every_layout_imports_to_the_same_weights(
    files: dict[str, Path], tmp_path: Path, say: Callable[[str], None]
) -> None:
    assert len(files) == 5
    states = []
    for name, path in files.items():
        began = time.perf_counter()
        found = import_weights(path, tmp_path / name)
        say(f"{name}: {path.stat().st_size / 1e6:.1f} MB, {time.perf_counter() - began:.2f} s: {found.layout}")
        assert found.trunk == TrunkConfig()
        assert found.head is not None
        assert found.head.name == "human"
        head = load_head(tmp_path / name, "human")[1].state_dict()
        states.append({**load_trunk(tmp_path / name).trunk.state_dict(), **{f"head.{k}": v for k, v in head.items()}})
    for state in states[1:]:
        assert state.keys() == states[0].keys()
        assert all(torch.equal(value, states[0][key]) for key, value in state.items())


@pytest.mark.parametrize("gelu", list(GELU))
def test_a_window_gives_what_keras_gives(
    gelu: GeluVariant,
    files: dict[str, Path],
    kerases: dict[str, ModuleType],
    tmp_path: Path,
    say: Callable[[str], None],
) -> None:
    """Embedding of 131,072 bases with a run of N, and the 5,313 targets; errors relative to Keras's values."""
    model, trunk = build(kerases["Keras 2"], replace(TrunkConfig(), gelu=gelu), targets=TARGETS)
    randomise(model, seed=2)
    codes = random_codes(INPUT, seed=4)
    began = time.perf_counter()
    embedding = np.asarray(trunk(one_hot(codes), training=False))[0].T
    keras_seconds = time.perf_counter() - began
    labels = np.asarray(model(one_hot(codes), training=False))[0].T

    import_weights(files["Keras 2 model.h5"], tmp_path / "model", Choices(gelu=gelu))
    ours = load_trunk(tmp_path / "model").trunk
    spec, head = load_head(tmp_path / "model", "human")
    with torch.inference_mode():
        began = time.perf_counter()
        found = ours(torch.from_numpy(codes)[None])
        seconds = time.perf_counter() - began
        found_labels = head_labels(spec.links, head(found))[0].numpy()
        exact = ours.double()(torch.from_numpy(codes)[None])[0].numpy()
    assert found.shape == (1, 1536, 896)
    assert embedding.std() > 0.1
    assert (embedding.std(axis=1) > 1e-3).mean() > 0.5, "the test's model hardly looks at its input"
    say(
        f"{gelu}: Keras {keras_seconds:.1f} s, here {seconds:.1f} s; embeddings of standard deviation {exact.std():.0f}"
    )
    for what, mine, theirs in (
        ("embedding, here from Keras", found[0].numpy(), embedding),
        ("5,313 targets, here from Keras", found_labels, labels),
        ("embedding, here from float64", found[0].numpy(), exact),
        ("embedding, Keras from float64", embedding, exact),
    ):
        length, worst = errors(mine, theirs)
        say(f"  {what}: relative error {length:.1e} (L2), {worst:.1e} (largest difference of largest value)")
        assert length <= BAR
        assert worst <= BAR


def errors(mine: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """Return ``|mine - theirs| / |theirs|``, with L2 norms and with largest absolute values."""
    difference, theirs = np.abs(mine.astype(np.float64) - theirs), np.abs(theirs.astype(np.float64))
    return float(np.linalg.norm(difference) / np.linalg.norm(theirs)), float(difference.max() / theirs.max())


@pytest.fixture(autouse=True, scope="module")
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)
