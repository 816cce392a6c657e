"""Callback: what may be done at each turn of training. History; callbacks made of functions."""

from collections.abc import Callable
from typing import Any

__all__ = ["Callback", "History", "LambdaCallback"]


class Callback:
    """Override what you need. `logs` maps names to numbers; epochs and batches count from 0.

    self.model is the model, self.params holds "epochs", "steps" (of an epoch; None if not known) and "verbose".
    Setting self.model.stop_training = True ends the epoch after this batch, and training after this epoch.
    kept: names of attributes that a checkpoint must keep for training to go on exactly: numbers, text, arrays, and
    lists and dicts of them.

    >>> class Count(Callback):
    ...     kept = ("batches",)
    ...     def on_train_begin(self, logs=None):
    ...         self.batches = 0
    ...     def on_train_batch_end(self, batch, logs=None):
    ...         self.batches += 1
    """

    model: Any = None
    params: Any = None
    kept: tuple[str, ...] = ()

    def on_train_begin(self, logs: dict | None = None) -> None: ...
    def on_train_end(self, logs: dict | None = None) -> None: ...
    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None: ...
    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None: ...
    def on_batch_begin(self, batch: int, logs: dict | None = None) -> None: ...
    def on_batch_end(self, batch: int, logs: dict | None = None) -> None: ...
    def on_test_begin(self, logs: dict | None = None) -> None: ...
    def on_test_end(self, logs: dict | None = None) -> None: ...
    def on_test_batch_begin(self, batch: int, logs: dict | None = None) -> None: ...
    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None: ...

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """By default on_batch_begin(), its older name."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """By default on_batch_end(), its older name."""
        self.on_batch_end(batch, logs)

    def get_state(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback."""
        return {name: getattr(self, name) for name in self.kept}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what get_state() gave; called after on_train_begin()."""
        for name in self.kept:
            setattr(self, name, state[name])


class History(Callback):
    """What fit() returns: `history` maps each name to its value per epoch, `epoch` lists the epochs."""

    kept = ("history", "epoch")

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_epoch_end(self, epoch, logs=None):
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class LambdaCallback(Callback):
    """A callback made of functions, each given by the name of its event.

    >>> seen = []
    >>> callback = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs["loss"]))
    >>> callback.on_epoch_end(0, {"loss": 0.5})
    >>> seen
    [0.5]
    """

    def __init__(self, **functions: Callable):
        events = [name for name in dir(Callback) if name.startswith("on_")]
        for name, function in functions.items():
            if name not in events:
                raise TypeError(f"LambdaCallback: unknown event '{name}'; known: {', '.join(events)}")
            if not callable(function):
                raise TypeError(f"LambdaCallback: {name} is a function; found {function!r:.60}")
            setattr(self, name, function)
