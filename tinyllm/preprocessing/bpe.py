"""Byte pair encoding (Sennrich et al. 2016), on bytes as in GPT-2 (Radford et al. 2019, section 2.2): any text has ids.

A text is cut into chunks (words with the space before them, numbers, punctuation, white space), a chunk is written as
UTF-8 bytes, and pairs of neighbours become one token, in the order in which the pairs were learnt.
"""

import heapq
import json
import re
import sys
import unicodedata
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import groupby, pairwise
from operator import index
from typing import Any

__all__ = ["BPETokenizer", "whole_numbers"]

MOST_CACHED = 100_000  # chunks whose ids are remembered
MOST_TOKENS = 2**20  # an id in a file decides the size of a model's embedding
MOST_BYTES = 2**26  # of all tokens together: merges of a token with itself double it, and 40 of them are a short file
WHITE = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # Unicode's White_Space

Pair = tuple[int, int]


class BPETokenizer:
    """A vocabulary of bytes and of pairs that were joined.

    merges    pairs of ids, the first to be joined first; merge number i makes the token 256 + i, unless `ids` says else
    specials  {"<|endoftext|>": 50256}: tokens that stand for no text. Text becomes one only where encode() is told so

    >>> tokenizer = BPETokenizer.train("low lower lowest slow", vocab_size=260)
    >>> tokenizer.encode("slower")
    [115, 257, 101, 114]
    >>> tokenizer.decode([115, 257, 101, 114]), tokenizer.tokens[257]
    ('slower', b'low')
    """

    def __init__(
        self,
        merges: Iterable[Sequence[int]] = (),
        specials: Mapping[str, int] | None = None,
        byte_ids: Sequence[int] | None = None,
        ids: Sequence[int] | None = None,
    ):
        self.merges: list[Pair] = [_pair(pair) for pair in merges]
        self.byte_ids = list(range(256)) if byte_ids is None else _ids(byte_ids)
        self.ids = list(range(256, 256 + len(self.merges))) if ids is None else _ids(ids)
        self.specials = dict(specials or {})
        if len(set(self.byte_ids)) != 256 or len(self.byte_ids) != 256 or len(self.ids) != len(self.merges):
            raise ValueError("BPETokenizer: byte_ids are 256 different ids, and ids has one for each merge")
        self.tokens: dict[int, bytes] = {id_: bytes([byte]) for byte, id_ in enumerate(self.byte_ids)}
        self.ranks: dict[Pair, tuple[int, int]] = {}  # pair -> (its rank, the token it becomes)
        size = 0
        for rank, (pair, new) in enumerate(zip(self.merges, self.ids)):
            if pair[0] not in self.tokens or pair[1] not in self.tokens:
                raise ValueError(f"BPETokenizer: merge {rank} joins {pair}, of which one is no token yet")
            size += len(self.tokens[pair[0]]) + len(self.tokens[pair[1]])
            if size > MOST_BYTES:
                raise ValueError(f"BPETokenizer: with merge {rank} the tokens have more than {MOST_BYTES} bytes in all")
            joined = self.tokens[pair[0]] + self.tokens[pair[1]]
            if self.tokens.setdefault(new, joined) != joined:  # two merges may make one token, but of the same bytes
                raise ValueError(f"BPETokenizer: merge {rank} makes token {new}, which stands for other bytes already")
            self.ranks.setdefault(pair, (rank, new))
        self._special_names: dict[int, str] = {}
        for name, id_ in zip(self.specials, _ids(list(self.specials.values()))):
            if not name or not _bytes(name) or id_ in self.tokens or id_ in self._special_names:
                raise ValueError(f"BPETokenizer: the special token {name!r} has no name, or the id {id_} of another")
            self._special_names[id_] = name
        self._cache: dict[str, list[int]] = {}

    @property
    def vocab_size(self) -> int:
        """The largest id plus 1."""
        return 1 + max(*self.tokens, *self.specials.values(), 0)

    # -- learning ---------------------------------------------------------------------------------------------------

    @classmethod
    def train(cls, text: str | Iterable[str], vocab_size: int, specials: Iterable[str] = ()) -> "BPETokenizer":
        """Learn merges until there are vocab_size tokens, the 256 bytes and the specials among them.

        The most frequent pair is joined first; of equally frequent ones the one with the smaller ids. A text that has
        fewer pairs ends the learning early, with a warning. The time is that of the different chunks: a text without
        white space or punctuation is one chunk, and each merge reads all of it again.

        Raises TypeError for what is no text, ValueError for a vocab_size that is too small and a special named twice.
        """
        names = _names(specials)
        if len(set(names)) < len(names):
            raise ValueError(f"train: a special token is named twice in {names}")
        if not hasattr(vocab_size, "__index__"):
            raise TypeError(f"train: vocab_size must be a whole number; found {vocab_size!r:.40}")
        wanted = index(vocab_size) - 256 - len(names)
        if wanted < 0:
            least = 256 + len(names)
            raise ValueError(f"train: vocab_size must be at least {least}, the bytes and specials; found {vocab_size}")
        texts = [text] if isinstance(text, str) or not isinstance(text, Iterable) else list(text)
        for each in texts:
            if not isinstance(each, str):
                raise TypeError(f"train: reads a str, or several; found {type(each).__name__} {each!r:.40}")
        counts = Counter(chunk for each in texts for chunk in _pattern().findall(each))
        merges = _learn([list(_bytes(chunk)) for chunk in counts], list(counts.values()), wanted)
        if len(merges) < wanted:
            warnings.warn(
                f"train: the text has no more pairs to join: {256 + len(merges) + len(names)} tokens instead of "
                f"{vocab_size}; give a longer text or a smaller vocab_size",
                stacklevel=2,
            )
        return cls(merges, {name: 256 + len(merges) + i for i, name in enumerate(names)})

    # -- text to ids and back ---------------------------------------------------------------------------------------

    def encode(self, text: str, allowed_special: Iterable[str] = ()) -> list[int]:
        """The ids of a text. Special tokens are read as such only if they are allowed here, by name; what a user types
        is ordinary text, so it cannot end a conversation or begin another role.

        Raises TypeError for what is no str, and ValueError for an unknown special token or half a surrogate pair.
        """
        if not isinstance(text, str):
            raise TypeError(f"encode: reads a str; found {type(text).__name__} {text!r:.40}")
        names = _names(allowed_special)
        allowed = {name: self.specials[name] for name in names if name in self.specials}
        unknown = next((name for name in names if name not in self.specials), None)
        if unknown is not None:
            known = ", ".join(self.specials) or "none"
            raise ValueError(f"encode: there is no special token {unknown!r}; there are: {known}")
        if not allowed:
            return self._encode_ordinary(text)
        longest_first = sorted(allowed, key=len, reverse=True)
        parts = re.split(f"({'|'.join(map(re.escape, longest_first))})", text)
        return [i for part in parts for i in ([allowed[part]] if part in allowed else self._encode_ordinary(part))]

    def _encode_ordinary(self, text: str) -> list[int]:
        found: list[int] = []
        for chunk in _pattern().findall(text):
            ids = self._cache.get(chunk)
            if ids is None:
                ids = self._join([self.byte_ids[byte] for byte in _bytes(chunk)])
                if len(self._cache) < MOST_CACHED and len(chunk) < 100:
                    self._cache[chunk] = ids
            found += ids
        return found

    def _join(self, ids: list[int]) -> list[int]:
        """Join pairs, the lowest rank first and from the left, in O(n log n): a heap of the pairs of a linked list."""
        after = list(range(1, len(ids) + 1))
        before = list(range(-1, len(ids) - 1))
        ranks = self.ranks
        heap = [(*ranks[pair], i, pair) for i, pair in enumerate(pairwise(ids)) if pair in ranks]
        heapq.heapify(heap)
        while heap:
            _, new, i, (left, right) = heapq.heappop(heap)
            j = after[i]
            if ids[i] != left or j >= len(ids) or ids[j] != right:
                continue  # one of the two was joined to another
            ids[i], ids[j] = new, -1
            after[i] = k = after[j]
            if k < len(ids):
                before[k] = i
                if (pair := (new, ids[k])) in ranks:
                    heapq.heappush(heap, (*ranks[pair], i, pair))
            if (h := before[i]) >= 0 and (pair := (ids[h], new)) in ranks:
                heapq.heappush(heap, (*ranks[pair], h, pair))
        return [i for i in ids if i >= 0]

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes behind ids; a special token's are its name. ValueError for an id that is none."""
        found = []
        for i in whole_numbers(ids):
            if i not in self.tokens and i not in self._special_names:
                raise ValueError(f"decode: there is no token {i}; ids are in 0..{self.vocab_size - 1}")
            found.append(self.tokens[i] if i in self.tokens else self._special_names[i].encode())
        return b"".join(found)

    def decode(self, ids: Iterable[int]) -> str:
        """The text behind ids; bytes that are no UTF-8, such as half a character, become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", "replace")

    # -- files ------------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """What makes an equal one; preprocessing.tokenizers.tokenizer_from_json reads it."""
        described: dict[str, Any] = {"kind": "bpe", "merges": [list(pair) for pair in self.merges]}
        if self.byte_ids != list(range(256)) or self.ids != list(range(256, 256 + len(self.merges))):
            described |= {"byte_ids": self.byte_ids, "ids": self.ids}
        return described | ({"specials": self.specials} if self.specials else {})

    @classmethod
    def from_gpt2(cls, vocab: Any, merges: Any) -> "BPETokenizer":
        """The tokenizer in GPT-2's two files, vocab.json and merges.txt, with its ids."""
        with open(vocab, encoding="utf-8") as file:
            try:
                ids = json.load(file)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"from_gpt2: {vocab} is no JSON: {error}") from None
        if not isinstance(ids, dict):
            raise ValueError(f"from_gpt2: {vocab} must hold an object, token to id; found {type(ids).__name__}")
        with open(merges, encoding="utf-8") as file:
            lines = [line.rstrip("\n") for line in file if not line.startswith("#version")]
        pairs = [tuple(line.split(" ")) for line in lines if line]
        of_byte = _gpt2_letters()
        letters = set(of_byte)
        try:
            found = [(ids[a], ids[b]) for a, b in pairs]
            new = [ids[a + b] for a, b in pairs]
            byte_ids = [ids[letter] for letter in of_byte]
        except (KeyError, ValueError) as error:
            raise ValueError(f"from_gpt2: {merges} and {vocab} do not belong together: {error}") from None
        joined = {*new, *byte_ids}
        specials = {name: i for name, i in ids.items() if i not in joined and not (len(name) == 1 and name in letters)}
        return cls(found, specials, byte_ids, new)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, BPETokenizer) and self.to_json() == other.to_json()

    __hash__ = object.__hash__


