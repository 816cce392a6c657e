"""Convolution, pooling, normalisation, masking, merging, reshaping: what each does to a small example."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyllm import layers
from tinyllm.layers import deserialize


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


X = normal(2, 6, 4)
LINE = np.array([[[1.0], [4.0], [2.0], [8.0], [6.0]]])

# Convolution


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("padding, before", [("valid", 0), ("causal", 4), ("same", None)])
def test_a_convolution_is_a_sum_over_the_window(padding, before, strides):
    layer = layers.Conv1D(3, 3, strides=strides, padding=padding, dilation_rate=2, dtype="float64")
    y = layer(X).data
    if before is None:
        before = max((y.shape[1] - 1) * strides + 5 - 6, 0) // 2
    for t in range(y.shape[1]):
        places = [(t * strides + 2 * w - before, kernel) for w, kernel in enumerate(layer.kernel.data)]
        expected = sum(X[:, place] @ kernel for place, kernel in places if 0 <= place < 6)
        np.testing.assert_allclose(y[:, t], expected, rtol=1e-12, atol=1e-13)


def test_a_causal_convolution_does_not_hear_the_future():
    layer, changed = layers.Conv1D(2, 3, padding="causal"), X.copy()
    changed[:, 3:] += 1
    np.testing.assert_array_equal(layer(X).data[:, :3], layer(changed).data[:, :3])


def test_groups_do_not_hear_each_other():
    layer, changed = layers.Conv1D(4, 2, groups=2), X.copy()
    changed[..., :2] += 1
    np.testing.assert_array_equal(layer(X).data[..., 2:], layer(changed).data[..., 2:])
    assert layer.kernel.shape == (2, 2, 4)


def test_channels_first_is_the_transposed_convolution():
    last, first = layers.Conv1D(3, 2), layers.Conv1D(3, 2, data_format="channels_first")
    last(X), first(X.swapaxes(1, 2))
    first.set_weights(last.get_weights())
    np.testing.assert_array_equal(first(X.swapaxes(1, 2)).data, last(X).data.swapaxes(1, 2))


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 3), st.sampled_from(["valid", "same", "causal"]))
def test_the_number_of_windows_is_foretold(time, size, strides, padding):
    made = [layers.Conv1D(2, size, strides=strides, padding=padding)]
    if padding != "causal":
        made += [layers.MaxPooling1D(size, strides, padding), layers.AveragePooling1D(size, strides, padding)]
    for layer in made:
        x = normal(1, time, 2)
        if padding == "valid" and time < size:
            with pytest.raises(ValueError, match=f"{time} time steps are fewer than the {size}"):
                layer(x)
        else:
            y = layer(x)
            assert y.shape == layer.compute_output_shape(x.shape)


# Pooling


def test_windows_are_pooled():
    assert layers.MaxPooling1D(2)(LINE).data.ravel().tolist() == [4, 8]
    assert layers.AveragePooling1D(2)(LINE).data.ravel().tolist() == [2.5, 5]
    assert layers.MaxPooling1D(3, strides=1)(LINE).data.ravel().tolist() == [4, 8, 8]


def test_what_lies_beyond_the_ends_does_not_count():
    mean = layers.AveragePooling1D(4, strides=3, padding="same", dtype="float64")(LINE)
    np.testing.assert_allclose(mean.data.ravel(), [7 / 3, 16 / 3])
    assert layers.MaxPooling1D(4, strides=3, padding="same")(-LINE).data.ravel().tolist() == [-1, -2]


def test_the_mean_over_time_leaves_out_what_is_masked_even_if_it_is_not_a_number():
    x = LINE.copy()
    x[0, 3:] = np.nan
    layer = layers.GlobalAveragePooling1D()
    assert float(layer(LINE, mask=np.array([[1, 1, 1, 0, 0]])).data[0, 0]) == pytest.approx(7 / 3)
    assert layer(LINE, mask=np.zeros((1, 5))).data.tolist() == [[0]]
    assert float(layer(x, mask=np.array([[1, 1, 1, 0, 0]])).data[0, 0]) == pytest.approx(7 / 3)
    with pytest.raises(ValueError, match=r"expected a mask of shape \(1, 5\), found \(1, 4\)"):
        layer(LINE, mask=np.ones((1, 4)))


# Normalisation


@pytest.mark.parametrize("axis", [-1, 1, (1, 2), [2, 1]])
def test_a_normalised_layer_has_mean_0_and_variance_1_along_its_axes(axis):
    y = layers.LayerNormalization(axis=axis, epsilon=1e-12, dtype="float64")(3 * X + 1).data
    axes = tuple(np.atleast_1d(axis))
    np.testing.assert_allclose(y.mean(axis=axes), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=axes), 1, rtol=1e-9)
    r = layers.RMSNormalization(axis=axis, epsilon=1e-12, dtype="float64")(3 * X).data
    np.testing.assert_allclose(np.square(r).mean(axis=axes), 1, rtol=1e-9)


@pytest.mark.parametrize("kind", [layers.LayerNormalization, layers.RMSNormalization])
def test_the_weights_lie_along_the_axis_that_is_normalised(kind):
    layer = kind(axis=1, dtype="float64")
    layer(X)
    layer.set_weights([np.arange(6.0), *[np.ones(6)] * (len(layer.weights) - 1)])
    last = kind(dtype="float64")
    last(X.swapaxes(1, 2))
    last.set_weights(layer.get_weights())
    np.testing.assert_allclose(layer(X).data, last(X.swapaxes(1, 2)).data.swapaxes(1, 2), rtol=1e-12)


def test_another_size_or_axis_is_refused():
    layer = layers.LayerNormalization()
    layer(X)
    with pytest.raises(
        ValueError, match=r"LayerNormalization .*expected sizes \(4,\) along axis -1, found inputs \(2, 3\)"
    ):
        layer(np.ones((2, 3)))
    for axis in (0, 3, -3):
        with pytest.raises(ValueError, match="axes of a sample are needed; found axis"):
            layers.RMSNormalization(axis=axis)(X)


def test_an_axis_of_unknown_size_has_no_weights():
    with pytest.raises(ValueError, match=r"must have a known size; found inputs \(None, None, 4\) and axis 1"):
        layers.LayerNormalization(axis=1).ensure_built((None, None, 4))


# Masking and merging


def test_a_step_of_nothing_but_the_mask_value_is_padding():
    x = np.array([[[7.0, 7.0], [7.0, 1.0], [0.0, 0.0]]])
    layer = layers.Masking(7)
    assert layer.compute_mask(x).tolist() == [[False, True, True]]
    assert layer(x).data.tolist() == [[[0, 0], [7, 1], [0, 0]]]


def test_inputs_meet_element_by_element():
    a, b = np.array([[1.0, 2.0]]), np.array([[3.0, 5.0]])
    for kind, expected in (("Add", [4, 7]), ("Subtract", [-2, -3]), ("Multiply", [3, 10]), ("Average", [2, 3.5])):
        assert getattr(layers, kind)()([a, b]).data.tolist() == [expected], kind
    assert layers.Add()([a, b, a]).data.tolist() == [[5, 9]]
    assert layers.Concatenate()(a, b).data.tolist() == [[1, 2, 3, 5]]


def test_an_input_with_fewer_axes_is_the_same_for_all_time_steps():
    assert layers.Add()([X, X[:, 0]]).data[1, 3, 2] == pytest.approx(X[1, 3, 2] + X[1, 0, 2])


MASK = np.array([[True, False, True, True, False, False]] * 2)


def test_a_step_counts_if_it_counts_anywhere_and_a_joined_sequence_has_a_joined_mask():
    assert layers.Add().compute_mask([X, X], [MASK, ~MASK]).all()
    assert layers.Add().compute_mask([X, X], [MASK, None]) is None
    joined = layers.Concatenate(axis=1).compute_mask([X, X[:, :1]], [MASK, None])
    np.testing.assert_array_equal(joined, np.concatenate([MASK, np.ones((2, 1), bool)], axis=1))
    np.testing.assert_array_equal(layers.Concatenate().compute_mask([X, X], [MASK, MASK]), MASK)


@pytest.mark.parametrize("call, message", [
    (lambda: layers.Add()([X, X[:, :2]]), r"Add 'add': inputs of shapes .*\(None, 6, 4\), \(None, 2, 4\) do not fit"),
    (lambda: layers.Subtract()([X, X, X]), "Subtract 'subtract': expected two inputs, found 3"),
    (lambda: layers.Concatenate()([X, X[:, :2]]), "Concatenate 'concatenate': inputs may differ only along axis -1"),
    (lambda: layers.Concatenate(axis=0)([X, X]), "inputs of as many axes join along one but the batch"),
    (lambda: layers.Add()(X), "Add 'add': expected a list of inputs, found one"),
    (lambda: layers.Dense(1)(X, X), "Dense 'dense': expected one input, found 2"),
])  # fmt: skip
def test_inputs_that_do_not_fit_are_named(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


# Reshaping


def test_shapes_change_and_numbers_stay():
    np.testing.assert_array_equal(layers.Flatten(dtype="float64")(X).data, X.reshape(2, 24))
    np.testing.assert_array_equal(layers.Reshape((2, -1), dtype="float64")(X).data, X.reshape(2, 2, 12))
    np.testing.assert_array_equal(layers.RepeatVector(2, dtype="float64")(X[:, 0]).data, np.stack([X[:, 0]] * 2, 1))
    assert layers.Flatten()(np.ones(3)).shape == (3, 1)


def test_shapes_are_foretold_where_the_time_is_not_known():
    assert layers.Flatten().compute_output_shape((None, None, 4)) == (None, None)
    assert layers.Reshape((-1, 2)).compute_output_shape((None, None, 4)) == (None, None, 2)
    assert layers.Reshape((2, 12)).compute_output_shape((None, 6, 4)) == (None, 2, 12)
    assert layers.Conv1D(2, 3, input_shape=(None, 4)).batch_input_shape == (None, None, 4)


def test_a_shape_that_does_not_fit_is_refused():
    with pytest.raises(
        ValueError, match=r"Reshape 'reshape': a sample must fit target_shape \(5, -1\); found 24 numbers"
    ):
        layers.Reshape((5, -1))(X)
    with pytest.raises(ValueError, match="Reshape: target_shape holds sizes, at most one of them -1"):
        layers.Reshape((-1, -1))


# All of them

MADE = [
    layers.Conv1D(2, (3,), strides=[2], padding="same", activation="relu"), layers.MaxPooling1D(3, 2, "same"),
    layers.AveragePooling1D(2, data_format="channels_first"), layers.GlobalMaxPooling1D(keepdims=True),
    layers.GlobalAveragePooling1D(), layers.LayerNormalization(axis=(1, 2), gamma_regularizer="l2"),
    layers.RMSNormalization(epsilon=0.1), layers.Masking(1.5), layers.Concatenate(axis=1), layers.Add(name="sum"),
    layers.Flatten("channels_first"), layers.Reshape((2, -1)), layers.RepeatVector(3), layers.Activation("gelu"),
    layers.SpatialDropout1D(0.25), layers.Dropout(0.5, noise_shape=(None, 1)), layers.GRU(2, reset_after=False),
    layers.SimpleRNN(3, dropout=0.1, recurrent_regularizer="l1"), layers.Dense(2, activity_regularizer="l2"),
]  # fmt: skip


@pytest.mark.parametrize("layer", MADE, ids=lambda layer: type(layer).__name__)
def test_a_configuration_is_json_and_makes_an_equal_layer(layer):
    import json

    config = json.loads(json.dumps(layer.get_config()))
    assert deserialize({"class_name": type(layer).__name__, "config": config}).get_config() == layer.get_config()
