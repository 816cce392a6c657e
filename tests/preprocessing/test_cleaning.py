"""Cleaning: what goes, what must stay, that twice is once; and scalings that survive any finite numbers."""

import json
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinyllm.preprocessing.cleaning import clean_text, clean_texts, l2_normalize, min_max_scale, z_score
from tinyllm.preprocessing.text import text_to_word_sequence

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "preprocessing.json").read_text(encoding="utf-8"))
SCALINGS = [min_max_scale, z_score, l2_normalize]


@pytest.mark.parametrize(("text", "cleaned"), GOLDEN["normalisation"]["text_nfkc"].items())
def test_characters_take_their_nfkc_form(text, cleaned):
    assert clean_text(text) == cleaned


@pytest.mark.parametrize("text", ["你好，世界！", "今天天气很好。", "我爱中国。"])
def test_a_cleaned_sentence_gives_the_default_tokenizer_more_words(text):
    assert text_to_word_sequence(clean_text(text)) == GOLDEN["char_level_variant"]["nfkc_then_default_tokenizer"][text]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("<p class='x'>hi</p>", "hi"),
        ("one<br/>two<BR >three", "one two three"),
        ("<ul><li>a</li><li>b</li></ul>", "a b"),
        ("H<sub>2</sub>O, 你<b>好</b>", "H2O, 你好"),
        ("""<a href="x" title='a > b' data-id disabled\n>link</a>""", "link"),
        ("<img src=x.png/>x<svg:rect x='1'/>", "x"),
        ("a<script>alert('<b>') // </scrip</script >b", "ab"),
        ("<STYLE media=print>p { color: red }</STYLE>text", "text"),
        ("a<!-- <b> -- > -->b<!-->c<!--->d", "abcd"),
        ("<?xml version='1.0'?><!DOCTYPE note [<!ENTITY a 'b'>]><note>hi</note>", "hi"),
        ("<![CDATA[1 < 2]]> and <![CDATA[so on]]>", "1 < 2 and so on"),
        ("Fish &amp; chips&nbsp;&lt; &#36;5 &#x1F600;", "Fish & chips < $5 😀"),
        ("&amp;lt;b&amp;gt;bold", "bold"),
        ("＜b＞bold＜／b＞", "bold"),
        ("<scr<!-- -->ipt>alert(1)</script>x", "x"),
        ("&lt;script&gt;alert(1)&lt;/script&gt;x", "x"),
        ("<" * 3 + "b" + ">" * 3, "<<>>"),
        ("\ufeffzero\u200bwidth, soft\xadhyphen\x00\x7f\ud800\udfff", "zerowidth, softhyphen"),
        ("  a\r\n\t b\u3000c\u2028d\x85e\xa0 ", "a b c d e"),
        ("e\u200b\u0301", "é"),
        ("", ""),
    ],
)
def test_markup_and_invisible_characters_go(text, cleaned):
    assert clean_text(text) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "a < b and c > d",
        "a<b and c>d",
        "if (a<b) && (c>d): x <- y -> z <= w",
        "I <3 you",
        "5 < 6 > 4, 1<2>0",
        "AT&T, R&D; ?a=1&copy=2 &nosuch; &",
        "<me@example.com> <https://a-b.org/x>",
        "《三体》 <三体>",
        "an unfinished <b or <!-- or <script",
        "👨\u200d👩\u200d👧 می\u200cخواهم",
        "don't -- stop...",
    ],
)
def test_plain_text_stays(text):
    assert clean_text(text) == text


def test_every_control_and_format_character_goes_unless_text_needs_it():
    needed = {
        *"\u200c\u200d\u180e\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
    }
    needed |= {chr(code) for code in range(0x13430, 0x13440)}
    every = map(chr, range(0x110000))
    hidden = {c for c in every if unicodedata.category(c) in ("Cc", "Cf", "Cs") and not c.isspace()}
    assert clean_text("".join(hidden - needed)) == ""
    assert set(clean_text("".join(hidden & needed))) == hidden & needed


