"""RecurrentLM: a language model that carries a state from token to token (Elman 1990; Mikolov et al. 2010)."""

from typing import Any

import numpy as np

from tinyllm.autograd.tensor import as_array
from tinyllm.initializers import RandomNormal
from tinyllm.layers import GRU, LSTM, Dense, Dropout, Embedding, SimpleRNN
from tinyllm.models.causal import CausalLM, checked, one_row
from tinyllm.names import lookup
from tinyllm.ops import cross_entropy_with_logits

__all__ = ["RecurrentLM"]

CELLS = {"lstm": LSTM, "gru": GRU, "rnn": SimpleRNN}
CHUNK = 256  # tokens that are scored at a time; their number changes nothing but the memory


class RecurrentLM(CausalLM):
    """Embedding -> one to three recurrent layers -> the scores of the next token.

    cell       "lstm", "gru" or "rnn"
    embedding  features of a token; width  of the state; depth  recurrent layers, each reading the one below
    dropout    while training: of what goes into each recurrent layer and into the head (Zaremba et al. 2014)
    tied       the head is the embedding table, turned round (Press & Wolf 2017); embedding must equal width
    carry      training goes on from the state in which the last batch ended: give batches that continue each other
               (corpus.Streams), and no gradient flows further back than a batch (truncated backpropagation)

    >>> model = RecurrentLM(vocab_size=5, embedding=3, width=4)
    >>> model(np.array([[0, 3, 1]])).shape
    (1, 3, 5)
    """

    def __init__(
        self,
        vocab_size: int,
        cell: str = "lstm",
        embedding: int = 128,
        width: int = 256,
        depth: int = 1,
        dropout: float = 0.0,
        tied: bool = False,
        carry: bool = False,
        **options: Any,
    ):
        super().__init__(vocab_size, **options)
        layer = lookup("cell", cell, CELLS)
        if tied and embedding != width:
            raise ValueError(f"RecurrentLM: tied needs embedding and width to be equal; found {embedding} and {width}")
        self.check_sizes(embedding=embedding, width=width, depth=depth)
        self.cell, self.embedding, self.width, self.depth = cell, embedding, width, depth
        self.dropout, self.tied, self.carry = dropout, tied, carry
        self.table = Embedding(vocab_size, embedding, RandomNormal(stddev=1.0), name="embedding")
        self.cells = [
            layer(width, return_sequences=True, return_state=True, stateful=carry, name=f"{cell}_{i}")
            for i in range(depth)
        ]
        self.drop = Dropout(dropout)
        self.head = None if tied else Dense(vocab_size, name="head")

    def call(self, ids: Any, training: bool = False) -> Any:
        return self.read(ids, [None] * self.depth, training)[0]

    def read(self, ids: Any, states: list, training: bool = False) -> tuple[Any, list]:
        """The logits (batch, time, vocab_size), and the states of all layers after the last token."""
        x, after = self.table(ids), []
        for layer, state in zip(self.cells, states):
            x, *state = layer(self.drop(x, training=training), initial_state=state)
            after.append(state)
        x = self.drop(x, training=training)
        return x @ np.transpose(self.table.embeddings) if self.head is None else self.head(x), after

    # -- writing and scoring: the state is all there is to remember --------------------------------------------------

    def step(self, ids: np.ndarray, state: Any = None) -> tuple[np.ndarray, Any]:
        outputs, state = self._read_on(ids, state)
        return self._head(outputs[:, -1]), state

    def scores(self, ids: np.ndarray) -> np.ndarray:
        return self._head(self._read_on(ids, None)[0])

    def nats(self, ids: Any, window: int | None = None, batch_size: int = 64) -> float:
        """The mean cross-entropy, in nats per token, over all of ids (time,) but the first.

        window: start afresh after so many tokens, as a model that was trained on such pieces; None: never.
        """
        if window is not None:
            return super().nats(ids, window, batch_size)
        ids, total, state = one_row(ids), 0.0, None
        for i in range(0, len(ids) - 1, CHUNK):
            target = ids[None, i + 1 : i + 1 + CHUNK]
            outputs, state = self._read_on(ids[None, i : i + target.size], state)
            total += float(cross_entropy_with_logits(self._head(outputs), target).sum(dtype=float))
        return total / (len(ids) - 1)

    def _read_on(self, ids: np.ndarray, state: Any) -> tuple[np.ndarray, list]:
        """The last layer's outputs and the states after them: read() by the cells alone, on arrays.

        For one token, what a layer does around its kernel takes longer than the kernel. What training carries is not
        disturbed.
        """
        self.ensure_ready()
        zero = np.zeros((len(ids), self.width), self.dtype)
        x = self.table.embeddings.data[checked(self, ids)]
        after = []
        for layer, before in zip(self.cells, state or [[zero] * len(layer.state_names) for layer in self.cells]):
            weights = (as_array(w) for w in (layer.kernel, layer.recurrent_kernel, layer.bias))
            x, *states = layer.over_time(x, *before, *weights, None, keep=None)
            after.append(states)
        return x, after

    def _head(self, outputs: np.ndarray) -> np.ndarray:
        """The logits (..., vocab_size) for outputs (..., width), on arrays."""
        flat = outputs.reshape(-1, self.width)
        if self.head is None:
            logits = flat @ as_array(self.table.embeddings).T
        else:
            logits = flat @ as_array(self.head.kernel) + as_array(self.head.bias)
        return logits.reshape(*outputs.shape[:-1], self.vocab_size)

    def select(self, state: Any, rows: np.ndarray) -> Any:
        return [[s[rows] for s in layer] for layer in state]
