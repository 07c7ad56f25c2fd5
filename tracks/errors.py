"""Errors that a person reads: one line that names what was wrong, where, and what would be right."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class TracksError(Exception):
    """Something failed. The command line prints the message and exits with 1."""

    exit_code = 1


class UsageError(TracksError):
    """The request itself was wrong. The command line prints the message and exits with 2."""

    exit_code = 2


def first_few(names: Sequence[str], most: int = 4) -> str:
    """Return names for a message: the first ``most`` of them, and dots for the others."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
