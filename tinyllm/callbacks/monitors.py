"""Callbacks that watch one number: stopping early, keeping the best model, lowering the learning rate. As in Keras."""

import math
import os
import warnings
from typing import Any

import numpy as np

from tinyllm.callbacks.base import Callback

__all__ = ["EarlyStopping", "ModelCheckpoint", "ReduceLROnPlateau", "TerminateOnNaN"]

# Names of which more is better, with mode="auto"; of losses and errors, less is.
UPWARDS = ("acc", "auc", "precision", "recall", "f1", "fbeta", "iou", "r2", "specificity", "sensitivity", "similarity")
DOWNWARDS = (
    "loss",
    "err",
    "mse",
    "mae",
    "mape",
    "msle",
    "entropy",
    "perplexity",
    "nats",
    "kl",
    "log",
    "hinge",
    "huber",
)


class Monitor(Callback):
    """What these share: `monitor` is a name in the logs; an improvement is a change of more than min_delta.

    mode  "min", "max", or "auto": by the name; ValueError for a name that does not tell
    """

    kept: tuple[str, ...] = ("best",)

    def __init__(self, monitor: str = "val_loss", mode: str = "auto", min_delta: float = 0.0):
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"{type(self).__name__}: mode must be 'auto', 'min' or 'max'; found {mode!r}")
        self.monitor, self.min_delta = monitor, abs(min_delta)
        self.upwards = mode == "max" or (mode == "auto" and self._upwards())
        self.best: float | None = None

    def _upwards(self) -> bool:
        if any(part in self.monitor for part in UPWARDS):
            return True
        if any(part in self.monitor for part in DOWNWARDS):
            return False
        raise ValueError(
            f"{type(self).__name__}: is a larger '{self.monitor}' better? Say mode='max' if so, else mode='min'"
        )

    def value(self, logs: dict | None) -> float | None:
        """The number that is watched; None, with a warning, if it is not in the logs."""
        logs = logs or {}
        if self.monitor in logs:
            return logs[self.monitor]
        found = ", ".join(logs) or "nothing"
        warnings.warn(f"{type(self).__name__}: there is no '{self.monitor}' in the logs; found {found}", stacklevel=4)
        return None

    def better(self, value: float, reference: float | None) -> bool:
        """Whether this is an improvement: the first number always is, NaN never, and NaN is worse than any number."""
        if reference is None or math.isnan(reference):
            return not math.isnan(value)
        return value - self.min_delta > reference if self.upwards else value + self.min_delta < reference


class EarlyStopping(Monitor):
    """Stop when a number has not improved for `patience` epochs.

    baseline              what must be beaten, too, for the patience to start anew
    restore_best_weights  at the end, the weights go back to those of the best epoch
    start_from_epoch      the epochs before this one are not watched

    Afterwards: stopped_epoch (0 if it did not stop), best_epoch, best.
    """

    kept = ("best", "best_epoch", "best_weights", "wait", "stopped_epoch")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ):
        super().__init__(monitor, mode, min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch

    def on_train_begin(self, logs=None):
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = self.best_weights = None

    def on_epoch_end(self, epoch, logs=None):
        value = self.value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.better(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.better(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)
        if self.verbose and self.stopped_epoch:
            back = f"; the weights are those of epoch {self.best_epoch + 1}" if self.best_weights is not None else ""
            print(f"Epoch {self.stopped_epoch + 1}: {self.monitor} did not improve any more{back}")


class ModelCheckpoint(Monitor):
    """Save the model after each epoch, after every save_freq batches, or only when it is the best so far.

    filepath           may name the epoch and numbers of the logs: "run-{epoch:02d}-{val_loss:.2f}"; epochs count from 1
    save_weights_only  a safetensors file, for model.load_weights(), in place of the whole model
    initial_value_threshold  with save_best_only: what the first one must beat

    To go on with training after a crash, there is Checkpoint.
    """

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: int | str = "epoch",
        initial_value_threshold: float | None = None,
    ):
        super().__init__(monitor, mode)
        self.filepath, self.verbose = os.fsdecode(filepath), verbose
        self.save_best_only, self.save_weights_only = save_best_only, save_weights_only
        self.save_freq = frequency("ModelCheckpoint: save_freq", save_freq)
        self.best = initial_value_threshold
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.save_freq != "epoch" and self.model.progress.step % self.save_freq == 0:
            self._save(self.epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        if self.save_freq == "epoch":
            self._save(epoch, logs)

    def _save(self, epoch: int, logs: dict) -> None:
        if self.save_best_only:
            value = self.value(logs)
            if value is None or not self.better(value, self.best):
                return
            self.best = value
        try:
            path = self.filepath.format(epoch=epoch + 1, **logs)
        except KeyError as error:
            raise ValueError(f"ModelCheckpoint: {self.filepath!r} names {error}; the logs have {list(logs)}") from None
        except (IndexError, ValueError) as error:
            raise ValueError(f"ModelCheckpoint: {self.filepath!r}: {error}; write, say, {{epoch:02d}}") from None
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        (self.model.save_weights if self.save_weights_only else self.model.save)(path)
        if self.verbose:
            print(f"Epoch {epoch + 1}: saved {path}")


class ReduceLROnPlateau(Monitor):
    """Multiply the learning rate by `factor` when a number has not improved for `patience` epochs.

    cooldown  epochs that are not counted after a reduction; min_lr  the rate never falls below it
    The history shows the rate of each epoch as "learning_rate".
    """

    kept = ("best", "wait", "cooling")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ):
        if not 0 < factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor must be between 0 and 1; found {factor!r}")
        super().__init__(monitor, mode, min_delta)
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr

    def on_train_begin(self, logs=None):
        if callable(vars(self.model.optimizer)["learning_rate"]):
            raise ValueError("ReduceLROnPlateau: the optimizer's rate is a schedule; give the optimizer a number")
        self.best, self.wait, self.cooling = None, 0, 0

    def on_epoch_end(self, epoch, logs=None):
        logs["learning_rate"] = rate = self.model.optimizer.learning_rate
        value = self.value(logs)
        if value is None:
            return
        if self.cooling:
            self.cooling -= 1
            self.wait = 0
        if self.better(value, self.best):
            self.best, self.wait = value, 0
        elif not self.cooling:
            self.wait += 1
            if self.wait >= self.patience and rate > self.min_lr:
                self.model.optimizer.learning_rate = max(rate * self.factor, self.min_lr)
                self.wait, self.cooling = 0, self.cooldown
                if self.verbose:
                    print(f"Epoch {epoch + 1}: the learning rate falls to {self.model.optimizer.learning_rate:.4g}")


class TerminateOnNaN(Callback):
    """Stop training when the loss is NaN or infinite.

    fit() raises FloatingPointError by itself before it comes to that; this is for a train_step of your own.
    """

    def on_train_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            print(f"Batch {batch + 1}: the loss is {loss}; training stops")
            self.model.stop_training = True


def frequency(what: str, value: Any) -> Any:
    """ "epoch", or a positive number of batches."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool) and value > 0
    if value != "epoch" and not whole:
        raise ValueError(f"{what} must be 'epoch' or a positive number of batches; found {value!r}")
    return value
