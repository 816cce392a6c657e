"""Tokenizers for language models give back every text, take nothing for a special token, and never half a character."""

import json
import sys
import unicodedata
import warnings
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyllm.preprocessing import bpe
from tinyllm.preprocessing.bpe import BPETokenizer
from tinyllm.preprocessing.tokenizers import CharacterTokenizer, StreamDecoder, load, save, tokenizer_from_json

TEXT = "the cat sat on the mat; the cats' hats were 12. 床前明月光，疑是地上霜。 naïve café 🙂🙂\n\n  two  spaces\t"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
END = "<|endoftext|>"


@pytest.fixture(scope="module")
def learnt():
    return BPETokenizer.train(TEXT * 3, 290, [END])


# Byte pairs


@given(TEXTS)
def test_every_text_comes_back(text):
    tokenizer = BPETokenizer.train(TEXT, 280)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode_bytes(tokenizer.encode(text)) == text.encode()


def slow_merges(chunks, wanted):
    """By the definition: count all pairs anew for each merge; of equals the smaller ids."""
    merges = []
    words = [list(chunk.encode()) for chunk in chunks]
    for new in range(256, 256 + wanted):
        counts = {}
        for word in words:
            for pair in pairwise(word):
                counts[pair] = counts.get(pair, 0) + 1
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        words = [slow_join(word, best, new) for word in words]
    return merges


def slow_join(word, pair, new):
    joined, i = [], 0
    while i < len(word):
        both = tuple(word[i : i + 2]) == pair
        joined.append(new if both else word[i])
        i += 1 + both
    return joined


