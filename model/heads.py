"""Heads: small networks on the trunk's embedding, each with its tracks.

A head of scope ``bins`` gives one number per bin, a head of scope ``window`` one per window of 114,688 bp. The four
kinds are those of the published LMNB1 and CpG heads (facts/cs282a.md section 4). What a head computes is *raw*; the
link of each track turns it into a *label*, and the track's transform a label into a value in the track's unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import nn

from model.context import ContextConfig
from model.trunk import GELU
from tracks.grid import BINS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracks.track import Track
    from tracks.windows import Scope

Link = Literal["identity", "sigmoid", "softplus"]

LINKS: dict[Link, Callable[[torch.Tensor], torch.Tensor]] = {
    "identity": lambda raw: raw,
    "sigmoid": torch.sigmoid,
    "softplus": F.softplus,
}


@dataclass(frozen=True)
class LinearConfig:
    """One weight per channel of the embedding and track; with ``context``, some tracks also see the composition of
    the megabases around a bin (those whose ``Track.context`` is set)."""

    context: ContextConfig | None = None
    context_hidden: int = 16
    kind: Literal["linear"] = "linear"


@dataclass(frozen=True)
class ConvConfig:
    """A 1x1 convolution, then weights for every position: 8.8 million at full width for 18 tracks."""

    hidden: int = 500
    kind: Literal["conv"] = "conv"


@dataclass(frozen=True)
class MaxPoolConfig:
    """A 1x1 convolution, then each channel's highest value in the window."""

    hidden: int = 500
    kind: Literal["maxpool"] = "maxpool"


@dataclass(frozen=True)
class AttentionConfig:
    """One post-norm transformer layer over the bins of a window, then the mean of what each bin says.

    ``legacy``: attention as the published head acts when windows come one at a time: it attended over the windows
    of a batch, so that one window sees only itself, and it knows no positions (facts/cs282a.md section 6, item 1).
    ``width`` narrows the embedding first; a legacy head has none.
    """

    legacy: bool = False
    heads: int = 6
    feed_forward: int = 3072
    dropout: float = 0.2
    width: int | None = None
    kind: Literal["attention"] = "attention"


HeadConfig = LinearConfig | ConvConfig | MaxPoolConfig | AttentionConfig


def scope_of(config: HeadConfig) -> Scope:
    """Return whether a head of this shape gives a number per bin or per window."""
    return "bins" if isinstance(config, LinearConfig) else "window"


@dataclass(frozen=True)
class HeadSpec:
    """A head's name, its tracks with a link each, and its shape.

    ``half_embedding``: the embedding passes through float16 first, as in the files that the published heads were
    trained on.
    """

    name: str
    tracks: tuple[Track, ...]
    links: tuple[Link, ...]
    config: HeadConfig = field(default_factory=LinearConfig)
    half_embedding: bool = False

    def __post_init__(self) -> None:
        if len(self.links) != len(self.tracks) or not set(self.links) <= set(get_args(Link)):
            raise ValueError(f"head '{self.name}' needs a link (identity, sigmoid or softplus) for each track")

    @property
    def scope(self) -> Scope:
        """Whether it gives a number per bin or per window."""
        return scope_of(self.config)

    @property
    def context(self) -> ContextConfig | None:
        """The context that some of its tracks see."""
        return self.config.context if isinstance(self.config, LinearConfig) else None

    def seen(self, embedding: torch.Tensor) -> torch.Tensor:
        """Return an embedding as the head reads it, same shape and type."""
        return embedding.half().to(embedding.dtype) if self.half_embedding else embedding