def _learn(words: list[list[int]], counts: list[int], wanted: int) -> list[Pair]:
    """Up to `wanted` merges. Only the words that hold a joined pair are looked at again."""
    pairs: dict[Pair, int] = defaultdict(int)
    where: dict[Pair, set[int]] = defaultdict(set)
    for w, word in enumerate(words):
        for pair in pairwise(word):
            pairs[pair] += counts[w]
            where[pair].add(w)
    heap = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < wanted:
        count, best = heapq.heappop(heap)
        if -count != pairs[best] or not count:
            if pairs[best] > 0 and -count > pairs[best]:
                heapq.heappush(heap, (-pairs[best], best))  # it has become rarer
            continue
        new = 256 + len(merges)
        merges.append(best)
        changed: dict[Pair, int] = defaultdict(int)
        for w in where.pop(best):
            word, n = words[w], counts[w]
            for pair in pairwise(word):
                changed[pair] -= n
            joined, i = [], 0
            while i < len(word):
                both = i + 1 < len(word) and word[i] == best[0] and word[i + 1] == best[1]
                joined.append(new if both else word[i])
                i += 2 if both else 1
            words[w] = joined
            for pair in pairwise(joined):
                changed[pair] += n
                where[pair].add(w)
        for pair, change in changed.items():
            if change:
                pairs[pair] += change
                if pair != best and pairs[pair] > 0:
                    heapq.heappush(heap, (-pairs[pair], pair))
        pairs[best] = 0
    return merges


