"""Every layer, and graphs of them, go to Keras and come back in all three of its formats, predicting the same."""

import numpy as np
import pytest

from tests.test_training import keras_on_pytorch
from tinyllm.layers import (
    GRU,
    LAYERS,
    LSTM,
    Activation,
    Add,
    Average,
    AveragePooling1D,
    Bidirectional,
    Concatenate,
    Conv1D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Input,
    InputLayer,
    LayerNormalization,
    Masking,
    MaxPooling1D,
    MultiHeadAttention,
    Multiply,
    RepeatVector,
    Reshape,
    RMSNormalization,
    SimpleRNN,
    SpatialDropout1D,
    Subtract,
    TimeDistributed,
)
from tinyllm.layers.base import all_layers
from tinyllm.models import Model, Sequential, load_model
from tinyllm.optimizers import Adam
from tinyllm.schedules import ExponentialDecay

pytest.importorskip("h5py")
pytestmark = [pytest.mark.interop, pytest.mark.filterwarnings("ignore")]  # Keras's own warnings

RNG = np.random.default_rng(0)
WAVES = RNG.normal(size=(4, 6, 3)).astype("float32")
IDS = RNG.integers(0, 10, (4, 6))
FLAT = RNG.normal(size=(4, 6)).astype("float32")
SHAPE = {"input_shape": (6, 3)}


def two_inputs():
    """Shared layers, a Sequential and a graph as layers, attention, states: what a description of a graph must hold."""
    a, b = Input((6, 3), name="a"), Input((6, 3), name="b")
    shared = Dense(4, name="shared")
    encoder = Sequential([Dense(4), Dense(4, trainable=False)], name="encoder")
    x, y = encoder(shared(a)), encoder(shared(b))
    attended = MultiHeadAttention(2, 3)(x, y, use_causal_mask=True)
    outputs, hidden, cell = LSTM(4, return_state=True, return_sequences=True, name="states")(attended)
    z = LSTM(4, name="begins")(y, initial_state=[hidden, cell])
    z = Concatenate()([z, GlobalMaxPooling1D()(outputs)])
    into = Input((8,))
    z = Model(into, Dense(3)(Dense(5)(into)), name="inner")(z)
    sums = Add()([z, Dense(3)(z)])
    return Model([a, b], Subtract()([sums, Multiply()([z, Average()([z, sums])])]), name="two")


def siamese():
    """Inputs in another order than they are used in, ids with padding, one reader for both."""
    a, b = Input((6,)), Input((6,))
    table, reader = Embedding(10, 3, mask_zero=True), LSTM(3)
    both = Concatenate()([reader(table(a)), reader(table(b))])
    return Model([b, a], Dense(1, "sigmoid")(both))


def several_outputs():
    """Longer ways beside shorter ones: Keras sorts layers by their distance from the outputs."""
    x = Input((6, 3))
    short, long = Dense(2, name="z_short")(x), Dense(2, "tanh", name="a_long")(x)
    for _ in range(3):
        long = Dense(2, "tanh")(long)
    return Model(x, [short, Add()([short, long]), GlobalAveragePooling1D()(long)])


def masked():
    x = Input((6, 3))
    return Model(x, LSTM(2)(Dropout(0.1)(Masking()(x))))


LAYER_MODELS = {
    "Activation": lambda: Activation("gelu", **SHAPE),
    "AveragePooling1D": lambda: AveragePooling1D(2, padding="same", **SHAPE),
    "Bidirectional": lambda: Bidirectional(LSTM(2), **SHAPE),
    "Bidirectional, summed": lambda: Bidirectional(GRU(2, return_sequences=True), merge_mode="sum", **SHAPE),
    "Conv1D": lambda: Conv1D(4, 3, padding="causal", **SHAPE),
    "Conv1D, in groups": lambda: Conv1D(3, 2, groups=3, dilation_rate=2, activation="relu", **SHAPE),
    "Dense": lambda: Dense(2, "elu", kernel_regularizer="l2", activity_regularizer="l1", **SHAPE),
    "Dropout": lambda: Dropout(0.3, noise_shape=(None, 1, 3), **SHAPE),
    "Flatten": lambda: Flatten(**SHAPE),
    "GlobalAveragePooling1D": lambda: GlobalAveragePooling1D(**SHAPE),
    "GlobalMaxPooling1D": lambda: GlobalMaxPooling1D(keepdims=True, **SHAPE),
    "GRU": lambda: GRU(3, **SHAPE),
    "GRU, as it was first": lambda: GRU(3, reset_after=False, use_bias=False, **SHAPE),
    "InputLayer": lambda: [InputLayer((6, 3)), Dense(2)],
    "LayerNormalization": lambda: LayerNormalization(**SHAPE),
    "LayerNormalization, two axes": lambda: LayerNormalization(axis=[1, 2], scale=False, **SHAPE),
    "LSTM": lambda: LSTM(3, return_sequences=True, **SHAPE),
    "Masking": lambda: [Masking(**SHAPE), LSTM(2)],
    "MaxPooling1D": lambda: MaxPooling1D(2, **SHAPE),
    "Reshape": lambda: Reshape((3, -1), **SHAPE),
    "RMSNormalization": lambda: RMSNormalization(**SHAPE),
    "SimpleRNN": lambda: SimpleRNN(3, go_backwards=True, **SHAPE),
    "SpatialDropout1D": lambda: SpatialDropout1D(0.2, **SHAPE),
    "TimeDistributed": lambda: TimeDistributed(Dense(2), **SHAPE),
    "frozen first": lambda: [Dense(2, trainable=False, **SHAPE), Sequential([Dense(2, trainable=False), Dense(3)])],
}
MODELS = {name: (lambda make=make: Sequential(make()), WAVES) for name, make in LAYER_MODELS.items()} | {
    "RepeatVector": (lambda: Sequential(RepeatVector(3, input_shape=(6,))), FLAT),
    "classifier": (
        lambda: Sequential(
            [
                Embedding(10, 4, mask_zero=True, input_length=6),
                Bidirectional(LSTM(3, return_sequences=True)),
                LSTM(2),
                Dense(2, "softmax"),
            ]
        ),
        IDS,
    ),
    "two inputs": (two_inputs, [WAVES, WAVES[::-1].copy()]),
    "siamese": (siamese, [IDS, IDS[::-1].copy()]),
    "several outputs": (several_outputs, WAVES),
    "masked": (masked, WAVES),
}


