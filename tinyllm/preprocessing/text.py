"""Words to integers and back: Keras's Tokenizer, and TextToIds, the part of it that travels with a saved model."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import index
from typing import Any

import numpy as np

from tinyllm.preprocessing.sequence import check_padding, pad_sequences

__all__ = ["TextToIds", "Tokenizer", "text_to_word_sequence", "tokenizer_from_json"]

ASCII_PUNCTUATION = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'  # Keras's default: no apostrophe, so "don't" is one word
MATRIX_MODES = ("binary", "count", "freq", "tfidf")
LEARNED_TABLES = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")


def text_to_word_sequence(
    input_text: str, filters: Iterable[str] = ASCII_PUNCTUATION, lower: bool = True, split: str = " "
) -> list[str]:
    """Split one text into words: lower it, turn every character of `filters` into `split`, split there.

    Only `split` separates words: with the defaults a Chinese sentence is one word, and so is "a\\rb".

    >>> text_to_word_sequence("The cat, sat.")
    ['the', 'cat', 'sat']
    >>> text_to_word_sequence("你好，世界！ 再见")
    ['你好，世界！', '再见']
    """
    if not isinstance(input_text, str):
        raise TypeError(f"text_to_word_sequence: expected one str, found {_named(input_text)}")
    if filters is None:
        raise TypeError("text_to_word_sequence: filters is None; give a string of characters, or '' to filter nothing")
    if split == "":
        raise ValueError("text_to_word_sequence: split is ''; for one token per character use char_level=True")
    if lower:
        input_text = input_text.lower()
    to_split: dict[str, str | int | None] = dict.fromkeys(filters, split)
    return [word for word in input_text.translate(str.maketrans(to_split)).split(split) if word]


class Tokenizer:
    """Give every word an integer, the most frequent first: Keras's `preprocessing.text.Tokenizer`, corner for corner.

    A text is a str, split by `text_to_word_sequence` (or into characters when `char_level`, where `filters` and
    `split` play no part, or by `analyzer`, any function from a text to its words); or it is a list of words already.
    Ids start at 1, ties keep the order of first sight, and 0 is left free for padding. With `num_words=n` only ids
    below n are produced: n - 1 words. Words without an id are skipped, or become `oov_token`, which takes id 1.
    (If that very token also occurs in the texts, it keeps its later id and no word has id 1. Keras does so too.)

    Fitting fills `word_counts`, `word_docs` (in how many texts a word occurs), `index_docs` (the same by id),
    `word_index`, `index_word` and `document_count`; fitting again adds to the counts and renumbers the words.

    >>> tokenizer = Tokenizer(oov_token="<OOV>")
    >>> tokenizer.fit_on_texts(["the cat sat", "the dog"])
    >>> tokenizer.word_index
    {'<OOV>': 1, 'the': 2, 'cat': 3, 'sat': 4, 'dog': 5}
    >>> tokenizer.texts_to_sequences(["The bird sat!"])
    [[2, 1, 4]]
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: Iterable[str] = ASCII_PUNCTUATION,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        analyzer: Callable[[str], Iterable[str]] | None = None,
        document_count: int = 0,
    ) -> None:
        if num_words is not None and index(num_words) < 0:
            raise ValueError(f"Tokenizer: num_words is {num_words}; ids below it are kept, and None keeps all")
        self.num_words = None if num_words is None else index(num_words)
        self.filters = filters
        self.lower = lower
        self.split = split
        self.char_level = char_level
        self.oov_token = oov_token
        self.analyzer = analyzer
        self.document_count = document_count
        self.word_counts: Counter[str] = Counter()
        self.word_docs: Counter[str] = Counter()
        self.index_docs: Counter[int] = Counter()
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def fit_on_texts(self, texts: Iterable[str | list[str]]) -> None:
        """Count the words of `texts` and number them. A text that is not one raises TypeError and changes nothing."""
        counts: Counter[str] = Counter()
        docs: Counter[str] = Counter()
        documents = 0
        for words in self._words_of_each(texts, "fit_on_texts"):
            counts.update(words)
            docs.update(dict.fromkeys(words).keys())  # each word once; a set would lose the order
            documents += 1
        self.document_count += documents
        self.word_counts.update(counts)
        self.word_docs.update(docs)

        vocabulary = [] if self.oov_token is None else [self.oov_token]
        vocabulary += sorted(self.word_counts, key=self.word_counts.__getitem__, reverse=True)
        self.word_index = {word: i for i, word in enumerate(vocabulary, start=1)}
        self.index_word = {i: word for word, i in self.word_index.items()}
        for word, count in self.word_docs.items():
            self.index_docs[self.word_index[word]] = count

    def fit_on_sequences(self, sequences: Iterable[Iterable[int]]) -> None:
        """Count in how many sequences each id occurs: all that "tfidf" needs when there are ids but no texts."""
        found = [{index(i) for i in ids} for ids in _each_sequence(sequences, "fit_on_sequences")]
        self.document_count += len(found)
        for ids in found:
            self.index_docs.update(ids)

    def texts_to_sequences(self, texts: Iterable[str | list[str]]) -> list[list[int]]:
        """The ids of each text's words; see the class for what happens to words without an id."""
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[str | list[str]]) -> Iterator[list[int]]:
        """`texts_to_sequences`, one text at a time."""
        known, limit = self.word_index.get, self.num_words
        unknown = None if self.oov_token is None else known(self.oov_token)
        for words in self._words_of_each(texts, "texts_to_sequences"):
            if words and unknown is None and self.oov_token is not None:  # Keras's answer is [None, None, ...]
                raise ValueError(f"texts_to_sequences: oov_token {self.oov_token!r} has no id; call fit_on_texts first")
            ids = [i for word in words if (i := known(word, unknown)) is not None]
            if limit:
                ids = [j for i in ids if (j := i if i < limit else unknown) is not None]
            yield ids

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """The words of each sequence's ids, joined by spaces; an id without a word is skipped or becomes oov_token.

        >>> tokenizer = Tokenizer(char_level=True)
        >>> tokenizer.fit_on_texts(["我爱中国。"])
        >>> tokenizer.sequences_to_texts([[1, 2, 0, 0]])
        ['我 爱']
        """
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Iterable[int]]) -> Iterator[str]:
        """`sequences_to_texts`, one sequence at a time."""
        limit = self.num_words or float("inf")
        for ids in _each_sequence(sequences, "sequences_to_texts"):
            words = (self.index_word.get(i, self.oov_token) if i < limit else self.oov_token for i in ids)
            yield " ".join(word for word in words if word is not None)

    def texts_to_matrix(self, texts: Iterable[str | list[str]], mode: str = "binary") -> np.ndarray:
        """`sequences_to_matrix` of the texts' ids."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(self, sequences: Iterable[Sequence[int]], mode: str = "binary") -> np.ndarray:
        """One row per text, one column per id: (texts, num_words or number of words + 1), float64.

        With c the number of times id j occurs in the text, a cell holds for mode
        "binary" 1 if c > 0;  "count" c;  "freq" c / (length of the text);
        "tfidf" (1 + log c) * log(1 + document_count / (1 + index_docs[j])) if c > 0.

        >>> tokenizer = Tokenizer()
        >>> tokenizer.fit_on_texts(["to be or not to be"])
        >>> tokenizer.texts_to_matrix(["to be to"], mode="count")
        array([[0., 2., 1., 0., 0.]])
        """
        if mode not in MATRIX_MODES:
            raise ValueError(f"sequences_to_matrix: unknown mode {mode!r}; the modes are {', '.join(MATRIX_MODES)}")
        if not (self.num_words or self.word_index):
            raise ValueError("sequences_to_matrix: the width is unknown; set num_words, or call fit_on_texts first")
        if mode == "tfidf" and not self.document_count:
            raise ValueError("sequences_to_matrix: tfidf weighs by document counts; fit the tokenizer first")

        width = self.num_words or len(self.word_index) + 1
        sequences = [list(ids) for ids in _each_sequence(sequences, "sequences_to_matrix")]
        counts = np.zeros((len(sequences), width))
        for row, ids in zip(counts, sequences):
            for i, count in Counter(ids).items():
                if i < 0:  # NumPy would quietly count it in the last column
                    raise IndexError(f"sequences_to_matrix: id {i} is negative; ids start at 0")
                if i < width:
                    row[i] = count

        if mode == "count":
            return counts
        if mode == "binary":
            return (counts > 0).astype(float)
        if mode == "freq":
            return counts / np.array([max(len(ids), 1) for ids in sequences]).reshape(-1, 1)
        docs = np.array([self.index_docs[i] for i in range(width)])
        frequency = np.log(counts, out=np.zeros_like(counts), where=counts > 0) + (counts > 0)
        return frequency * np.log(1 + self.document_count / (1 + docs))

    def get_config(self) -> dict[str, Any]:
        """Settings and learned tables under Keras's twelve keys; each table is a JSON string, as in Keras.

        `analyzer` is a function and is not part of it: set `tokenizer.analyzer` again after loading.
        """
        settings = ("num_words", "filters", "lower", "split", "char_level", "oov_token", "document_count")
        config = {name: getattr(self, name) for name in settings}
        return config | {name: json.dumps(getattr(self, name)) for name in LEARNED_TABLES}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Tokenizer":
        """The tokenizer that `get_config` (ours or Keras's) described."""
        if missing := [name for name in LEARNED_TABLES if name not in config]:
            raise ValueError(f"Tokenizer.from_config: no {', '.join(missing)}; is this a Tokenizer's get_config()?")
        tokenizer = cls(**{name: value for name, value in config.items() if name not in LEARNED_TABLES})
        tables = {name: json.loads(config[name]) for name in LEARNED_TABLES}
        tokenizer.word_counts = Counter(tables["word_counts"])
        tokenizer.word_docs = Counter(tables["word_docs"])
        tokenizer.word_index = tables["word_index"]
        # A JSON key is always a string.
        tokenizer.index_docs = Counter({int(i): count for i, count in tables["index_docs"].items()})
        tokenizer.index_word = {int(i): word for i, word in tables["index_word"].items()}
        return tokenizer

    def to_json(self, **kwargs: Any) -> str:
        """The tokenizer as JSON, in the layout Keras reads and writes; `kwargs` go to json.dumps."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)

    def _words_of_each(self, texts: Iterable[str | list[str]], caller: str) -> Iterator[Sequence[str]]:
        for position, text in enumerate(check_texts(texts, caller)):
            if isinstance(text, list):
                for word in text:
                    if not isinstance(word, str):
                        raise TypeError(f"{caller}: texts[{position}] holds {_named(word)}; its words must be str")
                yield [word.lower() for word in text] if self.lower else text
            elif self.analyzer is not None and not self.char_level:
                yield list(self.analyzer(text))
            elif not isinstance(text, str):
                raise TypeError(f"{caller}: texts[{position}] is {_named(text)}; expected a str or a list of words")
            elif self.char_level:
                yield text.lower() if self.lower else text
            else:
                yield text_to_word_sequence(text, self.filters, self.lower, self.split)


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """The Tokenizer that `to_json` (ours or Keras's) wrote.

    >>> tokenizer = Tokenizer()
    >>> tokenizer.fit_on_texts(["a b b"])
    >>> tokenizer_from_json(tokenizer.to_json()).word_index
    {'b': 1, 'a': 2}
    """
    content = json.loads(json_string)
    if not isinstance(content, dict) or not isinstance(content.get("config"), dict):
        raise ValueError('tokenizer_from_json: no {"config": {...}} in it; was this written by Tokenizer.to_json()?')
    return Tokenizer.from_config(content["config"])


class TextToIds:
    """Texts to a padded int32 array (texts, maxlen): a fitted tokenizer with the padding the model was trained on.

    Save its `get_config()` beside the weights: a model without its word numbers cannot read.

    >>> tokenizer = Tokenizer(char_level=True)
    >>> tokenizer.fit_on_texts(["我爱中国。"])
    >>> to_ids = TextToIds(tokenizer, maxlen=4, padding="post")
    >>> to_ids(["爱我", "中国"])
    array([[2, 1, 0, 0],
           [3, 4, 0, 0]], dtype=int32)
    >>> TextToIds.from_config(to_ids.get_config())(["国"])
    array([[4, 0, 0, 0]], dtype=int32)
    """

    def __init__(
        self, tokenizer: Tokenizer, maxlen: int | None = None, padding: str = "pre", truncating: str = "pre"
    ) -> None:
        if not isinstance(tokenizer, Tokenizer):
            raise TypeError(f"TextToIds: expected a fitted Tokenizer, found {_named(tokenizer)}")
        if not tokenizer.word_index:
            raise ValueError("TextToIds: the tokenizer knows no words; call fit_on_texts first")
        check_padding("TextToIds", maxlen, padding, truncating)
        self.tokenizer = tokenizer
        self.maxlen = None if maxlen is None else index(maxlen)
        self.padding = padding
        self.truncating = truncating

    def __call__(self, texts: Iterable[str | list[str]]) -> np.ndarray:
        """The ids of `texts`, int32 (texts, maxlen); with maxlen=None as wide as the longest of them."""
        sequences = self.tokenizer.texts_to_sequences(texts)
        return pad_sequences(sequences, self.maxlen, padding=self.padding, truncating=self.truncating)

    def get_config(self) -> dict[str, Any]:
        """Everything `from_config` needs, ready for json.dumps. A tokenizer with an `analyzer` raises ValueError."""
        if self.tokenizer.analyzer is not None:
            raise ValueError("TextToIds: the tokenizer's analyzer is a function and cannot be saved as text")
        padding = {"maxlen": self.maxlen, "padding": self.padding, "truncating": self.truncating}
        return {"tokenizer": self.tokenizer.get_config(), **padding}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TextToIds":
        """The TextToIds that `get_config` described."""
        return cls(**config | {"tokenizer": Tokenizer.from_config(config["tokenizer"])})


def check_texts(texts: Iterable[Any], caller: str) -> Iterable[Any]:
    """`texts` itself. One bare str raises: as an iterable it would quietly become a list of characters."""
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        raise TypeError(f"{caller}: expected a list of texts, found {_named(texts)}; one text goes in a list: [text]")
    return texts


def _each_sequence(sequences: Iterable[Iterable[int]], caller: str) -> Iterator[Iterable[int]]:
    for position, ids in enumerate(sequences):
        if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
            raise TypeError(f"{caller}: sequences[{position}] is {_named(ids)}; expected a list of ids")
        yield ids


def _named(value: object) -> str:
    return "None" if value is None else f"{type(value).__name__} {value!r:.40}"
