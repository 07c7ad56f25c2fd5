"""The chain files of a recipe, as a route from one genome to another."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from tracks.chroms import plain_name
from tracks.liftover.chains import read_chains
from tracks.liftover.lift import Route

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracks.labels.recipe import ChainFile


@lru_cache(maxsize=4)
def read_lift(lift: tuple[ChainFile, ...]) -> Route:
    """Read chain files to go through in a row; a process reads the same ones once.

    Raises what ``read_chains`` and ``Route.through`` raise.
    """
    read = [(read_chains(one.chain), one.inverted) for one in lift]
    return Route.through([chains.inverted() if inverted else chains for chains, inverted in read])


def of_chromosomes(route: Route, chroms: Iterable[str]) -> Route:
    """Return a route for the chromosomes of those names alone (``1`` is ``chr1``). Alternative contigs of a build lie
    where its chromosomes do, and would collide with these."""
    named = {plain_name(chrom) for chrom in chroms}
    first = route.steps[0]
    blocks = {chrom: own for chrom, own in first.blocks.items() if plain_name(chrom) in named}
    return replace(route, steps=(replace(first, blocks=blocks), *route.steps[1:]))
