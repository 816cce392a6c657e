"""More training texts from few: exchange, delete, insert words, or put synonyms in their place.

The four operations of EDA (J. Wei & K. Zou 2019, "EDA: easy data augmentation techniques for boosting performance on
text classification tasks", section 2). A text with spaces is words; one without, in Chinese or Japanese, is characters.
Augment the training part only, after the split: a copy of a held-out text in the training part spoils the measurement.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyllm.checks import positive
from tinyllm.preprocessing.text import check_texts

__all__ = ["Augmented", "augment", "delete", "insert", "substitute", "swap"]

CJK = "\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
MARKS = "\u3099\u309a\ufe00-\ufe0f\U000e0100-\U000e01ef"  # marks that belong to the character before
Seed = int | np.random.Generator


def swap(text: str, rate: float, seed: Seed = 0) -> str:
    """Each word, with probability `rate`, changes places with another one; none moves twice.

    >>> swap("a b c", rate=1.0) != "a b c", sorted(swap("a b c", rate=1.0).split())
    (True, ['a', 'b', 'c'])
    """
    _rate("swap", rate)
    units, glue = _units(text)
    return _joined(text, units, _swap(units, rate, np.random.default_rng(seed)), glue)


def delete(text: str, rate: float, seed: Seed = 0) -> str:
    """Each word disappears with probability `rate`; one, drawn at random, always stays.

    >>> delete("今天天气很好。", rate=1.0) in [c + "。" for c in "今天天气很好"]
    True
    """
    _rate("delete", rate)
    units, glue = _units(text)
    return _joined(text, units, _delete(units, rate, np.random.default_rng(seed)), glue)


def insert(text: str, vocabulary: Sequence[str], rate: float, seed: Seed = 0) -> str:
    """Before each word, with probability `rate`, comes one drawn from the vocabulary.

    >>> insert("a b", ["x"], rate=1.0)
    'x a x b'
    """
    _rate("insert", rate)
    words = _vocabulary(vocabulary)
    units, glue = _units(text)
    return _joined(text, units, _insert(units, words, rate, np.random.default_rng(seed)), glue)


def substitute(text: str, synonyms: Mapping[str, Sequence[str]], rate: float, seed: Seed = 0) -> str:
    """Each word of the table, with probability `rate`, becomes one of its synonyms; a capital stays a capital.

    In a text without spaces the longest word of the table that begins at a character is taken.

    >>> substitute("Good day, good night", {"good": ["fine"]}, rate=1.0)
    'Fine day, fine night'
    >>> substitute("我很高兴。", {"高兴": ["快乐"]}, rate=1.0)
    '我很快乐。'
    """
    _rate("synonym", rate)
    table = _synonyms(synonyms)
    units, glue = _units(text, table)
    return _joined(text, units, _substitute(units, table, rate, np.random.default_rng(seed)), glue)


@dataclass(frozen=True)
class Augmented:
    """What augment() made; print it for a summary.

    texts and labels hold the given ones first, then the copies; source[i] is the position of the text that texts[i] was
    made from. changed counts the copies that differ from their text.
    """

    texts: list[str]
    labels: Any
    source: list[int]
    originals: int
    changed: int

    def __str__(self) -> str:
        copies = len(self.texts) - self.originals
        return f"{self.originals} texts and {copies} copies, {self.changed} of them changed"


def augment(
    texts: Iterable[str],
    labels: Any = None,
    copies: int = 1,
    swap: float = 0.0,
    delete: float = 0.0,
    insert: float = 0.0,
    synonym: float = 0.0,
    vocabulary: Sequence[str] | None = None,
    synonyms: Mapping[str, Sequence[str]] | None = None,
    seed: Seed = 0,
) -> Augmented:
    """The texts, and `copies` changed copies of each; a copy has its text's label.

    swap, delete, insert, synonym are the rates of the four operations, between 0 and 1, applied in the order synonym,
    insert, swap, delete; insert needs a vocabulary, synonym a table. The same seed makes the same copies. Punctuation
    that stands alone is neither moved nor deleted. Deletion and exchange can change what a text means ("not good"):
    read some of the copies.

    >>> made = augment(["the cat sat", "我爱中国"], labels=[1, 0], copies=2, swap=0.5)
    >>> print(made, made.labels)
    2 texts and 4 copies, 3 of them changed [1, 0, 1, 0, 1, 0]
    """
    rates = {"swap": swap, "delete": delete, "insert": insert, "synonym": synonym}
    for name, value in rates.items():
        _rate(name, value)
    if not any(rates.values()):
        raise ValueError("augment: every rate is 0, so nothing would change; give one such as swap=0.1")
    copies = positive("augment: copies", copies)
    words = _vocabulary(vocabulary) if insert else []
    table = _synonyms(synonyms) if synonym else {}
    given = list(check_texts(texts, "augment"))
    if labels is not None and len(labels) != len(given):
        raise ValueError(f"augment: {len(given)} texts and {len(labels)} labels; give one label per text")
    rng = np.random.default_rng(seed)
    cut = [_units(text, table) for text in given]
    made = []
    for _ in range(copies):
        for text, (units, glue) in zip(given, cut):
            new = _substitute(units, table, synonym, rng)
            new = _insert(new, words, insert, rng)
            new = _delete(_swap(new, swap, rng), delete, rng)
            made.append(_joined(text, units, new, glue))
    source = list(range(len(given))) * (copies + 1)
    if isinstance(labels, np.ndarray):
        labels = labels[source]
    elif labels is not None:
        labels = [labels[i] for i in source]
    changed = sum(new != given[i % len(given)] for i, new in enumerate(made))
    return Augmented(given + made, labels, source, len(given), changed)


def _units(text: Any, table: Mapping[str, Any] | None = None) -> tuple[list[str], str]:
    """(the words or characters of a text, what joins them)."""
    if not isinstance(text, str):
        raise TypeError(f"augment: expected a str, found {type(text).__name__} {text!r:.40}")
    words = text.split()
    if len(words) != 1 or not re.search(f"[{CJK}]", text):
        return words, " "
    known = "".join(re.escape(w) + "|" for w in sorted(table or {}, key=len, reverse=True) if re.search(f"[{CJK}]", w))
    return re.findall(f"{known}[{CJK}][{MARKS}]*|[^{CJK}]+", words[0]), ""


def _joined(text: str, before: list[str], units: list[str], glue: str) -> str:
    """The units as a text; the very text that was given, white space and all, where nothing changed."""
    return text if units == before else glue.join(units)


def _movable(units: list[str]) -> list[int]:
    return [i for i, unit in enumerate(units) if any(c.isalnum() for c in unit)]


def _drawn(places: list[int], rate: float, rng: np.random.Generator) -> list[int]:
    return [i for i, x in zip(places, rng.random(len(places))) if x < rate]


def _swap(units: list[str], rate: float, rng: np.random.Generator) -> list[str]:
    free, units = _movable(units), list(units)
    for i in _drawn(list(free), rate, rng):
        others = [p for p in free if p != i]
        if i in free and others:  # a word that has moved stays there: two exchanges could undo each other
            j = others[rng.integers(len(others))]
            units[i], units[j] = units[j], units[i]
            free = [p for p in free if p not in (i, j)]
    return units


def _delete(units: list[str], rate: float, rng: np.random.Generator) -> list[str]:
    places = _movable(units)
    gone = set(_drawn(places, rate, rng))
    if gone and len(gone) == len(places):
        gone.remove(places[rng.integers(len(places))])
    return [unit for i, unit in enumerate(units) if i not in gone]


def _insert(units: list[str], words: list[str], rate: float, rng: np.random.Generator) -> list[str]:
    chosen = set(_drawn(_movable(units), rate, rng))
    made = []
    for i, unit in enumerate(units):
        if i in chosen:
            made.append(words[rng.integers(len(words))])
        made.append(unit)
    return made


def _substitute(units: list[str], table: dict[str, list[str]], rate: float, rng: np.random.Generator) -> list[str]:
    units = list(units)
    for i in _drawn(_movable(units), rate, rng):
        before, word, after = re.fullmatch(r"(\W*)(.*?)(\W*)", units[i], re.DOTALL).groups()  # type: ignore[union-attr]
        if choices := table.get(word) or table.get(word.lower()):
            new = choices[rng.integers(len(choices))]
            capital = word not in table and word[0].isupper()
            units[i] = before + (new[0].upper() + new[1:] if capital else new) + after
    return units


def _rate(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value <= 1:
        raise ValueError(f"augment: {name} is a rate between 0 and 1; found {value!r:.40}")


def _vocabulary(words: Any) -> list[str]:
    words = [] if words is None or isinstance(words, str) else list(words)
    if not words or any(not isinstance(word, str) or not word.strip() for word in words):
        raise ValueError('augment: insert needs vocabulary, a list of words that are not blank, such as ["very"]')
    return words


def _synonyms(table: Any) -> dict[str, list[str]]:
    if not isinstance(table, Mapping) or not table:
        raise ValueError('augment: synonym needs synonyms, a table such as {"good": ["fine", "nice"]}')
    checked = {}
    for word, choices in table.items():
        others = [choices] if isinstance(choices, str) else list(choices)
        if not others or any(not isinstance(each, str) or not each.strip() for each in [word, *others]):
            raise ValueError(f"augment: synonyms[{word!r:.40}] must be words that are not blank; found {choices!r:.60}")
        checked[word] = others
    return checked
