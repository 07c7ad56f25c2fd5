"""How tests read what the server answers."""

from __future__ import annotations

import base64
import json
from typing import Any, NoReturn

import numpy as np
from werkzeug.test import TestResponse


def read(response: TestResponse) -> Any:
    """Return an answer's JSON, as a browser reads it."""

    def refuse(word: str) -> NoReturn:
        raise AssertionError(f"{word} is not JSON, and a browser refuses the whole answer for it")

    return json.loads(response.get_data(), parse_constant=refuse)


def values(tile: dict[str, Any]) -> np.ndarray:
    """Return a dense tile's numbers."""
    return np.frombuffer(base64.b64decode(tile["dense"]), tile["dtype"])
