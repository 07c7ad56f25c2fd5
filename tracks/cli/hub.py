"""``tracks hub``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from tracks.cli import options
from tracks.cli.options import PATH
from tracks.errors import UsageError, first_few
from tracks.method import Ensemble, Method

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tracks.hub.assemblies import Assembly
    from tracks.hub.order import WrittenHub
    from tracks.hub.sources import Source

EMAIL = "nobody@example.org"
"""UCSC wants an address in every hub; this one is nobody's (RFC 2606)."""


@click.command("hub")
@click.argument("paths", metavar="MODEL_OR_BIGWIGS...", nargs=-1, type=PATH)
@click.option("-o", "--out", required=True, type=PATH, help="Folder for the hub.")
@click.option("--genome", help="Assembly: hg19, hg38, mm10 [default: told by the chromosomes' lengths].")
@click.option("--chrom-sizes", "sizes", type=PATH, help="Chromosome lengths of another assembly: table, .fai or FASTA.")
@click.option("--project", type=PATH, help="Project file: observed tracks, intervals, names and colours.")
@click.option("--model", type=PATH, help="Model folder that made the predicted files, for their description.")
@click.option("--observed", multiple=True, type=PATH, help="A bigWig that is observed, whatever its name (repeatable).")
@click.option("--predicted", multiple=True, type=PATH, help="One that is predicted (repeatable).")
@click.option("--base-url", help="Address that the folder will have on the web, for links.")
@click.option("--email", help=f"Whom readers may write to [default: {EMAIL}, which is nobody].")
@click.option("--name", default="tracks", show_default=True, help="Name of the hub, without spaces.")
@click.option("--label", help="What people read [default: the project's name].")
@click.option("--region", help="Where a browser opens, such as chr20:10,000,001-11,000,000.")
@click.option("--link", is_flag=True, help="Hard-link bigWigs into the folder instead of copying them.")
@click.option("--skip-unknown", is_flag=True, help="Leave chromosomes out that the assembly lacks.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there, an older hub's all.")
@click.option(
    "--fasta", type=PATH, help="With a model: the genome of its predictions [default: the project's, or demo]."
)
@click.option("--head", "heads", multiple=True, help="With a model: head of it (repeatable) [default: all].")
@options.store
@options.ensemble
@options.edges
@options.precision
def command(
    paths: tuple[Path, ...],
    out: Path,
    genome: str | None,
    sizes: Path | None,
    project: Path | None,
    model: Path | None,
    observed: tuple[Path, ...],
    predicted: tuple[Path, ...],
    base_url: str | None,
    email: str | None,
    name: str,
    label: str | None,
    region: str | None,
    link: bool,
    skip_unknown: bool,
    overwrite: bool,
    fasta: Path | None,
    heads: tuple[str, ...],
    root: Path | None,
    **method: str,
) -> None:
    """Write a track hub: a folder that can be copied to any web host.

    It holds hub.txt for UCSC (and other browsers that read hubs), one overlay of observed and predicted per track,
    their difference, the project's BED files as bigBed, a description page per track, an IGV session and a JBrowse 2
    configuration, and the bigWig files themselves.

    Arguments are bigWig files, folders of them, or model folders. A file that the project names, or whose name or
    folder says observed, is observed. One named as tracks predict names files (the slug of a track of the project, the
    model or the published 18, and maybe a head) is predicted. Any other is observed, as a track of its own. What each
    was taken for is said; --observed and --predicted overrule it.

    Of a model folder, all windows that the store knows are written as bigWigs. With --project, its observed files and
    BED files are in the hub.

    Chromosomes are given the assembly's names where only chr differs. A file of another assembly is refused.

    \b
    Examples:
      tracks hub -o hub/ --project tracks.toml predicted/ --base-url https://lab.example/hub --email me@lab.example
      tracks hub -o hub/ --genome hg38 --observed cpg.bw --predicted out/cpg_methylation_imr90.bw
      tracks hub -o hub/ --project tracks.toml mymodel/
    """
    started = time.monotonic()
    from tracks.hub.folder import check_hub_folder, write_hub
    from tracks.hub.made_by import read_model
    from tracks.hub.names import check_base_url, check_email, check_name, one_line
    from tracks.hub.order import BedFile, HubOrder
    from tracks.hub.sources import bigwigs_of, find_sources, known_tracks
    from tracks.project import load_project
    from tracks.regions import parse_region

    check_name(name, "--name")
    address = check_base_url(base_url) if base_url is not None else ""
    check_email(email or EMAIL)
    check_hub_folder(out, overwrite)
    how = Method(method["precision"], method["edges"], Ensemble.parse(method["ensemble"]))  # type: ignore[arg-type]
    known_project = load_project(project) if project is not None else None
    folders = [path for path in paths if (path / "model.json").is_file()]
    files = bigwigs_of(path for path in paths if path not in folders)
    if len({*folders, *([model] if model else [])}) > 1:
        raise UsageError("a hub has the predictions of one model; name one model folder")
    about = model or (folders[0] if folders else None)
    facts = read_model(about) if about is not None else None
    known = known_tracks(known_project, facts.tracks if facts else {})
    sources = find_sources(files, observed, predicted, known_project, known)
    more = None
    if about is None and heads:
        raise UsageError("--head goes with a model: name its folder, or give it with --model")
    if folders:
        from tracks.cli.hub_stored import Stored

        stored = Stored(folders[0], heads, fasta, known_project, root, how)
        facts, more = read_model(folders[0], stored.digests, how.words), stored.write
    elif fasta is not None or root is not None:
        raise UsageError("--fasta and --store go with a model folder among the arguments")
    elif about is not None:
        if all(source.kind == "observed" for source in sources):
            raise UsageError("--model describes predicted files, and there are none; name the model folder without it")
        from model.folder import head_names, load_model

        of_files = {source.head for source in sources}
        model_heads = heads or tuple(head for head in head_names(about) if head in of_files)
        facts = read_model(about, load_model(about, model_heads).head_digests)
    if not sources and more is None:
        raise UsageError(
            "there is nothing to show; name bigWig files, a model folder, or a --project with observed files"
        )
    assembly = _assembly(genome, sizes, sources, fasta or (known_project.genome if known_project else None))
    order = HubOrder(
        name=name,
        label=label if label is not None else (one_line(known_project.name) if known_project else "") or name,
        email=email or EMAIL,
        assembly=assembly,
        sources=sources,
        beds=tuple(BedFile(part.name, part.bed, part.color) for part in known_project.annotation)
        if known_project is not None
        else (),
        model=facts,
        region=parse_region(region, assembly.sizes) if region is not None else None,
        base_url=address,
        link=link,
        skip_unknown=skip_unknown,
        overwrite=overwrite,
        more=more,
    )
    for kind in ("observed", "predicted"):
        named = [str(source.path) for source in sources if source.kind == kind]
        if named:
            click.echo(f"tracks: {kind}: {first_few(named, 6)}", err=True)
    _say(write_hub(out, order), out, address, time.monotonic() - started)
    if email is None:
        click.echo(f"tracks: hub.txt names {EMAIL} as whom to write to; give your address with --email", err=True)


