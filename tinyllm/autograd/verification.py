"""Every derivative, proven in one walk over the cases; and the page that tells of it.

`tinyllm gradcheck` prints this walk, docs/verification.md stores it:

    python -m tinyllm.autograd.verification            write the page
    python -m tinyllm.autograd.verification --check    exit code 1 if the page no longer tells what is
"""

import difflib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinyllm.autograd.cases import CASES
from tinyllm.autograd.gradcheck import _gradients, gradcheck
from tinyllm.autograd.graph import reachable
from tinyllm.autograd.kernels import KERNELS
from tinyllm.autograd.tensor import TABLE, Tensor, as_array

__all__ = ["Row", "find", "full_name", "verify"]

TOLERANCES = {1: 1e-6, 2: 1e-5, 3: 1e-4}  # the relative error allowed at each order
EXACT = 1e-12  # a kernel against its reference, a Tensor's value against NumPy's
# Orders other than 1 to 3: where a case is piecewise linear, the third derivative is 0 as the difference of large
# numbers, and there is nothing to be relative to.
ORDERS: dict[Callable, int] = {np.linalg.det: 2, np.std: 2}


@dataclass
class Row:
    """What was found about one function."""

    function: Callable
    cases: int = 0
    errors: dict[int, float] = field(default_factory=dict)  # order -> the worst relative error
    problems: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return full_name(self.function)

    @property
    def kind(self) -> str:
        return "kernel" if self.function in KERNELS else "rule" if self.function in TABLE else "composite"

    @property
    def ok(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        errors = "".join(f"{self.errors[k]:>9.0e}" if k in self.errors else " " * 9 for k in TOLERANCES)
        line = f"{self.name:<34}{self.kind:<10}{self.cases:>5}{errors}  {'ok' if self.ok else 'WRONG'}"
        return "\n    ".join([line, *self.problems])


HEADING = f"{'function':<34}{'kind':<10}cases{''.join(f'  order {k}' for k in TOLERANCES)}"


def verify(functions: Iterable[Callable] | None = None) -> Iterator[Row]:
    """One Row per function (all that have cases, if none are named), each as soon as it is known.

    Each case is compared with differences at every order, its value with what plain arrays give, and a kernel with its
    reference.

    >>> [str(row).split()[-1] for row in verify([np.tanh])]
    ['ok']
    """
    for f in CASES if functions is None else functions:
        row = Row(f)
        for case in CASES[f]:
            with np.errstate(all="ignore"):  # a wrong derivative may overflow: that is a finding, not a warning
                errors, problem = check(*case, orders=ORDERS.get(f, 3))
            row.cases += 1
            for order, error in errors.items():
                row.errors[order] = max(error, row.errors.get(order, 0.0))
            if problem:
                row.problems.append(f"case {row.cases}: {problem}")
        yield row


def check(f: Callable, *arrays: np.ndarray, orders: int = 3) -> tuple[dict[int, float], str]:
    """The relative error of each order, and what is wrong ('' if nothing), of one case."""
    errors: dict[int, float] = {}
    try:
        for what, got, expected in witnesses(f, arrays):
            if not apart(got, expected) <= EXACT:
                return errors, f"{what}: relative difference {apart(got, expected):.1e}"
        g = f
        for order in range(1, orders + 1):
            report = gradcheck(g, *arrays, rtol=TOLERANCES[order])
            errors[order] = report.error
            if not report.ok:
                return errors, f"order {order}: {str(report).splitlines()[1].strip()}"
            g = slope(g, arrays, order)
    except Exception as error:  # whatever a wrong derivative raises, the walk goes on and reports it
        return errors, f"{type(error).__name__}: {error}"
    return errors, ""


def slope(f: Callable, arrays: Sequence[np.ndarray], seed: int) -> Callable:
    """The gradients of sum(f * u) for a random u, as a function of the same arrays that can be differentiated again."""
    positions = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    rng = np.random.default_rng(seed)
    upstream = [rng.standard_normal(y.shape) for y in listed(f(*map(Tensor, arrays)))]
    return lambda *args: tuple(_gradients(f, list(args), positions, upstream, create_graph=True))


def witnesses(f: Callable, arrays: Sequence[np.ndarray]) -> Iterator[tuple[str, list, list]]:
    """What must agree exactly: a kernel with its reference, f on Tensors with f on arrays."""
    leaves = [Tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    values = listed(f(*leaves))
    recorded = [y.node for y in values if isinstance(y, Tensor) and y.node is not None]
    kernels = [n for n in reachable(recorded, frozenset()) if n.op is not None and n.op.reference is not None]
    for node in kernels:
        expected = node.op.reference(*node.args, **node.kwargs)
        yield f"{node.op.name} and its reference", listed(node.value), listed(expected)
    if kernels:
        positions = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
        upstream = [np.random.default_rng(i).standard_normal(y.shape) for i, y in enumerate(values)]
        own, referred = (_gradients(f, list(arrays), positions, upstream, create_graph=c) for c in (False, True))
        yield "gradients of kernel and reference", own, referred
    yield "value on Tensors and on arrays", values, listed(f(*arrays))


def listed(ys: Any) -> list:
    return list(ys) if isinstance(ys, tuple | list) else [ys]


def apart(got: list, expected: list) -> float:
    """The largest difference, relative to the largest value; infinite where shapes differ."""
    worst = 0.0
    for a, b in zip(map(as_array, got), map(as_array, expected), strict=True):
        if a.shape != b.shape:
            return math.inf
        if a.size and not np.array_equal(a, b, equal_nan=True):
            difference = np.max(np.abs(a - b)) / max(float(np.max(np.abs(b))), 1e-300)
            worst = max(worst, float(difference) if difference >= 0 else math.inf)
    return worst


def full_name(f: Callable) -> str:
    """np.tanh, np.linalg.inv, softmax: what one writes to call it."""
    module = getattr(f, "__module__", None) or "numpy"  # a ufunc has none
    return f"{module.replace('numpy', 'np', 1)}.{f.__name__}" if module.split(".")[0] == "numpy" else f.__name__


def find(names: Iterable[str]) -> list[Callable]:
    """The functions with these names, with or without what stands before the dot. ValueError names near ones.

    >>> find(["np.tanh", "inv"]) == [np.tanh, np.linalg.inv]
    True
    """
    found: list[Callable] = []
    for name in names:
        same = [f for f in CASES if name in (full_name(f), full_name(f).removeprefix("np."), f.__name__)]
        if not same:
            bare = {f.__name__: full_name(f) for f in CASES}
            near = [bare[n] for n in difflib.get_close_matches(name.rpartition(".")[2], bare, n=4, cutoff=0.5)]
            hint = f"near ones: {', '.join(near)}" if near else "see tinyllm.ops.differentiable()"
            raise ValueError(f"unknown function {name!r}; {hint}")
        found += [f for f in same if f not in found]
    return found
