"""What differences can and cannot tell about a derivative: the step, the digits that cancel, the corners."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np

from tinyllm.autograd import grad
from tinyllm.autograd.gradcheck.differences import METHODS, slope
from tinyllm.ops import logsumexp, relu, softplus
from tinyllm.pictures import COLOURS, Experiment, at_least, caption, table

__all__ = ["Cancellation", "Case", "Corner", "Kinks", "StepSize", "cancellation", "kinks", "step_size"]


# -- the step -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False, eq=False)
class StepSize(Experiment):
    """What step_size() found: errors[dtype][method] has one relative error for each of the steps."""

    steps: np.ndarray
    errors: dict[str, dict[str, np.ndarray]]

    def layout(self):
        return 1, len(self.errors), (4.5 * len(self.errors), 4.2)

    def best(self, dtype: str, method: str) -> tuple[float, float]:
        """The step with the smallest error, and that error. The complex step's error stays: there the largest step."""
        errors = self.errors[dtype][method]
        at = int(np.argmin(errors))
        if METHODS[method].order is None:
            at = int(np.flatnonzero(errors <= 3 * max(errors[at], np.finfo(dtype).eps))[-1])
        return float(self.steps[at]), float(errors[at])

    def theory(self, dtype: str, method: str) -> float | None:
        """Where truncation, h^p, meets rounding, eps / h: at eps^(1 / (p + 1)). None for the complex step."""
        eps = float(np.finfo(dtype).eps)
        return None if METHODS[method].order is None else METHODS[method].best_step(eps)

    def __str__(self) -> str:
        rows = [
            [dtype, method, *self.best(dtype, method), self.theory(dtype, method) or "any smaller"]
            for dtype, by_method in self.errors.items()
            for method in by_method
        ]
        return table(["dtype", "method", "best h", "its error", "theory's h"], rows)

    def draw(self, *axes: Any) -> None:
        lowest = min(float(np.finfo(dtype).eps) for dtype in self.errors) / 30  # an error of 0 is drawn down there
        for ax, dtype in zip(axes, self.errors):
            ax.set(xscale="log", yscale="log", xlim=self.steps[[0, -1]], ylim=(lowest / 2, 1e4))
            ax.set(xlabel="step h (dotted: theory's best)", ylabel="relative error of the slope")
            ax.minorticks_off()
            by_method = self.errors[dtype]
            for method, colour in zip(by_method, COLOURS):
                dash = "--" if method == "complex" else "-"  # it lies on the central one where the step is large
                ax.plot(self.steps, np.maximum(by_method[method], lowest), dash, color=colour, label=method)
                h, error = self.best(dtype, method)
                if (theory := self.theory(dtype, method)) is not None:
                    ax.plot(h, max(error, lowest), "o", color=colour)
                    ax.axvline(theory, color=colour, linestyle=":", linewidth=1.2)
            ax.legend(loc="upper left", ncols=4, columnspacing=0.8, handlelength=1.5)
            shown = "central" if "central" in by_method else next(iter(by_method))
            theory = self.theory(dtype, shown)
            expected = "any smaller will do" if theory is None else f"theory {theory:.0e}"
            caption(ax, f"{dtype}: {shown} is best near h = {self.best(dtype, shown)[0]:.0e} ({expected})", 60)


