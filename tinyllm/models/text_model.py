"""TextModel: a model over the tokens of a vocabulary, and what a file says of it."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyllm.autograd import Tensor
from tinyllm.checks import positive
from tinyllm.layers.inner import all_layers
from tinyllm.models.model import Model

__all__ = ["TextModel"]


class TextModel(Model):
    """ids (batch, time) go in, logits (batch, time, vocab_size) come out. A subclass makes its layers, and a call().

    vocab_size  how many tokens there are
    tokenizer   turns text into ids and back (preprocessing.tokenizers); saved along

    accumulate  parts into which train_step() cuts a batch: the same step with less memory. Not for a state that is
                carried from batch to batch: each part would read on from the one before it

    Its arguments are its description: each is kept in the attribute of its name.
    """

    def __init__(
        self, vocab_size: int, tokenizer: Any = None, name: str | None = None, seed: int = 0, dtype: Any = None
    ):
        super().__init__(name=name, seed=seed, dtype=dtype)
        if isinstance(vocab_size, bool) or not isinstance(vocab_size, int) or vocab_size < 2:
            found = f"found {vocab_size!r}"
            raise ValueError(f"{type(self).__name__}: vocab_size must be a whole number of at least 2; {found}")
        self.vocab_size = vocab_size
        self.tokenizer = tokenizer

    accumulate = 1
    carry = False
    _ready = False

    def check_sizes(self, **sizes: Any) -> None:
        """ValueError, naming it, for a size that is no positive whole number."""
        for name, value in sizes.items():
            positive(f"{type(self).__name__}: {name}", value)

    def train_step(self, x: Any, y: Any, sample_weight: Any = None) -> tuple[float, Any]:
        """One step; with `accumulate` parts of the batch one after another, whose gradients are added before it."""
        if self.accumulate == 1:
            return super().train_step(x, y, sample_weight)
        if len(x) % self.accumulate:
            raise ValueError(f"accumulate: {len(x)} rows do not divide into {self.accumulate} equal parts")
        if self.carry:
            raise ValueError("accumulate: a part of a batch cannot carry on the state of another; leave one out")
        total, predictions = 0.0, []
        for w in self.trainable_weights:
            w.grad = None
        ignored = getattr(self.loss, "options", {}).get("ignore_class")
        counted = np.ones(np.shape(y), bool) if ignored is None else np.not_equal(y, ignored)
        for part in np.split(np.arange(len(x)), self.accumulate):
            prediction = self(x[part], training=True)
            weight = None if sample_weight is None else sample_weight[part]
            share = float(counted[part].sum() / max(counted.sum(), 1))  # of the labels that the mean is over
            loss = self.compute_loss(y[part], prediction, weight) * share
            loss.backward()
            total += float(loss)
            predictions.append(prediction.data)
        self.optimizer.apply_gradients([(w.grad, w) for w in self.trainable_weights])
        return total, Tensor(np.concatenate(predictions))

    def ensure_ready(self) -> None:
        """Make the weights, if there are none yet: nothing was read, or a first reading failed."""
        if not self._ready:
            if not all(layer.built for layer in all_layers(self).values()):
                self.build((None, 1))
            self._ready = True

    @property
    def named_weights(self) -> dict[str, Any]:
        self.ensure_ready()
        return super().named_weights

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape, self.vocab_size)

    def summary(self) -> None:
        _ = self.named_weights
        super().summary()

    def get_config(self) -> dict[str, Any]:
        own = [name for name in inspect.signature(type(self)).parameters if name not in ("tokenizer", "dtype")]
        config = {name: getattr(self, name) for name in own} | {"dtype": self.dtype.name}
        return config if self.tokenizer is None else config | {"tokenizer": self.tokenizer.to_json()}

    @classmethod
    def from_config(cls, config: dict[str, Any], prepare: Callable | None = None) -> "TextModel":
        config = dict(config)
        if "tokenizer" in config:
            from tinyllm.preprocessing.tokenizers import tokenizer_from_json

            config["tokenizer"] = tokenizer_from_json(config["tokenizer"])
        model = cls(**config)
        if prepare is not None:
            for layer in all_layers(model).values():
                prepare(layer)
        return model
