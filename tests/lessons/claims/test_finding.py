"""The ledger of the article's claims cannot say what a computation contradicts."""

import json
from fractions import Fraction

import numpy as np
import pytest

from tinyllm import Tensor
from tinyllm.lessons import claim, table
from tinyllm.lessons.claims import LEDGER
from tinyllm.lessons.claims.finding import NUMBER

EVERY = pytest.mark.parametrize("entry", LEDGER.values(), ids=list(LEDGER))


def numbers(text):
    return [float(m[0]) for m in NUMBER.finditer(text)]


@EVERY
def test_an_entry_agrees_with_itself(entry):
    if entry.truth:
        claim(
            entry.id, computed=numbers(entry.truth), claimed=numbers(entry.truth) if entry.verdict == "right" else None
        )
    if entry.claimed and entry.verdict == "wrong":
        with pytest.raises(AssertionError, match=r"out of date.*agrees with the claim"):
            claim(entry.id, computed=numbers(entry.claimed))
    if entry.claimed and entry.verdict.startswith("right"):
        claim(entry.id, computed=numbers(entry.claimed) if not entry.truth else numbers(entry.truth))
        with pytest.raises(AssertionError, match="does not agree"):
            claim(entry.id, computed=np.add(numbers(entry.claimed), 1))


@EVERY
def test_a_statement_that_was_tried_decides_a_verdict(entry):
    wanted = {"right": True, "right given a wrong input": True, "wrong": False}.get(entry.verdict)
    if wanted is not None:
        claim(entry.id, computed=wanted)
        with pytest.raises(AssertionError, match=entry.id):
            claim(entry.id, computed=not wanted)


@pytest.mark.parametrize("value", [0.34, 0.3449, 0.33501, np.float32(0.34), Fraction(34, 100), Tensor(0.34), [0.34]])
def test_a_number_agrees_at_the_decimals_that_are_printed(value):
    claim("S4-38", computed=value)


@pytest.mark.parametrize("value", [0.3451, 0.33, -0.34, np.nan, np.inf, RuntimeError("no number"), False])
def test_a_number_outside_the_printed_decimals_does_not_agree(value):
    with pytest.raises(AssertionError, match="S4-38"):
        claim("S4-38", computed=value)


def test_a_wrong_result_that_misses_the_truth_is_refused():
    with pytest.raises(AssertionError, match=r"0\.105361 as the truth, but 2\.30259 was computed"):
        claim("S4-12", computed=-np.log(0.1))


def test_a_formula_without_a_printed_number_is_compared_with_its_value():
    claim("S4-02", computed=2.0, claimed=-2.0)
    with pytest.raises(AssertionError, match="agrees with the claim -2"):
        claim("S4-02", computed=-2.0 + 1e-5, claimed=-2.0)
    with pytest.raises(AssertionError, match="does not agree"):
        claim("S4-06", computed=[1.0, 2.0], claimed=[1.0, 2.001])


def test_an_exception_is_a_failed_claim_and_is_shown():
    shown = repr(claim("S5-16", computed=TypeError("object of type 'numpy.float32' has no len()")))
    assert "computed TypeError: object of type 'numpy.float32' has no len(): wrong" in shown


def test_another_number_of_numbers_is_an_error():
    with pytest.raises(ValueError, match="S4-09: 1 numbers were expected"):
        claim("S4-09", computed=[0.1, 0.2])


def test_unknown_claims_and_languages_are_refused():
    with pytest.raises(KeyError, match="S9-99"):
        claim("S9-99")
    with pytest.raises(ValueError, match="'en' or 'zh'"):
        claim("S4-09", language="fr")


def test_text_is_english_unless_chinese_is_asked_for():
    assert repr(claim("S4-14", computed=7)).isascii()
    assert repr(claim("S4-14", computed=7, language="zh")).startswith(
        "S4-14（第 179 行）：1-2-1 网络的权重个数；文中 10，算得 7：错误。"
    )
    assert repr(table([claim("S4-14", computed=7)])).isascii()


def test_a_notebook_shows_both_languages_or_the_one_asked_for():
    both = claim("S4-14", computed=7)._repr_html_()
    assert "wrong<br>错误" in both and both.count("<tr") == 2
    english = table([claim("S4-14", computed=7, language="en")])._repr_html_()
    assert english.isascii() and "wrong" in english
    assert "wrong" not in claim("S4-14", computed=7, language="zh")._repr_html_()


def test_html_is_escaped():
    shown = claim("S5-20", computed="<b>")._repr_html_()
    assert "&lt;PAD&gt;" in shown and "&lt;b&gt;" in shown and "<b>" not in shown


# -- for machines ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("id", "claimed", "computed"),
    [
        ("S4-14", 10, 7),
        ("S4-09", -0.105, pytest.approx(0.105361, abs=1e-6)),
        ("S4-23", [0, 0, 0, 0], [0, 1, 0, 1]),
        ("S4-26", -1.2, -2.2),
        ("S4-50", True, False),
        ("S5-07", [[1], [2], [3]], [[1], [2], [3]]),
        ("S5-18", True, "IndexError: index 1 is out of bounds for axis 0 with size 1"),
        ("S5-29", [1], [0]),
        ("S7-02", True, "not known"),
        ("S9-02", [True, True], [True, False]),
    ],
)
def test_json_has_numbers_lists_texts_and_booleans(id, claimed, computed):
    found = claim(id).as_json()
    assert (found["claimed"], found["computed"]) == (claimed, computed)


def is_json(value):
    """Of the types that JSON has, exactly: no array, no NumPy number, no NaN, no null."""
    if isinstance(value, list):
        return all(map(is_json, value))
    return type(value) in (int, float, str, bool) and value == value


@EVERY
def test_every_claim_survives_json_and_the_verdict_can_be_read_off(entry):
    found = claim(entry.id).as_json()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert is_json(found["claimed"]) and is_json(found["computed"])
    if entry.verdict == "wrong":
        assert found["claimed"] != found["computed"]
    if entry.verdict.startswith("right"):
        margin = 0.5 if entry.id == "S8-01" else 5e-4  # printed as 175, and to three decimals
        np.testing.assert_allclose(found["computed"], found["claimed"], rtol=0, atol=margin)


def test_json_says_why_in_the_language_that_is_asked_for():
    assert claim("S4-14").as_json()["says"] == "a 1-2-1 network has this many weights"
    assert claim("S4-14").as_json("zh")["says"] == "1-2-1 网络的权重个数"
    assert claim("S4-14").as_json("zh")["why"].endswith("。")