def step_size(
    f: Callable = np.exp,
    x: Any = 1.0,
    methods: Sequence[str] = ("forward", "central", "richardson", "complex"),
    dtypes: Sequence[str] = ("float64", "float32"),
    points: int = 24,
    seed: int = 0,
) -> StepSize:
    """The error of difference formulas against their step: truncation falls with h, rounding grows as eps / h.

    f takes an array of the shape of x and returns one number. The truth is the engine's gradient in float64. Each error
    is the root mean square over `points` points near x, each with a random direction, relative to the gradient there.
    In the picture a dot marks the best step found, a dotted line theory's: eps^(1/2) forward, eps^(1/3) central,
    eps^(1/5) Richardson (W. Press et al., Numerical Recipes, section 5.7). Raises ValueError on an unknown method or
    another dtype than float32 and float64.

    >>> result = step_size()
    >>> 1e-6 < result.best("float64", "central")[0] < 1e-4
    True
    """
    unknown = next((m for m in methods if m not in METHODS), None)
    if not methods:
        raise ValueError(f"step_size: methods is empty; known: {', '.join(METHODS)}")
    if unknown is not None:
        raise ValueError(f"step_size: unknown method {unknown!r}; known: {', '.join(METHODS)}")
    if not dtypes or not set(dtypes) <= {"float32", "float64"} or len(set(dtypes)) < len(dtypes):
        raise ValueError(f"step_size: dtypes are 'float64', 'float32' or both; found {list(dtypes)!r}")
    points = at_least("step_size", "points", points)
    x, rng = np.asarray(x, np.float64), np.random.default_rng(seed)
    steps = np.logspace(-16, 0, 65)
    squares = {d: {m: np.zeros(len(steps)) for m in methods} for d in dtypes}
    for _ in range(points):
        at = (x + 0.1 * rng.standard_normal(x.shape) * np.maximum(np.abs(x), 0.1)).astype(np.float32)
        v = rng.standard_normal(x.shape)
        v = (v / np.linalg.norm(v)).astype(np.float32)  # the same point and direction in both precisions
        with np.errstate(all="ignore"):
            true = np.asarray(grad(f)(at.astype(np.float64)))
            along, size = float(np.sum(true * v)), float(np.linalg.norm(true))
        if not np.isfinite(size):
            raise ValueError(f"step_size: f has no finite gradient at {at.tolist()}, near x; choose a tamer place")
        for dtype in dtypes:
            for method in methods:
                found = _slopes(f, at.astype(dtype), v.astype(dtype), steps, method)
                squares[dtype][method] += np.minimum(np.abs(found - along) / (size or 1.0), 1e100) ** 2
    return StepSize(steps, {d: {m: np.sqrt(s / points) for m, s in by.items()} for d, by in squares.items()})


def _slopes(f: Callable, x: np.ndarray, v: np.ndarray, steps: np.ndarray, method: str) -> np.ndarray:
    """The slope found with each step; infinite where f is not finite there."""
    try:
        with np.errstate(all="ignore"):
            found = np.array([float(slope(f, x, v, float(h), method)) for h in steps])
    except TypeError as error:
        if method != "complex":
            raise
        raise TypeError(
            f"step_size: f does not take complex numbers ({error}); leave 'complex' out of methods"
        ) from None
    return np.where(np.isnan(found), np.inf, found)


# -- digits that cancel ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False, eq=False)
class Case(Experiment):
    """One formula in two forms: the relative error of the plain and of the cured one, for each x."""

    name: str
    plain: str
    cured: str
    argument: str
    x: np.ndarray
    plain_error: np.ndarray
    cured_error: np.ndarray

    def __str__(self) -> str:
        rows = [[self.plain, float(self.plain_error.max())], [self.cured, float(self.cured_error.max())]]
        return table(["form", "worst error"], rows)

    def draw(self, *axes: Any) -> None:
        (ax,) = axes
        low, high = 1e-17, 100.0  # an exact result is drawn at the bottom, an infinite one at the top
        lines = (self.plain, self.plain_error, COLOURS[1]), (self.cured, self.cured_error, COLOURS[0])
        for text, error, colour in lines:
            ax.loglog(self.x, np.clip(error, low, high), ".-", color=colour, label=text, linewidth=1)
        ax.set(xlabel=self.argument, ylabel="relative error", ylim=(low / 3, 1e7), yticks=[1e-16, 1e-12, 1e-8, 1e-4, 1])
        ax.minorticks_off()
        ax.legend(loc="upper left")
        if self.x[0] > self.x[-1]:
            ax.invert_xaxis()
        beyond = self.x[np.argmax(self.plain_error > 1e-4)]
        what = "overflows" if np.isinf(self.plain_error).any() else "has under 4 digits"
        caption(ax, f"{self.name}: the plain form {what} from {beyond:.0e} on", 40)


