"""What to train and how, and what a run tells of itself."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from model.head_training.losses import Likelihood
    from model.head_training.recipes import Recipe
    from model.head_training.scores import TrackScore

Tune = Literal["nothing", "trunk", "adapters"]


@dataclass(frozen=True)
class HeadTraining:
    """What to train and how. ``losses`` overrides the likelihood of tracks by name (``fixed`` only)."""

    name: str
    recipe: Recipe
    losses: Mapping[str, Likelihood] = field(default_factory=dict)
    seed: int = 1
    tune: Tune = "nothing"
    rank: int = 8
    trunk_learning_rate: float = 1e-4
    """Of the trunk's weights, or of its adapters, where these are tuned."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of the trunk's passes. bf16 is faster on a GPU, and a head fitted to it then reads fp32 in prediction, which
    differs from it by about 1 %."""
    checkpoint_steps: int = 500
    """Steps between checkpoints; each epoch ends with one too."""


@dataclass(frozen=True)
class Progress:
    """What training tells while it runs: a message, or a step of an epoch with its loss. The last step of an epoch
    has the held-out scores; epoch 0 is what training starts from."""

    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    loss: float = math.nan
    message: str = ""
    scores: tuple[TrackScore, ...] = ()
