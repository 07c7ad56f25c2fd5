"""Recipes: how each kind of head is trained, ours and the original's (facts/cs282a.md section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from model.heads import AttentionConfig, ConvConfig, LinearConfig, MaxPoolConfig, scope_of

if TYPE_CHECKING:
    from model.heads import HeadConfig
    from tracks.windows import Scope

HeadKind = Literal["linear", "conv", "maxpool", "attention"]
RecipeName = Literal["fixed", "legacy"]


@dataclass(frozen=True)
class Recipe:
    """How a head is trained. The defaults are those of ``fixed``; ``legacy`` turns off what the original had not."""

    name: RecipeName
    config: HeadConfig
    epochs: int
    learning_rate: float
    batch: int = 8
    loss: Literal["likelihood", "mse", "poisson"] = "likelihood"
    """``likelihood``: each track its own (``losses``); the others act on labels as stored, nothing masked."""
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    momentum: float = 0.0
    weight_decay: float = 0.01
    warmup_steps: int = 50
    cosine: bool = True
    """The learning rate falls to 0 over the epochs along half a cosine."""
    clip_norm: float | None = 1.0
    patience: int | None = 5
    """Stop when the held-out loss has had no new lowest for so many epochs."""
    keep: Literal["best", "last"] = "best"
    """Which weights are kept: those of the epoch with the lowest held-out loss, or the last epoch's."""
    start: Literal["ridge", "mean", "kaiming", "torch"] = "mean"
    """``ridge``: the exact linear solution; ``mean``: the output bias predicts each track's mean; ``kaiming``: normal
    weights and no bias; ``torch``: the layers' own defaults."""
    reverse_complement: bool = True
    shift: bool = True
    """Move the sequence by up to half a bin, not its labels."""
    standardise: bool = True
    """Train on channels of mean 0 and variance 1, and fold that into the first layer at the end."""
    half_embedding: bool = False
    zero_nan_gradients: bool = False
    """A gradient that is no number counts as 0, as where the original met NaN labels."""

    @property
    def scope(self) -> Scope:
        """Whether the head gives a number per bin or per window."""
        return scope_of(self.config)


def recipe(kind: HeadKind, name: RecipeName, embedding_filters: int) -> Recipe:
    """Return the recipe of that name for a kind of head on an embedding of so many channels."""
    return (_fixed if name == "fixed" else _legacy)(kind, embedding_filters)


def _fixed(kind: HeadKind, filters: int) -> Recipe:
    if kind == "linear":
        return Recipe("fixed", LinearConfig(), epochs=10, learning_rate=3e-4, weight_decay=0.0, start="ridge")
    if kind == "conv":
        return Recipe("fixed", ConvConfig(hidden=min(500, filters)), epochs=30, learning_rate=3e-4, weight_decay=0.1)
    if kind == "maxpool":
        return Recipe("fixed", MaxPoolConfig(hidden=500), epochs=30, learning_rate=1e-3)
    # Every bin looks at every other, so that a narrow layer is what keeps this head trainable.
    width = min(192, 12 * max(filters // 12, 1))
    config = AttentionConfig(heads=_shared_by(width, 6), width=width, feed_forward=4 * width)
    return Recipe("fixed", config, epochs=30, learning_rate=5e-4)


def _legacy(kind: HeadKind, filters: int) -> Recipe:
    config: HeadConfig
    if kind == "linear":
        # SGD without clipping, labels cut to whole numbers, and the last epoch kept, although the third was better.
        return _original(
            LinearConfig(),
            epochs=10,
            learning_rate=0.15,
            momentum=0.99,
            loss="poisson",
            optimizer="sgd",
            start="kaiming",
            keep="last",
            zero_nan_gradients=False,
        )
    if kind == "attention":
        config = AttentionConfig(legacy=True, heads=_shared_by(filters, 6))
        return _original(config, epochs=10, learning_rate=1e-3, optimizer="adam")
    config = ConvConfig() if kind == "conv" else MaxPoolConfig()
    return _original(config, epochs=5, learning_rate=5e-6, optimizer="sgd", momentum=0.8)


def _original(
    config: HeadConfig,
    *,
    epochs: int,
    learning_rate: float,
    optimizer: Literal["adam", "sgd"],
    momentum: float = 0.0,
    loss: Literal["mse", "poisson"] = "mse",
    start: Literal["kaiming", "torch"] = "torch",
    keep: Literal["best", "last"] = "best",
    zero_nan_gradients: bool = True,
) -> Recipe:
    return Recipe(
        "legacy",
        config,
        epochs=epochs,
        learning_rate=learning_rate,
        batch=4,
        loss=loss,
        optimizer=optimizer,
        momentum=momentum,
        weight_decay=0.0,
        warmup_steps=0,
        cosine=False,
        clip_norm=None,
        patience=None,
        keep=keep,
        start=start,
        reverse_complement=False,
        shift=False,
        standardise=False,
        half_embedding=True,
        zero_nan_gradients=zero_nan_gradients,
    )


def _shared_by(width: int, heads: int) -> int:
    """The most attention heads, up to ``heads``, that channels can be shared by."""
    return max(count for count in range(1, heads + 1) if width % count == 0)
