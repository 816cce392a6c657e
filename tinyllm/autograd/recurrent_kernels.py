"""The GRU and the simple recurrent network over time: each a readable reference and a kernel that must equal it.

Inside the kernels time comes first and the batch last, as in `lstm` (kernels.py), and for the same reason.
"""

from typing import Any

import numpy as np

from tinyllm.autograd.functions import sigmoid
from tinyllm.autograd.kernels import gated_product, kernel, over_time

__all__ = ["gru", "gru_from_rules", "gru_step", "simple_rnn", "simple_rnn_from_rules"]


# -- simple recurrent network ---------------------------------------------------------------------------------------


def simple_rnn_from_rules(x, h, kernel, recurrent_kernel, bias, mask=None, *, activation=np.tanh, keep=(None, None)):
    """h = tanh(x_t @ kernel + bias + h @ recurrent_kernel), step after step: the reference of `simple_rnn`.

    keep: masks of dropout for the input (1, batch, 1, features) and the state (1, batch, units), or None.
    """
    z = gated_product(x, kernel, keep[0])
    z = z if bias is None else z + bias

    def step(z, h):
        return (activation(z + gated_product(h, recurrent_kernel, keep[1])),)

    return over_time(step, z, (h,), mask)


@kernel(reference=simple_rnn_from_rules)
def simple_rnn(x, h, kernel, recurrent_kernel, bias=None, mask=None):
    """A simple recurrent network (Elman 1990) over a whole sequence.

        h = tanh(x_t @ kernel + bias + h @ recurrent_kernel)

    x (batch, time, features); h (batch, units) the initial state; kernel (features, units); recurrent_kernel
    (units, units); bias (units,) or None; mask (batch, time) booleans or None.
    Returns the outputs (batch, time, units) and the last h. A skipped step leaves the state and repeats the output.
    """
    _check(x, h, kernel, recurrent_kernel, gates=1)
    xs, z, recurrent, hs = _features_first(x, h, kernel, recurrent_kernel, bias)
    seen = _steps_seen(mask)
    for t in range(len(xs)):
        z[t] += recurrent @ hs[t]
        np.tanh(z[t], out=hs[t + 1])
        if seen is not None:
            np.copyto(hs[t + 1], hs[t], where=~seen[t])

    def backward(d_outputs, d_h):
        d = np.empty_like(z)

        def step(t, d_now):
            np.multiply(d_now, 1 - hs[t + 1] * hs[t + 1], out=d[t])
            return recurrent_kernel @ d[t]

        d_h = _back_through_time(step, d_outputs, d_h, hs, seen)
        flat = _rows(d)
        d_x = (flat @ kernel.T).reshape(_by_time(x)).transpose(1, 0, 2)
        d_bias = None if bias is None else flat.sum(axis=0)
        return d_x, d_h.T, _rows(xs).T @ flat, _rows(hs[:-1]).T @ flat, d_bias, None

    return (_outputs(hs, seen), hs[-1].T), backward


# -- GRU ------------------------------------------------------------------------------------------------------------


def gru_step(
    x,
    h,
    recurrent_kernel,
    for_state=None,
    reset_after=True,
    activation=np.tanh,
    recurrent_activation=sigmoid,
    keep=None,
):
    """One step of a gated recurrent unit. Gates in Keras's order: update z, reset r, candidate n.

    x (batch, 3 units) is the input's share, x_t @ kernel + its bias; h (batch, units) the state; for_state (3 units,)
    the state's bias. The reset gate acts after the candidate's matrix product (the variant of cuDNN and PyTorch) or
    before it (Cho et al. 2014).
    """
    units = h.shape[-1]
    if reset_after:
        from_h = gated_product(h, recurrent_kernel, keep)
        h_z, h_r, h_n = np.split(from_h if for_state is None else from_h + for_state, 3, axis=-1)
    else:
        h_z, h_r = np.split(
            gated_product(h, recurrent_kernel[:, : 2 * units], None if keep is None else keep[:2]), 2, axis=-1
        )
    x_z, x_r, x_n = np.split(x, 3, axis=-1)
    z, r = recurrent_activation(x_z + h_z), recurrent_activation(x_r + h_r)
    if reset_after:
        n = activation(x_n + r * h_n)
    else:
        n = activation(x_n + gated_product(r * h, recurrent_kernel[:, 2 * units :], None if keep is None else keep[2:]))
    return z * h + (1 - z) * n


