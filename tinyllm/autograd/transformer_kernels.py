"""The parts of a transformer block, fused: each a kernel (kernels.py) beside the composed function in network.py.

They go over large arrays as few times as they can, in place where the array is theirs.
"""

import math

import numpy as np

from tinyllm.autograd.functions import erfc
from tinyllm.autograd.graph import is_recording, unbroadcast
from tinyllm.autograd.kernels import kernel
from tinyllm.autograd.network import (
    GELU_CUBIC,
    attention_from_rules,
    gelu_from_rules,
    layer_norm_from_rules,
    linear_from_rules,
    self_attention_from_rules,
)

__all__ = ["gelu", "layer_norm", "linear", "scaled_dot_product_attention", "self_attention"]

GELU_SLOPE = math.sqrt(2 / math.pi)  # of the tanh's argument at 0
BLOCK = 2**15  # numbers


@kernel(reference=linear_from_rules)
def linear(x, kernel, bias=None):
    """x @ kernel + bias, all positions in one product.

    x (..., features); kernel (features, units); bias (units,) or None; the result (..., units).

    >>> linear(np.ones((1, 2)), np.eye(2), np.array([0.0, 1.0]))
    array([[1., 2.]])
    """
    fits = x.ndim and kernel.ndim == 2 and x.shape[-1] == kernel.shape[0]
    if not fits or (bias is not None and bias.shape != kernel.shape[1:]):
        raise ValueError("x is (..., features), the kernel (features, units), the bias (units,) or None")
    features, units = kernel.shape
    rows = x.reshape(-1, features)
    y = rows @ kernel if bias is None else rows @ kernel + bias

    def backward(g):
        g = g.reshape(len(rows), units)
        d_bias = None if bias is None else column_sums(g, (units,))
        return lambda: (g @ kernel.T).reshape(x.shape), lambda: rows.T @ g, d_bias

    return y.reshape(*x.shape[:-1], units), backward


@kernel(reference=layer_norm_from_rules)
def layer_norm(x, gain=1.0, bias=0.0, epsilon=1e-5):
    """gain (x - mean) / sqrt(variance + epsilon) + bias over the last axis (Ba et al. 2016).

    >>> layer_norm(np.array([[1.0, 3.0]]), epsilon=0.0)
    array([[-1.,  1.]])
    """
    normal, scale = (a.reshape(*x.shape[:-1], a.shape[1]) for a in standardised(as_rows(x), epsilon))
    y = normal * gain
    if np.ndim(bias) or bias:
        y = y + bias  # NumPy adds in place here: y has no other owner

    def backward(g):
        def d_x():
            d = g * gain
            d = d if d.shape == x.shape else np.array(unbroadcast(d, x.shape))
            d -= means(d)
            return standardised_gradient(*map(as_rows, (d, normal, scale))).reshape(x.shape)

        def d_gain():
            return column_sums(g * normal, np.shape(gain))

        def d_epsilon():
            return -0.5 * g * gain * normal * scale * scale

        return d_x, d_gain, lambda: column_sums(g, np.shape(bias)), d_epsilon

    return y, backward


@kernel(reference=gelu_from_rules)
def gelu(x, approximate=False):
    """x times the probability P that a standard normal number is below x (Hendrycks & Gimpel 2016).

    approximate: by a tanh, as GPT-2 does. The exact form keeps its relative precision far out on the left.
    The gradient is P + x P'.

    >>> gelu(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.1587,  0.    ,  0.8413])
    """
    x = np.asarray(x)
    if not approximate:
        below = 0.5 * erfc(-x * math.sqrt(0.5))
        return x * below, lambda g: (g * (below + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)), None)
    y = np.empty(x.shape, x.dtype)
    slope = tanh_gelu(x.ravel(), out=y.ravel(), sloped=is_recording())
    return y, lambda g: (g * slope.reshape(g.shape), None)


