"""Weights in one buffer: what its owners see, and that the pieces it is worked in do not show."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from tests.optimizers.cases import CASES, random_steps, walk
from tinyllm import Tensor
from tinyllm.layers import Dense
from tinyllm.models import Sequential
from tinyllm.optimizers import SGD, Adam, flat
from tinyllm.optimizers.flat import norm


def two_weights():
    return Tensor([[1.0, 2.0]], requires_grad=True), Tensor([3.0], requires_grad=True, dtype="float32")


def test_weights_of_several_shapes_and_dtypes_move_together():
    a, b = two_weights()
    SGD(0.5).apply_gradients([(np.array([[2.0, 4.0]]), a), (np.array([2.0]), b)])
    assert (a.data.tolist(), b.data.tolist(), a.dtype, b.dtype) == ([[0, 0]], [2], "float64", "float32")


@given(st.lists(array_shapes(min_dims=0, min_side=0, max_side=3), min_size=1, max_size=4), st.sampled_from([*CASES]))
def test_weights_together_go_where_they_would_go_alone(shapes, name):
    start, gradients = random_steps(3, shapes=shapes)
    optimizer = CASES[name]()
    optimizer.global_clipnorm = None  # the one thing that ties them
    together = walk(optimizer, start, gradients)
    for i in range(len(shapes)):
        alone = CASES[name]()
        alone.global_clipnorm = None
        expected = walk(alone, start[i : i + 1], [step[i : i + 1] for step in gradients])
        np.testing.assert_allclose(together[-1][i], expected[-1][0], rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("name", CASES)
def test_the_pieces_do_not_show(name, monkeypatch):
    start, gradients = random_steps()
    whole = walk(CASES[name](), start, gradients)
    monkeypatch.setattr(flat, "BLOCK", 3)
    pieces = walk(CASES[name](), start, gradients)
    for a, b in zip(whole[-1], pieces[-1]):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", CASES)
def test_a_weight_without_a_gradient_stays_and_its_slots_with_it(name):
    start, gradients = random_steps(6)
    skipping = [[g, None if i in (2, 3) else h] for i, (g, h) in enumerate(gradients)]
    optimizer = CASES[name]()
    path = walk(optimizer, start, skipping)
    np.testing.assert_array_equal(path[3][1], path[1][1])
    assert (path[2][0] != path[1][0]).any()
    assert (path[4][1] != path[3][1]).any()
    optimizer = CASES[name]()
    walk(optimizer, start, skipping[:2])
    before = [slot.copy() for slot in optimizer.get_state()[1].values()]
    optimizer.apply_gradients(zip([gradients[2][0], None], optimizer.parameters))
    for a, b in zip(before, optimizer.get_state()[1].values(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_weight_that_was_given_another_array_is_picked_up():
    a, b = two_weights()
    optimizer, g = SGD(0.5), [np.ones((1, 2)), np.ones(1)]
    optimizer.apply_gradients(zip(g, (a, b)))
    a.data = np.array([[10.0, 10.0]])
    optimizer.apply_gradients(zip(g, (a, b)))
    assert a.data.tolist() == [[9.5, 9.5]]


def test_the_graph_sees_the_moved_weight():
    a, _ = two_weights()
    SGD(0.5).apply_gradients([(np.ones((1, 2)), a)])
    loss = np.sum(np.square(a))
    loss.backward()
    np.testing.assert_array_equal(a.grad, 2 * a.data)


@pytest.mark.parametrize("name", CASES)
def test_a_gradient_may_be_a_tensor_of_any_layout_and_is_never_changed(name):
    w = Tensor(np.ones((2, 3)), requires_grad=True)
    values = np.arange(6.0).reshape(3, 2)
    optimizer = CASES[name]()
    for g in (Tensor(values.T), values.T, np.asfortranarray(values.T)):
        optimizer.apply_gradients([(g, w)])
        np.testing.assert_array_equal(g, values.T)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_norm_is_right_where_its_square_is_no_number_any_more(dtype):
    large = np.finfo(dtype).max / 8
    assert norm(np.array([3, 4], dtype)) == 5
    np.testing.assert_allclose(norm(np.array([large * 0.6, -large * 0.8], dtype)), large, rtol=1e-6)
    assert (norm(np.zeros(3, dtype)), norm(np.zeros(0, dtype))) == (0, 0)
    assert not np.isfinite(norm(np.array([1, np.nan, 2], dtype)))
    assert not np.isfinite(norm(np.array([1, np.inf, 2], dtype)))


def test_a_slot_that_is_asked_for_later_begins_as_new():
    start, gradients = random_steps(2)
    optimizer = SGD(0.5)
    walk(optimizer, start, gradients[:1])
    optimizer.momentum = 0.5
    assert not optimizer.get_state()[0]["momentum"].any()
    optimizer.apply_gradients(zip(gradients[1], optimizer.parameters))
    np.testing.assert_array_equal(optimizer.get_state()[0]["momentum"], -0.5 * gradients[1][0])


def test_adam_on_weights_in_pieces_of_the_usual_size():
    n = flat.BLOCK + 3
    ((after,),) = walk(Adam(0.5), [np.zeros(n)], [[np.ones(n)]], "float32")
    assert after.min() == after.max() != 0


@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop"])
def test_a_copy_of_a_trained_model_trains_on_like_the_original(name):
    model = Sequential([Dense(3, "tanh", input_shape=(2,)), Dense(1)])
    model.compile(name, "mse")
    x, y = np.random.default_rng(0).normal(size=(8, 2)), np.ones(8)
    model.fit(x, y, epochs=2, verbose=0)
    before, twin = model.get_weights(), copy.deepcopy(model)
    for each in (model, twin):
        each.fit(x, y, epochs=2, shuffle=False, verbose=0)
    for a, b, start in zip(model.get_weights(), twin.get_weights(), before):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, start)
