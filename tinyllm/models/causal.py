"""CausalLM: what all models of the next token share: reading on, writing and scoring."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tinyllm.autograd import no_grad
from tinyllm.generation import Sampling, generate, stream
from tinyllm.generation.text import encode, text_of, tokenizer_of
from tinyllm.models.text_model import TextModel
from tinyllm.ops import cross_entropy_with_logits

__all__ = ["CausalLM", "checked", "one_row"]


class CausalLM(TextModel):
    """A model of the next token, given those before it. A subclass makes its layers, and writes

        call(self, ids, training=False)   logits (batch, time, vocab_size): at each position the scores of what follows
        step(self, ids, state)            only if it can read on from a state instead of reading everything again

    ids are whole numbers (batch, time) in 0..vocab_size-1. No logit depends on a later token.

    vocab_size  how many tokens there are
    context     how many tokens the model looks back at; None: at all of them
    tokenizer   turns text into ids and back (preprocessing.tokenizers); saved along
    """

    context: Any = None  # int | None

    # -- reading on -------------------------------------------------------------------------------------------------

    def step(self, ids: np.ndarray, state: Any = None) -> tuple[np.ndarray, Any]:
        """Read ids (batch, time) on from a state (None: from the start).

        Returns the logits (batch, vocab_size) of what comes next, and the new state. The old state must not be used
        again; select() makes copies. Here the state is simply all that was read and can still be seen.
        """
        ids = checked(self, ids)
        seen = ids if state is None else np.concatenate([state, ids], axis=1)
        if self.context is not None:
            seen = seen[:, -self.context :]
        with no_grad():
            return self(seen).data[:, -1], seen

    def select(self, state: Any, rows: np.ndarray) -> Any:
        """A copy of the state with these rows of the batch, in this order (a row may occur twice)."""
        return state[rows]

    # -- writing ----------------------------------------------------------------------------------------------------

    def generate(
        self, prompt: Any, max_tokens: int = 100, *, stop: Any = (), seed: int = 0, **sampling: Any
    ) -> str | list[str]:
        """The prompt and what the model writes behind it; for a list of prompts a list of texts.

        sampling: greedy, temperature, top_k, top_p, min_p, repetition_penalty (generation.Sampling). The rest, and more
        than the text alone: generation.generate.
        """
        tokenizer_of(self)
        found = generate(self, prompt, max_tokens, Sampling(**sampling), stop=stop, seed=seed)
        texts = [self.decode(each.prompt) + each.text for each in (found if isinstance(found, list) else [found])]
        return texts if isinstance(found, list) else texts[0]

    def stream(
        self, prompt: Any, max_tokens: int = 100, *, stop: Any = (), seed: int = 0, **sampling: Any
    ) -> Iterator[str]:
        """What generate would write behind the prompt, in pieces, as it comes (generation.stream)."""
        return stream(self, prompt, max_tokens, Sampling(**sampling), stop=stop, seed=seed)

    def encode(self, text: str) -> list[int]:
        """The ids of a text. ValueError without a tokenizer, and for characters that the vocabulary lacks."""
        return encode(self, text)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids. ValueError without a tokenizer."""
        return text_of(tokenizer_of(self), [int(i) for i in ids])

    # -- scoring ----------------------------------------------------------------------------------------------------

    def scores(self, ids: np.ndarray) -> np.ndarray:
        """The logits (batch, time, vocab_size) of texts that begin here; nothing is recorded."""
        with no_grad():
            return self(ids).data

    def nats(self, ids: Any, window: int | None = None, batch_size: int = 64) -> float:
        """The mean cross-entropy, in nats per token, over all of ids (time,) but the first.

        They are read in windows, by default as long as the context, one after another, each from a fresh start: no
        token sees further back than the beginning of its window.
        """
        ids = one_row(ids)
        width = min(window or self.context or len(ids), len(ids) - 1)
        whole = (len(ids) - 1) // width * width
        total, _ = self._summed(ids[:whole].reshape(-1, width), ids[1 : whole + 1].reshape(-1, width), batch_size)
        if whole < len(ids) - 1:  # what does not fill a window
            total += self._summed(ids[None, whole:-1], ids[None, whole + 1 :], batch_size)[0]
        return total / (len(ids) - 1)

    def nats_of_lines(self, x: np.ndarray, y: np.ndarray, batch_size: int = 256) -> float:
        """The mean cross-entropy, in nats per token, of texts of their own, x and y as corpus.lines_of() makes them."""
        total, count = self._summed(x, y, batch_size)
        return total / count

    def _summed(self, x: np.ndarray, y: np.ndarray, batch_size: int) -> tuple[float, int]:
        total, counted = 0.0, y >= 0
        for i in range(0, len(x), batch_size):
            rows = slice(i, i + batch_size)
            each = cross_entropy_with_logits(self.scores(x[rows]), np.maximum(y[rows], 0))
            total += float(each[counted[rows]].sum(dtype=float))
        return total, int(counted.sum())


def one_row(ids: Any) -> np.ndarray:
    """ids as an array (time,). ValueError where there is nothing to predict."""
    ids = np.asarray(ids)
    if ids.ndim != 1 or len(ids) < 2:
        raise ValueError(f"nats: needs a row of at least 2 ids, (time,); found {ids.shape}")
    return ids


def checked(model: CausalLM, ids: Any) -> np.ndarray:
    """ids (batch, time) as an array of at least one token a row.

    IndexError for an id outside the vocabulary: NumPy itself would take -1 for the last. TypeError or ValueError for
    what are no rows of ids.
    """
    ids = np.asarray(ids)
    if ids.ndim != 2 or not ids.size:
        who = type(model).__name__
        raise ValueError(f"{who}: reads ids (batch, time) with at least one token a row; found {ids.shape}")
    if ids.dtype.kind not in "iu":
        raise TypeError(f"{type(model).__name__}: ids are whole numbers; found {ids.dtype}")
    low, high = ids.min(), ids.max()
    if low < 0 or high >= model.vocab_size:
        wrong = low if low < 0 else high
        what = f"token id {wrong} is outside 0..{model.vocab_size - 1} (vocab_size={model.vocab_size})"
        raise IndexError(f"{type(model).__name__}: {what}")
    return ids
