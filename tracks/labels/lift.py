"""The chain files of a recipe, as a route from one genome to another."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from tracks.liftover.chains import read_chains
from tracks.liftover.lift import Route

if TYPE_CHECKING:
    from tracks.labels.recipe import ChainFile


@lru_cache(maxsize=4)
def read_lift(lift: tuple[ChainFile, ...]) -> Route:
    """Read chain files to go through in a row; a process reads the same ones once."""
    read = [(read_chains(one.chain), one.inverted) for one in lift]
    return Route.through([chains.inverted() if inverted else chains for chains, inverted in read])