def with_noise(model):
    """At first biases are 0 and gains 1, so that swapped ones would pass."""
    rng = np.random.default_rng(1)
    for weight in model.weights:
        weight.data[...] += rng.normal(0, 0.3, weight.shape)
    return model


def close(found, expected):
    pairs = zip(found, expected, strict=True) if isinstance(expected, list) else [(found, expected)]
    for a, b in pairs:
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=0, atol=1e-6)


def test_every_layer_is_among_these_models():
    found = {type(layer).__name__ for make, _ in MODELS.values() for layer in all_layers(make()).values()}
    assert set(LAYERS) <= found


@pytest.mark.parametrize("name", MODELS)
def test_keras_opens_our_files_and_we_open_its(tmp_path, name):
    keras = keras_on_pytorch()
    make, x = MODELS[name]
    model = with_noise(make())
    expected = model.predict(x)
    for ending in (".h5", ".keras"):
        model.save(tmp_path / f"ours{ending}")
        theirs = keras.models.load_model(tmp_path / f"ours{ending}")
        close(theirs.predict(x, verbose=0), expected)
        close(load_model(tmp_path / f"ours{ending}").predict(x), expected)
    model.save_weights(tmp_path / "ours.weights.h5")
    theirs.set_weights([np.zeros_like(w) for w in theirs.get_weights()])
    theirs.load_weights(tmp_path / "ours.weights.h5")
    close(theirs.predict(x, verbose=0), expected)

    theirs.set_weights([w + 0.01 for w in theirs.get_weights()])
    expected = theirs.predict(x, verbose=0)
    for ending in (".h5", ".keras"):
        theirs.save(tmp_path / f"theirs{ending}")
        close(load_model(tmp_path / f"theirs{ending}").predict(x), expected)
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    for file in ("theirs.h5", "theirs.keras", "theirs.weights.h5"):
        model.set_weights([np.zeros_like(w) for w in model.get_weights()])
        model.load_weights(tmp_path / file)
        close(model.predict(x), expected)


@pytest.mark.parametrize("ending", ["h5", "keras"])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "rmsprop", "adam", "amsgrad", "scheduled", "nadam", "adamax"])
def test_a_training_that_keras_began_goes_on_here(tmp_path, ending, optimizer):
    keras = keras_on_pytorch()
    made = {
        "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
        "rmsprop": lambda: keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
        "amsgrad": lambda: keras.optimizers.Adam(0.01, amsgrad=True),
        "scheduled": lambda: keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)),
    }
    theirs = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])
    theirs.compile(made.get(optimizer, lambda: optimizer)(), "mse", metrics=["mae"])
    y = FLAT[:, :1] * 2
    fit = {"batch_size": 2, "epochs": 3, "shuffle": False, "verbose": 0}
    theirs.fit(FLAT, y, **fit)
    theirs.save(tmp_path / f"m.{ending}")
    ours = load_model(tmp_path / f"m.{ending}")
    assert ours.optimizer.iterations == 6
    for model in (theirs, ours):
        model.fit(FLAT, y, **fit)
    np.testing.assert_allclose(ours.predict(FLAT), theirs.predict(FLAT, verbose=0), rtol=0, atol=2e-5)


@pytest.mark.parametrize("ending", ["h5", "keras"])
def test_keras_knows_how_our_model_was_compiled(tmp_path, ending):
    keras = keras_on_pytorch()
    model = Sequential([Dense(2, "softmax", input_shape=(6,))])
    model.compile(Adam(ExponentialDecay(0.1, 10, 0.5)), "sparse_categorical_crossentropy", ["accuracy"])
    model.fit(FLAT, np.arange(4) % 2, verbose=0)
    model.save(tmp_path / f"m.{ending}")
    theirs = keras.models.load_model(tmp_path / f"m.{ending}")
    found, expected = theirs.evaluate(FLAT, np.arange(4) % 2, verbose=0), model.evaluate(FLAT, np.arange(4) % 2)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert type(theirs.optimizer._learning_rate).__name__ == "ExponentialDecay"
    theirs.fit(FLAT, np.arange(4) % 2, verbose=0)
