"""``tracks info``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracks.errors import TracksError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from model.folder import Model
    from tracks.bigwig import BigWigSummary


@click.command("info")
@click.argument("path", metavar="FILE_OR_MODEL", type=click.Path(path_type=Path, readable=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def command(path: Path, as_json: bool) -> None:
    """Say what a model folder or a bigWig file is.

    For a model: its tracks with units, its architecture and digest, how it was trained, and its accuracy on
    held-out blocks beside the baselines. For a bigWig: its chromosomes, how much of them has a value, the range and
    mean of the values, and its zoom levels.

    \b
    Examples:
      tracks info mymodel/
      tracks info out/cpg_methylation_imr90.bw
      tracks info mymodel/ --json
    """
    if not path.exists():
        raise UsageError(f"there is no file or folder {path}")
    if path.is_dir():
        from model.folder import load_model

        model = load_model(path)
        facts = model_facts(model)
        lines = _model_lines(facts, model)
    else:
        from tracks.bigwig import summarise_bigwig

        try:
            summary = summarise_bigwig(path)
        except TracksError as error:
            raise TracksError(f"{error}; tracks info describes bigWig files and model folders") from error
        facts = bigwig_facts(summary)
        lines = _bigwig_lines(path, summary)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        for line in lines:
            click.echo(line)


def bigwig_facts(summary: BigWigSummary) -> dict[str, Any]:
    """Return what a bigWig file is, as JSON-ready values; ``bins`` is the covered bases in bins of 128 bp."""
    from tracks.grid import bin_count

    return {
        "kind": "bigWig",
        "chromosomes": summary.chrom_sizes,
        "bases_covered": summary.covered,
        "bins": bin_count(summary.covered),
        "minimum": summary.minimum,
        "maximum": summary.maximum,
        "mean": summary.mean,
        "zoom_levels": list(summary.zoom_levels),
    }


def _bigwig_lines(path: Path, summary: BigWigSummary) -> Iterator[str]:
    from tracks.grid import bin_count

    sizes = summary.chrom_sizes
    total = sum(sizes.values())
    named = [f"{chrom} ({length:,} bases)" for chrom, length in list(sizes.items())[:6]]
    more = f" and {len(sizes) - 6:,} more" if len(sizes) > 6 else ""
    yield f"bigWig {path}"
    yield f"  chromosomes  {', '.join(named)}{more}"
    yield (
        f"  with a value {summary.covered:,} of {total:,} bases ({summary.covered / total:.1%}), "
        f"or {bin_count(summary.covered):,} bins of 128 bp"
    )
    yield f"  values       {summary.minimum:.6g} to {summary.maximum:.6g}, mean {summary.mean:.6g}"
    yield f"  zoom levels  {', '.join(f'{level:,} bp' for level in summary.zoom_levels) or 'none'}"


def model_facts(model: Model) -> dict[str, Any]:
    """Return what a model is, as JSON-ready values; ``card`` is null for a model that was not evaluated."""
    import dataclasses

    description = json.loads((model.folder / "model.json").read_text())
    return {
        "kind": "model",
        "name": model.name,
        "digest": model.digest,
        "format": description["format"],
        "written_by": description.get("written_by"),
        "parameters": sum(weight.numel() for weight in model.network.parameters()),
        "weights_bytes": (model.folder / "weights.safetensors").stat().st_size,
        "tracks": [{"slug": track.slug, **track.to_json()} for track in model.tracks],
        "network": dataclasses.asdict(model.network.config),
        "training": model.training,
        "split": {
            fold: sum(len(block.region) for block in model.split if block.fold == fold)
            for fold in ("train", "valid", "test")
        },
        "card": model.card,
    }


def _model_lines(facts: dict[str, Any], model: Model) -> Iterator[str]:
    from tracks.grid import BIN, BINS, INPUT

    yield f"model {model.name} ({model.folder})"
    yield f"  digest       {model.digest}"
    yield f"  format       {facts['format']}, written by {facts['written_by'] or 'an unnamed program'}"
    yield f"  parameters   {facts['parameters']:,} ({facts['weights_bytes'] / 1e6:.1f} MB)"
    yield f"  input        {INPUT:,} bases give {BINS} bins of {BIN} bp"
    trunk = model.network.config.trunk
    yield (
        f"  trunk        Basenji2 family: stem of {trunk.stem_filters} filters, tower of {trunk.tower_blocks} blocks "
        f"from {trunk.tower_filters} filters on (x {trunk.tower_growth:g}), {trunk.residual_blocks} dilated "
        f"residual blocks of {trunk.residual_filters}, embedding of {trunk.embedding_filters}"
    )
    context = model.network.config.context
    if any(track.context for track in model.tracks):
        widths = ", ".join(f"{width / 1e6:g}" for width in context.widths)
        yield f"  context      composition of {widths} Mb around; no value where under {context.min_known:.0%} is known"
    yield "  tracks"
    for track in model.tracks:
        context_note = "; uses context" if track.context else ""
        yield f"    {track.name}: {track.unit}; {track.assay}, {track.biosample}{context_note}"
        if track.source:
            yield f"      {track.source}"
    if model.training:
        yield f"  training     {_fields(model.training)}"
    if model.split:
        yield "  split        " + ", ".join(f"{fold} {bases / 1e6:.1f} Mb" for fold, bases in facts["split"].items())
    if model.card is None:
        yield "  accuracy     not evaluated (tracks evaluate adds it)"
        return
    from model.card import card_from_json, card_lines

    card = card_from_json(model.card)
    if card.digest != model.digest:
        yield f"  warning      the card is of other weights ({card.digest[:16]}); tracks evaluate makes it again"
    for line in card_lines(card):
        yield f"  {line}".rstrip()


def _fields(fields: dict[str, Any]) -> str:
    """Render the plain fields of a mapping on one line; nested ones are for --json."""
    return ", ".join(f"{name} {value}" for name, value in fields.items() if not isinstance(value, dict | list | tuple))
