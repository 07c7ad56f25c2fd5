"""The page's view in a notebook, and its figure: ``tracks.view(...)`` and ``tracks.plot(...)``.

Both use the tilesets and the store of the page, so what one computed the other shows. The view is higlass-python's
widget, whose JavaScript the browser loads from a CDN: it needs the internet. The figure needs nothing.
"""

from __future__ import annotations

import functools
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import higlass

from server.figure import draw_region
from server.jobs import JobState
from server.site import Site
from server.viewconf import VIEW
from tracks.errors import TracksError, UsageError
from tracks.genome import demo_project
from tracks.store import Store, default_store_folder
from tracks.track import OBSERVED_COLOR, select_tracks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from matplotlib.figure import Figure

    from server.site import Panel
    from tracks.regions import Region

_HEIGHTS = {"chromosomes": 30, "genes": 70, "intervals": 20, "panel": 90}
_WIDTHS = (2, 40)
_WAIT = 0.2
_LISTEN = 2.0


@functools.lru_cache(maxsize=4)
def opened(project: Path, model: Path | None, heads: tuple[str, ...], store: Path, device: str) -> Site:
    """Open a project with a model, once for all calls with the same names, and start predicting in the background."""
    site = Site(project, model, Store(store), heads, device=device)
    site.predictions.start()
    return site


def view(
    region: str | Region | None = None,
    *,
    project: str | Path | None = None,
    model: str | Path | None = None,
    heads: Sequence[str] = (),
    store: str | Path | None = None,
    device: str = "auto",
    tracks: Sequence[str] = (),
) -> Any:
    """Return a HiGlass widget of observed and predicted tracks at a region, a chromosome or a gene.

    ``project`` is a tracks.toml (default: the embedded data), ``model`` a model folder (default: the project's, else
    the shipped one), ``tracks`` names some of its tracks. The region is predicted as one looks, and so is every place
    the view is moved to: its tracks are drawn anew when predictions come. Raises UsageError for a place that is not
    there, TracksError when a file cannot be used.
    """
    site = _site(project, model, heads, store, device)
    place = _place(site, region)
    panels = _panels(site, tracks)
    watched = [panel.track.slug for panel in panels if panel.predicted]
    rows: list[Any] = [
        site.chrom_sizes.track("horizontal-chromosome-labels", uid="chromosomes", height=_HEIGHTS["chromosomes"]),
        site.genes.track("horizontal-gene-annotations", uid="genes", height=_HEIGHTS["genes"]),
    ]
    rows += [
        shown.tileset.track("bedlike", uid=shown.tileset.uid, height=_HEIGHTS["intervals"]).opts(
            inplace=True, plusStrandColor=shown.color, minusStrandColor=shown.color, name=shown.tileset.name
        )
        for shown in site.annotations
    ]
    rows += [_overlay(panel) for panel in panels]
    made = higlass.view(*((row, "top") for row in rows), uid=VIEW, initialXDomain=site.axis.absolute(place))
    widget = made.viewconf(editable=False).widget()
    threading.Thread(target=_follow, args=(weakref.ref(widget), site, watched), daemon=True).start()
    return widget


def plot(
    region: str | Region,
    *,
    project: str | Path | None = None,
    model: str | Path | None = None,
    head: str | None = None,
    store: str | Path | None = None,
    device: str = "auto",
    tracks: Sequence[str] = (),
    out: str | Path | None = None,
    width: float = 7.2,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Figure:
    """Draw observed and predicted tracks of a region, a chromosome or a gene as a figure for a paper, and return it.

    Windows that nobody predicted before are predicted first and kept; ``progress`` is told the windows done and in
    all. ``out`` is a .pdf, .svg or .png file to write as well; ``width`` is in inches, 2 to 40. Raises UsageError for a
    place that is not there, another suffix or another width, TracksError when a window fails or a file cannot be used.
    """
    if not _WIDTHS[0] <= width <= _WIDTHS[1]:
        raise UsageError(f"a figure is {_WIDTHS[0]} to {_WIDTHS[1]} inches wide, not {width}")
    site = _site(project, model, (head,) if head else (), store, device)
    place, panels = _place(site, region), _panels(site, tracks)
    if any(panel.predicted for panel in panels):
        _predicted(site, place, site.predictions.heads[:1], progress)
    return draw_region(site, place, panels, Path(out) if out is not None else None, width)


def _site(
    project: str | Path | None, model: str | Path | None, heads: Sequence[str], store: str | Path | None, device: str
) -> Site:
    return opened(
        Path(project).absolute() if project is not None else demo_project(),
        Path(model).absolute() if model is not None else None,
        tuple(heads),
        Path(store).absolute() if store is not None else default_store_folder(),
        device,
    )


def _place(site: Site, region: str | Region | None) -> Region:
    if region is None:
        return site.loci[0].region
    return site.locate(str(region)).region


def _panels(site: Site, names: Sequence[str]) -> list[Panel]:
    if not names:
        return list(site.panels)
    wanted = {track.slug for track in select_tracks([panel.track for panel in site.panels], names)}
    return [panel for panel in site.panels if panel.track.slug in wanted]


def _overlay(panel: Panel) -> Any:
    # Stock tracks: a notebook's tiles come over its own channel, which the plugin's data fetcher does not speak.
    low, high = panel.scale
    parts: list[Any] = []
    for tileset, kind, color in (
        (panel.observed, "horizontal-bar", OBSERVED_COLOR),
        (panel.predicted[0].tileset if panel.predicted else None, "horizontal-line", panel.track.color),
    ):
        if tileset is not None:
            options = {"barFillColor": color, "lineStrokeColor": color, "valueScaleMin": low, "valueScaleMax": high}
            name = tileset.name if not parts else ""
            part = tileset.track(kind, uid=tileset.uid, height=_HEIGHTS["panel"])
            parts.append(part.opts(inplace=True, name=name, labelPosition="topLeft", **options))
    return higlass.CombinedTrack(
        type="combined", uid=panel.track.slug, height=_HEIGHTS["panel"], contents=parts, position="top"
    )


def _follow(widget: weakref.ref[Any], site: Site, tracks: Sequence[str]) -> None:
    """Draw predicted tracks anew when windows have come, for as long as the widget is there."""
    for _ in _changes(site, lambda: widget() is not None):
        shown = widget()
        if shown is not None:
            shown.reload(*([VIEW, track] for track in tracks))


def _changes(site: Site, wanted: Callable[[], bool]) -> Iterator[None]:
    serial = site.events.serial
    while wanted():
        serial, events = site.events.after(serial, _LISTEN)
        if any(event.kind in ("changed", "reset") for event in events):
            yield


def _predicted(site: Site, region: Region, heads: Sequence[str], progress: Callable[[int, int], None]) -> None:
    """Wait until a region is predicted."""
    site.predictions.retry(site.axis.absolute(region))
    job = site.jobs.submit([region], heads)
    try:
        while not job.finished:
            progress(job.done, job.total)
            time.sleep(_WAIT)
    except BaseException:
        site.jobs.cancel(job.id)
        raise
    progress(job.done, job.total)
    if job.state is JobState.FAILED:
        raise TracksError(f"cannot predict {region}: {job.message}")
