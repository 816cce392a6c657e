"""A machine that grows random graphs and asks for gradients at random moments.

Every step is written down twice: as a Tensor, computed by the engine, and as (function, where its arguments came from).
The reference replays the second on complex arrays: the derivative of an analytic f is Im f(x + ih) / h, exact to the
last digits for a tiny h (W. Squire & G. Trapp 1998). No graph, no rule, no chain rule.
"""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from numpy.testing import assert_allclose, assert_array_equal

from tinyllm import Tensor, jvp, no_grad, vjp
from tinyllm.autograd import kernels
from tinyllm.autograd.tensor import as_array

TINY = 1e-30  # the complex step: far too small to change the real part
BIG = 12  # elements: larger results are reduced, so that a replay stays cheap
SHAPES = [(), (1,), (3,), (2, 1), (2, 3), (1, 2, 2), (0, 2)]

UNARY = [
    np.tanh,
    np.sin,
    np.negative,
    np.square,
    lambda x: np.exp(x / 4),
    lambda x: x / (2 + np.cos(x)),
    lambda x: x**3,
]
BINARY = [np.add, np.subtract, np.multiply, lambda x, y: x / (3 + np.sin(y)), lambda x, y: x * y + y]
VIEWS = [
    np.ravel,
    np.transpose,
    lambda x: np.reshape(x, (-1, 1)),
    lambda x: np.expand_dims(x, 0),
    lambda x: x[..., None],
    lambda x: np.ravel(x)[::-1],
    lambda x: np.ravel(x)[1:],
    lambda x: np.ravel(x)[::2],
    lambda x: np.ravel(x)[np.arange(np.size(x)) // 2],  # repeats half of the elements, drops the others
    lambda x: x[np.arange(np.size(x)).reshape(np.shape(x)) % 2 == 0],
    lambda x: np.swapaxes(np.broadcast_to(x, (2, *np.shape(x))), 0, -1),
    lambda x: np.flip(np.cumsum(x)),
]
REDUCTIONS = [
    np.sum,
    np.mean,
    lambda x: np.sum(np.reshape(x, (-1, 1)), axis=0),
    lambda x: np.sum(x, axis=-1, keepdims=True) if np.ndim(x) else x,
    lambda x: np.mean(x, axis=tuple(range(np.ndim(x))), keepdims=True),
]


def resized(x, *shape):
    """x's elements, over and over, in another shape."""
    return np.reshape(np.ravel(x)[np.arange(np.prod(shape)) % np.size(x)], shape)


def plain_lstm(x, h, c, kernel, recurrent_kernel, bias):
    """An LSTM for any kind of number, written from the formulas."""
    sigmoid = lambda a: 1 / (1 + np.exp(-a))  # noqa: E731
    outputs = []
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent_kernel + bias, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=1), h, c


def lstm_arguments(a, b, c):
    return resized(a, 2, 2, 2), resized(b, 2, 1), resized(c, 2, 1), resized(b, 2, 4), resized(c, 1, 4), resized(a, 4)


def lstm_output(k):
    return lambda a, b, c: plain_lstm(*lstm_arguments(a, b, c))[k]


def plain_cross_entropy(x, labels):
    z = resized(x, 2, 3)
    return np.log(np.sum(np.exp(z), axis=-1)) - z[[0, 1], labels]


def replay(steps, leaves, wanted):
    """The values of some steps, given the leaves' values."""
    values = []
    for kind, arguments in steps:
        if kind == "leaf":
            values.append(leaves[arguments])
        elif kind == "constant":
            values.append(arguments)
        else:
            values.append(kind(*(values[i] for i in arguments)))
    return [values[i] for i in wanted]


def slope(steps, leaves, wanted, upstream, directions):
    """How sum(value * upstream), over the wanted steps, changes as the leaves move along the directions."""
    moved = [x + 1j * TINY * d for x, d in zip(leaves, directions)]
    return sum(np.sum(np.imag(y) * u) for y, u in zip(replay(steps, moved, wanted), upstream)) / TINY


def every_direction(leaves):
    """One step along each element of each leaf: (leaf, index, directions)."""
    for k, x in enumerate(leaves):
        for index in np.ndindex(x.shape):
            directions = [np.zeros(x.shape) for x in leaves]
            directions[k][index] = 1
            yield k, index, directions


def reference(steps, leaves, wanted, upstream):
    """The gradients of sum(value * upstream) for all leaves."""
    found = [np.zeros(x.shape) for x in leaves]
    for k, index, directions in every_direction(leaves):
        found[k][index] = slope(steps, leaves, wanted, upstream, directions)
    return found


