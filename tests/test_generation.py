"""From logits to tokens: the numbers follow from the definitions, worked out by hand for one small distribution."""

import numpy as np
import pytest

from tinyllm.generation import distribution, sample

P = np.array([0.5, 0.2, 0.15, 0.1, 0.05])
LOGITS = np.log(P)


def test_temperature_1_changes_nothing():
    np.testing.assert_allclose(distribution(LOGITS), P, rtol=1e-12)


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [
        (0.5, [0.769230769230769, 0.12307692307692307, 0.06923076923076922, 0.030769230769230767, 0.00769230769230769]),
        (2.0, [0.3397178258355988, 0.21485641828017724, 0.18607111639676874, 0.1519264303473666, 0.1074282091400886]),
    ],
)
def test_temperature_raises_probabilities_to_a_power(temperature, expected):
    np.testing.assert_allclose(distribution(LOGITS, temperature), expected, rtol=1e-12)
    powers = P ** (1 / temperature)
    np.testing.assert_allclose(distribution(LOGITS, temperature), powers / powers.sum(), rtol=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_top_k_keeps_the_k_most_probable(k):
    expected = np.where(np.arange(5) < k, P, 0) / P[:k].sum()
    np.testing.assert_allclose(distribution(LOGITS, top_k=k), expected, rtol=1e-12)


@pytest.mark.parametrize(("p", "kept"), [(0.5, 1), (0.6, 2), (0.8, 3), (0.95, 4), (1.0, 5), (1e-9, 1)])
def test_top_p_keeps_the_smallest_set_that_reaches_p(p, kept):
    expected = np.where(np.arange(5) < kept, P, 0) / P[:kept].sum()
    np.testing.assert_allclose(distribution(LOGITS, top_p=p), expected, rtol=1e-12)


def test_the_order_of_the_tokens_does_not_matter():
    order = np.array([3, 0, 4, 2, 1])
    np.testing.assert_allclose(distribution(LOGITS[order], top_p=0.8), distribution(LOGITS, top_p=0.8)[order])


def test_equal_tokens_are_kept_by_lower_id():
    np.testing.assert_array_equal(distribution(np.zeros(4), top_k=2), [0.5, 0.5, 0, 0])


def test_top_p_applies_to_what_top_k_left():
    np.testing.assert_allclose(distribution(LOGITS, top_k=2, top_p=0.7), [1, 0, 0, 0, 0])


def test_a_batch_is_its_rows():
    batch = np.stack([LOGITS, LOGITS[::-1]])
    np.testing.assert_array_equal(distribution(batch, 0.7, 3, 0.9)[1], distribution(LOGITS[::-1], 0.7, 3, 0.9))


@pytest.mark.parametrize("temperature", [1e-3, 1e-6])
def test_a_tiny_temperature_is_greedy_and_does_not_overflow(temperature):
    np.testing.assert_allclose(distribution(np.array([1000.0, 0.0, -1000.0]), temperature), [1, 0, 0])


def test_a_token_at_minus_infinity_never_comes():
    p = distribution(np.array([0.0, -np.inf, 0.0]), temperature=100.0)
    assert p[1] == 0
    assert all(sample(p, np.random.default_rng(seed)) != 1 for seed in range(50))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0}, "temperature must be positive; found 0"),
        ({"temperature": -1}, "temperature must be positive"),
        ({"temperature": float("nan")}, "temperature must be positive"),
        ({"temperature": float("inf")}, "temperature must be positive"),
        ({"top_k": 0}, "top_k must be a whole number of at least 1; found 0"),
        ({"top_k": 2.5}, "top_k must be a whole number of at least 1; found 2.5"),
        ({"top_k": 6}, "top_k must be in 1..5, the size of the vocabulary; found 6"),
        ({"top_p": 0}, "top_p must be above 0"),
        ({"top_p": 1.1}, "top_p must be above 0 and at most 1; found 1.1"),
    ],
)
def test_settings_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        distribution(LOGITS, **options)


def test_samples_come_as_often_as_their_probability_says():
    rng = np.random.default_rng(0)
    counts = np.bincount([sample(P, rng) for _ in range(20_000)], minlength=5)
    np.testing.assert_allclose(counts / 20_000, P, atol=0.01)


def test_the_same_seed_draws_the_same():
    a, b = np.random.default_rng(7), np.random.default_rng(7)
    assert [sample(P, a) for _ in range(20)] == [sample(P, b) for _ in range(20)]


def test_a_token_without_probability_is_never_drawn():
    class Edge:  # the two ends of what Generator.random can return
        def __init__(self, value):
            self.value = value

        def random(self):
            return self.value

    p = np.array([0.0, 0.4, 0.0, 0.6, 0.0])
    assert sample(p, Edge(0.0)) == 1
    assert sample(p, Edge(np.nextafter(1, 0))) == 3


@pytest.mark.parametrize("logits", [[0.0, np.nan], [-np.inf, -np.inf], [np.inf, 0.0]])
def test_logits_that_say_nothing_are_refused(logits):
    with pytest.raises(ValueError, match="weights finite"):
        distribution(logits)
