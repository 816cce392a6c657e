"""Functions of neural networks that are put together from others: they need no line in the table of derivatives.

Each takes arrays or Tensors. The activations, normalisations, attention and recurrences here are meant to be read;
where speed matters there is a kernel (kernels.py) that answers for the same function.
"""

import math

import numpy as np

from tinyllm.autograd.functions import erfc, rsqrt, sigmoid, softmax
from tinyllm.autograd.tensor import as_array, composed

__all__ = [
    "attention_branch_from_rules",
    "attention_from_rules",
    "conv1d",
    "dropout",
    "elu",
    "gather",
    "gelu_from_rules",
    "glu",
    "hard_sigmoid",
    "huber",
    "layer_norm_from_rules",
    "leaky_relu",
    "linear_from_rules",
    "masked_fill",
    "mean_squared_error",
    "mlp_branch_from_rules",
    "rms_norm",
    "self_attention_from_rules",
    "selu",
    "silu",
    "softsign",
]

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. 2017, appendix A1
GELU_CUBIC = 0.044715  # Hendrycks & Gimpel 2016, section 2


# -- activations ----------------------------------------------------------------------------------------------------


@composed
def leaky_relu(x, negative_slope=0.01):
    """x where positive, negative_slope times x elsewhere (Maas et al. 2013).

    >>> leaky_relu(np.array([-1.0, 2.0]))
    array([-0.01,  2.  ])
    """
    return np.where(x > 0, x, negative_slope * x)


@composed
def elu(x, alpha=1.0):
    """x where positive, alpha (exp(x) - 1) elsewhere (Clevert et al. 2016).

    >>> elu(np.array([1.0, -1000.0]))
    array([ 1., -1.])
    """
    return np.where(x > 0, x, alpha * np.expm1(np.where(x > 0, 0.0, x)))


@composed
def selu(x):
    """A scaled elu that keeps mean 0 and variance 1 (Klambauer et al. 2017)."""
    return SELU_SCALE * elu(x, SELU_ALPHA)


def gelu_from_rules(x, approximate=False):
    """x P(x), P the probability that a standard normal number is below x: the reference of `gelu`."""
    if approximate:
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + GELU_CUBIC * x * x * x)))
    return 0.5 * x * erfc(-x * math.sqrt(0.5))


@composed
def silu(x):
    """x sigmoid(x), also called swish (Ramachandran et al. 2017)."""
    return x * sigmoid(x)


@composed
def hard_sigmoid(x):
    """A sigmoid of three straight pieces, clip(0.2 x + 0.5, 0, 1) (the slope of tf.keras 2; Keras 3 has 1/6).

    >>> hard_sigmoid(np.array([-3.0, 0.0, 1.0]))
    array([0. , 0.5, 0.7])
    """
    return np.clip(0.2 * x + 0.5, 0.0, 1.0)


@composed
def softsign(x):
    """x / (1 + |x|)."""
    return x / (1 + np.absolute(x))


@composed
def glu(x, axis=-1):
    """The first half of x along `axis`, gated by the sigmoid of the second (Dauphin et al. 2017).

    >>> glu(np.array([2.0, 0.0]))
    array([1.])
    """
    a, b = np.split(x, 2, axis=axis)
    return a * sigmoid(b)


# -- layers ---------------------------------------------------------------------------------------------------------


