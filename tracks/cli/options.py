"""Options that several commands have in common."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from tracks.method import EDGES, PRECISIONS, Ensemble, Method

if TYPE_CHECKING:
    from collections.abc import Callable

    from model.folder import Model
    from model.predict import Predictor
    from tracks.genome import Genome

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
precision = click.option(
    "--precision", type=click.Choice(PRECISIONS), default="fp32", show_default=True, help="Number format."
)
edges = click.option("--edges", type=click.Choice(EDGES), default="window", show_default=True, help="Window borders.")
ensemble = click.option(
    "--ensemble", default="single", show_default=True, help="Passes averaged: rc, shift3, overlap2, rc+shift3."
)


def use_threads(count: int | None) -> None:
    """Let PyTorch use so many CPU threads, where a count is given."""
    if count is not None:
        import torch

        torch.set_num_threads(count)


def warn_if_slow(method: Method, device: str) -> None:
    """Say on standard error where a precision is slow on a device; raises UsageError where it does not work."""
    from model.compute import pick_device
    from model.engine.make import check_precision

    warning = check_precision(method.precision, pick_device(device))
    if warning is not None:
        click.echo(f"tracks: warning: {warning}", err=True)


@dataclass(frozen=True)
class Computing:
    """How and on what predictions are computed."""

    method: Method
    device: str
    threads: int | None
    batch: int | None
    residuals: Path | None

    def predictor(self, model: Model, genome: Genome) -> Predictor:
        """Return the predictor, and warn where its precision is slow here. Raises what ``Predictor`` raises."""
        from model.predict import Predictor

        warn_if_slow(self.method, self.device)
        residuals = None
        if self.residuals is not None:
            from model.residuals import ResidualStore

            residuals = ResidualStore(self.residuals)
        return Predictor(model, genome, self.device, self.threads, self.method, self.batch, residuals)


def computing(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how predictions are computed; the command gets them as one ``Computing``."""

    @functools.wraps(command)
    def with_one(**given: Any) -> None:
        named = {name: given.pop(name) for name in ("device", "threads", "batch", "residuals")}
        ensemble = Ensemble.parse(given.pop("ensemble"))
        how = Computing(Method(given.pop("precision"), given.pop("edges"), ensemble), **named)
        command(computing=how, **given)

    for option in (
        click.option("--threads", type=click.IntRange(1), help="CPU threads [default: one a core]."),
        device,
        click.option("--residuals", type=PATH, help="Keep the trunk's residual streams here, for other heads."),
        click.option("--batch", type=click.IntRange(1), help="Windows that a GPU computes at once [default: 8]."),
        ensemble,
        edges,
        precision,
    ):
        with_one = option(with_one)
    return with_one


def words_given(context: click.Context, *without: str) -> list[str]:
    """Return the words of a command's call, each option by its long name, but for some of its parameters."""
    words = ["tracks", context.info_name or ""]
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in without or context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value = context.params[name]
        for one in value if isinstance(value, tuple) else (value,):
            option = [max(parameter.opts, key=len)] if isinstance(parameter, click.Option) else []
            flag = isinstance(parameter, click.Option) and parameter.is_flag
            words += [*option, *([] if flag else [str(one)])]
    return words
