"""Description pages: what a browser shows when somebody asks what a track is. HTML whose every value is escaped."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from tracks import __version__
from tracks.hub.names import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tracks.hub.made_by import ModelFacts
    from tracks.hub.model import Hub, HubTrack

SOFTWARE = "Tracks: observed and predicted genome tracks, browsed as one"
"""As CITATION.cff has it, which is not in an installed package."""
ARCHITECTURE = (
    "Kelley DR. Cross-species regulatory sequence activity prediction. PLoS Computational Biology 2020",
    "10.1371/journal.pcbi.1008050",
)
"""The work behind the model, and its DOI."""

_KINDS = {
    "observed": "Observed: measured values, as they were given",
    "predicted": "Predicted from DNA sequence alone, as means of bins of 128 bp",
    "difference": "Predicted minus observed, in bins of 128 bp where both have a value",
}


def track_page(track: HubTrack, hub: Hub, model: ModelFacts | None = None) -> str:
    """Return the page of a track, of which ``model`` made the predictions, where that is known."""
    return _page(_track_parts(track, hub, model))


def intervals_page(label: str, count: int, source: str = "") -> str:
    """Return the page of intervals, ``count`` of them, from ``source``."""
    return _page(
        [
            _heading("Description"),
            f"<p>{_text(label)}: {count:,} intervals.</p>",
            *([f"<p>Source: {_text(source)}.</p>"] if source else []),
            *_credits(False),
        ]
    )


def hub_page(hub: Hub, model: ModelFacts | None = None) -> str:
    """Return the page of the hub itself: its tracks in a table, with their units."""
    rows = [
        (track.track.name, track.track.unit, ", ".join(signal.kind for signal in track.all_signals()))
        for track in hub.tracks
    ]
    predicts = any(signal.kind == "predicted" for signal in hub.signals())
    return _page(
        [
            _heading(hub.label),
            f"<p>{len(hub.tracks)} tracks of {_text(hub.genome)}.</p>",
            _table(("track", "unit", "signals"), rows),
            *(_made_by(model) if model and predicts else []),
            *_credits(predicts),
        ]
    )


def _track_parts(track: HubTrack, hub: Hub, model: ModelFacts | None) -> Iterator[str]:
    about = track.track
    yield _heading("Description")
    yield f"<p>{_text(about.description or about.name)}.</p>"
    facts = [
        ("Track", about.name),
        ("Assay", about.assay),
        ("Biosample", about.biosample),
        ("Unit", about.unit),
        ("Genome", hub.genome),
        ("Source", about.source),
        ("Accession", about.accession),
    ]
    yield _table(("", ""), [(name, value) for name, value in facts if value])
    yield _heading("Display")
    predicts = False
    for signal in track.all_signals():
        predicts = predicts or signal.kind == "predicted"
        shade = f'<span style="color:{signal.color}">&#9632;</span>'
        head = f" (head {_text(signal.head)})" if signal.head else ""
        ends = f" Axis {signal.limits[0]:g} to {signal.limits[1]:g}." if signal.limits else ""
        yield f"<p>{shade} {_text(_KINDS[signal.kind])}{head}.{ends}</p>"
    yield "<p>Where there is no value nothing is drawn: what is missing is missing, and never zero.</p>"
    if predicts and model is not None:
        yield from _made_by(model)
        yield from _scores(about.name, model)
    yield from _credits(predicts, about.source, about.accession)


def _made_by(model: ModelFacts) -> Iterator[str]:
    yield _heading("Predictions")
    digests = [(f"Digest of head {head}", digest) for head, digest in model.digests.items()]
    rows = [("Model", model.name), *digests, ("Computed", model.method)]
    yield _table(("", ""), [(name, value) for name, value in rows if value])


def _scores(name: str, model: ModelFacts) -> Iterator[str]:
    scores = model.accuracy.get(name, ())
    yield _heading("Accuracy on held-out sequence")
    if not scores:
        yield "<p>Nobody has scored this model's predictions of this track yet (tracks card does).</p>"
        return
    scored = next((head for head, digest in model.digests.items() if digest == model.card_digest), None)
    if scored is None:
        yield f"<p>Scored with other weights, or another head, than these: {_text(model.card_digest)}.</p>"
    elif len(model.digests) > 1:
        yield f"<p>Of head {_text(scored)}.</p>"
    yield _table(
        ("held-out part", "metric", "bins of", "model (95 % interval)", "best baseline"),
        [(score.part, score.metric, f"{score.resolution:,} bp", score.model, score.baseline) for score in scores],
    )
    yield "<p>Baselines are base composition alone, on the same bins.</p>"


def _credits(predicts: bool, source: str = "", accession: str = "") -> Iterator[str]:
    yield _heading("How to cite")
    if source or accession:
        yield f"<p>The measurement: {_text('; '.join(part for part in (source, accession) if part))}.</p>"
    yield f"<p>The software: {_text(SOFTWARE)}, version {_text(__version__)}.</p>"
    if predicts:
        yield f"<p>The model's architecture: {_text(ARCHITECTURE[0])}. doi:{_text(ARCHITECTURE[1])}</p>"


def _heading(text: str) -> str:
    return f"<h2>{_text(text)}</h2>"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["<tr>" + "".join(f"<th>{_text(cell)}</th>" for cell in head) + "</tr>"] if any(head) else []
    lines += ["<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def _text(text: str) -> str:
    return html.escape(one_line(text).removesuffix("."))


def _page(parts: Iterable[str]) -> str:
    """Join parts. UCSC puts a page into one of its own, so it is a piece of HTML, and ASCII, whatever that one's
    encoding."""
    return ("\n".join(parts) + "\n").encode("ascii", "xmlcharrefreplace").decode()
