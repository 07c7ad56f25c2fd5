"""Small random trunks in which no layer is the identity, and codes with unknown bases."""

from __future__ import annotations

from dataclasses import replace

import torch

from model.trunk import Trunk, TrunkConfig

SMALL = TrunkConfig(
    stem_filters=6,
    tower_filters=7,
    tower_growth=1.15,
    residual_filters=5,
    residual_blocks=3,
    embedding_filters=11,
    crop=2,
)


def random_trunk(seed: int = 1, **changes: object) -> Trunk:
    torch.manual_seed(seed)
    trunk = Trunk(replace(SMALL, **changes))  # type: ignore[arg-type]
    for name, value in trunk.state_dict().items():
        if name.endswith(("norm.weight", "norm.running_var")):
            value.uniform_(0.5, 1.5)
        elif name.endswith(("norm.bias", "norm.running_mean")):
            value.uniform_(-0.5, 0.5)
    return trunk.eval().requires_grad_(False)


def random_codes(batch: int, bins: int, seed: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 5, (batch, 128 * bins), dtype=torch.uint8, generator=generator)
