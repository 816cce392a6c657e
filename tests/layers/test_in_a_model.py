"""Layers in a Sequential: built before they see data, trained, masked, saved."""

import numpy as np
import pytest

from tinyllm import layers
from tinyllm.models import Sequential, load_model

IDS = np.random.default_rng(0).integers(1, 9, (4, 8))
LABELS = np.array([0, 1, 1, 0])
STACKS = {
    "convolutions": [
        layers.Embedding(9, 6, input_length=8), layers.SpatialDropout1D(0.2),
        layers.Conv1D(6, 3, padding="causal", groups=2), layers.Activation("gelu"),
        layers.LayerNormalization(), layers.MaxPooling1D(2), layers.RMSNormalization(),
        layers.AveragePooling1D(2, strides=1, padding="same"), layers.GlobalMaxPooling1D(), layers.Dense(1, "sigmoid"),
    ],
    "recurrences": [
        layers.Embedding(9, 4, mask_zero=True, input_length=8), layers.SimpleRNN(4, return_sequences=True, dropout=0.1),
        layers.GRU(4, return_sequences=True, recurrent_dropout=0.1, kernel_regularizer="l2"),
        layers.Bidirectional(layers.LSTM(3, return_sequences=True)), layers.TimeDistributed(layers.Dense(2)),
        layers.GlobalAveragePooling1D(), layers.Dense(1, "sigmoid"),
    ],
    "shapes": [
        layers.Masking(input_shape=(8, 1)), layers.Flatten(), layers.RepeatVector(2), layers.Reshape((4, 4)),
        layers.GRU(2, reset_after=False), layers.Dense(1, "sigmoid"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", STACKS)
def test_a_stack_is_built_before_it_sees_data_learns_and_comes_back_from_a_file(name, tmp_path):
    model = Sequential(STACKS[name], seed=2)
    x = IDS[..., None] / 9 if name == "shapes" else IDS
    assert model.output_shape == (None, 1) and all(layer.built for layer in model.layers)
    model.compile("adam", "binary_crossentropy")
    before = model.get_weights()
    model.fit(x, LABELS, epochs=1, verbose=0)
    assert all((a != b).any() for a, b in zip(before, model.get_weights()))
    for layer, following in zip(model.layers, [layer.input_shape for layer in model.layers[1:]]):
        assert layer.compute_output_shape(layer.input_shape) == following
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(load_model(tmp_path / "m").predict(x), model.predict(x))


def test_padding_behind_a_sequence_changes_nothing_as_far_as_the_mask_reaches():
    model = Sequential([
        layers.Embedding(9, 4, mask_zero=True), layers.Bidirectional(layers.GRU(3, return_sequences=True)),
        layers.TimeDistributed(layers.Dense(3)), layers.LayerNormalization(),
        layers.SimpleRNN(2, return_sequences=True), layers.GlobalAveragePooling1D(),
    ])  # fmt: skip
    padded = np.concatenate([IDS, np.zeros((4, 3), int)], axis=1)
    np.testing.assert_allclose(model.predict(padded), model.predict(IDS), rtol=1e-5, atol=1e-7)
