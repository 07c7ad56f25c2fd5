"""What checkers say of a hub.txt: PyPI trackhub, setting by setting, and the rules of UCSC's hubCheck that need no
network (facts/viewer.md, section 4)."""

from __future__ import annotations

import re
import warnings

import trackhub

Stanza = dict[str, str]

_CONTAINER = {"track", "container", "aggregate", "shortLabel", "longLabel"}


def parsed(text: str) -> list[Stanza]:
    """Take a hub.txt apart as readers do: stanzas between empty lines, a setting a line."""
    made = []
    for paragraph in re.split(r"\n{2,}", text.strip("\n")):
        lines = [line.partition(" ") for line in paragraph.split("\n")]
        assert all(value for _, _, value in lines), f"a setting without a value: {paragraph}"
        names = [name for name, _, _ in lines]
        assert len(set(names)) == len(names), f"a setting twice: {paragraph}"
        made.append({name: value for name, _, value in lines})
    return made


def check_hub(text: str) -> dict[str, Stanza]:
    """Assert that a hub.txt is one that UCSC takes; return its tracks' stanzas by name."""
    assert re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text) is None
    hub, genome, *tracks = parsed(text)
    assert next(iter(hub)) == "hub"
    assert {"hub", "shortLabel", "longLabel", "email", "useOneFile"} <= hub.keys()
    assert " " not in hub["hub"]
    assert hub["useOneFile"] == "on"
    assert next(iter(genome)) == "genome"
    by_name = {stanza["track"]: stanza for stanza in tracks}
    assert len(by_name) == len(tracks), "two tracks of one name"
    children: dict[str, int] = {}
    for stanza in tracks:
        _check_track(stanza, by_name)
        if "parent" in stanza:
            parent = stanza["parent"].removesuffix(" off")
            children[parent] = children.get(parent, 0) + 1
    for name, stanza in by_name.items():
        if "container" in stanza:
            assert children.get(name, 0) >= 2, f"{name} needs two children"
            assert "bigDataUrl" not in stanza
    return by_name


def _check_track(stanza: Stanza, by_name: dict[str, Stanza]) -> None:
    name = stanza["track"]
    assert next(iter(stanza)) == "track"
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name), name
    assert {"type", "shortLabel", "longLabel"} <= stanza.keys(), name
    assert len(stanza["shortLabel"]) <= 17, stanza["shortLabel"]
    assert len(stanza["longLabel"]) <= 80, stanza["longLabel"]
    assert ("container" in stanza) != ("bigDataUrl" in stanza), name
    if "parent" in stanza:
        parent = stanza["parent"].removesuffix(" off")
        assert "container" in by_name[parent]
        assert list(by_name).index(parent) < list(by_name).index(name)
    kind, *rest = stanza["type"].split()
    if kind == "bigWig":
        low, high = map(float, rest)
        assert low <= high
    if "viewLimits" in stanza:
        low, high = map(float, stanza["viewLimits"].split(":"))
        assert low < high
    assert rendered(stanza).startswith(f"track {name}\n")


def rendered(stanza: Stanza) -> str:
    """Render a stanza with trackhub, which refuses settings and values that UCSC has not. Raises what it raises."""
    own = {
        setting: value for setting, value in stanza.items() if setting not in _CONTAINER | {"type", "parent", "html"}
    }
    about = {"short_label": stanza["shortLabel"], "long_label": stanza["longLabel"], "tracktype": stanza["type"]}
    made = (
        trackhub.AggregateTrack(aggregate=stanza["aggregate"], name=stanza["track"], **about)
        if "container" in stanza
        else trackhub.Track(name=stanza["track"], url=own.pop("bigDataUrl"), **about)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # labels that are too long are only warned of
        made.add_params(**own)
        return str(made)
