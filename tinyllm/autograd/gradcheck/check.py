"""gradcheck(): compare a gradient with differences of the function itself.

A random gradient u is put on the output, so that every output element counts with its own weight; the gradient of
sum(f(x) * u) is then compared with differences, in float64. Why random and why float64: docs/gradient-checking.md.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyllm.autograd.gradcheck import differences
from tinyllm.autograd.gradcheck.differences import EPS, METHODS, look_closer
from tinyllm.autograd.gradcheck.mistakes import Evidence, diagnose
from tinyllm.autograd.gradcheck.report import DOUBTFUL, Argument, Report
from tinyllm.autograd.gradcheck.subjects import Subject, subject_of

__all__ = ["gradcheck"]

UPSTREAM = 1741  # a stream of its own: inputs drawn from the same seed must not come back as the output's gradient
EVERY, MANY = 4096, 100_000  # up to so many elements: every one; a sample; beyond: directions
SAMPLE, LARGEST = 64, 8  # elements of each argument that are looked at one by one in these cases
CLOSER = 512  # how many odd elements of one argument are looked at closer before a wrong one is believed
UNRESOLVED = 0.05  # a slope known no better than this part of itself says nothing


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
    'x: the sign is wrong'
    """
    _validate(method, order, elements, step, gradient)
    subject = subject_of(f, inputs, gradient, argnums, options)
    rng = np.random.default_rng((seed, UPSTREAM))
    plan = _Plan(method, step, elements, seed, 1e-6 if rtol is None else rtol)
    report, upstream = _Check(subject, plan, rng, 1).run()
    if order == 2 and report.ok:
        first, plan.rtol = report, 1e-5 if rtol is None else rtol
        report, _ = _Check(subject.slope(upstream), plan, rng, 2).run()
        report.lower = first
    return report


@dataclass
class _Plan:
    """How to compare: what the caller chose."""

    method: str
    step: float | None
    elements: str | int | None
    seed: int
    rtol: float

    def sizes(self, sizes: list[int]) -> tuple[int | None, int, str]:
        """How many elements of each argument (None: all), how many directions, and that in words."""
        total, chosen = sum(sizes), self.elements
        if chosen == "all" or (chosen is None and total <= EVERY):
            return None, 0, f"every element ({total:,})"
        if chosen == "directions" or (chosen is None and total > MANY):
            said = f"4 random directions in each argument and its {LARGEST} largest elements"
            return (
                LARGEST,
                4,
                said + ("" if chosen else f", chosen because there are {total:,} elements (over {MANY:,})"),
            )
        number = SAMPLE if chosen is None else int(chosen)
        said = f"{number} elements of each argument, drawn at random, and 2 random directions"
        return number, 2, said + ("" if chosen else f", chosen because there are {total:,} elements (over {EVERY:,})")