def whole_numbers(ids: Iterable[Any]) -> list[int]:
    """ids as a list of int; TypeError for what is none, such as 1.7 or "97".

    >>> whole_numbers(range(3))
    [0, 1, 2]
    """
    try:
        return [index(i) for i in ids]
    except TypeError:
        raise TypeError(f"decode: needs a row of whole numbers; found {type(ids).__name__} {ids!r:.40}") from None


def _ids(ids: Iterable[Any]) -> list[int]:
    try:
        found = [index(i) for i in ids]
    except TypeError:
        raise ValueError(f"BPETokenizer: ids are whole numbers; found {ids!r:.60}") from None
    wrong = next((i for i in found if not 0 <= i < MOST_TOKENS), None)
    if wrong is not None:
        raise ValueError(f"BPETokenizer: ids are in 0..{MOST_TOKENS - 1}; found {wrong}")
    return found


def _pair(pair: Any) -> Pair:
    found = _ids(pair)
    if len(found) != 2:
        raise ValueError(f"BPETokenizer: a merge joins two ids; found {pair!r:.60}")
    return found[0], found[1]


def _names(specials: Iterable[str]) -> list[str]:
    """One name is meant as one, not as its letters."""
    return [specials] if isinstance(specials, str) else list(specials)


def _bytes(chunk: str) -> bytes:
    try:
        return chunk.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"encode: U+{ord(chunk[error.start]):04X} is half a surrogate pair, which no text may hold; "
            "was it decoded with errors='surrogateescape'?"
        ) from None


@cache
def _pattern() -> re.Pattern:
    r"""GPT-2's pattern, '(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+, for Python's re.

    re has no \p{L} (letters) and \p{N} (numbers), so their ranges are written out, from this Python's Unicode tables.
    """
    ranges: dict[str, str] = defaultdict(str)  # the characters of each category, as the inside of a [...]
    for kind, run in groupby(map(chr, range(sys.maxunicode + 1)), lambda c: unicodedata.category(c)[0]):
        characters = list(run)
        ranges[kind] += f"\\U{ord(characters[0]):08x}-\\U{ord(characters[-1]):08x}"
    letters, numbers = ranges["L"], ranges["N"]
    return re.compile(
        rf"'(?:[sdmt]|ll|ve|re)| ?[{letters}]+| ?[{numbers}]+| ?[^{WHITE}{letters}{numbers}]+"
        rf"|[{WHITE}]+(?![^{WHITE}])|[{WHITE}]+"
    )


def _gpt2_letters() -> list[str]:
    """The printable letter by which GPT-2's files write each byte."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]
