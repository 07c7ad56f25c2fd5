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
spare_threads = click.option("--threads", type=click.IntRange(1), help="CPU threads [default: a CPU is left free].")
model = click.option("--model", type=PATH, help="Model folder [default: the project's, else the shipped model].")
heads = click.option("--head", "heads", multiple=True, help="Head of the model (repeatable) [default: all].")
stride = click.option(
    "--stride", type=int, help="Bases from one value of a window head to the next [default: 114,688]."
)
port = click.option("--port", type=click.IntRange(0, 65535), help="Port [default: 8765, or the next free one].")
no_browser = click.option("--no-browser", is_flag=True, help="Only print the address.")


def use_threads(count: int | None) -> None:
    """Let PyTorch use so many CPU threads, where a count is given."""
    if count is not None:
        import torch

        torch.set_num_threads(count)