@kernel(reference=attention_from_rules)
def scaled_dot_product_attention(query, key, value, mask=None, causal=False):
    """softmax(query key^T / sqrt(features)) value (Vaswani et al. 2017, section 3.2.1).

    query (..., m, features); key (..., n, features); value (..., n, width); result (..., m, width).
    mask (..., m, n): False where a query may not look; causal: no query looks at a later position. A query that may
    look nowhere gives 0.

    The scores become e = exp(scores - their largest) in place, and w = e / sum(e) is never made. With d = g value^T the
    gradient of the scores is w (d - sum(d w)), and sum(d w) = sum(g y).
    """
    axes = min(query.ndim, key.ndim, value.ndim)
    if axes < 2 or query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ValueError("query is (..., m, features), key (..., n, features), value (..., n, width)")
    scale = 1 / math.sqrt(query.shape[-1])
    scaled = query * scale
    e = scaled @ np.swapaxes(key, -1, -2)
    if causal:
        below = np.tril(np.ones(e.shape[-2:], bool))
        mask = below if mask is None else below & np.asarray(mask, bool)
    if mask is not None:
        np.copyto(e, -np.inf, where=~np.asarray(mask, bool))
    peak = e.max(axis=-1, keepdims=True, initial=-np.inf)
    e -= np.where(np.isfinite(peak), peak, 0)
    np.exp(e, out=e)
    total = row_sums(e)
    total[total == 0] = 1  # nowhere to look: all weights are 0
    y = e @ value
    y /= total  # here, and not e: there are fewer numbers

    def backward(g):
        g = g / total
        d = g @ np.swapaxes(value, -1, -2)
        d -= row_sums(g * y)
        d *= e
        d_query = d @ key
        d_query *= scale
        return d_query, np.swapaxes(d, -1, -2) @ scaled, np.swapaxes(e, -1, -2) @ g, None, None

    return y, backward


@kernel(reference=self_attention_from_rules)
def self_attention(qkv, heads, causal=False):
    """Attention of a sequence to itself, all heads at once (Vaswani et al. 2017, section 3.2.2).

    qkv (batch, time, 3 width): queries, keys and values side by side, of `heads` parts each; y (batch, time, width).
    causal: no position looks at a later one. The same as scaled_dot_product_attention head by head.
    """
    if qkv.ndim != 3 or heads < 1 or qkv.shape[-1] % (3 * heads):
        raise ValueError("qkv is (batch, time, 3 width), and heads divides the width")
    return attended(qkv, heads, causal)


# -- parts of kernels: plain functions of arrays --------------------------------------------------------------------


