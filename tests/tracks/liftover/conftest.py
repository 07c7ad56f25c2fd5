"""Real chain files, for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tracks.liftover.made import fetched_chain


@pytest.fixture(scope="session")
def real_chain() -> Callable[[str], Path]:
    """A function that returns a real chain file such as ``hg38ToHg19``; it skips the test where it cannot be had."""
    return fetched_chain
