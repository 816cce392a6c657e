"""BERT: a Transformer that reads in both directions and fills in blanks (Devlin et al. 2019)."""

from typing import Any

import numpy as np

from tinyllm.autograd import no_grad
from tinyllm.corpus import IGNORED, Blanks
from tinyllm.initializers import RandomNormal
from tinyllm.layers import Dropout, Embedding, LayerNormalization
from tinyllm.models.causal import one_row
from tinyllm.models.gpt import EPSILON, STANDARD_DEVIATION, Block
from tinyllm.models.text_model import TextModel
from tinyllm.ops import cross_entropy_with_logits, softmax

__all__ = ["BERT"]


class BERT(TextModel):
    """GPT's blocks without its blinkers: each position looks at all others. So it cannot write, but it can fill in.

    The blank is a token of its own, number vocab_size. Trained on corpus.Blanks with the cross-entropy of what was
    hidden; small, with the norms before the blocks, and without BERT's second task (which sentence follows), which
    later work found useless (Liu et al. 2019).

    Raises ValueError for a width that heads does not divide and for an input longer than context.

    >>> model = BERT(vocab_size=5, context=8, depth=1, heads=2, width=4)
    >>> model(np.array([[0, model.blank, 1]])).shape
    (1, 3, 5)
    """

    def __init__(
        self,
        vocab_size: int,
        context: int = 64,
        depth: int = 2,
        heads: int = 4,
        width: int = 64,
        dropout: float = 0.0,
        **options: Any,
    ):
        super().__init__(vocab_size, **options)
        self.check_sizes(context=context, depth=depth, heads=heads, width=width)
        if width % heads:
            raise ValueError(f"BERT: width {width} is no multiple of heads {heads}")
        self.context, self.depth, self.heads, self.width, self.dropout = context, depth, heads, width, dropout
        self.blank = vocab_size
        normal = RandomNormal(stddev=STANDARD_DEVIATION)
        self.token_embedding = Embedding(vocab_size + 1, width, normal, name="token_embedding")
        self.position_embedding = Embedding(context, width, normal, name="position_embedding")
        self.drop = Dropout(dropout)
        self.blocks = [Block(width, heads, depth, dropout, True, causal=False, name=f"block_{i}") for i in range(depth)]
        self.norm = LayerNormalization(epsilon=EPSILON, name="norm")

    def call(self, ids: Any, training: bool = False) -> Any:
        time = ids.shape[1]
        if time > self.context:
            raise ValueError(f"BERT: {time} tokens are more than its context of {self.context}; show it a part")
        x = self.token_embedding(ids) + self.position_embedding(np.arange(time))
        x = self.drop(x, training=training)
        for block in self.blocks:
            x = block(x, training=training)
        words = self.token_embedding.embeddings[: self.vocab_size]  # a blank is never the answer
        flat = np.reshape(self.norm(x), (-1, self.width)) @ np.transpose(words)
        return np.reshape(flat, (*x.shape[:2], self.vocab_size))

    def fill(self, ids: Any) -> np.ndarray:
        """P of each token at each position of ids (time,), where blanks may stand: (time, vocab_size)."""
        with no_grad():
            return softmax(self(np.asarray(ids)[None]).data[0])

    def nats(self, ids: Any, window: int | None = None, seed: int = 0) -> float:
        """The mean cross-entropy of hidden tokens, in nats, over as many random windows as make up the text.

        A text shorter than a window is one window.
        """
        ids = one_row(ids)
        width = min(window or self.context, len(ids) - 1)
        batches = Blanks(ids, 64, width, max(1, len(ids) // (64 * width)), self.blank, seed=seed)
        total, count = 0.0, 0
        for i in range(len(batches)):
            x, y = batches[i]
            with no_grad():
                loss = cross_entropy_with_logits(self(x).data, np.maximum(y, 0))
            total, count = total + float(loss[y != IGNORED].sum(dtype=float)), count + int((y != IGNORED).sum())
        return total / count
