"""The table of mistakes: what a wrong gradient looks like when it was made wrong in a known way.

Each entry takes the evidence about one argument (the gradient `a`, the true slopes `n`, the upstream gradient, the
Jacobian, ...) and returns a sentence if the mistake explains the gradient, else None. The first that does is told, so
what is particular comes before what is general. To add a mistake: write a function, decorate it, put it in its place.
"""

import itertools
import math
from collections.abc import Callable

import numpy as np

from tinyllm.autograd.gradcheck import regions
from tinyllm.autograd.gradcheck.evidence import Evidence
from tinyllm.autograd.gradcheck.patterns import (
    another_upstream,
    axes_text,
    counts,
    extra_axes,
    factor_between,
    gates_exchanged,
    number,
    rearranged,
    relation,
    sharing,
    summed,
)

__all__ = ["MISTAKES", "diagnose"]

Mistake = Callable[[Evidence], str | None]
MISTAKES: list[Mistake] = []


def mistake(recognise: Mistake) -> Mistake:
    """Enter a function into the table."""
    MISTAKES.append(recognise)
    return recognise


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
    domain = all(np.isfinite(y).all() for y in e.values)
    why = "" if domain else "; f itself is not finite there or elsewhere: try inputs inside its domain"
    return f"not a number: {bad} of {e.a.size} elements are nan or inf{why}" if bad else None


@mistake
def rounded(e: Evidence) -> str | None:
    if e.a.shape != e.n.shape or not e.a.any():
        return None
    for dtype in (np.float16, np.float32):
        limits = np.finfo(dtype)
        off, least = np.abs(e.a - e.n)[e.known], float(limits.smallest_normal)
        if np.array_equal(e.a.astype(dtype), e.a) and (off <= limits.eps * np.abs(e.n[e.known]) + least).all():
            return f"rounded to {dtype.__name__}: it is right to {limits.eps:.0e}; compute it in float64"
    return None


@mistake
def shape(e: Evidence) -> str | None:
    if e.a.shape == e.x.shape:
        return None
    found = f"the gradient has the shape {e.a.shape}, the argument {e.x.shape}"
    if e.a.ndim == e.x.ndim and e.a.ndim > 1:
        for axes in itertools.permutations(range(e.a.ndim)):
            if e.explains_as(np.transpose(e.a, axes)):
                return f"transposed: {found}"
    narrowed = summed(e.a, e.x.shape)
    if narrowed is not None:
        axes = extra_axes(e.a.shape, e.x.shape)
        if e.explains_as(narrowed):
            return f"missing sum over a broadcast axis: {found}; sum it over {axes_text(axes)}"
        if e.a.size > e.x.size:
            return f"missing sum over a broadcast axis: {found}; and its sum over {axes_text(axes)} is not right either"
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
    if not e.close(e.a, e.pull(another_upstream(e))):
        return None
    ones = e.pulled(*[np.ones_like(u) for u in e.upstream])
    why = "it is the same whatever gradient comes back from the loss; multiply by it (the chain rule)"
    factor = None if ones is None else factor_between(e, e.a, ones)
    also = f", and a constant factor {number(factor)} too much" if factor and abs(factor - 1) > 1e-6 else ""
    return f"missing upstream gradient: {why}{also}"


# -- the right numbers, times something or elsewhere ----------------------------------------------------------------


@mistake
def sign(e: Evidence) -> str | None:
    return "the sign is wrong" if e.explains(-e.n) else None


@mistake
def constant_factor(e: Evidence) -> str | None:
    k = factor_between(e, e.a, e.n)
    if k is None:
        return None
    if sum(u.size for u in e.upstream) == 1 and not e.close(e.pull([2 * u for u in e.upstream]), 2 * e.a):
        return None  # one number comes back, and a factor that depends on it is no constant
    said = f"constant factor {number(k)}: the gradient is {number(k)} times what it should be"
    shared, averaged = sharing(e)
    for count, where in counts(e):
        if averaged and abs(k - count) < 1e-6 * count:
            return f"missing mean's 1/N: {said}; N = {count} is {where}"
        if shared and abs(k * count - 1) < 1e-6:
            of_another = e.x.ndim < 2 and not where.endswith("the argument")
            if of_another or extra_axes(e.values[0].shape, e.x.shape):
                return f"mean instead of the sum over a broadcast axis: {said}; {count} is {where}"
            return f"{said}: divided by N = {count}, {where}, once too often (a mean where the sum belongs?)"
    return said


@mistake
def swapped(e: Evidence) -> str | None:
    for name, slopes in e.others.items():
        if slopes.shape == e.a.shape and np.isfinite(slopes).all() and e.explains(slopes):
            return f"swapped: this is the gradient of {name}"
    return None


@mistake
def coarse_differences(e: Evidence) -> str | None:
    """The step that the caller fixed reaches over a kink, or is too long."""
    finer = e.pulled(*e.upstream) if e.x.size <= 1000 else None
    if finer is None or not e.explains(finer):
        return None
    return "finer differences agree with it: the fixed step or the method is too coarse here (leave step out)"


