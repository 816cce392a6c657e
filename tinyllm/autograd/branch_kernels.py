"""The two halves of a transformer's block, each in one kernel (kernels.py) beside the composed function in network.py.

What lies between two matrix products is computed in place, in the array that the first of them has just written: an
array of its own would first have to come into the cache, which takes longer than the computation.
"""

import numpy as np

from tinyllm.autograd.graph import is_recording
from tinyllm.autograd.kernels import kernel
from tinyllm.autograd.network import attention_branch_from_rules, mlp_branch_from_rules
from tinyllm.autograd.transformer_kernels import as_rows, attended, standardised, standardised_gradient, tanh_gelu

__all__ = ["attention_branch", "mlp_branch"]


@kernel(reference=attention_branch_from_rules)
def attention_branch(x, gain, shift, kernel, bias, out_kernel, out_bias, heads, causal=False, keep=None, epsilon=1e-5):
    """x + keep (self_attention(norm(x) kernel + bias) out_kernel + out_bias), norm a layer_norm with gain and shift.

    x (batch, time, width); kernel (width, 3 width); out_kernel (width, width); a shift or a bias may be None.
    keep: a mask of dropout, or None (normalised before, not after: Radford et al. 2019).
    """

    if x.ndim != 3 or heads < 1 or x.shape[-1] % heads or kernel.shape[1:] != (3 * x.shape[-1],):
        raise ValueError("x is (batch, time, width), the kernel (width, 3 width), and heads divides the width")

    def attention(qkv):
        y, backward = attended(qkv.reshape(*x.shape[:2], qkv.shape[1]), heads, causal)
        return as_rows(y), lambda d: as_rows(backward(d)[0])

    y, backward = branch(x, gain, shift, kernel, bias, out_kernel, out_bias, keep, epsilon, attention)

    def backward_of_all(g):
        *found, d_keep = backward(g)
        return *found, None, None, d_keep, None

    return y, backward_of_all


@kernel(reference=mlp_branch_from_rules)
def mlp_branch(x, gain, shift, kernel, bias, out_kernel, out_bias, keep=None, epsilon=1e-5):
    """x + keep (gelu(norm(x) kernel + bias) out_kernel + out_bias), as attention_branch, with the tanh form of gelu.

    x (batch, time, width); kernel (width, hidden); out_kernel (hidden, width).
    """

    def gelu(h):
        slope = tanh_gelu(h.ravel(), out=h.ravel(), sloped=is_recording())

        def backward(d):
            d *= slope.reshape(d.shape)
            return d

        return h, backward

    y, backward = branch(x, gain, shift, kernel, bias, out_kernel, out_bias, keep, epsilon, gelu)
    return y, lambda g: (*backward(g), None)


def branch(x, gain, shift, kernel, bias, out_kernel, out_bias, keep, epsilon, middle):
    """x + keep (middle(norm(x) kernel + bias) out_kernel + out_bias), and the gradients of the arrays before keep.

    middle turns an array, which it may overwrite, into another and the function from its gradient, which may be
    overwritten, too, to that of the array. With n = (x - mean) / s, norm(x) kernel + bias is n (gain kernel) + (shift
    kernel + bias): gain and shift meet the kernel, which is smaller than x. So does the other mean of a layer norm: the
    rows of n add up to 0, and n sees nothing of a number that is taken off a column of gain kernel. With the columns'
    means taken off, the rows of the gradient of n add up to 0, too.
    """
    width = x.shape[-1:]
    if not x.ndim or gain.shape != width or kernel.shape[:1] != width or out_kernel.shape[1:] != width:
        raise ValueError("x is (..., width), gain and shift (width,), the kernels (width, ...) and (..., width)")
    rows = as_rows(x)
    n, scale = standardised(rows, epsilon)
    scaled = gain[:, None] * kernel
    scaled -= np.ones(len(scaled), scaled.dtype) @ scaled / len(scaled)
    h = n @ scaled
    if shift is not None:
        h += shift @ kernel
    if bias is not None:
        h += bias
    h, middle_backward = middle(h)
    y = h @ out_kernel
    if out_bias is not None:
        y += out_bias
    if keep is not None:
        y *= keep.reshape(y.shape)
    y += rows

    def backward(g):
        g = g.reshape(y.shape)
        d_y = g if keep is None else g * keep.reshape(y.shape)
        d = middle_backward(d_y @ out_kernel.T)
        d_kernel = n.T @ d  # that of gain kernel
        d_gain = np.vecdot(d_kernel, kernel)
        d_kernel *= gain[:, None]
        d_shift = d_bias = None
        if shift is not None or bias is not None:
            d_bias = np.ones(len(d), d.dtype) @ d
        if shift is not None:
            d_kernel += shift[:, None] * d_bias
            d_shift = kernel @ d_bias
        d_x = standardised_gradient(d @ scaled.T, n, scale)
        d_x += g

        def d_out_bias():
            return np.ones(len(d_y), d_y.dtype) @ d_y

        def d_keep():
            dropped = h @ out_kernel
            return (g * (dropped if out_bias is None else dropped + out_bias)).reshape(x.shape)

        return d_x.reshape(x.shape), d_gain, d_shift, d_kernel, d_bias, h.T @ d_y, d_out_bias, d_keep

    return y.reshape(x.shape), backward
