"""Where the batches of training come from: arrays, a dataset, or a stream. They are taken pass after pass."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from tinyllm.autograd import Tensor
from tinyllm.layers.symbolic import mapped

__all__ = [
    "ArrayBatches",
    "Batches",
    "DatasetBatches",
    "StreamBatches",
    "class_weights",
    "hold_out",
    "is_batches",
    "joined",
    "rows_of",
    "samples_in",
]


def samples_in(x: Any) -> int:
    """The number of samples in an array, or in each array of a list or dict (a model with several inputs)."""
    while isinstance(x, list | dict):
        x = next(iter(x.values())) if isinstance(x, dict) else x[0]
    return len(x)


def rows_of(x: Any, rows: Any) -> Any:
    """These rows of an array, or of each array in a list or dict."""
    return mapped(lambda each: each[rows], x)


def joined(parts: list) -> Any:
    """The arrays one behind the other; in lists or dicts of arrays, those in the same place."""
    if isinstance(parts[0], dict):
        return {name: joined([part[name] for part in parts]) for name in parts[0]}
    if isinstance(parts[0], list):
        return [joined(list(those)) for those in zip(*parts)]
    return np.concatenate(parts)


class Batches:
    """start() begins a pass; take() gives the next (x, y, sample_weight) of it, and None at its end.

    length    batches in a pass; None where only the end shows it
    position  batches taken since the pass began
    """

    length: int | None = None
    position = 0
    repeats = True  # whether start() begins anew

    def start(self) -> None:
        """Begin a pass."""
        self.position = 0

    def take(self) -> tuple | None:
        """The next batch of this pass."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[tuple]:
        """A pass."""
        self.start()
        while (batch := self.take()) is not None:
            yield batch

    def identity(self) -> dict[str, Any]:
        """What must be equal for training to go on from a checkpoint."""
        return {"length": self.length}

    def get_state(self) -> dict[str, Any]:
        """What a checkpoint keeps, to go on from here."""
        return {"position": self.position}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from where get_state() was asked."""
        self.position = state["position"]


class ArrayBatches(Batches):
    """Batches of `size` rows; each pass in another order if there is a generator to draw it, else in their own."""

    def __init__(self, arrays: tuple, size: int, rng: np.random.Generator | None = None, pick: Callable | None = None):
        self.x, self.y, self.sample_weight = arrays
        self.size, self.rng = size, rng
        self.pick = pick or (lambda x, y, rows: (rows_of(x, rows), y[rows]))
        self.samples = samples_in(self.x)
        self.length = -(-self.samples // size)
        self.order: np.ndarray | None = None

    def start(self) -> None:
        super().start()
        if self.rng is not None:
            self.order = self.rng.permutation(self.samples)

    def take(self) -> tuple | None:
        rows: Any = slice(self.position * self.size, (self.position + 1) * self.size)
        if rows.start >= self.samples:
            return None
        self.position += 1
        rows = rows if self.order is None else self.order[rows]
        return *self.pick(self.x, self.y, rows), None if self.sample_weight is None else self.sample_weight[rows]

    def identity(self):
        kinds = {name: mapped(lambda a: f"{a.dtype} {a.shape}", each) for name, each in (("x", self.x), ("y", self.y))}
        return {**kinds, "batch_size": self.size, "shuffle": self.rng is not None}

    def get_state(self):
        return {"position": self.position, "order": self.order}

    def set_state(self, state):
        self.position, self.order = state["position"], state["order"]


class DatasetBatches(Batches):
    """Batches of an object with __len__ and __getitem__(i), in a new order in each pass if there is a generator.

    Its on_epoch_end(), if it has one, runs between two passes. What it draws itself a checkpoint keeps only if it has
    get_state() and set_state(state).
    """

    def __init__(self, dataset: Any, check: Callable, rng: np.random.Generator | None = None):
        self.dataset, self.check, self.rng = dataset, check, rng
        self.length = len(dataset)
        self.order: np.ndarray | None = None

    def start(self) -> None:
        if self.position and hasattr(self.dataset, "on_epoch_end"):
            self.dataset.on_epoch_end()
            self.length = len(self.dataset)
        super().start()
        if self.rng is not None:
            self.order = self.rng.permutation(len(self.dataset))

    def take(self) -> tuple | None:
        if self.position >= len(self.dataset):
            return None
        self.position += 1
        i = self.position - 1 if self.order is None else int(self.order[self.position - 1])
        return self.check(self.dataset[i])

    def identity(self):
        return {"batches": self.length, "shuffle": self.rng is not None}

    def get_state(self):
        own = self.dataset.get_state() if hasattr(self.dataset, "get_state") else None
        return {"position": self.position, "order": self.order, "dataset": own}

    def set_state(self, state):
        self.position, self.order = state["position"], state["order"]
        if hasattr(self.dataset, "set_state"):
            self.dataset.set_state(state["dataset"])


class StreamBatches(Batches):
    """Batches of a generator, which goes on from pass to pass, or of anything else that can be iterated over anew.

    To resume, the stream is read again up to where it was: it must give the same batches again.
    """

    def __init__(self, stream: Iterable, check: Callable):
        self.stream, self.check = stream, check
        self.iterator: Any = None
        self.repeats = iter(stream) is not stream

    def start(self) -> None:
        if self.repeats or self.iterator is None:
            self.iterator = iter(self.stream)
            super().start()

    def take(self) -> tuple | None:
        batch = next(self.iterator, None)
        if batch is None:
            return None
        self.position += 1
        return self.check(batch)

    def set_state(self, state):
        self.start()
        while self.position < state["position"]:
            if self.take() is None:
                raise ValueError(
                    f"resume: the stream ended after {self.position} batches; the checkpoint was made after "
                    f"{state['position']}"
                )


def is_batches(x: Any) -> bool:
    """Whether x holds batches (a dataset, a generator, a list of tuples) and not samples."""
    if isinstance(x, list):
        return bool(x) and all(isinstance(each, tuple) for each in x)
    if isinstance(x, Tensor | tuple | dict | str) or hasattr(x, "__array__"):
        return False
    return hasattr(x, "__iter__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))


def batches_in(x: Any, check: Callable, rng: np.random.Generator | None = None) -> Batches:
    """The batches of what is_batches(); check(batch) turns each into (x, y, sample_weight)."""
    if hasattr(x, "__getitem__") and hasattr(x, "__len__"):
        return DatasetBatches(x, check, rng)
    return StreamBatches(x, check)


def hold_out(fraction: float, *arrays: Any) -> tuple[tuple, tuple]:
    """(training arrays, held-out arrays): the last `fraction` of the samples is held out."""
    n = samples_in(arrays[0])
    cut = int(round(n * (1 - fraction), 6))  # 10 * (1 - 0.9) is a little below 1
    if not 0 < cut < n:
        kept = min(max(cut, 0), n)
        raise ValueError(
            f"fit: validation_split={fraction} would train on {kept} of {n} samples and hold out {n - kept}"
        )
    return (
        tuple(None if a is None else rows_of(a, slice(cut)) for a in arrays),
        tuple(None if a is None else rows_of(a, slice(cut, None)) for a in arrays),
    )


def class_weights(weights: dict, y: np.ndarray, sample_weight: Any) -> np.ndarray:
    """A weight for each sample: its class's, times its own if it has one. Labels are whole numbers, or one-hot rows."""
    if y.ndim == 2 and y.shape[1] > 1 and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all():  # one-hot
        y = y.argmax(axis=1)
    if y.size != len(y):
        raise ValueError(f"fit: class_weight needs one label per sample; found labels {y.shape}")
    labels = y.ravel()
    missing = sorted(set(labels.tolist()) - set(weights))
    if missing:
        raise ValueError(f"fit: class_weight has no weight for the label {missing[0]}; it has {sorted(weights)}")
    chosen = np.array([weights[label] for label in labels.tolist()], float)
    return chosen if sample_weight is None else chosen * sample_weight
