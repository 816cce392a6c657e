"""A second opinion, live: PyTorch's own samples (OpInfo), through PyTorch's function and through ours.

For each entry below every sample that PyTorch yields in float64 is taken: same arguments, same random gradient of the
output; the values must agree to 1e-9 and the gradients of all arguments to 1e-8. A sample that ours cannot be asked is
counted with the reason. `python -m tests.autograd.test_torch` prints the table.

An adapter says how PyTorch's arguments are said in NumPy; it computes with our functions only.
"""

import math
import sys
import warnings
from collections import Counter
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest

from tests.autograd.test_golden import GOLDEN as STORED
from tests.golden.pytorch import golden
from tinyllm import Tensor, ops
from tinyllm.autograd.tensor import COMPOSITES, TABLE, astype, getitem

pytestmark = pytest.mark.torch

VALUE, GRADIENT, MOST = 1e-9, 1e-8, 200  # relative to |PyTorch's| + 0.01; samples per entry


class SkipSample(Exception):
    """Why a sample is not compared."""


def skip(reason):
    raise SkipSample(reason)


# -- PyTorch's arguments in NumPy's words ---------------------------------------------------------------------------


def size(x):
    return math.prod(np.shape(x))


def axes(dim):
    """dim=() means every axis to PyTorch and none to NumPy."""
    return None if dim is None or dim == () or dim == [] else tuple(dim) if isinstance(dim, list | tuple) else dim


def no_axis(x, dim):
    """Skip where PyTorch lets a number have an axis 0 and NumPy does not."""
    if np.ndim(x) == 0 and axes(dim) is not None:
        skip("a number has no axis 0")


def reduction(f):
    def adapter(x, dim=None, keepdim=False, dtype=None):
        if f not in (np.sum, np.prod, np.max, np.min):
            no_axis(x, dim)
        return f(x, axis=axes(dim), keepdims=keepdim)

    return adapter


def deviation(f):
    def adapter(x, dim=None, unbiased=True, correction=1, keepdim=False):
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        ddof = (1 if correction is None else correction) if unbiased else 0
        return f(x, axis=axes(dim), ddof=ddof, keepdims=keepdim)

    return adapter


def and_mean(f):
    def adapter(x, dim=None, unbiased=True, correction=1, keepdim=False):
        first = f(x, dim, unbiased, correction, keepdim)
        return first, np.mean(x, axis=None if isinstance(dim, bool) else axes(dim), keepdims=keepdim)

    return adapter


def scan(f):
    def adapter(x, dim, dtype=None):
        return f(x, axis=dim) if np.ndim(x) else np.reshape(f(x), ())

    return adapter


def along(f):
    return lambda x, dim, dtype=None: f(x, axis=dim)


def scaled(f):
    return lambda a, b, alpha=1: f(a, b if alpha == 1 else b * alpha)


def swapped(f):
    return lambda a, b: f(b, a)


def listed(f):
    """A function of several arrays, which come as one list or one by one."""
    return lambda first, *rest: f(list(first) if isinstance(first, list | tuple) else [first, *rest])


def each(f):
    def adapter(first, *rest):
        return [f(x) for x in first] if isinstance(first, list | tuple) else [f(x) for x in (first, *rest)]

    return adapter


def cat(arrays, dim=0):
    if len({np.ndim(a) for a in arrays}) > 1:
        skip("PyTorch lets an empty vector join arrays of any rank")
    return np.concatenate(list(arrays), axis=dim)


def squeeze(x, dim=None):
    given = range(np.ndim(x)) if dim is None else np.atleast_1d(np.array(dim, int)).tolist()
    return np.squeeze(x, axis=tuple(d for d in given if np.ndim(x) and np.shape(x)[d] == 1))


def flatten(x, start_dim=0, end_dim=-1):
    shape = np.shape(x) or (1,)
    end = end_dim % len(shape) + 1
    start = start_dim % len(shape)
    return np.reshape(x, (*shape[:start], math.prod(shape[start:end]), *shape[end:]))


def expand(x, shape):
    old = (1,) * (len(shape) - np.ndim(x)) + np.shape(x)
    return np.broadcast_to(x, tuple(n if n != -1 else o for n, o in zip(shape, old)))


