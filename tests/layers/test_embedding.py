"""Embedding: each id's row, and each row's gradient from every place its id stands."""

import json
from pathlib import Path

import numpy as np
import pytest

from tinyllm.layers import Embedding

TRUTH = json.loads((Path(__file__).parents[1] / "golden" / "document.json").read_text(encoding="utf-8"))["embedding"]
IDS = np.array(TRUTH["indices"])


def table(**arguments):
    return Embedding(5, 3, weights=[np.array(TRUTH["weights"])], dtype="float64", **arguments)


def test_values_and_gradients_are_those_of_keras_with_repeated_ids_added_up():
    layer = table()
    y = layer(IDS)
    loss = np.sum(y * np.array(TRUTH["C"]))
    loss.backward()
    np.testing.assert_array_equal(y.data, TRUTH["output"])
    np.testing.assert_allclose(float(loss), TRUTH["loss"], rtol=1e-12)
    np.testing.assert_allclose(layer.embeddings.grad, TRUTH["grad_dense"], rtol=1e-10, atol=1e-12)


def test_float_ids_are_cut_to_whole_numbers():
    np.testing.assert_array_equal(table()(np.array([[1.9]])).data, TRUTH["float_output"])


def test_zero_is_masked_only_where_mask_zero_says_so():
    assert table(mask_zero=True).compute_mask(IDS).tolist() == TRUTH["mask"]
    assert table().compute_mask(IDS) is None


@pytest.mark.parametrize("mask_zero", [False, True])
def test_the_row_of_the_padding_starts_and_learns_like_any_other(mask_zero):
    """As in Keras; the row of PyTorch's padding_idx is zero and stays so. A mask keeps padding out further up."""
    layer = Embedding(5, 3, mask_zero=mask_zero)
    np.sum(layer(np.array([[0, 0, 2]]))).backward()
    assert layer.embeddings.data[0].all()
    assert layer.embeddings.grad[[0, 2]].tolist() == [[2, 2, 2], [1, 1, 1]]


@pytest.mark.parametrize("kind", ["int8", "uint8", "int32", "int64", "float32"])
def test_ids_may_be_numbers_of_any_kind(kind):
    np.testing.assert_array_equal(table()(IDS.astype(kind)).data, TRUTH["output"])


@pytest.mark.parametrize("shape", [(2,), (2, 0), (0, 3), (1, 2, 3)])
def test_ids_may_have_any_shape(shape):
    assert table()(np.ones(shape, int)).shape == (*shape, 3)


def test_an_id_beyond_the_table_is_named_with_the_range_and_the_remedy():
    with pytest.raises(IndexError, match=r"token id 7 is outside 0\.\.4 \(input_dim=5\); input_dim must be at least 8"):
        table()(np.array([[1, 7]]))


def test_a_negative_id_is_refused_and_not_counted_from_the_end():
    with pytest.raises(IndexError, match=r"token id -1 is outside 0\.\.4 \(input_dim=5\); ids are never negative"):
        table()(np.array([[-1, 2]]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_id_that_is_not_finite_is_refused(bad):
    with pytest.raises(ValueError, match=f"Embedding 'embedding': token id {bad} is not a whole number"):
        table()(np.array([[1.0, bad]]))


@pytest.mark.parametrize("ids", [np.array([["a"]]), np.array([[True]]), np.array([[1 + 2j]])])
def test_ids_must_be_numbers(ids):
    with pytest.raises(TypeError, match="token ids must be numbers; found"):
        table()(ids)


@pytest.mark.parametrize("name", ["input_dim", "output_dim"])
@pytest.mark.parametrize("size", [0, -3, 1.5])
def test_sizes_must_be_positive_whole_numbers(name, size):
    with pytest.raises(ValueError, match=f"Embedding: {name} must be a positive whole number; found {size}"):
        Embedding(**{"input_dim": 2, "output_dim": 2} | {name: size})


def test_a_new_table_lies_within_a_twentieth_of_zero():
    layer = Embedding(1000, 50)
    layer(np.zeros((1, 1), int))
    assert 0.049 < np.abs(layer.embeddings.data).max() <= 0.05