@mistake
def wrong_place(e: Evidence) -> str | None:
    if e.x.size < 2 or not np.allclose(np.sort(e.a, axis=None), np.sort(e.n, axis=None), rtol=0, atol=2 * e.tolerance):
        return None
    for blocks, moved in gates_exchanged(e.n):
        if e.explains(moved):
            return f"gate blocks in the wrong order: {blocks}"
    for how, moved in rearranged(e.n):
        if e.explains(moved):
            return how if how.startswith("transposed") else f"right numbers in the wrong place: {how}"
    return jacobian_transposed(e) or "right numbers in the wrong place"


@mistake
def clipped(e: Evidence) -> str | None:
    bound = float(np.max(np.abs(e.a), initial=0.0))
    cut = e.wrong & (np.abs(e.a) == bound)
    if e.wrong.sum() > 1 and cut.sum() == e.wrong.sum() and np.all(np.abs(e.n[e.wrong]) > bound):
        return f"clipped at {bound:.6g}"
    return None


@mistake
def added(e: Evidence) -> str | None:
    off = e.a - e.n
    if e.x.size > 1 and e.close(off, np.full(off.shape, np.median(off[e.known]))):
        return f"a constant is added: {np.median(off[e.known]):.6g}"
    for what, term in (
        ("the argument (weight decay?)", e.x),
        ("the upstream gradient", e.u),
        ("the output", e.values[0]),
    ):
        if term is not None and term.shape == off.shape and e.x.size > 2:
            k = factor_between(e, off, term)
            if k is not None:
                return f"added: {number(k)} times {what}"
    return None


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
    if j is None or e.u is None or e.u.size != e.x.size or e.x.size < 2 or e.close(j, j.T):
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


# -- what comes back from the loss -----------------------------------------------------------------------------------


@mistake
def one_slice_of_upstream(e: Evidence) -> str | None:
    """The sum over an axis of the output is missing: one index of it was taken for all."""
    if e.mostly_right or e.u is None or e.jacobian is None:
        return None
    broadcast = extra_axes(e.u.shape, e.x.shape)
    for axes in dict.fromkeys([*((axis,) for axis in range(e.u.ndim)), broadcast]):
        for index in itertools.islice(np.ndindex(*(e.u.shape[axis] for axis in axes)), 64 if axes else 0):
            chosen = {axis: slice(i, i + 1) for axis, i in zip(axes, index)}
            at = tuple(chosen.get(axis, slice(None)) for axis in range(e.u.ndim))
            part = np.zeros_like(e.u)
            part[at] = e.u[at]
            which = f"only index {list(index)} of {axes_text(axes)} of the upstream gradient is used"
            if e.explains(e.pulled(part)):
                what = "a broadcast axis" if set(axes) <= set(broadcast) else f"{axes_text(axes)} of the output"
                return f"missing sum over {what}: {which}"
            if e.explains(e.pulled(np.broadcast_to(e.u[at], e.u.shape))):
                return f"upstream gradient: {which}, for all"
    return None


