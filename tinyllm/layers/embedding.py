"""Embedding: from token ids to vectors."""

from typing import Any

import numpy as np

from tinyllm import initializers, regularizers
from tinyllm.autograd import Tensor
from tinyllm.layers.arguments import positive
from tinyllm.layers.base import Layer, Shape
from tinyllm.ops import embedding_lookup

__all__ = ["Embedding"]


class Embedding(Layer):
    """A table with one trainable row per token id: y = embeddings[ids].

    ids (batch, time) whole numbers in 0..input_dim-1 (floats are cut to whole numbers, as Keras does);
    embeddings (input_dim, output_dim); y (batch, time, output_dim).
    mask_zero: id 0 is padding: layers after this one skip it, and it does not count in the loss.
    input_length: the number of ids in a sample, if it is fixed; then the model can be built before it sees data.

    Raises IndexError for an id outside the table, naming the id and the range.

    >>> Embedding(4, 2)(np.array([[1, 0, 0]])).shape
    (1, 3, 2)
    >>> Embedding(4, 2)(np.array([[7]]))
    Traceback (most recent call last):
    IndexError: Embedding 'embedding': token id 7 is outside 0..3 (input_dim=4); input_dim must be at least 8
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        mask_zero: bool = False,
        input_length: int | None = None,
        embeddings_regularizer: Any = None,
        **options: Any,
    ):
        options.setdefault("input_shape", (input_length,))
        super().__init__(**options)
        self.input_dim = positive("Embedding", "input_dim", input_dim)
        self.output_dim = positive("Embedding", "output_dim", output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.mask_zero = mask_zero
        self.input_length = input_length

    def build(self, input_shape):
        self.embeddings = self.add_weight("embeddings", (self.input_dim, self.output_dim), self.embeddings_initializer)

    def cast(self, x):
        ids = x.data if isinstance(x, Tensor) else np.asarray(x)
        if not (np.issubdtype(ids.dtype, np.integer) or np.issubdtype(ids.dtype, np.floating) or ids.size == 0):
            raise TypeError(f"Embedding '{self.name}': token ids must be numbers; found {ids.dtype}")
        if ids.dtype.kind == "f" and not (np.abs(ids) < 2**62).all():  # NaN is not below anything either
            wrong = ids[~(np.abs(ids) < 2**62)][0]
            raise ValueError(f"Embedding '{self.name}': token id {wrong} is not a whole number")
        return ids.astype(np.intp)

    def call(self, x):
        if x.size:
            low, high = x.min(), x.max()
            if low < 0 or high >= self.input_dim:
                what = f"token id {low if low < 0 else high} is outside 0..{self.input_dim - 1}"
                hint = "ids are never negative" if low < 0 else f"input_dim must be at least {high + 1}"
                raise IndexError(f"Embedding '{self.name}': {what} (input_dim={self.input_dim}); {hint}")
        return embedding_lookup(self.embeddings, x)

    def compute_mask(self, x, mask=None):
        return np.not_equal(self.cast(x), 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape, self.output_dim)
