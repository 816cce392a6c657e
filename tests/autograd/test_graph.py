"""The backward walk: each node once, no recursion, nothing shared, nothing kept."""

import gc
import threading
import weakref

import numpy as np
import pytest

from tinyllm import Tensor, no_grad, ops
from tinyllm.autograd.graph import unbroadcast
from tinyllm.autograd.tensor import as_array


def leaf(*shape):
    return Tensor(np.random.default_rng(len(shape)).standard_normal(shape), requires_grad=True)


def test_a_chain_of_200_000_operations_goes_backward_and_is_freed():
    x = Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(200_000):
        y = y + 1.0
    y.backward()
    assert x.grad == 1
    del y


def test_a_chain_of_200_000_operations_that_never_went_backward_is_freed():
    y = Tensor(1.0, requires_grad=True)
    for _ in range(200_000):
        y = -y
    gone = weakref.ref(y)
    del y
    assert gone() is None


def test_24_doublings_are_24_nodes_and_not_16_million_paths():
    x = Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(24):
        y = y + y
    y.backward()
    assert x.grad == 2**24


def test_every_path_counts():
    x = Tensor(3.0, requires_grad=True)
    y = x * x
    (y * x + y * y + x).backward()
    assert x.grad == 3 * 3**2 + 4 * 3**3 + 1


def test_an_older_node_reached_by_a_shortcut_waits_for_the_longer_way():
    x = leaf(3)
    y = np.exp(x)
    z = y
    for _ in range(5):
        z = z * 2.0
    np.sum(z + y).backward()
    np.testing.assert_allclose(x.grad, 33 * np.exp(x.data), rtol=1e-15)


def test_a_matrix_times_its_own_transpose():
    x = leaf(2, 3)
    np.sum(x @ x.T).backward()
    np.testing.assert_allclose(x.grad, 2 * np.ones((2, 2)) @ x.data, rtol=1e-14)


def small_graph():
    x, w, h = leaf(2, 3, 4), leaf(4, 8), leaf(2, 2)
    y, last, _ = ops.lstm(x, h, h, w, leaf(2, 8), None)
    z = np.concatenate([np.tanh(y[:, 0]), last]) @ leaf(2, 3)
    loss = np.mean(ops.cross_entropy_with_logits(z, [0, 1, 2, 0])) + np.max(ops.softmax(z))
    tensors = (x, w, h, y, last, z, loss)
    return loss, [weakref.ref(t) for t in tensors], [weakref.ref(t.data) for t in tensors]


@pytest.mark.parametrize("backward", [False, True])
def test_100_dropped_graphs_leave_nothing_to_the_garbage_collector(backward):
    gc.collect()
    gc.disable()
    try:
        alive = []
        for _ in range(100):
            loss, tensors, arrays = small_graph()
            if backward:
                loss.backward()
            del loss
            alive += [r for r in tensors + arrays if r() is not None]
        assert not alive
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_backward_frees_what_the_graph_held_while_the_loss_is_still_there():
    x = leaf(1000)
    hidden = np.exp(x)
    value = weakref.ref(hidden.data)
    loss = np.sum(hidden * hidden)
    del hidden
    assert value() is not None
    loss.backward()
    assert value() is None


def test_backward_twice_names_the_operation_that_was_freed():
    x = leaf(3)
    y = np.sum(np.tanh(x))
    y.backward()
    first = x.grad.copy()
    message = (
        r"backward\(\) ran already and freed this graph at 'sum'; call backward\(retain_graph=True\) the first time"
    )
    with pytest.raises(RuntimeError, match=message):
        y.backward()
    np.testing.assert_array_equal(x.grad, first)


def test_a_shared_part_that_another_backward_freed_is_named():
    shared = np.tanh(leaf(3))
    other = np.sum(shared * 2.0)
    np.sum(shared).backward()
    with pytest.raises(RuntimeError, match="freed this graph at 'tanh'"):
        other.backward()


@pytest.mark.parametrize("options", [{"retain_graph": True}, {"create_graph": True}])
def test_a_retained_graph_adds_exactly_the_same_again(options):
    x = leaf(2, 3)
    loss = np.sum(ops.cross_entropy_with_logits(np.tanh(x) * x, [0, 2]))
    loss.backward(**options)
    once = np.array(as_array(x.grad))
    loss.backward(**options)
    loss.backward(**options)
    np.testing.assert_array_equal(np.array(as_array(x.grad)), once + once + once)


def test_gradients_gather_on_leaves_only():
    x = leaf(3)
    y = x * 2.0
    np.sum(y).backward()
    assert y.grad is None
    assert x.grad is not None
    with pytest.raises(RuntimeError, match="only a leaf"):
        y.grad = np.ones(3)


def test_grad_is_an_array_and_after_create_graph_a_tensor():
    x = leaf(3)
    np.sum(x * x).backward()
    assert type(x.grad) is np.ndarray
    x.grad = None
    np.sum(x * x).backward(create_graph=True)
    assert type(x.grad) is Tensor
    x.grad = None
    (x * x).backward(Tensor(np.ones(3), requires_grad=True))
    assert type(x.grad) is np.ndarray