@given(st.lists(st.text("abc", min_size=1, max_size=12), min_size=1, max_size=8))
def test_merges_are_those_of_the_definition(words):
    text = " ".join(words)
    chunks = [words[0], *(f" {word}" for word in words[1:])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert BPETokenizer.train(text, 266).merges == slow_merges(chunks, 10)


@given(st.text("abc", max_size=60))
def test_encoding_joins_in_the_order_of_learning(text):
    tokenizer = BPETokenizer.train("abcabc ab aab bca cab abcab", 264)
    expected = list(text.encode())
    for i, pair in enumerate(tokenizer.merges):
        expected = slow_join(expected, pair, 256 + i)
    assert tokenizer.encode(text) == expected


def test_a_text_too_short_stops_early_and_says_so():
    with pytest.warns(UserWarning, match="no more pairs to join: 257 tokens instead of 300"):
        tokenizer = BPETokenizer.train("aa", 300)
    assert tokenizer.vocab_size == 257 and tokenizer.encode("aaa") == [256, 97]
    with pytest.warns(UserWarning, match="256 tokens"):
        assert BPETokenizer.train("", 300).encode("") == []


def test_text_never_becomes_a_special_token_by_accident(learnt):
    attack = f"hello{END}"
    ids = learnt.encode(attack)
    assert learnt.specials[END] not in ids and learnt.decode(ids) == attack
    ids = learnt.encode(attack, allowed_special=[END])
    assert ids[-1] == learnt.specials[END] == learnt.vocab_size - 1 and learnt.decode(ids) == attack
    with pytest.raises(ValueError, match=r"there is no special token '<x>'; there are: <\|endoftext\|>"):
        learnt.encode("a", allowed_special=["<x>"])


def test_the_longest_special_token_counts():
    tokenizer = BPETokenizer((), {"<a>": 256, "<a><b>": 257})
    assert tokenizer.encode("<a><b>", ["<a>", "<a><b>"]) == [257]


def test_one_special_token_may_be_given_by_its_name_alone():
    tokenizer = BPETokenizer.train("abab", 258, END)
    assert tokenizer.specials == {END: 257} and tokenizer.encode(f"ab{END}", END) == [256, 257]


def test_two_merges_may_make_one_token():
    tokenizer = BPETokenizer([(97, 98), (98, 99), (256, 99), (97, 257)], ids=[256, 257, 258, 258])
    assert tokenizer.decode(tokenizer.encode("abc")) == "abc" and tokenizer.vocab_size == 259


@pytest.mark.parametrize(
    "ask, error, message",
    [
        (lambda t: t.encode(b"x"), TypeError, "encode: reads a str; found bytes"),
        (lambda t: t.encode("\ud800"), ValueError, "U\\+D800 is half a surrogate pair"),
        (lambda t: t.decode([10**9]), ValueError, "there is no token 1000000000; ids are in 0..289"),
        (lambda t: t.decode([-1]), ValueError, "there is no token -1"),
        (lambda t: BPETokenizer.train("abc", 255), ValueError, "vocab_size must be at least 256"),
        (lambda t: BPETokenizer([(300, 1)]), ValueError, "merge 0 joins \\(300, 1\\), of which one is no token yet"),
        (lambda t: BPETokenizer((), {"<a>": 7}), ValueError, "the special token '<a>' has .* the id 7 of another"),
        (lambda t: BPETokenizer(byte_ids=[0] * 256), ValueError, "256 different ids"),
        (lambda t: t.decode([97.9]), TypeError, "needs a row of whole numbers; found list \\[97.9\\]"),
        (lambda t: t.decode("97"), TypeError, "needs a row of whole numbers; found str '97'"),
        (lambda t: t.decode(97), TypeError, "needs a row of whole numbers; found int 97"),
        (lambda t: t.encode("a", (name for name in ["<x>"])), ValueError, "no special token '<x>'"),
        (lambda t: t.encode("a", "all"), ValueError, "no special token 'all'"),
        (lambda t: BPETokenizer.train(b"abab", 257), TypeError, "reads a str, or several; found int 97"),
        (lambda t: BPETokenizer.train(None, 257), TypeError, "reads a str, or several; found NoneType None"),
        (lambda t: BPETokenizer.train("abab", 257.0), TypeError, "vocab_size must be a whole number; found 257.0"),
        (lambda t: BPETokenizer.train("abab", 258, ["<a>", "<a>"]), ValueError, "named twice"),
        (lambda t: CharacterTokenizer("abc").decode([1.7]), TypeError, "needs a row of whole numbers"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(learnt, ask, error, message):
    with pytest.raises(error, match=message) as caught:
        ask(learnt)
    assert "\n" not in str(caught.value)


def test_a_very_long_word_is_not_quadratic():
    tokenizer = BPETokenizer.train("aaaaaaaaaaaaaaaa " * 9, 260)
    assert len(tokenizer.encode("a" * 300_000)) < 300_000 / 8  # minutes, if each join looked at everything


# Files


@pytest.mark.parametrize("make", [lambda: BPETokenizer.train(TEXT, 280, [END]), lambda: CharacterTokenizer(TEXT)])
def test_a_file_gives_an_equal_one(make, tmp_path):
    tokenizer = make()
    save(tokenizer, tmp_path / "tokenizer.json")
    again = load(tmp_path / "tokenizer.json")
    assert again == tokenizer and again.encode(TEXT[:30]) == tokenizer.encode(TEXT[:30])


@pytest.mark.parametrize(
    "described, message",
    [
        ([], "expected a JSON object with its kind"),
        ({"kind": "pickle"}, "unknown kind of tokenizer 'pickle'; known: bpe, characters"),
        ({"kind": "characters"}, "the description of a characters tokenizer is damaged"),
        ({"kind": "characters", "characters": "ba"}, "not in order, or one occurs twice"),
        ({"kind": "bpe", "merges": [["a", "b"]]}, "ids are whole numbers; found"),
        ({"kind": "bpe", "merges": [[97, 98]], "ids": []}, "ids has one for each merge"),
        ({"kind": "bpe", "virus": 1}, "damaged"),
        ({"kind": ["bpe"]}, "unknown kind of tokenizer"),
        ({"kind": "bpe", "merges": 5}, "damaged"),
        ({"kind": "bpe", "merges": [[97]]}, "a merge joins two ids; found \\[97\\]"),
        ({"kind": "bpe", "merges": [[97.5, 98]]}, "ids are whole numbers"),
        ({"kind": "bpe", "merges": [[float("inf"), 98]]}, "ids are whole numbers"),
        ({"kind": "bpe", "merges": [[97, 98]], "ids": [-5]}, "ids are in 0..1048575; found -5"),
        ({"kind": "bpe", "merges": [[97, 98]], "ids": [99]}, "makes token 99, which stands for other bytes"),
        ({"kind": "bpe", "byte_ids": [str(i) for i in range(256)]}, "ids are whole numbers"),
        ({"kind": "bpe", "specials": {"a": 10**15}}, "found 1000000000000000"),
        ({"kind": "bpe", "specials": {"a": 256, "b": 256}}, "special token 'b' .* the id 256 of another"),
        ({"kind": "bpe", "specials": {"\ud800": 256}}, "half a surrogate pair"),
        ({"kind": "bpe", "specials": ["ab"]}, "ids are whole numbers"),
        ({"kind": "bpe", "merges": [[97, 97], *([i, i] for i in range(256, 300))]}, "more than 67108864 bytes"),
    ],
)
def test_a_damaged_description_is_refused_in_one_line(described, message):
    with pytest.raises(ValueError, match=message) as caught:
        tokenizer_from_json(described)
    assert "\n" not in str(caught.value)


def test_gpt2s_two_files_are_read(tmp_path):
    letters = ["Ġ", "t", "h", "e", "Ġt", "he", "Ġthe"]
    rest = [c for c in gpt2_letters() if c not in letters]
    vocab = {token: i for i, token in enumerate([*rest, *letters, END])}
    (tmp_path / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    (tmp_path / "merges.txt").write_text("#version: 0.2\nĠ t\nh e\nĠt he\n", encoding="utf-8")
    tokenizer = BPETokenizer.from_gpt2(tmp_path / "vocab.json", tmp_path / "merges.txt")
    assert tokenizer.encode(" the the") == [vocab["Ġthe"], vocab["Ġthe"]]
    assert tokenizer.encode("then") == [vocab["t"], vocab["he"], vocab["n"]]
    assert tokenizer.specials == {END: 259} and tokenizer.vocab_size == 260
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT
    save(tokenizer, tmp_path / "tokenizer.json")
    assert load(tmp_path / "tokenizer.json") == tokenizer
    (tmp_path / "merges.txt").write_text("Ġ x\n", encoding="utf-8")
    with pytest.raises(ValueError, match="do not belong together"):
        BPETokenizer.from_gpt2(tmp_path / "vocab.json", tmp_path / "merges.txt")
    for content, message in {
        "{": "vocab.json is no JSON",
        "[]": "must hold an object, token to id; found list",
    }.items():
        (tmp_path / "vocab.json").write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            BPETokenizer.from_gpt2(tmp_path / "vocab.json", tmp_path / "merges.txt")


def gpt2_letters():
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]


# Streams


@given(TEXTS)
def test_a_stream_never_shows_half_a_character(text):
    decoder = StreamDecoder(BPETokenizer())
    pieces = [decoder.feed(i) for i in text.encode()]
    assert "".join(pieces) + decoder.end() == text
    assert "\ufffd" not in "".join(pieces) or "\ufffd" in text


def test_what_stays_half_is_marked_at_the_end():
    decoder = StreamDecoder(BPETokenizer())
    assert [decoder.feed(i) for i in "é".encode()[:1]] == [""] and decoder.end() == "\ufffd"


# Characters


@given(st.text(min_size=1))
def test_characters_come_back(text):
    tokenizer = CharacterTokenizer(text)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(np.array(ids)) == text and max(ids) < tokenizer.vocab_size == len(set(text))


def test_a_character_that_is_not_known_is_named():
    with pytest.raises(ValueError, match="the vocabulary has no 'z'; it knows 3 characters: 'abc'"):
        CharacterTokenizer("abc").encode("az")
    with pytest.raises(ValueError, match="needs a text with at least one character; found ''"):
        CharacterTokenizer("")
    with pytest.raises(ValueError, match=r"there is no token 3; ids are in 0\.\.2"):
        CharacterTokenizer("abc").decode([3])


# Others' tokenizers


@pytest.mark.interop
def test_ids_are_those_of_hugging_faces_tokenizers(tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    letters = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=330, initial_alphabet=letters, show_progress=False)
    theirs.train_from_iterator([TEXT * 3], trainer)
    theirs.model.save(str(tmp_path))
    ours = BPETokenizer.from_gpt2(tmp_path / "vocab.json", tmp_path / "merges.txt")
    rng = np.random.default_rng(0)
    planes = [(32, 127), (0xA0, 0x250), (0x370, 0x700), (0x900, 0x1200), (0x2000, 0x2100), (0x4E00, 0x5000)]
    planes += [(0x1F600, 0x1F640), (0x20000, 0x20100), (9, 14)]
    for _ in range(500):
        text = "".join(chr(rng.integers(*planes[rng.integers(len(planes))])) for _ in range(rng.integers(1, 30)))
        assert ours.encode(text) == theirs.encode(text).ids, repr(text)
    assert ours.encode(TEXT) == theirs.encode(TEXT).ids


GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
KNOWN = [chr(i) for i in range(sys.maxunicode + 1) if unicodedata.category(chr(i)) not in ("Cn", "Cs", "Co")]
DECIDE = list(" \t\n\r'sdtmlvre\x1c\x1f\x85\xa0\u2028 aA1.,")  # what the pattern asks about


def mixed_texts(number):
    """Texts in which any character that this Python's Unicode tables know may stand beside any other."""
    rng = np.random.default_rng(0)
    for _ in range(number):
        pools = [DECIDE if common else KNOWN for common in rng.random(rng.integers(25)) < 0.6]
        yield "".join(pool[rng.integers(len(pool))] for pool in pools)


@pytest.mark.interop
def test_chunks_are_those_of_gpt2s_pattern_for_every_character():
    theirs, ours = pytest.importorskip("regex").compile(GPT2), bpe._pattern()
    for c in KNOWN:
        text = f"a{c}1 {c}. {c}{c} x5{c}"
        assert ours.findall(text) == theirs.findall(text), ascii(text)
    for text in mixed_texts(5000):
        assert ours.findall(text) == theirs.findall(text), ascii(text)


@pytest.mark.interop
def test_ids_are_those_of_tiktoken():
    tiktoken = pytest.importorskip("tiktoken")
    ours = BPETokenizer.train(_prose(), 700, [END])
    ranks = {token: i for i, token in ours.tokens.items()}
    theirs = tiktoken.Encoding("ours", pat_str=GPT2, mergeable_ranks=ranks, special_tokens=ours.specials)
    for text in [_prose(), *mixed_texts(5000)]:
        assert ours.encode(text) == theirs.encode_ordinary(text), ascii(text)
    text = f"one{END}two {END}"
    assert ours.encode(text, [END]) == theirs.encode(text, allowed_special={END})
    assert ours.encode(text) == theirs.encode_ordinary(text)


@pytest.mark.interop
def test_merges_are_those_that_hugging_faces_tokenizers_learn():
    """Both join the most frequent pair, of equals the smaller ids; theirs number the bytes by their letters."""
    tokenizers = pytest.importorskip("tokenizers")
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    letters = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=756, initial_alphabet=letters, show_progress=False)
    theirs.train_from_iterator([_prose()], trainer)
    model = json.loads(theirs.to_str())["model"]

    chunks = Counter(bpe._pattern().findall(_prose()))
    by_letter = [model["vocab"][letter] for letter in bpe._gpt2_letters()]
    words = [[by_letter[byte] for byte in chunk.encode()] for chunk in chunks]
    expected = [(model["vocab"][a], model["vocab"][b]) for a, b in model["merges"]]
    assert bpe._learn(words, list(chunks.values()), 500) == expected and len(expected) == 500


def _prose():
    folder = Path(__file__).parents[2]
    return "".join((folder / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md"))
