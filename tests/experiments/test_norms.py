"""Norms of gradients are those of the gradients that training would see, and looking at them changes nothing."""

import numpy as np
import pytest

from tinyllm.experiments import gradient_norms
from tinyllm.layers import GRU, LSTM, Dense, Dropout, Embedding
from tinyllm.models import Sequential


@pytest.fixture
def reader():
    model = Sequential([Embedding(9, 4, input_length=5), LSTM(6), Dense(1, activation="sigmoid")], dtype="float64")
    model.compile("sgd", "binary_crossentropy")
    rng = np.random.default_rng(0)
    return model, rng.integers(0, 9, (8, 5)), rng.integers(0, 2, (8, 1))


def test_the_norms_are_those_of_the_gradients_training_would_see(reader):
    model, x, y = reader
    norms = gradient_norms(model, x, y)
    model.compute_loss(y, model(x)).backward()
    for name, w in model.named_weights.items():
        assert norms.weights[name] == pytest.approx(np.linalg.norm(w.grad))
        for k, gate in enumerate(norms.gates.get(name, {}).values()):
            assert gate == pytest.approx(np.linalg.norm(w.grad[..., 6 * k : 6 * k + 6]))


def test_gates_add_up_to_their_weight_and_weights_to_their_layer(reader):
    norms = gradient_norms(*reader)
    assert list(norms.gates) == ["lstm/kernel", "lstm/recurrent_kernel", "lstm/bias"]
    assert [gate[0] for gate in norms.gates["lstm/kernel"]] == ["i", "f", "g", "o"]
    for weight, gates in norms.gates.items():
        assert np.linalg.norm(list(gates.values())) == pytest.approx(norms.weights[weight])
    for layer, norm in norms.layers.items():
        own = [n for name, n in norms.weights.items() if name.startswith(layer + "/")]
        assert np.linalg.norm(own) == pytest.approx(norm)


@pytest.mark.parametrize("reset_after", [True, False])
def test_a_grus_gates_are_z_r_and_h(reset_after):
    model = Sequential([GRU(3, reset_after=reset_after, input_shape=(4, 2))], dtype="float64")
    model.compile("sgd", "mse")
    norms = gradient_norms(model, np.ones((2, 4, 2)), np.ones((2, 3)))
    for weight, gates in norms.gates.items():
        assert [gate[0] for gate in gates] == ["z", "r", "h"]
        assert np.linalg.norm(list(gates.values())) == pytest.approx(norms.weights[weight])
    assert len(norms.gates) == 3


def test_looking_at_the_norms_leaves_weights_and_gradients_as_they_were(reader):
    model, x, y = reader
    before = model.get_weights()
    model.weights[0].grad = np.ones(model.weights[0].shape)
    gradient_norms(model, x, y)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))
    assert np.array_equal(model.weights[0].grad, np.ones((9, 4)))
    assert all(w.grad is None for w in model.weights[1:])


def test_a_deep_model_is_drawn_by_layers_only():
    model = Sequential([Dense(2, input_shape=(2,)) for _ in range(20)])
    model.compile("sgd", "mse")
    norms = gradient_norms(model, np.ones((1, 2)), np.ones((1, 2)))
    assert len(norms.rows()) == 60 and [level for level, *_ in norms.bars()] == [0] * 20


def test_a_model_without_weights_has_no_norms():
    model = Sequential([Dropout(0.5, input_shape=(2,))])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="gradient_norms: this model has no weights"):
        gradient_norms(model, np.ones((1, 2)), np.ones((1, 2)))


def test_a_model_without_a_loss_is_told_to_compile():
    with pytest.raises(RuntimeError, match=r"gradient_norms: call model.compile\(optimizer, loss\) first"):
        gradient_norms(Sequential([Dense(1, input_shape=(2,))]), np.ones((1, 2)), np.ones(1))