def _assembly(genome: str | None, sizes: Path | None, sources: Sequence[Source], fasta: Path | None) -> Assembly:
    """The assembly that the hub is of: the one that was named, or the one that the lengths tell."""
    from tracks.bigwig import read_chrom_sizes
    from tracks.genome_sizes import read_sizes
    from tracks.hub.assemblies import ASSEMBLIES, Assembly, told_assembly

    if sizes is not None:
        if genome is None:
            raise UsageError("--chrom-sizes needs the assembly's name as browsers have it: --genome hs1")
        return Assembly(genome, read_sizes(sizes))
    if genome is None:
        found = [read_chrom_sizes(source.path) for source in sources]
        found += [read_sizes(fasta)] if fasta is not None and not found else []
        genome = next((told for told in map(told_assembly, found) if told is not None), None)
        if genome is None:
            raise UsageError(
                "the chromosomes' lengths do not tell the assembly; name it with --genome (hg19, hg38, mm10), or "
                "another one with --genome and --chrom-sizes"
            )
    if genome not in ASSEMBLIES:
        raise UsageError(
            f"--genome: the chromosomes of '{genome}' are not known here, only those of {', '.join(ASSEMBLIES)}; "
            "give their lengths with --chrom-sizes FILE"
        )
    return Assembly(genome, ASSEMBLIES[genome], contigs=True)


def _say(written: WrittenHub, out: Path, address: str, seconds: float) -> None:
    from tracks.hub.files import CUSTOM, HUB_TXT, IGV_XML, JBROWSE
    from tracks.hub.links import custom_tracks, ucsc_link
    from tracks.hub.model import placed
    from tracks.hub.names import why_hidden

    hub = written.hub
    for note in written.notes:
        click.echo(f"tracks: {note}", err=True)
    kinds = [signal.kind for signal in hub.signals()]
    counts = [f"{kinds.count(kind)} {kind}" for kind in ("observed", "predicted", "difference") if kind in kinds]
    counts += [f"{len(hub.intervals)} of intervals"] if hub.intervals else []
    click.echo(
        f"wrote {out}: {len(hub.tracks)} tracks of {hub.genome} ({', '.join(counts)}), {len(written.files)} files, "
        f"{written.size / 1e6:.1f} MB, in {seconds:.1f} s"
    )
    click.echo(f"IGV session: {out / IGV_XML}")
    click.echo(f"JBrowse 2 configuration: {out / JBROWSE}")
    if not address:
        click.echo("UCSC: copy the folder to a web host, and give its address with --base-url to get the link")
        return
    hidden = why_hidden(address)
    if hidden is not None:
        click.echo(f"tracks: warning: {hidden}", err=True)
    click.echo(f"UCSC: {ucsc_link(hub, f'{address}/{HUB_TXT}')}")
    click.echo(f"custom tracks for UCSC, also in {out / CUSTOM}:")
    click.echo(custom_tracks(placed(hub, address)), nl=False)
