"""Where the derivatives are tried: for every function that has one, the cases that its proof consists of.

A case is a function and the arrays to try it at, which lie away from corners and ties (those have their own table,
docs/conventions.md). The tests walk this dictionary, and so does `tinyllm gradcheck --all`; an entry of the table
without cases fails the tests.
"""

import numpy as np

from tinyllm.autograd.branch_kernels import attention_branch, mlp_branch
from tinyllm.autograd.functions import (
    clip,
    concatenate,
    contract,
    erf,
    erfc,
    log_softmax,
    logabsdet,
    logsumexp,
    relu,
    rsqrt,
    scatter_add,
    sigmoid,
    softmax,
    softplus,
    solve,
)
from tinyllm.autograd.kernels import binary_cross_entropy_with_logits, cross_entropy_with_logits, embedding_lookup, lstm
from tinyllm.autograd.network import (
    conv1d,
    dropout,
    elu,
    gather,
    glu,
    hard_sigmoid,
    huber,
    leaky_relu,
    masked_fill,
    mean_squared_error,
    rms_norm,
    selu,
    silu,
    softsign,
)
from tinyllm.autograd.recurrent_kernels import gru, simple_rnn
from tinyllm.autograd.tensor import astype, getitem
from tinyllm.autograd.transformer_kernels import gelu, layer_norm, linear, scaled_dot_product_attention, self_attention

__all__ = ["CASES"]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def positive(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0.5, 2, shape)


