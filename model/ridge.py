"""Ridge regression from sums: data pass once, in pieces, and every penalty and track is solved for at the end.

For n rows of features x, observed y and weights w (0 where y is missing), the sums of w, wx, wxx', wy, wxy and wyy are
all that least squares needs, and all that scoring a linear fit needs. They are kept in float64 around the first
piece's mean, so that a large mean costs no digits. Memory is one features x features matrix for each set of tracks
that have had the same weights in every row so far: one when tracks are missing together, at most one a track.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

_RANK_TOLERANCE = 1e-12
"""Directions with less than this part of the largest variance count as constant."""


@dataclass(eq=False)
class _Group:
    """The sums of tracks that share their weights."""

    tracks: list[int]
    weight: torch.Tensor
    """Sum of the weights, a scalar."""
    x: torch.Tensor
    """``[features]``."""
    xx: torch.Tensor
    """``[features, features]``."""

    def split_off(self, tracks: list[int]) -> _Group:
        """Take some tracks out into a group of their own, which has seen the same so far."""
        self.tracks = [track for track in self.tracks if track not in tracks]
        return _Group(tracks, self.weight.clone(), self.x.clone(), self.xx.clone())


class RidgeStatistics:
    """The sums behind ridge regressions of ``tracks`` targets on ``features`` features, each with an intercept."""

    def __init__(self, features: int, tracks: int, device: str | torch.device = "cpu") -> None:
        """Sums are kept on ``device``, or on the CPU where that has no float64 (mps)."""
        self.device = torch.device("cpu" if torch.device(device).type == "mps" else device)
        self.features, self.tracks = features, tracks
        self._shift: tuple[torch.Tensor, torch.Tensor] | None = None
        self._groups = [
            _Group(list(range(tracks)), self._zeros(), self._zeros(features), self._zeros(features, features))
        ]
        self._y, self._yy = self._zeros(tracks), self._zeros(tracks)
        self._xy = self._zeros(features, tracks)

    def _zeros(self, *shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=torch.float64, device=self.device)

    def _float64(self, values: np.ndarray | torch.Tensor) -> torch.Tensor:
        # In this order, because a device may lack float64 (mps) and the CPU does not.
        return torch.as_tensor(values).detach().to(self.device).to(torch.float64)

    def add(
        self,
        x: np.ndarray | torch.Tensor,
        y: np.ndarray | torch.Tensor,
        weight: np.ndarray | torch.Tensor | None = None,
    ) -> None:
        """Add rows: features ``[n, features]``, targets ``[n, tracks]`` (NaN: missing), and how much each counts,
        ``[n]`` or ``[n, tracks]``, 0 or more. Raises ValueError for other shapes and for features that are no numbers.
        """
        x, y = self._float64(x), self._float64(y)
        if x.shape != (len(y), self.features) or y.shape != (len(x), self.tracks):
            expected = f"[n, {self.features}] and [n, {self.tracks}]"
            raise ValueError(f"features and targets must be {expected}, found {list(x.shape)} and {list(y.shape)}")
        observed = torch.isfinite(y)
        counts = observed.to(torch.float64)
        if weight is not None:
            weight = self._float64(weight)
            counts = counts * (weight[:, None] if weight.ndim == 1 else weight)
        used = counts.amax(dim=1) > 0 if self.tracks else torch.zeros(len(x), dtype=torch.bool, device=self.device)
        x, y, counts = x[used], torch.where(observed, y, 0.0)[used], counts[used]
        if not torch.isfinite(x).all() or not torch.isfinite(counts).all() or (counts < 0).any():
            raise ValueError("features must be finite, and weights finite and not negative")
        if not len(x):
            return
        if self._shift is None:
            self._shift = (x.mean(dim=0), (y * counts).sum(dim=0) / counts.sum(dim=0).clamp(min=1e-300))
        x, y = x - self._shift[0], y - self._shift[1]
        weighted = y * counts
        self._y += weighted.sum(dim=0)
        self._yy += (weighted * y).sum(dim=0)
        self._xy += x.T @ weighted
        self._regroup(counts)
        for group in self._groups:
            shared = counts[:, group.tracks[0]]
            kept = shared > 0
            rows, root = x[kept], shared[kept].sqrt()[:, None]
            group.weight += shared.sum()
            group.x += shared[kept] @ rows
            rows = rows * root
            group.xx += rows.T @ rows

    def _regroup(self, counts: torch.Tensor) -> None:
        """Split each group whose tracks no longer have the same weights."""
        for group in list(self._groups):
            patterns: list[list[int]] = []
            for track in group.tracks:
                for pattern in patterns:
                    if torch.equal(counts[:, track], counts[:, pattern[0]]):
                        pattern.append(track)
                        break
                else:
                    patterns.append([track])
            self._groups += [group.split_off(pattern) for pattern in patterns[1:]]

    @property
    def matrices(self) -> int:
        """How many features x features matrices are held."""
        return len(self._groups)

    def weights(self) -> np.ndarray:
        """Return each track's sum of weights: the rows where it is observed when all count 1; float64 ``[tracks]``."""
        total = np.zeros(self.tracks)
        for group in self._groups:
            total[group.tracks] = float(group.weight)
        return total

    def target_means(self) -> np.ndarray:
        """Return each track's weighted mean, float64 ``[tracks]``; NaN where it is observed nowhere."""
        with np.errstate(invalid="ignore", divide="ignore"):
            mean: np.ndarray = self._y.cpu().numpy() / self.weights()
        mean += self._shifts()[1].cpu().numpy()
        return mean

    def _shifts(self) -> tuple[torch.Tensor, torch.Tensor]:
        if self._shift is None:
            raise ValueError("there is no row with an observed target yet")
        return self._shift

    def solve(self, penalties: Sequence[float]) -> np.ndarray:
        """Return the weights of every penalty and track, the intercept last: float64 ``[P, tracks, features + 1]``.

        They minimise the weighted mean of squared errors plus ``penalty`` times the squared length of the weights of
        features scaled to variance 1 (over the track's own rows); the intercept is free. At penalty 0, directions
        without variance weigh nothing. A track that is observed nowhere has NaN. Raises ValueError for a negative
        penalty and before any row was added.
        """
        shift_x, shift_y = self._shifts()
        tried = torch.tensor(list(penalties), dtype=torch.float64, device=self.device)
        if not torch.isfinite(tried).all() or (tried < 0).any():
            raise ValueError(f"penalties must be 0 or more, found {list(penalties)}")
        solved = torch.full((len(tried), self.tracks, self.features + 1), torch.nan, dtype=torch.float64)
        for group in self._groups:
            if group.weight <= 0:
                continue
            mean_x = group.x / group.weight
            mean_y = self._y[group.tracks] / group.weight
            covariance = group.xx / group.weight - mean_x[:, None] * mean_x
            spread = covariance.diagonal().clamp(min=0).sqrt()
            # What is left of a constant feature's variance is rounding.
            constant = spread <= 1e-9 * (group.xx.diagonal() / group.weight).sqrt()
            scale = torch.where(constant, 0.0, 1 / spread)
            values, vectors = torch.linalg.eigh(covariance * scale[:, None] * scale)
            moments = (self._xy[:, group.tracks] / group.weight - mean_x[:, None] * mean_y) * scale[:, None]
            empty = values <= _RANK_TOLERANCE * values[-1:].clamp(min=0)
            inverse = torch.where(empty, 0.0, 1 / torch.where(empty, 1.0, values + tried[:, None]))
            weights = (inverse[:, None] * (vectors.T @ moments).T) @ vectors.T * scale
            intercept = shift_y[group.tracks] + mean_y - weights @ (shift_x + mean_x)
            solved[:, group.tracks] = torch.cat([weights, intercept[..., None]], dim=2).cpu()
        return solved.numpy()

    def mean_squared_errors(self, weights: np.ndarray) -> np.ndarray:
        """Return the weighted mean squared error that linear fits ``[P, tracks, features + 1]`` have on these rows:
        float64 ``[P, tracks]``; NaN for a track that is observed nowhere. No row is needed again."""
        shift_x, shift_y = self._shifts()
        fits = self._float64(weights)
        errors = torch.full(fits.shape[:2], torch.nan, dtype=torch.float64)
        for group in self._groups:
            if group.weight <= 0:
                continue
            slopes = fits[:, group.tracks, :-1]
            offset = fits[:, group.tracks, -1] + slopes @ shift_x - shift_y[group.tracks]
            explained = torch.einsum("ptf,fg,ptg->pt", slopes, group.xx, slopes)
            cross = torch.einsum("ptf,ft->pt", slopes, self._xy[:, group.tracks])
            squared = explained - 2 * cross + self._yy[group.tracks]
            linear = slopes @ group.x - self._y[group.tracks]
            total = squared + 2 * offset * linear + offset**2 * group.weight
            errors[:, group.tracks] = (total / group.weight).clamp(min=0).cpu()
        return errors.numpy()