@mistake
def upstream_misused(e: Evidence) -> str | None:
    if e.mostly_right or e.jacobian is None or not all(u.size for u in e.upstream):
        return None
    ways: dict[str, Callable] = {
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
        for how, moved in rearranged(e.u):
            changed = e.pulled(moved)
            if changed is not None and e.explains(changed):
                return f"upstream gradient in the wrong place: {how}"
    return None


@mistake
def not_linear(e: Evidence) -> str | None:
    """A gradient is linear in the upstream gradient: pull(u + v) = pull(u) + pull(v)."""
    other = another_upstream(e)
    none, twice, both = (e.pull(us) for us in ([0 * u for u in e.upstream], [2 * u for u in e.upstream],
                                               [u + v for u, v in zip(e.upstream, other)]))  # fmt: skip
    if none.any() and not e.mostly_right:
        return "a term is added that does not vanish with the upstream gradient: not linear in it"
    if not e.close(e.a, e.n) and e.explains(twice / 4):
        return "not linear in the upstream gradient: it is used twice (twice of it gives four times as much)"
    size = float(np.max(np.abs(both), initial=1e-300))
    if np.max(np.abs(both - e.a - e.pull(other)), initial=0.0) > 1e-6 * size:
        return "not linear in the upstream gradient: the gradient of a sum is not the sum of the gradients"
    return None


# -- something else in the place of an argument ---------------------------------------------------------------------


@mistake
def factor_that_is_an_array(e: Evidence) -> str | None:
    """The argument or the output is multiplied or divided by once too often: the power rule, a product, a norm."""
    for name, v in (("the argument", e.x), ("the output", e.values[0] if len(e.values) == 1 else None)):
        if v is None or e.x.size < 3 or not (v != 0).all():
            continue
        try:
            np.broadcast_shapes(v.shape, e.x.shape)
        except ValueError:
            continue
        for k, what in ((v, "multiplied"), (1 / v, "divided")):
            if np.shape(e.n * k) == e.a.shape and e.explains(e.n * k):
                return f"wrong local derivative: {what} by {name} once too often"
    return None


@mistake
def another_argument_changed(e: Evidence) -> str | None:
    """The gradient for another argument in another order: a kernel not flipped, a matrix not transposed."""
    tries = [(name, how, b) for name in e.others for how, b in itertools.islice(rearranged(e.inputs[name]), 8)]
    if e.mostly_right or 4 * e.x.size * len(tries) > 2000:
        return None
    for name, how, b in tries:
        other = None if np.array_equal(b, e.inputs[name]) else e.slopes_with(name, b)
        if other is not None and e.explains(other):
            word = "" if how.startswith("transposed") else "right numbers in the wrong place: "
            return f"{word}{how}: it is the gradient for such a {name}"
    return None


# -- wrong in a part ------------------------------------------------------------------------------------------------


@mistake
def mask_forgotten(e: Evidence) -> str | None:
    """Gradient where the output does not depend on the argument: the mask of relu, max, where, dropout is missing."""
    telling = e.n != 0
    if e.x.size < 2 or not e.wrong.any() or (e.wrong & telling).any() or not telling.any():
        return None
    some = int(e.wrong.sum())
    return (
        f"wrong local derivative: gradient arrives at {some} element{'s' * (some > 1)} that f does not depend on here "
        "(a mask is forgotten: of relu, max, clip, where, dropout?)"
    )


@mistake
def wrong_in_a_part(e: Evidence) -> str | None:
    part = regions.describe(e)
    if part is None:
        return None
    inside = e.wrong & e.known
    part += "" if e.known.all() else ", as far as the elements looked at tell"
    return part + relation(e.a[inside], e.n[inside])


# -- the general shape of it ----------------------------------------------------------------------------------------


@mistake
def local_derivative(e: Evidence) -> str | None:
    j = e.jacobian
    if j is None or e.u is None or ((j != 0).sum(axis=1) > 1).any():
        return None
    worst = np.unravel_index(int(np.argmax(np.where(e.known, np.abs(e.a - e.n), 0))), e.x.shape)
    ratio = e.a[worst] / e.n[worst] if e.n[worst] else math.inf
    return (
        f"wrong local derivative: f works element by element, and at {e.x[worst]:.6g} its slope is "
        f"{number(ratio)} times what it should be, elsewhere another multiple"
    )


@mistake
def factor_along_an_axis(e: Evidence) -> str | None:
    for axis, length in enumerate(e.x.shape):
        if length < 2 or e.x.ndim < 2:
            continue
        a, n = np.moveaxis(e.a, axis, -1), np.moveaxis(e.n, axis, -1)
        k = np.sum(a * n, axis=-1, keepdims=True) / np.maximum(np.sum(n * n, axis=-1, keepdims=True), 1e-300)
        if e.close(np.moveaxis(a, -1, axis), np.moveaxis(k * n, -1, axis)):
            low, high = float(k.min()), float(k.max())
            each = "row" if axis == e.x.ndim - 1 else "column" if e.x.ndim == 2 else f"line along axis {axis}"
            return f"each {each} is off by a factor of its own, between {low:.4g} and {high:.4g} (a normalisation?)"
    return None


@mistake
def cross_terms(e: Evidence) -> str | None:
    """What normalisations and softmax subtract along an axis: a mean, and the output (or argument) times a sum."""
    off = e.a - e.n
    y = e.values[0] if e.u is not None else None
    if not e.known.all() or e.x.size > 10_000:
        return None
    for axis, length in enumerate(off.shape):
        vectors = [("a number", np.ones_like(off)), ("a multiple of the argument", e.x)]
        vectors += [("a multiple of the output", y)] if y is not None and y.shape == off.shape else []
        for several in (1, 2):
            for chosen in itertools.combinations(vectors, several):
                basis = np.stack([np.moveaxis(v, axis, -1).reshape(-1, length) for _, v in chosen], axis=-1)
                rows = np.moveaxis(off, axis, -1).reshape(-1, length, 1)
                if length < several + 2:
                    continue
                rest = rows - basis @ (np.linalg.pinv(basis) @ rows)
                if np.max(np.abs(rest)) <= e.tolerance:
                    said = " and ".join(name for name, _ in chosen)
                    return (
                        f"cross terms are missing: along axis {axis} it is off by {said} (a mean, a sum to subtract?)"
                    )
    return None


@mistake
def wrong_in_a_run(e: Evidence) -> str | None:
    return regions.describe_run(e.wrong, e.known & ((e.n != 0) | e.wrong))


@mistake
def small(e: Evidence) -> str | None:
    worst = float(np.max(np.abs(e.a - e.n)[e.known], initial=0.0)) / e.size
    if worst < 1e-2:
        return f"nearly right (off by {worst:.1e} of the largest element): an epsilon, a rounding or an approximation?"
    return None


@mistake
def scattered(e: Evidence) -> str | None:
    some, all_of_them = int(e.wrong.sum()), int(e.known.sum())
    return f"{some} of {all_of_them} elements wrong, in no place that has a name" if some < all_of_them else None
