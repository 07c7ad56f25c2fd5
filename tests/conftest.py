"""A small genome file and a small random model in its folder, for tests that go through files and commands."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# A machine that has other work takes longer for an example, which is no fault.
settings.register_profile("tracks", deadline=None)
settings.load_profile("tracks")

# A shell starts background jobs with Ctrl-C ignored, which the commands that these tests start would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CHROM_SIZES = {"chr20": 500_050, "chr3": 200_000, "chrN": 20_000}
"""Not in the order of their names, and no length is whole bins."""

_COMMAND = "from tracks.cli import main; main()"
_DROP_RIGHTS = """
import ctypes, os, sys
for right in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: without them, permissions bind root too
    ctypes.CDLL(None).prctl(24, right, 0, 0, 0)  # PR_CAPBSET_DROP
os.execv(sys.argv[1], sys.argv[1:])
"""


def write_fasta(path: Path, sequences: Mapping[str, str], width: int = 70) -> Path:
    with path.open("w") as file:
        for name, sequence in sequences.items():
            file.write(f">{name}\n")
            file.writelines(sequence[at : at + width] + "\n" for at in range(0, len(sequence), width))
    return path


@pytest.fixture(scope="session")
def sequences() -> dict[str, str]:
    """The bases of the small genome: 130 kb of N (window 2 of chr20 holds no base), lower case, IUPAC codes."""
    rng = np.random.default_rng(20)
    chr20 = rng.choice(list("ACGTacgt"), CHROM_SIZES["chr20"])
    chr20[225_000:355_000] = "N"
    chr20[rng.integers(0, 100_000, 300)] = rng.choice(list("RYSWKMBDHVryswkmbdhvn"), 300)
    chr3 = rng.choice(list("ACGGCT"), CHROM_SIZES["chr3"])
    return {"chr20": "".join(chr20), "chr3": "".join(chr3), "chrN": "N" * CHROM_SIZES["chrN"]}


@pytest.fixture(scope="session")
def fasta(tmp_path_factory: pytest.TempPathFactory, sequences: dict[str, str]) -> Path:
    """The small genome as plain FASTA."""
    return write_fasta(tmp_path_factory.mktemp("genome") / "small.fa", sequences)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model: one track from local sequence, and one with context that lacks values in places."""
    import torch

    from model.context import ContextConfig
    from model.folder import save_model
    from model.heads import HeadSpec, LinearConfig
    from model.network import Network
    from model.trunk import TrunkConfig
    from tracks.track import Track

    torch.set_num_threads(1)
    torch.manual_seed(5)
    trunk = TrunkConfig(
        stem_filters=4, tower_filters=4, tower_growth=1.1, residual_filters=4, residual_blocks=2, embedding_filters=8
    )
    context = ContextConfig(
        (50_000, 100_000, 200_000), mean=(0.5, 0.06, 1.0) * 3, deviation=(0.1, 0.02, 0.2) * 3, min_known=0.6
    )
    tracks = (
        Track("CpG methylation IMR90", "WGBS", "IMR90", "methylated fraction", "#d95f02"),
        Track("LMNB1 LAD liver", "ChIP-seq", "liver", "covered fraction", "#1b6ca8", context=True),
    )
    heads = (HeadSpec("bins", tracks, ("sigmoid", "sigmoid"), LinearConfig(context)),)
    weights = Network(trunk, heads).state_dict()
    weights["heads.bins.context.output.weight"].normal_(std=0.5)
    weights["heads.bins.weight"].normal_(std=3.0)
    folder = tmp_path_factory.mktemp("model")
    split = "chr20\t0\t250000\ttrain\nchr20\t250000\t500050\ttest\n"
    save_model(folder, name="tiny", trunk=trunk, heads=heads, weights=weights, split=split, training={"seed": 5})
    return folder


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prediction store for tests that do not care what was predicted before them."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def cli(shared_store: Path) -> Callable[..., Result]:
    """Run a command in this process: ``cli("predict", "--chrom", "chr20", ...)``."""
    from tracks.cli import main

    def run(*args: object) -> Result:
        return CliRunner(env={"TRACKS_STORE": str(shared_store)}).invoke(main, [str(arg) for arg in args])

    return run


def command_line(*args: object, before: str = "", bound: bool = False) -> list[str]:
    """Return the words that run a command in its own process; ``before`` is Python to run first.

    With ``bound``, file permissions hold even where tests run as root.
    """
    words = [sys.executable, "-c", before + _COMMAND, *(str(arg) for arg in args)]
    return bound_by_permissions(words) if bound else words


def bound_by_permissions(words: list[str]) -> list[str]:
    """Return the words that run a program so that file permissions hold even where tests run as root."""
    return [sys.executable, "-c", _DROP_RIGHTS, *words] if os.geteuid() == 0 else words


def run_command(
    *args: object, store: Path | None = None, before: str = "", bound: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a command in its own process and wait for it."""
    environment = {**os.environ, **({"TRACKS_STORE": str(store)} if store else {})}
    return subprocess.run(
        command_line(*args, before=before, bound=bound),
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="session")
def two_headed_folder(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Path:
    """The small random model with a second head, ``window``, that gives one value a window."""
    import torch

    from model.folder import load_head, save_head
    from model.heads import HeadSpec, MaxPoolConfig, build_head

    folder = Path(shutil.copytree(model_folder, tmp_path_factory.mktemp("model") / "two"))
    tracks = load_head(folder, "bins")[0].tracks
    spec = HeadSpec("window", tracks, ("sigmoid", "sigmoid"), MaxPoolConfig(hidden=4))
    torch.manual_seed(6)
    save_head(folder, spec, build_head(spec, 8).state_dict())
    return folder


def cannot(reason: str) -> NoReturn:
    """Skip what needs something that is not here; fail in CI, where it has to be."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; in CI the browser tests must run")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, one for all tests: Playwright's interface is open once in a process."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        cannot("there is no Chromium (apt-get install chromium)")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield launched
        launched.close()