def distinct(*shape, seed=0):
    """No two values closer than 0.3, none closer to 0 than 0.15: away from every tie and corner."""
    n = int(np.prod(shape))
    return ((np.random.default_rng(seed).permutation(n) - n // 2 + 0.5) * 0.3).reshape(shape)


def small(*shape, seed=0):
    """Between -0.8 and 0.8."""
    return np.random.default_rng(seed).uniform(-0.8, 0.8, shape)


def binary(f, make=normal):
    return [
        (f, make(2, 3), make(2, 3, seed=1)),
        (f, make(2, 1), make(3, seed=1)),
        (f, make(), make(2, seed=1)),
        (lambda a: f(a, 1.7), make(2, 3)),
        (lambda b: f(1.7, b), make(3)),
        (lambda a: f(a, a * a), make(3)),
    ]


def unary(f, make=normal):
    return [(f, make(2, 3)), (f, make()), (f, make(0, 2)), (lambda x: f(f(x) * 0.1 + 1.5), make(3))]


def reduction(f, make=normal):
    return [
        (f, make(2, 3)),
        (lambda x: f(x, axis=0), make(2, 3)),
        (lambda x: f(x, axis=-1, keepdims=True), make(2, 3)),
        (lambda x: f(x, axis=(0, -1)), make(2, 3, 2)),
        (lambda x: f(x, axis=(1, 0), keepdims=True), make(2, 3, 2)),
        (lambda x: f(x, keepdims=True), make(2, 3)),
        (f, make(1)),
    ]


def along(f):
    return [(f, normal(2, 3)), (lambda x: f(x, axis=0), normal(2, 3)), (lambda x: f(x, axis=-2), normal(2, 3, 2))]


def branch(width, between, hidden, biases=True):
    """x (2, 3, width) and what mlp_branch or attention_branch is given with it, up to the kernels and biases."""
    x, gain, shift, bias, out_bias = normal(2, 3, width), positive(width), *map(normal, (width, between, width))
    kernel, out_kernel = normal(width, between, seed=1), normal(hidden, width, seed=2)
    return [x, gain, shift, kernel, bias, out_kernel, out_bias] if biases else [x, gain, kernel, out_kernel]


IDS = np.array([[1, 0, 1], [3, 1, 1]])
LABELS = np.array([2, 0, 2, 1])
MASK = np.array([[False, True, True], [True, True, False]])

CASES = {
    np.add: binary(np.add),
    np.subtract: binary(np.subtract),
    np.multiply: binary(np.multiply),
    np.divide: binary(np.divide, positive),
    np.remainder: binary(np.remainder, lambda *shape, seed=0: 1.9 + 0.7 * seed + 0.05 * distinct(*shape)),
    np.power: [
        *binary(np.power, positive),
        *[(lambda x, p=p: x**p, normal(4)) for p in (0, 1, 2, 3, -1)],
        (lambda a, b: a**b, positive(3), np.array([0.0, 1.0, 2.0])),
    ],
    np.maximum: [
        (np.maximum, distinct(2, 3), distinct(2, 3, seed=1) + 0.1),
        (np.maximum, distinct(2, 1), distinct(4) + 0.1),
        (lambda x: np.maximum(x, 0.0), distinct(4)),
    ],
    np.minimum: [
        (np.minimum, distinct(2, 3), distinct(2, 3, seed=1) + 0.1),
        (np.minimum, distinct(2, 1), distinct(4) + 0.1),
        (lambda x: np.minimum(0.0, x), distinct(4)),
    ],
    np.negative: unary(np.negative),
    np.absolute: unary(np.absolute, distinct),
    np.square: unary(np.square),
    np.sqrt: unary(np.sqrt, positive),
    np.exp: unary(np.exp),
    np.expm1: unary(np.expm1),
    np.log: unary(np.log, positive),
    np.log1p: unary(np.log1p, positive),
    np.tanh: unary(np.tanh),
    sigmoid: unary(sigmoid),
    softplus: unary(softplus),
    relu: unary(relu, distinct),
    softmax: along(softmax),
    log_softmax: along(log_softmax),
    logsumexp: reduction(logsumexp),
    np.sum: [*reduction(np.sum), (np.sum, normal(0, 2)), (lambda x: np.sum(x, axis=0), normal(0, 2))],
    np.mean: reduction(np.mean),
    np.max: reduction(np.max, distinct),
    np.min: reduction(np.min, distinct),
    np.matmul: [
        (np.matmul, normal(2, 3), normal(3, 4, seed=1)),
        (np.matmul, normal(3), normal(3, seed=1)),
        (np.matmul, normal(3), normal(3, 2, seed=1)),
        (np.matmul, normal(2, 3), normal(3, seed=1)),
        (np.matmul, normal(2, 2, 3), normal(3, 2, seed=1)),
        (np.matmul, normal(2, 1, 2, 3), normal(3, 3, 2, seed=1)),
        (np.matmul, normal(3), normal(2, 3, 2, seed=1)),
        (np.matmul, normal(2, 2, 3), normal(3, seed=1)),
        (np.matmul, normal(0, 3), normal(3, 2, seed=1)),
        (np.matmul, normal(2, 2, 0), normal(0, 2)),
        (lambda x: x @ x.T, normal(2, 3)),
    ],
    np.reshape: [(lambda x: np.reshape(x, (3, 2)), normal(2, 3)), (lambda x: x.reshape(-1), normal(2, 3))],
    np.ravel: [(np.ravel, normal(2, 3))],
    np.squeeze: [(np.squeeze, normal(1, 3, 1)), (lambda x: np.squeeze(x, axis=2), normal(1, 3, 1))],
    np.expand_dims: [(lambda x: np.expand_dims(x, (0, -1)), normal(2, 3))],
    np.transpose: [
        (np.transpose, normal(2, 3)),
        *[(lambda x, a=a: np.transpose(x, a), normal(3, 3, 3)) for a in ((1, 2, 0), (-1, 0, -2), (2, 0, 1))],
    ],
    np.swapaxes: [(lambda x: np.swapaxes(x, 0, -1), normal(2, 3, 2))],
    np.broadcast_to: [
        (lambda x: np.broadcast_to(x, (4, 2, 3)), normal(2, 1)),
        (lambda x: np.broadcast_to(x, (2,)), normal()),
    ],
    np.copy: [(np.copy, normal(3))],
    astype: [(lambda x: x.astype(np.float64), normal(3))],
    getitem: [
        (lambda x: x[1], normal(3, 2)),
        (lambda x: x[..., None, ::-1], normal(3, 2)),
        (lambda x: x[[2, 0, 2]], normal(3, 2)),
        (lambda x: x[[2, 2], [1, 1]], normal(3, 2)),
        (lambda x: x[:, [0, 0]], normal(3, 2)),
        (lambda x: x[np.array([True, False, True])], normal(3, 2)),
        (lambda x: x[np.zeros((2, 0), int)], normal(3, 2)),
    ],
    scatter_add: [
        (lambda x: scatter_add(x, [1, 1, 3], (4, 2)), normal(3, 2)),
        (lambda x: scatter_add(x, (slice(0, 3), 1), (4, 2)), normal(3)),
    ],
    concatenate: [
        (lambda a, b, c: concatenate(a, b, c, axis=-1), normal(2, 3), normal(2, 1, seed=1), normal(2, 0)),
        (lambda a: concatenate(a, [[1.0, 2.0]], a, axis=0), normal(2, 2)),
    ],
    np.where: [
        (lambda a, b: np.where(MASK, a, b), normal(2, 3), normal(3, seed=1)),
        (lambda a: np.where(a > 0, a * a, -0.5), distinct(4)),
    ],
    clip: [
        (clip, distinct(3, 4), np.array(-0.8), np.array([0.7, 0.75, 0.8, 0.85])),
        (clip, distinct(4), np.array(0.4), np.array(-0.4)),
    ],
    np.clip: [
        (lambda x: np.clip(x, -0.4, 0.4), distinct(6)),
        (lambda x: np.clip(x, None, 0.4), distinct(6)),
        (lambda x: np.clip(x, min=-0.4), distinct(6)),
    ],
    np.concatenate: [
        (lambda a, b: np.concatenate([a, b], axis=1), normal(2, 3), normal(2, 2, seed=1)),
        (lambda a, b: np.concatenate((a, b), axis=None), normal(2, 3), normal(2, seed=1)),
    ],
    np.stack: [(lambda a, b: np.stack([a, b, a], axis=-1), normal(2, 3), normal(2, 3, seed=1))],
    np.split: [(lambda x: np.split(x, 3, axis=-1), normal(2, 6)), (lambda x: np.split(x, [1, 1, 4]), normal(3, 2))],
    np.array_split: [
        (lambda x: np.array_split(x, 1), normal(3)),
        (lambda x: np.array_split(x, 3), normal(7)),
        (lambda x: np.array_split(x, 4, 1), normal(2, 3)),
    ],
    binary_cross_entropy_with_logits: [
        (binary_cross_entropy_with_logits, distinct(2, 3), np.array([0.0, 1.0, 0.3])),
    ],
    cross_entropy_with_logits: [(lambda z: cross_entropy_with_logits(z, LABELS), normal(4, 3))],
    embedding_lookup: [(lambda table: embedding_lookup(table, IDS), normal(4, 2))],
    lstm: [
        (
            lambda *args: lstm(*args, MASK),
            *[0.5 * normal(*s, seed=i) for i, s in enumerate([(2, 3, 2), (2, 2), (2, 2), (2, 8), (2, 8), (8,)])],
        )
    ],
    simple_rnn: [
        (
            lambda *args, mask=mask: simple_rnn(*args, mask),
            *[0.5 * normal(*s, seed=i) for i, s in enumerate([(2, 3, 2), (2, 2), (2, 2), (2, 2), (2,)])],
        )
        for mask in (None, MASK)
    ],
    gru: [
        (
            lambda *args, after=reset_after, mask=mask: gru(*args, mask, after),
            *[0.5 * normal(*s, seed=i) for i, s in enumerate([(2, 3, 2), (2, 2), (2, 6), (2, 6), bias])],
        )
        for reset_after, bias in ((True, (2, 6)), (False, (6,)))
        for mask in (None, MASK)
    ],
    np.positive: unary(np.positive),
    np.fabs: unary(np.fabs, distinct),
    np.cbrt: unary(np.cbrt, positive),
    np.reciprocal: unary(np.reciprocal, positive),
    rsqrt: unary(rsqrt, positive),
    np.exp2: unary(np.exp2),
    np.log2: unary(np.log2, positive),
    np.log10: unary(np.log10, positive),
    np.sin: unary(np.sin),
    np.cos: unary(np.cos),
    np.tan: unary(np.tan, small),
    np.arcsin: [(np.arcsin, small(2, 3)), (np.arcsin, small()), (np.arcsin, small(0))],
    np.arccos: [(np.arccos, small(2, 3)), (np.arccos, small()), (np.arccos, small(0))],
    np.arctan: unary(np.arctan),
    np.sinh: unary(np.sinh),
    np.cosh: unary(np.cosh),
    np.arcsinh: unary(np.arcsinh),
    np.arccosh: [(lambda x: np.arccosh(x + 1), positive(2, 3)), (lambda x: np.arccosh(x + 1), positive())],
    np.arctanh: [(np.arctanh, small(2, 3)), (np.arctanh, small()), (np.arctanh, small(0))],
    erf: unary(erf),
    erfc: unary(erfc),
    np.float_power: binary(np.float_power, positive),
    np.fmax: [
        (np.fmax, distinct(2, 3), distinct(2, 3, seed=1) + 0.1),
        (np.fmax, distinct(2, 1), distinct(4) + 0.1),
        (lambda x: np.fmax(x, [np.nan, 0.0, 9.0]), distinct(3)),
    ],
    np.fmin: [
        (np.fmin, distinct(2, 3), distinct(2, 3, seed=1) + 0.1),
        (np.fmin, distinct(2, 1), distinct(4) + 0.1),
        (lambda x: np.fmin(x, [np.nan, 0.0, -9.0]), distinct(3)),
    ],
    np.hypot: binary(np.hypot),
    np.arctan2: [(np.arctan2, positive(2, 3), normal(2, 3, seed=1)), (np.arctan2, positive(2, 1), normal(3, seed=1))],
    np.logaddexp: binary(np.logaddexp),
    np.logaddexp2: binary(np.logaddexp2),
    np.var: [
        *reduction(np.var),
        (lambda x: np.var(x, axis=1, ddof=1), normal(2, 3)),
        (lambda x: np.var(x, 0, None, None, 1), normal(3, 2)),
    ],
    np.std: [
        *[case for case in reduction(np.std) if case[1].shape != (1,)],
        (lambda x: np.std(x, axis=0, correction=1), normal(3, 2)),
    ],
    np.prod: [
        *reduction(np.prod),
        (np.prod, np.array([2.0, 0.0, 3.0])),
        (lambda x: np.prod(x, axis=1), np.array([[0.0, 0.0, 3.0], [1.0, 0.0, 2.0]])),
        (np.prod, normal(0)),
        (lambda x: np.prod(x, axis=0), normal(7, 2)),
    ],
    np.cumsum: [(np.cumsum, normal(2, 3)), (lambda x: np.cumsum(x, axis=0), normal(3, 2)), (np.cumsum, normal(0))],
    np.cumprod: [
        (np.cumprod, normal(2, 3)),
        (lambda x: np.cumprod(x, axis=-2), normal(5, 2)),
        (np.cumprod, np.array([2.0, 0.0, 3.0, 0.0, 1.0])),
        (np.cumprod, normal(0)),
    ],
    np.diff: [(np.diff, normal(5)), (lambda x: np.diff(x, 2, axis=0), normal(4, 2))],
    np.average: [
        (np.average, normal(2, 3)),
        (lambda x: np.average(x, axis=1, weights=[1.0, 2.0, 3.0]), normal(2, 3)),
        (lambda x, w: np.average(x, weights=w), normal(2, 3), positive(2, 3)),
    ],
    np.linalg.norm: [
        (np.linalg.norm, normal(2, 3)),
        *[
            (lambda x, p=p, axis=axis: np.linalg.norm(x, p, axis), distinct(2, 3))
            for p, axis in [
                (None, 1),
                (2, 0),
                (1, 1),
                (3, -1),
                (0.5, 0),
                (np.inf, 1),
                (-np.inf, 0),
                ("fro", None),
                ("fro", (0, 1)),
                (1, None),
                (-1, (1, 0)),
                (np.inf, None),
                (-np.inf, (0, 1)),
            ]
        ],
        (lambda x: np.linalg.norm(x, axis=(0, 2), keepdims=True), normal(2, 3, 2)),
        (lambda x: np.linalg.norm(x, np.inf, axis=(0, 2), keepdims=True), distinct(2, 3, 2)),
    ],
    np.trace: [(np.trace, normal(3, 3)), (lambda x: np.trace(x, 1, 2, 0), normal(3, 2, 4))],
    np.dot: [
        (np.dot, normal(2, 3), normal(3, 4, seed=1)),
        (np.dot, normal(3), normal(3, seed=1)),
        (np.dot, normal(), normal(2, seed=1)),
        (np.dot, normal(2, 3), normal(3, seed=1)),
        (np.dot, normal(2, 3), normal(4, 3, 2, seed=1)),
        (np.dot, normal(3), normal(4, 3, 2, seed=1)),
    ],
    np.vdot: [(np.vdot, normal(2, 3), normal(2, 3, seed=1)), (np.vdot, normal(2, 3), normal(6, seed=1))],
    np.inner: [
        (np.inner, normal(2, 3), normal(4, 3, seed=1)),
        (np.inner, normal(3), normal(2, 2, 3, seed=1)),
        (np.inner, normal(), normal(3, seed=1)),
    ],
    np.outer: [(np.outer, normal(2), normal(3, seed=1)), (np.outer, normal(2, 2), normal(3, seed=1))],
    np.tensordot: [
        (np.tensordot, normal(2, 3, 4), normal(3, 4, 2, seed=1)),
        (lambda a, b: np.tensordot(a, b, 0), normal(2), normal(3, seed=1)),
        (lambda a, b: np.tensordot(a, b, ([0, -1], [1, 0])), normal(2, 3, 4), normal(4, 2, 5, seed=1)),
        (lambda a, b: np.tensordot(a, b, axes=(1, 0)), normal(2, 0), normal(0, 3)),
    ],
    np.kron: [(np.kron, normal(2, 3), normal(3, 2, seed=1)), (np.kron, normal(2), normal(2, 2, seed=1))],
    np.einsum: [
        *[
            (lambda *a, s=s: np.einsum(s, *a), *[normal(*shape, seed=i) for i, shape in enumerate(shapes)])
            for s, *shapes in [
                ("ij,jk->ik", (2, 3), (3, 4)),
                ("ij,jk", (2, 3), (3, 2)),
                ("bij,bjk->bik", (2, 2, 3), (2, 3, 2)),
                ("i,i", (3,), (3,)),
                ("ij->", (2, 3)),
                ("ij->ji", (2, 3)),
                ("ii", (3, 3)),
                ("ii->i", (3, 3)),
                ("iij->j", (2, 2, 3)),
                ("...ij,...jk->...ik", (2, 2, 3), (3, 2)),
                ("...i->...", (2, 3)),
                ("i...,i...->i...", (3, 2), (3, 2)),
                ("ij,kj,lk->il", (2, 3), (2, 3), (3, 2)),
                ("i,j->ij", (2,), (3,)),
                ("ij,i->i", (2, 3), (2,)),
                (",i->i", (), (3,)),
                ("ba", (2, 3)),
                ("...,...", (2, 1), (3,)),
                ("ij,ij->i", (2, 1), (2, 3)),
                ("aa,ab->b", (2, 2), (2, 3)),
            ]
        ],
    ],
    contract: [(lambda a, b: contract(a, b, subscripts="ij,jk->ik"), normal(2, 3), normal(3, 2, seed=1))],
    np.tril: [(np.tril, normal(3, 4)), (lambda x: np.tril(x, -1), normal(2, 3, 3))],
    np.triu: [(np.triu, normal(3, 4)), (lambda x: np.triu(x, k=1), normal(2, 3, 3))],
    np.diagonal: [
        (np.diagonal, normal(3, 3)),
        (lambda x: np.diagonal(x, 1, 2, 0), normal(3, 2, 4)),
        (lambda x: np.diagonal(x, -1), normal(3, 2)),
        (lambda x: np.diagonal(x, 5), normal(3, 2)),
    ],
    np.diag: [
        (np.diag, normal(3)),
        (lambda x: np.diag(x, -1), normal(2)),
        (lambda x: np.diag(x, 1), normal(2, 3)),
    ],
    np.linalg.inv: [
        (lambda a: np.linalg.inv(a + 3 * np.eye(3)), normal(3, 3)),
        (lambda a: np.linalg.inv(a + 3 * np.eye(2)), normal(2, 2, 2)),
    ],
    np.linalg.solve: [
        (lambda a, b: np.linalg.solve(a + 3 * np.eye(3), b), normal(3, 3), normal(3, seed=1)),
        (lambda a, b: np.linalg.solve(a + 3 * np.eye(3), b), normal(3, 3), normal(3, 2, seed=1)),
        (lambda a, b: np.linalg.solve(a + 3 * np.eye(2), b), normal(2, 2, 2), normal(2, 1, seed=1)),
        (lambda a, b: np.linalg.solve(a + 3 * np.eye(2), b), normal(2, 2, 2), normal(2, seed=1)),
    ],
    solve: [(lambda a, b: solve(a + 3 * np.eye(3), b), normal(3, 3), normal(3, 2, seed=1))],
    np.linalg.det: [(np.linalg.det, normal(3, 3)), (np.linalg.det, normal(2, 2, 2)), (np.linalg.det, normal(1, 1))],
    np.linalg.slogdet: [
        (lambda a: np.linalg.slogdet(a).logabsdet, normal(3, 3)),
        (lambda a: np.linalg.slogdet(a)[1], normal(2, 2, 2)),
    ],
    logabsdet: [(logabsdet, normal(3, 3))],
    np.linalg.cholesky: [
        (lambda a: np.linalg.cholesky(a @ a.T + np.eye(3)), normal(3, 3)),
        (lambda a: np.linalg.cholesky(a @ np.swapaxes(a, 1, 2) + np.eye(2)), normal(2, 2, 2)),
    ],
    np.moveaxis: [
        (lambda x: np.moveaxis(x, 0, -1), normal(2, 3, 4)),
        (lambda x: np.moveaxis(x, (0, -1), (1, 0)), normal(2, 3, 4)),
    ],
    np.vstack: [(lambda a, b: np.vstack([a, b]), normal(3), normal(2, 3, seed=1))],
    np.hstack: [
        (lambda a, b: np.hstack([a, b]), normal(3), normal(2, seed=1)),
        (lambda a, b: np.hstack([a, b]), normal(2, 3), normal(2, 1, seed=1)),
    ],
    np.column_stack: [(lambda a, b: np.column_stack([a, b]), normal(3), normal(3, 2, seed=1))],
    np.atleast_1d: [(np.atleast_1d, normal()), (np.atleast_1d, normal(2))],
    np.atleast_2d: [(np.atleast_2d, normal()), (np.atleast_2d, normal(2)), (np.atleast_2d, normal(2, 3, 2))],
    np.flip: [
        (np.flip, normal(2, 3)),
        (lambda x: np.flip(x, 0), normal(2, 3)),
        (lambda x: np.flip(x, (0, -1)), normal(2, 3, 2)),
    ],
    np.fliplr: [(np.fliplr, normal(2, 3))],
    np.flipud: [(np.flipud, normal(2, 3))],
    np.roll: [
        (lambda x: np.roll(x, 2), normal(2, 3)),
        (lambda x: np.roll(x, -1, axis=1), normal(2, 3)),
        (lambda x: np.roll(x, (1, 2), (0, -1)), normal(2, 3, 4)),
    ],
    np.rot90: [
        (np.rot90, normal(2, 3)),
        (lambda x: np.rot90(x, 3, (2, 0)), normal(2, 3, 4)),
        (lambda x: np.rot90(x, k=2), normal(2, 3)),
    ],
    np.repeat: [
        (lambda x: np.repeat(x, 2), normal(2, 3)),
        (lambda x: np.repeat(x, [1, 0, 3], axis=1), normal(2, 3)),
        (lambda x: np.repeat(x, 2, -1), normal(2, 3)),
    ],
    np.tile: [
        (lambda x: np.tile(x, 2), normal(2, 3)),
        (lambda x: np.tile(x, (2, 1, 3)), normal(2, 3)),
        (lambda x: np.tile(x, (3,)), normal()),
        (lambda x: np.tile(x, 0), normal(2)),
    ],
    np.pad: [
        (lambda x: np.pad(x, 1), normal(2, 3)),
        (lambda x: np.pad(x, ((1, 0), (0, 2)), constant_values=7.0), normal(2, 3)),
        *[
            (lambda x, m=m: np.pad(x, ((1, 1), (2, 1)), m), normal(3, 4))
            for m in ("edge", "reflect", "symmetric", "wrap")
        ],
    ],
    np.take: [
        (lambda x: np.take(x, [[5, 0], [0, -1]]), normal(2, 3)),
        (lambda x: np.take(x, [2, 0, 2], axis=1), normal(2, 3)),
        (lambda x: np.take(x, 1, axis=-1), normal(2, 3)),
        (lambda x: np.take(x, [-4, 7], 0, mode="wrap"), normal(3, 2)),
        (lambda x: np.take(x, [-4, 7], 0, mode="clip"), normal(3, 2)),
    ],
    np.take_along_axis: [
        (lambda x: np.take_along_axis(x, np.array([[2, 0], [1, 1]]), 1), normal(2, 3)),
        (lambda x: np.take_along_axis(x, np.array([[1, 0, 1]]), axis=0), normal(2, 3)),
        (lambda x: np.take_along_axis(x, np.array([4, 0, 4]), None), normal(2, 3)),
    ],
    np.sort: [
        (np.sort, distinct(2, 3)),
        (lambda x: np.sort(x, axis=0), distinct(3, 2)),
        (lambda x: np.sort(x, None), distinct(2, 3)),
    ],
    leaky_relu: [*unary(leaky_relu, distinct), (lambda x: leaky_relu(x, 0.3), distinct(4))],
    elu: [*unary(elu, distinct), (lambda x: elu(x, alpha=0.5), distinct(4))],
    selu: unary(selu, distinct),
    linear: [
        (linear, normal(2, 3, 4), normal(4, 3, seed=1), normal(3, seed=2)),
        (linear, normal(4), normal(4, 2, seed=1)),
    ],
    gelu: [*unary(gelu), (lambda x: gelu(x, approximate=True), normal(2, 3)), (gelu, 5 * normal(4))],
    silu: unary(silu),
    hard_sigmoid: unary(hard_sigmoid, distinct),
    softsign: unary(softsign, distinct),
    glu: [(glu, normal(2, 4)), (lambda x: glu(x, axis=0), normal(4, 2))],
    dropout: [
        (lambda x: dropout(x, 0.4, np.random.default_rng(3)), normal(3, 4)),
        (lambda x: dropout(x, 0.0, np.random.default_rng(3)), normal(3)),
    ],
    layer_norm: [
        (layer_norm, normal(2, 4), positive(4), normal(4, seed=1)),
        (lambda x: layer_norm(x, epsilon=0.1), normal(2, 2, 3)),
    ],
    rms_norm: [(rms_norm, normal(2, 4), positive(4)), (rms_norm, normal(2, 2, 3))],
    conv1d: [
        (conv1d, normal(2, 5, 3), normal(2, 3, 2, seed=1), normal(2, seed=2)),
        *[
            (lambda x, k, o=o: conv1d(x, k, **o), normal(2, 7, 2), normal(3, 2, 2, seed=1))
            for o in (
                {"stride": 2},
                {"padding": "same"},
                {"padding": "causal", "dilation": 2},
                {"padding": "same", "stride": 3},
            )
        ],
    ],
    self_attention: [
        (lambda qkv: self_attention(qkv, 2), normal(2, 3, 12)),
        (lambda qkv: self_attention(qkv, 1, True), normal(1, 4, 6)),
        (lambda qkv: self_attention(qkv, 3, causal=True), normal(2, 3, 9)),
    ],
    attention_branch: [
        (lambda *a: attention_branch(*a, 2, True), *branch(4, 12, 4)),
        (lambda x, gain, k, o: attention_branch(x, gain, None, k, None, o, None, 1), *branch(3, 9, 3, biases=False)),
    ],
    mlp_branch: [
        (mlp_branch, *branch(3, 5, 5)),
        (lambda x, gain, k, o: mlp_branch(x, gain, None, k, None, o, None), *branch(4, 3, 3, biases=False)),
        (lambda *a: mlp_branch(*a[:7], keep=np.array([0.0, 2.0, 1.5]) + np.zeros((2, 3, 1))), *branch(3, 5, 5)),
    ],
    scaled_dot_product_attention: [
        (scaled_dot_product_attention, normal(2, 3, 4), normal(2, 3, 4, seed=1), normal(2, 3, 2, seed=2)),
        (
            lambda q, k, v: scaled_dot_product_attention(q, k, v, causal=True),
            normal(4, 2),
            normal(4, 2, seed=1),
            normal(4, 3, seed=2),
        ),
        (
            lambda q, k, v: scaled_dot_product_attention(q, k, v, np.array([[True, False, True], [False] * 3])),
            normal(2, 4),
            normal(3, 4, seed=1),
            normal(3, 2, seed=2),
        ),
    ],
    mean_squared_error: [(mean_squared_error, normal(2, 3), normal(2, 3, seed=1))],
    huber: [
        (huber, 2 * normal(2, 3), 2 * normal(2, 3, seed=1)),
        (lambda a, b: huber(a, b, delta=0.3), normal(4), normal(4, seed=1)),
    ],
    masked_fill: [(lambda x: masked_fill(x, MASK, -9.0), normal(2, 3))],
    gather: [(lambda x: gather(x, np.array([[2, 2], [0, 1]])), normal(2, 3))],
}
