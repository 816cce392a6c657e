"""NGram against Witten-Bell's definition, counted with dictionaries; its limits."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyllm.corpus import lines_of
from tinyllm.models import NGram

LETTERS = 4
ROWS = st.lists(st.integers(0, LETTERS - 1), min_size=2, max_size=40)
ORDERS = st.integers(1, 8)  # longer than some texts


def by_definition(lines, order):
    """P(token | context), from lines of (x, y) as lists; what stands before a line is None."""
    seen = Counter()
    for x, y in lines:
        for t, token in enumerate(y):
            for k in range(order):
                seen[(*_context(x[: t + 1], k), "->", token)] += 1

    def probability(context, token, k=order - 1):
        if k < 0:
            return 1 / LETTERS
        h = _context(context, k)
        following = [n for key, n in seen.items() if key[:-2] == h]
        shorter = probability(context, token, k - 1)
        if not following:
            return shorter
        return (seen[(*h, "->", token)] + len(following) * shorter) / (sum(following) + len(following))

    return probability


def _context(ids, k):
    return tuple([None] * (k - len(ids)) + list(ids)[len(ids) - min(k, len(ids)) :])


def test_a_small_case_by_hand_is_witten_and_bells_formula():
    text = np.array([0, 1, 2, 0, 1, 3, 0, 1, 2])
    model = NGram(4, 2, dtype="float64")
    model.count(text)
    singles = np.array([2, 3, 2, 1])  # of text[1:]
    lower = (singles + 4 / 4) / (8 + 4)
    after_1 = (np.array([0, 0, 2, 1]) + 2 * lower) / (3 + 2)
    np.testing.assert_allclose(model.probabilities([1]), after_1, rtol=1e-12)
    np.testing.assert_allclose(model.probabilities([0]), (np.array([0, 3, 0, 0]) + lower) / 4, rtol=1e-12)


@given(ROWS, ROWS, ORDERS)
def test_probabilities_are_those_of_the_definition(text, other, order):
    model = NGram(LETTERS, order=order)
    model.count(np.array(text))
    probability = by_definition([(text[:-1], text[1:])], order)
    expected = [probability(other, token) for token in range(LETTERS)]
    np.testing.assert_allclose(model.probabilities(other), expected, rtol=1e-5)
    nats = -np.mean([np.log(probability(other[: t + 1], other[t + 1])) for t in range(len(other) - 1)])
    np.testing.assert_allclose(model.nats(np.array(other)), nats, rtol=1e-12)


@given(st.lists(st.lists(st.integers(1, LETTERS - 1), min_size=1, max_size=8), min_size=1, max_size=6), ORDERS)
def test_no_context_crosses_a_line(lines, order):
    model = NGram(LETTERS, order=order)
    x, y = lines_of(lines, boundary=0)
    model.count_lines(x, y)
    pairs = [([0, *line], [*line, 0]) for line in lines]
    probability = by_definition(pairs, order)
    each = [np.log(probability(a[: t + 1], token)) for a, b in pairs for t, token in enumerate(b)]
    np.testing.assert_allclose(model.nats_of_lines(x, y), -np.mean(each), rtol=1e-12)
    turned = model.nats_of_lines(x[::-1], y[::-1])
    np.testing.assert_allclose(turned, -np.mean(each), rtol=1e-12)


@given(ROWS, ROWS, ORDERS)
def test_probabilities_sum_to_one_and_none_is_zero(text, context, order):
    model = NGram(LETTERS, order=order)
    model.count(np.array(text))
    p = model.probabilities(context)
    assert p.shape == (LETTERS,) and p.min() > 0
    np.testing.assert_allclose(p.sum(), 1, rtol=1e-5)


@pytest.mark.parametrize("length", range(1, 9))
def test_a_text_shorter_than_the_order_has_probabilities_too(length):
    model = NGram(LETTERS, order=8)
    model.count(np.arange(20) % LETTERS)
    p = model.probabilities(np.arange(length) % LETTERS)
    assert p.argmax() == length % LETTERS


def test_nothing_counted_is_uniform():
    np.testing.assert_allclose(NGram(LETTERS, order=3).probabilities([2, 1]), 1 / LETTERS, rtol=1e-6)


@given(ROWS, st.lists(st.integers(0, LETTERS - 1), min_size=1, max_size=12), ORDERS)
def test_reading_token_by_token_gives_the_same_scores(text, ids, order):
    model = NGram(LETTERS, order=order)
    model.count(np.array(text))
    state, ids = None, np.array([ids])
    for t in range(ids.shape[1]):
        scores, state = model.step(ids[:, t : t + 1], state)
    np.testing.assert_array_equal(scores[0], model.scores(ids)[0, -1])


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
def test_the_ids_kind_of_integer_plays_no_part(dtype):
    ids = np.array([0, 1, 0, 2, 3, 1, 0])
    one, other = NGram(LETTERS, order=5), NGram(LETTERS, order=5)
    one.count(ids)
    other.count(ids.astype(dtype))
    assert one.nats(ids) == other.nats(ids.astype(dtype))


@pytest.mark.parametrize(
    "ask, error, message",
    [
        (lambda m: NGram(50257, order=5), ValueError, "order 5 is too high for 50257 tokens; at most 4"),
        (lambda m: NGram(3, order=0), ValueError, "order must be a positive whole number; found 0"),
        (lambda m: m.count(np.array([0, LETTERS, 1])), IndexError, r"token id 4 is outside 0\.\.3"),
        (lambda m: m.count(np.array([0, 1, LETTERS])), IndexError, r"token id 4 is outside 0\.\.3"),
        (lambda m: m.count(np.array([0, -1, 1])), IndexError, r"token id -1 is outside 0\.\.3"),
        (lambda m: m.count(np.array([0.0, 1.5])), TypeError, "ids are whole numbers; found an array of float64"),
        (lambda m: m.count(np.array([1])), ValueError, "at least 2 ids"),
        (lambda m: m.nats(np.array([0, 7])), IndexError, r"token id 7 is outside 0\.\.3"),
        (lambda m: m.probabilities([7]), IndexError, r"token id 7 is outside 0\.\.3"),
        (lambda m: m.probabilities([]), ValueError, "at least one id to go on from"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(ask, error, message):
    with pytest.raises(error, match=message) as caught:
        ask(NGram(LETTERS, order=3))
    assert "\n" not in str(caught.value)
