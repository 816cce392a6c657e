"""A second opinion, stored: values and gradients to second order that PyTorch computed (tests/golden/pytorch.py)."""

import json
from pathlib import Path

import numpy as np
import pytest

from tinyllm import Tensor, ops
from tinyllm.autograd.rules import clip, concatenate, contract, logabsdet, solve
from tinyllm.autograd.tensor import COMPOSITES, TABLE, astype
from tinyllm.autograd.verification import full_name

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "autograd.json").read_text(encoding="utf-8"))
IDS, LABELS = [2, 0, 0], [1, 0, 2, 1]
MASK = np.array([[False, True, True], [True, True, False]])
EYE = 3 * np.eye(3)

# A function and variant that is called with more than its inputs; any other is called with them
CALLS = {
    "np.arccosh": lambda x: np.arccosh(1 + x),
    "gelu approximate": lambda x: ops.gelu(x, approximate=True),
    "logsumexp axis": lambda x: ops.logsumexp(x, axis=1),
    "np.sum axis": lambda x: np.sum(x, axis=0, keepdims=True),
    "np.mean axis": lambda x: np.mean(x, axis=-1),
    "np.max axis": lambda x: np.max(x, axis=0),
    "np.min axis": lambda x: np.min(x, axis=1, keepdims=True),
    "np.prod axis": lambda x: np.prod(x, axis=0),
    "np.var axis": lambda x: np.var(x, axis=1, ddof=1),
    "np.std axis": lambda x: np.std(x, axis=0, ddof=0.5),
    "np.cumsum": lambda x: np.cumsum(x, axis=1),
    "np.cumprod": lambda x: np.cumprod(x, axis=1),
    "np.linalg.norm 3": lambda x: np.linalg.norm(x, 3, axis=1),
    "np.linalg.norm 1 of a matrix": lambda x: np.linalg.norm(x, 1),
    "np.linalg.norm inf": lambda x: np.linalg.norm(x, np.inf, axis=0),
    "np.reshape": lambda x: np.reshape(x, (3, -1)),
    "np.squeeze": lambda x: np.squeeze(x[:, :1] * x[:, 1:2]),
    "np.expand_dims": lambda x: np.expand_dims(x, 1),
    "np.swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "np.moveaxis": lambda x: np.moveaxis(x, 0, -1),
    "np.broadcast_to": lambda x: np.broadcast_to(x, (2, 2, 3)),
    "np.roll": lambda x: np.roll(x, 2, axis=1),
    "np.repeat": lambda x: np.repeat(x, [1, 0, 2], axis=1),
    "np.tile": lambda x: np.tile(x, (2, 1)),
    "np.pad": lambda x: np.pad(x, ((1, 0), (0, 2)), constant_values=7.0),
    "np.pad reflect": lambda x: np.pad(x, ((0, 0), (2, 1)), "reflect"),
    "np.pad edge": lambda x: np.pad(x, ((0, 0), (2, 1)), "edge"),
    "np.pad wrap": lambda x: np.pad(x, ((0, 0), (2, 1)), "wrap"),
    "np.take": lambda x: np.take(x, [[5, 0], [0, 1]]),
    "np.take_along_axis": lambda x: np.take_along_axis(x, np.array([[2, 0], [1, 1]]), 1),
    "gather": lambda x: ops.gather(x, np.array([[2, 2], [0, 1]])),
    "getitem": lambda x: x[[1, 0, 1], [2, 0, 2]],
    "getitem basic": lambda x: x[1:, None, :2],
    "getitem mask": lambda x: x[MASK],
    "scatter_add": lambda x: ops.scatter_add(x, [3, 3], (4, 3)),
    "np.tril": lambda x: np.tril(x, 1),
    "np.diagonal": lambda x: np.diagonal(x, 1),
    "np.diag": lambda x: np.diag(x[0], 1),
    "np.trace": lambda x: np.trace(x[:, :2]),
    "np.clip": lambda x: np.clip(x, -0.4, 0.5),
    "masked_fill": lambda x: ops.masked_fill(x, MASK, -9.0),
    "attention_branch": lambda *a: ops.attention_branch(*a, 2, causal=True),
    "self_attention": lambda qkv: ops.self_attention(qkv, 2, causal=True),
    "np.split": lambda x: np.split(x, [1], axis=1),
    "np.array_split": lambda x: np.array_split(x, 2, axis=1),
    "np.atleast_1d": lambda x: np.atleast_1d(np.sum(x)),
    "np.atleast_2d": lambda x: np.atleast_2d(x[0]),
    "glu": lambda x: ops.glu(np.concatenate([x, x], axis=1)),
    "astype": lambda x: astype(astype(x, np.float32), np.float64),
    "np.remainder": lambda a, b: np.remainder(a + 5, b),
    "np.where": lambda a, b: np.where(MASK, a, b),
    "np.tensordot": lambda a, b: np.tensordot(a, b, ([0, 1], [1, 0])),
    "np.einsum": lambda a, b: np.einsum("ij,jk->ki", a, b),
    "np.einsum diagonal": lambda a: np.einsum("ii->i", a),
    "contract": lambda a, b: contract(a, b, subscripts="ij,jk->ik"),
    "np.linalg.inv": lambda a: np.linalg.inv(a + EYE),
    "np.linalg.solve": lambda a, b: np.linalg.solve(a + EYE, b),
    "np.linalg.solve vector": lambda a, b: np.linalg.solve(a + EYE, b),
    "np.linalg.det": lambda a: np.linalg.det(a + EYE),
    "np.linalg.slogdet": lambda a: np.linalg.slogdet(a + EYE).logabsdet,
    "np.linalg.cholesky": lambda a: np.linalg.cholesky(a @ a.T + EYE),
    "logabsdet": lambda a: logabsdet(a - EYE),
    "solve": lambda a, b: solve(a + EYE, b),
    "clip": clip,
    "concatenate": lambda a, b: concatenate(a, b, axis=0),
    "np.concatenate": lambda a, b: np.concatenate([a, b, a], axis=1),
    "np.stack": lambda a, b: np.stack([a, b, a], axis=-1),
    "np.vstack": lambda a, b: np.vstack([a, b]),
    "np.hstack": lambda a, b: np.hstack([a, b]),
    "np.column_stack": lambda a, b: np.column_stack([a, b]),
    "np.average": lambda x, w: np.average(x, weights=w),
    "conv1d": lambda x, k, b: ops.conv1d(x, k, b, stride=2),
    "scaled_dot_product_attention causal": lambda q, k, v: ops.scaled_dot_product_attention(q, k, v, causal=True),
    "huber": lambda t, y: ops.huber(t, y, delta=0.7),
    "cross_entropy_with_logits": lambda z: ops.cross_entropy_with_logits(z, LABELS),
    "embedding_lookup": lambda table: ops.embedding_lookup(table, IDS),
    "dropout": lambda x: ops.dropout(x, 0.0, np.random.default_rng(0)),
    "mixed elementwise": lambda x: (
        np.tanh(x) * np.exp(-x * x) / (1 + np.abs(x)) + np.log1p(np.square(x)) - np.sqrt(x * x + 1) ** 1.5
    ),
    "mixed reductions": lambda x: np.max(x, axis=0) + np.mean(x, axis=0) * np.min(x) + ops.logsumexp(x, axis=0),
    "mixed shapes": lambda x: np.stack([x.T[IDS], np.where(x > 0, x, 0.1 * x).T]).reshape(2, -1)[:, 1:],
    "mixed bounds": lambda x, w: np.clip(x, -0.5, 0.5) * np.maximum(x, w) * np.minimum(x, 0.2),
}


