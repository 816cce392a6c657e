"""GPT: a decoder-only Transformer (Vaswani et al. 2017; Radford et al. 2018, 2019), in the form of nanoGPT."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyllm import ops
from tinyllm.autograd import no_grad
from tinyllm.initializers import RandomNormal
from tinyllm.layers import Dense, Dropout, Embedding, Layer, LayerNormalization
from tinyllm.models.causal import CausalLM

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

    def call(self, ids: Any, training: bool = False, cache: "Cache | None" = None) -> Any:
        start = 0 if cache is None else cache.length
        time = ids.shape[1]
        if start + time > self.context:
            raise ValueError(
                f"GPT: {start + time} tokens are more than its context of {self.context}; show it the last ones"
            )
        x = self.token_embedding(ids) + self.position_embedding(np.arange(start, start + time))
        x = self.drop(x, training=training)
        for i, block in enumerate(self.blocks):
            x = block(x, training=training, cache=None if cache is None else cache.layers[i])
        x = self.norm(x)
        table = self.token_embedding.embeddings
        flat = np.reshape(x, (-1, self.width)) @ np.transpose(table)
        return np.reshape(flat, (*x.shape[:2], self.vocab_size))

    # -- writing: the keys and values of what was read are kept -----------------------------------------------------

    def step(self, ids: np.ndarray, state: "Cache | None" = None) -> tuple[np.ndarray, "Cache"]:
        seen: Any = ids if state is None else np.concatenate([state.ids, ids], axis=1)
        if state is None or seen.shape[1] > self.context:  # positions move: everything is read again
            seen = ids = seen[:, -self.context :]
            state = Cache(seen, [KeysAndValues(self, len(seen)) for _ in self.blocks])
        state.ids = seen
        with no_grad():
            logits = self(ids, cache=state).data[:, -1]
        state.length = seen.shape[1]
        return logits, state

    def select(self, state: "Cache", rows: np.ndarray) -> "Cache":
        return Cache(state.ids[rows], [each.select(rows) for each in state.layers], state.length)


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

    def call(self, x, training=False, cache=None):
        attended = self.attend(self.attention(self.norm_1(x)), cache)
        x = x + self.drop(self.attention_output(attended), training=training)
        hidden = ops.gelu(self.mlp(self.norm_2(x)), approximate=True)
        return x + self.drop(self.mlp_output(hidden), training=training)

    def attend(self, qkv: Any, cache: "KeysAndValues | None") -> Any:
        """Each position looks at itself and those before it (unless causal is False: at all), head by head.

            softmax(query key^T / sqrt(size)) value

        qkv (batch, time, 3 width) are the queries, keys and values side by side; the result (batch, time, width).
        """
        batch, time, three = qkv.shape
        size = three // (3 * self.heads)
        query, key, value = (
            np.transpose(qkv_part, (0, 2, 1, 3))
            for qkv_part in np.moveaxis(np.reshape(qkv, (batch, time, 3, self.heads, size)), 2, 0)
        )
        if cache is not None:
            key, value = cache.add(key.data, value.data)
            y = ops.scaled_dot_product_attention(
                query, key, value, None if time == 1 else _lower_right(time, key.shape[2])
            )
        else:
            y = ops.scaled_dot_product_attention(query, key, value, causal=self.causal)
        return np.reshape(np.transpose(y, (0, 2, 1, 3)), (batch, time, three // 3))


def _lower_right(queries: int, keys: int) -> np.ndarray | None:
    """Which key each query may look at, (queries, keys), where the last query belongs to the last key; None: at all."""
    return None if queries == 1 else np.tri(queries, keys, keys - queries, dtype=bool)


class KeysAndValues:
    """The keys and values of one block, of all positions read so far, with room for the whole context."""

    def __init__(self, model: GPT, batch: int):
        size = model.width // model.heads
        self.both: Any = np.zeros((2, batch, model.heads, model.context, size), model.dtype)
        self.length = 0

    def add(self, key: Any, value: Any) -> np.ndarray:
        """Those so far with the new ones (batch, heads, time, size)."""
        end = self.length + key.shape[2]
        self.both[0, :, :, self.length : end] = key
        self.both[1, :, :, self.length : end] = value
        self.length = end
        return self.both[:, :, :, :end]

    def select(self, rows: np.ndarray) -> "KeysAndValues":
        """A copy with these rows of the batch."""
        copy = object.__new__(KeysAndValues)
        copy.both, copy.length = self.both[:, rows], self.length
        return copy


@dataclass
class Cache:
    """Where a GPT stands in a text: what it has read, and each block's keys and values."""

    ids: np.ndarray
    layers: list[KeysAndValues]
    length: int = 0
