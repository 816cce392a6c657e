"""Layers around layers, states from batch to batch, dropout and masks: as Keras has them, in float64, to 1e-10."""

import numpy as np
import pytest

from tests.layers.test_keras import EMPTY, IDS, LATE, C, H, X, close, keras, normal, run  # noqa: F401
from tinyllm import Tensor, layers

pytestmark = [pytest.mark.interop, pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]

LSTM = {"units": 3, "unit_forget_bias": False}
AROUND = {
    **{
        f"{kind}, {mode}, {title}": ("Bidirectional", kind, {"units": 3} | inner, {"merge_mode": mode}, X, call)
        for kind in ("SimpleRNN", "GRU", "LSTM")
        for mode in ("concat", "sum", "mul", "ave", None)
        for title, inner, call in (
            ("plain", {}, {}),
            ("masked", {}, {"mask": LATE}),
            ("sequences", {"return_sequences": True}, {}),
            ("masked sequences", {"return_sequences": True}, {"mask": EMPTY}),
            ("states", {"return_state": True, "return_sequences": True}, {"mask": LATE}),
        )
    },
    "initial states": ("Bidirectional", "LSTM", LSTM | {"return_state": True}, {}, X, {"initial_state": [H, C, C, H]}),
    "penalties": ("Bidirectional", "GRU", {"units": 2, "kernel_regularizer": "l2", "bias_regularizer": "l1"}, {}, X,
                  {}),
    "dense in time": ("TimeDistributed", "Dense", {"units": 2, "activation": "tanh"}, {}, X, {"mask": LATE}),
    "convolution in time": ("TimeDistributed", "Conv1D", {"filters": 2, "kernel_size": 2}, {}, normal(2, 3, 4, 5), {}),
    "LSTM in time": ("TimeDistributed", "LSTM", LSTM | {"return_sequences": True}, {}, normal(2, 3, 4, 5), {}),
    "LSTM in time, masked": ("TimeDistributed", "LSTM", LSTM, {}, normal(2, 3, 4, 5),
                             {"mask": normal(2, 3, 4, seed=1) > -0.5}),
    "embedding in time": ("TimeDistributed", "Embedding", {"input_dim": 4, "output_dim": 2}, {}, IDS[:, :, None], {}),
}  # fmt: skip


def around(keras, wrapper, kind, inner, options, x, call):  # noqa: F811
    import torch

    ours = getattr(layers, wrapper)(getattr(layers, kind)(**inner), **options, dtype="float64")
    outer = getattr(keras.layers, wrapper)
    theirs = outer(getattr(keras.layers, kind)(**inner, dtype="float64"), **options, dtype="float64")
    theirs.build(x.shape)
    ours(x)
    weights = [0.6 * normal(*w.shape, seed=20 + i) for i, w in enumerate(theirs.get_weights())]
    theirs.set_weights(weights)
    ours.set_weights(weights)
    return ours, theirs, torch


@pytest.mark.parametrize("case", AROUND.values(), ids=list(AROUND))
def test_a_wrapper_is_that_of_keras_in_value_gradient_penalty_and_shape(keras, case):  # noqa: F811
    *_, x, call = case
    ours, theirs, torch = around(keras, *case)
    for pair in run(ours, theirs, torch, x, call):
        close(pair)
    expected, found = theirs.compute_output_shape(x.shape), ours.compute_output_shape(x.shape)
    assert [tuple(s) for s in expected] == found if isinstance(found, list) else tuple(expected) == found
    y = ours(x, **call)
    assert [each.shape for each in y] == found if isinstance(y, list) else y.shape == found


@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU", "LSTM"])
@pytest.mark.parametrize("both", [False, True])
def test_states_are_carried_from_batch_to_batch_until_they_are_reset(keras, kind, both):  # noqa: F811
    inner = {"units": 3, "stateful": True}
    ours, theirs = (
        getattr(layers, kind)(**inner, dtype="float64"),
        getattr(keras.layers, kind)(**inner, dtype="float64"),
    )
    if both:
        ours, theirs = layers.Bidirectional(ours), keras.layers.Bidirectional(theirs, dtype="float64")
    theirs.build(X.shape)
    ours(X)
    ours.reset_states()
    ours.set_weights(theirs.get_weights())
    for _ in range(3):
        np.testing.assert_allclose(ours(X).data, theirs(X).detach().numpy(), rtol=1e-10)
    ours.reset_states()
    theirs.reset_states()
    np.testing.assert_allclose(ours(X).data, theirs(X).detach().numpy(), rtol=1e-10)


@pytest.mark.parametrize(
    "rates", [{"dropout": 0.4}, {"recurrent_dropout": 0.3}, {"dropout": 0.4, "recurrent_dropout": 0.3}]
)
@pytest.mark.parametrize("kind, gates", [("SimpleRNN", 1), ("GRU", 3), ("GRU before", 3), ("LSTM", 4)])
def test_with_the_same_draws_dropout_inside_a_recurrence_is_that_of_keras(keras, monkeypatch, kind, gates, rates):  # noqa: F811
    import torch

    options = {"units": 3, "return_sequences": True, "return_state": True} | rates
    options |= {} if "before" not in kind else {"reset_after": False}
    ours = getattr(layers, kind.split()[0])(**options, dtype="float64")
    theirs = getattr(keras.layers, kind.split()[0])(**options, dtype="float64")
    theirs.build(X.shape)
    ours(X)
    ours.set_weights(theirs.get_weights())
    drawn = []

    def remembered(layer, shape, rate):
        drawn.append(np.random.default_rng(len(drawn)).choice([0.0, 1 / (1 - rate)], shape))
        return drawn[-1]

    monkeypatch.setattr("tinyllm.layers.recurrent.dropout_mask", remembered)
    mine = ours(X, training=True, mask=LATE)
    masks = [torch.tensor(m) for m in drawn]
    of_x = None if "dropout" not in rates else masks[0].squeeze(-2 if masks[0].ndim == 3 else 2)
    of_h = None if "recurrent_dropout" not in rates else masks[-1]
    listed = [None if m is None else m[0] if gates == 1 and m.ndim == 3 else m for m in (of_x, of_h)]
    monkeypatch.setattr(theirs.cell, "get_dropout_mask", lambda _: listed[0])
    monkeypatch.setattr(theirs.cell, "get_recurrent_dropout_mask", lambda _: listed[1])
    for a, b in zip(mine, theirs(torch.tensor(X), training=True, mask=torch.tensor(LATE))):
        np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=1e-10, atol=1e-12)


