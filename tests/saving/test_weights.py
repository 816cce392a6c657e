"""Weights alone: what is written into each kind of file comes back, and what does not fit changes nothing."""

import json
from pathlib import Path

import numpy as np
import pytest

from tinyllm.layers import GRU, LSTM, Bidirectional, Dense, Embedding, TimeDistributed
from tinyllm.models import Model, Sequential, load_model
from tinyllm.saving import load_weights, save_weights

GOLDEN = Path(__file__).parents[1] / "golden"


def model(seed=0):
    layers = [Embedding(9, 4, input_length=5), Bidirectional(LSTM(3, return_sequences=True)), TimeDistributed(Dense(2))]
    return Sequential([*layers, GRU(2), Dense(1)], seed=seed)


def bits(m):
    return [w.tobytes() for w in m.get_weights()]


@pytest.mark.parametrize("name", ["w.safetensors", "w", "w.weights.h5", "W.WEIGHTS.H5"])
def test_weights_come_back_to_the_bit_whatever_the_file_is_called_later(tmp_path, name):
    if name.lower().endswith("h5"):
        pytest.importorskip("h5py")
    save_weights(model(), tmp_path / name)
    (tmp_path / name).rename(tmp_path / "renamed")
    other = model(seed=1)
    load_weights(other, tmp_path / "renamed")
    assert bits(other) == bits(model())


@pytest.mark.parametrize("name", ["m.h5", "m.keras"])
def test_the_weights_of_a_whole_model_are_read_too(tmp_path, name):
    pytest.importorskip("h5py")
    model().save(tmp_path / name)
    other = model(seed=1)
    load_weights(other, tmp_path / name)
    assert bits(other) == bits(model())


@pytest.mark.parametrize("name", ["w.safetensors", "w.weights.h5"])
def test_a_file_that_does_not_fit_changes_nothing(tmp_path, name):
    pytest.importorskip("h5py")
    save_weights(model(), tmp_path / name)
    for other in (Sequential([Dense(1, input_shape=(2,))]), Sequential([Embedding(9, 5, input_length=5), GRU(2)])):
        before = bits(other)
        with pytest.raises(ValueError) as caught:
            load_weights(other, tmp_path / name)
        assert bits(other) == before and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["w.safetensors", "w.weights.h5"])
def test_every_flipped_bit_is_refused(tmp_path, name):
    pytest.importorskip("h5py")
    small = Sequential([Dense(1, input_shape=(2,))])
    save_weights(small, tmp_path / name)
    data = (tmp_path / name).read_bytes()
    rng = np.random.default_rng(0)
    for place in {*range(0, len(data), max(1, len(data) // 150)), *range(max(0, len(data) - 80), len(data))}:
        changed = bytearray(data)
        changed[place] ^= 1 << int(rng.integers(8))
        (tmp_path / name).write_bytes(changed)
        with pytest.raises(ValueError, match=f"^{name}: "):
            load_weights(small, tmp_path / name)


def test_a_strangers_safetensors_is_read_and_half_a_seal_is_not(tmp_path):
    numpy_writer = pytest.importorskip("safetensors.numpy")
    small = Sequential([Dense(1, input_shape=(2,))])
    arrays = {name: w.data + 1 for name, w in small.named_weights.items()}
    for metadata in (None, {"format": "pt"}):
        numpy_writer.save_file(arrays, tmp_path / "w", metadata)
        load_weights(small, tmp_path / "w")
        np.testing.assert_array_equal(small.get_weights()[0], arrays["dense/kernel"])
    for metadata in ({"format": "tinyllm"}, {"sha256": "0" * 64}, {"format": "tinyllm", "sha256": "0" * 64}):
        numpy_writer.save_file(arrays, tmp_path / "w", metadata)
        with pytest.raises(ValueError, match="w: its SHA-256 differs from the one in its header"):
            load_weights(small, tmp_path / "w")
    save_weights(small, tmp_path / "w")
    assert numpy_writer.load_file(tmp_path / "w").keys() == arrays.keys()


def test_files_that_keras_made_of_a_graph_give_what_keras_predicted():
    pytest.importorskip("h5py")
    golden = json.loads((GOLDEN / "graph_keras3.json").read_text())
    x, expected = [np.array(each) for each in golden["x"]], golden["y"]
    loaded = load_model(GOLDEN / "graph_keras3.keras")
    assert type(loaded) is Model
    np.testing.assert_allclose(loaded.predict(x), expected, rtol=0, atol=1e-6)
    loaded.set_weights([np.zeros_like(w) for w in loaded.get_weights()])
    load_weights(loaded, GOLDEN / "graph_keras3.weights.h5")
    np.testing.assert_allclose(loaded.predict(x), expected, rtol=0, atol=1e-6)


def test_a_model_class_of_one_s_own_has_no_layout_in_keras_s_files(tmp_path):
    class Own(Model):
        def __init__(self):
            super().__init__()
            self.last = Dense(1)

        def call(self, x, training=False):
            return self.last(x)

    own = Own()
    own.build((None, 2))
    with pytest.raises(ValueError, match="hold a Sequential or a graph; found a class of your own"):
        save_weights(own, tmp_path / "w.weights.h5")


def test_nothing_there_is_said_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="load_weights: there is nothing at"):
        load_weights(model(), tmp_path / "w")