SHARERS = {
    "add": lambda a, b: a + b,
    "subtract and negate": lambda a, b: a - (-b),
    "reshape": lambda a, b: np.reshape(a + b, (3, 2)),
    "transpose": lambda a, b: (a + b).T,
    "broadcast_to": lambda a, b: np.broadcast_to(a + b, (2, 2, 3)),
    "sum": lambda a, b: np.sum(a + b, axis=0),
    "copy": lambda a, b: np.copy(a) + np.copy(b),
    "index": lambda a, b: a[:] + b[:],
    "where": lambda a, b: np.where(True, a + b, 0.0),
    "concatenate": lambda a, b: np.concatenate([a, b]),
    "stack and split": lambda a, b: np.split(np.stack([a, b]), 2)[0] + np.stack([a, b]),
    "kernel": lambda a, b: ops.binary_cross_entropy_with_logits(a + b, 1.0),
    "nothing": lambda a, b: a,
}


@pytest.mark.parametrize("f", SHARERS.values(), ids=SHARERS)
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_gradient_shares_memory_with_nothing(f, create_graph):
    a, b = leaf(2, 3), leaf(2, 3)
    y = f(a, b)
    upstream = np.random.default_rng(0).standard_normal(y.shape)
    kept = upstream.copy()
    y.backward(upstream, retain_graph=True, create_graph=create_graph)
    first = [as_array(t.grad) for t in (a, b) if t.grad is not None]
    y.backward(upstream, create_graph=create_graph)
    second = [as_array(t.grad) for t in (a, b) if t.grad is not None]
    arrays = [upstream, a.data, b.data, y.data]
    for i, g in enumerate([*first, *second]):
        assert not any(np.shares_memory(g, other) for other in arrays)
        assert not any(np.shares_memory(g, other) for other in [*first, *second][:i])
    np.testing.assert_array_equal(upstream, kept)
    for g, doubled in zip(first, second):
        np.testing.assert_array_equal(doubled, 2 * g)


def test_a_gradient_of_any_number_type_is_taken_and_a_wrong_one_refused():
    x = leaf(2)
    (x * 2.0).backward([1, 3])
    np.testing.assert_array_equal(x.grad, [2.0, 6.0])
    for wrong, error in [(np.ones(3), ValueError), (1.0, ValueError), ("ab", ValueError), ([1j, 0], TypeError)]:
        with pytest.raises(error, match=r"backward\(\): gradient"):
            (x * 2.0).backward(wrong)


def test_derivatives_to_the_fifth_order():
    x = Tensor(0.7, requires_grad=True)
    y = x**6
    for order, factor in enumerate([6, 30, 120, 360, 720], 1):
        x.grad = None
        y.backward(create_graph=True)
        y = x.grad
        np.testing.assert_allclose(y.data, factor * 0.7 ** (6 - order), rtol=1e-13)


def test_a_gradient_penalty_reaches_the_weights():
    w, x = Tensor(2.0, requires_grad=True), Tensor(3.0, requires_grad=True)
    np.tanh(w * x).backward(create_graph=True)
    penalty, w.grad = x.grad * x.grad, None
    penalty.backward()
    t = np.tanh(6.0)
    slope = 2 * (1 - t * t)  # d/dx tanh(w x) = w (1 - tanh(w x)^2)
    np.testing.assert_allclose(w.grad.data, 2 * slope * ((1 - t * t) - 2 * 2 * t * (1 - t * t) * 3), rtol=1e-12)


# no_grad


def test_nothing_is_recorded_under_no_grad_and_all_is_again_after_an_error():
    x = leaf(3)
    with pytest.raises(ZeroDivisionError), no_grad():
        assert not (x * 2.0).requires_grad
        _ = 1 / 0
    assert (x * 2.0).requires_grad


def test_no_grad_is_also_a_decorator():
    x = leaf(3)
    assert not no_grad()(lambda: x * 2.0)().requires_grad


def test_two_threads_keep_their_own_mode():
    x, inside, done = leaf(3), threading.Event(), threading.Event()
    seen = {}

    def predict():
        with no_grad():
            inside.set()
            done.wait(10)
            seen["predict"] = (x * 2.0).requires_grad

    def train():
        inside.wait(10)
        seen["train"] = (x * 2.0).requires_grad
        done.set()

    threads = [threading.Thread(target=f) for f in (predict, train)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert seen == {"predict": False, "train": True}


def test_two_threads_predict_with_one_model_and_get_its_answer():
    w = leaf(5, 5)
    x = np.eye(5)
    expected = np.tanh(x @ w.data @ w.data)
    wrong = []

    def predict():
        for i in range(300):
            with no_grad():
                y = np.tanh(x @ w @ w)
            if i % 3 == 0:
                np.sum(np.tanh(x @ w.detach() @ Tensor(w.data, requires_grad=True))).backward()
            if y.requires_grad or not np.array_equal(y.data, expected):
                wrong.append(y)

    threads = [threading.Thread(target=predict) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    assert w.grad is None


# A rule that is wrong in shape


def test_unbroadcast_sums_over_every_repeated_axis():
    d = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(unbroadcast(d, (3, 1)), d.sum(axis=(0, 2)).reshape(3, 1))
    np.testing.assert_array_equal(unbroadcast(d, ()), d.sum())
    np.testing.assert_array_equal(unbroadcast(np.ones((0, 3)), (1, 3)), np.zeros((1, 3)))


@pytest.mark.parametrize("shape", [(3,), (4, 4, 4), (2, 2, 3, 4)])
def test_a_gradient_that_cannot_have_come_from_broadcasting_is_refused(shape):
    with pytest.raises(RuntimeError, match=r"f: its rule returned a gradient of shape \(2, 3, 4\) for an argument"):
        unbroadcast(np.ones((2, 3, 4)), shape, "f")
