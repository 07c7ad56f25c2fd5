"""``tracks info``."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from tracks.cli.options import PATH
from tracks.errors import TracksError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from model.folder import Model
    from tracks.bigwig import BigWigSummary
    from tracks.labels.built import BuiltLabels


@click.command("info")
@click.argument("path", metavar="FILE_OR_MODEL", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def command(path: Path, as_json: bool) -> None:
    """Say what a model folder, a label set or a bigWig file is.

    For a model: its tracks with units, its architecture and digest, how it was trained, and its accuracy on
    held-out blocks beside the baselines. For a label set: its tracks, what each was made of, and its windows (tracks
    labels check also reads the labels). For a bigWig: its chromosomes, how much of them has a value, the range and
    mean of the values, and its zoom levels.

    \b
    Examples:
      tracks info mymodel/
      tracks info out/cpg_methylation_imr90.bw
      tracks info labels.zarr
      tracks info mymodel/ --json
    """
    if not path.exists():
        raise UsageError(f"there is no file or folder {path}")
    if path.suffix == ".zarr":
        from tracks.labels.built import BuiltLabels

        labels = BuiltLabels(path)
        facts = labels_facts(labels)
        lines = _labels_lines(labels)
    elif path.is_dir():
        facts = model_facts(path)
        lines = _model_lines(facts, path)
    else:
        from tracks.bigwig import summarise_bigwig

        try:
            summary = summarise_bigwig(path)
        except TracksError as error:
            raise TracksError(f"{error}; tracks info describes bigWig files, label sets and model folders") from error
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


def labels_facts(labels: BuiltLabels) -> dict[str, Any]:
    """Return what a label set is, as JSON-ready values; ``windows`` counts those of each fold."""
    return {
        "kind": "labels",
        "name": labels.name,
        "recipe": labels.recipe,
        "genome": labels.genome,
        "digest": labels.digest,
        "grid": list(labels.grid_chroms),
        "windows": dict(Counter(window.fold for window in labels.windows)),
        "given_windows": labels.has_rows,
        "tracks": [
            {
                **target.track.to_json(),
                "window_transform": target.window_track.to_json()["transform"],
                "aggregation": target.aggregation,
                "sources": list(target.sources),
            }
            for target in labels.targets
        ],
        "notes": list(labels.notes),
    }


def _labels_lines(labels: BuiltLabels) -> Iterator[str]:
    from tracks.errors import first_few

    yield f"labels {labels.name} ({labels.recipe} recipe), of {labels.genome}"
    yield f"  grid         {first_few(labels.grid_chroms, 8) or 'none'}"
    folds = Counter(window.fold for window in labels.windows)
    counts = ", ".join(f"{count:,} {fold}" for fold, count in folds.items())
    yield f"  windows      {counts or 'none'}{' (given)' if labels.has_rows else ''}"
    for target in labels.targets:
        made_of = ", ".join(target.sources)
        yield f"  track        {target.track.name}: {target.track.unit}, {target.aggregation} of {made_of}"
    for note in labels.notes:
        yield f"  note         {note}"


def model_facts(folder: Path) -> dict[str, Any]:
    """Return what a model folder is, as JSON-ready values. ``digest`` is of the head that is used by default, null
    without one, and a head's own is the name of its predictions in the store; ``card`` is null for a model that was not
    evaluated."""
    import dataclasses

    from model.folder import head_names, load_model, load_trunk

    loaded = load_trunk(folder)
    description = json.loads((folder / "model.json").read_text())
    names = head_names(folder)
    model = load_model(folder, names[:1]) if names else None
    return {
        "kind": "model",
        "name": loaded.name,
        "digest": model.digest if model else None,
        "format": description["format"],
        "written_by": description.get("written_by"),
        "parameters": sum(weight.numel() for weight in loaded.trunk.parameters()),
        "weights_bytes": sum(path.stat().st_size for path in folder.rglob("*.safetensors")),
        "trunk": dataclasses.asdict(loaded.config),
        "source": loaded.source,
        "heads": _head_facts(load_model(folder, names)) if names else [],
        "training": description["training"],
        "split": {
            fold: sum(len(block.region) for block in (model.split if model else ()) if block.fold == fold)
            for fold in ("train", "valid", "test")
        },
        "card": model.card if model else None,
    }


def _head_facts(model: Model) -> list[dict[str, Any]]:
    import dataclasses

    facts = []
    for spec in model.heads:
        head_json = json.loads((model.folder / "heads" / spec.name / "head.json").read_text())
        facts.append(
            {
                "name": spec.name,
                "kind": spec.config.kind,
                "scope": spec.scope,
                "digest": model.head_digests[spec.name],
                "parameters": sum(weight.numel() for weight in model.network.heads[spec.name].parameters()),
                "config": dataclasses.asdict(spec.config),
                "half_embedding": spec.half_embedding,
                "tracks": [
                    {"slug": track.slug, **track.to_json(), "link": link}
                    for track, link in zip(spec.tracks, spec.links, strict=True)
                ],
                "source": head_json["source"],
                "training": head_json["training"],
            }
        )
    return facts


_SHOWN_TRACKS = 24


def _model_lines(facts: dict[str, Any], folder: Path) -> Iterator[str]:
    from tracks.grid import BIN, BINS, INPUT

    yield f"model {facts['name']} ({folder})"
    if facts["digest"]:
        yield f"  digest       {facts['digest']}"
    yield f"  format       {facts['format']}, written by {facts['written_by'] or 'an unnamed program'}"
    total = facts["parameters"] + sum(head["parameters"] for head in facts["heads"])
    yield f"  parameters   {total:,} ({facts['weights_bytes'] / 1e6:.1f} MB)"
    yield f"  input        {INPUT:,} bases give {BINS} bins of {BIN} bp"
    trunk = facts["trunk"]
    yield (
        f"  trunk        Basenji2 family: stem of {trunk['stem_filters']} filters, tower of {trunk['tower_blocks']} "
        f"blocks from {trunk['tower_filters']} filters on (x {trunk['tower_growth']:g}), {trunk['residual_blocks']} "
        f"dilated residual blocks of {trunk['residual_filters']}, embedding of {trunk['embedding_filters']}; "
        f"GELU {trunk['gelu']}, BatchNorm epsilon {trunk['batch_norm_epsilon']:g}"
    )
    if facts["source"]:
        yield f"  from         {_fields(facts['source'])}"
    for place, head in enumerate(facts["heads"]):
        per = "a value per bin" if head["scope"] == "bins" else "a value per window"
        default = ", used by default" if not place and len(facts["heads"]) > 1 else ""
        yield f"  head {head['name']}: {head['kind']}, {per}, {head['parameters']:,} parameters{default}"
        yield f"    in the store as {head['digest'][:12]}"
        if head["source"]:
            yield f"    from {_fields(head['source'])}"
        context = head["config"].get("context")
        if context and any(track["context"] for track in head["tracks"]):
            widths = ", ".join(f"{width / 1e6:g}" for width in context["widths"])
            least = f"{context['min_known']:.0%}"
            yield f"    context: composition of {widths} Mb around; no value where under {least} is known"
        for track in head["tracks"][:_SHOWN_TRACKS]:
            context_note = "; uses context" if context and track["context"] else ""
            yield f"    {track['name']}: {track['unit']}; {track['assay']}, {track['biosample']}{context_note}"
            if track["source"]:
                yield f"      {track['source']}"
        if len(head["tracks"]) > _SHOWN_TRACKS:
            yield f"    and {len(head['tracks']) - _SHOWN_TRACKS:,} more (--json lists all)"
        if head["training"]:
            yield f"    training {_fields(head['training'])}"
    if facts["training"]:
        yield f"  training     {_fields(facts['training'])}"
    if any(facts["split"].values()):
        yield "  split        " + ", ".join(f"{fold} {bases / 1e6:.1f} Mb" for fold, bases in facts["split"].items())
    if facts["card"] is None:
        yield "  accuracy     no model card (tracks card makes one)"
        return
    from model.card import card_from_json, card_lines

    card = card_from_json(facts["card"])
    if card.digest != facts["digest"]:
        yield f"  warning      the card is of other weights ({card.digest[:16]}); tracks card makes it again"
    for line in card_lines(card):
        yield f"  {line}".rstrip()


def _fields(fields: dict[str, Any]) -> str:
    """Render the plain fields of a mapping on one line; nested ones are for --json."""
    return ", ".join(f"{name} {value}" for name, value in fields.items() if not isinstance(value, dict | list | tuple))
