"""Initializers: the spread that their papers prescribe, drawn from the generator they are given."""

import json
from pathlib import Path

import numpy as np
import pytest

from tinyllm import initializers

DOCUMENT = json.loads((Path(__file__).parent / "golden" / "document.json").read_text(encoding="utf-8"))
TRUTH, PYTORCH = DOCUMENT["initializers"], DOCUMENT["pytorch_initializers"]


def draw(initializer, shape, seed=0, dtype="float64"):
    return initializers.get(initializer)(shape, np.random.default_rng(seed), dtype)


@pytest.mark.parametrize("name", TRUTH)
def test_the_spread_is_that_of_keras(name):
    measured = TRUTH[name]
    x = draw(name, measured["shape"])
    assert abs(x.std() - measured["std"]) < 0.02 * max(measured["std"], 1e-9)
    assert abs(x.mean() - measured["mean"]) < 0.03 * max(measured["std"], 1e-9)
    bounded = not name.startswith(("random_normal", "orthogonal"))
    if bounded:
        np.testing.assert_allclose([x.min(), x.max()], [measured["min"], measured["max"]], rtol=0.01)


@pytest.mark.parametrize("name", PYTORCH)
def test_weights_may_start_as_pytorchs_do(name):
    """Ours start as Keras's; PyTorch's LSTM and Linear draw all of theirs, biases too, within 1 / sqrt(a size)."""
    measured = PYTORCH[name]
    x = draw(initializers.RandomUniform(-measured["bound"], measured["bound"]), measured["shape"])
    assert abs(x.std() - measured["std"]) < 0.04 * measured["std"]  # of 400 numbers, two such differ by 3 %
    for extreme in ("min", "max"):
        if extreme in measured:
            np.testing.assert_allclose(getattr(x, extreme)(), measured[extreme], rtol=0.02)


def test_rows_may_start_as_those_of_pytorchs_embedding():
    measured = DOCUMENT["pytorch_embedding"]
    x = draw(initializers.RandomNormal(0.0, 1.0), (1000, 100))
    assert abs(x.std() - measured["std"]) < 0.02 and abs(x.mean() - measured["mean"]) < 0.01


@pytest.mark.parametrize("shape", [(2, 8), (8, 2), (4, 4), (1, 3), (2, 3, 4)])
def test_an_orthogonal_matrix_keeps_lengths_along_its_shorter_side(shape):
    q = draw("orthogonal", shape).reshape(-1, shape[-1])
    shorter = q @ q.T if len(q) <= q.shape[1] else q.T @ q
    np.testing.assert_allclose(shorter, np.eye(min(q.shape)), atol=1e-14)


def test_an_orthogonal_matrix_prefers_no_sign():
    corners = [draw("orthogonal", (3, 3), seed)[0, 0] for seed in range(200)]
    assert abs(np.mean(corners)) < 0.15  # a plain QR decomposition always gives a negative one


def test_orthogonal_needs_a_matrix():
    with pytest.raises(ValueError, match=r"Orthogonal: needs a matrix, found the shape \(3,\)"):
        draw("orthogonal", (3,))


def test_a_truncated_normal_stays_within_two_standard_deviations_and_keeps_its_variance():
    x = draw("he_normal", (100, 2000)) / np.sqrt(2 / 100)
    assert np.abs(x).max() <= 2 / 0.8796 and abs(x.std() - 1) < 0.01


@pytest.mark.parametrize("name", sorted(initializers.INITIALIZERS))
def test_the_same_generator_gives_the_same_values_in_the_wanted_dtype(name):
    a, b = draw(name, (3, 4), dtype="float32"), draw(name, (3, 4), dtype="float32")
    np.testing.assert_array_equal(a, b)
    assert (a.shape, a.dtype) == ((3, 4), "float32")


@pytest.mark.parametrize("name", sorted(initializers.INITIALIZERS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_lie_one_after_another_so_that_a_copy_of_a_model_gives_the_same_bits(name, dtype):
    assert draw(name, (3, 5), dtype=dtype).flags.c_contiguous


@pytest.mark.parametrize("name", sorted(initializers.INITIALIZERS))
def test_what_is_written_down_can_be_read_back(name):
    initializer = initializers.get(name)
    assert initializers.get(json.loads(json.dumps(initializers.serialize(initializer)))) == initializer


def test_a_configuration_from_keras_with_its_seed_is_understood():
    made = initializers.get({"class_name": "RandomUniform", "config": {"minval": -1.0, "maxval": 2.0, "seed": None}})
    assert made == initializers.RandomUniform(-1.0, 2.0)


@pytest.mark.parametrize("wrong", ["nope", None, 3, {"class_name": "Nope"}, {}])
def test_an_unknown_name_lists_the_known_ones(wrong):
    with pytest.raises(ValueError, match=r"unknown initializer .*; known: .*(zeros|Zeros)"):
        initializers.get(wrong)