@dataclass(frozen=True, repr=False, eq=False)
class Cancellation(Experiment):
    """What cancellation() found: a Case for each formula."""

    cases: dict[str, Case]

    def layout(self):
        return 2, 3, (10.5, 6.0)

    def __str__(self) -> str:
        rows = [
            [name, c.plain, float(c.plain_error.max()), c.cured, float(c.cured_error.max())]
            for name, c in self.cases.items()
        ]
        return table(["what", "plain form", "worst error", "cured form", "worst error"], rows)

    def draw(self, *axes: Any) -> None:
        for ax, case in zip(axes, self.cases.values()):
            case.draw(ax)


def cancellation() -> Cancellation:
    """Six formulas that lose their digits, each beside a form that keeps them.

    The difference of nearly equal numbers drops the digits they share and keeps their rounding errors (D. Goldberg
    1991, "What every computer scientist should know about floating-point arithmetic", section 1.4). Each form is
    computed in float64 and compared with the exact result (Python's decimal and fractions modules).

    >>> case = cancellation().cases["variance"]
    >>> bool(case.plain_error.max() >= 1 and case.cured_error.max() < 1e-15)
    True
    """
    small, large, logits = (
        10.0 ** -np.arange(0.5, 17),
        10.0 ** np.arange(0.1, 9.1, 0.5),
        10.0 ** np.arange(-1, 3.1, 0.25),
    )
    forms: dict[str, tuple[str, Callable, str, Callable, str, np.ndarray, Callable]] = {
        "difference": (
            "exp(1 + h) - exp(1)", lambda h: np.exp(1 + h) - np.exp(1.0),
            "exp(1) expm1(h)", lambda h: np.exp(1.0) * np.expm1(h),
            "h", small, lambda h: Decimal(1).exp() * (Decimal(h).exp() - 1),
        ),
        "logarithm near 1": (
            "log(1 + x)", lambda x: np.log(1 + x), "log1p(x)", np.log1p, "x", small, lambda x: (1 + Decimal(x)).ln(),
        ),
        "exponential near 0": (
            "exp(x) - 1", lambda x: np.exp(x) - 1, "expm1(x)", np.expm1, "x", small, lambda x: Decimal(x).exp() - 1,
        ),
        "variance": (
            "mean(x^2) - mean(x)^2", lambda m: np.mean(_around(m) ** 2) - np.mean(_around(m)) ** 2,
            "mean((x - mean(x))^2)", lambda m: np.var(_around(m)),
            "mean of the data, their spread being 1", large, _exact_variance,
        ),
        "log-sum-exp": (
            "log(exp(z) + exp(z))", lambda z: np.log(np.exp(z) + np.exp(z)),
            "z + log(exp(0) + exp(0))", lambda z: logsumexp(np.array([z, z])),
            "logit z", logits, lambda z: Decimal(z) + Decimal(2).ln(),
        ),
        "loss of a sure prediction": (
            "-log(sigmoid(z))", lambda z: -np.log(1 / (1 + np.exp(-z))),
            "softplus(-z)", lambda z: softplus(-z),
            "logit z", logits[:-2], lambda z: (1 + Decimal(-z).exp()).ln(),
        ),
    }  # fmt: skip
    with localcontext(prec=400), np.errstate(all="ignore"):
        return Cancellation(
            {
                name: Case(name, plain, cured, argument, x, _errors(f, x, exact), _errors(g, x, exact))
                for name, (plain, f, cured, g, argument, x, exact) in forms.items()
            }
        )


def _around(mean: float) -> np.ndarray:
    return mean + np.array([-1.4, -0.3, 0.2, 1.5])


def _exact_variance(mean: float) -> Decimal:
    data = [Fraction(x) for x in _around(mean).tolist()]
    middle = sum(data, Fraction()) / len(data)
    variance = sum(((x - middle) ** 2 for x in data), Fraction()) / len(data)
    return Decimal(variance.numerator) / Decimal(variance.denominator)


