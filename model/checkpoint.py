"""Checkpoints of training runs: what a run that was stopped goes on from."""

from __future__ import annotations

from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch

from tracks.errors import TracksError

if TYPE_CHECKING:
    from pathlib import Path


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any] | None:
    """Return what a run kept, or None where there is no checkpoint. Nothing in it is executed.

    Raises TracksError for a damaged one.
    """
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
        raise TracksError(f"the checkpoint {path} is damaged; remove it to start again") from error
    return state