def gru_from_rules(
    x,
    h,
    kernel,
    recurrent_kernel,
    bias,
    mask=None,
    reset_after=True,
    *,
    activation=np.tanh,
    recurrent_activation=sigmoid,
    keep=(None, None),
):
    """The GRU over time, one readable step after another: the reference of `gru`, same arguments and results.

    keep: masks of dropout for the input (3, batch, 1, features) and the state (3, batch, units), or None.
    """
    for_input, for_state = (None, None) if bias is None else (bias[0], bias[1]) if reset_after else (bias, None)
    share = gated_product(x, kernel, keep[0])
    share = share if for_input is None else share + for_input

    def step(share, h):
        return (
            gru_step(share, h, recurrent_kernel, for_state, reset_after, activation, recurrent_activation, keep[1]),
        )

    return over_time(step, share, (h,), mask)


@kernel(reference=gru_from_rules)
def gru(x, h, kernel, recurrent_kernel, bias=None, mask=None, reset_after=True):
    """A gated recurrent unit (Cho et al. 2014) over a whole sequence.

    x (batch, time, features); h (batch, units) the initial state; kernel (features, 3 units); recurrent_kernel
    (units, 3 units); bias (2, 3 units) if reset_after (one for the input, one for the state), else (3 units,), or None;
    mask (batch, time) booleans or None. Gates in the order z, r, candidate.
    Returns the outputs (batch, time, units) and the last h. A skipped step leaves the state and repeats the output.
    """
    _check(x, h, kernel, recurrent_kernel, gates=3)
    units = recurrent_kernel.shape[0]
    if bias is not None and bias.shape != ((2, 3 * units) if reset_after else (3 * units,)):
        raise ValueError("the bias is (2, 3 units) with reset_after, (3 units,) without; or None")
    for_input, for_state = (None, None) if bias is None else bias if reset_after else (bias, None)
    xs, gates, recurrent, hs = _features_first(x, h, kernel, recurrent_kernel, for_input)
    z, r, n = (gates[:, k * units : (k + 1) * units] for k in range(3))
    heard = np.empty_like(hs[1:])  # what the candidate hears of the state: R_n h + b before the reset, or r h after it
    product = np.empty_like(gates[0])
    seen = _steps_seen(mask)
    for t in range(len(xs)):
        zr = gates[t, : 2 * units]
        if reset_after:
            np.matmul(recurrent, hs[t], out=product)
            if for_state is not None:
                product += for_state[:, None]
            heard[t] = product[2 * units :]
        else:
            np.matmul(recurrent[: 2 * units], hs[t], out=product[: 2 * units])
        zr += product[: 2 * units]
        zr *= 0.5  # sigmoid(a) = (1 + tanh(a / 2)) / 2
        np.tanh(zr, out=zr)
        zr *= 0.5
        zr += 0.5
        if reset_after:
            n[t] += r[t] * heard[t]
        else:
            np.multiply(r[t], hs[t], out=heard[t])
            n[t] += recurrent[2 * units :] @ heard[t]
        np.tanh(n[t], out=n[t])
        new = hs[t + 1]
        np.subtract(hs[t], n[t], out=new)
        new *= z[t]
        new += n[t]  # z h + (1 - z) n
        if seen is not None:
            np.copyto(new, hs[t], where=~seen[t])

    def backward(d_outputs, d_h):
        steps, _, batch = hs[1:].shape
        d = np.empty((steps, 3, units, batch), hs.dtype)  # each gate's share in h, then, times what comes back, its
        np.multiply(hs[:-1] - n, z * (1 - z), out=d[:, 0])  # gradient; the reset gate acts through the candidate
        np.multiply(heard if reset_after else hs[:-1], r * (1 - r), out=d[:, 1])
        np.multiply(1 - z, 1 - n * n, out=d[:, 2])
        into = np.empty_like(d) if reset_after else d  # of recurrent_kernel's product: the reset comes after it

        def step(t, d_now):
            d[t, 0] *= d_now
            d[t, 2] *= d_now
            if reset_after:
                d[t, 1] *= d[t, 2]
                into[t, :2] = d[t, :2]
                np.multiply(d[t, 2], r[t], out=into[t, 2])
                back = recurrent_kernel @ into[t].reshape(3 * units, batch)
            else:
                d_reset = recurrent_kernel[:, 2 * units :] @ d[t, 2]
                d[t, 1] *= d_reset
                back = recurrent_kernel[:, : 2 * units] @ d[t, :2].reshape(2 * units, batch)
                back += d_reset * r[t]
            back += d_now * z[t]
            return back

        d_h = _back_through_time(step, d_outputs, d_h, hs, seen)
        flat, flat_into = (_rows(a.reshape(steps, 3 * units, batch)) for a in (d, into))
        d_x = (flat @ kernel.T).reshape(_by_time(x)).transpose(1, 0, 2)
        d_recurrent = _rows(hs[:-1]).T @ flat_into
        if not reset_after:
            d_recurrent[:, 2 * units :] = _rows(heard).T @ flat[:, 2 * units :]
        d_bias = None
        if bias is not None:
            d_bias = np.stack([flat.sum(axis=0), flat_into.sum(axis=0)]) if reset_after else flat.sum(axis=0)
        return d_x, d_h.T, _rows(xs).T @ flat, d_recurrent, d_bias, None, None

    return (_outputs(hs, seen), hs[-1].T), backward


