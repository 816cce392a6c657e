"""Keras reads padding where a layer has an initial state; we say so where it matters, and only there."""

import pytest

from tinyllm.layers import GRU, LSTM, Bidirectional, Dense, Embedding, GlobalMaxPooling1D, Input, RepeatVector
from tinyllm.models import Model
from tinyllm.saving.keras_masks import layers_that_lose_masks


def graph(*layers, mask_zero=True, state=True):
    x = y = Input((4,))
    for layer in (Embedding(5, 2, mask_zero=mask_zero), *layers):
        y = layer(y)
    start = Dense(3)(GlobalMaxPooling1D()(Embedding(5, 2)(x)))
    return Model(x, GRU(3, name="reader")(y, **({"initial_state": [start]} if state else {})))


@pytest.mark.parametrize(
    "make, expected",
    [
        (graph, ["reader"]),
        (lambda: graph(Dense(2), LSTM(2, return_sequences=True)), ["reader"]),
        (lambda: graph(Bidirectional(LSTM(2, return_sequences=True))), ["reader"]),
        (lambda: graph(mask_zero=False), []),
        (lambda: graph(state=False), []),
        (lambda: graph(LSTM(2), RepeatVector(3)), []),
    ],
)
def test_the_layers_with_a_mask_and_a_state_are_named(make, expected):
    assert layers_that_lose_masks(make().get_config()) == expected


def test_saving_such_a_model_for_keras_warns(tmp_path):
    pytest.importorskip("h5py")
    with pytest.warns(UserWarning, match="save: Keras reads the padding in 'reader', because it has an initial state"):
        graph().save(tmp_path / "m.keras")
