"""Functions, layers, losses and models can be checked, and are afterwards what they were before."""

import numpy as np
import pytest

from tinyllm import Tensor, gradcheck, layers, losses, models
from tinyllm.autograd.gradcheck.subjects import subject_of


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def names(report):
    return [found.name for found in report.arguments]


def state(owner):
    return [(w.data.tobytes(), w.data.dtype, w.grad is None) for w in owner.weights]


@pytest.mark.parametrize(
    "layer, x",
    [
        (layers.Dense(3, activation="tanh"), normal(2, 4)),
        (layers.Dense(3, activation="relu"), normal(2, 4).astype(np.float32)),
        (layers.Embedding(5, 3), np.array([[1, 1, 2]])),
        (layers.LSTM(3, return_sequences=True), normal(2, 4, 3)),
        (layers.GRU(2), normal(2, 3, 2)),
        (layers.LayerNormalization(), normal(4, 3)),
        (layers.Dropout(0.5), normal(2, 3)),
    ],
    ids=lambda it: type(it).__name__,
)
def test_a_layer_is_checked_and_left_bit_for_bit_as_it_was(layer, x):
    layer(x)
    before = state(layer)
    report = gradcheck(layer, x)
    assert report.ok, str(report)
    assert state(layer) == before


def test_a_layer_without_weights_yet_is_built_as_a_copy():
    layer = layers.Dense(3)
    assert names(gradcheck(layer, normal(2, 4))) == ["x", "kernel", "bias"]
    assert not layer.weights


def test_dropout_in_training_is_called_nondeterministic_and_its_generator_is_not_touched():
    x = np.ones((4, 5))
    used, fresh = layers.Dropout(0.5, seed=3), layers.Dropout(0.5, seed=3)
    report = gradcheck(used, x, training=True)
    assert not report.ok and "dropout left on" in report.diagnosis
    np.testing.assert_array_equal(used(x, training=True).data, fresh(x, training=True).data)


def test_a_stateful_lstm_is_called_nondeterministic_and_keeps_its_state():
    x = normal(2, 4, 3)
    layer = layers.LSTM(3, stateful=True)
    layer(x)
    kept = [np.array(s.data if isinstance(s, Tensor) else s) for s in layer.states]
    report = gradcheck(layer, x)
    assert not report.ok and "a state that is carried over" in report.diagnosis
    for now, then in zip(layer.states, kept):
        np.testing.assert_array_equal(now.data if isinstance(now, Tensor) else now, then)


@pytest.mark.parametrize("loss", [losses.MeanSquaredError(), losses.mean_squared_error, losses.Huber()], ids=str)
def test_a_loss_is_differentiated_in_the_prediction_only(loss):
    report = gradcheck(loss, normal(2, 3), normal(2, 3, seed=1))
    assert report.ok and names(report) == ["y_pred"]


def test_a_loss_by_hand_may_return_one_gradient_or_none_for_the_labels():
    for gradient in (
        lambda g, t, p: 2 * g[:, None] * (p - t) / 3,
        lambda g, t, p: (None, 2 * g[:, None] * (p - t) / 3),
    ):
        assert gradcheck(losses.mean_squared_error, normal(2, 3), normal(2, 3, seed=1), gradient=gradient).ok


@pytest.fixture
def model():
    made = models.Sequential([layers.Dense(4, activation="tanh"), layers.Dense(2)])
    made(normal(3, 4))
    return made


def test_a_model_is_checked_with_x_alone_and_with_its_compiled_loss(model):
    x, y = normal(3, 4), normal(3, 2, seed=1)
    with pytest.raises(ValueError, match="compile it with one first"):
        gradcheck(model, x, y)
    model.compile("sgd", "mse")
    before = state(model)
    for batch in ((x,), (x, y)):
        report = gradcheck(model, *batch)
        assert report.ok and len(report.arguments) == 4
    assert state(model) == before


def test_frozen_layers_are_left_out_and_where_all_are_frozen_there_is_nothing_to_check(model):
    model.layers[0].trainable = False
    assert len(gradcheck(model, normal(3, 4)).arguments) == 2
    model.layers[1].trainable = False
    with pytest.raises(TypeError, match="no weight is trainable"):
        gradcheck(model, normal(3, 4))


def test_a_model_with_an_embedding_is_checked_on_token_ids():
    made = models.Sequential([layers.Embedding(7, 4), layers.LSTM(3), layers.Dropout(0.3), layers.Dense(7)])
    made.compile("adam", losses.SparseCategoricalCrossentropy(from_logits=True))
    assert gradcheck(made, np.array([[1, 2], [3, 3]]), np.array([1, 2])).ok


def test_what_a_layer_or_model_cannot_take_is_refused(model):
    with pytest.raises(TypeError, match="a model takes x, or x and y"):
        gradcheck(model, normal(3, 4), normal(3, 2), normal(3, 2))
    with pytest.raises(TypeError, match="brings its own"):
        gradcheck(layers.Dense(2), normal(2, 4), gradient=lambda g, x: g)


def test_options_reach_the_function():
    assert gradcheck(lambda x, power=1: x**power, normal(3), power=3, gradient=lambda g, x: 3 * g * x**2).ok


def test_argnums_choose_and_the_others_are_handed_on_as_they_are():
    report = gradcheck(lambda a, b, n, mode: a * b * n, normal(3), normal(3), 2, "text", argnums=-3)
    assert report.ok and names(report) == ["b"]
    with pytest.raises(TypeError, match="is not floating point"):
        gradcheck(lambda a, n: a * n, normal(3), 2, argnums=1)


def test_f_that_writes_into_its_argument_is_refused():
    def f(x):
        x.data[:] = 0
        return x * 1

    with pytest.raises(ValueError, match="f writes into its argument x"):
        gradcheck(f, normal(3))


def test_complex_inputs_are_refused():
    with pytest.raises(TypeError, match="an input is complex"):
        subject_of(np.abs, [np.ones(2, complex)], None, None, {})
