"""Training: a trunk and its heads from scratch on a project's observed tracks."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from model.checkpoint import load_checkpoint
from model.compute import has_fast_bfloat16, pick_device
from model.context import ContextConfig
from model.dataset import TrainingData
from model.folder import save_model
from model.heads import HeadSpec, LinearConfig
from model.metrics import pearson, pooled
from model.network import Network
from model.trunk import TrunkConfig
from tracks.errors import TracksError, UsageError
from tracks.files import written_beside
from tracks.grid import BIN, BINS
from tracks.memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tracks.project import Project

SMALL_TRUNK = TrunkConfig(
    stem_filters=32,
    tower_filters=40,
    tower_growth=1.2619,
    residual_filters=64,
    residual_dropout=0.1,
    embedding_filters=256,
)
"""The demo's trunk: Basenji2's structure and receptive field, 0.5 million weights, 4 GFLOP a window."""

_HEAD = "bins"
"""Name of the head that is trained together with the trunk."""

_VALID_POOL = 32
"""Validation also scores bins averaged by this many: 4,096 bp."""


@dataclass(frozen=True)
class TrainConfig:
    """How to train. ``windows`` is the length of the whole run, in drawn windows."""

    windows: int = 30_000
    batch: int = 4
    learning_rate: float = 2e-3
    warmup_steps: int = 200
    weight_decay: float = 0.02
    clip_norm: float = 1.0
    averaging: float = 0.995
    auxiliary_weight: float = 0.15
    seed: int = 1
    validate_every: int = 750
    """Steps between validations, each of which also saves a checkpoint."""

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self.windows // self.batch


@dataclass(frozen=True)
class Progress:
    """What training tells while it runs: a message, or a step with its loss and validation scores per track."""

    step: int = 0
    steps: int = 0
    loss: float = math.nan
    message: str = ""
    scores: tuple[tuple[str, float, float], ...] = ()
    """Per target: name, Pearson r at 128 bp and at 4,096 bp on the valid blocks."""


def train(
    project: Project,
    out: Path,
    config: TrainConfig | None = None,
    trunk: TrunkConfig = SMALL_TRUNK,
    device: str = "auto",
    report: Callable[[Progress], None] = lambda progress: None,
) -> None:
    """Train on a project and write a model folder to ``out``.

    A checkpoint is kept in ``out`` and a run that stopped goes on from it. Raises UsageError when ``out`` holds a
    finished model or a checkpoint of other settings, or when the project lacks what training needs.
    """
    config = config or TrainConfig()
    if (out / "model.json").exists():
        raise UsageError(f"{out} already holds a trained model; give another folder, or remove it")
    keep_freed_memory()
    run = _Run(project, out, config, trunk, pick_device(device), report)
    run.resume()
    run.train()
    run.save()


class _Run:
    """One training run: the network, its averaged copy, the optimiser, and how far it is."""

    def __init__(
        self,
        project: Project,
        out: Path,
        config: TrainConfig,
        trunk: TrunkConfig,
        device: torch.device,
        report: Callable[[Progress], None],
    ) -> None:
        self.project, self.out, self.config, self.device, self.report = project, out, config, device, report
        self.data = TrainingData(project, ContextConfig(), lambda message: report(Progress(message=message)))
        mean, deviation = self.data.context_statistics()
        self.trunk_config = trunk
        torch.manual_seed(config.seed)
        self.head = HeadSpec(
            _HEAD,
            tuple(
                entry.track if entry.role == "target" else dataclasses.replace(entry.track, context=False)
                for entry in self.data.entries
            ),
            tuple("sigmoid" for _ in self.data.entries),
            LinearConfig(ContextConfig(mean=mean, deviation=deviation)),
        )
        self.network = Network(trunk, (self.head,)).to(device)
        self.averaged = Network(trunk, (self.head,)).to(device)
        self.averaged.load_state_dict(self.network.state_dict())
        decayed = [weight for weight in self.network.parameters() if weight.ndim > 1]
        plain = [weight for weight in self.network.parameters() if weight.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=config.learning_rate,
        )
        self.step = 0
        self.seconds = 0.0
        self.best: dict[str, torch.Tensor] = {}
        self.best_step = 0
        self.best_score = -math.inf
        self.autocast = has_fast_bfloat16(device)

    @property
    def _settings(self) -> str:
        parts = (self.config, self.trunk_config, self.head.config, [entry.name for entry in self.data.entries])
        return json.dumps(parts, default=dataclasses.asdict)

    def resume(self) -> None:
        path = self.out / "checkpoint.pt"
        state = load_checkpoint(path, self.device)
        if state is None:
            return
        if state["settings"] != self._settings:
            raise UsageError(f"the checkpoint {path} is of other settings; remove it, or give another folder")
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.best, self.best_step, self.best_score = state["best"], state["best_step"], state["best_score"]
        self.report(Progress(message=f"going on from step {self.step:,} of {self.config.steps:,}"))

    def train(self) -> None:
        for codes, context, labels in self._batches():
            began = time.monotonic()
            loss = self._train_step(codes, context, labels)
            self.step += 1
            self.seconds += time.monotonic() - began
            scores: tuple[tuple[str, float, float], ...] = ()
            if self.step % self.config.validate_every == 0 or self.step == self.config.steps:
                scores = self._validate()
                self._keep_best(scores)
                self._checkpoint()
            self.report(Progress(self.step, self.config.steps, loss, scores=scores))

    def _batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        # A draw depends on the seed and the step alone, so that a resumed run sees what the first would have seen.
        def batch(step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            rng = np.random.default_rng((self.config.seed, step))
            windows = [self.data.draw(rng) for _ in range(self.config.batch)]
            codes = torch.from_numpy(np.stack([window.codes for window in windows]))
            context = np.stack([self._context(window.features) for window in windows])
            labels = np.stack([window.labels.T for window in windows])
            return codes, torch.from_numpy(context), torch.from_numpy(labels)

        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(batch, self.step)
            for step in range(self.step, self.config.steps):
                ready = ahead.result()
                ahead = pool.submit(batch, step + 1)
                yield tuple(part.to(self.device, non_blocking=True) for part in ready)  # type: ignore[misc]

    def _context(self, features: np.ndarray) -> np.ndarray:
        assert self.head.context is not None
        scaled: np.ndarray = self.head.context.standardised(features).T
        return scaled

    def _raw(self, network: Network, codes: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """The raw output ``[N, tracks, 896]``, computed in bfloat16 where that is fast."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            raw: torch.Tensor = network(codes, {_HEAD: context})[_HEAD]
        return raw

    def _train_step(self, codes: torch.Tensor, context: torch.Tensor, labels: torch.Tensor) -> float:
        config = self.config
        done = max(self.step - config.warmup_steps, 0) / max(config.steps - config.warmup_steps, 1)
        warm = min(1.0, (self.step + 1) / config.warmup_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * done))
        self.network.train()
        logits = self._raw(self.network, codes, context)
        loss = masked_loss(logits, labels, self.data.targets, config.auxiliary_weight)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), config.clip_norm)
        self.optimizer.step()
        self._average()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TracksError(
                f"training diverged at step {self.step + 1}: the loss is {value}; try a lower learning rate"
            )
        return value

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights and BatchNorm statistics towards the current ones."""
        decay = min(self.config.averaging, (1 + self.step) / (10 + self.step))
        current = self.network.state_dict()
        for name, kept in self.averaged.state_dict().items():
            if kept.dtype.is_floating_point:
                kept.lerp_(current[name], 1 - decay)
            else:
                kept.copy_(current[name])

    @torch.no_grad()
    def _validate(self) -> tuple[tuple[str, float, float], ...]:
        """Score the averaged network on the grid windows inside the valid blocks."""
        predicted, observed = [], []
        self.averaged.eval()
        for block in self.data.split:
            scored = block.scored()
            if block.fold != "valid" or scored is None:
                continue
            for first in range(-(-scored.start // BIN), scored.end // BIN - BINS + 1, BINS):
                window = self.data.window(block.region.chrom, first)
                codes = torch.from_numpy(window.codes)[None].to(self.device)
                context = torch.from_numpy(self._context(window.features))[None].to(self.device)
                logits = self._raw(self.averaged, codes, context)
                predicted.append(torch.sigmoid(logits)[0].float().cpu().numpy().T)
                observed.append(window.labels)
        if not predicted:
            return ()
        values, labels = np.concatenate(predicted), np.concatenate(observed)
        return tuple(
            (entry.name, _pearson(values[:, i], labels[:, i], 1), _pearson(values[:, i], labels[:, i], _VALID_POOL))
            for i, entry in enumerate(self.data.entries[: self.data.targets])
        )

    def _keep_best(self, scores: tuple[tuple[str, float, float], ...]) -> None:
        """Keep the averaged weights with the highest mean r at 4,096 bp on the valid blocks: a long run overfits."""
        coarse = [score for _, _, score in scores if math.isfinite(score)]
        score = float(np.mean(coarse)) if coarse else -math.inf
        if score > self.best_score or not coarse:
            self.best = {name: value.clone() for name, value in self.averaged.state_dict().items()}
            self.best_step, self.best_score = self.step, score

    def _checkpoint(self) -> None:
        with written_beside(self.out / "checkpoint.pt") as beside:
            torch.save(
                {
                    "settings": self._settings,
                    "network": self.network.state_dict(),
                    "averaged": self.averaged.state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                    "step": self.step,
                    "seconds": self.seconds,
                    "best": self.best,
                    "best_step": self.best_step,
                    "best_score": self.best_score,
                },
                beside,
            )

    def save(self) -> None:
        """Write the model folder: the best averaged weights of the target tracks; the auxiliary ones stay behind."""
        targets = self.data.targets
        tracks = tuple(entry.track for entry in self.data.entries[:targets])
        weights = {name: value.cpu() for name, value in self.best.items()}
        for name in (f"heads.{_HEAD}.weight", f"heads.{_HEAD}.bias"):
            weights[name] = weights[name][:targets].clone()
        assert self.project.split is not None
        save_model(
            self.out,
            name=self.project.name,
            trunk=self.trunk_config,
            heads=(HeadSpec(_HEAD, tracks, self.head.links[:targets], self.head.config),),
            weights=weights,
            split=self.project.split.read_text(),
            training={
                **dataclasses.asdict(self.config),
                "auxiliary_tracks": [entry.name for entry in self.data.entries[targets:]],
                "best_step": self.best_step,
                "seconds": round(self.seconds),
                "device": str(self.device),
                "threads": torch.get_num_threads(),
                "number_format": "bfloat16" if self.autocast else "float32",
                "torch": torch.__version__,
            },
        )
        (self.out / "checkpoint.pt").unlink(missing_ok=True)


def masked_loss(logits: torch.Tensor, labels: torch.Tensor, targets: int, auxiliary_weight: float) -> torch.Tensor:
    """Return the cross-entropy of soft labels, mean over each track's observed bins, then over tracks.

    ``logits`` and ``labels`` are ``[N, tracks, bins]``; NaN labels are masked; tracks from ``targets`` on are
    auxiliary and weigh ``auxiliary_weight`` together. A track that is observed nowhere in the batch adds nothing.
    """
    observed = torch.isfinite(labels)
    each = F.binary_cross_entropy_with_logits(logits, torch.nan_to_num(labels), reduction="none")
    per_track = (each * observed).sum(dim=(0, 2)) / observed.sum(dim=(0, 2)).clamp(min=1)
    loss = per_track[:targets].mean()
    return loss + auxiliary_weight * per_track[targets:].mean() if len(per_track) > targets else loss


def _pearson(predicted: np.ndarray, observed: np.ndarray, pool: int) -> float:
    """Pearson r of one track over its observed bins, after averaging each ``pool`` bins over the observed ones."""
    kept = np.isfinite(observed)
    means = [pooled(values, kept, 0, pool, least=0.0) for values in (predicted, observed)]
    seen = np.isfinite(means[1])
    if seen.sum() < 2:
        return math.nan
    together = np.zeros(int(seen.sum()), np.int64)  # one block: there is no interval here
    return float(pearson(means[0][seen], means[1][seen], together)(np.ones((1, 1)))[0])
