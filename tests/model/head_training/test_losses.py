from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.stats
import torch

from model.head_training.losses import (
    DEVIANCES,
    LINK_OF,
    LabelStatistics,
    LegacyLoss,
    Likelihood,
    TrackLosses,
    label_transform,
    likelihood_of,
    likelihoods_of,
    observation_weights,
)
from model.heads import LINKS
from tests.model.head_training.conftest import TRACKS
from tracks.errors import UsageError
from tracks.track import Track
from tracks.transform import Affine


@pytest.mark.parametrize(
    ("unit", "likelihood"),
    [
        ("log2 enrichment", "gaussian"),
        ("methylated fraction", "binomial"),
        ("covered fraction", "binomial"),
        ("% methylated", "binomial"),
        ("CpG calls per 128 bp", "poisson"),
        ("read count", "poisson"),
        ("z-score", "gaussian"),
    ],
)
def test_a_unit_calls_for_a_likelihood(unit: str, likelihood: str) -> None:
    assert likelihood_of(dataclasses.replace(TRACKS[0], unit=unit)) == likelihood


def test_a_likelihood_can_be_chosen_by_name() -> None:
    assert likelihoods_of(TRACKS, {"calls": "gaussian"}) == ("gaussian", "binomial", "gaussian")
    with pytest.raises(UsageError, match="'Methyl', which is no track of the labels; they are 'Lamina', 'Methylation'"):
        likelihoods_of(TRACKS, {"Methyl": "binomial"})


def _log_likelihoods(likelihood: Likelihood, mean: np.ndarray, y: np.ndarray) -> np.ndarray:
    if likelihood == "gaussian":
        return np.asarray(scipy.stats.norm.logpdf(y, mean, np.sqrt(0.5)))
    if likelihood == "poisson":
        return np.asarray(scipy.stats.poisson.logpmf(y, mean))
    return np.asarray(scipy.stats.bernoulli.logpmf(y, mean))