MARKUP = "< > / & ; ! -- - = \" ' ? # [CDATA[ ]]> b br p a script style amp; &lt; &#60; &#x3c; &nvlt; lt x=1 checked"
LETTERS = "＜ ＞ ＆ ； ！ ﹤ ≮ \u0338 \u0301 é e ﷺ ´ \ufeff \u200b \u200d \ud800 \udc00 \x00 \x1c \u1100 \u1161"
pieces = st.sampled_from(f"{MARKUP} {LETTERS}".split(" "))
tangled = st.lists(st.one_of(pieces, st.sampled_from(" \n\u3000\xa0")), max_size=16).map("".join)
any_text = st.text(st.characters(), max_size=30)  # lone surrogates included


@given(st.one_of(tangled, any_text))
@example("&amp;lt;b&amp;gt;")
@example("＜b＞")
@example("<<b>b>")
@example("&" + "amp;" * 40 + "lt;b>")
@example("<b" * 40 + ">" * 40)
def test_cleaning_twice_is_cleaning_once(text):
    once = clean_text(text)
    assert clean_text(once) == once
    assert once == " ".join(once.split()) == unicodedata.normalize("NFKC", once)
    once.encode("utf-8")


@given(st.text("abc 你好。.,!?", max_size=30))
def test_text_without_markup_only_loses_spare_spaces(text):
    assert clean_text(text) == " ".join(text.split())


@pytest.mark.parametrize(
    "unit", ["<a", "<a x=", "<a x='\"", "<!--", "<script>", "<style ", "<![CDATA[", "<?x", "&amp", "<a data-x", "< "]
)
def test_hostile_markup_takes_linear_time(unit):
    start = time.perf_counter()
    clean_text(unit * 20_000)
    clean_text("<a " + unit * 20_000)
    assert time.perf_counter() - start < 2  # some 0.03 s; a quadratic search takes a minute


def test_markup_nested_without_end_is_cut_short():
    assert clean_text("<a" * 300 + ">" * 300 + " end").endswith(" end")
    assert "<" not in clean_text("<a" * 300 + ">" * 300)


def test_only_a_str_can_be_cleaned():
    with pytest.raises(TypeError, match=r"found bytes; decode it first"):
        clean_text(b"abc")
    with pytest.raises(TypeError, match="found NoneType"):
        clean_text(None)
    with pytest.raises(TypeError, match=r"texts\[1\] is NoneType"):
        clean_texts(["a", None])
    with pytest.raises(TypeError, match="one text goes in a list"):
        clean_texts("abc")


def test_empty_and_repeated_texts_go_and_the_order_stays():
    assert clean_texts(["b ", "<p></p>", "a", "<b>b</b>", "", "ａ", "c"]) == ["b", "a", "c"]


@given(st.lists(tangled, max_size=6))
def test_cleaning_a_list_twice_is_cleaning_it_once(texts):
    once = clean_texts(iter(texts))
    assert clean_texts(once) == once
    assert len(set(once)) == len(once)


# --- Scalings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scale", "key"),
    [
        (min_max_scale, "minmax"),
        (z_score, "zscore_population"),
        (lambda x: z_score(x, ddof=1), "zscore_sample"),
        (l2_normalize, "l2"),
    ],
    ids=["minmax", "zscore_population", "zscore_sample", "l2"],
)
def test_the_worked_numbers(scale, key):
    truth = GOLDEN["normalisation"]
    np.testing.assert_allclose(scale(truth["x"]), truth[key], rtol=1e-15)


@pytest.mark.parametrize("value", [0.0, 0.1, -3e300, 5e-324, 1.7976931348623157e308])
def test_a_constant_column_becomes_0(value):
    x = np.full((3, 2), value)  # the mean of three 0.1 is not 0.1
    assert not min_max_scale(x).any()
    assert not z_score(x).any()


