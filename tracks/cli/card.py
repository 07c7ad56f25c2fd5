"""``tracks card``."""

from __future__ import annotations

from pathlib import Path

import click

from tracks.cli import options
from tracks.errors import UsageError
from tracks.files import check_folder, write_text


@click.command("card")
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option("--project", required=True, type=click.Path(path_type=Path), help="A tracks.toml.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The card [default: card.json in the model folder].")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the card as a Markdown page too.")
@click.option("--overwrite", is_flag=True, help="Replace the files of -o and --markdown.")
@options.store
@options.device
@options.threads
def command(
    model: Path | None,
    project: Path,
    out: Path | None,
    markdown: Path | None,
    overwrite: bool,
    root: Path | None,
    device: str,
    threads: int | None,
) -> None:
    """Score MODEL on the held-out blocks of a project, beside what base composition alone says.

    Per track, on valid and test blocks and each chromosome apart: Pearson, Spearman and AUROC at 128 bp, 4,096 bp
    and 114,688 bp with block-bootstrap intervals, four baselines on the same bins, and paired differences. Without
    MODEL, the baselines alone are scored. A card already in the model folder is replaced.

    \b
    Examples:
      tracks card mymodel/ --project mini/tracks.toml
      tracks card mymodel/ --project mini/tracks.toml -o card.json --markdown docs/model-card.md
      tracks card --project mini/tracks.toml
    """
    for path in (out, markdown):
        if path is not None:
            _check_writable(path, overwrite)
    if model is not None and out is None and model.is_dir():
        _check_writable(model / "card.json", overwrite=True)
    from model.card import card_lines, card_markdown
    from model.evaluate import evaluate, evaluate_baselines
    from model.folder import load_model
    from tracks.cli.progress import bar
    from tracks.project import load_project
    from tracks.store import Store, default_store_folder

    options.use_threads(threads)
    loaded = load_project(project)
    # Names only: a card says what made it, not where on this machine.
    words = ["tracks card", *([model.resolve().name] if model else []), "--project", project.name]
    with bar("evaluating") as shown:
        if model is None:
            card = evaluate_baselines(loaded, shown.say, " ".join(words))
        else:
            store = Store(root or default_store_folder())
            card = evaluate(load_model(model), loaded, device, store, shown.say, shown.update, " ".join(words))
    written = []
    target = out or (model / "card.json" if model else None)
    for path, text in ((target, card.to_json()), (markdown, card_markdown(card))):
        if path is not None:
            write_text(path, text)
            written.append(str(path))
    click.echo("\n".join(card_lines(card)))
    if written:
        click.echo(f"wrote {' and '.join(written)}")


def _check_writable(path: Path, overwrite: bool) -> None:
    """See that a file could be written, before minutes of work."""
    if path.is_dir():
        raise UsageError(f"cannot write {path}: it is a folder; name a file")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists already; choose another name, or replace it with --overwrite")
    check_folder(path.absolute().parent, str(path))