class _Check:
    """One order of one check. `total` is sum(f * upstream) at `arrays`, which are changed in place and put back."""

    def __init__(self, subject: Subject, plan: _Plan, rng: np.random.Generator, order: int):
        self.subject, self.plan, self.rng = subject, plan, rng
        self.arrays = [a.copy() if i in subject.places else a for i, a in enumerate(subject.arrays)]
        self.report = Report(subject.name, order, plan.method, plan.rtol, plan.seed)
        self.values = self._real(subject.value(self.arrays))
        self.upstream = [rng.standard_normal(y.shape) for y in self.values]
        self.finite = [np.isfinite(y) for y in self.values]
        for u, finite in zip(self.upstream, self.finite):
            u[~finite] = 0
        self.all_finite = all(finite.all() for finite in self.finite)
        self.here = self.total()

    def run(self) -> tuple[Report, list[np.ndarray]]:
        report, subject = self.report, self.subject
        again = self._real(subject.value(self.arrays))
        analytic = subject.pull(self.arrays, self.upstream)
        count, directions, report.elements = self.plan.sizes([subject.arrays[i].size for i in subject.places])
        report.arguments = [
            Argument(i, subject.names[i], subject.arrays[i].shape, subject.dtypes[i]) for i in subject.places
        ]
        if not self._same(self.values, again) or not self._same(analytic, subject.pull(self.arrays, self.upstream)):
            self._nondeterministic(again)
            return report, self.upstream
        with np.errstate(all="ignore"):
            self._measure_rounding()
            self._try_complex_step()
            numeric = []
            for found, a in zip(report.arguments, analytic):
                numeric.append(self._compare(found, a, count, directions))
            self._ties(analytic)
            if not self._same(self.values, self._real(subject.value(self.arrays))):
                self._nondeterministic(self.values)
            elif not report.ok:
                self._diagnose(analytic, numeric)
        self._notes(numeric)
        return report, self.upstream

    # -- the function as one number ---------------------------------------------------------------------------------

    def total(self, arrays: Sequence[Any] | None = None) -> Any:
        values = self.subject.value(self.arrays if arrays is None else arrays)
        if self.all_finite:
            return sum(
                float(np.vdot(u, y)) if y.dtype.kind != "c" else np.vdot(u, y) for u, y in zip(self.upstream, values)
            )
        return sum(np.sum(np.where(ok, y * u, 0)) for y, u, ok in zip(values, self.upstream, self.finite))

    def element(self, place: int, index: tuple) -> Callable[[float], float]:
        """total as a function of how far one element is moved."""
        x = self.arrays[place]

        def phi(t: float) -> float:
            kept = x[index]
            x[index] = kept + t
            value = self.total()
            x[index] = kept
            return value

        return phi

    def direction(self, moves: dict[int, np.ndarray]) -> Callable[[float], float]:
        """total as a function of how far the arguments are moved along `moves`."""

        def phi(t: float) -> float:
            kept = {place: self.arrays[place].copy() for place in moves}
            for place, v in moves.items():
                self.arrays[place] += t * v
            value = self.total()
            for place in moves:
                self.arrays[place][...] = kept[place]
            return value

        return phi

    def _complex(self, place: int, v: Any) -> Callable[[complex], complex]:
        def phi(t: complex) -> complex:
            arrays = list(self.arrays)
            arrays[place] = arrays[place] + t * v
            return self.total(arrays)

        return phi

    def _real(self, values: list[np.ndarray]) -> list[np.ndarray]:
        for y in values:
            if y.dtype.kind not in "biuf":
                raise TypeError(f"gradcheck: f must return real numbers; found {y.dtype}")
        return [y if y.dtype.kind == "f" else y.astype(np.float64) for y in values]

    @staticmethod
    def _same(some: list, others: list) -> bool:
        return all(
            a.shape == b.shape and np.allclose(a, b, rtol=1e-12, atol=0, equal_nan=True) for a, b in zip(some, others)
        )

    # -- what rounding does -----------------------------------------------------------------------------------------

    def _measure_rounding(self) -> None:
        """How large the rounding errors in `total` are, and with that how well a difference can resolve anything."""
        places = [i for i in self.subject.places if self.arrays[i].size]
        self.size = sum(
            float(np.sum(np.abs(y * u), where=ok)) for y, u, ok in zip(self.values, self.upstream, self.finite)
        )
        eps = max((_precision(y) for y in self.values), default=EPS)
        self.rounding = eps * self.size
        moves = {i: self.rng.standard_normal(self.arrays[i].shape) * _scale(self.arrays[i], 0) for i in places}
        if moves and (self.plan.step is None):
            norm = math.sqrt(sum(self.arrays[i].size for i in moves))
            phi = self.direction({i: v / norm for i, v in moves.items()})
            self.rounding = max(self.rounding, differences.noise(phi, spacing=1e-6))
        self.relative = min(max(self.rounding / self.size, EPS), 1e-3) if self.size else EPS
        if self.relative > 1e-10:
            where = "f returns float32" if any(y.dtype == np.float32 for y in self.values) else "float32 inside f?"
            self.report.notes.append(
                f"f's values are good to {self.relative:.0e} of their size only ({where}): differences of them cannot "
                f"see an error below about {self.relative**0.8:.0e}; compute in float64 to see more"
            )

    def _try_complex_step(self) -> None:
        """The complex step needs f to be analytic and to take complex arrays. If not, differences, and a note."""
        self.method = self.plan.method
        if self.method != "complex":
            return
        self.subject.tensors, kept = False, self.subject.tensors
        problem = ""
        for place in self.subject.places:
            v = self.rng.standard_normal(self.arrays[place].shape) * _scale(self.arrays[place], 0.1)
            try:
                found = METHODS["complex"].formula(self._complex(place, v), 1e-20)
            except Exception as error:
                problem = f"f does not take complex arrays: {type(error).__name__}: {str(error).splitlines()[0]:.80}"
                break
            real = look_closer(self.direction({place: v}), 1e-2 * 0.25 ** np.arange(10), self.rounding)
            if not abs(found - real.value) <= 1e-5 * max(abs(found), abs(real.value)) + 3 * real.resolution:
                problem = f"f is not analytic in {self.subject.names[place]} (abs, comparisons, conj, a cast to real?)"
                break
        if problem:
            self.method = self.report.method = "richardson"
            self.subject.tensors = kept
            self.report.notes.append(f"the complex step cannot be used, Richardson's differences were: {problem}")

    # -- one argument -----------------------------------------------------------------------------------------------

    def _compare(self, found: Argument, a: np.ndarray, count: int | None, directions: int) -> np.ndarray:
        """Compare the gradient `a` of one argument with differences; returns those, NaN where there are none."""
        x = self.arrays[found.position]
        found.errors = np.full(x.shape, np.nan)
        numeric = np.full(x.shape, np.nan)
        if a.shape != x.shape:
            found.grade, found.error, found.absolute = "wrong", math.inf, math.inf
            found.diagnosis = f"the gradient has the shape {a.shape}, the argument {x.shape}"
            a_or_nan = np.full(x.shape, np.nan)
        else:
            a_or_nan = a
        lines = [
            _Line(index, self._phi(found.position, index), a_or_nan[index], _step_scale(x[index]), abs(x[index]))
            for index in self._chosen(x, a_or_nan, count)
        ]
        self._measure(lines)
        for line in lines:
            numeric[line.index] = line.numeric
        size = max((abs(line.numeric) for line in lines if math.isfinite(line.numeric)), default=0.0)
        self._judge(found, lines, size, self._analytic_noise(a))
        for line in lines:
            found.errors[line.index] = line.error
            numeric[line.index] = line.numeric
        along = list(self._directions(found.position, a_or_nan, directions))
        self._measure(along)
        if along:
            spread = float(np.linalg.norm(np.where(np.isfinite(a_or_nan), a_or_nan, 0))) / math.sqrt(max(x.size, 1))
            self._judge(found, along, 100 * spread, self._analytic_noise(a))
        found.checked, found.directions = len(lines), len(along)
        found.kinks = [line.kink() for line in lines if line.kind == "kink"]
        if a.shape == x.shape and lines + along:
            worst = max(lines + along, key=lambda line: (line.error, line.absolute))
            found.error, found.absolute, found.index = worst.error, worst.absolute, worst.index
            found.analytic, found.numeric = float(worst.analytic), float(worst.numeric)
            found.grade = self._grade(found.error, lines + along)
        found.resolution = max((line.resolution for line in lines), default=0.0) / max(size, 1e-300)
        return numeric

    def _phi(self, place: int, index: tuple) -> Callable:
        if self.method == "complex":
            v = np.zeros(self.arrays[place].shape)
            v[index] = 1
            return self._complex(place, v)
        return self.element(place, index)

    def _chosen(self, x: np.ndarray, a: np.ndarray, count: int | None) -> list[tuple]:
        if count is None or count >= x.size:
            return list(np.ndindex(x.shape))
        if count == LARGEST and self.plan.elements in (None, "directions"):
            flat = np.argsort(-np.abs(np.nan_to_num(a.ravel(), nan=np.inf)), kind="stable")[:count]
        else:
            flat = np.sort(self.rng.choice(x.size, count, replace=False))
        return [tuple(int(i) for i in index) for index in zip(*np.unravel_index(flat, x.shape))]

    def _directions(self, place: int, a: np.ndarray, number: int) -> Iterator["_Line"]:
        for k in range(number if a.size else 0):
            v = self.rng.standard_normal(a.shape)
            v /= np.linalg.norm(v)
            phi = self._complex(place, v) if self.method == "complex" else self.direction({place: v})
            yield _Line(f"direction {k + 1}", phi, float(np.sum(a * v)), 1.0, 1.0)

    def _measure(self, lines: list["_Line"]) -> None:
        """A first difference for each line, and how far its two sides are apart (a sign of a kink)."""
        method = METHODS[self.method]
        for line in lines:
            line.h = self.plan.step or method.best_step(self.relative if method.order else EPS)
            line.h *= line.scale if self.plan.step is None and method.order else 1.0
            seen: dict[Any, Any] = {}

            def phi(t: Any, line: "_Line" = line, seen: dict = seen) -> Any:
                seen[t] = self.here if t == 0 else line.phi(t)
                return seen[t]

            line.numeric = float(method.formula(phi, line.h))
            line.resolution = 4 * self.rounding / line.h if method.order else EPS * self.size
            if -line.h in seen:
                line.bend = abs(seen[line.h] + seen[-line.h] - 2 * self.here) / line.h

    def _judge(self, found: Argument, lines: list["_Line"], size: float, blur: float) -> None:
        """Give each line its error. Where one is odd, look closer first: at most CLOSER lines, the worst first."""
        floor = max(1e-3 * size, 1e-300)
        for line in lines:
            line.judge(floor, blur)
        if self.plan.step is not None or self.method == "complex":
            return
        odd = [n for n in lines if n.error > self.plan.rtol or n.bend > 0.02 * size + 20 * self.rounding / n.h]
        odd.sort(key=lambda line: -line.error)
        for start in range(0, len(odd), CLOSER):
            batch = odd[start : start + CLOSER]
            for line in batch:
                line.take(look_closer(line.phi, line.steps(), self.rounding))
                line.judge(floor, blur)
            if any(line.error > self.plan.rtol for line in batch):
                break  # so many looked at, and one is wrong for certain: the rest keep their first verdict

    def _analytic_noise(self, a: np.ndarray) -> float:
        """What rounding may have done to a gradient that was computed in float32."""
        eps = _precision(a)
        return 16 * eps * float(np.max(np.abs(a), initial=0.0, where=np.isfinite(a))) if eps > EPS else 0.0

    def _grade(self, error: float, lines: list["_Line"]) -> str:
        if all(line.kind == "jump" for line in lines):
            return "doubtful"  # there was nothing to compare with
        return "right" if error <= self.plan.rtol else "doubtful" if error <= max(DOUBTFUL, self.plan.rtol) else "wrong"

    # -- all arguments ----------------------------------------------------------------------------------------------

    def _ties(self, analytic: list[np.ndarray]) -> None:
        """At a kink that several elements share (a tie in max), their gradients together must lie between its slopes.

        One by one each may claim the whole slope; moved together they show whether it was counted twice.
        """
        kinked = [(found, kink, a) for found, a in zip(self.report.arguments, analytic) for kink in found.kinks][:16]
        for i, (one, kink, a) in enumerate(kinked):
            for other, kink2, b in kinked[:i]:
                moves = {found.position: np.zeros(found.shape) for found in (one, other)}
                moves[one.position][tuple(kink["index"])] = 1
                moves[other.position][tuple(kink2["index"])] = 1
                at = look_closer(self.direction(moves), 1e-2 * 0.25 ** np.arange(14), self.rounding)
                if at.kind == "jump":
                    continue
                left, right = (at.left, at.right) if at.kind == "kink" else (at.value, at.value)
                size = max(abs(kink["left"]), abs(kink["right"]), abs(kink2["left"]), abs(kink2["right"]))
                if all(
                    abs(t - s1 - s2) <= 1e-6 * size
                    for t, s1, s2 in ((left, kink["left"], kink2["left"]), (right, kink["right"], kink2["right"]))
                ):
                    continue  # two kinks that have nothing to do with each other
                together = float(a[tuple(kink["index"])] + b[tuple(kink2["index"])])
                low, high = min(left, right), max(left, right)
                miss = max(low - together, together - high, 0.0) / max(abs(low), abs(high), abs(together), 1e-300)
                if miss > max(1e-5, self.plan.rtol):
                    one.grade, one.error, one.index = "wrong", miss, tuple(kink["index"])
                    one.analytic, one.numeric = together, high if together > high else low
                    one.diagnosis = (
                        f"a kink is counted twice: {one.name}{kink['index']} and {other.name}{kink2['index']} tie; moved "
                        f"together the slope lies between {low:.6g} and {high:.6g}, their gradients add up to "
                        f"{together:.6g}"
                    )
                    return

    def _nondeterministic(self, again: list[np.ndarray]) -> None:
        apart = max((float(np.max(np.abs(a - b), initial=0.0)) for a, b in zip(self.values, again)), default=0.0)
        what = f"f(x), by up to {apart:.3g}" if apart else "f or its gradient"
        self.report.diagnosis = (
            f"nondeterministic: two calls at the same point differ in {what}: dropout left on (training=True), random "
            "numbers, or a state that is carried over? Fix the seed inside f, or switch it off"
        )
        for found in self.report.arguments:
            found.grade, found.error = "wrong", math.inf

    def _diagnose(self, analytic: list[np.ndarray], numeric: list[np.ndarray]) -> None:
        report = self.report
        for found, a, n in zip(report.arguments, analytic, numeric):
            if not found.ok and not found.diagnosis.startswith("a kink"):
                found.diagnosis = diagnose(self._evidence(found, a, n, numeric))
        report.diagnosis = "; ".join(f"{a.name}: {a.diagnosis}" for a in report.arguments if not a.ok)
        wrong = [found for found in report.arguments if not found.ok]
        if len(wrong) == 1 < len(report.arguments) and self._is_bias(wrong[0]):
            report.diagnosis = f"only the bias is wrong: {report.diagnosis}"

    def _is_bias(self, found: Argument) -> bool:
        """By its name, or because it is a vector as long as the output's last axis that is broadcast over the rest."""
        if found.name.split("/")[-1] in ("bias", "b", "beta"):
            return True
        return len(found.shape) == 1 and any(y.ndim > 1 and y.shape[-1:] == found.shape for y in self.values)

    def _evidence(self, found: Argument, a: np.ndarray, n: np.ndarray, numeric: list) -> Evidence:
        k = self.report.arguments.index(found)

        def pull(upstream: list[np.ndarray]) -> np.ndarray:
            return self.subject.pull(self.arrays, upstream)[k]

        def values(x: np.ndarray) -> list[np.ndarray]:
            arrays = list(self.arrays)
            arrays[found.position] = x
            return self.subject.value(arrays)

        names = self.subject.names
        return Evidence(
            a=a,
            n=n,
            wrong=found.errors > self.plan.rtol,
            x=self.arrays[found.position],
            values=self.values,
            upstream=self.upstream,
            inputs={name: x for name, x in zip(names, self.arrays) if isinstance(x, np.ndarray | list | tuple)},
            pull=pull,
            evaluate=values,
            others={names[place]: m for place, m in zip(self.subject.places, numeric) if place != found.position},
        )

    def _notes(self, numeric: list[np.ndarray]) -> None:
        """What a reader should know before trusting the verdict."""
        notes = self.report.notes
        for found, n in zip(self.report.arguments, numeric):
            if found.dtype in ("float32", "float16"):
                notes.append(f"{found.name} is {found.dtype}: checked in float64, where differences see more")
            if found.kinks:
                at = ", ".join(str(list(kink["index"])) for kink in found.kinks[:3])
                notes.append(
                    f"{found.name} has {len(found.kinks)} kink{'s' * (len(found.kinks) > 1)} (slopes from left and "
                    f"right differ), at {at}{', ...' * (len(found.kinks) > 3)}: any slope between them is accepted there"
                )
            known = n[np.isfinite(n)]
            if known.size and not known.any():
                notes.append(f"every slope in {found.name} is 0 here: a wrong derivative may hide; try other inputs")
        if not self.all_finite:
            notes.append("f is not finite everywhere; outputs that are inf or nan were left out")
        if not any(a.shape and 0 not in a.shape or not a.shape for a in self.report.arguments):
            notes.append("the inputs are empty: nothing was compared")


