"""Learning rates that change from epoch to epoch. (Those that change with every step are tinyllm.schedules.)"""

import inspect
from collections.abc import Callable

from tinyllm.callbacks.base import Callback

__all__ = ["LearningRateScheduler"]


class LearningRateScheduler(Callback):
    """Set the learning rate of each epoch: schedule(epoch, rate) or schedule(epoch) gives it; epochs count from 0.

    The history shows it as "learning_rate".

    >>> halve = LearningRateScheduler(lambda epoch, rate: rate / 2)
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0):
        if not callable(schedule):
            raise TypeError(f"LearningRateScheduler: schedule is a function of the epoch; found {schedule!r:.60}")
        self.schedule, self.verbose = schedule, verbose
        self.two = len(inspect.signature(schedule).parameters) > 1

    def on_epoch_begin(self, epoch, logs=None):
        optimizer = self.model.optimizer
        given = self.schedule(epoch, optimizer.learning_rate) if self.two else self.schedule(epoch)
        if callable(given):
            raise TypeError(f"LearningRateScheduler: schedule must return a number; found {given!r:.60}")
        optimizer.learning_rate = given
        if self.verbose:
            print(f"Epoch {epoch + 1}: the learning rate is {optimizer.learning_rate:.4g}")

    def on_epoch_end(self, epoch, logs=None):
        logs["learning_rate"] = self.model.optimizer.learning_rate
