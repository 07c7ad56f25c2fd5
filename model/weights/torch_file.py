"""PyTorch checkpoints of unknown origin, read so that nothing in them can run."""

from __future__ import annotations

import pickle
import re
import warnings
from typing import TYPE_CHECKING

import torch

from tracks.errors import TracksError

if TYPE_CHECKING:
    from pathlib import Path


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict: names and tensors, on the CPU wherever they were saved.

    The reader knows tensors and nothing else, so that a file that asks for any other object is refused before
    anything of it runs. Raises TracksError, that does not name the file, for such a file and for a damaged one.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch's own message recommends to read the file again with the protection off.
        asked = re.search(r"GLOBAL (\w[\w.]*)", str(error))
        reason = f"to read it, {asked[1]} would have to run" if asked else "it holds more than tensors, or is damaged"
        raise TracksError(f"it is refused: {reason}; expected a state dict, tensors by name") from error
    except Exception as error:  # a damaged file can fail in any way
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise TracksError(f"it is not a whole PyTorch checkpoint ({reason[:200]})") from error
    if not isinstance(state, dict) or not state:
        raise TracksError(f"it holds a {type(state).__name__}; expected a state dict, tensors by name")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor) or not value.is_floating_point():
            if isinstance(name, str) and name.endswith("num_batches_tracked"):
                continue
            raise TracksError(f"its entry {name!s:.80} is no tensor of floating-point numbers; expected a state dict")
        if value.layout != torch.strided or not torch.isfinite(value).all():
            raise TracksError(f"its entry {name!s:.80} holds NaN or infinity; expected numbers")
    return state
