"""GPT: a decoder-only Transformer (Vaswani et al. 2017; Radford et al. 2018, 2019), in the form of nanoGPT."""

import math
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyllm import ops
from tinyllm.autograd.transformer_kernels import tanh_gelu
from tinyllm.initializers import RandomNormal
from tinyllm.layers import Dense, Dropout, Embedding, Layer, LayerNormalization
from tinyllm.layers.dropout import dropout_mask
from tinyllm.models.causal import CausalLM, checked

__all__ = ["GPT"]

STANDARD_DEVIATION = 0.02  # of the initial weights (Radford et al. 2019, and GPT-2's code)
EPSILON = 1e-5  # in the layer normalisations


class GPT(CausalLM):
    """A Transformer that predicts the next token: blocks of causal attention and a small network.

        x = token_embedding[ids] + position_embedding[0..time-1]
        x = x + attention(norm(x));  x = x + mlp(norm(x))            for each block
        logits = norm(x) @ token_embedding^T                         the head is the embedding table, turned round

    context   the longest text it can look at, in tokens
    depth     the number of blocks; heads  in each attention; width  features of a token, a multiple of heads
    dropout   while training: of the embeddings, and of what a block adds
    bias      whether Dense layers and normalisations have one (GPT-2: yes)

    Raises ValueError for a width that heads does not divide and for an input longer than context.

    >>> model = GPT(vocab_size=5, context=8, depth=2, heads=2, width=4)
    >>> model(np.array([[0, 3, 1]])).shape
    (1, 3, 5)
    """

    def __init__(
        self,
        vocab_size: int,
        context: int = 64,
        depth: int = 4,
        heads: int = 4,
        width: int = 128,
        dropout: float = 0.0,
        bias: bool = False,
        **options: Any,
    ):
        super().__init__(vocab_size, **options)
        self.check_sizes(context=context, depth=depth, heads=heads, width=width)
        if width % heads:
            fits = width - width % heads or heads
            raise ValueError(f"GPT: width {width} is no multiple of heads {heads}; width {fits} is one")
        self.context, self.depth, self.heads, self.width = context, depth, heads, width
        self.dropout, self.bias = dropout, bias
        normal = RandomNormal(stddev=STANDARD_DEVIATION)
        self.token_embedding = Embedding(vocab_size, width, normal, name="token_embedding")
        self.position_embedding = Embedding(context, width, normal, name="position_embedding")
        self.drop = Dropout(dropout)
        self.blocks = [Block(width, heads, depth, dropout, bias, name=f"block_{i}") for i in range(depth)]
        self.norm = LayerNormalization(epsilon=EPSILON, center=bias, name="norm")

    @classmethod
    def from_pretrained(cls, folder: Any) -> "GPT":
        """GPT-2 as Hugging Face keeps it: config.json, model.safetensors, vocab.json and merges.txt in a folder."""
        from tinyllm.models.gpt2 import load_gpt2

        return load_gpt2(folder)

    def call(self, ids: Any, training: bool = False) -> Any:
        time = ids.shape[1]
        if time > self.context:
            raise ValueError(f"GPT: {time} tokens are more than its context of {self.context}; show it the last ones")
        x = self.token_embedding(ids) + self.position_embedding(np.arange(time))
        x = self.drop(x, training=training)
        for block in self.blocks:
            x = block(x, training=training)
        x = self.norm(x)
        table = self.token_embedding.embeddings
        flat = np.reshape(x, (-1, self.width)) @ np.transpose(table)
        return np.reshape(flat, (*x.shape[:2], self.vocab_size))

    # -- writing: the keys and values of what was read are kept -----------------------------------------------------

    def step(self, ids: np.ndarray, state: "Cache | None" = None) -> tuple[np.ndarray, "Cache"]:
        """call() on arrays, for new tokens only: the same formulas without what layers do around them."""
        self.ensure_ready()
        ids = checked(self, ids)
        seen = ids if state is None else np.concatenate([state.ids, ids], axis=1)
        if state is None or seen.shape[1] > self.context:  # positions move: everything is read again
            seen = ids = seen[:, -self.context :]
            state = Cache(seen, [KeysAndValues(self, len(seen)) for _ in self.blocks])
        batch, time = ids.shape
        table = self.token_embedding.embeddings.data
        x = table[ids] + self.position_embedding.embeddings.data[seen.shape[1] - time : seen.shape[1]]
        x = x.reshape(batch * time, self.width)
        for block, past in zip(self.blocks, state.layers):
            x = block.read(x, past, batch)
        last = _normalised(self.norm, x.reshape(batch, time, self.width)[:, -1])
        state.ids = seen
        return last @ table.T, state

    def select(self, state: "Cache", rows: np.ndarray) -> "Cache":
        return Cache(state.ids[rows], [each.select(rows) for each in state.layers])


