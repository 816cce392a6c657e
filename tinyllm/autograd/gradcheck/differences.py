"""Slopes from values alone: four difference formulas, and a closer look where one step size is not enough.

Everything here is about a function phi(t) of one number: f along one element, or along a direction. What a difference
cannot know is the size of the rounding errors in phi, so that is measured (`noise`), and what it cannot see is a kink
between its points, so where something looks odd many step sizes are tried from both sides (`look_closer`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["METHODS", "STEPS", "Method", "Slope", "look_closer", "noise", "slope"]

Phi = Callable[[float], float]
EPS = float(np.finfo(np.float64).eps)
STEPS = 1e-2 * 0.25 ** np.arange(16)  # from a hundredth of the argument's size down to where rounding rules


@dataclass(frozen=True)
class Method:
    """A difference formula: its truncation error falls like h^order, its rounding error grows like eps / h."""

    formula: Callable[[Callable, float], float]
    order: int | None  # None: no rounding error to balance, any small h will do
    text: str

    def best_step(self, eps: float = EPS) -> float:
        """The h at which both errors are equal, for a function whose derivatives are near 1: eps^(1 / (order + 1))."""
        return 1e-20 if self.order is None else eps ** (1 / (self.order + 1))


def forward(phi: Phi, h: float) -> float:
    return (phi(h) - phi(0.0)) / h


def central(phi: Phi, h: float) -> float:
    return (phi(h) - phi(-h)) / (2 * h)


def richardson(phi: Phi, h: float) -> float:
    """Two central differences, extrapolated to step 0 (L. F. Richardson 1911, section 1)."""
    return (4 * central(phi, h) - central(phi, 2 * h)) / 3


def complex_step(phi: Callable, h: float) -> float:
    """Nothing is subtracted, so nothing cancels; phi must be analytic (Squire & Trapp 1998, SIAM Review 40)."""
    return np.imag(phi(1j * h)) / h


METHODS = {
    "forward": Method(forward, 1, "(f(x + h) - f(x)) / h"),
    "central": Method(central, 2, "(f(x + h) - f(x - h)) / 2h"),
    "richardson": Method(richardson, 4, "(4 central(h) - central(2h)) / 3"),
    "complex": Method(complex_step, None, "Im f(x + ih) / h"),
}


def slope(f: Callable, x: np.ndarray, v: np.ndarray, h: float, method: str = "richardson") -> float:
    """The derivative of f at x along v, d f(x + t v) / dt at t = 0, from a difference with step h.

    f takes an array and returns one number; `method` is one of METHODS. The dtype of x is the precision of it all.

    >>> x, v = np.array([0.0, 1.0]), np.array([1.0, 0.0])
    >>> round(slope(lambda x: np.sum(np.sin(x)), x, v, h=1e-3), 10)
    1.0
    """
    if method not in METHODS:
        raise ValueError(f"slope: unknown method {method!r}; known: {', '.join(METHODS)}")
    x, v = np.asarray(x), np.asarray(v)
    return float(METHODS[method].formula(lambda t: f(x + (t if method == "complex" else x.dtype.type(t)) * v), h))


def noise(phi: Phi, spacing: float = 1e-6, points: int = 9) -> float:
    """The size of the rounding errors in phi near 0, absolute.

    High differences of equally spaced values remove what is smooth and leave what is not: the k-th difference of noise
    of variance s^2 has variance s^2 (2k)! / k!^2 (J. J. More & S. M. Wild 2011, "Estimating computational noise",
    section 3). The values lie on one side of 0, where a kink may be; inf if one of them is not finite.
    """
    values = np.array([phi(spacing * (1 + i)) for i in range(points)])
    if not np.isfinite(values).all():
        return math.inf
    estimates = []
    for k in range(4, 7):
        scale = math.factorial(k) ** 2 / math.factorial(2 * k)
        scatter = np.diff(values, k)
        size = float(np.max(np.abs(scatter))) or 1.0  # squared below: 1e-200 would vanish, 1e200 overflow
        estimates.append(size * math.sqrt(scale * float(np.mean((scatter / size) ** 2))))
    return sorted(estimates)[1]


@dataclass(frozen=True)
class Slope:
    """What a closer look found: the slope, how far it can be trusted, and the slopes from both sides at a kink."""

    value: float
    resolution: float
    left: float = math.nan
    right: float = math.nan
    kind: str = "smooth"  # or "kink" (the sides differ), "edge" (one side is undefined), "jump" (no slope at all)


def look_closer(phi: Phi, steps: np.ndarray, rounding: float) -> Slope:
    """The slope of phi at 0 from many steps, largest first, each a quarter of the one before.

    From the sequence of extrapolated slopes the one that agrees best with its neighbours is taken; how well it agrees,
    with the rounding errors of its step, is what it can resolve (after C. Ridders 1982, "Accurate computation of
    F'(x)"). The same is done from the left and from the right: if these differ by more than they can resolve, there
    is a kink.
    """
    with np.errstate(all="ignore"):
        here = phi(0.0)
        up, down = np.array([(phi(h), phi(-h)) for h in steps]).T
        blur = np.fmax(rounding, EPS * np.fmax(np.abs(up), np.abs(down))) / steps  # one side may be undefined
        right, right_error = _settled((up - here) / steps, 4, blur)
        left, left_error = _settled((here - down) / steps, 4, blur)
        both, error = _settled((up - down) / (2 * steps), 16, blur)
        sides = np.isfinite([left, right])
        if sides.all() and abs(right - left) > 10 * (left_error + right_error) + 1e-7 * max(abs(left), abs(right)):
            return Slope((left + right) / 2, max(left_error, right_error), left, right, "kink")
        gaps = [abs(down - here), abs(up - here)]
        if any(np.isinf(side) and gap[-1] > 0.25 * gap[0] for side, gap in zip((left, right), gaps)):
            return Slope(math.nan, math.inf, left, right, "jump")
        if sides.any() and np.isinf([left, right]).any():  # one side is vertical: x log x for x > 0, else 0
            return Slope(left + right, min(left_error, right_error), left, right, "kink")
        kind = "smooth"
        if not np.isfinite(both) and sides.any():
            kind, both, error = ("edge", right, right_error) if sides[1] else ("edge", left, left_error)
        constant = both == 0 and ((up == here).all() or (down == here).all())  # as far as a kink: relu's left side
        if not np.isfinite(both) or (error > max(abs(both), 1e3 * blur[0]) and not constant):
            return Slope(both, math.inf, left, right, "jump")
        return Slope(both, error, left, right, kind)


def _settled(slopes: np.ndarray, ratio: int, blur: np.ndarray) -> tuple[float, float]:
    """The extrapolated slope that has settled best, and the error left in it; (nan, inf) if none is finite.

    Slopes that grow and grow, and not from rounding, are those of a vertical tangent: (inf or -inf, inf).
    """
    better = (ratio * slopes[1:] - slopes[:-1]) / (ratio - 1)
    moved = np.abs(np.diff(better))
    error = np.maximum(moved[1:], moved[:-1]) + 2 * blur[2:-1]
    error[~np.isfinite(error)] = math.inf
    best = int(np.argmin(error))
    if error[best] > max(0.05 * abs(better[best + 1]), 20 * blur[best + 2]):
        sizes = np.abs(slopes[: best + 3])
        if len(sizes) > 2 and (np.diff(sizes) > 0).all():
            return float(np.copysign(math.inf, slopes[best + 2])), math.inf
    return (float(better[best + 1]), float(error[best])) if np.isfinite(error[best]) else (math.nan, math.inf)