def named(function):
    """np.tanh, np.linalg.inv or softmax: the function itself."""
    *path, name = function.split(".")
    found = np if path else ops
    for part in path[1:]:
        found = getattr(found, part)
    return getattr(found, name)


def call(function, variant):
    return CALLS.get(function if variant == "plain" else f"{function} {variant}") or named(function)


def close(got, expected, relative):
    """Compared to the largest number among those expected."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=relative, atol=relative * np.max(np.abs(expected), initial=0.1))


@pytest.mark.parametrize(("function", "variant"), [(f, v) for f, variants in GOLDEN.items() for v in variants])
def test_values_and_gradients_to_second_order_are_those_that_pytorch_computed(function, variant):
    stored = GOLDEN[function][variant]
    leaves = [Tensor(np.array(a), requires_grad=True) for a in stored["inputs"]]
    ys = call(function, variant)(*leaves)
    ys = list(ys) if isinstance(ys, list | tuple) else [ys]
    assert len(ys) == len(stored["value"])
    for y, expected in zip(ys, stored["value"]):
        close(y.data, expected, 1e-12)
    sum(np.sum(y * np.array(g)) for y, g in zip(ys, stored["upstream"])).backward(create_graph=True)
    firsts = [t.grad for t in leaves]
    for first, expected in zip(firsts, stored["first"]):
        close(first.data, np.zeros(first.shape) if expected is None else expected, 1e-10)
    again = sum(np.sum(first * np.array(v)) for first, v in zip(firsts, stored["v"]))
    for t in leaves:
        t.grad = None
    if again.requires_grad:
        again.backward()
    for t, expected in zip(leaves, stored["second"]):
        zero = np.zeros(t.shape)
        close(zero if t.grad is None else t.grad, zero if expected is None else expected, 1e-9)


def test_every_function_of_the_table_is_stored():
    assert {full_name(f) for f in [*TABLE, *COMPOSITES]} == set(GOLDEN) - {"mixed"}
    assert set(CALLS) <= {f if v == "plain" else f"{f} {v}" for f, variants in GOLDEN.items() for v in variants}
