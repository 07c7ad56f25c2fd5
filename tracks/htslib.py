"""htslib's own messages, which go to standard error past Python."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pysam

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def quiet() -> Iterator[None]:
    """Keep htslib from printing what is raised as an error anyway."""
    verbosity = pysam.set_verbosity(0)
    try:
        yield
    finally:
        pysam.set_verbosity(verbosity)
