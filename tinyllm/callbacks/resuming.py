"""Checkpoint: everything that training needs to go on, kept while it runs."""

import os
from typing import Any

from tinyllm import checkpoints
from tinyllm.callbacks.base import Callback
from tinyllm.callbacks.monitors import frequency
from tinyllm.checks import positive

__all__ = ["Checkpoint"]


class Checkpoint(Callback):
    """Keep the state of training in a folder; fit(..., resume=folder) goes on from it to bitwise the same end.

    every  "epoch", or a number of batches; after Ctrl-C one more is written
    keep   how many of the newest stay

    Killed at any moment, the newest whole checkpoint is there. fit() tells this callback last, after all others.

    Raises FileExistsError where the folder holds checkpoints of a training that is not being resumed.
    """

    def __init__(self, directory: Any, every: int | str = "epoch", keep: int = 2):
        self.directory = os.path.realpath(os.fsdecode(directory))
        self.every, self.keep = frequency("Checkpoint: every", every), positive("Checkpoint: keep", keep)

    def on_train_begin(self, logs=None):
        os.makedirs(self.directory, exist_ok=True)
        resumed = self.model.progress.resumed_from
        if checkpoints.steps_in(self.directory) and (resumed is None or os.path.realpath(resumed) != self.directory):
            raise FileExistsError(
                f"Checkpoint: '{self.directory}' holds checkpoints already: go on from them with "
                "fit(..., resume=that folder), or choose another one"
            )

    def on_train_batch_end(self, batch, logs=None):
        progress = self.model.progress
        if progress.interrupted or (self.every != "epoch" and progress.step % self.every == 0):
            checkpoints.save(self.model, self.directory, self.keep)

    def on_epoch_end(self, epoch, logs=None):
        if self.every == "epoch":
            checkpoints.save(self.model, self.directory, self.keep)
