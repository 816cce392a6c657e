"""What a data set holds, before a model is trained on it: duplicates, gaps, vocabulary, sources, labels, damage."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tinyllm.preprocessing.cleaning import INVISIBLE, clean_text
from tinyllm.preprocessing.text import Tokenizer, check_texts

__all__ = ["DataReport", "data_report"]

PERCENTILES = (0, 5, 25, 50, 75, 95, 100)


@dataclass(frozen=True)
class DataReport:
    """What data_report() counted; print it for a table. A share lies between 0 and 1; None: it was not asked for."""

    documents: int
    empty: int  # nothing but white space
    duplicates: int  # equal to an earlier document that is not empty
    duplicates_cleaned: int  # the same once both are cleaned (clean_text)
    characters: int
    lengths: dict[str, float]  # percentiles of the characters per document, the empty ones included
    vocabulary: int  # distinct characters
    words: int  # distinct words: the tokenizer's, or what stands between white space
    out_of_vocabulary: float | None  # share of the running words that the tokenizer has no id for
    sources: dict[str, dict[str, float]] | None  # documents, share of documents, share of characters
    labels: dict[str, dict[str, float]] | None  # documents, share of documents
    suspicious: dict[str, dict[str, int]]  # occurrences, documents, first (its position)

    def to_dict(self) -> dict[str, Any]:
        """All of it, for json.dumps."""
        return asdict(self)

    def __str__(self) -> str:
        counted = ("documents", "empty", "duplicates", "duplicates_cleaned", "characters", "vocabulary", "words")
        lines = [f"{name.replace('_', ' '):<20} {getattr(self, name):>12,}" for name in counted]
        if self.out_of_vocabulary is not None:
            lines.append(f"{'out of vocabulary':<20} {self.out_of_vocabulary:>12.1%}")
        lines += [f"{f'length, {name}':<20} {value:>12,.0f}" for name, value in self.lengths.items()]
        for kind, table in (("source", self.sources), ("label", self.labels)):
            for name, row in (table or {}).items():
                lines.append(f"{f'{kind} {_shown(name)}':<20} {row['documents']:>12,} {row['share']:>7.1%}")
        for name, seen in self.suspicious.items():
            lines.append(f"{name:<20} {seen['occurrences']:>12,} in {seen['documents']:,}, first in {seen['first']}")
        return "\n".join(lines)


def data_report(
    texts: Iterable[str],
    labels: Any = None,
    sources: Sequence[Any] | None = None,
    tokenizer: Tokenizer | None = None,
) -> DataReport:
    """Count what the texts hold; labels and sources are one per text, where there are any.

    Suspicious are: the replacement character U+FFFD (text once decoded wrongly), control characters other than white
    space, lone surrogates, and characters that are not there to be seen (zero-width spaces, direction marks).
    Raises TypeError for a document that is no str, ValueError for another number of labels or sources than of texts.

    >>> print(data_report(["tea", "tea", "<b>tea</b>", ""], sources=["a", "a", "b", "b"]))
    documents                       4
    empty                           1
    duplicates                      1
    duplicates cleaned              2
    characters                     16
    vocabulary                      7
    words                           2
    length, minimum                 0
    length, 5%                      0
    length, 25%                     2
    length, median                  3
    length, 75%                     5
    length, 95%                     9
    length, maximum                10
    source a                        2   50.0%
    source b                        2   50.0%
    """
    documents = list(check_texts(texts, "data_report"))
    for i, text in enumerate(documents):
        if not isinstance(text, str):
            raise TypeError(f"data_report: texts[{i}] is {type(text).__name__}; expected a str")
    filled = [text for text in documents if text.strip()]
    cleaned = [text for text in map(clean_text, filled) if text]
    sizes = [len(text) for text in documents]
    words, unknown = _words(documents, tokenizer)
    running = sum(words.values())
    return DataReport(
        documents=len(documents),
        empty=len(documents) - len(filled),
        duplicates=len(filled) - len(set(filled)),
        duplicates_cleaned=len(cleaned) - len(set(cleaned)),
        characters=sum(sizes),
        lengths=_lengths(sizes),
        vocabulary=len(set().union(*documents)),
        words=len(words),
        out_of_vocabulary=None if tokenizer is None else unknown / running if running else 0.0,
        sources=None if sources is None else _shares("sources", sources, sizes, of_characters=True),
        labels=None if labels is None else _shares("labels", labels, sizes, of_characters=False),
        suspicious=_suspicious(documents),
    )


def _words(documents: list[str], tokenizer: Tokenizer | None) -> tuple[Counter[str], int]:
    """(how often each word occurs, how many running words the tokenizer does not know)."""
    if tokenizer is None:
        return Counter(word for text in documents for word in text.split()), 0
    if not isinstance(tokenizer, Tokenizer):
        raise TypeError(f"data_report: expected a Tokenizer; found {type(tokenizer).__name__}")
    if not tokenizer.word_index:
        raise ValueError("data_report: the tokenizer knows no words; call fit_on_texts first")
    words: Counter[str] = Counter()
    for found in tokenizer._words_of_each(documents, "data_report"):
        words.update(found)
    limit = tokenizer.num_words or float("inf")
    known = {word for word, i in tokenizer.word_index.items() if i < limit and word != tokenizer.oov_token}
    return words, sum(count for word, count in words.items() if word not in known)


def _lengths(sizes: list[int]) -> dict[str, float]:
    names = {0: "minimum", 50: "median", 100: "maximum"}
    values = np.percentile(sizes, PERCENTILES) if sizes else [0.0] * len(PERCENTILES)
    return {names.get(p, f"{p}%"): float(value) for p, value in zip(PERCENTILES, values)}


def _shares(what: str, given: Any, sizes: list[int], of_characters: bool) -> dict[str, dict[str, float]]:
    values = np.asarray(given).reshape(len(given), -1) if isinstance(given, np.ndarray) and given.ndim else None
    if values is not None and values.size == len(values):
        given = values.ravel().tolist()  # a column (n, 1) counts as n labels
    names = [str(each) for each in given]
    if len(names) != len(sizes):
        raise ValueError(f"data_report: {len(sizes)} texts and {len(names)} {what}; give one per text")
    characters: Counter[str] = Counter()
    for name, size in zip(names, sizes):
        characters[name] += size
    found: dict[str, dict[str, float]] = {}
    for name, count in Counter(names).most_common():
        found[name] = {"documents": count, "share": count / len(names)}
        if of_characters:
            found[name]["share_of_characters"] = characters[name] / max(sum(sizes), 1)
    return found


def _suspicious(documents: list[str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for i, text in enumerate(documents):
        kinds = Counter(map(_kind, INVISIBLE.findall(text)))
        if marks := text.count("\ufffd"):
            kinds["replacement U+FFFD"] = marks
        for kind, count in kinds.items():
            row = found.setdefault(kind, {"occurrences": 0, "documents": 0, "first": i})
            row["occurrences"] += count
            row["documents"] += 1
    return found


def _kind(character: str) -> str:
    if "\ud800" <= character <= "\udfff":
        return "lone surrogate"
    return "control character" if character < " " or "\x7f" <= character <= "\x9f" else "invisible character"


def _shown(name: str) -> str:
    """A name of someone else's on one line."""
    return (name if name.isprintable() else ascii(name))[:40]
