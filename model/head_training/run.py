"""The training of a head on a frozen (or tuned) trunk: one streaming pass over the windows an epoch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import time
from typing import TYPE_CHECKING, Any

import torch

from model.checkpoint import load_checkpoint
from model.compute import has_fast_bfloat16, pick_device
from model.folder import head_names, load_trunk, save_head
from model.head_training.batches import epoch_views
from model.head_training.cache import CachePlan, ResidualCache, cache_key
from model.head_training.folds import all_within, check_windows, split_text
from model.head_training.learner import Learner
from model.head_training.output import check_output, copy_trunk, save_tuned_trunk
from model.head_training.prepare import prepare
from model.head_training.scores import mean_of_defined
from model.head_training.settings import HeadTraining, Progress
from tracks.errors import TracksError, UsageError
from tracks.files import written_beside
from tracks.memory import keep_freed_memory
from tracks.split import read_split
from tracks.windows import overlaps_with_training

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tracks.genome import Genome
    from tracks.labels import LabelSet


def train_head(
    label_set: LabelSet,
    genome: Genome,
    trunk_folder: Path,
    out: Path,
    settings: HeadTraining,
    *,
    device: str = "auto",
    cache: Path | None = None,
    confirm: Callable[[CachePlan], bool] = lambda plan: True,
    report: Callable[[Progress], None] = lambda progress: None,
) -> None:
    """Train a head on the labels and add it to ``out``: the trunk's own folder, or another, which gets the trunk too.

    Windows of fold train are learnt from, those of fold valid choose the weights, and test is not read. A checkpoint
    is kept in ``out``; a run that stopped goes on from it and ends at the same weights. ``cache`` is a folder for
    residual streams; before anything is written there, ``confirm`` is asked.

    Raises UsageError when labels, genome, trunk, folder and settings do not go together, TracksError when a file
    cannot be read or written, or training diverges.
    """
    keep_freed_memory()
    run = _Run(label_set, genome, trunk_folder, out, settings, pick_device(device), report)
    if cache is not None:
        run.use_cache(cache, confirm)
    if not run.resume():
        run.start()
    run.train()
    run.save()


class _Run:
    """One training run: the learner, its best state so far, and how far it is."""

    def __init__(
        self,
        label_set: LabelSet,
        genome: Genome,
        trunk_folder: Path,
        out: Path,
        settings: HeadTraining,
        device: torch.device,
        report: Callable[[Progress], None],
    ) -> None:
        self.label_set, self.genome, self.out, self.settings = label_set, genome, out, settings
        self.trunk_folder, self.report, self.recipe = trunk_folder, report, settings.recipe
        if settings.precision == "bf16" and not has_fast_bfloat16(device):
            raise UsageError(f"bf16 is slower than fp32 on this device ({device}); use --precision fp32")
        self.loaded = load_trunk(trunk_folder)
        check_output(out, trunk_folder, self.loaded.digest, settings.name, tuned=settings.tune != "nothing")
        check_windows(label_set.windows, genome)
        split = trunk_folder / "split.bed"
        self.trunk_split = read_split(split) if split.exists() else ()
        self._say_what_the_trunk_saw()
        self.prepared = prepare(label_set, settings.name, settings.recipe, settings.losses, self._say)
        self.learner = Learner(self.prepared, self.loaded, genome, settings, device)
        self.epoch, self.step = 0, 0
        """The epoch under way (0: the start is not scored yet) and its steps that are done."""
        self.epoch_loss = 0.0
        self.seconds = 0.0
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, torch.Tensor] = {}
        self.best_epoch, self.best_loss = 0, math.inf
        self.penalties: tuple[float, ...] = ()

    def _say(self, message: str) -> None:
        self.report(Progress(message=message))

    def _say_what_the_trunk_saw(self) -> None:
        for fold in ("valid", "test"):
            held_out = [window for window in self.label_set.windows if window.fold == fold]
            if count := sum(1 for _ in overlaps_with_training(held_out, self.trunk_split)):
                self._say(
                    f"{count:,} {fold} windows overlap sequence that the trunk was trained on; scores there flatter"
                )

    def use_cache(self, root: Path, confirm: Callable[[CachePlan], bool]) -> None:
        """Read residual streams from a cache, which what is missing is written to as it comes by."""
        if self.settings.tune != "nothing":
            raise UsageError("a cache holds what a frozen trunk gives; it cannot be used where the trunk is tuned")
        windows = self.label_set.windows
        key = cache_key(self.loaded.digest, self.settings.precision, self.genome, windows)
        cache = ResidualCache(root, key, len(windows), self.loaded.config.residual_width)
        plan = cache.plan(self.prepared.train_rows, 2 if self.recipe.reverse_complement else 1)
        plan += cache.plan(self.prepared.valid_rows, 1)
        self._say(str(plan))
        if plan.missing and not confirm(plan):
            raise UsageError("the cache was not wanted; leave out --cache to pass the trunk again in every epoch")
        if self.recipe.shift:
            self._say("with a cache, the sequence is not shifted")
            self.recipe = dataclasses.replace(self.recipe, shift=False)
        self.learner.stream.cache = cache

    @property
    def _identity(self) -> str:
        """Everything that the weights depend on, to know a checkpoint of the same run by."""
        places = json.dumps([dataclasses.astuple(window) for window in self.label_set.windows])
        parts = {
            "trunk": self.loaded.digest,
            "labels": self.label_set.name,
            "windows": hashlib.sha256(places.encode()).hexdigest(),
            "spec": dataclasses.asdict(self.prepared.spec),
            "loss": dataclasses.asdict(self.prepared.loss),
            "settings": {**dataclasses.asdict(self.settings), "checkpoint_steps": None},
            "recipe": dataclasses.asdict(self.recipe),
            "cached": self.learner.stream.cache is not None,
        }
        return json.dumps(parts, sort_keys=True)

    @property
    def _checkpoint_path(self) -> Path:
        return self.out / "heads" / self.settings.name / "checkpoint.pt"

    def resume(self) -> bool:
        """Go on from the checkpoint, if there is one. Raises UsageError when it is of another run."""
        path = self._checkpoint_path
        state = load_checkpoint(path, self.learner.device)
        if state is None:
            return False
        if state["identity"] != self._identity:
            raise UsageError(
                f"the checkpoint {path} is of other labels, settings or trunk; remove it, or give another --name"
            )
        self.learner.set_state(state["weights"])
        self.learner.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.step, self.epoch_loss = state["epoch"], state["step"], state["epoch_loss"]
        self.seconds, self.history = state["seconds"], state["history"]
        self.best, self.best_epoch, self.best_loss = state["best"], state["best_epoch"], state["best_loss"]
        self.penalties = tuple(state["penalties"])
        self._say(f"going on from epoch {self.epoch}, step {self.step:,}")
        return True

    def start(self) -> None:
        """Set the weights that training starts from, and score them as epoch 0."""
        if self.recipe.start == "ridge":
            self._say("solving for the linear weights in one pass")
        epochs = self.recipe.epochs
        self.penalties = self.learner.start(lambda done, total: self.report(Progress(0, epochs, done, total)))
        self._finish_epoch()

    def train(self) -> None:
        """Run the epochs that are left."""
        recipe = self.recipe
        while self.epoch <= recipe.epochs and not self._stopped_early():
            views = epoch_views(
                self.prepared.train_rows,
                recipe.batch,
                self.settings.seed,
                self.epoch,
                reverse_complement=recipe.reverse_complement,
                shift=recipe.shift,
            )
            for batch in self.learner.stream.batches(views[self.step :]):
                began = time.monotonic()
                loss = self.learner.train_step(batch, self.epoch, self.step, len(views))
                self._check_loss(loss)
                self.step += 1
                self.epoch_loss += loss if math.isfinite(loss) else 0.0
                self.seconds += time.monotonic() - began
                if self.step < len(views):
                    self.report(Progress(self.epoch, recipe.epochs, self.step, len(views), loss))
                    if self.step % self.settings.checkpoint_steps == 0:
                        self._checkpoint()
            self._finish_epoch(len(views))

    def _stopped_early(self) -> bool:
        patience = self.recipe.patience
        return patience is not None and self.epoch - 1 - self.best_epoch >= patience

    def _check_loss(self, loss: float) -> None:
        if not math.isfinite(loss) and not self.recipe.zero_nan_gradients:
            raise TracksError(
                f"training diverged in epoch {self.epoch}, step {self.step + 1}: the loss is {loss}; "
                "try a lower --learning-rate"
            )

    def _finish_epoch(self, steps: int = 0) -> None:
        """Score the weights on the held-out windows, keep them if they are the best, and write a checkpoint."""
        rows = self.prepared.valid_rows
        scores = self.learner.scores(rows) if len(rows) else ()
        loss = mean_of_defined([score.loss for score in scores])
        if scores and not math.isfinite(loss):
            raise TracksError(
                f"training diverged in epoch {self.epoch}: the held-out loss is {loss}; try a lower --learning-rate"
            )
        if self.recipe.keep == "last" or not scores or loss < self.best_loss:
            self.best, self.best_epoch, self.best_loss = self.learner.state(), self.epoch, loss
        train_loss = self.epoch_loss / steps if steps else math.nan
        self.history.append(
            {
                "epoch": self.epoch,
                "train_loss": _number(train_loss),
                "valid_loss": _number(loss),
                "valid_pearson": [_number(score.pearson) for score in scores],
            }
        )
        self.report(Progress(self.epoch, self.recipe.epochs, steps, steps, train_loss, scores=scores))
        self.epoch, self.step, self.epoch_loss = self.epoch + 1, 0, 0.0
        self._checkpoint()

    def _checkpoint(self) -> None:
        with written_beside(self._checkpoint_path) as beside:
            torch.save(
                {
                    "identity": self._identity,
                    "weights": self.learner.state(),
                    "optimizer": self.learner.optimizer.state_dict(),
                    "epoch": self.epoch,
                    "step": self.step,
                    "epoch_loss": self.epoch_loss,
                    "seconds": self.seconds,
                    "history": self.history,
                    "best": self.best,
                    "best_epoch": self.best_epoch,
                    "best_loss": self.best_loss,
                    "penalties": self.penalties,
                },
                beside,
            )

    def save(self) -> None:
        """Write the head, and the trunk where the folder is to have its own; the checkpoint goes."""
        self.learner.set_state(self.best)
        weights = self.learner.head_weights()
        windows = self.label_set.windows
        if self.learner.tuned:
            save_tuned_trunk(self.out, self.loaded, self.trunk_folder, windows, self.genome)
        else:
            copy_trunk(self.out, self.trunk_folder)
        # A head that saw nothing but what the trunk's split tells needs none of its own.
        told = all_within(windows, self.trunk_split)
        save_head(
            self.out,
            self.prepared.spec,
            weights,
            source={"trained_by": "tracks train", "labels": self.label_set.name, "trunk": self.loaded.digest},
            training={
                **dataclasses.asdict(self.settings),
                "recipe": dataclasses.asdict(self.recipe),
                "train_windows": len(self.prepared.train_rows),
                "valid_windows": len(self.prepared.valid_rows),
                "ridge_penalties": self.penalties,
                "best_epoch": self.best_epoch,
                "history": self.history,
                "seconds": round(self.seconds),
                "device": str(self.learner.device),
                "torch": torch.__version__,
            },
            split=None if told else split_text(windows, self.genome),
        )
        self._checkpoint_path.unlink(missing_ok=True)
        heads = ", ".join(head_names(self.out))
        self._say(f"kept the weights of epoch {self.best_epoch}; heads of {self.out}: {heads}")


def _number(value: float) -> float | None:
    """A number as JSON has it: none for NaN."""
    return round(value, 6) if math.isfinite(value) else None
