"""Time and peak memory of importing Basenji2 and of one window through its trunk, against their bars.

    python benchmarks/basenji2_forward.py [--threads 2] [--repeat 3]

A file of the size and layout of ``model_human.h5`` (30,123,584 random float32 weights) is written first. Then, each in
a process of its own, whose whole memory counts, with Python and PyTorch (about 0.25 GB) in it:

* ``tracks weights import``: at most 10 s;
* 131,072 bases through the trunk, in float32: at most 1.2 GB;
* the same through ``tracks predict``'s predictor with the head of 5,313 targets, which has no bar.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from model.trunk import TrunkConfig
from model.weights.layers import conv_shapes

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGETS = 5313
IMPORT_SECONDS = 10.0
FORWARD_GIGABYTES = 1.2

_MEASURE = """
import json, resource, sys, time
started = time.perf_counter()
{}
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({{"seconds": time.perf_counter() - started, "gigabytes": used.ru_maxrss * 1024 / 1e9}}))
"""

_IMPORT = """
from pathlib import Path
from model.weights import import_weights
import_weights(Path(sys.argv[1]), Path(sys.argv[2]))
"""

_FORWARD = """
from pathlib import Path
import torch
from model.folder import load_trunk
torch.set_num_threads(int(sys.argv[3]))
trunk = load_trunk(Path(sys.argv[2])).trunk
codes = torch.randint(0, 4, (1, 131_072), dtype=torch.uint8)
with torch.inference_mode():
    trunk(codes)
    started = time.perf_counter()
    assert trunk(codes).shape == (1, 1536, 896)
"""

_PREDICT = """
from pathlib import Path
import numpy as np
from model.folder import load_model
from model.predict import Predictor
from tracks.genome import Genome
predictor = Predictor(load_model(Path(sys.argv[2])), Genome(Path(sys.argv[4])), device="cpu", threads=int(sys.argv[3]))
predictor.window("chr1", 0)
started = time.perf_counter()
assert predictor.window("chr1", 1).shape == (896, 5313)
"""


@dataclass(frozen=True)
class Run:
    """One process: seconds of what is measured, and its peak memory in GB (10^9 bytes)."""

    seconds: float
    gigabytes: float


def measure(program: str, *arguments: object, repeat: int) -> Run:
    """Return the fastest of some processes, with the highest peak memory."""
    runs = []
    for _ in range(repeat):
        words = [sys.executable, "-c", _MEASURE.format(program), *map(str, arguments)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        runs.append(Run(**json.loads(done.stdout.splitlines()[-1])))
    return Run(min(run.seconds for run in runs), max(run.gigabytes for run in runs))


def random_layers() -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yield the layers of Basenji2 and its 5,313 targets with random weights, one at a time: the peak memory that a
    process reports is at least that of the process which started it."""
    rng = np.random.default_rng(1)
    for place, shape in enumerate(conv_shapes(TrunkConfig())):
        number = f"_{place}" if place else ""
        kernel = rng.standard_normal((shape.width, shape.channels_in, shape.channels_out), np.float32)
        yield f"conv1d{number}", {"kernel:0": kernel * np.float32(np.sqrt(2 / (shape.width * shape.channels_in)))}
        moments = {name: rng.uniform(0.5, 1, shape.channels_out) for name in ("gamma:0", "beta:0", "moving_mean:0")}
        yield f"batch_normalization{number}", {**moments, "moving_variance:0": rng.uniform(1, 2, shape.channels_out)}
    kernel = rng.standard_normal((1536, TARGETS), np.float32) * np.float32(0.01)
    yield "dense", {"kernel:0": kernel, "bias:0": np.zeros(TARGETS)}


def write_model(path: Path) -> None:
    """Write those layers as Keras 2 ``model.save`` lays them out."""
    names = []
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights")
        for name, weights in random_layers():
            names.append(name.encode())
            group = root.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{weight}".encode() for weight in weights]
            for weight, values in weights.items():
                group[f"{name}/{weight}"] = values.astype(np.float32)
        root.attrs["layer_names"] = names


def main() -> None:
    """Measure and print; exit with 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        file, folder, genome = Path(scratch) / "model.h5", Path(scratch) / "model", Path(scratch) / "genome.fa"
        write_model(file)
        genome.write_text(">chr1\n" + "".join(np.random.default_rng(2).choice(list("ACGT"), 300_000)) + "\n")
        print(f"file: {file.stat().st_size / 1e6:.1f} MB")
        imported = measure(_IMPORT, file, folder, repeat=1)
        forward = measure(_FORWARD, file, folder, options.threads, repeat=options.repeat)
        predicted = measure(_PREDICT, file, folder, options.threads, genome, repeat=options.repeat)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(f"this process: peak {own:.2f} GB, the least that the others can report")
    print(f"import:  {imported.seconds:6.2f} s (bar {IMPORT_SECONDS:g} s), peak {imported.gigabytes:.2f} GB")
    print(f"trunk:   {forward.seconds:6.2f} s a window, peak {forward.gigabytes:.2f} GB (bar {FORWARD_GIGABYTES:g} GB)")
    print(f"predict: {predicted.seconds:6.2f} s a window of 5,313 tracks, peak {predicted.gigabytes:.2f} GB")
    if imported.seconds > IMPORT_SECONDS or forward.gigabytes > FORWARD_GIGABYTES:
        raise SystemExit("a bar is missed")


if __name__ == "__main__":
    main()
