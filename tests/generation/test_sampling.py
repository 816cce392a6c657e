"""From logits to tokens: the numbers follow from the definitions, worked out by hand for one small distribution."""

import json
from pathlib import Path

import numpy as np
import pytest

from tinyllm.generation import Sampling, distinct, distribution, sample
from tinyllm.ops import softmax

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


# -- the settings together ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("p", "kept"), [(0.0, 5), (0.1, 5), (0.11, 4), (0.3, 3), (0.4, 2), (0.41, 1), (1.0, 1)])
def test_min_p_keeps_what_is_that_share_of_the_most_probable(p, kept):
    expected = np.where(np.arange(5) < kept, P, 0) / P[:kept].sum()
    np.testing.assert_allclose(distribution(LOGITS, min_p=p * (1 - 1e-12)), expected, rtol=1e-12)


def test_the_repetition_penalty_divides_positive_logits_and_multiplies_negative_ones():
    logits = np.array([2.0, -1.0, 0.5, 0.0, -np.inf])
    expected = softmax(np.array([1.0, -2.0, 0.5, 0.0, -np.inf]))
    np.testing.assert_allclose(distribution(logits, repetition_penalty=2, seen=[1, 0, 0, 3, 4]), expected, rtol=1e-12)
    np.testing.assert_array_equal(logits, [2.0, -1.0, 0.5, 0.0, -np.inf])


def test_each_row_of_a_batch_has_its_own_seen_tokens():
    batch = np.stack([LOGITS, LOGITS[::-1]])
    both = distribution(batch, repetition_penalty=1.5, seen=[[0, 1], [4, 2]])
    np.testing.assert_array_equal(both[1], distribution(LOGITS[::-1], repetition_penalty=1.5, seen=[4, 2]))


def test_greedy_takes_the_most_probable_after_the_repetition_penalty():
    chosen = Sampling(greedy=True, repetition_penalty=3).probabilities([3.0, 2.0, -1.0], seen=[0])
    np.testing.assert_array_equal(chosen, [0, 1, 0])


def test_the_temperature_applies_before_min_p_does():
    # at temperature 2 the ratios are square roots: 0.05 / 0.5 becomes 0.316
    assert (distribution(LOGITS, temperature=2.0, min_p=0.3) > 0).all()
    assert (distribution(LOGITS, min_p=0.3) > 0).sum() == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0}, "for the most probable token use greedy"),
        ({"temperature": True}, "temperature must be positive; found True"),
        ({"min_p": -0.1}, "min_p must be in 0..1; found -0.1"),
        ({"min_p": float("nan")}, "min_p must be in 0..1; found nan"),
        ({"repetition_penalty": 0}, "repetition_penalty must be positive"),
        ({"repetition_penalty": float("inf")}, "repetition_penalty must be positive"),
        ({"top_p": float("nan")}, "top_p must be above 0"),
        ({"greedy": True, "top_k": 3}, "greedy always takes the most probable token"),
    ],
)
def test_sampling_checks_itself_in_one_line(options, message):
    with pytest.raises(ValueError, match=message) as error:
        Sampling(**options)
    assert "\n" not in str(error.value)


def test_the_truths_worked_examples_come_out():
    """The figures of the course's document: by temperature, top_k and top_p, of P."""
    golden = json.loads((Path(__file__).parents[1] / "golden" / "generation.json").read_text())
    logits = np.log(golden["probs"])
    assert int(Sampling(greedy=True).probabilities(logits).argmax()) == golden["greedy"]
    for name in ("temperature", "top_k", "top_p"):
        for value, expected in golden[name].items():
            number = int(value) if name == "top_k" else float(value)
            np.testing.assert_allclose(distribution(logits, **{name: number}), expected, rtol=1e-12, err_msg=name)
    for n in (1, 2):
        assert distinct(golden["distinct_n"]["tokens"], n) == golden["distinct_n"][f"distinct_{n}"]


def test_distinct_needs_n_tokens():
    assert distinct("aaaa", 4) == 1
    with pytest.raises(ValueError, match="needs at least n = 3 tokens"):
        distinct("ab", 3)


@pytest.mark.interop
@pytest.mark.parametrize("case", range(60))
def test_hugging_faces_processors_in_their_order_give_the_same(case):
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("transformers.generation.logits_process", exc_type=ImportError)
    rng = np.random.default_rng(case)
    logits, seen = rng.normal(0, 3, (2, 12)), rng.integers(0, 12, (2, 5))
    chosen = {
        "repetition_penalty": rng.uniform(0.5, 2),
        "temperature": rng.uniform(0.3, 3),
        "top_k": int(rng.integers(1, 13)),
        "top_p": rng.uniform(0.05, 0.99),
        "min_p": rng.uniform(0, 0.5),
    }
    chosen = {name: value for name, value in chosen.items() if rng.random() < 0.7}
    processors = {
        "repetition_penalty": theirs.RepetitionPenaltyLogitsProcessor,
        "temperature": theirs.TemperatureLogitsWarper,
        "top_k": theirs.TopKLogitsWarper,
        "top_p": theirs.TopPLogitsWarper,
        "min_p": theirs.MinPLogitsWarper,
    }
    scores = torch.tensor(logits)
    for name, processor in processors.items():  # the order of GenerationMixin._get_logits_processor
        if name in chosen:
            scores = processor(chosen[name])(torch.tensor(seen), scores)
    np.testing.assert_allclose(distribution(logits, **chosen, seen=seen), torch.softmax(scores, -1).numpy(), atol=1e-12)
