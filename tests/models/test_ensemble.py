"""A vote is the mean or the majority; an ensemble predicts and evaluates like a model and is trained like none."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyllm.layers import Concatenate, Dense, Input
from tinyllm.models import Model, Sequential
from tinyllm.models.ensemble import Ensemble, hard_vote, soft_vote

CASE = json.loads((Path(__file__).parents[1] / "golden" / "fairness.json").read_text())["ensembling"]
MEMBERS = np.array(CASE["member_probs"])[..., None]
X = np.random.default_rng(0).standard_normal((12, 3))
Y = (X[:, 0] > 0).astype(int)


def members(units=1, activation="sigmoid", n=3):
    models = [Sequential([Dense(units, activation, input_shape=(3,))], seed=seed, dtype="float64") for seed in range(n)]
    loss = "binary_crossentropy" if units == 1 else "sparse_categorical_crossentropy"
    for model in models:
        model.compile("sgd", loss, ["accuracy"])
    return models


def test_the_soft_vote_is_the_stored_one():
    np.testing.assert_allclose(soft_vote(MEMBERS)[:, 0], CASE["soft_vote"], rtol=0, atol=1e-12)


def test_the_hard_vote_is_the_stored_one():
    np.testing.assert_array_equal(hard_vote(MEMBERS)[:, 0], CASE["hard_vote_threshold_0.5"])


def test_a_soft_ensemble_predicts_the_mean_of_its_members():
    for models in (members(), members(4, "softmax")):
        mean = np.mean([model.predict(X) for model in models], axis=0)
        np.testing.assert_allclose(Ensemble(models).predict(X), mean, rtol=1e-14)


def test_a_hard_ensemble_predicts_the_majority_of_its_members_answers():
    binary, several = members(), members(4, "softmax")
    votes = sum(np.asarray(model.predict(X)) > 0.5 for model in binary)
    np.testing.assert_array_equal(Ensemble(binary, "hard").predict(X), votes >= 2)
    answer = Ensemble(several, "hard").predict(X)
    ballots = np.stack([np.argmax(model.predict(X), axis=-1) for model in several])
    for row, ballot in zip(answer, ballots.T):
        counts = np.bincount(ballot, minlength=4)
        assert row.sum() == 1 and counts[np.argmax(row)] == counts.max()


def test_evaluate_measures_the_vote_with_the_members_loss_and_metrics():
    models = members()
    logs = Ensemble(models).evaluate(X, Y, return_dict=True)
    p = np.mean([np.asarray(model.predict(X))[:, 0] for model in models], axis=0)
    assert logs["loss"] == pytest.approx(-np.mean(np.log(np.where(Y == 1, p, 1 - p))))
    assert logs["accuracy"] == pytest.approx(np.mean((p > 0.5) == Y))
    assert set(Ensemble(members(4, "softmax"), "hard").evaluate(X, Y, return_dict=True)) == {"loss", "accuracy"}


def test_a_weight_of_0_takes_a_member_out_and_weights_need_not_add_up_to_1():
    np.testing.assert_allclose(soft_vote(MEMBERS, [0, 5, 0]), MEMBERS[1], rtol=1e-15)
    np.testing.assert_array_equal(hard_vote(MEMBERS, [1e300, 0, 1e300]), hard_vote(MEMBERS[[0, 2]]))
    np.testing.assert_array_equal(hard_vote(MEMBERS, [9, 1, 1])[:, 0], [1, 0, 1])


def test_a_tie_goes_to_the_larger_mean_probability_and_then_to_the_smaller_class():
    assert hard_vote([[[0.9]], [[0.4]]]) == 1 and hard_vote([[[0.6]], [[0.1]]]) == 0
    assert hard_vote([[[0.75]], [[0.25]]]) == 0 and hard_vote([[[0.5]]]) == 0
    np.testing.assert_array_equal(hard_vote([[[0.5, 0.4, 0.1]], [[0.0, 0.9, 0.1]]]), [[0, 1, 0]])
    np.testing.assert_array_equal(hard_vote([[[0.25, 0.75]], [[0.75, 0.25]]]), [[1, 0]])
    assert hard_vote([[[0.9]], [[0.9]], [[0.2]]], [0.1, 0.2, 0.3]) == 1  # 0.1 + 0.2 against 0.3: a tie


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=6))
def test_the_members_order_does_not_matter(rows):
    p = np.array(rows)[..., None]
    np.testing.assert_allclose(soft_vote(p), soft_vote(p[::-1]), atol=1e-12)
    np.testing.assert_array_equal(hard_vote(p), hard_vote(p[::-1]))


def test_a_sigmoid_and_its_softmax_of_two_classes_vote_alike():
    p = np.random.default_rng(1).random((5, 40, 1))
    two = hard_vote(np.concatenate([1 - p, p], axis=-1))
    np.testing.assert_array_equal(hard_vote(p)[:, 0], two[:, 1])


def test_an_ensemble_is_not_trained():
    with pytest.raises(TypeError, match="an Ensemble only asks its models"):
        Ensemble(members()).fit(X, Y)
    with pytest.raises(TypeError, match="an Ensemble only asks its models"):
        Ensemble(members()).train_on_batch(X, Y)


def test_members_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="found no models"):
        Ensemble([])
    with pytest.raises(TypeError, match="a member is a model such as Sequential; found 3"):
        Ensemble([3])
    with pytest.raises(ValueError, match="vote is 'soft' or 'hard'; found 'loud'"):
        Ensemble(members(), "loud")
    with pytest.raises(ValueError, match=r"model 0 answers \(12, 1\) and model 1 \(12, 4\)"):
        Ensemble([*members(n=1), *members(4, "softmax", n=1)]).predict(X)
    with pytest.raises(ValueError, match="is no probability; end each model with a sigmoid or a softmax"):
        Ensemble(members(activation=None)).predict(X)
    with pytest.raises(ValueError, match="the probabilities of the classes add up to"):
        Ensemble(members(4, "sigmoid")).predict(X)
    with pytest.raises(RuntimeError, match="call compile"):
        Ensemble([Sequential([Dense(1, "sigmoid", input_shape=(3,))])]).evaluate(X, Y)


@pytest.mark.parametrize("weights", [[1, 2], [1, -1, 1], [0, 0, 0], [1, np.nan, 1], [1, np.inf, 1]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match="Ensemble: weights must be 3 numbers of at least 0"):
        Ensemble(members(), weights=weights)


def test_nan_is_no_probability():
    with pytest.raises(ValueError, match="nan is no probability"):
        soft_vote([[[np.nan]]])


def test_the_probabilities_may_come_from_a_generator():
    np.testing.assert_array_equal(soft_vote(each for each in MEMBERS), soft_vote(MEMBERS))


def test_members_with_several_inputs_are_asked_too():
    def member(seed):
        a, b = Input((3,)), Input((2,))
        return Model([a, b], Dense(1, "sigmoid")(Concatenate()([a, b])), seed=seed)

    models, x = [member(seed) for seed in range(3)], [X, X[:, :2]]
    expected = np.mean([model.predict(x) for model in models], axis=0)
    np.testing.assert_allclose(Ensemble(models).predict(x), expected, rtol=1e-6)
