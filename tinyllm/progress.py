"""Where a training stands, and the small things around its loop: Ctrl-C, what is due, where an error happened."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tinyllm.batches import Batches
from tinyllm.callbacks import Callback
from tinyllm.checks import positive

__all__ = ["Progress", "callbacks_in", "due", "located", "reported", "running"]


@dataclass
class Progress:
    """Where fit() stands; with the model and its optimizer, all that a checkpoint has to keep."""

    batches: Batches
    callbacks: list[Callback]
    epoch: int = 0  # the one under way, or the next
    batch: int = 0  # batches done in this epoch
    step: int = 0  # batches done in all
    averages: Any = None  # of the epoch under way
    interrupted: bool = False  # by Ctrl-C
    resumed_from: str | None = None
    identity: dict[str, Any] = field(default_factory=dict)

    def tell(self, event: str, *what: Any) -> None:
        """Call this method of every callback."""
        for callback in self.callbacks:
            getattr(callback, event)(*what)


@contextmanager
def running(model: Any, progress: Progress) -> Iterator[None]:
    """While this lasts, model.progress is there, and the first Ctrl-C only sets progress.interrupted.

    So the batch that is running comes to its end, and no weight is left half updated. The second Ctrl-C is not patient.
    """
    usual = signal.default_int_handler
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is usual

    def wait(number: int, frame: Any) -> None:
        progress.interrupted = True
        signal.signal(signal.SIGINT, usual)

    before, model.progress = model.progress, progress
    if ours:
        signal.signal(signal.SIGINT, wait)
    try:
        yield
    finally:
        model.progress = before  # None, or that of the fit() whose callback called this one; it holds the data
        if ours:
            signal.signal(signal.SIGINT, usual)


@contextmanager
def located(where: str) -> Iterator[None]:
    try:
        yield
    except FloatingPointError as error:
        raise FloatingPointError(f"{where}: {error}") from None


def due(frequency: int | Sequence[int], epoch: int) -> bool:
    """Whether this epoch, counted from 1, ends with a validation."""
    if isinstance(frequency, list | tuple | set | range):
        return epoch in frequency
    return epoch % positive("fit: validation_freq", frequency) == 0


def callbacks_in(caller: str, given: Any) -> list[Callback]:
    found = [given] if isinstance(given, Callback) else list(given or ())
    stranger = next((each for each in found if not isinstance(each, Callback)), None)
    if stranger is not None:
        raise TypeError(f"{caller}: a callback is an object of a Callback class; found {stranger!r:.60}")
    return found


def reported(logs: dict[str, float], return_dict: bool) -> Any:
    return logs if return_dict else list(logs.values()) if len(logs) > 1 else logs["loss"]
