"""``tracks weights``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
import platformdirs

if TYPE_CHECKING:
    from model.trunk import GeluVariant
    from model.weights import Imported

_CACHE = Path(platformdirs.user_cache_dir("tracks")) / "weights"

_gelu = click.option(
    "--gelu",
    type=click.Choice(["tanh", "sigmoid", "erf"]),
    help="The trunk's GELU: tanh, which the published LMNB1 and CpG heads were trained on (default); sigmoid, which "
    "Basenji2 itself was trained with; erf, that of its PyTorch port.",
)
_epsilon = click.option(
    "--epsilon", type=float, help="The trunk's BatchNorm epsilon (default: what the file records, else 0.001)."
)
_targets = click.option(
    "--targets",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Table of the dense head's targets, as Basenji's targets_human.txt (default: the tracks are numbered).",
)
_overwrite = click.option("--overwrite", is_flag=True, help="Replace the trunk or head that the folder has.")


@click.group("weights")
def command() -> None:
    """Bring in weights of other programs: Basenji2, and the published heads on it."""


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Model folder to make or add to.",
)
@_gelu
@_epsilon
@_targets
@click.option("--name", help="The model's name (default: Basenji2, or the file's name).")
@click.option("--head", help="The head's name in the folder (default: human, or linear, conv, maxpool, attention).")
@_overwrite
def import_(
    file: Path,
    out: Path,
    gelu: str | None,
    epsilon: float | None,
    targets: Path | None,
    name: str | None,
    head: str | None,
    overwrite: bool,
) -> None:
    """Read the weights in FILE into a model folder.

    FILE is a Keras HDF5 file of Basenji2 (such as model_human.h5) or the PyTorch port's basenji2.pth, whose dense
    head becomes the head 'human', or a checkpoint of one of the four published LMNB1 and CpG heads. What it is, is
    told from its content. Nothing in it is executed.

    \b
    Examples:
      tracks weights import model_human.h5 -o basenji2/
      tracks weights import model_human.h5 -o basenji2/ --targets targets_human.txt
      tracks weights import first_full_run.pth -o basenji2/
      tracks weights import model_20231128_072156_3 -o basenji2/ --head maxpool
    """
    from model.weights import Choices, import_weights

    choices = Choices(cast("GeluVariant | None", gelu), epsilon, name, head, targets)
    _tell(import_weights(file, out, choices, overwrite=overwrite))


@command.command("download")
@click.argument("weights", type=click.Choice(["basenji2"]))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, file_okay=False), help="Model folder to import them into as well."
)
@click.option("--url", help="Fetch from this address; the file must be the published one.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    default=_CACHE,
    show_default="the user's cache folder",
    help="Where the fetched file is kept.",
)
@_gelu
@_targets
@_overwrite
def download_(
    weights: str,
    out: Path | None,
    url: str | None,
    cache: Path,
    gelu: str | None,
    targets: Path | None,
    overwrite: bool,
) -> None:
    """Fetch published weights, and with -o import them.

    121 MB, once. A file that is not the published one, by its SHA-256, is not kept.

    \b
    Examples:
      tracks weights download basenji2 -o basenji2/
      tracks weights download basenji2 --cache weights/
    """
    from model.weights import Choices, import_weights
    from model.weights.download import PUBLISHED, download
    from tracks.cli.progress import bar
    from tracks.errors import UsageError

    if out is None and (gelu or targets or overwrite):
        raise UsageError("--gelu, --targets and --overwrite are for importing; name a model folder with -o")
    with bar("fetching") as shown:
        path = download(PUBLISHED[weights], cache, url=url, progress=shown.update)
    click.echo(f"{path} is the published {path.name}")
    if out is not None:
        choices = Choices(cast("GeluVariant | None", gelu), targets=targets)
        _tell(import_weights(path, out, choices, overwrite=overwrite))


def _tell(imported: Imported) -> None:
    for note in imported.notes:
        click.echo(f"note: {note}", err=True)
    parts = []
    if imported.trunk is not None:
        parts.append(
            f"a trunk (GELU {imported.trunk.gelu}, embedding of {imported.trunk.embedding_filters:,} channels)"
        )
    if imported.head is not None:
        parts.append(f"the head '{imported.head.name}' of {len(imported.head.tracks):,} tracks")
    click.echo(f"imported {' and '.join(parts)} into {imported.folder}; see: tracks info {imported.folder}")