def second_reference(steps, leaves, wanted, upstream, weights):
    """The gradients of sum(gradient * weights): differences of the complex step along the weights."""
    found = [np.zeros(x.shape) for x in leaves]
    for k, index, directions in every_direction(leaves):
        at = {
            h: slope(steps, [x + h * d for x, d in zip(leaves, directions)], wanted, upstream, weights)
            for h in (1e-3, -1e-3, 2e-3, -2e-3)
        }
        found[k][index] = (8 * (at[1e-3] - at[-1e-3]) - (at[2e-3] - at[-2e-3])) / 12e-3
    return found


def agree(found, truth, rtol):
    scale = max((np.max(np.abs(t), initial=0) for t in truth), default=0)
    for a, t in zip(found, truth):
        assert_allclose(np.zeros(t.shape) if a is None else as_array(a), t, rtol=rtol, atol=rtol * (scale + 1e-3))


pick = st.integers(0, 1000)
seeds = st.integers(0, 2**32 - 1)


class Graphs(RuleBasedStateMachine):
    @initialize(seed=seeds)
    def begin(self, seed):
        self.tensors, self.steps, self.leaves, self.kept = [], [], [], []
        self.leaf((2, 3), seed)

    def remember(self, tensor, kind, arguments):
        """One more step; if it is large, or its values are, a milder one after it."""
        self.tensors.append(tensor)
        self.steps.append((kind, arguments))
        self.kept.append(tensor.data.copy())
        if tensor.size > BIG:
            self.apply(lambda x: np.ravel(x)[::5], len(self.tensors) - 1)
        elif np.max(np.abs(tensor.data), initial=0) > 3:
            self.apply(np.tanh, len(self.tensors) - 1)

    def apply(self, f, *arguments):
        self.remember(f(*(self.tensors[i] for i in arguments)), f, arguments)

    def at(self, i, filled=False):
        """The step that a drawn number means, the newest first; with `filled`, one that has elements."""
        n = len(self.tensors)
        return next(k for k in ((n - 1 - i - j) % n for j in range(n)) if self.tensors[k].size or not filled)

    # -- growing ----------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.leaves) < 5)
    @rule(shape=st.sampled_from(SHAPES), seed=seeds)
    def leaf(self, shape, seed):
        value = np.random.default_rng(seed).uniform(-1, 1, shape)
        self.leaves.append(value)
        self.remember(Tensor(value, requires_grad=True), "leaf", len(self.leaves) - 1)

    @rule(f=st.sampled_from(UNARY + VIEWS + REDUCTIONS), i=pick)
    def of_one(self, f, i):
        self.apply(f, self.at(i, filled=f is not np.sum))

    @rule(f=st.sampled_from(BINARY), i=pick, j=pick)
    def of_two(self, f, i, j):
        i, j = self.at(i), self.at(j)
        try:
            np.broadcast_shapes(self.tensors[i].shape, self.tensors[j].shape)
        except ValueError:
            self.apply(lambda x, y: f(np.ravel(x)[:, None], np.sum(y)), i, j)
        else:
            self.apply(f, i, j)

    @rule(i=pick, j=pick, rows=st.integers(1, 3))
    def matrix_product(self, i, j, rows):
        self.apply(
            lambda x, y: resized(x, rows, 2) @ resized(y, 2, 2), self.at(i, filled=True), self.at(j, filled=True)
        )

    @rule(i=pick, j=pick, k=pick)
    def joined(self, i, j, k):
        self.apply(lambda *xs: np.concatenate([np.ravel(x) for x in xs]), self.at(i), self.at(j), self.at(k))

    @rule(i=pick)
    def halves(self, i):
        i = self.at(i, filled=True)
        for k, half in enumerate(np.split(resized(self.tensors[i], 2, 3), 3, axis=1)):
            self.remember(half, lambda x, k=k: np.split(resized(x, 2, 3), 3, axis=1)[k], (i,))

    @rule(i=pick, j=pick, k=pick)
    def lstm(self, i, j, k):
        chosen = tuple(self.at(n, filled=True) for n in (i, j, k))
        outputs = kernels.lstm(*lstm_arguments(*(self.tensors[n] for n in chosen)))
        for n, output in enumerate(outputs):
            self.remember(output, lstm_output(n), chosen)

    @rule(i=pick, labels=st.tuples(st.integers(0, 2), st.integers(0, 2)))
    def cross_entropy(self, i, labels):
        i = self.at(i, filled=True)
        labels = np.array(labels)
        fused = kernels.cross_entropy_with_logits(resized(self.tensors[i], 2, 3), labels)
        self.remember(fused, lambda x: plain_cross_entropy(x, labels), (i,))

    @rule(i=pick)
    def detach(self, i):
        t = self.tensors[self.at(i)].detach()
        self.remember(t, "constant", t.data)

    @rule(f=st.sampled_from(UNARY), i=pick)
    def without_recording(self, f, i):
        with no_grad():
            t = f(self.tensors[self.at(i)])
        assert not t.requires_grad
        self.remember(t, "constant", t.data)

    # -- asking -----------------------------------------------------------------------------------------------------

    def on_graph(self):
        return [k for k, t in enumerate(self.tensors) if t.requires_grad]

    def outputs(self, chosen, seed):
        """Some outputs on the graph (the newest for 0), each with a random gradient."""
        nodes = self.on_graph()
        wanted = [nodes[-1 - i % len(nodes)] for i in chosen]
        rng = np.random.default_rng(seed)
        return wanted, [rng.standard_normal(self.tensors[k].shape) for k in wanted]

    def leaf_tensors(self):
        return [t for t, (kind, _) in zip(self.tensors, self.steps) if kind == "leaf"]

    def gradients(self):
        """What the leaves have collected, and away with it."""
        found = [leaf.grad for leaf in self.leaf_tensors()]
        for leaf in self.leaf_tensors():
            leaf.grad = None
        return found

    @rule(chosen=st.lists(pick, min_size=1, max_size=3), seed=seeds)
    def backward_accumulates_over_losses_and_repeats_exactly(self, chosen, seed):
        wanted, upstream = self.outputs(chosen, seed)
        truth = reference(self.steps, self.leaves, wanted, upstream)

        def all_backward():
            for k, u in zip(wanted, upstream):
                self.tensors[k].backward(u, retain_graph=True)

        all_backward()
        first = self.gradients()
        agree(first, truth, 1e-10)
        all_backward()
        for a, b in zip(first, self.gradients()):
            assert_array_equal(a, b)
        if len(wanted) == 1:  # x + x is exact, so twice is twice to the last bit
            all_backward()
            all_backward()
            for a, b in zip(first, self.gradients()):
                assert (a is None) == (b is None)
                assert a is None or np.array_equal(2 * a, b)

    @rule(chosen=st.lists(pick, min_size=1, max_size=3), seed=seeds)
    def one_backward_of_a_sum(self, chosen, seed):
        wanted, upstream = self.outputs(chosen, seed)
        loss = sum(np.sum(self.tensors[k] * u) for k, u in zip(wanted, upstream))
        loss.backward(retain_graph=True)
        agree(self.gradients(), reference(self.steps, self.leaves, wanted, upstream), 1e-10)

    @rule(i=pick, seed=seeds)
    def the_gradient_of_the_gradient(self, i, seed):
        wanted, upstream = self.outputs([i], seed)
        self.tensors[wanted[0]].backward(upstream[0], create_graph=True)
        slopes = self.gradients()
        agree(slopes, reference(self.steps, self.leaves, wanted, upstream), 1e-10)
        rng = np.random.default_rng((seed, 2))
        weights = [rng.standard_normal(x.shape) for x in self.leaves]
        total = sum(np.sum(g * w) for g, w in zip(slopes, weights) if g is not None)
        if isinstance(total, Tensor) and total.requires_grad:
            total.backward(retain_graph=True)
        truth = second_reference(self.steps, self.leaves, wanted, upstream, weights)
        agree(self.gradients(), truth, 1e-7)

    @rule(chosen=st.lists(pick, min_size=1, max_size=2), seed=seeds)
    def the_same_graph_as_a_function(self, chosen, seed):
        wanted, upstream = self.outputs(chosen, seed)

        def f(*leaves):
            return tuple(replay(self.steps, leaves, wanted))

        y, pull = vjp(f, *self.leaves)
        for found, u in zip(y, upstream):
            assert found.shape == u.shape
        agree(pull(tuple(upstream)), reference(self.steps, self.leaves, wanted, upstream), 1e-9)
        rng = np.random.default_rng((seed, 3))
        directions = [rng.standard_normal(x.shape) for x in self.leaves]
        _, dy = jvp(f, tuple(self.leaves), tuple(directions))
        found = sum(np.sum(d * u) for d, u in zip(dy, upstream))
        truth = slope(self.steps, self.leaves, wanted, upstream, directions)
        assert_allclose(found, truth, rtol=1e-9, atol=1e-9)
        assert self.gradients() == [None] * len(self.leaves)

    @invariant()
    def nothing_was_written_to(self):
        for t, kept in zip(getattr(self, "tensors", ()), getattr(self, "kept", ())):
            assert np.array_equal(t.data, kept)

    def teardown(self):
        """Every output at once; and a graph that was freed says so."""
        if not hasattr(self, "tensors"):
            return
        nodes = self.on_graph()
        wanted, upstream = self.outputs(range(len(nodes)), len(nodes))
        truth = reference(self.steps, self.leaves, wanted, upstream)
        loss = sum(np.sum(self.tensors[k] * u) for k, u in zip(wanted, upstream))
        loss.backward()
        agree(self.gradients(), truth, 1e-10)
        with pytest.raises(RuntimeError, match="ran already and freed this graph"):
            loss.backward()
        assert self.gradients() == [None] * len(self.leaves)


Graphs.TestCase.settings = settings(max_examples=80, stateful_step_count=20, deadline=None)
TestGraphs = Graphs.TestCase
