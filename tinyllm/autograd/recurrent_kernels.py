"""The GRU and the simple recurrent network over time: each a readable reference and a kernel that must equal it.

Inside the kernels what a step works on has the batch last, as in `lstm` (kernels.py), and for the same reasons.
"""

import numpy as np

from tinyllm.autograd.functions import sigmoid
from tinyllm.autograd.kernels import gated_product, kernel, over_time
from tinyllm.autograd.recurrence import (
    batch_last,
    first_rows,
    input_gradient,
    output_gradients,
    shown,
    step_product,
    steps_seen,
    weight_gradients,
)

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
    weights = [recurrent_kernel, kernel] if bias is None else [recurrent_kernel, kernel, bias[None]]
    dtype = np.result_type(x, h, *weights)
    rows = first_rows(x, h, weights, dtype)
    (steps, batch), units = rows[1:, :, 0].shape, h.shape[1]
    hs, ys = rows[:, :, :units], np.empty((steps, units, batch), dtype)
    seen = steps_seen(mask)
    product = step_product(weights, rows, np.ones(units, dtype))
    for t in range(steps):
        product(t, ys[t])
        np.tanh(ys[t], out=ys[t])
        if seen is not None:
            np.copyto(ys[t], hs[t].T, where=~seen[t])
        hs[t + 1] = ys[t].T

    def backward(d_outputs, d_h):
        flat, d = np.empty((steps, batch, units), dtype), np.empty((units, batch), dtype)
        d_h, d_outputs = batch_last(d_h, d), output_gradients(d_outputs, seen)
        for t in reversed(range(steps)):
            if d_outputs is not None:
                d_h += d_outputs[t].T
            np.multiply(ys[t], ys[t], out=d)
            np.subtract(1, d, out=d)
            d *= d_h
            if seen is not None:
                np.copyto(d, 0, where=~seen[t])
            flat[t] = d.T
            np.copyto(d_h, recurrent_kernel @ d, where=True if seen is None else seen[t])
        d_recurrent, d_kernel, *d_bias = weight_gradients(weights, rows, flat)
        return input_gradient(kernel, flat), d_h.T, d_kernel, d_recurrent, d_bias[0][0] if d_bias else None, None

    return (shown(hs, seen), hs[-1]), backward


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
    gates, recurrent, hs = _features_first(x, h, kernel, recurrent_kernel, for_input)
    z, r, n = (gates[:, k * units : (k + 1) * units] for k in range(3))
    heard = np.empty_like(hs[1:])  # what the candidate hears of the state: R_n h + b before the reset, or r h after it
    product = np.empty_like(gates[0])
    seen = steps_seen(mask)
    for t in range(len(gates)):
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

    states = np.ascontiguousarray(hs.transpose(0, 2, 1))

    def backward(d_outputs, d_h):
        steps, _, batch = hs[1:].shape
        wide = 4 if reset_after else 3  # if the reset comes after, the candidate has two shares: of x, and of the state
        flat = np.empty((steps, batch, wide * units), hs.dtype)
        d = np.empty((wide, units, batch), hs.dtype)
        d_z, d_r, d_n = d[-3:]
        of_state = d[:3].reshape(3 * units, batch)  # reset after: candidate, z, r; else z, r, candidate
        into = np.roll(recurrent_kernel, units, axis=1) if reset_after else recurrent_kernel
        d_h, d_outputs = batch_last(d_h, d[0]), output_gradients(d_outputs, seen)
        part, back = np.empty_like(d_h), np.empty_like(d_h)
        for t in reversed(range(steps)):
            now = True if seen is None else seen[t]
            if d_outputs is not None:
                d_h += d_outputs[t].T
            a = gates[t].reshape(3, units, batch)
            np.multiply(a, a, out=d[-3:])  # the slopes, s - s^2 of a sigmoid and 1 - n^2 of the tanh,
            np.subtract(a[:2], d[-3:-1], out=d[-3:-1])
            np.subtract(1, d_n, out=d_n)
            d_z *= np.subtract(hs[t], n[t], out=part)  # then each gate's share in h,
            d_n *= np.subtract(1, z[t], out=part)
            d_r *= heard[t] if reset_after else hs[t]
            d_z *= d_h  # then its gradient; the reset gate acts through the candidate
            d_n *= d_h
            if seen is not None:
                np.copyto(d, 0, where=~now)
            if reset_after:
                d_r *= d_n
                np.multiply(d_n, r[t], out=d[0])
                np.matmul(into, of_state, out=back)
            else:
                np.matmul(into[:, 2 * units :], d_n, out=part)
                d_r *= part
                np.matmul(into[:, : 2 * units], of_state[: 2 * units], out=back)
                back += np.multiply(part, r[t], out=part)
            flat[t] = d.reshape(wide * units, batch).T
            back += np.multiply(d_h, z[t], out=part)
            np.copyto(d_h, back, where=now)
        every = flat.reshape(steps * batch, wide * units)
        d_recurrent = states[:-1].reshape(-1, units).T @ every[:, : 3 * units]
        d_kernel = x.transpose(1, 0, 2).reshape(-1, x.shape[2]).T @ every[:, -3 * units :]
        if reset_after:
            d_recurrent = np.roll(d_recurrent, -units, axis=1)
        else:
            d_recurrent[:, 2 * units :] = heard.transpose(0, 2, 1).reshape(-1, units).T @ every[:, 2 * units :]
        d_bias = None if bias is None else np.ones(len(every), every.dtype) @ every
        if d_bias is not None and reset_after:
            d_bias = np.stack([d_bias[units:], np.roll(d_bias[: 3 * units], -units)])
        return input_gradient(kernel, flat[:, :, -3 * units :]), d_h.T, d_kernel, d_recurrent, d_bias, None, None

    return (shown(states, seen), states[-1]), backward


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
    """The input's share of all gates (time, gates units, batch), recurrent_kernel.T, and the states (time + 1, units,
    batch), of which the first is filled in."""
    dtype = np.result_type(*(a for a in (x, h, kernel, recurrent_kernel, bias) if a is not None))
    lay = np.asarray if len(x) == 1 else np.ascontiguousarray  # a transposed view makes a product slower
    xs = lay(x.transpose(1, 2, 0))
    gates = (lay(kernel.T) @ xs).astype(dtype, copy=False)
    if bias is not None:
        gates += bias[:, None]
    hs = np.empty((len(xs) + 1, h.shape[1], len(h)), dtype)
    hs[0] = h.T
    return gates, lay(recurrent_kernel.T), hs
