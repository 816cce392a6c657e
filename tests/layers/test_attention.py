"""MultiHeadAttention: who may look where, and what comes of it."""

import numpy as np
import pytest

from tinyllm.layers import MultiHeadAttention, deserialize


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


X = normal(2, 4, 6)


def attention(**options):
    layer = MultiHeadAttention(num_heads=2, key_dim=3, dtype="float64", seed=1, **options)
    layer(X, X)
    return layer


def test_one_head_is_the_textbook_formula():
    layer = MultiHeadAttention(1, 3, dtype="float64", use_bias=False)
    y, scores = layer(X, X, return_attention_scores=True)
    q, k, v, out = (w[:, 0] if w.shape[1] == 1 else w[0] for w in layer.get_weights())
    e = np.exp((X @ q) @ (X @ k).swapaxes(1, 2) / np.sqrt(3))
    expected = e / e.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(scores.data[:, 0], expected, rtol=1e-12)
    np.testing.assert_allclose(y.data, expected @ (X @ v) @ out, rtol=1e-12)


def test_asking_for_the_scores_changes_nothing():
    layer = attention()
    y, scores = layer(X, X, use_causal_mask=True, return_attention_scores=True)
    np.testing.assert_allclose(y.data, layer(X, X, use_causal_mask=True).data, rtol=1e-13)
    np.testing.assert_allclose(scores.data.sum(axis=-1), 1, rtol=1e-13)


def test_with_a_causal_mask_the_past_does_not_hear_the_future():
    layer, changed = attention(), X.copy()
    changed[:, 2:] += 1
    before, after = (layer(x, x, use_causal_mask=True).data for x in (X, changed))
    np.testing.assert_array_equal(before[:, :2], after[:, :2])
    assert (before[:, 2:] != after[:, 2:]).all()


@pytest.mark.parametrize("options", [
    {"value_mask": [[1, 1, 0, 0], [1, 1, 1, 1]]}, {"key_mask": [[1, 1, 0, 0], [1, 1, 1, 1]]},
    {"mask": [None, [[1, 1, 0, 0], [1, 1, 1, 1]]]}, {"attention_mask": np.array([[[1, 1, 0, 0]], [[1, 1, 1, 1]]])},
])  # fmt: skip
def test_what_is_masked_is_not_looked_at(options):
    layer, changed = attention(), X.copy()
    changed[0, 2:] = 1e3
    np.testing.assert_allclose(layer(X, changed, **options).data, layer(X, X, **options).data, rtol=1e-13)


def test_a_query_that_may_look_nowhere_gets_the_bias_alone():
    layer = attention(bias_initializer="random_normal")
    y, scores = layer(X, X, query_mask=np.array([[1, 0, 1, 1]] * 2), return_attention_scores=True)
    np.testing.assert_allclose(y.data[:, 1], np.broadcast_to(layer.parameters["attention_output/bias"].data, (2, 6)))
    np.testing.assert_array_equal(scores.data[:, :, 1], 0)
    np.testing.assert_allclose(layer(X, X, query_mask=np.array([[1, 0, 1, 1]] * 2)).data, y.data, rtol=1e-13)


def test_dropout_leaves_out_scores_in_training_alone():
    layer = attention(dropout=0.5)
    np.testing.assert_array_equal(layer(X, X).data, attention()(X, X).data)
    y, scores = layer(X, X, training=True, return_attention_scores=True)
    assert (y.data != layer(X, X).data).any()
    np.testing.assert_allclose(scores.data.sum(axis=-1), 1)  # the scores as they were before


def test_inputs_may_be_a_list_or_have_names():
    layer, value = attention(), normal(2, 4, 6, seed=3)
    expected = layer(X, value).data
    for found in (layer([X, value]), layer(query=X, value=value), layer(X, value, value)):
        np.testing.assert_array_equal(found.data, expected)


def test_the_output_may_have_axes_of_its_own():
    layer = attention(output_shape=(2, 5))
    assert layer(X, X).shape == layer.compute_output_shape([X.shape, X.shape]) == (2, 4, 2, 5)
    assert deserialize({"class_name": "MultiHeadAttention", "config": layer.get_config()}).output_shape == (2, 5)


@pytest.mark.parametrize("call, message", [
    (lambda layer: layer(X), "expected a list of inputs, found one"),
    (lambda layer: layer([X]), r"expected \(query, value\) or \(query, value, key\); found 1"),
    (lambda layer: layer(X, X[0]), r"expected inputs \(batch, time, features\), found \(2, 4, 6\), \(4, 6\)"),
    (lambda layer: layer(X, X[..., :2]), r"expected a key of shape \(batch, time, 6\), found \(2, 4, 2\)"),
    (lambda layer: layer(X, X, value_mask=np.ones((2, 3))), r"masks of shapes \(2, 1, 3\).* do not fit scores"),
])  # fmt: skip
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises((TypeError, ValueError), match=f"MultiHeadAttention 'multi_head_attention': {message}"):
        call(attention())
