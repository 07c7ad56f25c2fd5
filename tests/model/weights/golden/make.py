"""Makes the files beside it with real Keras. Run where tensorflow-cpu, tf-keras and this package are installed:

    .venv-parity/bin/python -m tests.model.weights.golden.make

One narrow trunk with a dense head of 5 targets and random weights, in four layouts, and what Keras computes with it.
"""

from __future__ import annotations

import gzip
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from model.trunk import GELU, TrunkConfig
from tests.parity.build_keras import build, one_hot, random_codes, randomise, unsettle_counters

HERE = Path(__file__).parent
CONFIG = TrunkConfig(
    stem_filters=5, tower_filters=4, tower_growth=1.2, residual_filters=6, residual_blocks=3, embedding_filters=7
)
# With this seed, no channel of the embedding is dead behind its last GELU.
BINS, TARGETS, SEED = 16, 5, 11
LENGTH = 128 * (BINS + 2 * CONFIG.crop)


def main() -> None:
    """Write the four files, gzipped, and ``expected.npz``."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tf_keras

    with tempfile.TemporaryDirectory() as folder:
        for package, whole, weights in (
            (tf_keras, "keras2_model.h5", "keras2_weights.h5"),
            (keras, "keras3_model.h5", "keras3.weights.h5"),
        ):
            unsettle_counters(package, 7)
            model, _ = build(package, CONFIG, length=LENGTH, targets=TARGETS)
            randomise(model, SEED)
            model.save(Path(folder) / whole)
            model.save_weights(Path(folder) / weights)
        for path in sorted(Path(folder).iterdir()):
            (HERE / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))

    codes = random_codes(LENGTH, SEED)
    expected = {}
    for gelu in GELU:
        model, trunk = build(tf_keras, replace(CONFIG, gelu=gelu), length=LENGTH, targets=TARGETS)
        randomise(model, SEED)
        expected[f"embedding_{gelu}"] = np.asarray(trunk(one_hot(codes), training=False))[0].T
        expected[f"labels_{gelu}"] = np.asarray(model(one_hot(codes), training=False))[0].T
    np.savez_compressed(HERE / "expected.npz", codes=codes, **expected)


if __name__ == "__main__":
    main()
