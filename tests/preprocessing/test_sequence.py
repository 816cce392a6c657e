"""Padding and truncation against Keras's recorded answers, then what must not happen silently."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyllm.preprocessing.sequence import pad_sequences

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "preprocessing.json").read_text(encoding="utf-8"))
ERRORS = {"ValueError": ValueError, "TypeError": TypeError}
ENDS = st.sampled_from(["pre", "post"])


def readable(case):
    return f"{case['seqs']} {' '.join(f'{name}={value}' for name, value in case['kw'].items())}"


@pytest.mark.parametrize("case", [c for c in GOLDEN["pad_sequences"] if "ok" in c["result"]], ids=readable)
def test_padding_as_in_keras(case):
    truth, padded = case["result"]["ok"], pad_sequences(case["seqs"], **case["kw"])
    assert (padded.dtype.name, list(padded.shape)) == (truth["dtype"], truth["shape"])
    assert padded.tolist() == truth["out"]


@pytest.mark.parametrize("case", [c for c in GOLDEN["pad_sequences"] if "error" in c["result"]], ids=readable)
def test_what_keras_refuses_is_refused_in_words(case):
    with pytest.raises(ERRORS[case["result"]["error"]], match="pad_sequences: "):
        pad_sequences(case["seqs"], **case["kw"])


def test_maxlen_0_is_keras_s_corner():
    with pytest.raises(ValueError, match="maxlen is 0, which leaves no room"):
        pad_sequences([[1]], maxlen=0)
    assert pad_sequences([[1], []], maxlen=0, truncating="post").shape == (2, 0)
    assert pad_sequences([[], []], maxlen=0).shape == (2, 0)


@pytest.mark.parametrize("truncating", ["pre", "post"])
def test_a_negative_maxlen_is_refused(truncating):
    with pytest.raises(ValueError, match="maxlen is -1"):
        pad_sequences([[1]], maxlen=-1, truncating=truncating)


def test_no_sequences_have_no_longest():
    with pytest.raises(ValueError, match="give maxlen"):
        pad_sequences([])


def test_a_wrong_end_is_refused_even_when_nothing_needs_it():
    with pytest.raises(ValueError, match="padding is 'mid'"):
        pad_sequences([[]], padding="mid")
    with pytest.raises(ValueError, match="truncating is 'mid'"):
        pad_sequences([[1]], truncating="mid")


@pytest.mark.parametrize("sequences", [None, 5, "abc", iter([[1]]), [[1], "23"], [[1], None], ["abc"]])
def test_only_a_list_of_lists_can_be_padded(sequences):
    with pytest.raises(ValueError, match=r"expected a list of sequences|must be a list of items"):
        pad_sequences(sequences)


LARGE = 2**31


TOO_LARGE_LISTS = [[1, LARGE], [-LARGE - 1], [1e10], [2**80], [np.float64(3e9)], [np.array(LARGE)]]
TOO_LARGE_ARRAYS = [np.array([LARGE]), np.array([1e10]), np.array([2**63], np.uint64), np.array([LARGE], object)]


@pytest.mark.parametrize("items", TOO_LARGE_LISTS + TOO_LARGE_ARRAYS, ids=repr)
def test_an_id_too_large_for_the_dtype_does_not_wrap(items):
    with pytest.raises(OverflowError, match=r"pad_sequences: sequences\[1\]: "):
        pad_sequences([[0], items])


def test_the_largest_ids_fit():
    padded = pad_sequences([np.array([LARGE - 1, -LARGE]), [1.9, -1.9]])
    assert padded.tolist() == [[LARGE - 1, -LARGE], [1, -1]]
    assert pad_sequences([np.array([255])], dtype="uint8").tolist() == [[255]]
    with pytest.raises(OverflowError, match="-1 is out of bounds for uint8"):
        pad_sequences([np.array([-1])], dtype="uint8")
    with pytest.raises(OverflowError):  # 2**63 - 1 rounds up to 2**63 as a float64
        pad_sequences([np.array([2.0**63])], dtype="int64")


@pytest.mark.parametrize("items", [[float("nan")], np.array([1.0, np.nan]), [[np.nan, 1.0]]], ids=repr)
def test_nan_does_not_become_an_integer(items):
    with pytest.raises(ValueError, match=r"sequences\[0\]: cannot convert float NaN"):
        pad_sequences([items])
    assert np.isnan(pad_sequences([items], dtype="float32")).any()


def test_the_padding_value_is_checked_too():
    for value, error in [(np.nan, ValueError), (np.inf, OverflowError), (LARGE, OverflowError), (None, TypeError)]:
        with pytest.raises(error, match="pad_sequences: value: "):
            pad_sequences([[1]], maxlen=2, value=value)
    assert pad_sequences([[1]], maxlen=2, value=-0.9).tolist() == [[0, 1]]


def test_strings_need_dtype_object_or_enough_width():
    texts = [["today", "is"], ["fine"]]
    assert pad_sequences(texts, dtype=object, value="<PAD>", padding="post").tolist() == [
        ["today", "is"],
        ["fine", "<PAD>"],
    ]
    assert pad_sequences(texts, dtype="U5", value="").tolist() == [["today", "is"], ["", "fine"]]
    for value in ("", "<PAD>"):
        with pytest.raises(ValueError, match="use dtype=object"):
            pad_sequences(texts, dtype=str, value=value)


def test_items_of_different_shapes_are_refused_with_both_places():
    with pytest.raises(ValueError, match=r"sequences\[2\] has items of shape \(1,\), sequences\[1\] of shape \(2,\)"):
        pad_sequences([[], [[1, 2]], [[3]]])
    with pytest.raises(ValueError, match=r"sequences\[0\]: .*inhomogeneous"):
        pad_sequences([[[1, 2], [3]]])


def test_arrays_tuples_and_an_array_of_rows_are_sequences():
    expected = [[0, 1, 2], [3, 4, 5]]
    assert pad_sequences([np.array([1, 2]), (3, 4, 5)]).tolist() == expected
    assert pad_sequences(np.array(expected)).tolist() == expected
    assert pad_sequences({"a": 1}.items(), dtype=object).tolist() == [["a", 1]]


def test_the_result_is_a_copy():
    rows = np.zeros((2, 3), dtype="int32")
    pad_sequences(rows)[:] = 1
    assert not rows.any()


@given(st.lists(st.lists(st.integers(-9, 9), max_size=6), min_size=1, max_size=5), st.integers(1, 8), ENDS, ENDS)
def test_a_row_is_its_sequence_cut_and_filled(sequences, maxlen, padding, truncating):
    padded = pad_sequences(sequences, maxlen, padding=padding, truncating=truncating, value=77)
    for row, items in zip(padded.tolist(), sequences):
        kept = items[max(len(items) - maxlen, 0) :] if truncating == "pre" else items[:maxlen]
        filling = [77] * (maxlen - len(kept))
        assert row == (filling + kept if padding == "pre" else kept + filling)


@given(st.lists(st.lists(st.integers(0, 9), max_size=6), min_size=1, max_size=5), ENDS)
def test_padding_twice_is_padding_once(sequences, padding):
    once = pad_sequences(sequences, padding=padding)
    if once.shape[1]:
        np.testing.assert_array_equal(pad_sequences(once, once.shape[1], padding=padding), once)
