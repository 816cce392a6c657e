"""The table of mistakes: what a wrong gradient looks like when it was made wrong in a known way.

Each entry takes the evidence about one argument (the gradient `a`, the true slopes `n`, the upstream gradient, the
Jacobian, ...) and returns a sentence if the mistake explains the gradient, else None. The first that does is told, so
what is particular comes before what is general. To add a mistake: write a function, decorate it, put it in its place.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from tinyllm.autograd.gradcheck import regions
from tinyllm.autograd.graph import unbroadcast

__all__ = ["MISTAKES", "Evidence", "diagnose"]

LARGEST_JACOBIAN = 4_000_000  # outputs times elements
Mistake = Callable[["Evidence"], str | None]
MISTAKES: list[Mistake] = []


def mistake(recognise: Mistake) -> Mistake:
    """Enter a function into the table."""
    MISTAKES.append(recognise)
    return recognise


@dataclass
class Evidence:
    """What is known about the gradient of one argument that is wrong somewhere."""

    a: np.ndarray  # the gradient to be explained; may have a wrong shape
    n: np.ndarray  # the slopes; NaN where none was measured
    wrong: np.ndarray  # where a is off, as booleans
    x: np.ndarray  # the argument
    values: list[np.ndarray]  # f's outputs
    upstream: list[np.ndarray]
    inputs: Mapping[str, Any]  # every argument by name
    pull: Callable[[list[np.ndarray]], np.ndarray]  # the gradient to be explained, for another upstream gradient
    evaluate: Callable[[np.ndarray], list[np.ndarray]]  # f's outputs for another x
    others: Mapping[str, np.ndarray] = field(default_factory=dict)  # the true slopes in the other arguments

    @cached_property
    def known(self) -> np.ndarray:
        return np.isfinite(self.n)

    @cached_property
    def tolerance(self) -> float:
        """Much less than what is to be explained."""
        off = np.abs(self.a - self.n)[self.known] if self.a.shape == self.n.shape else np.full(1, np.inf)
        worst = float(np.max(off, initial=0.0))
        return max(min(1e-5 * self.size, 0.03 * worst), 1e-8 * self.size)

    @cached_property
    def size(self) -> float:
        return float(np.max(np.abs(self.n), initial=1e-300, where=self.known))

    def close(self, some: Any, other: Any) -> bool:
        """Whether two gradients are the same, where the slopes are known."""
        some, other = np.asarray(some, float), np.asarray(other, float)
        if some.shape != other.shape:
            return False
        apart = np.abs(some - other)
        return bool(
            np.all((apart <= self.tolerance) | ~self.known if apart.shape == self.n.shape else apart <= self.tolerance)
        )

    def explains(self, gradient: Any) -> bool:
        """Whether this is the gradient that was handed in."""
        return self.close(self.a, gradient)

    def explains_as(self, changed: np.ndarray) -> bool:
        """Whether the gradient that was handed in would be right after this change."""
        return self.close(changed, self.n)

    @property
    def u(self) -> np.ndarray | None:
        """The upstream gradient, if f has one output."""
        return self.upstream[0] if len(self.upstream) == 1 else None

    @cached_property
    def jacobian(self) -> np.ndarray | None:
        """d outputs / d x by differences, (outputs, elements); None if that is too large or not all of n is known."""
        outputs = sum(y.size for y in self.values)
        if not self.known.all() or outputs * self.x.size > LARGEST_JACOBIAN or not self.x.size:
            return None
        columns = []
        flat = self.x.ravel()
        for i, value in enumerate(flat):
            h = 1e-3 * max(min(max(abs(value), 0.1), 1.0), 1e-4 * abs(value))
            parts = []
            for t in (h, -h, 2 * h, -2 * h):
                moved = flat.copy()
                moved[i] += t
                parts.append(np.concatenate([np.ravel(y) for y in self.evaluate(moved.reshape(self.x.shape))]))
            columns.append((8 * (parts[0] - parts[1]) - (parts[2] - parts[3])) / (12 * h))
        j = np.stack(columns, axis=1).astype(float)
        return np.where(np.abs(j) < 1e-9 * np.max(np.abs(j), initial=0.0), 0.0, j)

    def pulled(self, *upstream: np.ndarray) -> np.ndarray | None:
        """The true gradient for another upstream gradient."""
        if self.jacobian is None:
            return None
        return (np.concatenate([np.ravel(u) for u in upstream]) @ self.jacobian).reshape(self.x.shape)


def diagnose(e: Evidence) -> str:
    """The first mistake of the table that explains the gradient, in a sentence."""
    for recognise in MISTAKES:
        said = recognise(e)
        if said:
            return said
    return "no mistake of the table explains it"


# -- what can be seen at a glance -----------------------------------------------------------------------------------


@mistake
def not_a_number(e: Evidence) -> str | None:
    bad = int(np.sum(~np.isfinite(e.a)))
    return f"not a number: {bad} of {e.a.size} elements are nan or inf" if bad else None


@mistake
def shape(e: Evidence) -> str | None:
    if e.a.shape == e.x.shape:
        return None
    found = f"the gradient has the shape {e.a.shape}, the argument {e.x.shape}"
    if e.a.ndim == e.x.ndim and e.a.ndim > 1:
        for axes in itertools.permutations(range(e.a.ndim)):
            if e.explains_as(np.transpose(e.a, axes)):
                return f"transposed: {found}"
    summed = _summed(e.a, e.x.shape)
    if summed is not None:
        axes = _extra_axes(e.a.shape, e.x.shape)
        if e.explains_as(summed):
            return f"missing sum over a broadcast axis: {found}; sum it over {_axes(axes)}"
        if e.a.size > e.x.size:
            return f"missing sum over a broadcast axis: {found}; and its sum over {_axes(axes)} is not right either"
    if e.a.size == e.x.size and e.explains_as(e.a.reshape(e.x.shape)):
        return f"wrong shape, right numbers: {found}; reshape it"
    return f"wrong shape: {found}"


@mistake
def zero(e: Evidence) -> str | None:
    if e.a.any() or e.size <= 1e-300:
        return None
    return "zero: no gradient arrives here (None returned, a detached value, .data, or a term forgotten)"


@mistake
def upstream_ignored(e: Evidence) -> str | None:
    if not all(u.size for u in e.upstream):
        return None
    other = [np.cos(1.0 + np.arange(u.size)).reshape(u.shape) for u in e.upstream]
    if not e.close(e.a, e.pull(other)):
        return None
    ones = e.pulled(*[np.ones_like(u) for u in e.upstream])
    why = "it is the same whatever gradient comes back from the loss; multiply by it (the chain rule)"
    factor = None if ones is None else _factor(e, e.a, ones)
    also = f", and a constant factor {_number(factor)} too much" if factor and abs(factor - 1) > 1e-6 else ""
    return f"missing upstream gradient: {why}{also}"


@mistake
def swapped(e: Evidence) -> str | None:
    for name, slopes in e.others.items():
        if slopes.shape == e.a.shape and np.isfinite(slopes).all() and e.explains(slopes):
            return f"swapped: this is the gradient of {name}"
    return None


@mistake
def sign(e: Evidence) -> str | None:
    return "the sign is wrong" if e.explains(-e.n) else None


@mistake
def constant_factor(e: Evidence) -> str | None:
    k = _factor(e, e.a, e.n)
    if k is None:
        return None
    said = f"constant factor {_number(k)}: the gradient is {_number(k)} times what it should be"
    outputs = sum(y.size for y in e.values)
    reduced = outputs < max((np.size(v) for v in e.inputs.values()), default=0) or outputs < e.x.size
    widened = _extra_axes(e.values[0].shape, e.x.shape) if e.u is not None else ()
    copies = math.prod(e.values[0].shape[axis] for axis in widened) if widened else 0
    if copies > 1 and abs(k * copies - 1) < 1e-6:
        return f"mean instead of the sum over a broadcast axis: {said}; {copies} is the length of {_axes(widened)}"
    for count, where in _counts(e):
        if abs(k - count) < 1e-6 * count and (reduced or copies > 1):
            return f"missing mean's 1/N: {said}; N = {count} is {where}"
        if abs(k * count - 1) < 1e-6 and (reduced or copies > 1):
            return f"{said}: divided by N = {count}, {where}, once too often (a mean where the sum belongs?)"
    return said


# -- the right numbers, differently put together --------------------------------------------------------------------


@mistake
def wrong_place(e: Evidence) -> str | None:
    if e.x.size < 2 or not np.allclose(np.sort(e.a, axis=None), np.sort(e.n, axis=None), rtol=0, atol=2 * e.tolerance):
        return None
    for how, moved in _rearranged(e.n):
        if e.explains(moved):
            return how if how.startswith("transposed") else f"right numbers in the wrong place: {how}"
    if e.jacobian is not None and e.u is not None and e.u.size == e.x.size:
        if e.explains((e.jacobian @ e.u.ravel()).reshape(e.x.shape)):
            return "transposed: the Jacobian itself is used (a permutation where its inverse belongs?)"
    return "right numbers in the wrong place"


@mistake
def factor_not_transposed(e: Evidence) -> str | None:
    """A product of two matrices in which one should have been transposed, or was and should not."""
    if e.u is None or e.x.ndim < 2:
        return None
    matrices = {"upstream": e.u} | {
        k: v for k, v in e.inputs.items() if isinstance(v, np.ndarray) and v.dtype.kind == "f"
    }
    for (p, P), (q, Q) in itertools.permutations(matrices.items(), 2):
        if P.ndim < 2 or Q.ndim < 2:
            continue
        right, found = [], []
        for tp, tq in itertools.product((False, True), repeat=2):
            left_factor, right_factor = (np.swapaxes(m, -1, -2) if t else m for m, t in ((P, tp), (Q, tq)))
            if left_factor.shape[-1] != right_factor.shape[-2]:
                continue
            try:
                product = left_factor @ right_factor
            except ValueError:
                continue
            if product.shape == e.x.shape:
                text = f"{p}{'.T' * tp} @ {q}{'.T' * tq}"
                right += [text] if e.close(product, e.n) else []
                found += [text] if e.close(product, e.a) else []
        if right and found:
            return f"transposed: it is {found[0]} where {right[0]} belongs"
    return None


@mistake
def jacobian_transposed(e: Evidence) -> str | None:
    j = e.jacobian
    if j is None or e.u is None or e.u.size != e.x.size or e.x.size < 2:
        return None
    if e.explains((j @ e.u.ravel()).reshape(e.x.shape)):
        return "transposed: the Jacobian times the upstream gradient, where the Jacobian's transpose belongs"
    return None


@mistake
def diagonal_only(e: Evidence) -> str | None:
    j = e.jacobian
    if j is None or e.u is None or e.u.shape != e.x.shape or e.x.size < 2:
        return None
    diagonal = np.diag(j).reshape(e.x.shape)
    if e.explains(diagonal * e.u):
        return "cross terms are missing: only the Jacobian's diagonal is used (each output depends on all inputs)"
    return None


@mistake
def one_slice_of_upstream(e: Evidence) -> str | None:
    """The sum over an axis of the output is missing: one index of it was taken for all."""
    if e.u is None or e.jacobian is None:
        return None
    for axis, length in enumerate(e.u.shape):
        for i in range(min(length, 64)) if length > 1 else ():
            part = np.zeros_like(e.u)
            at = (slice(None),) * axis + (i,)
            part[at] = e.u[at]
            only = e.pulled(part)
            if only is not None and e.explains(only):
                broadcast = axis in _extra_axes(e.u.shape, e.x.shape)
                what = "a broadcast axis" if broadcast else f"axis {axis} of the output"
                return f"missing sum over {what}: only index {i} of axis {axis} of the upstream gradient is used"
    return None


@mistake
def upstream_misused(e: Evidence) -> str | None:
    if e.jacobian is None or not all(u.size for u in e.upstream):
        return None
    ways = {
        "squared (used twice?)": lambda u: u * u,
        "replaced by its mean": lambda u: np.full_like(u, u.mean()),
        "replaced by its sum": lambda u: np.full_like(u, u.sum()),
        "replaced by its sign": np.sign,
        "without its sign": np.abs,
    }
    for how, change in ways.items():
        changed = e.pulled(*map(change, e.upstream))
        if changed is not None and e.explains(changed):
            return f"upstream gradient {how}"
    if e.u is not None:
        for how, moved in _rearranged(e.u):
            changed = e.pulled(moved)
            if changed is not None and e.explains(changed):
                return f"upstream gradient in the wrong place: {how}"
    return None


@mistake
def added(e: Evidence) -> str | None:
    off = e.a - e.n
    if not e.wrong[e.known].all() and e.x.size > 1:
        return None
    if e.x.size > 1 and e.close(off, np.full(off.shape, np.median(off[e.known]))):
        return f"a constant is added: {np.median(off[e.known]):.6g}"
    for what, term in (
        ("the argument (weight decay?)", e.x),
        ("the upstream gradient", e.u),
        ("the output", e.values[0]),
    ):
        if term is not None and term.shape == off.shape and e.x.size > 2:
            k = _factor(e, off, term)
            if k is not None:
                return f"added: {_number(k)} times {what}"
    return None


@mistake
def not_linear(e: Evidence) -> str | None:
    zero, twice = (e.pull([k * u for u in e.upstream]) for k in (0.0, 2.0))
    if zero.any():
        return "a term is added that does not vanish with the upstream gradient: not linear in it"
    return None if e.close(twice, 2 * e.a) else "not linear in the upstream gradient: twice of it does not give twice"


# -- wrong in a part ------------------------------------------------------------------------------------------------


@mistake
def wrong_in_a_part(e: Evidence) -> str | None:
    part = regions.describe(e)
    if part is None:
        return None
    inside = e.wrong & e.known
    return part + _relation(e.a[inside], e.n[inside])


# -- the general shape of it ----------------------------------------------------------------------------------------


@mistake
def factor_along_an_axis(e: Evidence) -> str | None:
    for axis, length in enumerate(e.x.shape):
        if length < 2 or e.x.ndim < 2:
            continue
        a, n = np.moveaxis(e.a, axis, -1), np.moveaxis(e.n, axis, -1)
        k = np.sum(a * n, axis=-1, keepdims=True) / np.maximum(np.sum(n * n, axis=-1, keepdims=True), 1e-300)
        if e.close(np.moveaxis(a, -1, axis), np.moveaxis(k * n, -1, axis)):
            low, high = float(k.min()), float(k.max())
            return f"a factor that is constant along axis {axis}, between {low:.4g} and {high:.4g}"
    return None


@mistake
def sum_over_an_axis_forgotten(e: Evidence) -> str | None:
    """What normalisations and softmax subtract: a mean, or the output times a sum, over an axis."""
    off = e.a - e.n
    outputs = e.values[0] if e.u is not None and e.values[0].shape == off.shape else None
    for axis, length in enumerate(e.x.shape):
        if length < 2:
            continue
        if e.close(off, np.broadcast_to(off.mean(axis=axis, keepdims=True), off.shape)):
            return f"cross terms are missing: off by the same number all along axis {axis} (a mean to be subtracted?)"
        if outputs is not None:
            k = np.sum(off * outputs, axis, keepdims=True) / np.maximum(np.sum(outputs**2, axis, keepdims=True), 1e-300)
            if e.close(off, k * outputs):
                return f"cross terms are missing: off by a multiple of the output along axis {axis} (a sum to be subtracted?)"
    return None


@mistake
def local_derivative(e: Evidence) -> str | None:
    j = e.jacobian
    if j is None or e.u is None or ((j != 0).sum(axis=1) > 1).any():
        return None
    worst = np.unravel_index(int(np.argmax(np.where(e.known, np.abs(e.a - e.n), 0))), e.x.shape)
    ratio = e.a[worst] / e.n[worst] if e.n[worst] else math.inf
    return (
        f"wrong local derivative: f works element by element, and at {e.x[worst]:.6g} its slope is "
        f"{_number(ratio)} times what it should be, elsewhere another multiple"
    )


@mistake
def small(e: Evidence) -> str | None:
    worst = float(np.max(np.abs(e.a - e.n)[e.known], initial=0.0)) / e.size
    if worst < 1e-2:
        return f"nearly right (off by {worst:.1e} of the largest element): an epsilon, a rounding or an approximation?"
    return None


# -- what the table is written with ---------------------------------------------------------------------------------


def _factor(e: Evidence, some: np.ndarray, other: np.ndarray) -> float | None:
    """k, if some = k * other (k is not 1, and other is not 0)."""
    if some.shape != other.shape:
        return None
    some, other = (v[e.known] if v.shape == e.known.shape else v.ravel() for v in (some, other))
    size = float(np.max(np.abs(other), initial=0.0))
    if not size:
        return None
    k = float((some / size) @ (other / size)) / float((other / size) @ (other / size))
    fits = np.abs(some - k * other) <= max(e.tolerance, 1e-7 * abs(k) * size)
    return k if fits.all() and k != 0 else None


def _relation(a: np.ndarray, n: np.ndarray) -> str:
    """How the wrong elements relate to the right ones, if simply."""
    if not a.any():
        return ", zero there"
    size = float(n @ n)
    k = float(a @ n) / size if size else 0.0
    if k == 0 or np.max(np.abs(a - k * n)) > 1e-5 * np.max(np.abs(a)):
        return ""
    return ", of the wrong sign there" if abs(k + 1) < 1e-6 else f", {_number(k)} times what it should be there"


def _number(k: float) -> str:
    """1.5, or 1 + 1e-05 where only that tells."""
    return f"1 {'+' if k > 1 else '-'} {abs(k - 1):.3g}" if 0 < abs(k - 1) < 1e-3 else f"{k:.6g}"


def _summed(a: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """a summed to `shape` as broadcasting would have widened it, if it would."""
    try:
        fits = np.broadcast_shapes(a.shape, shape) == a.shape
    except ValueError:
        return None
    return unbroadcast(a, shape) if fits else None


def _extra_axes(wide: tuple[int, ...], narrow: tuple[int, ...]) -> tuple[int, ...]:
    """The axes along which `narrow` was broadcast to `wide`; () if it was not."""
    try:
        if np.broadcast_shapes(wide, narrow) != wide:
            return ()
    except ValueError:
        return ()
    lead = len(wide) - len(narrow)
    return tuple(i for i, n in enumerate(wide) if i < lead or (narrow[i - lead] == 1 and n > 1))


def _axes(axes: tuple[int, ...]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {axes}"


def _counts(e: Evidence) -> Iterator[tuple[int, str]]:
    """The whole numbers a mean may have divided by, with a name for each; the most telling first."""
    seen: set[int] = set()
    outputs = max(sum(y.size for y in e.values), 1)
    arrays = {"the argument": e.x, **{k: v for k, v in e.inputs.items() if isinstance(v, np.ndarray)}}
    for name, v in arrays.items():
        named = [(v.size, f"the number of elements of {name}"), (v.size // outputs, f"what is averaged of {name}")]
        named += [(n, f"the length of axis {i} of {name}") for i, n in enumerate(v.shape)]
        pairs = itertools.combinations(range(v.ndim), 2)
        named += [(v.shape[i] * v.shape[j], f"the size of axes {i} and {j} of {name}") for i, j in pairs]
        for count, where in named:
            if count > 1 and count not in seen:
                seen.add(count)
                yield int(count), where


def _rearranged(n: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The same numbers in other places of the same shape."""
    for axes in itertools.permutations(range(n.ndim)) if 2 <= n.ndim <= 4 else ():
        if axes != tuple(range(n.ndim)) and np.transpose(n, axes).shape == n.shape:
            yield f"transposed: its axes are in the order {axes}" if n.ndim > 2 else "transposed", np.transpose(n, axes)
    for axis, length in enumerate(n.shape):
        yield f"reversed along axis {axis}", np.flip(n, axis)
        for shift in range(1, min(length, 33)):
            yield f"shifted by {shift} along axis {axis}", np.roll(n, shift, axis)
    yield "reversed along every axis", np.flip(n)
    if n.ndim > 1:
        yield "read column by column (reshape in another order)", n.ravel(order="F").reshape(n.shape)
        yield "read column by column (reshape in another order)", n.ravel().reshape(n.shape, order="F")
