"""Basenji2 with 18 targets in tf-keras, in a process that is asked for windows (``model/timed_process.py``).

    .venv-parity/bin/python benchmarks/keras_window.py THREADS MODEL.h5

The model has random weights, and is written to the file first, so that others can be given the same. It runs as a
graph (``tf.function``), which is how ``model.predict`` runs it.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from model.bench_tasks import PROBE_TRACKS, random_codes
from model.timed_process import serve
from model.trunk import TrunkConfig
from tests.parity.build_keras import build, one_hot, randomise

if TYPE_CHECKING:
    from collections.abc import Callable


def start() -> tuple[dict[str, Any], Callable[[str], dict[str, Any]]]:
    threads, path = sys.argv[1:]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    import tensorflow as tf
    import tf_keras

    tf.config.threading.set_intra_op_parallelism_threads(int(threads))
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model, trunk = build(tf_keras, TrunkConfig(), targets=PROBE_TRACKS)
    randomise(model, seed=2)
    model.save(path)
    graph = tf.function(lambda x: model(x, training=False))
    codes = random_codes(1)[0].numpy()

    def answer(request: str) -> dict[str, Any]:
        if request != "window":
            np.save(request, np.asarray(trunk(one_hot(codes), training=False))[0].T)
            return {}
        started = time.perf_counter()
        np.asarray(graph(tf.constant(one_hot(codes))))
        return {"seconds": time.perf_counter() - started}

    answer("window")
    return {"version": f"tf-keras {tf_keras.__version__}, TensorFlow {tf.__version__}"}, answer


if __name__ == "__main__":
    serve(start)