def transpose(x, dim0, dim1):
    no_axis(x, dim0)
    return np.swapaxes(x, dim0, dim1)


def split(x, sizes, dim=0):
    n = np.shape(x)[dim]
    cuts = list(range(sizes, n, sizes)) if isinstance(sizes, int) else np.cumsum(sizes)[:-1].tolist()
    return np.split(x, cuts, axis=dim)


def chunk(x, chunks, dim=0):
    return split(x, max(1, -(-np.shape(x)[dim] // chunks)), dim)


def tensor_split(x, sections, dim=0):
    return np.array_split(x, sections if isinstance(sections, int) else np.asarray(sections).tolist(), axis=dim)


def repeat(x, *sizes):
    return np.tile(x, sizes[0] if isinstance(sizes[0], list | tuple) else sizes)


def repeat_interleave(x, repeats, dim=None, output_size=None):
    return np.repeat(np.reshape(x, (1,)) if np.ndim(x) == 0 else x, repeats, axis=dim)


def roll(x, shifts, dims=None):
    return np.roll(x, shifts, dims)


def padded(x, pad, mode="constant", value=None):
    """A negative width crops: before the rest is padded, but after it where the edge is repeated."""
    width = [(0, 0)] * (np.ndim(x) - len(pad) // 2) + list(zip(pad[::2], pad[1::2]))[::-1]
    wider = np.maximum(width, 0).tolist()

    def cropped(x):
        return x[tuple(slice(max(-before, 0), n - max(-after, 0)) for n, (before, after) in zip(x.shape, width))]

    if mode == "constant":
        return np.pad(cropped(x), wider, constant_values=value or 0)
    if mode == "replicate":
        return cropped(np.pad(x, wider, "edge"))
    return np.pad(cropped(x), wider, {"circular": "wrap"}.get(mode, mode))


def sort(x, dim=-1, descending=False, stable=False):
    if np.ndim(x) == 0:
        return np.reshape(np.sort(np.reshape(x, (1,))), ())
    y = np.sort(x, axis=dim)
    return np.flip(y, dim) if descending else y


def where(x, condition, other):
    return np.where(condition, x, other)


def clamp(x, min=None, max=None):
    return np.clip(x, min, max)


def gather(x, dim, index, sparse_grad=False):
    if np.ndim(index) > 1 > np.ndim(x) - 1 and not size(index):
        skip("an empty index may have any rank")
    if np.ndim(x) == 0 or np.ndim(index) == 0:
        return np.reshape(ops.gather(np.ravel(x), np.ravel(index)), np.shape(index))
    cut = tuple(slice(None) if d == dim % x.ndim else slice(n) for d, n in enumerate(np.shape(index)))
    return ops.gather(x[cut], index, dim)


def take_along_dim(x, index, dim=None):
    return np.take_along_axis(x, np.ravel(index) if dim is None else index, dim)


def places(index, dim, shape):
    """The index tuple of every element that `index` names along `dim`."""
    grid = list(np.indices(np.shape(index)))
    grid[dim] = index
    return tuple(grid)


def scatter_add(x, dim, index, source):
    if np.ndim(x) == 0:
        return x + np.reshape(ops.scatter_add(np.ravel(source), np.ravel(index), (1,)), ())
    part = source[tuple(slice(n) for n in np.shape(index))]
    return x + ops.scatter_add(part, places(index, dim % x.ndim, x.shape), x.shape)


def index_add(x, dim, index, source, alpha=1):
    if np.ndim(x) == 0:
        return x + alpha * np.reshape(ops.scatter_add(np.ravel(source), np.ravel(index), (1,)), ())
    if np.ndim(index) == 0:
        index = index.reshape(1)
    return x + alpha * ops.scatter_add(source, (slice(None),) * (dim % x.ndim) + (index,), x.shape)


def index_put(x, index, values, accumulate=False):
    if not accumulate:
        skip("writes over elements in place of adding to them")
    return x + ops.scatter_add(np.broadcast_to(values, x[tuple(index)].shape), tuple(index), x.shape)


def index_select(x, dim, index):
    if np.ndim(x) == 0:
        return np.take(np.reshape(x, (1,)), np.ravel(index)[0])
    return np.take(x, np.atleast_1d(index), dim)


def narrow(x, dim, start, length):
    start = int(start)
    start += np.shape(x)[dim] if start < 0 else 0
    return x[(slice(None),) * (dim % x.ndim) + (slice(start, start + length),)]


def select(x, dim, index):
    return x[(slice(None),) * (dim % x.ndim) + (index,)]


def diff(x, n=1, dim=-1, prepend=None, append=None):
    parts = [p for p in (prepend, x, append) if p is not None and n]  # n=0: x itself
    return np.diff(np.concatenate(parts, axis=dim) if len(parts) > 1 else x, n=n, axis=dim)


def linear_solve(a, b, left=True):
    if not left:
        return np.swapaxes(linear_solve(np.swapaxes(a, -1, -2), np.swapaxes(b, -1, -2)), -1, -2)
    if b.ndim > 1 and b.shape == a.shape[:-1]:  # a stack of vectors
        return np.squeeze(np.linalg.solve(a, np.expand_dims(b, -1)), -1)
    return np.linalg.solve(a, b)


def cholesky(a, upper=False):
    y = np.linalg.cholesky(a)
    return np.swapaxes(y, -1, -2) if upper else y


def vector_norm(x, ord=2, dim=None, keepdim=False, dtype=None):
    """PyTorch takes a vector norm over several axes at once: for NumPy they are made one."""
    if ord == 0:
        skip("ord=0 counts: its derivative is zero")
    reduced = [d % max(x.ndim, 1) for d in np.atleast_1d(range(x.ndim) if axes(dim) is None else axes(dim)).astype(int)]
    kept = [d for d in range(x.ndim) if d not in reduced]
    flat = np.reshape(np.transpose(x, kept + reduced) if x.ndim else x, [np.shape(x)[d] for d in kept] + [-1])
    y = np.linalg.norm(flat, ord, axis=-1)
    return np.reshape(y, [1 if d in reduced else n for d, n in enumerate(x.shape)]) if keepdim else y


def matrix_norm(x, ord="fro", dim=(-2, -1), keepdim=False):
    if ord in ("nuc", 2, -2):
        skip(f"the matrix norm {ord!r} needs a singular value decomposition")
    return np.linalg.norm(x, ord, tuple(dim), keepdim)


def norm(x, ord=None, dim=None, keepdim=False):
    if dim is None and ord is not None and x.ndim == 2:
        dim = (0, 1)
    if isinstance(dim, list | tuple) and len(dim) == 2 and ord is not None:
        return matrix_norm(x, ord, dim, keepdim)
    return vector_norm(x, 2 if ord is None else ord, dim, keepdim)


def tensordot(a, b, dims):
    if not isinstance(dims, int) and any(np.shape(a)[i] != np.shape(b)[j] for i, j in zip(*dims)):
        skip("PyTorch stretches a summed axis of length 1")
    return np.tensordot(a, b, dims if isinstance(dims, int) else tuple(dims))


def layer_norm(x, shape, weight=None, bias=None, eps=1e-5):
    flat = np.reshape(x, (*x.shape[: x.ndim - len(shape)], math.prod(shape)))
    gain, shift = (d if p is None else np.ravel(p) for p, d in ((weight, 1.0), (bias, 0.0)))
    return np.reshape(ops.layer_norm(flat, gain, shift, epsilon=eps), x.shape)


def rms_norm(x, shape, weight=None, eps=None):
    flat = np.reshape(x, (*x.shape[: x.ndim - len(shape)], math.prod(shape)))
    gain = 1.0 if weight is None else np.ravel(weight)
    return np.reshape(ops.rms_norm(flat, gain, epsilon=np.finfo(float).eps if eps is None else eps), x.shape)


def conv1d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Channels first, and the groups one by one."""
    stride, dilation, padding = (v[0] if isinstance(v, list | tuple) else v for v in (stride, dilation, padding))
    if x.ndim == 2:
        return conv1d(np.expand_dims(x, 0), weight, bias, stride, padding, dilation, groups)[0]
    if isinstance(padding, int):
        x, padding = np.pad(x, ((0, 0), (0, 0), (padding, padding))), "valid"
    x, kernel = np.swapaxes(x, 1, 2), np.transpose(weight, (2, 1, 0))
    parts = zip(np.split(x, groups, axis=2), np.split(kernel, groups, axis=2))
    y = np.concatenate([ops.conv1d(a, k, None, stride, padding, dilation) for a, k in parts], axis=2)
    return np.swapaxes(y if bias is None else y + bias, 1, 2)


def attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    if dropout_p:
        skip("random dropout")
    if enable_gqa:
        skip("grouped queries")
    if attn_mask is not None and (isinstance(attn_mask, Tensor) or attn_mask.dtype != bool):
        skip("a mask of numbers to add; ours is of booleans")
    if scale is not None:
        q = q * (scale * math.sqrt(q.shape[-1]))
    return ops.scaled_dot_product_attention(q, k, v, attn_mask, is_causal)


def dropout(x, p=0.5, training=True, inplace=False):
    if training and p > 0:
        skip("random" if p < 1 else "a rate of 1 keeps nothing; ours refuses it")
    return ops.dropout(x, 0.0, np.random.default_rng(0))


def softplus(x, beta=1, threshold=20):
    return np.where(x * beta > threshold, x, ops.softplus(beta * x) / beta)  # PyTorch turns to x at the threshold


def embedding(table, ids, padding_idx=None, max_norm=None, scale_grad_by_freq=False, sparse=False, norm_type=2.0):
    if padding_idx is not None or max_norm is not None or scale_grad_by_freq:
        skip("padding_idx, max_norm and scale_grad_by_freq change the gradient on purpose")
    return ops.embedding_lookup(table, ids)


def reduced(y, reduction):
    return y if reduction == "none" else np.sum(y) if reduction == "sum" else np.mean(y)


def mean_loss(f):
    """Ours is the mean over everything."""

    def adapter(x, target, reduction="mean", weight=None, **options):
        if reduction == "none" or weight is not None:
            skip("ours is the mean over everything, unweighted")
        return f(target, x, **options) * (size(x) if reduction == "sum" else 1)

    return adapter


def smooth_l1(y_true, y_pred, beta=1.0):
    if beta == 0:
        skip("beta=0 is the absolute error")
    return ops.huber(y_true, y_pred, beta) / beta


def binary_cross_entropy(x, target, weight=None, reduction="mean", pos_weight=None):
    if pos_weight is not None:
        skip("pos_weight")
    y = ops.binary_cross_entropy_with_logits(x, target)
    return reduced(y if weight is None else y * weight, reduction)


def cross_entropy(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    if isinstance(target, Tensor) or target.dtype.kind == "f":
        skip("class probabilities as targets; ours takes labels")
    y = ops.cross_entropy_with_logits(np.moveaxis(x, 1, -1) if x.ndim > 1 else x, target)
    share = np.where(target == ignore_index, 0.0, 1.0 if weight is None else weight[target])
    return np.sum(y * share) / np.sum(share) if reduction == "mean" else reduced(y * share, reduction)


# -- PyTorch's name of an operation, our function that stands for it, and how to call it ----------------------------

ELEMENTWISE = {
    "abs": np.absolute, "acos": np.arccos, "acosh": np.arccosh, "asin": np.arcsin, "asinh": np.arcsinh,
    "atan": np.arctan, "atanh": np.arctanh, "cos": np.cos, "cosh": np.cosh, "erf": ops.erf, "erfc": ops.erfc,
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log, "log10": np.log10, "log1p": np.log1p,
    "log2": np.log2, "neg": np.negative, "positive": np.positive, "reciprocal": np.reciprocal, "rsqrt": ops.rsqrt,
    "sigmoid": ops.sigmoid, "sin": np.sin, "sinh": np.sinh, "sqrt": np.sqrt, "square": np.square, "tan": np.tan,
    "tanh": np.tanh, "atan2": np.arctan2, "hypot": np.hypot, "fmax": np.fmax, "fmin": np.fmin, "maximum": np.maximum,
    "max_binary": np.maximum, "minimum": np.minimum, "min_binary": np.minimum, "mul": np.multiply, "pow": np.power,
    "float_power": np.float_power, "remainder": np.remainder, "logaddexp": np.logaddexp, "logaddexp2": np.logaddexp2,
    "true_divide": np.divide, "nn_functional_relu": ops.relu, "nn_functional_selu": ops.selu,
    "nn_functional_silu": ops.silu, "nn_functional_softsign": ops.softsign,
    "matmul": np.matmul, "mm": np.matmul, "bmm": np.matmul, "mv": np.matmul, "__rmul__": np.multiply,
    "__radd__": np.add, "dot": np.dot, "vdot": np.vdot, "inner": np.inner, "outer": np.outer, "kron": np.kron,
    "linalg_inv": np.linalg.inv, "linalg_det": np.linalg.det, "trace": np.trace, "ravel": np.ravel, "clone": np.copy,
    "fliplr": np.fliplr, "flipud": np.flipud, "tile": np.tile, "unsqueeze": np.expand_dims, "take": np.take,
    "__getitem__": getitem, "reshape": np.reshape, "view": np.reshape, "permute": np.transpose, "tril": np.tril,
    "triu": np.triu, "diag": np.diag, "masked_fill": ops.masked_fill, "broadcast_to": np.broadcast_to,
    "rot90": np.rot90, "linalg_slogdet": np.linalg.slogdet,
    "movedim": np.moveaxis, "T": np.transpose,
}  # fmt: skip

ADAPTED = {
    "add": (np.add, scaled(np.add)),
    "sub": (np.subtract, scaled(np.subtract)),
    "rsub": (np.subtract, lambda a, b, alpha=1: np.subtract(b, a * alpha)),
    "__rsub__": (np.subtract, swapped(np.subtract)),
    "div_no_rounding_mode": (np.divide, lambda a, b, rounding_mode=None: np.divide(a, b)),
    "__rdiv__": (np.divide, swapped(np.divide)),
    "__rpow__": (np.power, swapped(np.power)),
    "__rmod__": (np.remainder, swapped(np.remainder)),
    "__rmatmul__": (np.matmul, swapped(np.matmul)),
    "sum": (np.sum, reduction(np.sum)),
    "mean": (np.mean, reduction(np.mean)),
    "amax": (np.max, reduction(np.max)),
    "amin": (np.min, reduction(np.min)),
    "max_reduction_no_dim": (np.max, reduction(np.max)),
    "max_reduction_with_dim": (np.max, reduction(np.max)),
    "min_reduction_no_dim": (np.min, reduction(np.min)),
    "min_reduction_with_dim": (np.min, reduction(np.min)),
    "logsumexp": (ops.logsumexp, reduction(ops.logsumexp)),
    "prod": (np.prod, reduction(np.prod)),
    "var": (np.var, deviation(np.var)),
    "var_unbiased": (np.var, deviation(np.var)),
    "var_mean": (np.var, and_mean(deviation(np.var))),
    "std": (np.std, deviation(np.std)),
    "std_unbiased": (np.std, deviation(np.std)),
    "std_mean": (np.std, and_mean(deviation(np.std))),
    "cumsum": (np.cumsum, scan(np.cumsum)),
    "cumprod": (np.cumprod, scan(np.cumprod)),
    "diff": (np.diff, diff),
    "linalg_norm": (np.linalg.norm, norm),
    "linalg_vector_norm": (np.linalg.norm, vector_norm),
    "linalg_matrix_norm": (np.linalg.norm, matrix_norm),
    "softmax": (ops.softmax, along(ops.softmax)),
    "softmax_with_dtype": (ops.softmax, along(ops.softmax)),
    "log_softmax": (ops.log_softmax, along(ops.log_softmax)),
    "nn_functional_softmin": (ops.softmax, lambda x, dim, dtype=None: ops.softmax(-x, dim)),
    "tensordot": (np.tensordot, tensordot),
    "einsum": (np.einsum, lambda arrays, subscripts: np.einsum(subscripts, *arrays)),
    "linalg_solve": (np.linalg.solve, linear_solve),
    "linalg_cholesky": (np.linalg.cholesky, cholesky),
    "cholesky": (np.linalg.cholesky, cholesky),
    "diagonal": (np.diagonal, lambda x, offset=0, dim1=0, dim2=1: np.diagonal(x, offset, dim1, dim2)),
    "reshape_as": (np.reshape, lambda x, other: np.reshape(x, np.shape(other))),
    "flatten": (np.reshape, flatten),
    "squeeze": (np.squeeze, squeeze),
    "squeeze_multiple": (np.squeeze, squeeze),
    "mT": (np.swapaxes, lambda x: np.swapaxes(x, -1, -2)),
    "transpose": (np.swapaxes, transpose),
    "flip": (np.flip, lambda x, dims: np.flip(x, tuple(dims))),
    "roll": (np.roll, roll),
    "expand": (np.broadcast_to, expand),
    "cat": (np.concatenate, cat),
    "stack": (np.stack, lambda arrays, dim=0: np.stack(list(arrays), axis=dim)),
    "hstack": (np.hstack, listed(np.hstack)),
    "vstack": (np.vstack, listed(np.vstack)),
    "column_stack": (np.column_stack, listed(np.column_stack)),
    "atleast_1d": (np.atleast_1d, each(np.atleast_1d)),
    "atleast_2d": (np.atleast_2d, each(np.atleast_2d)),
    "split": (np.split, split),
    "split_list_args": (np.split, split),
    "split_with_sizes": (np.split, split),
    "chunk": (np.split, chunk),
    "tensor_split": (np.array_split, tensor_split),
    "repeat": (np.tile, repeat),
    "repeat_interleave": (np.repeat, repeat_interleave),
    "nn_functional_pad_constant": (np.pad, padded),
    "nn_functional_pad_circular": (np.pad, padded),
    "nn_functional_pad_reflect": (np.pad, padded),
    "nn_functional_pad_replicate": (np.pad, padded),
    "nn_functional_pad_replicate_negative": (np.pad, padded),
    "sort": (np.sort, sort),
    "msort": (np.sort, lambda x: sort(x, 0)),
    "where": (np.where, where),
    "clamp": (np.clip, clamp),
    "clamp_min": (np.clip, clamp),
    "clamp_max": (np.clip, lambda x, max: np.clip(x, None, max)),
    "index_select": (np.take, index_select),
    "take_along_dim": (np.take_along_axis, take_along_dim),
    "gather": (ops.gather, gather),
    "select": (getitem, select),
    "narrow": (getitem, narrow),
    "scatter_add": (ops.scatter_add, scatter_add),
    "index_add": (ops.scatter_add, index_add),
    "index_put": (ops.scatter_add, index_put),
    "double": (astype, lambda x, **_: x.astype(np.float64)),
    "float": (astype, lambda x, **_: x.astype(np.float32)),
    "nn_functional_leaky_relu": (ops.leaky_relu, ops.leaky_relu),
    "nn_functional_elu": (ops.elu, ops.elu),
    "nn_functional_gelu": (ops.gelu, lambda x, approximate="none": ops.gelu(x, approximate == "tanh")),
    "nn_functional_glu": (ops.glu, ops.glu),
    "nn_functional_softplus": (ops.softplus, softplus),
    "nn_functional_logsigmoid": (ops.softplus, lambda x: -ops.softplus(-x)),
    "nn_functional_hardsigmoid": (ops.hard_sigmoid, lambda x: ops.hard_sigmoid(x / 1.2)),  # slope 1/6; ours 1/5
    "nn_functional_linear": (np.matmul, lambda x, w, b=0.0: x @ np.transpose(w) + b),
    "nn_functional_dropout": (ops.dropout, dropout),
    "nn_functional_layer_norm": (ops.layer_norm, layer_norm),
    "nn_functional_rms_norm": (ops.rms_norm, rms_norm),
    "nn_functional_conv1d": (ops.conv1d, conv1d),
    "nn_functional_scaled_dot_product_attention": (ops.scaled_dot_product_attention, attention),
    "nn_functional_embedding": (ops.embedding_lookup, embedding),
    "nn_functional_mse_loss": (ops.mean_squared_error, mean_loss(ops.mean_squared_error)),
    "nn_functional_huber_loss": (ops.huber, mean_loss(ops.huber)),
    "nn_functional_smooth_l1_loss": (ops.huber, mean_loss(smooth_l1)),
    "nn_functional_binary_cross_entropy_with_logits": (ops.binary_cross_entropy_with_logits, binary_cross_entropy),
    "nn_functional_cross_entropy": (ops.cross_entropy_with_logits, cross_entropy),
}

# What PyTorch's own function gets wrong, said with its other functions
THEIRS = {
    # hardsigmoid's derivative has 1/6 rounded to float32, also in float64 (2.8e-8; differences say 1/6)
    "nn_functional_hardsigmoid": lambda torch: lambda x: torch.nn.functional.relu6(x + 3) / 6,
}

# Where more samples are skipped than compared
MOSTLY_SKIPPED = {
    "nn_functional_scaled_dot_product_attention": "half of the samples have dropout, whose random numbers differ",
}

OPERATIONS = {name: (f, f) for name, f in ELEMENTWISE.items()} | ADAPTED


# -- comparing ------------------------------------------------------------------------------------------------------


@dataclass
class Comparison:
    """What came of one entry's samples."""

    compared: int = 0
    skipped: Counter = field(default_factory=Counter)
    value: float = 0.0  # the worst error
    gradient: float = 0.0
    wrong: list = field(default_factory=list)


@cache
def opinfos():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    return {info.formatted_name: info for info in op_db}


def error(ours, theirs):
    """The largest difference, relative to the size of PyTorch's number and at least 0.01; NaN and inf must match."""
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    if ours.shape != theirs.shape:
        return math.inf
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    with np.errstate(invalid="ignore"):
        gap = np.where(same, 0, np.abs(ours - theirs) / (np.abs(theirs) + 0.01))
    return float(np.max(np.where(np.isnan(gap), math.inf, gap), initial=0))


def compare_sample(operation, adapter, sample, rng):
    """The errors of the values and of the gradients."""
    import torch
    from torch.utils._pytree import tree_flatten, tree_unflatten

    flat, structure = tree_flatten((sample.input, sample.args, sample.kwargs))
    leaves = []  # (PyTorch's, ours)

    def both(a):
        if not isinstance(a, torch.Tensor):
            return a, a
        if not (a.requires_grad and a.dtype == torch.float64):
            return a, a.detach().numpy()
        a = a.detach().requires_grad_()
        leaves.append((a, Tensor(a.detach().numpy(), requires_grad=True)))
        return leaves[-1]

    pairs = [both(a) for a in flat]
    (x, args, kwargs), (our_x, our_args, our_kwargs) = (tree_unflatten(side, structure) for side in zip(*pairs))
    ours = adapter(our_x, *our_args, **our_kwargs)
    theirs = operation(x, *args, **kwargs)
    ours = list(ours) if isinstance(ours, list | tuple) else [ours]
    theirs = [y for y in tree_flatten(theirs)[0] if isinstance(y, torch.Tensor) and y.requires_grad]
    if len(ours) != len(theirs):
        raise AssertionError(f"{len(ours)} results, PyTorch's {len(theirs)}")
    upstream = [rng.standard_normal(y.shape) for y in theirs]
    value = max([error(getattr(y, "data", y), z.detach().numpy()) for y, z in zip(ours, theirs)], default=0)
    torch.autograd.backward(theirs, [torch.tensor(g, dtype=z.dtype) for z, g in zip(theirs, upstream)])
    if value < math.inf:
        sum(np.sum(y * g.astype(y.dtype)) for y, g in zip(ours, upstream) if isinstance(y, Tensor)).backward()
    gradient = 0.0
    for a, t in leaves:
        zero = np.zeros(t.shape)
        gradient = max(gradient, error(*(zero if g is None else np.asarray(g) for g in (t.grad, a.grad))))
    return value, gradient


@cache
def compare(name):
    import torch

    _, adapter = OPERATIONS[name]
    theirs = THEIRS[name](torch) if name in THEIRS else opinfos()[name].op
    info, found, rng = opinfos()[name], Comparison(), np.random.default_rng(0)
    torch.manual_seed(0)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for k, sample in enumerate(info.sample_inputs("cpu", torch.float64, requires_grad=True)):
            if k == MOST:
                break
            try:
                value, gradient = compare_sample(theirs, adapter, sample, rng)
            except SkipSample as why:
                found.skipped[str(why)] += 1
                continue
            except Exception as problem:  # any failure of ours is a finding, told with its sample
                found.wrong.append(f"sample {k}, {type(problem).__name__}: {problem}: {sample.summary()}")
                continue
            found.compared += 1
            found.value, found.gradient = max(found.value, value), max(found.gradient, gradient)
            if not (value <= VALUE and gradient <= GRADIENT):
                found.wrong.append(f"sample {k}, errors {value:.1e} and {gradient:.1e}: {sample.summary()}")
    return found


def table():
    """One line per entry: PyTorch's name, ours, samples, worst errors, skipped."""
    lines = [f"{'PyTorch':52}{'ours':34}{'samples':>8}{'value':>10}{'gradient':>10}  skipped"]
    for name, (f, _) in OPERATIONS.items():
        c = compare(name)
        why = "; ".join(f"{n}: {reason}" for reason, n in c.skipped.items())
        lines.append(f"{name:52}{f.__name__:34}{c.compared:8}{c.value:10.0e}{c.gradient:10.0e}  {why}".rstrip())
        lines += [f"    WRONG {w[:300]}" for w in c.wrong[:3]]
    everything = [compare(name) for name in OPERATIONS]
    lines.append(
        f"{len({f for f, _ in OPERATIONS.values()})} of our functions, {len(OPERATIONS)} of PyTorch's, "
        f"{sum(c.compared for c in everything)} samples compared, {sum(c.skipped.total() for c in everything)} skipped"
    )
    return "\n".join(lines)


@pytest.fixture(scope="module", autouse=True)
def pytorch():
    pytest.importorskip("torch")
    pytest.importorskip("expecttest")  # PyTorch's list of samples needs it


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_every_sample_has_pytorchs_value_and_gradients(name):
    found = compare(name)
    assert not found.wrong, "\n".join(found.wrong)
    assert found.compared


def test_at_least_90_operations_are_compared_and_no_sample_is_skipped_without_a_reason():
    compared = {f for name, (f, _) in OPERATIONS.items() if compare(name).compared}
    assert compared <= {*TABLE, *COMPOSITES}
    assert len(compared) >= 120
    for name in OPERATIONS:
        found = compare(name)
        assert all(found.skipped)
        assert found.skipped.total() <= found.compared or name in MOSTLY_SKIPPED, name


def test_hardsigmoids_slope_is_a_sixth_and_pytorch_rounds_it_to_float32():
    import torch

    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    torch.nn.functional.hardsigmoid(x).backward()
    assert x.grad.item() == float(np.float32(1 / 6)) != 1 / 6
    t = Tensor([0.0], requires_grad=True)
    np.sum(ops.hard_sigmoid(t / 1.2)).backward()
    assert abs(t.grad[0] - 1 / 6) < 1e-15


def test_pytorchs_lstm_computes_the_same():
    import torch

    rng = np.random.default_rng(0)
    x, h, c, kernel, recurrent, bias = (
        rng.standard_normal(s) for s in [(2, 4, 3), (2, 5), (2, 5), (3, 20), (5, 20), (20,)]
    )
    theirs = torch.nn.LSTM(3, 5, batch_first=True).double()
    with torch.no_grad():
        for parameter, value in zip(theirs.parameters(), (kernel.T, recurrent.T, bias, np.zeros(20))):
            parameter.copy_(torch.tensor(value))
    tx = torch.tensor(x, requires_grad=True)
    z, _ = theirs(tx, (torch.tensor(h)[None], torch.tensor(c)[None]))
    leaves = [Tensor(a, requires_grad=True) for a in (x, kernel, recurrent, bias)]
    y, _, _ = ops.lstm(leaves[0], h, c, *leaves[1:])
    upstream = rng.standard_normal(y.shape)
    y.backward(upstream)
    z.backward(torch.tensor(upstream))
    np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=1e-12)
    expected = [tx.grad.numpy(), *[p.grad.numpy().T for p in list(theirs.parameters())[:3]]]
    for t, g in zip(leaves, expected):
        np.testing.assert_allclose(t.grad, g, rtol=1e-10, atol=1e-13)


def test_the_stored_vectors_are_what_pytorch_computes_today():
    def close(now, then):
        assert type(now) is type(then)
        if isinstance(now, dict):
            assert now.keys() == then.keys()
        if isinstance(now, dict | list):
            for k in now if isinstance(now, dict) else range(max(len(now), len(then))):
                close(now[k], then[k])
        elif now is not None:
            assert now == pytest.approx(then, rel=1e-12, abs=1e-13)

    close(golden(), STORED)


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    print(table())
