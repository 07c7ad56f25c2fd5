"""Options that several commands have in common."""

from __future__ import annotations

from pathlib import Path

import click

# Whether a path can be read or written is said by the library, in one line.
PATH = click.Path(path_type=Path, readable=False)

store = click.option("--store", "root", type=PATH, help="Prediction store [default: the user's cache].")
device = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
processes = click.option("--processes", type=click.IntRange(1), help="Processes to work in [default: one a CPU].")
threads = click.option("--threads", type=click.IntRange(1), help="CPU threads [default: what PyTorch chooses].")


def use_threads(count: int | None) -> None:
    """Let PyTorch use so many CPU threads, where a count is given."""
    if count is not None:
        import torch

        torch.set_num_threads(count)
