"""``tracks evaluate``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("evaluate")
@click.argument("model", type=click.Path(path_type=Path, file_okay=False))
@click.option("--project", required=True, type=click.Path(path_type=Path, dir_okay=False), help="A tracks.toml.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The card [default: card.json in the model folder].")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the card as a Markdown page too.")
@click.option("--store", "root", type=click.Path(path_type=Path), help="Prediction store [default: the user's cache].")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
def command(
    model: Path, project: Path, out: Path | None, markdown: Path | None, root: Path | None, device: str
) -> None:
    """Score MODEL on the held-out blocks of a project, beside what base composition alone says.

    Per track, on valid and test blocks and each chromosome apart: Pearson, Spearman and AUROC at 128 bp, 4,096 bp
    and 114,688 bp, with block-bootstrap intervals, four baselines on the same bins, and paired differences.

    \b
    Examples:
      tracks evaluate mymodel/ --project mini/tracks.toml
      tracks evaluate mymodel/ --project mini/tracks.toml -o card.json --markdown docs/model-card.md
    """
    from model.card import card_lines, card_markdown
    from model.evaluate import evaluate
    from model.folder import load_model
    from tracks.cli.progress import bar
    from tracks.files import written_beside
    from tracks.project import load_project
    from tracks.store import Store, default_store_folder

    loaded = load_model(model)
    with bar("evaluating") as shown:
        card = evaluate(loaded, load_project(project), device, Store(root or default_store_folder()), shown.say)
    target = out or model / "card.json"
    with written_beside(target) as beside:
        beside.write_text(card.to_json())
    if markdown is not None:
        with written_beside(markdown) as beside:
            beside.write_text(card_markdown(card))
    click.echo("\n".join(card_lines(card)))
    click.echo(f"wrote {target}{f' and {markdown}' if markdown else ''}")
