"""From scores to the next token: greedy choice and sampling."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Sampling", "distinct", "distribution", "finite", "sample"]


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen from the logits. The settings apply in this order, as in Hugging Face's warpers:

    repetition_penalty  of a token that was seen, a positive logit is divided by it and a negative one multiplied:
                        above 1 repeats less (Keskar et al. 2019)
    greedy              then the most probable token, always; the settings below must be left alone
    temperature         softmax(logits / temperature): below 1 bolder, above 1 more even
    top_k               keep the k most probable tokens (Fan et al. 2018)
    top_p               then keep the smallest set of tokens, most probable first, that has at least this probability
                        (Holtzman et al. 2020)
    min_p               then keep the tokens at least this times as probable as the most probable (Nguyen et al. 2024)

    What is kept is scaled to sum to 1; of equal tokens the lower id comes first. Raises ValueError for a setting that
    is out of range.

    >>> Sampling(top_k=2).probabilities(np.log([0.5, 0.3, 0.2]))
    array([0.625, 0.375, 0.   ])
    >>> Sampling(temperature=0)
    Traceback (most recent call last):
    ValueError: temperature must be positive; found 0: for the most probable token use greedy
    """

    greedy: bool = False
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        if not (_number(self.temperature) and self.temperature > 0):
            found = f"found {self.temperature!r}: for the most probable token use greedy"
            raise ValueError(f"temperature must be positive; {found}")
        k = self.top_k
        if k is not None and (isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1):
            raise ValueError(f"top_k must be a whole number of at least 1; found {k!r}")
        if self.top_p is not None and not (_number(self.top_p) and 0 < self.top_p <= 1):
            raise ValueError(f"top_p must be above 0 and at most 1; found {self.top_p!r}")
        if self.min_p is not None and not (_number(self.min_p) and 0 <= self.min_p <= 1):
            raise ValueError(f"min_p must be in 0..1; found {self.min_p!r}")
        if not (_number(self.repetition_penalty) and self.repetition_penalty > 0):
            raise ValueError(
                f"repetition_penalty must be positive (1: no penalty, above 1: repeat less); "
                f"found {self.repetition_penalty!r}"
            )
        if self.greedy and (self.temperature, self.top_k, self.top_p, self.min_p) != (1.0, None, None, None):
            raise ValueError("greedy always takes the most probable token: leave temperature, top_k, top_p, min_p out")

    def check(self, vocabulary: int) -> None:
        """ValueError if these settings do not fit a vocabulary of this size."""
        if self.top_k is not None and self.top_k > vocabulary:
            raise ValueError(f"top_k must be in 1..{vocabulary}, the size of the vocabulary; found {self.top_k}")

    def probabilities(self, logits: Any, seen: Any = ()) -> np.ndarray:
        """The probabilities (..., vocabulary) to draw the next token from.

        logits (..., vocabulary), -inf for a token that cannot come; seen (..., n) the ids that the repetition penalty
        is for. ValueError for a top_k above the vocabulary, and for logits of which none is finite or one is NaN.
        """
        logits = finite(logits)
        self.check(logits.shape[-1])
        if self.repetition_penalty != 1 and np.size(seen):
            logits = self._penalised(logits, np.asarray(seen))
        if self.greedy:
            return (np.arange(logits.shape[-1]) == logits.argmax(axis=-1, keepdims=True)).astype(float)
        p = np.exp((logits - logits.max(axis=-1, keepdims=True)) / self.temperature)
        p /= p.sum(axis=-1, keepdims=True)
        if self.top_k is not None or self.top_p is not None:
            p = self._most_probable(p)
        if self.min_p is not None:
            p = np.where(p >= self.min_p * p.max(axis=-1, keepdims=True), p, 0)
            p /= p.sum(axis=-1, keepdims=True)
        return p

    def _penalised(self, logits: np.ndarray, seen: np.ndarray) -> np.ndarray:
        of_seen = np.take_along_axis(logits, seen, axis=-1)
        penalty = self.repetition_penalty
        logits = logits.copy()
        np.put_along_axis(logits, seen, np.where(of_seen > 0, of_seen / penalty, of_seen * penalty), axis=-1)
        return logits

    def _most_probable(self, p: np.ndarray) -> np.ndarray:
        """What top_k, and then top_p, keep."""
        order = np.argsort(-p, axis=-1, kind="stable")
        ranked = np.take_along_axis(p, order, axis=-1)
        if self.top_k is not None:
            ranked[..., self.top_k :] = 0
            ranked /= ranked.sum(axis=-1, keepdims=True)
        if self.top_p is not None:
            before = np.cumsum(ranked, axis=-1) - ranked
            ranked[before >= self.top_p - 1e-12] = 0  # rounding must not let in a token that is not needed
            ranked /= ranked.sum(axis=-1, keepdims=True)
        kept = np.empty_like(p)
        np.put_along_axis(kept, order, ranked, axis=-1)
        return kept


def finite(logits: Any) -> np.ndarray:
    """The logits in float64. ValueError if one is NaN, or in some row none is above -inf."""
    logits = np.asarray(logits, float)
    largest = logits.max(axis=-1)
    if not np.isfinite(largest).all():
        raise ValueError(f"the largest logit is {largest.max()}; are the model's weights finite?")
    return logits


def _number(value: Any) -> bool:
    """A finite number, and neither True nor False."""
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and bool(np.isfinite(value))


def distribution(
    logits: Any,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float = 1.0,
    seen: Any = (),
) -> np.ndarray:
    """The probabilities to draw the next token from: Sampling(...).probabilities(logits, seen).

    >>> logits = np.log([0.5, 0.2, 0.15, 0.1, 0.05])
    >>> distribution(logits, top_k=2).round(3)
    array([0.714, 0.286, 0.   , 0.   , 0.   ])
    >>> distribution(logits, top_p=0.8).round(3)
    array([0.588, 0.235, 0.176, 0.   , 0.   ])
    >>> distribution(logits, min_p=0.3).round(3)
    array([0.588, 0.235, 0.176, 0.   , 0.   ])
    """
    settings = Sampling(False, temperature, top_k, top_p, min_p, repetition_penalty)
    return settings.probabilities(logits, seen)


def sample(probabilities: np.ndarray, rng: np.random.Generator) -> int:
    """Draw one index from one distribution.

    >>> sample(np.array([0.0, 1.0, 0.0]), np.random.default_rng(0))
    1
    """
    cumulative = probabilities.cumsum()
    return int(cumulative.searchsorted(rng.random() * cumulative[-1], side="right"))


def distinct(tokens: Sequence, n: int = 1) -> float:
    """How varied a text is: different runs of n tokens, divided by all runs of n tokens (Li et al. 2016).

    ValueError if there are fewer than n tokens.

    >>> distinct(["a", "b", "a", "b", "c"], 2)
    0.75
    """
    if n < 1 or len(tokens) < n:
        raise ValueError(f"distinct: needs at least n = {n} tokens, and n at least 1; found {len(tokens)} tokens")
    runs = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    return len(set(runs)) / len(runs)
