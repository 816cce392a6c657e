"""Training: the five steps (initialise, forward, loss, backward, update) and the loop around them."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinyllm import checkpoints, losses, optimizers
from tinyllm.autograd import Tensor, no_grad
from tinyllm.autograd.tensor import as_array
from tinyllm.averages import Averages, like, named_metrics
from tinyllm.batches import (
    ArrayBatches,
    Batches,
    batches_in,
    class_weights,
    hold_out,
    is_batches,
    joined,
    rows_of,
    samples_in,
)
from tinyllm.callbacks import Callback, Checkpoint, History, ProgressBar
from tinyllm.checks import positive
from tinyllm.layers.base import mask_of
from tinyllm.layers.symbolic import mapped
from tinyllm.progress import Progress, callbacks_in, due, located, reported, running
from tinyllm.saving.weights import load_weights, save_weights

__all__ = ["Trainable"]


class Trainable:
    """compile, fit, evaluate and predict, for anything that can be called and has trainable_weights and losses.

    Every array's first axis counts samples. A loss that is not finite stops training with a FloatingPointError that
    names the epoch and the batch, before the weights are touched.
    """

    optimizer: Any = None  # an optimizers.Optimizer and a losses.Loss, once compiled
    loss: Any = None
    metrics: tuple | list = ()
    weighted_metrics: tuple | list = ()
    history: History | None = None
    progress: Any = None  # the Progress of the fit() that is running
    stop_training = False
    rng: Any  # a numpy Generator, which shuffles
    trainable_weights: Any
    losses: Any = ()  # penalties (regularizers) that training adds to the loss

    def __call__(self, x: Any, *, training: bool = False) -> Any:
        """The output for x; its .mask, if it has one, says which time steps count."""
        raise NotImplementedError

    # -- the five steps ---------------------------------------------------------------------------------------------

    def train_step(self, x: Any, y: Any, sample_weight: Any = None) -> tuple[float, Tensor]:
        """One step of training; step one, initialise, was done when the layers were built. Override to change it.

        Returns the loss and the prediction.
        """
        prediction = self(x, training=True)  # 2. forward
        loss = self.compute_loss(y, prediction, sample_weight)  # 3. loss
        weights = self.trainable_weights
        if not weights:
            raise RuntimeError("nothing to train: every layer is frozen, or none has weights")
        for w in weights:
            w.grad = None  # whatever an earlier backward() left there
        loss.backward()  # 4. backward: the gradients, and nothing but the gradients
        self.optimizer.apply_gradients([(w.grad, w) for w in weights])  # 5. update: a step against them
        return float(loss), prediction

    def test_step(self, x: Any, y: Any, sample_weight: Any = None) -> tuple[float, Tensor]:
        """The first three of the five steps."""
        prediction = self(x, training=False)
        return float(self.compute_loss(y, prediction, sample_weight)), prediction

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
        given = (() if m is None else m for m in (metrics, weighted_metrics))
        chosen, weighted = (list(m) if isinstance(m, list | tuple) else [m] for m in given)
        named_metrics(chosen, weighted, loss)  # an unknown name shows now, not after an hour of training
        self.loss, self.optimizer, self.metrics, self.weighted_metrics = loss, optimizer, chosen, weighted

    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = (),
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
        resume: Any = None,
    ) -> History:
        """Train, and return the History.

        x, y              arrays with as many samples; y (n,) goes with an output (n, 1). Or x alone: a generator, an
                          iterable or a dataset (__len__, __getitem__) of batches (x, y) or (x, y, sample_weight)
        verbose           "auto" or 1: a bar on a terminal, a line per epoch elsewhere; 2: a line per epoch; 0: nothing
        validation_split  this last fraction of the samples is held out, before any shuffling
        validation_data   used instead of a split: (x, y), (x, y, sample_weight), or batches as for x
        shuffle           arrays by sample, a dataset by batch, a stream not at all
        class_weight      {class: weight}, for labels that are whole numbers or one-hot rows
        steps_per_epoch   an epoch has so many batches; the next one goes on where it stopped
        validation_freq   validate after every so many epochs, or after the epochs in a list, counted from 1
        resume            the folder of a callbacks.Checkpoint: go on from there, if there is anything, to bitwise the
                          same end; the rest of the program must be as it was

        An epoch's loss is the mean over its samples, the short last batch counting for what it holds. Ctrl-C ends
        training after the batch that is running, and fit returns as usual; a second Ctrl-C raises KeyboardInterrupt.
        """
        self._check_compiled("fit")
        batch_size, epochs = positive("fit: batch_size", batch_size), positive("fit: epochs", epochs)
        if validation_split and validation_data is None:
            if is_batches(x):
                raise ValueError("fit: validation_split needs arrays; hand over validation_data instead")
            x, y, sample_weight = self._arrays("fit", x, y, sample_weight)
            (x, y, sample_weight), validation_data = hold_out(validation_split, x, y, sample_weight)
        rng = self.rng if shuffle else None
        batches = self._batches("fit", (x, y, sample_weight), batch_size, rng, self.batch, class_weight)
        validation = self._validation(validation_data, validation_batch_size or batch_size, validation_steps)
        due(validation_freq, 1)  # checked before the first epoch is spent
        steps = batches.length if steps_per_epoch is None else positive("fit: steps_per_epoch", steps_per_epoch)

        history, watchers = History(), callbacks_in("fit", callbacks)
        keepers = [each for each in watchers if isinstance(each, Checkpoint)]  # they keep the state of all the others
        bar = [ProgressBar(bar=False if verbose == 2 else None)] if verbose else []
        watchers = [each for each in watchers if each not in keepers] + [history, *bar, *keepers]
        for each in watchers:
            each.model, each.params = self, {"verbose": verbose, "epochs": epochs, "steps": steps}
        progress = Progress(batches, watchers, initial_epoch)
        self.history, self.stop_training = history, False
        with running(self, progress):
            saved = checkpoints.begin(self, resume, verbose) if keepers or resume is not None else None
            progress.tell("on_train_begin")
            if saved is not None:
                self._resume(saved)
            while progress.averages or (progress.epoch < epochs and not self.stop_training):
                if not self._train_epoch(progress, steps, steps_per_epoch is not None):
                    break
                epoch, logs = progress.epoch, progress.averages.logs()
                if validation is not None and due(validation_freq, epoch + 1):
                    with located(f"epoch {epoch + 1}, validation"):
                        values = self._evaluate(validation, validation_steps, watchers)
                    logs |= {f"val_{name}": value for name, value in values.items()}
                progress.epoch, progress.batch, progress.averages = epoch + 1, 0, None
                progress.tell("on_epoch_end", epoch, logs)
                if progress.interrupted:
                    break
            progress.tell("on_train_end")
        return history

    def _train_epoch(self, progress: Progress, steps: int | None, goes_on: bool) -> bool:
        """The batches of an epoch, or what is left of it; False if it was not brought to its end.

        goes_on: begin where the last epoch stopped.
        """
        batches = progress.batches
        if progress.averages is None:  # else it was resumed in its midst
            progress.tell("on_epoch_begin", progress.epoch)
            progress.averages = Averages(self)
            if not goes_on or not progress.step:
                batches.start()
        while not self.stop_training and not progress.interrupted and (steps is None or progress.batch < steps):
            data = batches.take()
            if data is None and goes_on and batches.repeats:
                batches.start()
                data = batches.take()
            if data is None:
                break
            progress.tell("on_train_batch_begin", progress.batch)
            with located(f"epoch {progress.epoch + 1}, batch {progress.batch + 1}"):
                progress.averages.add(data[1], *self.train_step(*data), data[2])
            progress.batch, progress.step = progress.batch + 1, progress.step + 1
            progress.tell("on_train_batch_end", progress.batch - 1, progress.averages.logs())
        if progress.batch or self.stop_training or progress.interrupted:
            return not progress.interrupted
        if not progress.step:
            raise ValueError("fit: x gave no batches")
        warnings.warn(
            f"fit: x ended after {progress.step} batches; there were none for epoch {progress.epoch + 1}", stacklevel=3
        )
        return False

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        verbose: Any = 0,
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = (),
        return_dict: bool = False,
    ) -> Any:
        """The loss and the metrics over x, y: a list [loss, ...], or a dict; the loss alone if there are no metrics.

        x alone may hold batches, as for fit(); steps: only so many of them.
        """
        self._check_compiled("evaluate")
        batch_size = positive("evaluate: batch_size", batch_size)
        watchers = callbacks_in("evaluate", callbacks)
        for each in watchers:
            each.model = self
        logs = self._evaluate(self._batches("evaluate", (x, y, sample_weight), batch_size), steps, watchers)
        if verbose:
            print(" - ".join(f"{name}: {value:.4g}" for name, value in logs.items()))
        return reported(logs, return_dict)

    def _evaluate(self, batches: Batches, steps: int | None, watchers: Sequence[Callback]) -> dict[str, float]:
        progress = Progress(batches, list(watchers))
        progress.tell("on_test_begin")
        averages = Averages(self)
        batches.start()
        with no_grad():
            while (steps is None or progress.batch < steps) and (data := batches.take()) is not None:
                progress.tell("on_test_batch_begin", progress.batch)
                with located(f"batch {progress.batch + 1}"):
                    averages.add(data[1], *self.test_step(*data), data[2])
                progress.tell("on_test_batch_end", progress.batch, averages.logs())
                progress.batch += 1
        if not progress.batch:
            raise ValueError("evaluate: there are no batches to evaluate")
        logs = averages.logs()
        progress.tell("on_test_end", logs)
        return logs

    def predict(self, x: Any, batch_size: int = 32, verbose: Any = 0) -> Any:
        """The outputs for x, as an array (a list or a dict of them for several outputs).

        Nothing is recorded, so two threads may predict with one model.

        x may be a dataset or a generator, too: of batches x, (x, y) or (x, y, sample_weight).
        """
        batch_size = positive("predict: batch_size", batch_size)
        parts: Any
        if is_batches(x) and not isinstance(x, list):
            batches = batches_in(x, lambda batch: batch[0] if isinstance(batch, tuple) else batch)
            parts = (self.checked_input("predict", part) for part in batches)
        else:
            x = self.checked_input("predict", x)
            parts = (rows_of(x, slice(i, i + batch_size)) for i in range(0, samples_in(x), batch_size))
        with no_grad():
            outputs = [mapped(as_array, self(part, training=False)) for part in parts]
        if not outputs:
            raise ValueError("predict: found no batches")
        return joined(outputs)

    def train_on_batch(
        self, x: Any, y: Any, sample_weight: Any = None, class_weight: dict | None = None, return_dict: bool = False
    ) -> Any:
        """One update from one batch; returns what evaluate() does, measured before the update."""
        return self._on_batch("train_on_batch", self.train_step, (x, y, sample_weight), class_weight, return_dict)

    def test_on_batch(self, x: Any, y: Any, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss and metrics of one batch."""
        return self._on_batch("test_on_batch", self.test_step, (x, y, sample_weight), None, return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch."""
        return self.predict(x, batch_size=max(samples_in(self.checked_input("predict_on_batch", x)), 1))

    def save_weights(self, path: Any) -> None:
        """Write the weights alone: to Keras's layout if the path ends in .weights.h5, else as safetensors."""
        save_weights(self, path)

    def load_weights(self, path: Any) -> None:
        """Overwrite the weights with those of such a file. ValueError if one does not fit; then all stay."""
        load_weights(self, path)

    # -- what these are made of -------------------------------------------------------------------------------------

    def checked_input(self, caller: str, x: Any) -> Any:
        """x as an array with at least one sample; a model with several inputs makes it a list or a dict of arrays."""
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

    def batch(self, x: Any, y: np.ndarray, rows: np.ndarray) -> tuple[Any, np.ndarray]:
        """The samples that one training step sees."""
        return rows_of(x, rows), y[rows]

    def compute_loss(self, y: Any, prediction: Tensor, sample_weight: Any = None) -> Tensor:
        """The compiled loss of one batch plus the penalties, one number. FloatingPointError if it is not finite."""
        if isinstance(prediction, list | dict):
            raise TypeError(
                f"the model has {len(prediction)} outputs and a compiled loss takes one; train a model with one of the "
                "outputs (layers may be shared), or write a compute_loss of your own"
            )
        loss = self.loss(like(prediction, y), prediction, sample_weight, mask_of(prediction))
        for penalty in self.losses:
            loss = loss + penalty
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
            if other is not None and (other.ndim == 0 or len(other) != samples_in(x)):
                raise ValueError(f"{caller}: x has {samples_in(x)} samples and {name} has shape {other.shape}")
            if other is not None and other.dtype.kind not in "biuf":
                raise TypeError(f"{caller}: {name} must hold numbers; found {other.dtype}")
        return x, y, weight

    def _batches(
        self,
        caller: str,
        data: tuple,
        batch_size: int,
        rng: np.random.Generator | None = None,
        pick: Callable | None = None,
        class_weight: dict | None = None,
    ) -> Batches:
        """What x, y and sample_weight hold, in batches."""

        def weighed(x: Any, y: Any, sample_weight: Any) -> tuple:
            x, y, sample_weight = self._arrays(caller, x, y, sample_weight)
            return x, y, sample_weight if class_weight is None else class_weights(class_weight, y, sample_weight)

        def check(batch: Any) -> tuple:
            if not isinstance(batch, tuple | list) or not 2 <= len(batch) <= 3:
                found = f"{len(batch)} parts" if isinstance(batch, tuple | list) else type(batch).__name__
                raise ValueError(f"{caller}: a batch must be (x, y) or (x, y, sample_weight); found {found}")
            return weighed(*batch, *[None] * (3 - len(batch)))

        x, y, sample_weight = data
        if not is_batches(x) or (isinstance(x, list) and y is not None):
            return ArrayBatches(weighed(x, y, sample_weight), batch_size, rng, pick)
        if y is not None or sample_weight is not None:
            raise ValueError(f"{caller}: x holds batches, and y and sample_weight come with them: leave both out")
        return batches_in(x, check, rng)

    def _validation(self, data: Any, batch_size: int, steps: int | None) -> Batches | None:
        if data is None:
            return None
        if not is_batches(data):
            if not isinstance(data, tuple | list) or not 2 <= len(data) <= 3:
                raise ValueError("fit: validation_data must be (x, y) or (x, y, sample_weight)")
            data = (*data, None)[:3]
        else:
            data = (data, None, None)
        batches = self._batches("fit: validation_data", data, positive("fit: validation_batch_size", batch_size))
        if not batches.repeats and steps is None:
            raise ValueError("fit: validation_data is a generator: say how many validation_steps, or give a list")
        return batches

    def _resume(self, saved: dict[str, Any]) -> None:
        averages = None
        if saved["averages"] is not None:
            averages = Averages(self)
            self.progress.tell("on_epoch_begin", saved["epoch"])
        checkpoints.restore(self, saved, averages)

    def _check_compiled(self, caller: str) -> None:
        if self.loss is None or self.optimizer is None:
            raise RuntimeError(f"{caller}: call compile(optimizer, loss) before {caller}()")

    def _on_batch(self, caller: str, step: Any, data: tuple, class_weight: dict | None, return_dict: bool) -> Any:
        self._check_compiled(caller)
        x, y, sample_weight = self._arrays(caller, *data)
        if class_weight is not None:
            sample_weight = class_weights(class_weight, y, sample_weight)
        averages = Averages(self)
        loss, prediction = step(x, y, sample_weight)
        averages.add(y, loss, prediction, sample_weight)
        return reported(averages.logs(), return_dict)
