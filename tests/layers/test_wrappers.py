"""Bidirectional and TimeDistributed: whose weights, which direction, which mask."""

import numpy as np
import pytest

from tinyllm.layers import GRU, LSTM, Bidirectional, Dense, Dropout, Embedding, TimeDistributed, deserialize
from tinyllm.models import Sequential


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


X = normal(2, 4, 3)


def test_the_second_layer_reads_the_reversed_sequence():
    both = Bidirectional(LSTM(2, return_sequences=True), dtype="float64")
    y = both(X).data
    forward, backward = LSTM(2, return_sequences=True, dtype="float64"), LSTM(2, return_sequences=True, dtype="float64")
    for layer, weights in ((forward, both.get_weights()[:3]), (backward, both.get_weights()[3:])):
        layer(X)
        layer.set_weights(weights)
    np.testing.assert_allclose(y, np.concatenate([forward(X).data, backward(X[:, ::-1]).data[:, ::-1]], -1), rtol=1e-12)


def test_the_weights_are_called_by_the_layers_inside():
    both = Bidirectional(GRU(2), name="both")
    both(X)
    assert list(both.parameters) == [
        f"{d}_gru/{w}" for d in ("forward", "backward") for w in ("kernel", "recurrent_kernel", "bias")
    ]
    assert both.parameters["forward_gru/kernel"] is both.layer.kernel


def test_the_layer_given_is_not_touched():
    given = LSTM(2, name="mine")
    Bidirectional(given)(X)
    assert (given.name, given.built, given.go_backwards) == ("mine", False, False)


def test_the_seed_of_the_wrapper_or_of_the_layer_decides():
    a, b, c = (
        Bidirectional(LSTM(2, **inner), **outer) for inner, outer in (({"seed": 3}, {}), ({}, {"seed": 3}), ({}, {}))
    )
    for layer in (a, b, c):
        layer(X)
    np.testing.assert_array_equal(a.get_weights()[0], b.get_weights()[0])
    assert (a.get_weights()[0] != c.get_weights()[0]).any()
    assert (a.get_weights()[0] != a.get_weights()[3]).any()


def test_a_backward_layer_of_ones_own_may_be_of_another_size():
    both = Bidirectional(LSTM(2), backward_layer=GRU(3, go_backwards=True))
    assert both(X).shape == (2, 5) == both.compute_output_shape((2, 4, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"layer": LSTM(2, go_backwards=True)},
            "layer must have go_backwards=False and backward_layer go_backwards=True",
        ),
        ({"layer": LSTM(2), "backward_layer": LSTM(2)}, "backward_layer go_backwards=True"),
        (
            {"layer": LSTM(2), "backward_layer": LSTM(2, go_backwards=True, return_sequences=True)},
            "return_sequences must be the same in both layers",
        ),
        (
            {"layer": LSTM(2), "merge_mode": "add"},
            "merge_mode must be one of 'concat', 'sum', 'mul', 'ave', None; found 'add'",
        ),
    ],
)
def test_layers_that_do_not_match_are_refused(options, message):
    with pytest.raises(ValueError, match=f"Bidirectional: .*{message}"):
        Bidirectional(**options)


@pytest.mark.parametrize("wrapper", [Bidirectional, TimeDistributed])
def test_what_is_wrapped_is_a_new_layer(wrapper):
    with pytest.raises(TypeError, match=f"{wrapper.__name__}: expected a layer such as LSTM"):
        wrapper(3)


def test_two_directions_need_a_new_layer_and_each_step_may_have_a_used_one():
    used = LSTM(2)
    used(X)
    with pytest.raises(ValueError, match="Bidirectional: the layer 'lstm' has weights already"):
        Bidirectional(used)
    again = TimeDistributed(used)
    np.testing.assert_array_equal(again(np.stack([X, X], 1)).data[:, 1], used(X).data)


def test_only_a_recurrent_layer_reads_in_two_directions():
    with pytest.raises(TypeError, match="Bidirectional: expected recurrent layers such as LSTM"):
        Bidirectional(Dense(2))


def test_a_configuration_makes_an_equal_wrapper_with_equal_layers_inside():
    for layer in (
        Bidirectional(LSTM(2, return_sequences=True), merge_mode="sum"),
        TimeDistributed(Dense(2, use_bias=False)),
    ):
        again = deserialize({"class_name": type(layer).__name__, "config": layer.get_config()})
        assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("freeze", ["inside", "outside"])
def test_a_frozen_layer_inside_stays_frozen(freeze):
    layer = TimeDistributed(Dense(2, trainable=freeze != "inside"), trainable=freeze != "outside")
    layer(X)
    assert (layer.trainable_weights, len(layer.weights)) == ([], 2)


def test_each_step_goes_through_the_same_layer():
    steps = TimeDistributed(Dense(2), dtype="float64")
    y = steps(X).data
    inside = Dense(2, dtype="float64", weights=steps.get_weights())
    for t in range(4):
        np.testing.assert_allclose(y[:, t], inside(X[:, t]).data, rtol=1e-14)


def test_ids_stay_whole_numbers_on_the_way_in():
    ids = np.array([[[2**24 + 1, 0]]])
    with pytest.raises(IndexError, match="token id 16777217"):  # in float32 it would be 16777216
        TimeDistributed(Embedding(3, 2))(ids)


def test_time_needs_an_axis():
    with pytest.raises(
        ValueError, match=r"TimeDistributed 'time_distributed': expected inputs \(batch, time, \.\.\.\)"
    ):
        TimeDistributed(Dense(2))(np.ones((2, 3)))


def test_a_model_of_wrappers_learns_is_saved_and_goes_on_alike(tmp_path):
    from tinyllm.models import load_model

    layers = [
        Embedding(6, 3, mask_zero=True, input_length=4),
        Bidirectional(LSTM(2, return_sequences=True)),
        TimeDistributed(Dropout(0.5)),
        Bidirectional(GRU(2), merge_mode="ave"),
        Dense(1, activation="sigmoid"),
    ]
    model = Sequential(layers, seed=1)
    model.compile("adam", "binary_crossentropy")
    ids, labels = np.array([[1, 2, 3, 0], [4, 5, 1, 2]]), np.array([0, 1])
    model.fit(ids, labels, epochs=2, verbose=0)
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    np.testing.assert_array_equal(again.predict(ids), model.predict(ids))
    for each in (model, again):
        each.fit(ids, labels, epochs=2, verbose=0)
    np.testing.assert_array_equal(again.predict(ids), model.predict(ids))
