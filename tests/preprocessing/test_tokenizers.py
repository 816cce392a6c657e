"""Tokenizers for language models give back every text, take nothing for a special token, and never half a character."""

import json
import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        ({"kind": "bpe", "merges": [["a", "b"]]}, "invalid literal|damaged"),
        ({"kind": "bpe", "merges": [[97, 98]], "ids": []}, "ids has one for each merge"),
        ({"kind": "bpe", "virus": 1}, "damaged"),
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
