"""NGram: a language model that counts. The classical yardstick beside every neural one."""

from typing import Any

import numpy as np

from tinyllm.autograd import Tensor, no_grad
from tinyllm.models.causal import CausalLM, one_row

__all__ = ["NGram"]


class NGram(CausalLM):
    """How often each token followed the last order - 1 tokens, mixed with shorter and shorter contexts.

    Witten & Bell (1991), in the form of Chen & Goodman (1999), section 2.6: for a context h that was followed N(h)
    times by T(h) different tokens, and h' the same without its oldest token,

        P(w | h) = (count(h w) + T(h) P(w | h')) / (N(h) + T(h)),        P(w) of no context = 1 / vocab_size

    So a context of which nothing is known leaves the word to the shorter one. Learnt by count(), not by fit().

    Raises ValueError where (vocab_size + 1)^order does not fit 63 bits: contexts are written as one number each;
    IndexError for an id outside the vocabulary. Counting again forgets what was counted before.

    >>> model = NGram(vocab_size=3, order=2)
    >>> model.count(np.array([0, 1, 0, 1, 0, 2]))
    >>> print(model.probabilities([0]).round(3))  # 0 was followed by a 1 twice, by a 2 once, and never by another 0
    [0.15 0.55 0.3 ]
    """

    def __init__(self, vocab_size: int, order: int = 5, sizes: Any = None, **options: Any):
        super().__init__(vocab_size, **options)
        self.check_sizes(order=order)
        self.base = vocab_size + 1  # one more for the place before the text
        if self.base**order >= 2**63:
            most = next(n for n in range(order, 0, -1) if self.base**n < 2**63)
            raise ValueError(f"NGram: order {order} is too high for {vocab_size} tokens; at most {most}")
        self.order, self.context = order, max(order - 1, 1)
        # for each length of context: what followed, how often; the contexts, how often in all, by how many tokens
        self.tables = [[Tensor(np.zeros(n, np.int64)) for n in (a, a, b, b, b)] for a, b in sizes or [(0, 0)] * order]
        self.built = True

    @property
    def sizes(self) -> list[list[int]]:
        """How many entries each table has."""
        return [[len(keys), len(contexts)] for keys, _, contexts, _, _ in self.tables]

    @property
    def named_weights(self) -> dict[str, Tensor]:
        names = ("keys", "counts", "contexts", "totals", "types")
        return {f"{k}/{name}": t for k, table in enumerate(self.tables) for name, t in zip(names, table)}

    def count(self, ids: Any) -> None:
        """Learn from one text, ids (time,)."""
        ids = one_row(ids)
        self.count_lines(ids[None, :-1], ids[None, 1:])

    def count_lines(self, x: np.ndarray, y: np.ndarray) -> None:
        """Learn from texts of their own, (lines, time) each: y follows x (corpus.lines_of), -1 where nothing does."""
        x, y = self._checked(x), self._checked(y, least=-1)
        kept = y >= 0
        for k, table in enumerate(self.tables):
            keys, counts = np.unique(self._contexts(x, k)[kept] * self.base + y[kept], return_counts=True)
            contexts, first, types = np.unique(keys // self.base, return_index=True, return_counts=True)
            found = keys, counts, contexts, np.add.reduceat(counts, first) if len(counts) else counts, types
            for tensor, values in zip(table, found):
                tensor._data = values.astype(np.int64)

    def probabilities(self, ids: Any) -> np.ndarray:
        """P of each token after ids, (vocab_size,)."""
        if not len(ids):
            raise ValueError("probabilities: needs at least one id to go on from; found none")
        return np.exp(self.scores(np.asarray(ids)[None])[0, -1])

    def call(self, ids: Any, training: bool = False) -> Any:
        words = np.arange(self.vocab_size)
        return Tensor(np.log(self._mixed(np.asarray(ids), words)), dtype=self.dtype)

    def nats(self, ids: Any, window: int | None = None, batch_size: int = 64) -> float:
        """The mean cross-entropy, in nats per token, over all of ids but the first; every context is seen in full."""
        ids = one_row(ids)
        return self.nats_of_lines(ids[None, :-1], ids[None, 1:])

    def nats_of_lines(self, x: np.ndarray, y: np.ndarray, batch_size: int = 256) -> float:
        y = self._checked(y, least=-1)
        kept = y >= 0
        p = self._mixed(np.asarray(x), np.maximum(y, 0)[..., None])[..., 0]
        return float(-np.log(p[kept]).mean())

    def _mixed(self, ids: np.ndarray, words: np.ndarray) -> np.ndarray:
        """P(word | what stands up to each position), (batch, time, words), for all words or one per position."""
        ids = self._checked(ids)
        p = np.full((*ids.shape, words.shape[-1]), 1 / self.vocab_size)
        for k, (keys, counts, contexts, totals, types) in enumerate([[t.data for t in table] for table in self.tables]):
            context = self._contexts(ids, k)
            n = _looked_up(contexts, totals, context)[..., None]
            t = _looked_up(contexts, types, context)[..., None]
            c = _looked_up(keys, counts, context[..., None] * self.base + words)
            p = np.where(n > 0, (c + t * p) / np.maximum(n + t, 1), p)
        return p

    def _checked(self, ids: Any, least: int = 0) -> np.ndarray:
        """ids as int64: packed into a key, one outside the vocabulary would be counted as another text."""
        ids = np.asarray(ids)
        if ids.dtype.kind not in "iu":
            raise TypeError(f"NGram: ids are whole numbers; found an array of {ids.dtype}")
        ids = ids.astype(np.int64)
        low, high = ids.min(initial=least), ids.max(initial=least)
        if low < least or high >= self.vocab_size:
            wrong = low if low < least else high
            raise IndexError(f"NGram: token id {wrong} is outside 0..{self.vocab_size - 1} (vocab_size)")
        return ids

    def _contexts(self, ids: np.ndarray, k: int) -> np.ndarray:
        """The last k tokens up to each position, as one number each; before the text there is a token of its own."""
        found = np.zeros(ids.shape, np.int64)
        for back in range(k - 1, -1, -1):
            earlier = np.full(ids.shape, self.vocab_size, np.int64)
            earlier[:, back:] = ids[:, : max(0, ids.shape[1] - back)]
            found = found * self.base + earlier
        return found

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"sizes": self.sizes}

    def step(self, ids: np.ndarray, state: Any = None) -> tuple[np.ndarray, Any]:
        seen = np.asarray(ids) if state is None else np.concatenate([state, ids], axis=1)
        seen = seen[:, -(self.context + 1) :]  # one more, so that a full context is not taken for a text's beginning
        with no_grad():
            return self(seen).data[:, -1], seen


def _looked_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """values where keys (sorted) equal what is wanted, and 0 elsewhere."""
    if not len(keys):
        return np.zeros(wanted.shape, np.int64)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)
