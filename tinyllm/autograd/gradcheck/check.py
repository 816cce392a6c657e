"""gradcheck(): compare a gradient with differences of the function itself.

A random gradient u is put on the output, so that every output element counts with its own weight; the gradient of
sum(f(x) * u) is then compared with differences, in float64. Why random and why float64: docs/gradient-checking.md.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinyllm.autograd.gradcheck.blindspots import blind_spots
from tinyllm.autograd.gradcheck.comparison import Check, Plan
from tinyllm.autograd.gradcheck.differences import METHODS
from tinyllm.autograd.gradcheck.report import Report
from tinyllm.autograd.gradcheck.subjects import subject_of

__all__ = ["gradcheck"]

UPSTREAM = 1741  # a stream of its own: inputs drawn from the same seed must not come back as the output's gradient


def gradcheck(
    f: Callable,
    *inputs: Any,
    gradient: Callable | None = None,
    method: str = "richardson",
    order: int = 1,
    elements: str | int | None = None,
    argnums: int | Sequence[int] | None = None,
    seed: int = 0,
    rtol: float | None = None,
    step: float | None = None,
    **options: Any,
) -> Report:
    """Compare a gradient with differences of the function, and say what is wrong with it if they differ.

    f         a function of the inputs that returns an array, a Tensor or a tuple of them; or a layer; a loss, called
              with (y_true, y_pred); a model with x, or with x and y: then its compiled loss is checked
    inputs    arrays or numbers. Floating-point ones are differentiated, in float64; others are passed on as they are
    gradient  the gradient to check, if it was written by hand: g(upstream, *inputs), plain NumPy, returns one gradient
              for each input (None where there is none). Without it, the engine's own gradient is checked
    method    "forward", "central", "richardson" or "complex" (gradcheck.differences). Where a first difference
              disagrees, many steps are tried from both sides, whatever the method, unless `step` fixes one
    order     1, or 2 to check the gradient's own gradient too
    elements  "all", a number of elements of each argument drawn at random, or "directions"; chosen by size if None
    argnums   which inputs to differentiate, by place; all floating-point ones by default
    seed      of the output's gradient, the elements and the directions
    rtol      the relative error allowed; by default 1e-6 at order 1 and 1e-5 at order 2
    options   keyword arguments for f, such as training=True for a layer

    Returns a Report: `.ok`, `.grade`, `.diagnosis`, `.arguments`, `.kinks`, `.notes`, `.plot()`, `.to_json()`. Raises
    TypeError or ValueError when there is nothing to check; what f raises passes through.

    >>> gradcheck(np.multiply, [1.0, 2.0], [3.0, 4.0]).ok
    True
    >>> report = gradcheck(np.tanh, [0.5, 1.0], gradient=lambda g, x: g * (1 + np.tanh(x) ** 2))
    >>> report.ok, report.grade
    (False, 'wrong')
    >>> gradcheck(np.sum, [1.0, 2.0, 3.0], gradient=lambda g, x: -g * np.ones(3)).diagnosis
    'a: the sign is wrong'
    """
    _validate(method, order, elements, step, gradient)
    _validate_numbers(seed, rtol, step)
    subject = subject_of(f, inputs, gradient, argnums, options)
    rng = np.random.default_rng((seed, UPSTREAM))
    plan = Plan(method, step, elements, seed, 1e-6 if rtol is None else rtol)
    with np.errstate(all="ignore"):  # what is not finite is told in the report
        first = Check(subject, plan, rng, 1)
        report = first.run()
        if order == 2 and report.ok:
            plan.rtol = 1e-5 if rtol is None else rtol
            lower, report = report, Check(subject.slope(first.total.upstream), plan, rng, 2).run()
            report.lower = lower
    if gradient is not None and report.ok:
        report.notes += blind_spots(subject)
    return report


def _validate(method: Any, order: Any, elements: Any, step: Any, gradient: Any) -> None:
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"gradcheck: unknown method {method!r}; known: {', '.join(METHODS)}")
    if not isinstance(order, int | np.integer) or isinstance(order, bool) or order not in (1, 2):
        raise ValueError(f"gradcheck: order must be 1 or 2; found {order!r}")
    if order == 2 and gradient is not None:
        raise ValueError("gradcheck: order=2 needs a gradient that can be differentiated; one written by hand is plain")
    if gradient is not None and not callable(gradient):
        raise TypeError(f"gradcheck: gradient is a function (upstream, *inputs); found {gradient!r:.60}")
    whole = isinstance(elements, int | np.integer) and not isinstance(elements, bool) and elements > 0
    named = elements is None or (isinstance(elements, str) and elements in ("all", "directions"))
    if not named and not whole:
        raise ValueError(f'gradcheck: elements is "all", "directions" or a positive number; found {elements!r}')


def _validate_numbers(seed: Any, rtol: Any, step: Any) -> None:
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"gradcheck: seed must be a whole number, 0 or more; found {seed!r:.60}")
    if rtol is not None and not (_is_real(rtol) and 0 < rtol < 1):
        raise ValueError(f"gradcheck: rtol, a relative error, must lie between 0 and 1; found {rtol!r:.60}")
    if step is not None and not (_is_real(step) and 0 < step < math.inf):
        raise ValueError(f"gradcheck: step must be a positive number; found {step!r:.60}")


def _is_real(value: Any) -> bool:
    return isinstance(value, float | int | np.number) and not isinstance(value, bool)
