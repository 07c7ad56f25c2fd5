"""View configurations that somebody saved, so that a link can name one: files named by what they hold."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from typing import TYPE_CHECKING, Any

from tracks.errors import TracksError, UsageError
from tracks.files import write_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LARGEST = 1 << 20
"""Bytes that one may have."""

KEPT = 1000
"""How many are kept; beyond them the oldest is forgotten."""

_UID = re.compile(r"[0-9a-f]{32}")


class ViewConfs:
    """View configurations in a folder, which is made with the first one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()

    def save(self, viewconf: Mapping[str, Any]) -> str:
        """Keep one and return its uid, which the same configuration always has.

        Raises UsageError when it is too large, TracksError when it cannot be written.
        """
        text = json.dumps(viewconf, sort_keys=True, separators=(",", ":"))
        if len(text) > LARGEST:
            raise UsageError(f"this view configuration has {len(text):,} bytes; {LARGEST:,} are the most that is kept")
        uid = hashlib.sha256(text.encode()).hexdigest()[:32]
        with self._lock:
            write_text(self._path(uid), text)
            self._forget()
        return uid

    def load(self, uid: str) -> Any:
        """Return one, or None when there is none of that uid."""
        if _UID.fullmatch(uid) is None:
            return None
        try:
            return json.loads(self._path(uid).read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise TracksError(f"the saved view {uid} cannot be read") from error

    def _path(self, uid: str) -> Path:
        return self.folder / f"{uid}.json"

    def _forget(self) -> None:
        saved = sorted(self.folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        for path in saved[: max(len(saved) - KEPT, 0)]:
            path.unlink(missing_ok=True)
