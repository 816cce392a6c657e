"""The walk, one node at a time: its steps, its sums, and that it leaves no trace."""

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_array_equal

from tests.visualize.examples import CHOSEN, chain, leaf, perceptron, programs
from tinyllm import Tensor, no_grad, ops
from tinyllm.visualize import trace


@pytest.mark.parametrize("name", CHOSEN)
def test_the_gradients_equal_those_of_backward_to_the_bit(name):
    tensor, leaves = CHOSEN[name]()
    steps = trace(tensor)
    tensor.backward(np.ones_like(tensor.data))
    for each in leaves.values():
        assert_array_equal(steps.gradient(each), each.grad)
        assert steps.gradient(each).dtype == each.dtype


@given(programs())
@np.errstate(all="ignore")
def test_so_it_is_for_random_graphs(program):
    tensor, leaves = program
    if tensor.is_leaf:
        return
    upstream = np.random.default_rng(5).standard_normal(tensor.shape)
    steps = trace(tensor, upstream)
    found = [steps.gradient(each) for each in leaves]
    tensor.backward(upstream)
    for each, d in zip(leaves, found):
        assert (d is None) == (each.grad is None)
        if d is not None:
            assert_array_equal(d, each.grad)


@given(programs())
@np.errstate(all="ignore")
def test_what_the_rules_returned_adds_up_to_what_is_collected(program):
    tensor, _ = program
    if tensor.is_leaf:
        return
    totals = {}
    for step in trace(tensor):
        for each in step.returned:
            assert each.added == (each.to in totals)
            totals[each.to] = totals.get(each.to, 0) + each.gradient
        for to, total in step.accumulated.items():
            assert_array_equal(total, totals[to])


def test_no_grad_is_written_and_the_graph_is_kept():
    loss, weights = perceptron()
    trace(loss)
    assert all(w.grad is None for w in weights.values())
    loss.backward()
    assert all(w.grad is not None for w in weights.values())


def test_a_step_says_what_a_rule_received_and_returned():
    a, b = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True), Tensor([10.0, 20.0], requires_grad=True, dtype="f4")
    step = next(trace(a * b, upstream=[[1.0, 0.0], [2.0, 1.0]], names={"a": a, "b": b}))
    assert (step.name, step.rule) == ("multiply", ("g * b", "g * a"))
    assert step.inputs["a"] is a.data and step.inputs["b"] is b.data
    assert_array_equal(step.received, [[1, 0], [2, 1]])
    to_a, to_b = step.returned
    assert_array_equal(to_a.gradient, [[10, 0], [20, 20]])
    assert_array_equal(to_b.raw, [[1, 0], [6, 4]])
    assert_array_equal(to_b.gradient, [7, 4])
    assert (to_b.raw.dtype, to_b.gradient.dtype) == (np.float64, np.float32)
    assert str(step).splitlines()[-1] == (
        "  to b, as b: g * a = [[1, 0], [6, 4]]  (2, 2), summed to (2,): [7, 4], cast to float32"
    )


def test_what_came_by_another_way_is_added():
    x = Tensor(3.0, requires_grad=True)
    step = next(trace(x * x, names={"x": x}))
    assert [each.added for each in step.returned] == [False, True]
    assert str(step).endswith("to x, as b: g * a = 3  (), there now 6")


def test_a_kernel_with_several_outputs_receives_a_gradient_for_each_that_was_used():
    x = leaf(2, 3, 4)
    y, _, _ = ops.lstm(x, np.zeros((2, 2)), np.zeros((2, 2)), leaf(4, 8), leaf(2, 8), None)
    first, kernel = [step for step in trace(np.sum(y)) if step.name in ("output", "lstm")]
    assert first.call.endswith("[0]") and first.rule == ("g",)
    assert [g is None for g in kernel.received] == [False, True, True]
    assert [each.argument for each in kernel.returned] == ["x", "kernel", "recurrent_kernel"]
    assert "for [1] none" in str(kernel)


def test_steps_are_given_one_at_a_time_newest_first():
    steps = trace(chain(3)[0])
    assert next(steps).number == 4
    assert [step.number for step in steps] == [3, 2]
    assert next(steps, None) is None
    assert len(steps) == 3


def test_printing_shows_every_step_and_takes_none():
    steps = trace(perceptron()[0])
    text = str(steps)
    assert text.count("\n\n") == len(steps) - 1
    assert all(3 <= len(step.splitlines()) <= 6 for step in text.split("\n\n"))
    assert next(steps).name == "sum"


def test_what_no_gradient_reaches_is_no_step():
    x, y = leaf(3), leaf(3)
    found = trace(np.where(np.exp(y) > 0, x, y), names={"y": y})
    assert [step.name for step in found] == ["where"]


def test_a_chain_of_20_000_operations_is_traced():
    assert len(trace(chain(20_000)[0])) == 20_000


def freed():
    loss, _ = perceptron()
    loss.backward()
    return loss


def unrecorded():
    with no_grad():
        return np.exp(leaf(2))


@pytest.mark.parametrize(
    "tensor, kind, told",
    [
        (
            freed,
            RuntimeError,
            r"backward\(\) ran already .* call trace\(\) before it, or backward\(retain_graph=True\)",
        ),
        (unrecorded, ValueError, "no input of this Tensor was made with requires_grad=True"),
        (lambda: leaf(2), ValueError, "is a leaf, no operation made it; pass what you computed from it"),
        (lambda: np.ones(2), TypeError, "trace: a Tensor is needed; found ndarray"),
    ],
)
def test_what_cannot_be_traced_is_refused_with_advice(tensor, kind, told):
    with pytest.raises(kind, match=told) as caught:
        trace(tensor())
    assert "\n" not in str(caught.value)


def test_an_upstream_gradient_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"the tensor's shape \(\); found float64 of shape \(3,\)"):
        trace(perceptron()[0], upstream=np.ones(3))
