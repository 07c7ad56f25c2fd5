"""The HiGlass view of a site, built with higlass-python: chromosomes, genes, intervals, one panel a track; and what
the page is told beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import higlass

from tracks.track import OBSERVED_COLOR

if TYPE_CHECKING:
    from server.site import Panel, Shown, Site
    from server.tilesets import Tileset
    from tracks.regions import Region

SERVER = "/api/v1"

VIEW = "view"
FETCHER = "tracks-prediction"
"""The plugin data fetcher of viewer/src/plugin."""

_GENE_INK = "#47505b"
_HEIGHTS = {"chromosomes": 34, "genes": 74, "intervals": 18, "panel": 96}


def view_config(site: Site) -> dict[str, Any]:
    """Return the view configuration, JSON-ready, first at the site's first locus."""
    tracks: list[Any] = [_chromosomes(site), _genes(site)]
    tracks += [_intervals(shown) for shown in site.annotations]
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


def _intervals(shown: Shown) -> Any:
    # higlass-python does not know plugin tracks, so their data section passes through it unchanged; that of a
    # known type would lose its tilesetUid (facts T7).
    return higlass.track(
        "tracks-intervals",
        uid=shown.tileset.uid,
        height=_HEIGHTS["intervals"],
        data={"type": FETCHER, "server": SERVER, "tilesetUid": shown.tileset.uid},
        options={"color": shown.color, "name": shown.tileset.name},
    )


def _panel(panel: Panel) -> Any:
    low, high = panel.scale
    return higlass.track(
        "horizontal-prediction",
        uid=panel.track.slug,
        height=_HEIGHTS["panel"],
        data=panel_data(panel),
        options={"name": panel.track.name, "unit": panel.track.unit, "color": panel.track.color,
                 "observedColor": OBSERVED_COLOR, "mark": "line", "show": "both",
                 "scale": "fixed" if panel.track.is_fraction else "auto",
                 "scaleGroup": panel.track.unit, "log": False, "valueScaleMin": low, "valueScaleMax": high,
                 "theme": "light", "axis": False, "showTooltip": True},
    )  # fmt: skip


def panel_data(panel: Panel) -> dict[str, str]:
    """Return a panel's data section, with its first head."""
    data = {"type": FETCHER, "server": SERVER}
    uids: dict[str, Tileset | None] = {"observed": panel.observed}
    if panel.predicted:
        first = panel.predicted[0]
        data["head"] = first.head
        uids |= {"predicted": first.tileset, "lower": first.lower, "upper": first.upper}
    uids["tilesetUid"] = uids.get("predicted") or panel.observed
    return data | {key: tileset.uid for key, tileset in uids.items() if tileset is not None}


def page(site: Site) -> dict[str, Any]:
    """Return all that the page is told of a site, JSON-ready."""
    return {
        "name": site.project.name,
        "assembly": site.assembly,
        "view": VIEW,
        "viewconf": view_config(site),
        "genes": site.genes.uid,
        "observedColor": OBSERVED_COLOR,
        "chromosomes": [
            {"name": chrom, "start": site.axis.offsets[chrom], "length": length}
            for chrom, length in site.axis.chrom_sizes.items()
        ],
        "loci": [{"name": locus.name, "note": locus.note, **placed(site, locus.region)} for locus in site.loci],
        "folds": [{"fold": block.fold, **placed(site, block.region)} for block in site.blocks],
        "model": {
            "name": site.model.name,
            "heads": [{"name": spec.name, "kind": spec.config.kind, "scope": spec.scope} for spec in site.model.heads],
            "device": str(site.predictor.device),
            "precision": site.predictor.method.words,
        },
        "limits": {"viewBases": site.predictions.max_view},
        "panels": [_described(panel) for panel in site.panels],
        "annotations": [
            {"uid": shown.tileset.uid, "name": shown.tileset.name, "color": shown.color} for shown in site.annotations
        ],
    }


def placed(site: Site, region: Region) -> dict[str, Any]:
    """Return a region in words, and where it lies on the axis."""
    start, end = site.axis.absolute(region)
    return {"region": str(region), "chrom": region.chrom, "start": start, "end": end}


def _described(panel: Panel) -> dict[str, Any]:
    track = panel.track
    return {
        "uid": track.slug,
        "name": track.name,
        "assay": track.assay,
        "biosample": track.biosample,
        "unit": track.unit,
        "color": track.color,
        "description": track.description,
        "scale": panel.scale,
        "signed": panel.scale[0] < 0,
        "observed": panel.observed.uid if panel.observed is not None else None,
        "predicted": [
            {
                "head": made.head,
                "uid": made.tileset.uid,
                "lower": made.lower.uid if made.lower is not None else None,
                "upper": made.upper.uid if made.upper is not None else None,
            }
            for made in panel.predicted
        ],
        "data": panel_data(panel),
    }
