"""``tracks serve``."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import click

from tracks.cli import options
from tracks.cli.options import PATH
from tracks.errors import TracksError, UsageError
from tracks.method import Edges, Ensemble, Method, Precision

_UNITS = {"": 1, "b": 1, "bp": 1, "k": 1_000, "kb": 1_000, "m": 1_000_000, "mb": 1_000_000}


class _Bases(click.ParamType[int]):
    """A number of bases: ``2Mb``, ``500kb``, ``2,000,000``."""

    name = "bases"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number. Fails with the option's name when there is none."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([0-9]{1,10}(?:\.[0-9]{1,6})?) *([a-z]*)", str(value).replace(",", "").strip().lower())
        bases = round(float(found[1]) * _UNITS[found[2]]) if found and found[2] in _UNITS else 0
        if not bases:
            self.fail(f"'{value}' is no number of bases; write it like 2Mb, 500kb or 2000000", param, ctx)
        return bases


@click.command("serve")
@click.argument("project", type=PATH, required=False)
@options.model
@options.heads
@options.stride
@options.store
@options.device
@options.spare_threads
@options.precision
@options.edges
@options.ensemble
@options.port
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--public", is_flag=True, help="Let everyone in who reaches the address, by any name.")
@click.option("--token-file", type=PATH, help="Text file with the token; made with a new one where there is none.")
@click.option("--cors", "origins", multiple=True, help="Origin whose pages may ask too (repeatable).")
@click.option("--public-url", help="Address by which other machines reach this server, such as a proxy's.")
@click.option(
    "--max-view", type=_Bases(), default="2Mb", show_default=True, help="Widest view that is predicted as one looks."
)
@options.no_browser
def command(
    project: Path | None,
    model: Path | None,
    heads: tuple[str, ...],
    stride: int | None,
    root: Path | None,
    device: str,
    threads: int | None,
    precision: Precision,
    edges: Edges,
    ensemble: str,
    port: int | None,
    host: str,
    public: bool,
    token_file: Path | None,
    origins: tuple[str, ...],
    public_url: str | None,
    max_view: int,
    no_browser: bool,
) -> None:
    """Open observed and predicted tracks of a PROJECT (tracks.toml) in the browser.

    Predictions are computed where somebody looks, and kept in the store; regions of any size can be predicted in the
    background, from the page. Without PROJECT it is the tracks.toml of this folder.

    --precision bf16 is twice as fast where the processor can do it (tracks bench says); what is predicted so is kept
    apart, and the page says how it was made.

    Only this machine is served, unless --host names another address. Then whoever comes needs a token, which is part of
    the link that is printed. It is a new one each time, unless --token-file or the environment's TRACKS_TOKEN has
    one. Traffic is not encrypted: put a proxy that speaks HTTPS in front where others share the network.

    --cors lets the HiGlass pages of another site use this server: they may read, predict and save views. Where there is
    a token they send it, in HiGlass by the option authToken: "Bearer TOKEN". --cors '*' lets the pages of all sites
    read, and needs --public or a token.

    Other browsers read the same tracks, predicted as they read: the page's menu "Open in" has the addresses. UCSC reads
    from its own machines, so it needs --public-url with an address that they reach.

    \b
    Examples:
      tracks serve
      tracks serve mine/tracks.toml --model mine/model --head bins --head attention
      tracks serve --host 0.0.0.0 --token-file ~/.tracks-token --no-browser
      tracks serve --cors https://higlass.lab.example
      tracks serve --public --public-url https://tracks.lab.example --cors https://igv.org
      tracks serve --max-view 500kb --threads 2
      tracks serve --precision bf16 --ensemble rc
    """
    if project is None:
        project = Path("tracks.toml")
        if not project.exists():
            raise UsageError("there is no tracks.toml in this folder; name one, or see the embedded data: tracks demo")
    method = Method(precision, edges, Ensemble.parse(ensemble))
    options.warn_if_slow(method, device)

    from server.serve import serve
    from tracks.grid import WINDOW
    from tracks.hub.names import check_base_url

    serve(
        project,
        model=model,
        heads=heads,
        stride=WINDOW if stride is None else stride,
        store=root,
        device=device,
        threads=threads,
        method=method,
        host=host,
        port=port,
        public=public,
        token=_token(token_file),
        origins=origins,
        base_url=check_base_url(public_url) if public_url is not None else None,
        max_view=max_view,
        browser=not no_browser,
    )
    # What its threads are at may take long, and nothing unfinished has its final name.
    sys.stdout.flush()
    os._exit(0)


def _token(file: Path | None) -> str | None:
    """Return the token of a file, which is made where there is none, or of the environment."""
    from server.security import check_token, new_token

    if file is None:
        token = os.environ.get("TRACKS_TOKEN")
        return check_token(token, "the environment's TRACKS_TOKEN") if token else None
    try:
        if not file.exists():
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
                made.write(f"{new_token()}\n")
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise TracksError(f"cannot use the token file {file}: {error}") from error
    return check_token(text.strip(), str(file))
