"""One pass over the labels before training: which tracks and windows there are, each track's label scale and loss."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model.head_training.batches import HeadLabels, read_values
from model.head_training.losses import (
    LINK_OF,
    LabelStatistics,
    LegacyLoss,
    TrackLosses,
    label_transform,
    likelihoods_of,
    unit_scale,
)
from model.heads import HeadSpec
from tracks.errors import UsageError
from tracks.labels import rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from model.head_training.losses import Likelihood
    from model.head_training.recipes import Recipe
    from model.heads import Link
    from tracks.labels import LabelSet
    from tracks.track import Track

_ROWS_AT_ONCE = 32
_CONSTANT = "is {:.4g} in all training windows: constant, so that its correlation is undefined"


@dataclass(frozen=True, eq=False)
class Prepared:
    """What the labels settle: the head's tracks and links, its loss and labels, and the rows to train and choose on.

    ``label_means``: each track's mean label in training, which a head starts from.
    """

    spec: HeadSpec
    loss: TrackLosses | LegacyLoss
    labels: HeadLabels
    train_rows: np.ndarray
    valid_rows: np.ndarray
    label_means: tuple[float, ...]


def prepare(
    label_set: LabelSet,
    name: str,
    recipe: Recipe,
    losses: Mapping[str, Likelihood],
    say: Callable[[str], None] = lambda message: None,
) -> Prepared:
    """Read the labels of the training windows once. Tracks without a label there are left out, and ``say`` is told,
    as it is of constant tracks.

    Raises UsageError for labels without the head's scope, without training windows, or (``fixed``) without valid
    ones, and for values that a track's loss does not allow.
    """
    scope = recipe.scope
    if scope not in label_set.scopes:
        raise UsageError(
            f"labels '{label_set.name}' have no value per {scope.removesuffix('s')}, which this head is trained on"
        )
    if not len(rows_of(label_set, "train")):
        raise UsageError(f"labels '{label_set.name}' have no window of fold train")
    return (_legacy if recipe.name == "legacy" else _fixed)(label_set, name, recipe, losses, say)


def _fixed(
    label_set: LabelSet,
    name: str,
    recipe: Recipe,
    losses: Mapping[str, Likelihood],
    say: Callable[[str], None],
) -> Prepared:
    scope, tracks = recipe.scope, label_set.tracks(recipe.scope)
    likelihoods = likelihoods_of(tracks, losses)
    scales = np.array([unit_scale(track, likelihood) for track, likelihood in zip(tracks, likelihoods, strict=True)])
    statistics = LabelStatistics(len(tracks))
    everything = list(range(len(tracks)))
    observed: dict[str, list[np.ndarray]] = {"train": [], "valid": []}
    held_out = np.zeros(len(tracks), bool)
    for fold, kept_rows in observed.items():
        for rows in _pieces(rows_of(label_set, "train" if fold == "train" else "valid")):
            values, weight = read_values(label_set, rows, scope, everything)
            if fold == "train":
                statistics.add(values * scales, weight)
            else:
                held_out |= (weight > 0).any(axis=(0, 1))
            kept_rows.append(rows[(weight > 0).any(axis=(1, 2))])
    kept = _observed_tracks(label_set, tracks, statistics.weight > 0, say)
    train_rows, valid_rows = (np.concatenate([np.empty(0, np.int64), *rows]) for rows in observed.values())
    if not len(valid_rows):
        raise UsageError(f"labels '{label_set.name}' have no labelled window of fold valid, which chooses when to stop")
    own, nulls = [], []
    for index in kept:
        track, likelihood = tracks[index], likelihoods[index]
        transform = label_transform(track, likelihood, statistics, index)
        own.append(dataclasses.replace(track, transform=transform, context=False))
        null = statistics.null_deviance(index, likelihood, transform.scale / scales[index])
        if statistics.constant[index] or null <= 0:
            level = statistics.mean[index] / scales[index]
            say(f"track '{track.name}' {_CONSTANT.format(level)}")
            null = 1.0
        if not held_out[index]:
            say(f"track '{track.name}' has no label in the valid windows, so they do not choose its weights")
        nulls.append(null)
    chosen = tuple(likelihoods[index] for index in kept)
    spec = HeadSpec(name, tuple(own), tuple(LINK_OF[likelihood] for likelihood in chosen), recipe.config)
    means = tuple(
        float(track.transform.forward(statistics.mean[index : index + 1] / scales[index])[0])
        for track, index in zip(own, kept, strict=True)
    )
    labels = HeadLabels(label_set, scope, kept, own)
    return Prepared(spec, TrackLosses(chosen, tuple(nulls)), labels, train_rows, valid_rows, means)


def _legacy(
    label_set: LabelSet,
    name: str,
    recipe: Recipe,
    losses: Mapping[str, Likelihood],
    say: Callable[[str], None],
) -> Prepared:
    if losses:
        raise UsageError("--loss goes with the recipe fixed; legacy has one loss for all tracks")
    scope, tracks = recipe.scope, label_set.tracks(recipe.scope)
    train_rows, valid_rows = (rows_of(label_set, fold) for fold in ("train", "valid"))
    statistics = LabelStatistics(len(tracks))
    for rows in _pieces(train_rows):
        labels = label_set.labels(rows, scope)
        statistics.add(labels, np.ones_like(labels))
    kept = _observed_tracks(label_set, tracks, statistics.count > 0, say)
    for index in kept:
        if statistics.constant[index]:
            level = statistics.mean[index]
            say(f"track '{tracks[index].name}' {_CONSTANT.format(level)}")
    link: Link = "softplus" if recipe.loss == "poisson" else "identity"
    own = tuple(dataclasses.replace(tracks[index], context=False) for index in kept)
    spec = HeadSpec(name, own, (link,) * len(own), recipe.config, half_embedding=recipe.half_embedding)
    loss = LegacyLoss("poisson" if recipe.loss == "poisson" else "mse", spec.links)
    means = tuple(float(mean) for mean in statistics.mean[kept])
    return Prepared(spec, loss, HeadLabels(label_set, scope, kept, None), train_rows, valid_rows, means)


def _observed_tracks(
    label_set: LabelSet, tracks: Sequence[Track], observed: np.ndarray, say: Callable[[str], None]
) -> list[int]:
    for track, seen in zip(tracks, observed, strict=True):
        if not seen:
            say(f"track '{track.name}' has no label in any training window and is left out")
    if not observed.any():
        raise UsageError(f"labels '{label_set.name}' hold no label in any training window")
    return [int(index) for index in np.flatnonzero(observed)]


def _pieces(rows: np.ndarray) -> Iterator[np.ndarray]:
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        yield rows[first : first + _ROWS_AT_ONCE]