def _errors(f: Callable, xs: np.ndarray, exact: Callable) -> np.ndarray:
    """The relative error of f at each x; infinite where f is not finite."""
    found = [float(f(x)) for x in xs]
    true = [exact(float(x)) for x in xs]
    return np.array([float(abs((Decimal(a) - b) / b)) if np.isfinite(a) else np.inf for a, b in zip(found, true)])


# -- corners --------------------------------------------------------------------------------------------------------

CORNERS: dict[str, Callable] = {
    "relu(x)": relu,
    "abs(x)": np.abs,
    "maximum(x, 0)": lambda x: np.maximum(x, 0.0),
    "clip(x, 0, 1)": lambda x: np.clip(x, 0.0, 1.0),
}


@dataclass(frozen=True, repr=False, eq=False)
class Corner:
    """A function with a corner at 0: what each way of asking answers, near the corner and exactly there."""

    left: float  # (f(0) - f(-h)) / h
    right: float  # (f(h) - f(0)) / h
    central: float  # (f(h) - f(-h)) / 2h
    engine: float  # the engine's convention
    central_near: np.ndarray  # for each x of Kinks.x
    engine_near: np.ndarray


@dataclass(frozen=True, repr=False, eq=False)
class Kinks(Experiment):
    """What kinks() found: a Corner for each function; x are the points around it, h the step."""

    x: np.ndarray
    h: float
    corners: dict[str, Corner]

    def layout(self):
        return 2, 2, (8.5, 6.2)

    def __str__(self) -> str:
        rows = [[name, c.left, c.right, c.central, c.engine] for name, c in self.corners.items()]
        return table(["at 0", "left", "right", "central", "engine"], rows)

    def draw(self, *axes: Any) -> None:
        for ax, (name, c) in zip(axes, self.corners.items()):
            x = self.x / self.h
            ax.plot(x, c.central_near, color=COLOURS[1], label="central difference")
            for side in (x < 0, x > 0):
                ax.plot(x[side], c.engine_near[side], color=COLOURS[0], label="engine" if side[0] else None)
            ax.plot(0, c.central, "o", color=COLOURS[1], markerfacecolor="white")
            ax.plot(0, c.engine, "o", color=COLOURS[0])
            ax.set(xlabel="x / h", ylabel="slope", ylim=(c.left - 0.25, c.right + 0.25))
            ax.legend(loc="upper left")
            caption(ax, f"{name} at 0: differences {c.central:g}, engine {c.engine:g}", 60)


def kinks(h: float = 2.0**-10) -> Kinks:
    """Slopes at and near a corner: central differences see the mean of both sides within h, the engine takes one value.

    relu(x) and maximum(x, 0) are one function with two conventions at 0 (docs/conventions.md). A checker that uses
    differences must stay further than h from every corner, or know it is there. The numbers are exact where h is a
    power of two. Raises ValueError unless 0 < h <= 0.25.

    >>> print(kinks())
    at 0           left  right  central  engine
    relu(x)           0      1      0.5       0
    abs(x)           -1      1        0       0
    maximum(x, 0)     0      1      0.5     0.5
    clip(x, 0, 1)     0      1      0.5       1
    """
    if not 0 < h <= 0.25:
        raise ValueError(f"kinks: h must be above 0 and at most 0.25, so that one corner is seen at a time; found {h}")
    x = h * np.linspace(-2, 2, 129)
    return Kinks(x, h, {name: _corner(f, x, h) for name, f in CORNERS.items()})


def _corner(f: Callable, x: np.ndarray, h: float) -> Corner:
    derivative = grad(lambda x: np.sum(f(x)))
    below, here, above = (float(f(np.float64(p))) for p in (-h, 0.0, h))
    near = (f(x + h) - f(x - h)) / (2 * h)
    at_zero = float(derivative(np.float64(0.0)))
    return Corner((here - below) / h, (above - here) / h, (above - below) / (2 * h), at_zero, near, derivative(x))
