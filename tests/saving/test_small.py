"""Weights in fewer bytes: what is lost is bounded, and a file that lies is refused."""

import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyllm.layers import LSTM, Dense, Embedding
from tinyllm.models import NGram, Sequential, load_model
from tinyllm.preprocessing.tokenizers import CharacterTokenizer
from tinyllm.saving import small
from tinyllm.saving.manifest import seal, unseal


def model():
    built = Sequential([Embedding(20, 16), LSTM(16), Dense(3, activation="softmax")], seed=1)
    built(np.zeros((1, 4), int))
    return built


IDS = np.random.default_rng(0).integers(0, 20, (30, 4))


def size(path):
    return sum(os.path.getsize(os.path.join(path, name)) for name in os.listdir(path) if name.endswith(".safetensors"))


@pytest.mark.parametrize(("kind", "bytes_at_most", "apart"), [("float16", 0.55, 1e-3), ("int8", 0.4, 2e-2)])
def test_a_model_in_fewer_bytes_answers_nearly_the_same(tmp_path, kind, bytes_at_most, apart):
    whole = model()
    whole.save(tmp_path / "whole")
    whole.save(tmp_path / "small", weights=kind)
    assert size(tmp_path / "small") < bytes_at_most * size(tmp_path / "whole")
    loaded = load_model(tmp_path / "small")
    assert {w.dtype for w in loaded.get_weights()} == {np.dtype("float32")}
    np.testing.assert_allclose(loaded.predict(IDS), whole.predict(IDS), atol=apart)
    assert not np.array_equal(loaded.predict(IDS), whole.predict(IDS))


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(8, 40))
def test_every_number_is_within_half_a_step(seed, rows, columns):
    w = np.random.default_rng(seed).normal(size=(8 * rows, columns)).astype("float32")
    w[:, 0] = 0
    stored, said = small.narrowed({"w": w}, "int8")
    back = small.widened(stored, said, "file")["w"]
    assert back.dtype == w.dtype and (np.abs(back - w) <= stored["w/scale"] * 0.5001).all()
    assert (back[:, 0] == 0).all()


def test_vectors_and_small_arrays_keep_every_bit():
    tensors = {"bias": np.arange(100, dtype="float32"), "kernel": np.full((3, 4), 0.1, "float32")}
    stored, _ = small.narrowed(tensors, "int8")
    assert all(stored[name] is tensors[name] for name in tensors)


def test_counts_stay_counts(tmp_path):
    counted = NGram(3, order=2, tokenizer=CharacterTokenizer("abc"))
    counted.count([0, 1, 2, 0, 1]) if hasattr(counted, "count") else counted.fit(np.array([0, 1, 2, 0, 1]))
    counted.save(tmp_path / "n", weights="int8")
    np.testing.assert_allclose(
        load_model(tmp_path / "n").scores(np.array([[0, 1]])), counted.scores(np.array([[0, 1]]))
    )


def test_what_cannot_be_stored_so_is_one_line(tmp_path):
    with pytest.raises(ValueError, match="stored as 'float16' or 'int8'; found 'int4'"):
        model().save(tmp_path / "m", weights="int4")
    with pytest.raises(ValueError, match="is for a model's folder"):
        model().save(tmp_path / "m.keras", weights="int8")
    large = model()
    large.set_weights([w * 1e6 for w in large.get_weights()])
    with pytest.raises(ValueError, match="float16 ends at 65504"):
        large.save(tmp_path / "m", weights="float16")
    large.set_weights([w * np.nan for w in large.get_weights()])
    with pytest.raises(ValueError, match="NaN or infinity"):
        large.save(tmp_path / "m", weights="int8")
    assert not (tmp_path / "m").exists()


def test_an_optimizer_stays_behind(tmp_path):
    trained = model()
    trained.compile("adam", "sparse_categorical_crossentropy")
    trained.fit(IDS, np.zeros(30, int), epochs=1, verbose=0)
    trained.save(tmp_path / "m", weights="float16")
    assert load_model(tmp_path / "m").optimizer is None


LIES = [
    {"as": "int4", "from": "float32"},
    {"as": "int8", "from": "object"},
    {"as": "float16", "from": "float32"},
    5,
    [],
    {},
]


@pytest.mark.parametrize("lie", LIES, ids=str)
def test_a_manifest_that_lies_about_it_is_refused(tmp_path, lie):
    model().save(tmp_path / "m", weights="int8")
    manifest = tmp_path / "m" / "manifest.json"
    content = unseal(manifest.read_bytes(), "manifest.json")
    content.pop("seal", None)
    content["weights"]["stored"] = lie
    manifest.write_bytes(seal(json.loads(json.dumps(content))).encode("ascii"))
    with pytest.raises(ValueError) as error:
        load_model(tmp_path / "m")
    assert "\n" not in str(error.value)