@dataclass
class _Line:
    """One comparison: an element, or a direction."""

    index: Any
    phi: Callable
    analytic: float
    scale: float
    size: float
    h: float = 0.0
    numeric: float = math.nan
    resolution: float = 0.0
    bend: float = 0.0
    error: float = 0.0
    absolute: float = 0.0
    kind: str = "smooth"
    left: float = math.nan
    right: float = math.nan

    def steps(self) -> np.ndarray:
        return 1e-2 * max(self.size, 0.1) * 0.25 ** np.arange(16)

    def take(self, found: differences.Slope) -> None:
        self.numeric, self.resolution, self.kind = found.value, found.resolution, found.kind
        self.left, self.right = found.left, found.right
        if self.kind != "kink" and self.resolution > UNRESOLVED * abs(self.numeric) and self.resolution > 0:
            self.kind = self.kind if abs(self.analytic - self.numeric) > 3 * self.resolution else "jump"

    def judge(self, floor: float, blur: float) -> None:
        a, n = self.analytic, self.numeric
        if self.kind == "jump":
            self.error = self.absolute = 0.0 if not math.isnan(a) else math.inf
            return
        if self.kind == "kink":  # any slope between the two sides will do
            n = self.numeric = min(max(a, min(self.left, self.right)), max(self.left, self.right))
        self.absolute = abs(a - n)
        excess = max(0.0, self.absolute - max(self.resolution, 0.0) - blur)
        self.error = excess / max(abs(a), abs(n), floor)
        if not math.isfinite(self.error):
            self.error = math.inf

    def kink(self) -> dict[str, Any]:
        return {"index": self.index, "left": self.left, "right": self.right, "analytic": float(self.analytic)}


