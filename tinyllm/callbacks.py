"""What happens around training: the history, the progress display, and anything of your own."""

import sys
import time
from typing import Any, TextIO

__all__ = ["Callback", "History", "ProgressBar"]


class Callback:
    """Override what you need. `logs` maps names to numbers; `self.model` is the model; epochs count from 0.

    Setting self.model.stop_training = True ends training after the epoch.
    """

    model: Any = None

    def on_train_begin(self, logs: dict | None = None) -> None: ...
    def on_train_end(self, logs: dict | None = None) -> None: ...
    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None: ...
    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None: ...
    def on_batch_end(self, batch: int, logs: dict | None = None) -> None: ...


class History(Callback):
    """What fit() returns: `history` maps each name to its value per epoch, `epoch` lists the epochs."""

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.params: dict[str, int] = {}

    def on_epoch_end(self, epoch, logs=None):
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class ProgressBar(Callback):
    """A bar that fills on a terminal, one plain line per epoch elsewhere (a file, a notebook, a log)."""

    WIDTH = 20
    SECONDS_BETWEEN_DRAWINGS = 0.1

    def __init__(self, epochs: int, steps: int, stream: TextIO | None = None, bar: bool | None = None):
        self.epochs, self.steps = epochs, steps
        self.stream = stream or sys.stdout
        self.bar = self.stream.isatty() if bar is None else bar
        self.drawn = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.started = epoch, time.perf_counter()

    def on_batch_end(self, batch, logs=None):
        now = time.perf_counter()
        if self.bar and now - self.drawn > self.SECONDS_BETWEEN_DRAWINGS:
            self.drawn = now
            done = (batch + 1) / self.steps
            filled = int(done * self.WIDTH)
            left = (now - self.started) * (1 - done) / done
            bar = "#" * filled + "." * (self.WIDTH - filled)
            self.stream.write(f"\rEpoch {self.epoch + 1}/{self.epochs} [{bar}] {left:.0f}s left{_numbers(logs)}\x1b[K")
            self.stream.flush()

    def on_epoch_end(self, epoch, logs=None):
        took = time.perf_counter() - self.started
        start, end = ("\r", "\x1b[K\n") if self.bar else ("", "\n")
        self.stream.write(f"{start}Epoch {epoch + 1}/{self.epochs} {took:.1f}s{_numbers(logs)}{end}")
        self.stream.flush()


def _numbers(logs: dict[str, float] | None) -> str:
    return "".join(f" - {name}: {value:.4g}" for name, value in (logs or {}).items())
