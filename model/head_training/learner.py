"""A head on its trunk while it learns: one step, its held-out scores, and its state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from model.head_training.adapters import add_adapters
from model.head_training.batch_attention import BatchAttentionHead
from model.head_training.batches import WindowStream, in_batches
from model.head_training.scores import PearsonSums, TrackScore
from model.head_training.start import Standardised, channel_moments, ridge_start, set_output_bias
from model.heads import AttentionConfig, build_head, head_labels
from model.network import part_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from model.folder import LoadedTrunk
    from model.head_training.batches import Batch
    from model.head_training.prepare import Prepared
    from model.head_training.settings import HeadTraining
    from tracks.genome import Genome


class Learner:
    """A head, the trunk beneath it, the loss and the optimiser, on one device.

    The trunk stays in evaluation mode also where it is tuned: a batch of windows is too small for BatchNorm
    statistics of its own.
    """

    def __init__(
        self, prepared: Prepared, loaded: LoadedTrunk, genome: Genome, settings: HeadTraining, device: torch.device
    ) -> None:
        self.prepared, self.spec, self.device = prepared, prepared.spec, device
        self.recipe, self.seed = settings.recipe, settings.seed
        self.trunk = loaded.trunk.to(device)
        self.stream = WindowStream(self.trunk, genome, prepared.labels, device, autocast=settings.precision == "bf16")
        filters, config = loaded.config.embedding_filters, settings.recipe.config
        torch.manual_seed(settings.seed)
        if isinstance(config, AttentionConfig) and config.legacy:
            head: torch.nn.Module = BatchAttentionHead(filters, len(self.spec.tracks), config)
        else:
            head = build_head(self.spec, filters)
        self.head = Standardised(head, torch.zeros(filters), torch.ones(filters)).to(device)
        self.tuned: list[torch.nn.Parameter] = []
        if settings.tune == "adapters":
            self.tuned = add_adapters(self.trunk, settings.rank)
        elif settings.tune == "trunk":
            self.tuned = list(self.trunk.requires_grad_(True).parameters())
        self.optimizer = self._optimizer(settings.trunk_learning_rate)

    def _optimizer(self, trunk_learning_rate: float) -> torch.optim.Optimizer:
        recipe = self.recipe
        groups: list[dict[str, Any]] = [{"params": list(self.head.parameters()), "lr": recipe.learning_rate}]
        if self.tuned:
            groups.append({"params": self.tuned, "lr": trunk_learning_rate})
        for group in groups:
            group["highest"] = group["lr"]
        if recipe.optimizer == "sgd":
            return torch.optim.SGD(groups, momentum=recipe.momentum)
        if recipe.optimizer == "adam":
            return torch.optim.Adam(groups)
        return torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)

    def start(self, progress: Callable[[int, int], None]) -> tuple[float, ...]:
        """Set the weights that training starts from. Returns the ridge penalty of each track where that is how;
        ``progress`` is told of its pass."""
        how, head = self.recipe.start, self.head.head
        train_rows = self.prepared.train_rows
        if self.recipe.standardise:
            moments = channel_moments(self.stream, train_rows)
            self.head = Standardised(head, *moments).to(self.device)
        if how == "ridge":
            fits, penalties = ridge_start(self.stream, train_rows, self.prepared.valid_rows, self.spec.links, progress)
            self.head.set_linear(fits)
            return penalties
        if how == "mean":
            set_output_bias(head, self.spec.links, self.prepared.label_means)
        elif how == "kaiming":
            assert isinstance(head, torch.nn.Conv1d)
            assert head.bias is not None
            torch.nn.init.kaiming_normal_(head.weight, nonlinearity="relu")
            torch.nn.init.zeros_(head.bias)
        return ()

    def _raw(self, batch: Batch) -> torch.Tensor:
        with torch.set_grad_enabled(bool(self.tuned) and torch.is_grad_enabled()):
            embedding = self.stream.embedding(batch)
        raw: torch.Tensor = self.head(self.spec.seen(embedding))
        return raw

    def train_step(self, batch: Batch, epoch: int, step: int, steps: int) -> float:
        """Take one optimiser step, step ``step`` of ``steps`` in an epoch from 1 on, and return the loss."""
        # Dropout depends on the place in the run alone, so that a resumed run draws what the first would have drawn.
        torch.manual_seed(int(np.random.SeedSequence((self.seed, epoch, step)).generate_state(1)[0]))
        self._set_learning_rate((epoch - 1) * steps + step, self.recipe.epochs * steps)
        self.head.train()
        loss = self.prepared.loss(self._raw(batch), batch.labels.to(self.device), batch.weight.to(self.device))
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        parameters = [*self.head.parameters(), *self.tuned]
        if self.recipe.zero_nan_gradients:
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad.nan_to_num_()
        if self.recipe.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(parameters, self.recipe.clip_norm)
        self.optimizer.step()
        return float(loss.detach())

    def _set_learning_rate(self, done: int, steps: int) -> None:
        factor = 0.5 * (1 + math.cos(math.pi * done / steps)) if self.recipe.cosine else 1.0
        warmup = min(self.recipe.warmup_steps, steps // 10)
        if warmup:
            factor *= min(1.0, (done + 1) / warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = group["highest"] * factor

    @torch.no_grad()
    def scores(self, rows: np.ndarray) -> tuple[TrackScore, ...]:
        """Score the head on some windows, as they are."""
        self.head.eval()
        tracks = len(self.spec.tracks)
        totals, weights = np.zeros(tracks), np.zeros(tracks)
        agreement = PearsonSums(tracks)
        for batch in self.stream.batches(in_batches(rows, self.recipe.batch)):
            raw, labels, weight = self._raw(batch), batch.labels.to(self.device), batch.weight.to(self.device)
            total, counted = self.prepared.loss.sums(raw, labels, weight)
            totals += total.cpu().numpy()
            weights += counted.cpu().numpy()
            agreement.add(head_labels(self.spec.links, raw), labels, weight)
        losses = np.where(weights > 0, totals / np.where(weights > 0, weights, 1), np.nan)
        return tuple(
            TrackScore(track.name, float(loss), r)
            for track, loss, r in zip(self.spec.tracks, losses, agreement.pearson(), strict=True)
        )

    def state(self) -> dict[str, torch.Tensor]:
        """Return a copy of everything that training changes, and the standardisation."""
        state = {f"head.{name}": value for name, value in self.head.state_dict().items()}
        for name, value in self.trunk.named_parameters():
            if value.requires_grad:
                state[f"trunk.{name}"] = value
        return {name: value.detach().clone() for name, value in state.items()}

    def set_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go back to what ``state`` returned."""
        self.head.load_state_dict(part_of(state, "head."))
        self.trunk.load_state_dict(part_of(state, "trunk."), strict=False)

    def head_weights(self) -> dict[str, torch.Tensor]:
        """Return the state dict of the head as it is saved: it reads the embedding itself."""
        head = self.head.head
        weights = self.head.folded({name: value.cpu() for name, value in head.state_dict().items()})
        return head.kept(weights) if isinstance(head, BatchAttentionHead) else weights
