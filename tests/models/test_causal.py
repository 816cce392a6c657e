"""What every CausalLM keeps to: step by step equals all at once, nothing looks ahead, select() copies."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyllm import losses, optimizers
from tinyllm.models import GPT, MLPLM, Bigram, RecurrentLM

VOCABULARY = 11
MODELS = {
    "bigram": lambda: Bigram(VOCABULARY),
    "mlp": lambda: MLPLM(VOCABULARY, context=5, embedding=6, width=12),
    "gpt": lambda: GPT(VOCABULARY, context=24, depth=2, heads=2, width=16),
    "gpt, biases": lambda: GPT(VOCABULARY, context=9, depth=3, heads=4, width=16, bias=True),
    "gpt, long": lambda: GPT(VOCABULARY, context=600, depth=2, heads=2, width=16),
    "gpt, context 1": lambda: GPT(VOCABULARY, context=1, depth=1, heads=1, width=8),
    "gpt, float64": lambda: GPT(VOCABULARY, context=24, depth=1, heads=2, width=16, dtype="float64"),
} | {
    f"{cell}, {depth} layers{', tied' if tied else ''}": lambda cell=cell, depth=depth, tied=tied: RecurrentLM(
        VOCABULARY, cell, embedding=10, width=10 if tied else 14, depth=depth, tied=tied
    )
    for cell, depth, tied in itertools.product(("lstm", "gru", "rnn"), (1, 2, 3), (False, True))
}


@pytest.fixture(params=MODELS, scope="module")
def model(request):
    """A model that is not as it was made: biases are not 0, and what was read matters."""
    model = MODELS[request.param]()
    model.ensure_ready()
    rng = np.random.default_rng(3)
    for weight in model.weights:
        weight.data[...] += rng.normal(0, 0.25, weight.shape)
    return model


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, VOCABULARY, shape)


def at_once(model, ids):
    """The logits of what follows each token, from call(), where each sees no more than the context."""
    window = model.context
    if window is None or ids.shape[1] <= window:
        return model(ids).data
    first = model(ids[:, :window]).data
    rows = np.concatenate([ids[:, t - window + 1 : t + 1] for t in range(window, ids.shape[1])])
    later = model(rows).data[:, -1].reshape(-1, len(ids), model.vocab_size).swapaxes(0, 1)
    return np.concatenate([first, later], axis=1)


# -- step by step equals all at once --------------------------------------------------------------------------------


def test_500_tokens_step_by_step_have_the_logits_of_reading_them_at_once(model):
    token, state, ids, found = np.array([[1]]), None, [1], []
    for _ in range(500):
        logits, state = model.step(token, state)
        found.append(logits[0])
        token = logits.argmax(axis=1)[:, None]
        ids.append(int(token[0, 0]))
    expected = at_once(model, np.array([ids[:-1]]))[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(np.argmax(found, -1), expected.argmax(-1))
    assert logits.dtype == model.dtype


@given(cuts=st.sets(st.integers(1, 59)), batch=st.integers(1, 3), seed=st.integers(0, 99))
def test_tokens_may_be_read_in_pieces_of_any_length(model, cuts, batch, seed):
    ids, state = drawn(batch, 60, seed=seed), None
    expected = at_once(model, ids)
    for begin, end in itertools.pairwise(sorted(cuts | {0, 60})):
        logits, state = model.step(ids[:, begin:end], state)
        np.testing.assert_allclose(logits, expected[:, end - 1], atol=1e-5)


def test_a_row_does_not_depend_on_its_neighbours(model):
    ids, state, alone = drawn(3, 40), None, [None] * 3
    for t in range(40):
        logits, state = model.step(ids[:, t : t + 1], state)
        for row in range(3):
            one, alone[row] = model.step(ids[row : row + 1, t : t + 1], alone[row])
            np.testing.assert_allclose(one[0], logits[row], atol=1e-5)


def test_scores_are_the_logits_of_call(model):
    ids = drawn(2, min(20, model.context or 20) if "gpt" in model.name else 20)
    np.testing.assert_allclose(model.scores(ids), model(ids).data, atol=1e-5)


# -- nothing looks ahead --------------------------------------------------------------------------------------------


def test_a_later_token_never_changes_an_earlier_logit(model):
    time = min(20, model.context) if isinstance(model, GPT) else 20
    ids = drawn(1, time)
    before = model(ids).data
    for t in range(1, time):
        other = ids.copy()
        other[:, t:] = (other[:, t:] + 1) % VOCABULARY
        np.testing.assert_allclose(model(other).data[:, :t], before[:, :t], atol=1e-6)
        assert not np.allclose(model(other).data[:, t], before[:, t])


# -- select() copies ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [3, 8, 30])
def test_writing_on_from_one_copy_does_not_disturb_another(model, read):
    ids = drawn(2, read)
    _, state = model.step(ids, None)
    rows = np.array([1, 0, 1])
    copies = [model.select(state, rows) for _ in range(3)]
    found = []
    for seed, copy in enumerate(copies):
        behind = drawn(3, 6, seed=seed)
        for t in range(6):
            logits, copy = model.step(behind[:, t : t + 1], copy)
        found.append((logits, behind))
    for logits, behind in found:
        expected = at_once(model, np.concatenate([ids[rows], behind], axis=1))[:, -1]
        np.testing.assert_allclose(logits, expected, atol=1e-5)
    logits, _ = model.step(drawn(2, 1), state)  # and the original is what it was
    np.testing.assert_allclose(logits, at_once(model, np.concatenate([ids, drawn(2, 1)], axis=1))[:, -1], atol=1e-5)


def test_a_row_may_be_written_on_twice_with_different_tokens(model):
    """Two beams that come from one."""
    ids = drawn(1, 4)
    _, state = model.step(ids, None)
    logits, _ = model.step(np.array([[2], [5]]), model.select(state, np.array([0, 0])))
    for row, token in zip(logits, (2, 5)):
        expected = at_once(model, np.append(ids, [[token]], axis=1))[0, -1]
        np.testing.assert_allclose(row, expected, atol=1e-5)


# -- what else step() promises --------------------------------------------------------------------------------------


def test_step_records_nothing_and_sees_trained_weights(model):
    x, y = drawn(4, 1), drawn(4, 1, seed=1)
    _, state = model.step(x, None)
    before, _ = model.step(x, model.select(state, np.arange(4)))
    model.compile(optimizers.SGD(0.5), losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=1, verbose=0)
    after, _ = model.step(x, None)
    assert isinstance(after, np.ndarray)
    np.testing.assert_allclose(after, model(x).data[:, -1], atol=1e-5)
    assert not np.allclose(before, after)


@pytest.mark.parametrize("wrong", [-1, VOCABULARY])
def test_an_id_outside_the_vocabulary_is_named(wrong):
    for make in MODELS.values():
        with pytest.raises(IndexError, match=f"token id {wrong} is outside") as error:
            make().step(np.array([[0, wrong]]), None)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([1, 2], ValueError, r"reads ids \(batch, time\).*found \(2,\)"),
        (np.zeros((2, 0), int), ValueError, r"at least one token a row; found \(2, 0\)"),
        ([[0.5]], TypeError, "ids are whole numbers; found float64"),
    ],
)
def test_what_are_no_rows_of_ids_is_told_in_one_line(model, ids, error, message):
    with pytest.raises(error, match=message):
        model.step(ids, None)


def test_wrong_ids_leave_the_state_as_it_was(model):
    _, state = model.step(drawn(1, 3), None)
    with pytest.raises(IndexError):
        model.step(np.array([[VOCABULARY]]), state)
    logits, _ = model.step(drawn(1, 1), state)
    expected = at_once(model, np.concatenate([drawn(1, 3), drawn(1, 1)], axis=1))[:, -1]
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_what_training_carries_is_not_disturbed_by_writing():
    model = RecurrentLM(VOCABULARY, "lstm", 4, 5, carry=True)
    model(drawn(2, 3), training=True)
    before = [s.copy() for s in model.cells[0].states]
    model.step(drawn(1, 3), None)
    for kept, now in zip(before, model.cells[0].states):
        np.testing.assert_array_equal(kept, now)


def test_more_than_the_context_at_once_is_refused_by_call_and_cut_by_step():
    model = GPT(VOCABULARY, context=4, depth=1, heads=1, width=8)
    ids = drawn(2, 7)
    with pytest.raises(ValueError, match="7 tokens are more than its context of 4"):
        model(ids)
    np.testing.assert_allclose(model.step(ids, None)[0], model(ids[:, -4:]).data[:, -1], atol=1e-6)


@pytest.mark.parametrize("make", [MODELS["gpt"], MODELS["mlp"], MODELS["lstm, 1 layers"]])
def test_a_first_reading_that_failed_does_no_harm(make):
    model = make()
    with pytest.raises((IndexError, ValueError)):
        model(np.full((1, 30), VOCABULARY + 5))
    logits, _ = model.step(drawn(1, 3), None)
    np.testing.assert_array_equal(logits, make().step(drawn(1, 3), None)[0])
    assert model.named_weights.keys() == make().named_weights.keys()
