"""What SimpleRNN, GRU and LSTM share: two implementations, states, masks, dropout and errors."""

import numpy as np
import pytest

from tinyllm import Tensor, activations
from tinyllm.autograd.kernels import embedding_lookup
from tinyllm.layers import GRU, LSTM, Embedding, SimpleRNN, deserialize
from tinyllm.layers.recurrent import one_hot_product


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


X = normal(3, 5, 2)
MASK = np.array([[1, 1, 0, 0, 1], [0, 0, 0, 0, 0], [0, 1, 1, 1, 1]], bool)
every_kind = pytest.mark.parametrize("kind", [SimpleRNN, GRU, LSTM])


def twin(layer, **changes):
    """A layer like this one, but for the changes, with the same weights."""
    again = type(layer)(**layer.get_config() | changes, weights=layer.get_weights())
    again(X)
    again.reset_states()
    return again


def states_of(kind, batch=3):
    return [normal(batch, 3, seed=i) for i in range(1, len(kind.state_names) + 1)]


def made(kind, **options):
    layer = kind(3, dtype="float64", bias_initializer="random_normal", **options)
    layer(X)
    layer.reset_states()
    return layer


@every_kind
@pytest.mark.parametrize("mask", [None, MASK], ids=["no mask", "mask"])
@pytest.mark.parametrize("options", [{}, {"go_backwards": True}, {"use_bias": False}, {"zero_output_for_mask": True}])
def test_the_fused_layer_is_the_one_that_goes_step_by_step(kind, options, mask):
    fused = made(kind, return_sequences=True, return_state=True, **options)
    found = []
    for layer in (fused, twin(fused, fused=False)):
        x = Tensor(X, requires_grad=True)
        ys = layer(x, mask=mask, initial_state=states_of(kind))
        sum(np.sum(y * normal(*y.shape, seed=i)) for i, y in enumerate(ys)).backward()
        found.append([*(y.data for y in ys), x.grad, *(w.grad for w in layer.weights)])
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("reset_after", [True, False])
def test_both_gated_recurrent_units_exist_twice(reset_after):
    fused = made(GRU, reset_after=reset_after, return_sequences=True)
    np.testing.assert_allclose(fused(X).data, twin(fused, fused=False)(X).data, rtol=1e-12)


@every_kind
def test_the_flag_is_kept_in_the_configuration_only_where_it_is_not_the_usual(kind):
    assert "fused" not in kind(2).get_config()
    config = kind(2, fused=False).get_config()
    assert deserialize({"class_name": kind.__name__, "config": config}).fused is False


@every_kind
def test_half_a_sequence_and_the_states_lead_to_the_same_end(kind):
    layer = made(kind, return_state=True)
    whole, *states = layer(X)
    _, *middle = layer(X[:, :2])
    end, *last = layer(X[:, 2:], initial_state=middle)
    np.testing.assert_allclose(end.data, whole.data, rtol=1e-12)
    for a, b in zip(last, states):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-12)


@every_kind
def test_a_stateful_layer_goes_on_where_the_last_batch_stopped(kind):
    layer = made(kind)
    stateful = twin(layer, stateful=True)
    stateful(X[:, :2])
    np.testing.assert_allclose(stateful(X[:, 2:]).data, layer(X).data, rtol=1e-12)
    stateful.reset_states()
    np.testing.assert_array_equal(stateful(X).data, layer(X).data)


@every_kind
def test_a_skipped_step_repeats_the_output_or_shows_zero(kind):
    layer = made(kind, return_sequences=True)
    y, zeros = layer(X, mask=MASK).data, twin(layer, zero_output_for_mask=True)(X, mask=MASK).data
    np.testing.assert_array_equal(y[0, 2], y[0, 1])
    np.testing.assert_array_equal(y[1], 0)
    np.testing.assert_array_equal(zeros, np.where(MASK[..., None], y, 0))


@every_kind
def test_reading_backwards_is_reading_the_reversed_sequence(kind):
    layer = made(kind, return_sequences=True)
    backwards = twin(layer, go_backwards=True)
    np.testing.assert_array_equal(backwards(X, mask=MASK).data, layer(X[:, ::-1], mask=MASK[:, ::-1]).data)


@every_kind
def test_dropout_acts_in_training_alone_and_the_seed_decides_it(kind):
    layers = [kind(3, dropout=0.5, recurrent_dropout=0.5, seed=seed) for seed in (1, 1, 2)]
    at_rest = [layer(X).data for layer in layers]
    trained = [layer(X, training=True).data for layer in layers]
    np.testing.assert_array_equal(at_rest[0], at_rest[1])
    np.testing.assert_array_equal(trained[0], trained[1])
    assert (trained[0] != at_rest[0]).any() and (trained[0] != trained[2]).any()


