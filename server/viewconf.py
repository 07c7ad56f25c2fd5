"""The HiGlass view of a site, built with higlass-python: chromosomes, genes, CpG islands, one panel a track."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import higlass

if TYPE_CHECKING:
    from server.site import Panel, Site
    from server.tilesets import Tileset

SERVER = "/api/v1"
OBSERVED_COLOR = "#4d4d4d"
"""Observed is dark grey in every track; predicted is the track's own colour."""

VIEW = "view"
_GENE_INK = "#47505b"
_ISLAND_COLOR = "#2a7f62"
_HEIGHTS = {"chromosomes": 34, "genes": 74, "islands": 18, "panel": 96}


def view_config(site: Site) -> dict[str, Any]:
    """Return the view configuration, JSON-ready, first at the site's first locus."""
    tracks: list[Any] = [_chromosomes(site), _genes(site)]
    if site.islands is not None:
        tracks.append(_islands(site.islands))
    tracks += [_panel(panel) for panel in site.panels]
    view = higlass.view(
        *((track, "top") for track in tracks),
        uid=VIEW,
        initialXDomain=site.axis.absolute(site.loci[0].region),
        genomePositionSearchBoxVisible=False,
    )
    config = view.viewconf(editable=False, zoomFixed=False, exportViewUrl="", trackSourceServers=[SERVER])
    dumped: dict[str, Any] = config.model_dump(exclude_none=True)
    return dumped


def _chromosomes(site: Site) -> Any:
    return higlass.track(
        "horizontal-chromosome-labels",
        uid="chromosomes",
        server=SERVER,
        tilesetUid=site.chrom_sizes.uid,
        height=_HEIGHTS["chromosomes"],
        options={"color": "#333333", "stroke": "#ffffff", "fontSize": 12, "fontIsLeftAligned": False,
                 "tickColor": "#999999", "reverseOrientation": False, "showMousePosition": False},
    )  # fmt: skip


def _genes(site: Site) -> Any:
    return higlass.track(
        "horizontal-gene-annotations",
        uid="genes",
        server=SERVER,
        tilesetUid=site.genes.uid,
        height=_HEIGHTS["genes"],
        options={"plusStrandColor": _GENE_INK, "minusStrandColor": _GENE_INK, "labelPosition": "hidden",
                 "labelColor": "#333333", "fontSize": 11, "geneAnnotationHeight": 10, "geneLabelPosition": "outside",
                 "geneStrandSpacing": 4, "showMousePosition": False, "trackBorderWidth": 0},
    )  # fmt: skip


def _islands(tileset: Tileset) -> Any:
    # higlass-python does not know plugin tracks, so their data section passes through it unchanged; that of a
    # known type would lose its tilesetUid (facts T7).
    return higlass.track(
        "tracks-intervals",
        uid="cpg-islands",
        height=_HEIGHTS["islands"],
        data=_data(tileset),
        options={"color": _ISLAND_COLOR},
    )


def _panel(panel: Panel) -> Any:
    children = []
    if panel.observed is not None:
        children.append(_signal(panel, panel.observed, "area", OBSERVED_COLOR))
    if panel.predicted is not None:
        children.append(_signal(panel, panel.predicted, "line", panel.track.color))
    return higlass.CombinedTrack(
        type="combined", uid=panel.track.slug, height=_HEIGHTS["panel"], contents=children, position="top"
    )


def _signal(panel: Panel, tileset: Tileset, mark: str, color: str) -> Any:
    low, high = panel.scale
    return higlass.track(
        "tracks-signal",
        uid=tileset.uid,
        height=_HEIGHTS["panel"],
        data=_data(tileset),
        options={"mark": mark, "color": color, "unit": panel.track.unit, "valueScaleMin": low, "valueScaleMax": high,
                 "label": "observed" if mark == "area" else "predicted", "showTooltip": True,
                 "grid": panel.predicted is None or mark == "line"},
    )  # fmt: skip


def _data(tileset: Tileset) -> dict[str, str]:
    return {"type": "tracks-prediction", "server": SERVER, "tilesetUid": tileset.uid}
