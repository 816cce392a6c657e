"""The progress display: a bar with the time left on a terminal, plain lines elsewhere."""

import sys
import time
from typing import TextIO

from tinyllm.callbacks.base import Callback

__all__ = ["ProgressBar"]


class ProgressBar(Callback):
    """A bar that fills on a terminal, one plain line per epoch elsewhere (a file, a notebook, a log).

    The time left is the epoch's. Where the number of batches is not known, they are counted.
    """

    WIDTH = 20
    SECONDS_BETWEEN_DRAWINGS = 0.1

    def __init__(self, stream: TextIO | None = None, bar: bool | None = None):
        self.stream = stream or sys.stdout
        self.bar = self.stream.isatty() if bar is None else bar
        self.drawn = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.started, self.first = epoch, time.perf_counter(), -1

    def on_train_batch_begin(self, batch, logs=None):
        if self.first < 0:  # not 0 where training was resumed
            self.first = batch

    def on_train_batch_end(self, batch, logs=None):
        now = time.perf_counter()
        if self.bar and now - self.drawn > self.SECONDS_BETWEEN_DRAWINGS:
            self.drawn = now
            self._write(f"\r{self._title()} {self._done(batch + 1, now - self.started)}{_numbers(logs)}\x1b[K")

    def on_epoch_end(self, epoch, logs=None):
        took = time.perf_counter() - self.started
        start, end = ("\r", "\x1b[K\n") if self.bar else ("", "\n")
        self._write(f"{start}{self._title()} {took:.1f}s{_numbers(logs)}{end}")

    def on_train_end(self, logs=None):
        progress = self.model.progress
        if progress.interrupted:
            start = "\n" if self.bar and progress.batch else ""
            where = (
                f"epoch {progress.epoch + 1}, batch {progress.batch}" if progress.batch else f"epoch {progress.epoch}"
            )
            self._write(f"{start}Ctrl-C: training ended after {where}; the history of whole epochs is kept\n")

    def _title(self) -> str:
        return f"Epoch {self.epoch + 1}/{self.params['epochs']}"

    def _done(self, batches: int, seconds: float) -> str:
        steps = self.params["steps"]
        if steps is None:
            return f"batch {batches}"
        filled = batches * self.WIDTH // steps
        left = seconds * (steps - batches) / (batches - self.first)
        return f"[{'#' * filled}{'.' * (self.WIDTH - filled)}] {left:.0f}s left"

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


def _numbers(logs: dict[str, float] | None) -> str:
    return "".join(f" - {name}: {value:.4g}" for name, value in (logs or {}).items())
