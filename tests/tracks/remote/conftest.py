from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.tracks.remote.web import Web, serving


@pytest.fixture
def web() -> Iterator[Web]:
    """A server of files."""
    with serving() as running:
        yield running
