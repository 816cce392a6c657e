"""Penalties: their numbers, their gradients, and how they reach a layer's losses."""

import numpy as np
import pytest

from tinyllm import Tensor, gradcheck, regularizers
from tinyllm.layers import LSTM, Bidirectional, Dense, Embedding, TimeDistributed

W = np.array([[1.0, -2.0], [0.5, 0.0]])


@pytest.mark.parametrize(
    ("regularizer", "expected"),
    [
        (regularizers.L1(0.1), 0.35),
        (regularizers.L2(0.1), 0.525),
        (regularizers.L1L2(0.1, 0.2), 0.35 + 1.05),
        (regularizers.L1L2(), 0.0),
        (regularizers.get("l1"), 0.035),
        (regularizers.get("l2"), 0.0525),
        (regularizers.get({"class_name": "L2", "config": {"l2": 1}}), 5.25),
    ],
)
def test_a_penalty_is_its_formula(regularizer, expected):
    assert float(regularizer(W)) == pytest.approx(expected, rel=1e-15)
    assert float(regularizer(Tensor(W))) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("regularizer", [regularizers.L1(0.1), regularizers.L2(0.1), regularizers.L1L2(0.1, 0.2)])
def test_a_penalty_has_the_right_gradient_and_keeps_float32(regularizer):
    assert gradcheck(regularizer, np.array([[1.0, -2.0], [0.5, 0.3]])).ok
    assert regularizer(Tensor(W, dtype="float32")).dtype == "float32"


def test_the_penalty_on_zero_weights_has_no_slope():
    w = Tensor(np.zeros(3), requires_grad=True)
    regularizers.L1L2(0.1, 0.1)(w).backward()
    np.testing.assert_array_equal(w.grad, 0)


@pytest.mark.parametrize("factor", [-0.1, float("nan"), float("inf"), "0.1", True])
def test_a_factor_is_a_number_that_is_at_least_zero(factor):
    with pytest.raises(ValueError, match="L2: l2 must be a number that is at least 0; found"):
        regularizers.L2(factor)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown regularizer 'l3'; known: l1, l1_l2, l2"):
        regularizers.get("l3")


@pytest.mark.parametrize("regularizer", [None, regularizers.L1(0.5), regularizers.L2(0.25), regularizers.L1L2(1, 2)])
def test_a_configuration_makes_an_equal_one(regularizer):
    described = regularizers.serialize(regularizer)
    assert regularizers.serialize(regularizers.get(described)) == described


def test_a_function_may_be_a_regularizer_but_a_file_cannot_name_it():
    layer = Dense(2, kernel_regularizer=np.sum, bias_initializer="ones")
    layer(W)
    assert float(layer.losses[0]) == pytest.approx(float(np.sum(layer.kernel.data)))
    with pytest.raises(ValueError, match="not one of tinyllm's regularizers"):
        layer.get_config()


# In a layer


def test_each_regularizer_watches_its_own_weight():
    layer = LSTM(2, kernel_regularizer="l1", recurrent_regularizer="l2", bias_regularizer=regularizers.L1(1))
    layer(np.ones((1, 2, 3)))
    kernel, recurrent, bias = layer.get_weights()
    expected = [0.01 * np.abs(kernel).sum(), 0.01 * np.square(recurrent).sum(), np.abs(bias).sum()]
    np.testing.assert_allclose([float(p) for p in layer.losses], expected, rtol=1e-6)


def test_a_penalty_changes_the_gradient_of_the_loss():
    layer = Dense(1, use_bias=False, kernel_regularizer=regularizers.L2(0.5), dtype="float64")
    x = np.array([[1.0, 2.0]])
    (np.sum(layer(x)) + sum(layer.losses)).backward()
    np.testing.assert_allclose(layer.kernel.grad, x.T + layer.kernel.data)


def test_a_frozen_layer_has_no_penalty_on_its_weights():
    layer = Dense(1, kernel_regularizer="l2", trainable=False)
    layer(W)
    assert layer.losses == []


def test_the_penalty_on_an_output_is_divided_by_the_number_of_samples_and_is_the_last_calls():
    layer = Dense(2, activity_regularizer=regularizers.L1(1), kernel_initializer="ones")
    layer(np.ones((5, 2)))
    y = layer(W)
    assert [float(p) for p in layer.losses] == [pytest.approx(float(np.abs(y.data).sum()) / 2)]


def test_wrappers_hand_out_the_penalties_of_the_layers_inside():
    both = Bidirectional(LSTM(2, kernel_regularizer="l2"))
    both(np.ones((1, 2, 3)))
    inside = [0.01 * np.square(both.parameters[f"{d}_lstm/kernel"].data).sum() for d in ("forward", "backward")]
    np.testing.assert_allclose([float(p) for p in both.losses], inside, rtol=1e-6)
    steps = TimeDistributed(Dense(2, activity_regularizer="l2"))
    steps(np.ones((1, 2, 3)))
    assert len(steps.losses) == 1


def test_the_rows_of_an_embedding_may_be_penalised():
    layer = Embedding(4, 2, embeddings_regularizer="l1")
    layer(np.array([[1]]))
    assert float(layer.losses[0]) == pytest.approx(0.01 * np.abs(layer.embeddings.data).sum(), rel=1e-6)
