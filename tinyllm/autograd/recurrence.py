"""What the fused recurrent networks share: where a step finds its inputs, and the products of its weights.

`rows` (time + 1, batch, units + features + 1) holds, for each step and sample, the state before the step, the step's
input and a one, as the rows of the weights stand one below the other: recurrent kernel, kernel, bias.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = [
    "batch_last",
    "first_rows",
    "input_gradient",
    "output_gradients",
    "shown",
    "step_product",
    "steps_seen",
    "weight_gradients",
]


def first_rows(x: np.ndarray, h: np.ndarray, weights: Sequence[np.ndarray], dtype: Any) -> np.ndarray:
    """`rows` with all inputs and the initial state h; the steps fill in the others."""
    batch, steps, features = x.shape
    units = h.shape[1]
    rows = np.ones((steps + 1, batch, sum(map(len, weights))), dtype)
    rows[0, :, :units] = h
    rows[:-1, :, units : units + features] = x.transpose(1, 0, 2)
    return rows


def step_product(weights: Sequence[np.ndarray], rows: np.ndarray, scale: np.ndarray) -> Callable:
    """A function product(t, out): out (columns, batch) = scale * (the weights, one below the other).T @ rows[t].T."""
    if rows.shape[1] != 1:  # the copy makes all steps faster, in one product each
        turned = np.multiply(np.concatenate(weights).T, scale[:, None], order="C")
        return lambda t, out: np.matmul(turned, rows[t].T, out=out)
    recurrent, kernel, *bias = weights  # for one sample the copy would cost as much as the products
    units = len(recurrent)
    from_x = sum(bias, rows[:-1, 0, units : units + len(kernel)] @ kernel)

    def product(t: int, out: np.ndarray) -> None:
        np.matmul(rows[t, 0, :units], recurrent, out=out[:, 0])
        out[:, 0] += from_x[t]
        out[:, 0] *= scale

    return product


def steps_seen(mask: Any) -> np.ndarray | None:
    """The mask (batch, time) as booleans (time, 1, batch), which go with a step's arrays (units, batch)."""
    return None if mask is None else np.asarray(mask, bool).T[:, None]


def shown(hs: np.ndarray, seen: np.ndarray | None) -> np.ndarray:
    """The outputs (batch, time, units), given the states (time + 1, batch, units) and the steps seen (time, 1, batch).

    They are the states, but zero, and not the initial state, before the first step seen.
    """
    return (hs[1:] if seen is None else np.where(_started(seen), hs[1:], 0)).transpose(1, 0, 2)


def output_gradients(d_outputs: Any, seen: np.ndarray | None) -> Any:
    """What the outputs' gradient (or None) is for the states: (time, batch, units)."""
    if d_outputs is None:
        return None
    d_outputs = d_outputs.transpose(1, 0, 2)
    return d_outputs if seen is None else np.where(_started(seen), d_outputs, 0)


def _started(seen: np.ndarray) -> np.ndarray:
    return np.logical_or.accumulate(seen, axis=0).transpose(0, 2, 1)


def weight_gradients(weights: Sequence[np.ndarray], rows: np.ndarray, flat: np.ndarray) -> list[np.ndarray]:
    """The gradients of the weights, all in one product; flat (time, batch, columns) is the gradient of each step's."""
    product = rows[:-1].reshape(-1, rows.shape[2]).T @ flat.reshape(-1, flat.shape[2])
    ends = np.cumsum([len(w) for w in weights])
    return np.split(product, ends[:-1])


def input_gradient(kernel: np.ndarray, flat: np.ndarray) -> Callable:
    """A function without arguments: the gradient of x (batch, time, features), computed only where one is wanted."""
    steps, batch, columns = flat.shape
    return lambda: (flat.reshape(-1, columns) @ kernel.T).reshape(steps, batch, len(kernel)).transpose(1, 0, 2)


def batch_last(d: Any, like: np.ndarray) -> np.ndarray:
    """A gradient (batch, units) or None as an array (units, batch) that may be written to."""
    return np.zeros_like(like) if d is None else np.array(d.T, like.dtype, order="C")