# -- what both share ------------------------------------------------------------------------------------------------


def _check(x, h, kernel, recurrent_kernel, gates):
    batch, _, features = x.shape if x.ndim == 3 else (0, 0, 0)
    units = recurrent_kernel.shape[0]
    if (
        x.ndim != 3
        or h.shape != (batch, units)
        or kernel.shape != (features, gates * units)
        or recurrent_kernel.shape != (units, gates * units)
    ):
        width = "units" if gates == 1 else f"{gates} units"
        raise ValueError(
            f"x is (batch, time, features), h (batch, units), kernel (features, {width}), "
            f"recurrent_kernel (units, {width})"
        )


def _features_first(x, h, kernel, recurrent_kernel, bias):
    """x (time, features, batch), the input's share of all gates (time, gates units, batch), recurrent_kernel.T, and the
    states (time + 1, units, batch), of which the first is filled in."""
    dtype = np.result_type(*(a for a in (x, h, kernel, recurrent_kernel, bias) if a is not None))
    lay = np.asarray if len(x) == 1 else np.ascontiguousarray  # a transposed view makes a product slower
    xs = lay(x.transpose(1, 2, 0))
    gates = (lay(kernel.T) @ xs).astype(dtype, copy=False)
    if bias is not None:
        gates += bias[:, None]
    hs = np.empty((len(xs) + 1, h.shape[1], len(h)), dtype)
    hs[0] = h.T
    return xs, gates, lay(recurrent_kernel.T), hs


def _steps_seen(mask):
    return None if mask is None else np.asarray(mask, bool).T[:, None]


def _outputs(hs, seen):
    """(batch, time, units); before the first seen step the output is zero, not the initial state."""
    outputs = hs[1:] if seen is None else np.where(np.logical_or.accumulate(seen, axis=0), hs[1:], 0)
    return outputs.transpose(2, 0, 1)


def _back_through_time(step, d_outputs, d_h, hs, seen):
    """The gradient of the initial state. step(t, gradient of state t + 1) keeps what it needs and returns state t's."""
    d_h = np.zeros(hs.shape[1:], hs.dtype) if d_h is None else d_h.T
    d_outputs = None if d_outputs is None else d_outputs.transpose(1, 2, 0)
    d_output: Any = 0
    for t in reversed(range(len(hs) - 1)):
        if d_outputs is not None:
            d_output = d_output + d_outputs[t]
        if seen is None:
            d_h, d_output = step(t, d_h + d_output), 0
        else:  # a repeated output's gradient waits for the step that made it
            d_h = np.where(seen[t], step(t, np.where(seen[t], d_h + d_output, 0)), d_h)
            d_output = np.where(seen[t], 0, d_output)
    return d_h


def _rows(a):
    """(time, features, batch) as (time batch, features): a step of a sample becomes a row."""
    return np.ascontiguousarray(a.transpose(0, 2, 1)).reshape(-1, a.shape[1])


def _by_time(x):
    batch, steps, features = x.shape
    return steps, batch, features
