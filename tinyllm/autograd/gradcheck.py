"""Is a gradient right? Compare it with differences of the function itself.

A random gradient u is put on the output, so that every output element counts with its own weight; the analytic
gradient of sum(f(x) * u) is then compared with Richardson-extrapolated central differences, element by element, in
float64. Why random and why float64: docs/verification.md.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinyllm.autograd.graph import no_grad, walk
from tinyllm.autograd.tensor import Tensor, as_array, wrap

__all__ = ["Argument", "Report", "gradcheck"]

UPSTREAM = 1741  # a stream of its own: inputs drawn from the same seed must not come back as the output's gradient
STEP = 1e-3  # the 4th-order formula's error falls to 6e-13 near this step: truncation h^4 meets rounding eps / h


@dataclass
class Argument:
    """What was found for one argument of the function: the element where the two gradients differ most."""

    position: int
    shape: tuple[int, ...]
    error: float = 0.0  # relative: |analytic - numeric| / max(|analytic|, |numeric|, what rounding can resolve)
    index: tuple[int, ...] = ()
    analytic: float = 0.0
    numeric: float = 0.0


@dataclass
class Report:
    """The outcome of gradcheck(). True in a condition if every gradient agreed."""

    order: int
    rtol: float
    arguments: list[Argument] = field(default_factory=list)

    @property
    def error(self) -> float:
        """The worst relative error over all arguments."""
        return max((a.error for a in self.arguments), default=0.0)

    @property
    def ok(self) -> bool:
        return self.error <= self.rtol

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        lines = [f"gradcheck order {self.order}: {'ok' if self.ok else 'WRONG'} (relative tolerance {self.rtol:g})"]
        lines += [
            f"  argument {a.position} {a.shape}: worst relative error {a.error:.1e} at {list(a.index)}: "
            f"analytic {a.analytic:.8g}, numeric {a.numeric:.8g}"
            for a in self.arguments
        ]
        return "\n".join(lines)


def gradcheck(f: Callable, *inputs: Any, order: int = 1, seed: int = 0, rtol: float | None = None) -> Report:
    """Compare the engine's gradient of f at the inputs with differences of f.

    f       takes as many arguments as there are inputs, returns an array, a Tensor or a tuple of them
    inputs  arrays or numbers; floating-point ones are differentiated (in float64), others are passed on as they are
    order   1, or 2 to check the gradient's own gradient too (the report tells of the last order reached)
    rtol    the relative error allowed; by default 1e-6 at order 1 and 1e-5 at order 2

    Every element is perturbed, so the cost is four calls of f per element. Choose points where f is smooth: at a
    corner (relu at 0) the differences mean nothing.

    >>> gradcheck(np.multiply, [1.0, 2.0], [3.0, 4.0]).ok
    True
    >>> print(gradcheck(lambda x: np.sum(x * x.data), [3.0]))       # half of the product rule is missing
    gradcheck order 1: WRONG (relative tolerance 1e-06)
      argument 0 (1,): worst relative error 5.0e-01 at [0]: analytic 3.0106365, numeric 6.0212729
    """
    if order not in (1, 2):
        raise ValueError(f"gradcheck: order must be 1 or 2; found {order!r}")
    arrays = [_float64(x) for x in inputs]
    positions = [i for i, a in enumerate(arrays) if isinstance(a, np.ndarray) and a.dtype == np.float64]
    if not positions:
        raise TypeError("gradcheck: no input is a floating-point array, so there is nothing to differentiate")
    rng = np.random.default_rng((seed, UPSTREAM))
    report = _check(f, arrays, positions, rng, 1, 1e-6 if rtol is None else rtol)
    if order == 1 or not report.ok:
        return report
    with no_grad():
        upstream = [rng.standard_normal(np.shape(y)) for y in _outputs(f, arrays, [])]

    def slope(*args: Any) -> tuple:
        return tuple(_gradients(f, list(args), positions, upstream, create_graph=True))

    return _check(slope, arrays, positions, rng, 2, 1e-5 if rtol is None else rtol)


def _check(f: Callable, arrays: list, positions: list[int], rng, order: int, rtol: float) -> Report:
    report = Report(order, rtol)
    upstream = [rng.standard_normal(y.shape) for y in _values(f, arrays)]

    def total() -> float:
        return float(sum(np.sum(y * u) for y, u in zip(_values(f, arrays), upstream)))

    size = sum(float(np.sum(np.abs(y * u))) for y, u in zip(_values(f, arrays), upstream))
    analytic = _gradients(f, arrays, positions, upstream)
    for position, a in zip(positions, analytic):
        x, found = arrays[position], Argument(position, arrays[position].shape)
        n = np.empty(x.shape)
        for index in np.ndindex(x.shape):
            n[index] = _slope(total, x, index)
        a = np.asarray(a.data if isinstance(a, Tensor) else a)
        # An element far below the rest, or below what rounding in f leaves visible, is measured against those.
        floor = 1e-3 * max(np.max(np.abs(n), initial=0.0), 1e-3 * size, 1e-300)
        errors = np.abs(a - n) / np.maximum(np.maximum(np.abs(a), np.abs(n)), floor)
        errors = np.where(np.isfinite(errors), errors, np.inf)
        if x.size:
            found.index = tuple(int(i) for i in np.unravel_index(np.argmax(errors), x.shape))
            found.error, found.analytic, found.numeric = (float(e[found.index]) for e in (errors, a, n))
        report.arguments.append(found)
    return report


def _slope(total: Callable[[], float], x: np.ndarray, index: tuple) -> float:
    """d total / d x[index] from four points, two central differences extrapolated to step 0 (Richardson 1911)."""
    kept = x[index]
    h = STEP * min(max(abs(kept), 0.1), 1.0)
    samples = []
    for offset in (h, -h, 2 * h, -2 * h):
        x[index] = kept + offset
        samples.append(total())
    x[index] = kept
    near, far = (samples[0] - samples[1]) / (2 * h), (samples[2] - samples[3]) / (4 * h)
    return (4 * near - far) / 3


def _float64(x: Any) -> Any:
    array = x.data if isinstance(x, Tensor) else np.asarray(x) if not isinstance(x, str) else x
    if isinstance(array, np.ndarray) and np.issubdtype(array.dtype, np.floating):
        return np.array(array, np.float64)
    return x


def _outputs(f: Callable, args: list, leaves: list[int]) -> list:
    y = f(*[Tensor(a, requires_grad=i in leaves) if isinstance(a, np.ndarray) else a for i, a in enumerate(args)])
    return list(y) if isinstance(y, tuple | list) else [y]


def _values(f: Callable, arrays: list) -> list[np.ndarray]:
    """f's outputs as arrays of their own (an output may be a view of an input that is about to be perturbed)."""
    values = [as_array(y) for y in _outputs(f, arrays, [])]
    for y in values:
        if y.dtype.kind not in "biuf":
            raise TypeError(f"gradcheck: f must return real numbers; found {y.dtype}")
    return [np.array(y, np.float64) for y in values]


def _gradients(f: Callable, args: list, positions: list[int], upstream: list, create_graph: bool = False) -> list:
    """d sum(f(args) * upstream) / d args[i] for each position: arrays, or recorded Tensors with create_graph."""
    tensors = list(args)
    for i in positions:
        given = args[i]
        if not isinstance(given, Tensor):
            given = Tensor(given)
        tensors[i] = given if given.node is not None else Tensor(given.data, requires_grad=True)
    y = f(*[Tensor(a) if isinstance(a, np.ndarray) else a for a in tensors])
    ys = list(y) if isinstance(y, tuple | list) else [y]
    roots = [
        (y.node, wrap(np.asarray(u), None) if create_graph else np.asarray(u, y.dtype))
        for y, u in zip(ys, upstream)
        if isinstance(y, Tensor) and y.node is not None
    ]
    sinks = frozenset(tensors[i].node for i in positions)
    found = walk(roots, sinks, retain=create_graph, wrap=wrap if create_graph else None)
    zeros = (lambda a: Tensor(np.zeros(a.shape))) if create_graph else (lambda a: np.zeros(a.shape))
    return [found[tensors[i].node] if tensors[i].node in found else zeros(tensors[i]) for i in positions]
