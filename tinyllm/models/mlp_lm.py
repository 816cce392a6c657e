"""Two language models that look back a fixed number of tokens: one token (Bigram), or several (MLPLM)."""

from typing import Any

import numpy as np

from tinyllm.initializers import RandomNormal
from tinyllm.layers import Dense, Embedding
from tinyllm.models.causal import CausalLM, one_row
from tinyllm.ops import cross_entropy_with_logits

__all__ = ["MLPLM", "Bigram"]

CHUNK = 4096  # tokens that are scored at a time; their number changes nothing but the memory


class _LooksBack(CausalLM):
    """What both share: each token sees its whole context, wherever a window begins."""

    def nats(self, ids: Any, window: int | None = None, batch_size: int = 64) -> float:
        """The mean cross-entropy, in nats per token, over all of ids but the first; a window plays no part."""
        ids, total = one_row(ids), 0.0
        for i in range(0, len(ids) - 1, CHUNK):
            target = ids[None, i + 1 : i + 1 + CHUNK]
            first = max(0, i + 1 - self.context)  # what the first of them looks back at
            scores = self.scores(ids[None, first : i + target.size])[:, i - first :]
            total += float(cross_entropy_with_logits(scores, target).sum(dtype=float))
        return total / (len(ids) - 1)


class Bigram(_LooksBack):
    """A table of scores: row i says what follows token i. Trained, it becomes the counts of pairs, normalised.

    >>> Bigram(vocab_size=5)(np.array([[0, 3, 1]])).shape
    (1, 3, 5)
    """

    context = 1

    def __init__(self, vocab_size: int, **options: Any):
        super().__init__(vocab_size, **options)
        self.table = Embedding(vocab_size, vocab_size, "zeros", name="table")

    def call(self, ids: Any, training: bool = False) -> Any:
        return self.table(ids)


class MLPLM(_LooksBack):
    """The embeddings of the last `context` tokens side by side, through one hidden layer (Bengio et al. 2003).

        hidden = tanh(side_by_side @ kernel + bias);  logits = hidden @ head

    Before the text begins there is a token of its own, whose embedding is learned as well: number vocab_size.

    >>> MLPLM(vocab_size=5, context=3, embedding=4, width=8)(np.array([[0, 3, 1]])).shape
    (1, 3, 5)
    """

    def __init__(self, vocab_size: int, context: int = 8, embedding: int = 64, width: int = 64, **options: Any):
        super().__init__(vocab_size, **options)
        self.check_sizes(context=context, embedding=embedding, width=width)
        self.context, self.embedding, self.width = context, embedding, width
        self.table = Embedding(vocab_size + 1, embedding, RandomNormal(stddev=1.0), name="embedding")
        self.hidden = Dense(width, "tanh", name="hidden")
        self.head = Dense(vocab_size, name="head")

    def call(self, ids: Any, training: bool = False) -> Any:
        batch, time = ids.shape
        before = np.full((batch, self.context - 1), self.vocab_size)
        padded: Any = np.concatenate([before, np.asarray(ids)], axis=1)
        windows: Any = padded[:, np.arange(time)[:, None] + np.arange(self.context)]  # (batch, time, context)
        x = np.reshape(self.table(windows), (batch, time, self.context * self.embedding))
        return self.head(self.hidden(x))