class ContextBranch(nn.Module):
    """Standardised megabase composition to what it adds, bin by bin (a perceptron with one hidden layer)."""

    def __init__(self, channels: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.hidden = nn.Conv1d(channels, hidden, 1)
        self.output = nn.Conv1d(hidden, outputs, 1)
        nn.init.zeros_(self.output.weight)

    def forward(self, context: torch.Tensor) -> torch.Tensor:
        """Map ``[N, channels, bins]`` to ``[N, outputs, bins]``."""
        added: torch.Tensor = self.output(GELU["tanh"](self.hidden(context)))
        return added


class LinearHead(nn.Conv1d):
    """A linear function of each bin's embedding, and of its context for the tracks that see one."""

    def __init__(self, filters: int, tracks: tuple[Track, ...], config: LinearConfig) -> None:
        super().__init__(filters, len(tracks), 1)
        nn.init.normal_(self.weight, std=0.02)
        self.context_tracks = [index for index, track in enumerate(tracks) if track.context]
        self.context = (
            ContextBranch(config.context.channels, config.context_hidden, len(self.context_tracks))
            if config.context is not None and self.context_tracks
            else None
        )

    def forward(self, embedding: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        """Map ``[N, C, bins]`` and context ``[N, channels, bins]`` to ``[N, tracks, bins]``."""
        raw: torch.Tensor = super().forward(embedding).float()
        if self.context is not None:
            if context is None:
                raise ValueError("this head needs the context of the bins")
            tracks = torch.tensor(self.context_tracks, device=raw.device)
            raw = raw.index_add(1, tracks, self.context(context).float())
        return raw


class ConvHead(nn.Module):
    """1x1 convolution, exact GELU, then a weight for each channel and position."""

    def __init__(self, filters: int, tracks: int, config: ConvConfig) -> None:
        super().__init__()
        self.mix = nn.Conv1d(filters, config.hidden, 1)
        self.output = nn.Linear(config.hidden * BINS, tracks)

    def forward(self, embedding: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        """Map ``[N, C, 896]`` to ``[N, tracks]``."""
        raw: torch.Tensor = self.output(F.gelu(self.mix(embedding)).flatten(1))
        return raw.float()


class MaxPoolHead(nn.Module):
    """1x1 convolution, exact GELU, the highest value of each channel, then a linear function of these."""

    def __init__(self, filters: int, tracks: int, config: MaxPoolConfig) -> None:
        super().__init__()
        self.mix = nn.Conv1d(filters, config.hidden, 1)
        self.output = nn.Linear(config.hidden, tracks)

    def forward(self, embedding: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        """Map ``[N, C, bins]`` to ``[N, tracks]``."""
        raw: torch.Tensor = self.output(F.gelu(self.mix(embedding)).amax(dim=2))
        return raw.float()


class _TransformerLayer(nn.Module):
    """What both attention heads share: a post-norm layer around ``attend``, a linear output, the mean over bins."""

    def __init__(self, width: int, tracks: int, config: AttentionConfig) -> None:
        super().__init__()
        self.merge = nn.Linear(width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.expand = nn.Linear(width, config.feed_forward)
        self.contract = nn.Linear(config.feed_forward, width)
        self.output = nn.Linear(width, tracks)
        self.dropout = config.dropout

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``[N, bins, width]`` to the attended values, same shape, before ``merge``."""
        raise NotImplementedError

    def layer(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``[N, bins, width]`` to ``[N, tracks]``."""
        query = self._drop(self.norm1(self.merge(self.attend(x)) + x))
        changed = self.contract(self._drop(F.relu(self.expand(query))))
        raw: torch.Tensor = self.output(self._drop(self.norm2(changed + query))).mean(dim=1)
        return raw.float()

    def _drop(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(x, self.dropout, self.training)


class LegacyAttentionHead(_TransformerLayer):
    """The published "self-attention" head as it acts on one window: the softmax over a single key is 1, so that
    attention is a linear map of each bin alone, whatever the batch."""

    def __init__(self, filters: int, tracks: int, config: AttentionConfig) -> None:
        super().__init__(filters, tracks, config)
        self.value = nn.Linear(filters, filters)

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``[N, bins, width]`` to the values themselves."""
        values: torch.Tensor = self.value(x)
        return values

    def forward(self, embedding: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        """Map ``[N, C, bins]`` to ``[N, tracks]``."""
        return self.layer(embedding.transpose(1, 2))


class AttentionHead(_TransformerLayer):
    """Self-attention over the bins of a window, which know their positions (sines and cosines)."""

    def __init__(self, filters: int, tracks: int, config: AttentionConfig) -> None:
        width = config.width or filters
        if width % config.heads or width % 2:
            raise ValueError(f"attention over {width} channels cannot be shared by {config.heads} heads")
        super().__init__(width, tracks, config)
        self.project = nn.Linear(filters, width) if config.width else None
        self.qkv = nn.Linear(width, 3 * width)
        self.heads = config.heads

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``[N, bins, width]`` to each bin's mix of all bins' values."""
        windows, bins, width = x.shape
        parts = self.qkv(x).view(windows, bins, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        # Without dropout of its own: with it, there is no fused kernel and the 896 x 896 weights must be kept.
        mixed = F.scaled_dot_product_attention(parts[0], parts[1], parts[2])
        return mixed.transpose(1, 2).reshape(windows, bins, width)

    def forward(self, embedding: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        """Map ``[N, C, bins]`` to ``[N, tracks]``."""
        x = embedding.transpose(1, 2)
        if self.project is not None:
            x = self.project(x)
        return self.layer(x + positions(x.shape[1], x.shape[2]).to(x))


def positions(bins: int, width: int) -> torch.Tensor:
    """Return sines and cosines of each bin's place, float32 ``[bins, width]`` (Vaswani et al. 2017, section 3.5)."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angles = torch.arange(bins)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


def build_head(spec: HeadSpec, embedding_filters: int) -> nn.Module:
    """Return the untrained module of a head: ``(embedding [N, C, 896], context or None)`` to raw ``[N, tracks, 896]``
    (scope bins) or ``[N, tracks]`` (scope window). Raises ValueError for a shape that cannot be."""
    config, tracks = spec.config, len(spec.tracks)
    if isinstance(config, LinearConfig):
        return LinearHead(embedding_filters, spec.tracks, config)
    if isinstance(config, ConvConfig):
        return ConvHead(embedding_filters, tracks, config)
    if isinstance(config, MaxPoolConfig):
        return MaxPoolHead(embedding_filters, tracks, config)
    if config.legacy:
        return LegacyAttentionHead(embedding_filters, tracks, config)
    return AttentionHead(embedding_filters, tracks, config)


def head_labels(links: Sequence[Link], raw: torch.Tensor) -> torch.Tensor:
    """Apply each track's link to raw outputs, tracks on dimension 1; same shape."""
    if len(set(links)) == 1:
        return LINKS[links[0]](raw)
    return torch.stack([LINKS[link](raw[:, at]) for at, link in enumerate(links)], dim=1)


_CONFIGS: dict[str, type[LinearConfig | ConvConfig | MaxPoolConfig | AttentionConfig]] = {
    "linear": LinearConfig,
    "conv": ConvConfig,
    "maxpool": MaxPoolConfig,
    "attention": AttentionConfig,
}


def head_config_from_json(fields: dict[str, Any]) -> HeadConfig:
    """Make a head's shape again from its JSON. Raises KeyError or TypeError for what is none."""
    context = fields.get("context")
    if context is not None:
        lists: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in context.items()
        }
        fields = {**fields, "context": ContextConfig(**lists)}
    return _CONFIGS[fields["kind"]](**fields)