def test_a_row_of_zeros_stays_zero():
    assert l2_normalize([[0, 0], [0, 5]]).tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize("factor", [1e308, 1e200, 1.0, 1e-200, 5e-324])
def test_the_size_of_the_numbers_does_not_matter(factor):
    x = np.array([-1.0, 0.0, 1.0]) * factor
    np.testing.assert_array_equal(min_max_scale(x), [0, 0.5, 1])
    np.testing.assert_allclose(z_score(x), [-np.sqrt(1.5), 0, np.sqrt(1.5)], rtol=1e-15)
    np.testing.assert_allclose(l2_normalize(x), [-np.sqrt(0.5), 0, np.sqrt(0.5)], rtol=1e-15)


@pytest.mark.parametrize("scale", SCALINGS)
def test_dtypes_axes_and_empty_arrays(scale):
    x = np.arange(12).reshape(3, 4) ** 2
    assert scale(x).dtype == scale(x > 3).dtype == scale(x.astype(np.float16)).dtype == np.float64
    assert scale(x.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(scale(x, axis=1), scale(x.T, axis=0).T, rtol=1e-15)
    np.testing.assert_allclose(scale(x, axis=None).ravel(), scale(x.ravel()), rtol=1e-15)
    assert [scale(np.zeros(shape)).shape for shape in [(0,), (0, 3), (3, 0)]] == [(0,), (0, 3), (3, 0)]
    original = x.astype(float)
    scale(original)
    np.testing.assert_array_equal(original, x)


@pytest.mark.parametrize("scale", SCALINGS)
def test_what_cannot_be_scaled_is_named(scale):
    with pytest.raises(ValueError, match=rf"{scale.__name__}: x\[1, 0\] is nan"):
        scale([[1.0, 2.0], [np.nan, 3.0]])
    with pytest.raises(ValueError, match=r"x\[2\] is -inf"):
        scale([1, 2, -np.inf])
    with pytest.raises(ValueError, match="single number"):
        scale(5.0)
    for x in (["a"], [None], [1j]):
        with pytest.raises(TypeError, match="expected numbers, found dtype"):
            scale(x)


def test_a_deviation_needs_more_values_than_ddof():
    with pytest.raises(ValueError, match="1 values and ddof=1"):
        z_score([[1.0, 2.0]], ddof=1)


finite = st.sampled_from([np.float32, np.float64]).flatmap(
    lambda dtype: hnp.arrays(
        dtype,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=5),
        elements=st.floats(allow_nan=False, allow_infinity=False, width=np.dtype(dtype).itemsize * 8),
    )
)


@given(finite)
def test_any_finite_numbers_are_scaled_as_promised(x):  # warnings are errors here
    tiny = 8 * np.finfo(x.dtype).eps
    scaled = min_max_scale(x)
    varies = x.max(axis=0) > x.min(axis=0)
    assert (scaled.min(axis=0) == 0).all()
    assert (scaled.max(axis=0) == varies).all()
    scaled = z_score(x)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=tiny)
    np.testing.assert_allclose(scaled.std(axis=0), varies, rtol=tiny)
    scaled = l2_normalize(x)
    np.testing.assert_allclose(np.sqrt((scaled**2).sum(axis=-1)), x.any(axis=-1), rtol=tiny)
    assert (np.sign(scaled) * np.sign(x) >= 0).all()


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
@given(text=st.text(alphabet="<&;lt gtb/＜＞，e\u0301\u200b", max_size=20))
def test_cleaning_is_idempotent_in_every_form(form, text):
    assert clean_text(clean_text(text, form), form) == clean_text(text, form)


def test_chinese_punctuation_survives_nfc_and_an_unknown_form_is_named():
    assert clean_texts(["你好，世界！", "你好，世界！"], form="NFC") == ["你好，世界！"]
    with pytest.raises(ValueError, match="unknown form 'utf-8'; known: NFC, NFD, NFKC, NFKD"):
        clean_text("x", form="utf-8")
