"""Training: the five steps (initialise, forward, loss, backward, update) and the loop around them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinyllm import losses, metrics, optimizers
from tinyllm.autograd import Tensor, no_grad
from tinyllm.autograd.tensor import as_array
from tinyllm.callbacks import Callback, History, ProgressBar
from tinyllm.losses.inputs import spread

__all__ = ["Trainable"]


class Trainable:
    """compile, fit, evaluate and predict, for anything with forward(x, training) and trainable_weights.

    Every array's first axis counts samples. A loss that is not finite stops training with a FloatingPointError that
    names the epoch and the batch, before the weights are touched.
    """

    optimizer: Any = None  # an optimizers.Optimizer and a losses.Loss, once compiled
    loss: Any = None
    metrics: tuple | list = ()
    weighted_metrics: tuple | list = ()
    history: History | None = None
    stop_training = False
    rng: np.random.Generator
    trainable_weights: list[Tensor]

    def forward(self, x: Any, training: bool = False) -> tuple[Tensor, Any]:
        """The output for x, and its mask (None: every time step counts)."""
        raise NotImplementedError

    # -- the five steps ---------------------------------------------------------------------------------------------

    def train_step(self, x: Any, y: Any, sample_weight: Any = None) -> tuple[float, Tensor, Any]:
        """One step of training; step one, initialise, was done when the layers were built. Override to change it.

        Returns the loss, the prediction and its mask.
        """
        prediction, mask = self.forward(x, training=True)  # 2. forward
        loss = self.compute_loss(y, prediction, sample_weight, mask)  # 3. loss
        weights = self.trainable_weights
        if not weights:
            raise RuntimeError("nothing to train: every layer is frozen, or none has weights")
        for w in weights:
            w.grad = None  # whatever an earlier backward() left there
        loss.backward()  # 4. backward: the gradients, and nothing but the gradients
        self.optimizer.apply_gradients([(w.grad, w) for w in weights])  # 5. update: a step against them
        return float(loss), prediction, mask

    def test_step(self, x: Any, y: Any, sample_weight: Any = None) -> tuple[float, Tensor, Any]:
        """The first three of the five steps."""
        prediction, mask = self.forward(x, training=False)
        return float(self.compute_loss(y, prediction, sample_weight, mask)), prediction, mask

    # -- the loop ---------------------------------------------------------------------------------------------------

    def compile(self, optimizer: Any = "sgd", loss: Any = None, metrics: Any = (), weighted_metrics: Any = ()) -> None:
        """Choose how to train: names, or objects of tinyllm.optimizers, tinyllm.losses, tinyllm.metrics.

        metrics count every sample alike, weighted_metrics by sample_weight and class_weight; masked steps never.
        Raises ValueError on an unknown name, listing the known ones.
        """
        if loss is None:
            raise ValueError(f"compile: choose a loss; known: {', '.join(sorted(losses.LOSSES))}")
        loss, optimizer = losses.get(loss), optimizers.get(optimizer)
        if loss.reduction == "none":
            raise ValueError("compile: a loss with the reduction 'none' is not one number to go downhill on")
        chosen, weighted = (list(m) if isinstance(m, list | tuple) else [m] for m in (metrics, weighted_metrics))
        _named_metrics(chosen, weighted, loss)  # an unknown name shows now, not after an hour of training
        self.loss, self.optimizer, self.metrics, self.weighted_metrics = loss, optimizer, chosen, weighted

    def fit(
        self,
        x: Any,
        y: Any,
        batch_size: int = 32,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = (),
        validation_split: float = 0.0,
        validation_data: tuple | None = None,
        shuffle: bool = True,
        class_weight: dict | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
    ) -> History:
        """Train, and return the History.

        x, y              arrays with as many samples; y (n,) goes with an output (n, 1)
        verbose           "auto" or 1: a bar on a terminal, a line per epoch elsewhere; 2: a line per epoch; 0: nothing
        validation_split  this last fraction of the samples is held out, before any shuffling
        validation_data   (x, y) or (x, y, sample_weight), used instead of a split
        class_weight      {class: weight}, for whole-number labels
        An epoch's loss is the mean over its samples, the short last batch counting for what it holds.
        """
        self._check_compiled("fit")
        x, y, sample_weight = self._arrays("fit", x, y, sample_weight)
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = _hold_out(validation_split, x, y, sample_weight)
        if class_weight is not None:
            sample_weight = _class_weights(class_weight, y, sample_weight)
        if validation_data is not None:  # checked before the first epoch is spent
            if not isinstance(validation_data, tuple | list) or not 2 <= len(validation_data) <= 3:
                raise ValueError("fit: validation_data must be (x, y) or (x, y, sample_weight)")
            validation_data = self._arrays("fit: validation_data", *validation_data)
        batch_size, epochs = _positive("fit: batch_size", batch_size), _positive("fit: epochs", epochs)
        steps = -(-len(x) // batch_size)
        history = self.history = History()
        history.params = {"epochs": epochs, "steps": steps}
        given = [callbacks] if isinstance(callbacks, Callback) else list(callbacks or ())
        stranger = next((each for each in given if not isinstance(each, Callback)), None)
        if stranger is not None:
            raise TypeError(f"fit: a callback is an object of a Callback class; found {stranger!r:.60}")
        watchers: list[Callback] = [history, *given]
        if verbose:
            watchers.append(ProgressBar(epochs, steps, bar=False if verbose == 2 else None))
        self.stop_training = False
        for watcher in watchers:
            watcher.model = self
            watcher.on_train_begin()
        for epoch in range(initial_epoch, epochs):
            for watcher in watchers:
                watcher.on_epoch_begin(epoch)
            order = self.rng.permutation(len(x)) if shuffle else np.arange(len(x))
            averages = _Averages(self)
            for batch in range(steps):
                rows = order[batch * batch_size : (batch + 1) * batch_size]
                weight = None if sample_weight is None else sample_weight[rows]
                some_x, some_y = self.batch(x, y, rows)
                with _located(f"epoch {epoch + 1}, batch {batch + 1}"):
                    averages.add(some_y, *self.train_step(some_x, some_y, weight), weight)
                for watcher in watchers[1:]:  # the history waits for the epoch
                    watcher.on_batch_end(batch, averages.logs())
            logs = averages.logs()
            if validation_data is not None:
                held_x, held_y, held_weight = validation_data
                with _located(f"epoch {epoch + 1}, validation"):
                    values = self.evaluate(held_x, held_y, batch_size, sample_weight=held_weight, return_dict=True)
                logs |= {f"val_{name}": value for name, value in values.items()}
            for watcher in watchers:
                watcher.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        for watcher in watchers:
            watcher.on_train_end()
        return history

    def evaluate(
        self,
        x: Any,
        y: Any,
        batch_size: int = 32,
        verbose: Any = 0,
        sample_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss and the metrics over x, y: a list [loss, ...], or a dict; the loss alone if there are no metrics."""
        self._check_compiled("evaluate")
        x, y, sample_weight = self._arrays("evaluate", x, y, sample_weight)
        averages = _Averages(self)
        for batch, rows in enumerate(_batches(len(x), _positive("evaluate: batch_size", batch_size))):
            weight = None if sample_weight is None else sample_weight[rows]
            with _located(f"batch {batch + 1}"):
                averages.add(y[rows], *self.test_step(x[rows], y[rows], weight), weight)
        logs = averages.logs()
        if verbose:
            print(" - ".join(f"{name}: {value:.4g}" for name, value in logs.items()))
        if return_dict:
            return logs
        return list(logs.values()) if len(logs) > 1 else logs["loss"]

    def predict(self, x: Any, batch_size: int = 32, verbose: Any = 0) -> np.ndarray:
        """The outputs for x, as an array. Nothing is recorded, so two threads may predict with one model."""
        x, batch_size = self.checked_input("predict", x), _positive("predict: batch_size", batch_size)
        with no_grad():
            parts = [self.forward(x[rows])[0].data for rows in _batches(len(x), batch_size)]
        return np.concatenate(parts)

    def train_on_batch(self, x: Any, y: Any, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """One update from one batch; returns what evaluate() does, measured before the update."""
        return self._on_batch("train_on_batch", self.train_step, x, y, sample_weight, return_dict)

    def test_on_batch(self, x: Any, y: Any, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss and metrics of one batch."""
        return self._on_batch("test_on_batch", self.test_step, x, y, sample_weight, return_dict)

    def predict_on_batch(self, x: Any) -> np.ndarray:
        """The outputs for one batch."""
        return self.predict(x, batch_size=max(len(x), 1))

    # -- what these are made of -------------------------------------------------------------------------------------

    def checked_input(self, caller: str, x: Any) -> np.ndarray:
        """x as an array with at least one sample."""
        try:
            x = np.asarray(as_array(x))
        except ValueError as error:  # rows of different lengths
            raise ValueError(f"{caller}: x is no array: {error} (pad_sequences makes rows equally long)") from None
        if x.dtype.kind not in "biuf":
            raise TypeError(
                f"{caller}: x must hold numbers; found {x.dtype}: turn texts into ids first (preprocessing.text)"
            )
        if x.ndim == 0 or len(x) == 0:
            raise ValueError(f"{caller}: found no samples (x has shape {x.shape})")
        return x

    def batch(self, x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The samples that one training step sees."""
        return x[rows], y[rows]

    def compute_loss(self, y: Any, prediction: Tensor, sample_weight: Any, mask: Any) -> Tensor:
        """The compiled loss of one batch, one number. FloatingPointError if it is NaN or infinite."""
        loss = self.loss(_like(prediction, y), prediction, sample_weight, mask)
        if not np.isfinite(loss.data).all():
            raise FloatingPointError(
                f"the loss is {float(np.sum(loss.data))}; the weights are as they were before this batch. "
                "Look for NaN in the data, or lower the learning rate"
            )
        return loss

    def _arrays(self, caller: str, x: Any, y: Any, sample_weight: Any = None) -> tuple:
        x, y = self.checked_input(caller, x), np.asarray(as_array(y))
        weight = None if sample_weight is None else np.asarray(sample_weight)
        for name, other in (("y", y), ("sample_weight", weight)):
            if other is not None and (other.ndim == 0 or len(other) != len(x)):
                raise ValueError(f"{caller}: x has {len(x)} samples and {name} has shape {other.shape}")
            if other is not None and other.dtype.kind not in "biuf":
                raise TypeError(f"{caller}: {name} must hold numbers; found {other.dtype}")
        return x, y, weight

    def _check_compiled(self, caller: str) -> None:
        if self.loss is None or self.optimizer is None:
            raise RuntimeError(f"{caller}: call compile(optimizer, loss) before {caller}()")

    def _on_batch(self, caller: str, step: Any, x: Any, y: Any, sample_weight: Any, return_dict: bool) -> Any:
        self._check_compiled(caller)
        x, y, sample_weight = self._arrays(caller, x, y, sample_weight)
        averages = _Averages(self)
        loss, prediction, mask = step(x, y, sample_weight)
        averages.add(y, loss, prediction, mask, sample_weight)
        logs = averages.logs()
        return logs if return_dict else list(logs.values()) if len(logs) > 1 else logs["loss"]


def _named_metrics(plain: Sequence, weighted: Sequence, loss: losses.Loss) -> dict[str, metrics.Metric]:
    """The metrics by the names they have in the history; a weighted one is called so where its name is taken."""
    found: dict[str, metrics.Metric] = {}
    for i, metric in enumerate(metrics.get(each, loss.name) for each in (*plain, *weighted)):
        name = f"weighted_{metric.name}" if i >= len(plain) and metric.name in found else metric.name
        if name in found or name == "loss" or any(metric is other for other in found.values()):
            raise ValueError(f"compile: two metrics are called '{name}'; give one another name, or __name__")
        found[name] = metric
    return found


class _Averages:
    """The loss and the metrics over the batches so far. A batch's loss counts for the samples that it holds."""

    def __init__(self, model: Trainable):
        self.loss = metrics.Mean("loss")
        self.metrics = _named_metrics(model.metrics, model.weighted_metrics, model.loss)
        self.weighted = [False] * len(model.metrics) + [True] * len(model.weighted_metrics)
        self.ignored = model.loss.options.get("ignore_class")
        for metric in self.metrics.values():
            metric.reset_state()

    def add(self, y: np.ndarray, loss: float, prediction: Tensor, mask: Any, sample_weight: Any = None) -> None:
        self.loss.update_state(np.full(len(y), loss))
        labels = _like(prediction, y)
        keep = None if mask is None else np.asarray(mask, float)
        if self.ignored is not None:  # what the loss ignores counts in no metric
            counted = labels.reshape(prediction.shape[:-1]) != self.ignored
            keep = counted * (1.0 if keep is None else keep)
            labels = np.where(labels == self.ignored, 0, labels)
        for metric, weighted in zip(self.metrics.values(), self.weighted):
            weight = sample_weight if weighted else None
            if weight is not None and keep is not None:
                weight = spread(metric.name, weight, keep.shape) * keep
            metric.update_state(labels, prediction.data, sample_weight=keep if weight is None else weight)

    def logs(self) -> dict[str, float]:
        return {name: _one_number(name, metric) for name, metric in ({"loss": self.loss} | self.metrics).items()}


def _one_number(name: str, metric: metrics.Metric) -> float:
    value = np.asarray(as_array(metric.result()))
    if value.size != 1:
        raise ValueError(
            f"the metric '{name}' is an array {value.shape}, and training reports one number: choose an average or one "
            "threshold, or call the metric with the labels and model.predict(x)"
        )
    return value.item()


def _batches(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, size):
        yield slice(start, start + size)


def _like(prediction: Tensor, y: np.ndarray) -> np.ndarray:
    """Labels (n,) as a column when the predictions are (n, 1); NumPy would pair each of one with each of the other."""
    return y[..., None] if prediction.shape == (*y.shape, 1) else y


@contextmanager
def _located(where: str) -> Iterator[None]:
    try:
        yield
    except FloatingPointError as error:
        raise FloatingPointError(f"{where}: {error}") from None


def _positive(what: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{what} must be a positive whole number; found {value!r}")
    return int(value)


def _hold_out(fraction: float, *arrays: Any) -> tuple[tuple, tuple]:
    """(training arrays, held-out arrays): the last `fraction` of the samples is held out."""
    n = len(arrays[0])
    cut = int(round(n * (1 - fraction), 6))  # 10 * (1 - 0.9) is a little below 1
    if not 0 < cut < n:
        kept = min(max(cut, 0), n)
        raise ValueError(
            f"fit: validation_split={fraction} would train on {kept} of {n} samples and hold out {n - kept}"
        )
    return (
        tuple(None if a is None else a[:cut] for a in arrays),
        tuple(None if a is None else a[cut:] for a in arrays),
    )


def _class_weights(weights: dict, y: np.ndarray, sample_weight: Any) -> np.ndarray:
    if y.size != len(y):
        raise ValueError(f"fit: class_weight needs one whole-number label per sample; found labels {y.shape}")
    labels = y.ravel()
    missing = sorted(set(labels.tolist()) - set(weights))
    if missing:
        raise ValueError(f"fit: class_weight has no weight for the label {missing[0]}; it has {sorted(weights)}")
    chosen = np.array([weights[label] for label in labels.tolist()], float)
    return chosen if sample_weight is None else chosen * sample_weight