class Block(Layer):
    """x + attention(norm(x)), and then x + mlp(norm(x)): normalised before, not after (Radford et al. 2019)."""

    def __init__(
        self, width: int, heads: int, depth: int, dropout: float, bias: bool, causal: bool = True, **options: Any
    ):
        super().__init__(**options)
        normal = RandomNormal(stddev=STANDARD_DEVIATION)
        # What is added to x depth times two is drawn smaller, so that x does not grow with the depth.
        adding = RandomNormal(stddev=STANDARD_DEVIATION / math.sqrt(2 * depth))
        self.heads, self.causal = heads, causal
        self.norm_1 = LayerNormalization(epsilon=EPSILON, center=bias, name="norm_1")
        self.attention = Dense(3 * width, use_bias=bias, kernel_initializer=normal, name="attention")
        self.attention_output = Dense(width, use_bias=bias, kernel_initializer=adding, name="attention_output")
        self.norm_2 = LayerNormalization(epsilon=EPSILON, center=bias, name="norm_2")
        self.mlp = Dense(4 * width, use_bias=bias, kernel_initializer=normal, name="mlp")
        self.mlp_output = Dense(width, use_bias=bias, kernel_initializer=adding, name="mlp_output")
        self.drop = Dropout(dropout)

    def build(self, input_shape):
        for layer in (self.norm_1, self.attention, self.attention_output, self.norm_2, self.mlp, self.drop):
            layer.ensure_built(input_shape)
        self.mlp_output.ensure_built((*input_shape[:-1], self.mlp.units))

    def call(self, x, training=False):
        half = _weights(self.norm_1, self.attention, self.attention_output)
        x = ops.attention_branch(x, *half, self.heads, self.causal, self._dropped(x, training), EPSILON)
        half = _weights(self.norm_2, self.mlp, self.mlp_output)
        return ops.mlp_branch(x, *half, self._dropped(x, training), EPSILON)

    def _dropped(self, x, training):
        return dropout_mask(self.drop, x.shape, self.drop.rate) if training and self.drop.rate else None

    def read(self, x: np.ndarray, past: "KeysAndValues", batch: int) -> np.ndarray:
        """call() for new tokens, arrays (batch * time, width), that look back at past, too."""
        qkv = _dense(self.attention, _normalised(self.norm_1, x)).reshape(batch, -1, 3, self.heads, past.size)
        qkv = qkv.transpose(2, 0, 3, 1, 4)  # (3, batch, heads, time, size)
        key, value = past.add(qkv[1:])
        weights = (qkv[0] * past.size**-0.5) @ key.swapaxes(-1, -2)
        time, known = weights.shape[-2:]
        if time > 1:  # the last of the new tokens sees all, the others do not see those after them
            weights = np.where(np.tri(time, known, known - time, dtype=bool), weights, -np.inf)
        weights -= np.maximum.reduce(weights, axis=-1, keepdims=True)
        np.exp(weights, out=weights)
        attended = (weights @ value) / np.add.reduce(weights, axis=-1, keepdims=True)
        x = x + _dense(self.attention_output, attended.swapaxes(1, 2).reshape(x.shape))
        hidden = _dense(self.mlp, _normalised(self.norm_2, x))
        tanh_gelu(hidden.ravel(), out=hidden.ravel(), sloped=False)
        return x + _dense(self.mlp_output, hidden)


def _weights(norm: Any, first: Any, second: Any) -> tuple:
    return norm.gamma, norm.beta, first.kernel, first.bias, second.kernel, second.bias


# For one token, calling a function takes longer than what it computes: hence weights straight from .data, and ufuncs'
# reduce instead of sum(), max() and mean(), which are written in Python.


def _dense(layer: Any, x: np.ndarray) -> np.ndarray:
    """What a Dense layer without activation computes, on arrays (rows, features)."""
    y = x @ layer.kernel.data
    return y if layer.bias is None else y + layer.bias.data


def _normalised(layer: Any, x: np.ndarray) -> np.ndarray:
    """What a LayerNormalization computes, on arrays (rows, features)."""
    features = x.shape[-1]
    y = x - np.add.reduce(x, axis=-1, keepdims=True) / features
    y /= np.sqrt(np.vecdot(y, y)[:, None] / features + layer.epsilon)
    y *= layer.gamma.data
    return y if layer.beta is None else y + layer.beta.data


class KeysAndValues:
    """The keys and values of one block, of all positions read so far, with room for the whole context."""

    def __init__(self, model: GPT, batch: int):
        self.size = model.width // model.heads
        self.both: Any = np.zeros((2, batch, model.heads, model.context, self.size), model.dtype)
        self.length = 0

    def add(self, both: np.ndarray) -> np.ndarray:
        """All so far, (2, batch, heads, time, size), with the new ones in the same form."""
        end = self.length + both.shape[3]
        self.both[:, :, :, self.length : end] = both
        self.length = end
        return self.both[:, :, :, :end]

    def select(self, rows: np.ndarray) -> "KeysAndValues":
        """A copy with these rows of the batch."""
        other = copy(self)
        other.both = self.both[:, rows]
        return other


@dataclass
class Cache:
    """Where a GPT stands in a text: what it has read, and each block's keys and values."""

    ids: np.ndarray
    layers: list[KeysAndValues]