def _validate(method: Any, order: Any, elements: Any, step: Any, gradient: Any) -> None:
    if method not in METHODS:
        raise ValueError(f"gradcheck: unknown method {method!r}; known: {', '.join(METHODS)}")
    if order not in (1, 2) or isinstance(order, bool):
        raise ValueError(f"gradcheck: order must be 1 or 2; found {order!r}")
    if order == 2 and gradient is not None:
        raise ValueError("gradcheck: order=2 needs a gradient that can be differentiated; one written by hand is plain")
    if gradient is not None and not callable(gradient):
        raise TypeError(f"gradcheck: gradient is a function (upstream, *inputs); found {gradient!r:.60}")
    whole = isinstance(elements, int) and not isinstance(elements, bool) and elements > 0
    if elements not in (None, "all", "directions") and not whole:
        raise ValueError(f'gradcheck: elements is "all", "directions" or a positive number; found {elements!r}')
    if step is not None and not (isinstance(step, float | int) and 0 < step < math.inf):
        raise ValueError(f"gradcheck: step must be a positive number; found {step!r}")


def _scale(x: np.ndarray, least: float) -> np.ndarray:
    """How far each element may be moved: its own size, at most 1, and 1 for a zero."""
    size = np.minimum(np.abs(x), 1.0)
    return np.where(size == 0, 1.0, np.maximum(size, least))


def _step_scale(x: float) -> float:
    size = abs(float(x))
    return max(min(max(size, 0.1), 1.0), 1e-4 * size)


def _precision(y: np.ndarray) -> float:
    """The eps of the numbers in y: float32's where a float32 can hold every one, unless they are simple ones."""
    if y.dtype.kind != "f":
        return EPS
    finite = y[np.isfinite(y)]
    for dtype in (np.float16, np.float32):
        if y.dtype == dtype:
            return float(np.finfo(dtype).eps)
        if finite.size and np.array_equal(finite.astype(dtype), finite):  # overflow to inf: not equal
            return EPS if dtype is np.float16 else float(np.finfo(dtype).eps)
    return EPS
