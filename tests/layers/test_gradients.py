"""Every layer's gradient against differences of the layer, with respect to its inputs and its weights."""

import numpy as np
import pytest

from tinyllm import gradcheck, layers


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


X = normal(2, 3, 2)
MASK = np.array([[True, False, True], [False, True, True]])
RNN = {"units": 2, "return_sequences": True, "return_state": True}
BACKWARDS = {"go_backwards": True, "zero_output_for_mask": True}
CASES = {
    "Dense": (layers.Dense(2, activation="tanh"), [X], {}),
    "Activation": (layers.Activation("silu"), [X], {}),
    "Embedding": (layers.Embedding(4, 2), [np.array([[1, 0, 1], [3, 1, 1]])], {}),
    **{f"{kind.__name__} {options}": (kind(**RNN | options), [X], {"mask": MASK})
       for kind in (layers.SimpleRNN, layers.GRU, layers.LSTM)
       for options in ({}, {"fused": False}, {"use_bias": False}, BACKWARDS)},
    "GRU before": (layers.GRU(**RNN, reset_after=False), [X], {}),
    "Bidirectional": (layers.Bidirectional(layers.GRU(2, return_sequences=True)), [X], {"mask": MASK}),
    "Bidirectional mul": (layers.Bidirectional(layers.LSTM(2), merge_mode="mul"), [X], {}),
    "TimeDistributed": (layers.TimeDistributed(layers.Dense(2)), [X], {}),
    "LayerNormalization": (layers.LayerNormalization(), [X], {}),
    "LayerNormalization of time": (layers.LayerNormalization(axis=1), [X], {}),
    "LayerNormalization of both": (layers.LayerNormalization(axis=(1, 2)), [X], {}),
    "RMSNormalization": (layers.RMSNormalization(), [X], {}),
    "RMSNormalization of time": (layers.RMSNormalization(axis=1), [X], {}),
    "MultiHeadAttention": (layers.MultiHeadAttention(2, 2), [X, normal(2, 4, 3, seed=1)], {}),
    "MultiHeadAttention, causal": (layers.MultiHeadAttention(2, 2, output_shape=(2, 2)), [X, X],
                                   {"use_causal_mask": True, "return_attention_scores": True}),
    "Conv1D": (layers.Conv1D(2, 2, padding="causal", dilation_rate=2), [X], {}),
    "Conv1D groups": (layers.Conv1D(2, 2, strides=2, padding="same", groups=2), [X], {}),
    "MaxPooling1D": (layers.MaxPooling1D(2, padding="same"), [X], {}),
    "AveragePooling1D": (layers.AveragePooling1D(2, strides=1, padding="same"), [X], {}),
    "GlobalMaxPooling1D": (layers.GlobalMaxPooling1D(), [X], {}),
    "GlobalAveragePooling1D": (layers.GlobalAveragePooling1D(), [X], {"mask": MASK}),
    "Flatten": (layers.Flatten(), [X], {}),
    "Reshape": (layers.Reshape((-1,)), [X], {}),
    "RepeatVector": (layers.RepeatVector(2), [X[:, 0]], {}),
    "Masking": (layers.Masking(), [X], {}),
    "Add": (layers.Add(), [X, normal(2, 2, seed=1)], {}),
    "Subtract": (layers.Subtract(), [X, X + 1], {}),
    "Multiply": (layers.Multiply(), [X, X + 1], {}),
    "Average": (layers.Average(), [X, X + 1], {}),
    "Concatenate": (layers.Concatenate(1), [X, X[:, :1]], {}),
}  # fmt: skip
NONE = {"Dropout", "SpatialDropout1D", "InputLayer"}  # outside training they do nothing; test_dropout.py looks at them


def test_every_layer_has_a_case_here():
    assert {type(layer).__name__ for layer, _, _ in CASES.values()} == set(layers.LAYERS) - NONE


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_layers_gradient_is_the_slope_of_its_value(case):
    layer, inputs, options = case
    report = gradcheck(layer, *inputs, **options)
    assert report.ok, str(report)


@pytest.mark.parametrize("name", ["GRU {}", "SimpleRNN {}", "Bidirectional", "MultiHeadAttention", "Conv1D"])
def test_a_layers_gradient_has_the_right_gradient(name):
    layer, inputs, options = CASES[name]
    report = gradcheck(layer, *inputs, order=2, **options)
    assert report.ok, str(report)
