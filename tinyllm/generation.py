"""From scores to the next token: greedy choice and sampling."""

from typing import Any

import numpy as np

from tinyllm.ops import softmax

__all__ = ["distribution", "sample"]


def distribution(
    logits: Any, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> np.ndarray:
    """The probabilities to draw the next token from.   logits (..., vocabulary), -inf for a token that cannot come.

    temperature  softmax(logits / temperature): below 1 bolder, above 1 more even
    top_k        keep the k most probable tokens
    top_p        then keep the smallest set of tokens, most probable first, that has at least this probability
                 (Holtzman et al. 2020)

    What is kept is scaled to sum to 1; of equal tokens the lower id comes first. Raises ValueError for a temperature
    that is not positive, a top_k outside 1..vocabulary, a top_p outside (0, 1], and logits of which none is finite or
    one is NaN.

    >>> logits = np.log([0.5, 0.2, 0.15, 0.1, 0.05])
    >>> distribution(logits, top_k=2).round(3)
    array([0.714, 0.286, 0.   , 0.   , 0.   ])
    >>> distribution(logits, top_p=0.8).round(3)
    array([0.588, 0.235, 0.176, 0.   , 0.   ])
    """
    logits = np.asarray(logits, float)
    if not np.isfinite(logits.max(axis=-1)).all():
        raise ValueError(f"the largest logit is {logits.max()}; are the model's weights finite?")
    vocabulary = logits.shape[-1]
    if not (temperature > 0 and np.isfinite(temperature)):
        raise ValueError(f"temperature must be positive; found {temperature}: for the most probable token use greedy")
    if top_k is not None and not 1 <= top_k <= vocabulary:
        raise ValueError(f"top_k must be in 1..{vocabulary}, the size of the vocabulary; found {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1; found {top_p}")
    p = softmax(logits / temperature)
    order = np.argsort(-p, axis=-1, kind="stable")
    ranked = np.take_along_axis(p, order, axis=-1)
    if top_k is not None:
        ranked[..., top_k:] = 0
        ranked /= ranked.sum(axis=-1, keepdims=True)
    if top_p is not None:
        before = np.cumsum(ranked, axis=-1) - ranked
        ranked[before >= top_p - 1e-12] = 0  # rounding must not let in a token that is not needed
        ranked /= ranked.sum(axis=-1, keepdims=True)
    kept = np.empty_like(p)
    np.put_along_axis(kept, order, ranked, axis=-1)
    return kept


def sample(probabilities: np.ndarray, rng: np.random.Generator) -> int:
    """Draw one index from one distribution.

    >>> sample(np.array([0.0, 1.0, 0.0]), np.random.default_rng(0))
    1
    """
    cumulative = np.cumsum(probabilities)
    return int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))