@every_kind
def test_dropout_of_the_input_draws_one_mask_for_the_whole_sequence(kind, monkeypatch):
    shapes = []
    monkeypatch.setattr(
        "tinyllm.layers.recurrent.dropout_mask", lambda _, shape, __: shapes.append(shape) or np.ones(shape)
    )
    made(kind, dropout=0.5)(X, training=True)
    made(kind, recurrent_dropout=0.5)(X, training=True)
    assert shapes == [(3, 1, 2), (kind.gates, 3, 3)]


@every_kind
@pytest.mark.parametrize("argument", ["dropout", "recurrent_dropout"])
def test_a_rate_of_one_is_refused(kind, argument):
    with pytest.raises(ValueError, match=f"{kind.__name__}: {argument} must be at least 0 and below 1; found 1"):
        kind(2, **{argument: 1})


@every_kind
def test_shapes_and_masks_are_foretold(kind):
    states = len(kind.state_names)
    assert kind(3).compute_output_shape((None, 5, 2)) == (None, 3)
    assert kind(3, return_sequences=True).compute_output_shape((None, None, 2)) == (None, None, 3)
    assert kind(3, return_state=True).compute_output_shape((2, 5, 2)) == [(2, 3)] * (1 + states)
    assert kind(3, return_state=True, return_sequences=True).compute_mask(X, MASK) == [MASK] + [None] * states


@every_kind
def test_what_does_not_fit_is_named(kind):
    layer, name = made(kind), kind.__name__
    with pytest.raises(ValueError, match=rf"{name} '.*': expected inputs \(batch, time, 2\), found \(3, 5, 4\)"):
        layer(normal(3, 5, 4))
    with pytest.raises(ValueError, match=rf"{name} '.*': expected (one state|two states) of shape \(3, 3\), found \["):
        layer(X, initial_state=[np.zeros((2, 3))] * len(kind.state_names))
    with pytest.raises(ValueError, match="a sequence of length 0"):
        layer(X[:, :0])


def test_one_state_needs_no_list():
    layer = made(GRU)
    np.testing.assert_array_equal(
        layer(X, initial_state=normal(3, 3)).data, layer(X, initial_state=[normal(3, 3)]).data
    )


def test_an_activation_that_the_kernel_does_not_compute_is_taken_step_by_step():
    layer = made(GRU, recurrent_activation=lambda a: 1 - activations.sigmoid(-a))
    usual = made(GRU)
    usual.set_weights(layer.get_weights())
    np.testing.assert_allclose(layer(X).data, usual(X).data, rtol=1e-12)


@every_kind
def test_help_shows_the_arguments_of_all_classes(kind):
    import inspect

    shown = list(inspect.signature(kind).parameters)
    assert shown[0] == "units" and {"recurrent_dropout", "stateful", "trainable", "name"} <= set(shown)
    assert len(shown) == len(set(shown))


@pytest.mark.parametrize("kind", [SimpleRNN, GRU, LSTM])
@pytest.mark.parametrize("mask_zero", [False, True])
def test_a_small_table_may_be_looked_up_inside_the_product(kind, mask_zero):
    ids = np.random.default_rng(0).integers(-3, 3, (5, 6)) % 3

    def gradients(fused):
        table = Embedding(3, 4, mask_zero=mask_zero, dtype="float64", seed=1)
        layer = kind(2, return_sequences=True, fused=fused, dtype="float64", seed=2)
        y = layer(table(ids), mask=table.compute_mask(ids))
        np.sum(y * np.random.default_rng(3).standard_normal(y.shape)).backward()
        return [y.data, *(w.grad for w in table.weights + layer.weights)]

    for found, expected in zip(gradients(True), gradients(False)):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


def test_a_table_is_looked_up_inside_the_product_only_where_that_is_less_work():
    kernel = Tensor(np.ones((4, 8)), requires_grad=True)
    for tokens, batch, inside in [(3, 6, True), (4, 8, True), (5, 99, False), (4, 7, False)]:
        table = Tensor(np.ones((tokens, 4)), requires_grad=True)
        x = embedding_lookup(table, np.zeros((batch, 2), int))
        given, product = one_hot_product(x, kernel)
        assert given.shape == ((batch, 2, tokens) if inside else x.shape)
        assert (product is not kernel) is inside