PASSED_ON = {
    "Dense": {"units": 2}, "Dropout": {"rate": 0.5}, "LayerNormalization": {}, "Flatten": {}, "MaxPooling1D": {},
    "Conv1D": {"filters": 2, "kernel_size": 2}, "GlobalAveragePooling1D": {}, "GlobalMaxPooling1D": {}, "Masking": {},
    "Activation": {"activation": "tanh"}, "LSTM": {"units": 2, "return_sequences": True}, "GRU": {"units": 2},
    "SpatialDropout1D": {"rate": 0.1}, "Reshape": {"target_shape": (20,)},
}  # fmt: skip


@pytest.mark.parametrize("name", PASSED_ON)
@pytest.mark.filterwarnings("ignore:Layer .* does not support masking:UserWarning")
def test_a_mask_gets_as_far_as_in_keras(keras, name):  # noqa: F811
    import torch

    x = torch.tensor(X)
    keras.src.backend.set_keras_mask(x, torch.tensor(LATE))
    y = getattr(keras.layers, name)(**PASSED_ON[name], dtype="float64")(x)
    expected = keras.src.backend.get_keras_mask(y)
    found = getattr(layers, name)(**PASSED_ON[name]).compute_mask(X, LATE)
    assert (found is None) == (expected is None)
    if found is not None:
        np.testing.assert_array_equal(found, expected.numpy())


@pytest.mark.parametrize("name", ["Add", "Multiply", "Concatenate"])
@pytest.mark.parametrize("masks", [(LATE, EMPTY), (LATE, None), (None, None)])
def test_masks_meet_as_in_keras(keras, name, masks):  # noqa: F811
    import torch

    merge = getattr(keras.layers, name)()
    given = [None if m is None else torch.tensor(m) for m in masks]
    expected = merge.compute_mask([torch.tensor(X)] * 2, given)
    found = getattr(layers, name)().compute_mask([Tensor(X)] * 2, list(masks))
    assert (found is None) == (expected is None)
    if found is not None:
        np.testing.assert_array_equal(found, expected.numpy())


@pytest.mark.parametrize("name", sorted(set(layers.LAYERS) - {"InputLayer"}))
def test_keras_makes_the_same_layer_of_our_configuration(keras, name):  # noqa: F811
    inner = (
        layers.LSTM(2, return_sequences=True, kernel_regularizer="l2") if name == "Bidirectional" else layers.Dense(2)
    )
    arguments = {
        "Activation": {"activation": "tanh"}, "Bidirectional": {"layer": inner}, "TimeDistributed": {"layer": inner},
        "Conv1D": {"filters": 2, "kernel_size": 2}, "Dense": {"units": 2, "kernel_regularizer": "l1"},
        "Dropout": {"rate": 0.25}, "SpatialDropout1D": {"rate": 0.25}, "Embedding": {"input_dim": 3, "output_dim": 2},
        "GRU": {"units": 2}, "LSTM": {"units": 2}, "SimpleRNN": {"units": 2}, "RepeatVector": {"n": 2},
        "Reshape": {"target_shape": (2, 2)}, "MultiHeadAttention": {"num_heads": 2, "key_dim": 2},
        "AveragePooling1D": {"pool_size": 3},
    }.get(name, {})  # fmt: skip
    config = getattr(layers, name)(**arguments).get_config()
    if name == "Embedding":
        config.pop("input_length")
    if name == "SpatialDropout1D":
        config.pop("trainable")
    for inner in ("layer", "backward_layer"):
        if inner in config:
            config[inner]["module"] = "keras.layers"  # where Keras looks for a layer inside another
    theirs = getattr(keras.layers, name).from_config(config).get_config()
    for key in set(config) - {"dtype", "layer", "backward_layer"}:
        if not key.endswith(("_initializer", "_regularizer")):
            value = list(theirs[key]) if isinstance(theirs[key], tuple) else theirs[key]
            assert value in (config[key], [config[key]]), key


def test_every_argument_of_keras_is_known_or_named_here(keras):  # noqa: F811
    import inspect

    from tinyllm.layers.arguments import arguments

    everywhere = {"self", "kwargs", "seed", "use_cudnn", "lora_rank", "lora_alpha", "quantization_config"}
    missing = {
        name: sorted(
            n
            for n in inspect.signature(getattr(keras.layers, name).__init__).parameters
            if n not in arguments(getattr(layers, name)) and n not in everywhere and not n.endswith("_constraint")
        )
        for name in set(layers.LAYERS) - {"InputLayer"}
    }
    assert {name: names for name, names in missing.items() if names} == {
        "MultiHeadAttention": ["attention_axes", "flash_attention", "sliding_window", "use_gate"],
    }
