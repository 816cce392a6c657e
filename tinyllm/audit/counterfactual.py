"""The same text with one word exchanged: does the score change when "he" becomes "she"?"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tinyllm.autograd.tensor import as_array
from tinyllm.pictures import table
from tinyllm.preprocessing.augmentation import CJK
from tinyllm.preprocessing.text import check_texts

__all__ = ["Counterfactual", "counterfactual", "swap_words"]

# A letter or digit of a script that puts spaces between its words; Chinese and Japanese do not.
WORD = rf"[^\W{CJK}]"


def swap_words(text: str, swaps: Mapping[str, str]) -> str:
    """The text with every word of the table exchanged for its partner, all at once, in both directions.

    {"he": "she"} also makes "she" "he"; where two words share a partner, the first in the table gets it back. Whole
    words only, whatever their case, which is kept. In Chinese a word is found wherever its characters stand: protect a
    longer one by listing it as its own partner.

    >>> swap_words("He said she knows.", {"he": "she"})
    'She said he knows.'
    >>> swap_words("他和其他人", {"他": "她", "其他": "其他"})
    '她和其他人'
    """
    if not isinstance(text, str):
        raise TypeError(f"swap_words: expected a str, found {type(text).__name__} {text!r:.40}")
    return _swapper(swaps)(text)


def _swapper(swaps: Mapping[str, str]) -> Callable[[str], str]:
    if not isinstance(swaps, Mapping) or not swaps:
        raise ValueError(f'swap table: expected a mapping such as {{"he": "she"}}; found {swaps!r:.60}')
    for word in (*swaps.keys(), *swaps.values()):
        if not isinstance(word, str) or not word.strip():
            raise ValueError(f"swap table: every word must be a str that is not blank; found {word!r:.40}")
    partner = {a.lower(): b for a, b in swaps.items()}
    for a, b in swaps.items():
        partner.setdefault(b.lower(), a)
    words = sorted(partner, key=len, reverse=True)  # the longest first: the others are tried only where it is not
    pattern = re.compile("|".join(map(_bounded, words)), re.IGNORECASE)

    def exchange(found: re.Match[str]) -> str:
        old = found.group()
        new = partner.get(old.lower(), old)
        if len(old) > 1 and old.isupper():
            return new.upper()
        return new[0].upper() + new[1:] if old[0].isupper() else new

    return lambda text: pattern.sub(exchange, text)


def _bounded(word: str) -> str:
    """The pattern of a whole word; an accent may be a character of its own, after its letter."""
    before = f"(?<!{WORD})" if re.match(WORD, word[0]) else ""
    after = f"(?!{WORD}|[\u0300-\u036f])" if re.match(WORD, word[-1]) else ""
    return before + re.escape(word) + after


@dataclass(frozen=True)
class Counterfactual:
    """What counterfactual() found, for the texts that hold a word of the table; print it for a table."""

    positions: list[int]  # of these texts among all that were given
    texts: list[str]
    swapped: list[str]
    before: list[float]
    after: list[float]
    untouched: int  # texts without such a word; they count nowhere below

    @property
    def changes(self) -> list[float]:
        """after - before, text by text."""
        return [b - a for a, b in zip(self.before, self.after)]

    @property
    def mean(self) -> float:
        """The mean of |change|."""
        return float(np.mean(np.abs(self.changes)))

    @property
    def bias(self) -> float:
        """The mean change, with its sign: changes in opposite directions cancel."""
        return float(np.mean(self.changes))

    @property
    def max(self) -> float:
        """The largest |change|."""
        return float(np.max(np.abs(self.changes)))

    def __str__(self) -> str:
        rows = [[t, a, b, c] for t, a, b, c in zip(self.swapped, self.before, self.after, self.changes)]
        total = f"mean |change| {self.mean:.3g}, largest {self.max:.3g}, mean change {self.bias:.3g}"
        return f"{table(['swapped', 'before', 'after', 'change'], rows)}\n{total}; untouched texts: {self.untouched}"

    def to_dict(self) -> dict[str, Any]:
        """The fields and the three summaries, for json.dumps."""
        return asdict(self) | {"changes": self.changes, "mean": self.mean, "bias": self.bias, "max": self.max}


def counterfactual(model: Any, texts: Iterable[str], swaps: Mapping[str, str]) -> Counterfactual:
    """How the score of each text changes when the words of the table are exchanged (see swap_words).

    model is a function from a list of texts to their scores, (texts,) or (texts, 1), or a model with one output and
    with preprocess set. Counterfactual token fairness (Garg et al. 2019, "Counterfactual fairness in text
    classification through robustness", section 3) asks the change to be small. Raises ValueError if no text holds a
    word of the table, or if a score is not finite.

    >>> result = counterfactual(lambda texts: [len(text) / 10 for text in texts], ["he ran", "I ran"], {"he": "she"})
    >>> result.swapped, round(result.max, 6), result.untouched
    (['she ran'], 0.1, 1)
    """
    swap = _swapper(swaps)
    given = list(check_texts(texts, "counterfactual"))
    stranger = next((i for i, text in enumerate(given) if not isinstance(text, str)), None)
    if stranger is not None:
        raise TypeError(f"counterfactual: texts[{stranger}] is {type(given[stranger]).__name__}; expected a str")
    pairs = [(i, text, other) for i, text in enumerate(given) if (other := swap(text)) != text]
    if not pairs:
        raise ValueError(f"counterfactual: none of the {len(given)} texts holds a word of the table, so none changes")
    positions, old, new = (list(column) for column in zip(*pairs))
    before, after = _scores(model, old), _scores(model, new)
    return Counterfactual(positions, old, new, before, after, len(given) - len(pairs))


def _scores(model: Any, texts: list[str]) -> list[float]:
    if hasattr(model, "predict"):
        if getattr(model, "preprocess", None) is None:
            raise ValueError(
                "counterfactual: this model reads no texts; set model.preprocess = TextToIds(tokenizer, ...)"
            )
        scores = np.asarray(model.predict(model.preprocess(texts)), float)
    else:
        scores = np.asarray(as_array(model(texts)), float)
    if scores.shape not in ((len(texts),), (len(texts), 1)):
        raise ValueError(
            f"counterfactual: {len(texts)} texts need as many scores; found {scores.shape}: for one class of several "
            "give a function, lambda texts: model.predict(model.preprocess(texts))[:, 2]"
        )
    if not np.isfinite(scores).all():
        raise ValueError("counterfactual: a score is NaN or infinite")
    return scores.ravel().tolist()