def attended(qkv, heads, causal):
    """self_attention, and the function that turns the gradient of y into those of its arguments.

    Products read queries, keys and values where they lie, and write their gradients where those belong, without a copy.
    What is copied is turned round by it: a product of so small matrices then takes half the time.
    """
    batch, time, three = qkv.shape
    size = three // (3 * heads)
    scale = 1 / math.sqrt(size)
    of_heads = (2, 0, 3, 1, 4)  # (batch, time, 3, heads, size) as (3, batch, heads, time, size)
    query, key, value = qkv.reshape(batch, time, 3, heads, size).transpose(of_heads)
    w = query @ np.ascontiguousarray(key.swapaxes(-1, -2))
    w *= scale
    near = max(w.max(initial=0), -w.min(initial=0)) < math.log(np.finfo(w.dtype).max) / 4
    if causal:
        w += np.where(np.tri(time, dtype=bool), w.dtype.type(0), w.dtype.type(-np.inf))
    if not near:  # else exp(w) is neither too large nor too small, and sum of it and products have room
        w -= w.max(axis=-1, keepdims=True)
    np.exp(w, out=w)
    w *= 1 / row_sums(w)
    y = np.empty((batch, time, heads, size), w.dtype)
    np.matmul(w, value, out=y.transpose(0, 2, 1, 3))

    def backward(g):
        g = g.reshape(y.shape)
        d = np.empty((batch, time, 3, heads, size), g.dtype)
        d_query, d_key, d_value = d.transpose(of_heads)
        means = row_sums(g * y).transpose(0, 2, 1, 3)  # sum over keys of w times the gradient of w
        g = g.transpose(0, 2, 1, 3)
        np.matmul(w.swapaxes(-1, -2), g, out=d_value)
        scores = g @ np.ascontiguousarray(value.swapaxes(-1, -2))
        scores -= means
        scores *= w
        scores *= scale
        np.matmul(scores, key, out=d_query)
        np.matmul(scores.swapaxes(-1, -2), query, out=d_key)
        return d.reshape(batch, time, three), None, None

    return y.reshape(batch, time, three // 3), backward


def tanh_gelu(x, out, sloped=True):
    """Write x P, P = (1 + tanh(s (x + c x^3))) / 2, of a flat x to out, which may be x; return the slope P + x P'.

    P' = 2 P (1 - P) (s + 3 s c x^2). All of it is computed together, while a block of numbers is in the cache. Not
    sloped: where nothing is recorded, nobody will ask for the slope.
    """
    slope = np.empty_like(x) if sloped else None
    scratch = np.empty((3, min(BLOCK, x.size)), x.dtype)
    for i in range(0, x.size, BLOCK):
        a, y = x[i : i + BLOCK], out[i : i + BLOCK]
        p, u, v = scratch[:, : len(a)]
        np.multiply(a, a, out=u)
        u *= GELU_SLOPE * GELU_CUBIC
        u += GELU_SLOPE
        np.multiply(u, a, out=p)
        np.tanh(p, out=p)
        p += 1
        p *= 0.5
        if slope is None:
            np.multiply(a, p, out=y)
            continue
        u *= 6
        u -= 4 * GELU_SLOPE
        u *= a
        np.subtract(1, p, out=v)
        u *= v
        u += 1
        np.multiply(a, p, out=y)
        p *= u
        slope[i : i + BLOCK] = p  # a copy goes to memory that is not in the cache faster than a product does
    return slope


def standardised(x, epsilon):
    """n = (x - mean) / s, s = sqrt(variance + epsilon), of each row; and 1 / s, (rows, 1)."""
    normal = x - means(x)
    scale = 1 / np.sqrt(np.vecdot(normal, normal)[:, None] / x.shape[1] + epsilon)
    normal *= scale
    return normal, scale


def standardised_gradient(d, normal, scale):
    """The gradient of x, given d, that of n, whose rows have mean 0: (d - n mean(d n)) / s. It is written over d."""
    for rows in in_blocks(d):
        a, n = d[rows], normal[rows]
        a -= n * (np.vecdot(a, n)[:, None] / d.shape[1])
        a *= scale[rows]
    return d


def as_rows(x):
    """x (..., features) as (rows, features)."""
    return x.reshape(-1, x.shape[-1]) if x.size else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def means(x):
    """The mean of each row, (rows, 1)."""
    return row_sums(x) / x.shape[-1]


def in_blocks(x):
    """Rows of x, some at a time, as slices: the passes over so few numbers stay in the processor's cache."""
    step = max(1, BLOCK // max(1, x.shape[1]))
    return (slice(i, i + step) for i in range(0, len(x), step))


def row_sums(x):
    """The sums over the last axis, kept as an axis of length 1: a product with ones takes a fifth of np.sum's time."""
    return (as_rows(x) @ np.ones(x.shape[-1], x.dtype)).reshape(*x.shape[:-1], 1)


def column_sums(x, shape):
    """The sum over all axes but the last if that is the shape wanted; otherwise x, which the walk will sum."""
    if shape != x.shape[-1:] or not x.size:
        return x
    rows = x.reshape(-1, x.shape[-1])
    return np.ones(len(rows), x.dtype) @ rows
