"""MultiHeadAttention: every position looks at the others, several times at once."""

import math
from typing import Any

import numpy as np

from tinyllm import initializers, ops, regularizers
from tinyllm.autograd.tensor import as_array
from tinyllm.layers.arguments import fraction, positive
from tinyllm.layers.base import Layer, Shape
from tinyllm.layers.dropout import dropout_mask

__all__ = ["MultiHeadAttention"]


class MultiHeadAttention(Layer):
    """Attention with several heads (Vaswani et al. 2017, section 3.2.2), each with projections of its own.

        scores = softmax(query key^T / sqrt(key_dim))        how much each query looks at each key
        y = (scores value, all heads side by side) @ attention_output

    Called with (query, value), or (query, value, key); key is the value if there is none. x(x, x) is self-attention.
    query (batch, m, features); value and key (batch, n, ...); y (batch, m, features), or (batch, m, *output_shape).
    query/kernel, key/kernel (features, num_heads, key_dim); value/kernel (features, num_heads, value_dim), value_dim by
    default key_dim; attention_output/kernel (num_heads, value_dim, features); a bias for each of the four.

    While training, dropout leaves out that part of the scores. In a call:
    attention_mask            (batch, m, n): False where a query may not look
    use_causal_mask           no query looks at a later position
    query_mask, value_mask, key_mask   (batch, m), (batch, n), (batch, n): False where there is padding
    return_attention_scores   a list [y, scores (batch, num_heads, m, n)]

    A query that may look nowhere gets the output's bias alone.

    Raises ValueError unless there are two or three inputs with three axes each.

    >>> x = np.ones((2, 5, 8))
    >>> MultiHeadAttention(num_heads=2, key_dim=4)(x, x).shape
    (2, 5, 8)
    """

    several_inputs = True

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | tuple[int, ...] | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        **options: Any,
    ):
        super().__init__(**options)
        self.num_heads = positive("MultiHeadAttention", "num_heads", num_heads)
        self.key_dim = positive("MultiHeadAttention", "key_dim", key_dim)
        self.value_dim = self.key_dim if value_dim is None else positive("MultiHeadAttention", "value_dim", value_dim)
        self.dropout = fraction("MultiHeadAttention", "dropout", dropout)
        self.use_bias = use_bias
        sizes = [output_shape] if isinstance(output_shape, int) else output_shape or ()
        self.output_shape = tuple(positive("MultiHeadAttention", "output_shape", n) for n in sizes) or None
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)

    def __call__(self, query: Any, value: Any = None, key: Any = None, **options: Any) -> Any:  # type: ignore[override]
        given = [query, value, key] if key is not None else [query, value]
        return super().__call__(query if value is None else given, **options)

    def build(self, input_shape):
        query, value, key = self._three(input_shape)
        heads = self.num_heads
        shapes = {"query": (query[-1], heads, self.key_dim), "key": (key[-1], heads, self.key_dim)}
        shapes |= {"value": (value[-1], heads, self.value_dim)}
        shapes |= {"attention_output": (heads, self.value_dim, *self._output(query))}
        for name, shape in shapes.items():
            self.add_weight(f"{name}/kernel", shape, self.kernel_initializer)
            if self.use_bias:
                of_bias = shape[2:] if name == "attention_output" else shape[1:]
                self.add_weight(f"{name}/bias", of_bias, self.bias_initializer)

    def call(
        self,
        x,
        mask=None,
        training=False,
        query_mask=None,
        value_mask=None,
        key_mask=None,
        attention_mask=None,
        return_attention_scores=False,
        use_causal_mask=False,
    ):
        query, value, key = self._three(x)
        if mask is not None:
            query_mask, value_mask, key_mask = (*mask, None)[:3]
        masks = query_mask, value_mask, key_mask, attention_mask
        may_look = self._visible((len(query), query.shape[1], key.shape[1]), masks, use_causal_mask)
        query, key, value = self._heads("query", query), self._heads("key", key), self._heads("value", value)
        if not return_attention_scores and not (training and self.dropout):
            return self._joined(ops.scaled_dot_product_attention(query, key, value, may_look))
        scores = attention_scores(query, key, may_look)
        kept = scores * dropout_mask(self, scores.shape, self.dropout) if training and self.dropout else scores
        y = self._joined(kept @ value)
        return [y, scores] if return_attention_scores else y

    def _heads(self, name: str, x: Any) -> Any:
        """A projection of x (batch, time, features), head by head: (batch, heads, time, size)."""
        kernel, bias = self.own_parameters[f"{name}/kernel"], self.own_parameters.get(f"{name}/bias")
        features, heads, size = kernel.shape
        if x.ndim != 3 or x.shape[-1] != features:
            found = f"found {x.shape}"
            raise ValueError(f"{self._who}: expected a {name} of shape (batch, time, {features}), {found}")
        y = np.reshape(np.reshape(x, (-1, features)) @ np.reshape(kernel, (features, -1)), (*x.shape[:2], heads, size))
        return np.swapaxes(y if bias is None else y + bias, 1, 2)

    def _joined(self, y: Any) -> Any:
        """The heads (batch, heads, time, size) side by side, and through attention_output."""
        kernel, bias = self.own_parameters["attention_output/kernel"], self.own_parameters.get("attention_output/bias")
        batch, heads, time, size = y.shape
        flat = np.reshape(np.swapaxes(y, 1, 2), (batch * time, heads * size))
        out = np.reshape(flat @ np.reshape(kernel, (heads * size, -1)), (batch, time, *kernel.shape[2:]))
        return out if bias is None else out + bias

    def _visible(self, shape: tuple[int, int, int], masks: tuple, causal: bool) -> np.ndarray | None:
        """Where all masks allow to look, (batch, 1, m, n), the same for all heads; None: everywhere."""
        of_query, of_value, of_key, attention = (None if m is None else np.asarray(as_array(m), bool) for m in masks)
        wide = [None if m is None else m[:, None, :] for m in (of_value, of_key)]
        wide += [None if of_query is None else of_query[:, :, None], attention]
        wide += [np.tri(*shape[1:], dtype=bool)] if causal else []
        found = [m for m in wide if m is not None]
        if not found:
            return None
        try:
            return np.broadcast_to(np.logical_and.reduce(np.broadcast_arrays(*found)), shape)[:, None]
        except ValueError:
            shapes = ", ".join(str(m.shape) for m in found)
            raise ValueError(f"{self._who}: masks of shapes {shapes} do not fit scores of shape {shape}") from None

    def _three(self, each: list) -> tuple:
        """(query, value, key) of two or three."""
        if len(each) not in (2, 3):
            raise ValueError(f"{self._who}: expected (query, value) or (query, value, key); found {len(each)} inputs")
        shapes = [tuple(getattr(one, "shape", one)) for one in each]
        if any(len(shape) != 3 for shape in shapes):
            found = ", ".join(map(str, shapes))
            raise ValueError(f"{self._who}: expected inputs (batch, time, features), found {found}")
        return each[0], each[1], each[-1]

    def _output(self, query: Shape) -> tuple:
        return self.output_shape or (query[-1],)

    @property
    def _who(self) -> str:
        return f"MultiHeadAttention '{self.name}'"

    def compute_mask(self, x, mask=None):
        return None if mask is None else mask[0]

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        query = self._three(input_shape)[0]
        return (*query[:2], *self._output(query))


def attention_scores(query: Any, key: Any, may_look: np.ndarray | None = None) -> Any:
    """softmax(query key^T / sqrt(size)): how much each query looks at each key; 0 where it may not look.

    query (..., m, size); key (..., n, size); may_look (..., m, n) booleans; result (..., m, n).
    """
    scores = query @ np.swapaxes(key, -1, -2) / math.sqrt(query.shape[-1])
    if may_look is None:
        return ops.softmax(scores)
    anywhere = may_look.any(axis=-1, keepdims=True)
    seen = ops.softmax(np.where(may_look | ~anywhere, scores, np.asarray(-np.inf, scores.dtype)))
    return np.where(anywhere, seen, np.zeros((), scores.dtype))