@pytest.mark.parametrize("likelihood", ["gaussian", "poisson", "binomial"])
def test_deviances_are_twice_the_loss_of_log_likelihood(likelihood: Likelihood) -> None:
    rng = np.random.default_rng(0)
    raw = torch.from_numpy(rng.normal(size=200))
    y = {"gaussian": rng.normal(size=200), "poisson": rng.poisson(3.0, 200), "binomial": rng.integers(0, 2, 200)}
    label = y[likelihood].astype(float)
    mean = LINKS[LINK_OF[likelihood]](raw).numpy()
    perfect = np.clip(label, 1e-12, None) if likelihood == "poisson" else label
    expected = 2 * (_log_likelihoods(likelihood, perfect, label) - _log_likelihoods(likelihood, mean, label))
    if likelihood == "gaussian":  # variance 1/2: the deviance is the squared error, once
        expected /= 2
    found = DEVIANCES[likelihood](raw, torch.from_numpy(label)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert (found > -1e-6).all()


@pytest.mark.parametrize("likelihood", ["gaussian", "poisson", "binomial"])
def test_every_tracks_loss_is_1_for_its_mean_and_0_for_itself(likelihood: Likelihood) -> None:
    rng = np.random.default_rng(1)
    values = {
        "gaussian": rng.normal(3, 7, (50, 4, 1)),
        "poisson": rng.poisson(30, (50, 4, 1)).astype(float),
        "binomial": rng.beta(0.5, 0.7, (50, 4, 1)),
    }[likelihood]
    values[rng.random(values.shape) < 0.2] = np.nan
    weight = observation_weights(values, rng.integers(0, 30, values.shape).astype(float))
    assert weight.max() == 20
    assert (weight[np.isnan(values)] == 0).all()
    statistics = LabelStatistics(1)
    for piece in range(0, 50, 7):
        statistics.add(values[piece : piece + 7], weight[piece : piece + 7])
    transform = label_transform(TRACKS[0], likelihood, statistics, 0)
    loss = TrackLosses((likelihood,), (statistics.null_deviance(0, likelihood, transform.scale),))
    labels = torch.from_numpy(transform.forward(values)).transpose(1, 2)
    counts = torch.from_numpy(weight).double().transpose(1, 2)
    mean = torch.tensor(float(transform.forward(statistics.mean)[0]), dtype=torch.float64)
    inverse = {"gaussian": lambda x: x, "poisson": lambda x: torch.log(torch.expm1(x)), "binomial": torch.logit}
    at_mean = inverse[likelihood](mean).expand_as(labels)
    assert float(loss(at_mean, labels, counts)) == pytest.approx(1, abs=1e-4)
    inside = labels.nan_to_num(0.5)
    perfect = inverse[likelihood](inside.clamp(1e-9, 1 - 1e-9) if likelihood == "binomial" else inside)
    assert float(loss(perfect, labels, counts)) == pytest.approx(0, abs=1e-4)


def test_tracks_without_labels_in_a_batch_add_nothing_and_get_no_gradient() -> None:
    loss = TrackLosses(("gaussian", "binomial"), (2.0, 1.0))
    raw = torch.zeros(2, 2, 3, requires_grad=True)
    labels = torch.tensor([[[1.0, torch.nan, 3.0], [torch.nan] * 3]] * 2)
    weight = torch.isfinite(labels).float()
    found = loss(raw, labels, weight)
    assert float(found.detach()) == pytest.approx((1 + 9) / 2 / 2)
    found.backward()
    assert raw.grad is not None
    assert torch.isfinite(raw.grad).all()
    assert not raw.grad[:, 1].any()
    assert not raw.grad[:, 0, 1].any()
    assert raw.grad[:, 0, [0, 2]].all()


def test_labels_that_a_loss_does_not_allow_are_named() -> None:
    statistics = LabelStatistics(1)
    statistics.add(np.array([[[-1.0], [40.0]]]), np.ones((1, 2, 1)))
    with pytest.raises(UsageError, match=r"'Calls' .*down to -1; counts are 0 or more, .*--loss 'Calls=gaussian'"):
        label_transform(TRACKS[2], "poisson", statistics, 0)
    with pytest.raises(UsageError, match=r"'Methylation' .*from -1 to 40; they should lie between 0 and 1"):
        label_transform(TRACKS[1], "binomial", statistics, 0)


def test_per_cent_become_fractions() -> None:
    track = Track("M", "WGBS", "cells", "% methylated", "#d95f02")
    statistics = LabelStatistics(1)
    statistics.add(np.array([[[0.0], [90.0]]]) * 0.01, np.ones((1, 2, 1)))
    assert label_transform(track, "binomial", statistics, 0) == Affine(0.01)


def test_constant_tracks_are_known_and_keep_a_usable_scale() -> None:
    statistics = LabelStatistics(2)
    values = np.stack([np.full((3, 5), 4.0), np.arange(15.0).reshape(3, 5)], axis=2)
    statistics.add(values, np.ones_like(values))
    assert statistics.constant.tolist() == [True, False]
    assert label_transform(TRACKS[0], "gaussian", statistics, 0) == Affine(1.0, -4.0)


def test_legacy_losses_are_those_of_torch_on_what_was_stored() -> None:
    rng = np.random.default_rng(2)
    raw, labels = (torch.from_numpy(rng.normal(size=(4, 3, 5)) * scale) for scale in (1, 100))
    labels = labels.abs()
    weight = torch.ones_like(labels)
    poisson = LegacyLoss("poisson", ("softplus",) * 3)
    expected = torch.nn.PoissonNLLLoss(log_input=False, full=False, eps=1e-8)(
        torch.nn.Softplus()(raw), labels.to(torch.int64)
    )
    torch.testing.assert_close(poisson(raw, labels, weight), expected)
    mse = LegacyLoss("mse", ("identity",) * 3)
    torch.testing.assert_close(mse(raw, labels, weight), torch.nn.MSELoss()(raw, labels))
    labels[0, 1, 2] = torch.nan
    assert torch.isnan(mse(raw, labels, weight))
    totals, counts = mse.sums(raw, labels, weight)
    assert counts.tolist() == [20, 19, 20]
    assert torch.isfinite(totals).all()