@composed
def dropout(x, rate, rng):
    """x with each value set to 0 with probability `rate`, the others scaled by 1 / (1 - rate) (Srivastava et al. 2014).

    rng: a numpy Generator. Raises ValueError unless 0 <= rate < 1.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: rate must be at least 0 and below 1; found {rate}")
    keep = rng.random(np.shape(x)) >= rate
    return x * (keep / (1 - rate)).astype(x.dtype)


def linear_from_rules(x, kernel, bias=None):
    """x @ kernel + bias: the reference of `linear`."""
    y = np.reshape(x, (-1, np.shape(kernel)[0])) @ kernel
    return np.reshape(y if bias is None else y + bias, (*np.shape(x)[:-1], np.shape(kernel)[1]))


def layer_norm_from_rules(x, gain=1.0, bias=0.0, epsilon=1e-5):
    """gain (x - mean) / sqrt(variance + epsilon) + bias over the last axis: the reference of `layer_norm`."""
    deviation = x - np.mean(x, axis=-1, keepdims=True)
    variance = np.mean(deviation * deviation, axis=-1, keepdims=True)
    return deviation * rsqrt(variance + epsilon) * gain + bias


@composed
def rms_norm(x, gain=1.0, epsilon=1e-6):
    """gain x / sqrt(mean of x^2 + epsilon) over the last axis (Zhang & Sennrich 2019)."""
    return x * rsqrt(np.mean(x * x, axis=-1, keepdims=True) + epsilon) * gain


@composed
def conv1d(x, kernel, bias=None, stride=1, padding="valid", dilation=1):
    """A convolution over time: each output sees `width` steps, `dilation` apart, every `stride` steps.

    x (batch, time, channels); kernel (width, channels, filters); bias (filters,); result (batch, steps, filters).
    padding: "valid" none, "same" zeros on both sides so that steps = ceil(time / stride), "causal" zeros before.

    >>> conv1d(np.ones((1, 4, 1)), np.ones((2, 1, 1)))[0, :, 0]
    array([2., 2., 2.])
    """
    if np.ndim(x) != 3 or np.ndim(kernel) != 3 or np.shape(x)[2] != np.shape(kernel)[1]:
        raise ValueError(
            f"conv1d: x is (batch, time, channels), the kernel (width, channels, filters); found {np.shape(x)} and "
            f"{np.shape(kernel)}"
        )
    if stride < 1 or dilation < 1:
        raise ValueError(f"conv1d: stride and dilation are at least 1; found {stride} and {dilation}")
    width, channels, filters = np.shape(kernel)
    batch, time, _ = np.shape(x)
    span = dilation * (width - 1) + 1
    if padding == "causal":
        x = np.pad(x, ((0, 0), (span - 1, 0), (0, 0)))
    elif padding == "same":
        missing = max((math.ceil(time / stride) - 1) * stride + span - time, 0)
        x = np.pad(x, ((0, 0), (missing // 2, missing - missing // 2), (0, 0)))
    elif padding != "valid":
        raise ValueError(f"conv1d: unknown padding {padding!r}; known: valid, same, causal")
    steps = (np.shape(x)[1] - span) // stride + 1
    if steps < 1:
        raise ValueError(f"conv1d: {np.shape(x)[1]} steps are fewer than the {span} that the kernel spans")
    windows = x[:, np.arange(steps)[:, None] * stride + np.arange(width) * dilation]
    rows = np.reshape(windows, (batch * steps, width * channels))
    y = np.reshape(rows @ np.reshape(kernel, (width * channels, filters)), (batch, steps, filters))
    return y if bias is None else y + bias


def attention_from_rules(query, key, value, mask=None, causal=False):
    """softmax(query key^T / sqrt(features)) value, in readable steps: the reference of scaled_dot_product_attention."""
    scores = query @ np.swapaxes(key, -1, -2) / math.sqrt(np.shape(query)[-1])
    if causal:
        below = np.tril(np.ones(np.shape(scores)[-2:], bool))
        mask = below if mask is None else below & np.asarray(as_array(mask), bool)
    if mask is None:
        return softmax(scores) @ value
    mask = np.broadcast_to(np.asarray(as_array(mask), bool), np.shape(scores))
    anywhere = mask.any(axis=-1, keepdims=True)
    weights = softmax(np.where(mask | ~anywhere, scores, -np.inf))
    return np.where(anywhere, weights, 0.0) @ value


def self_attention_from_rules(qkv, heads, causal=False):
    """Queries, keys and values side by side, cut into heads, attended, and put together again."""
    batch, time, three = np.shape(qkv)
    parts = np.transpose(np.reshape(qkv, (batch, time, 3, heads, three // (3 * heads))), (2, 0, 3, 1, 4))
    y = attention_from_rules(parts[0], parts[1], parts[2], causal=causal)
    return np.reshape(np.transpose(y, (0, 2, 1, 3)), (batch, time, three // 3))


def attention_branch_from_rules(
    x, gain, shift, kernel, bias, out_kernel, out_bias, heads, causal=False, keep=None, epsilon=1e-5
):
    """x + keep (attention of norm(x)), the first half of a transformer's block: the reference of attention_branch."""
    qkv = linear_from_rules(_normed(x, gain, shift, epsilon), kernel, bias)
    y = linear_from_rules(self_attention_from_rules(qkv, heads, causal), out_kernel, out_bias)
    return x + (y if keep is None else y * keep)


def mlp_branch_from_rules(x, gain, shift, kernel, bias, out_kernel, out_bias, keep=None, epsilon=1e-5):
    """x + keep (a small network of norm(x)), the second half of a transformer's block: the reference of mlp_branch."""
    hidden = gelu_from_rules(linear_from_rules(_normed(x, gain, shift, epsilon), kernel, bias), approximate=True)
    y = linear_from_rules(hidden, out_kernel, out_bias)
    return x + (y if keep is None else y * keep)


def _normed(x, gain, shift, epsilon):
    return layer_norm_from_rules(x, gain, 0.0 if shift is None else shift, epsilon)


# -- losses and selection -------------------------------------------------------------------------------------------


@composed
def mean_squared_error(y_true, y_pred):
    """The mean of (y_pred - y_true)^2 over everything."""
    return np.mean(np.square(y_pred - y_true))


@composed
def huber(y_true, y_pred, delta=1.0):
    """The mean of error^2 / 2 where |error| <= delta, delta (|error| - delta / 2) beyond (Huber 1964).

    >>> float(huber(np.array([0.0, 0.0]), np.array([1.0, 3.0])))
    1.5
    """
    if not delta > 0:
        raise ValueError(f"huber: delta must be positive; found {delta}")
    error = np.absolute(y_pred - y_true)
    small = np.minimum(error, delta)
    return np.mean(small * (error - small / 2))


@composed
def masked_fill(x, mask, value):
    """x with `value` where the mask is True."""
    return np.where(as_array(mask), value, x)


@composed
def gather(x, indices, axis=-1):
    """The entries of x at `indices` along `axis`: np.take_along_axis, under PyTorch's name."""
    return np.take_along_axis(x, as_array(indices), axis)
