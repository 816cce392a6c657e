"""One order of one check: a gradient beside differences, argument by argument."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyllm.autograd.gradcheck.differences import EPS, METHODS, STEPS, Slope, look_closer
from tinyllm.autograd.gradcheck.evidence import Evidence
from tinyllm.autograd.gradcheck.line import UNRESOLVED, Line, largest
from tinyllm.autograd.gradcheck.mistakes import diagnose
from tinyllm.autograd.gradcheck.report import DOUBTFUL, Argument, Report
from tinyllm.autograd.gradcheck.subjects import Subject
from tinyllm.autograd.gradcheck.total import Total, precision

__all__ = ["Check", "Plan"]

EVERY, MANY = 4096, 100_000  # up to so many elements: every one; a sample; beyond: directions
COSTLY = 100_000_000  # elements times outputs: more are not worth every element, either
SAMPLE, LARGEST = 64, 4  # elements of each argument that are looked at one by one in these cases
CLOSER = 512  # how many odd elements of one argument are looked at closer before a wrong one is believed,
FEWER, WORK = 16, 3_000_000  # or fewer, down to 16, where one value of f is made of very many numbers
NO_SLOPE = "nothing to compare with: f jumps, or has no finite slope, at every element; try other inputs"


@dataclass
class Plan:
    """How to compare: what the caller chose."""

    method: str
    step: float | None
    elements: str | int | None
    seed: int
    rtol: float

    def sizes(self, sizes: list[int], outputs: int) -> tuple[int | None, int, str]:
        """How many elements of each argument (None: all), how many directions, and that in words."""
        total, chosen = sum(sizes), self.elements
        few = total <= EVERY and total * outputs <= COSTLY
        if chosen == "all" or (chosen is None and few):
            return None, 0, f"every element ({total:,})"
        why = f"{total:,} elements (over {MANY if total > MANY else EVERY:,})"
        why = why if total > EVERY else f"{total:,} elements and {outputs:,} outputs"
        why = "" if chosen else f", chosen because there are {why}"
        if chosen == "directions" or (chosen is None and total > MANY):
            return LARGEST, 3, f"3 random directions in each argument and its {LARGEST} largest elements{why}"
        number = SAMPLE if chosen is None else int(chosen)
        return number, 2, f"{number} elements of each argument, drawn at random, and 2 random directions{why}"


class Check:
    """One order of one check."""

    def __init__(self, subject: Subject, plan: Plan, rng: np.random.Generator, order: int):
        self.subject, self.plan, self.rng = subject, plan, rng
        self.total = Total(subject, rng)
        self.analytic = self.total.gradient()
        self.method = plan.method
        self.report = Report(subject.name, order, plan.method, plan.rtol, plan.seed)

    def run(self) -> Report:
        report, subject, analytic = self.report, self.subject, self.analytic
        count, directions, report.elements = self.plan.sizes(
            [subject.arrays[i].size for i in subject.places], sum(y.size for y in self.total.values)
        )
        report.arguments = [
            Argument(i, subject.names[i], subject.arrays[i].shape, subject.dtypes[i]) for i in subject.places
        ]
        if not self._still():
            return report
        if sum(y.size for y in self.total.values) and not any(finite.any() for finite in self.total.finite):
            report.diagnosis = "f is inf or nan everywhere: nothing to compare with; try inputs inside its domain"
            for found in report.arguments:
                found.grade = "doubtful"
            return report
        with np.errstate(all="ignore"):
            self._prepare()
            numeric = [self._compare(found, a, count, directions) for found, a in zip(report.arguments, analytic)]
            self._ties(analytic)
            if self._still() and not report.ok:
                self._diagnose(analytic, numeric)
        self._notes(numeric)
        return report

    def _still(self) -> bool:
        """Whether f and its gradient give the same again. If not, nothing can be said of the slopes."""
        before, after = [*self.total.values, *self.analytic], [*self.total.outputs(), *self.total.gradient()]
        if all(
            a.shape == b.shape and np.allclose(a, b, rtol=1e-12, atol=0, equal_nan=True) for a, b in zip(before, after)
        ):
            again = [self.total() for _ in range(8 if self.total.relative > 1e-10 else 0)]  # noisy: by chance?
            apart = max((abs(value - self.total.here) for value in again), default=0.0)
            if not apart > 1e-12 * self.total.size:
                return True
        else:
            apart = max((_apart(a, b) for a, b in zip(before, after)), default=0.0)
        self.report.diagnosis = (
            f"nondeterministic: two calls at the same point differ by up to {apart:.3g}: dropout left on "
            "(training=True), random numbers, or a state that is carried over? Fix the seed inside f, or switch it off"
        )
        for found in self.report.arguments:
            found.grade, found.error = "wrong", math.inf
        return False

    def _prepare(self) -> None:
        if self.plan.step is None:
            note = self.total.measure_rounding(self.rng)
            self.report.notes += [note] if note else []
        if self.method == "complex":
            problem = self.total.complex_step_fails(self.rng)
            if problem:
                self.method = self.report.method = "richardson"
                note = f"the complex step cannot be used, Richardson's differences were: {problem}"
                self.report.notes.append(note)

    # -- one argument -----------------------------------------------------------------------------------------------

    def _compare(self, found: Argument, a: np.ndarray, count: int | None, directions: int) -> np.ndarray:
        """Compare the gradient `a` of one argument with differences; returns those, NaN where there are none."""
        x = self.total.arrays[found.position]
        found.errors = np.full(x.shape, np.nan)
        numeric = np.full(x.shape, np.nan)
        if a.shape != x.shape:
            found.grade, found.error, found.absolute = "wrong", math.inf, math.inf
            a_or_nan = np.full(x.shape, np.nan)
        else:
            a_or_nan = a
        lines = [self._line(found.position, index, a_or_nan) for index in self._chosen(x, a_or_nan, count)]
        self._measure(lines)
        size = largest(lines)
        self._judge(lines, size, self._analytic_noise(a))
        if (rest := largest(lines)) < 0.5 * size:  # a jump looked like the largest slope, and hid the others
            size = rest
            self._judge(lines, size, self._analytic_noise(a))
        for line in lines:
            found.errors[line.index] = line.error
            numeric[line.index] = line.numeric if line.kind != "jump" else math.nan
        along = list(self._directions(found.position, a_or_nan, directions))
        self._measure(along)
        if along:
            spread = float(np.linalg.norm(np.where(np.isfinite(a_or_nan), a_or_nan, 0))) / math.sqrt(max(x.size, 1))
            self._judge(along, 100 * spread, self._analytic_noise(a))
        found.checked, found.directions = len(lines), len(along)
        found.kinks = [line.kink() for line in lines if line.kind == "kink"]
        found.jumps = [line.index for line in lines if line.kind == "jump"]
        if lines and len(found.jumps) == len(lines) and a.shape == x.shape:
            found.diagnosis = NO_SLOPE
        if a.shape == x.shape and lines + along:
            worst = max(lines + along, key=lambda line: (line.error, line.absolute))
            found.error, found.absolute, found.index = worst.error, worst.absolute, worst.index
            found.analytic, found.numeric = float(worst.analytic), float(worst.numeric)
            found.grade = self._grade(found.error, lines + along)
        if lines and a.any() and all(abs(line.analytic) < line.resolution for line in lines):
            self.report.notes.append(
                f"the gradient of {found.name} is smaller than what f's rounding errors let differences see: "
                "a wrong one may hide; try other inputs"
            )
        found.resolution = max((line.resolution for line in lines), default=0.0) / max(size, 1e-300)
        return numeric

    def _line(self, place: int, index: tuple, a: np.ndarray) -> Line:
        x = self.total.arrays[place]
        phi = self.total.element(place, index)
        if self.method == "complex":
            v = np.zeros(x.shape)
            v[index] = 1
            phi = self.total.direction({place: v})
        return Line(index, phi, float(a[index]), _step_scale(x[index]), abs(float(x[index])))

    def _chosen(self, x: np.ndarray, a: np.ndarray, count: int | None) -> list[tuple]:
        if count is None or count >= x.size:
            return list(np.ndindex(x.shape))
        if count == LARGEST and self.plan.elements in (None, "directions"):
            flat = np.sort(np.argpartition(-np.abs(np.nan_to_num(a.ravel(), nan=np.inf)), count)[:count])
        else:
            flat = np.sort(self.rng.choice(x.size, count, replace=False))
        return [tuple(int(i) for i in index) for index in zip(*np.unravel_index(flat, x.shape))]

    def _directions(self, place: int, a: np.ndarray, number: int) -> Iterator[Line]:
        for k in range(number if a.size else 0):
            v = self.rng.standard_normal(a.shape)
            v /= np.linalg.norm(v)
            phi = self.total.direction({place: v})
            yield Line(f"direction {k + 1}", phi, float(np.sum(a * v)), 1.0, 1.0)

    def _measure(self, lines: list[Line]) -> None:
        """A first difference for each line, and how far its two sides are apart (a sign of a kink)."""
        method = METHODS[self.method]
        for line in lines:
            line.h = self.plan.step or method.best_step(self.total.relative if method.order else EPS)
            line.h *= line.scale if self.plan.step is None and method.order else 1.0
            seen: dict[Any, Any] = {}

            def phi(t: Any, line: Line = line, seen: dict = seen) -> Any:
                seen[t] = self.total.here if t == 0 else line.phi(t)
                return seen[t]

            line.numeric = float(method.formula(phi, line.h))
            line.resolution = EPS * self.total.size
            if method.order:
                largest = max(self.total.rounding, EPS * max(map(abs, seen.values())))
                line.resolution = 4 * largest / line.h
                if all(value == self.total.here for value in seen.values()):  # flat, or saturated: 1 - tanh(20)
                    line.resolution = max(line.resolution, self.total.unit)
            if -line.h in seen:
                line.bend = abs(seen[line.h] + seen[-line.h] - 2 * self.total.here) / line.h

    def _judge(self, lines: list[Line], size: float, blur: float) -> None:
        """Give each line its error. Where one is odd, look closer first: at most CLOSER lines, the worst first."""
        floor = max(1e-3 * size, 1e-300)
        for line in lines:
            line.judge(floor, blur, self.plan.rtol)
        if self.plan.step is not None or self.method == "complex":
            return
        odd = [
            n
            for n in lines
            if n.error > self.plan.rtol
            or n.bend > 0.02 * size + 20 * self.total.rounding / n.h
            or (0 < n.size < 1e-6 and n.resolution > UNRESOLVED * abs(n.analytic) > 0)
        ]
        odd.sort(key=lambda line: -line.error)
        work = sum(y.size for y in self.total.values) + sum(a.size for a in self.analytic)
        number = min(max(WORK // max(work, 1), FEWER), CLOSER)
        for start in range(0, len(odd), number):
            batch = odd[start : start + number]
            for line in batch:
                line.take(self._closer(line), max(1e-9 * self.total.size, self.total.unit))
                line.judge(floor, blur, self.plan.rtol)
            if any(line.error > self.plan.rtol for line in batch):
                break  # so many looked at, and one is wrong for certain: the rest keep their first verdict

    def _closer(self, line: Line) -> Slope:
        found = look_closer(line.phi, line.steps(), self.total.rounding)
        if 0 < line.size < 1e-6 and not found.resolution <= UNRESOLVED * abs(found.value):
            nearer = look_closer(line.phi, line.size * 0.25 ** np.arange(1, 13), self.total.rounding)
            found = min(nearer, found, key=lambda it: it.resolution / max(abs(it.value), 1e-300))
        return found

    def _analytic_noise(self, a: np.ndarray) -> float:
        """What rounding may have done to a gradient that was computed in float32."""
        eps = precision(a)
        return 16 * eps * float(np.max(np.abs(a), initial=0.0, where=np.isfinite(a))) if eps > EPS else 0.0

    def _grade(self, error: float, lines: list[Line]) -> str:
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
                at = look_closer(self.total.direction(moves), STEPS, self.total.rounding)
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
                    first, second = f"{one.name}{list(kink['index'])}", f"{other.name}{list(kink2['index'])}"
                    one.diagnosis = (
                        f"a kink is counted twice: {first} and {second} tie; "
                        f"moved together the slope lies between {low:.6g} and {high:.6g}, their gradients add up to "
                        f"{together:.6g}"
                    )
                    return

    def _diagnose(self, analytic: list[np.ndarray], numeric: list[np.ndarray]) -> None:
        report = self.report
        for found, a, n in zip(report.arguments, analytic, numeric):
            if found.directions and not found.ok and not np.any(found.errors > self.plan.rtol):
                self._hunt(found, a, n)
            if not found.ok and not found.diagnosis:
                found.diagnosis = diagnose(self._evidence(found, a, n, numeric))
        report.diagnosis = "; ".join(f"{a.name}: {a.diagnosis}" for a in report.arguments if not a.ok)
        wrong = [found for found in report.arguments if not found.ok]
        if len(wrong) == 1 < len(report.arguments) and self._is_bias(wrong[0]):
            report.diagnosis = f"only the bias is wrong: {report.diagnosis}"

    def _is_bias(self, found: Argument) -> bool:
        """A vector that is called so, or beside at least two other arguments, or that is just added to the output."""
        if len(found.shape) > 1 or not found.shape:
            return False
        if "bias" in found.name or len(self.report.arguments) > 2:
            return True
        moved = list(self.total.arrays)
        moved[found.position] = moved[found.position] + 1.0
        return all(np.allclose(y - 1, before) for y, before in zip(self.subject.value(moved), self.total.values))

    def _hunt(self, found: Argument, a: np.ndarray, n: np.ndarray) -> None:
        """A direction is off, but no element that was looked at: find one by halving, and look at its neighbours."""
        x = self.total.arrays[found.position]
        where, size = np.arange(x.size), np.sqrt(np.mean(a * a))
        while len(where) > 1:
            half = where[: len(where) // 2]
            v = np.zeros(x.size)
            v[half] = self.rng.standard_normal(len(half))
            v = v.reshape(x.shape) / np.linalg.norm(v)
            line = Line("half", self.total.direction({found.position: v}), float(np.sum(a * v)), 1.0, 1.0)
            self._measure([line])
            line.judge(size, 0.0, self.plan.rtol)
            where = half if line.error > self.plan.rtol else where[len(where) // 2 :]
        here = tuple(int(i) for i in np.unravel_index(where[0], x.shape))
        near = {here}
        for axis, length in enumerate(x.shape):
            near |= {(*here[:axis], i, *here[axis + 1 :]) for i in range(min(length, 32))}
        lines = [self._line(found.position, index, a) for index in sorted(near)]
        self._measure(lines)
        self._judge(lines, max(abs(line.numeric) for line in lines), self._analytic_noise(a))
        for line in lines:
            found.errors[line.index], n[line.index] = line.error, line.numeric

    def _evidence(self, found: Argument, a: np.ndarray, n: np.ndarray, numeric: list) -> Evidence:
        k, names = self.report.arguments.index(found), self.subject.names

        def pull(upstream: list[np.ndarray]) -> np.ndarray:
            return self.subject.pull(self.total.arrays, upstream)[k]

        def evaluate(x: np.ndarray, others: dict[str, np.ndarray]) -> list[np.ndarray]:
            arrays = [others.get(name, array) for name, array in zip(names, self.total.arrays)]
            arrays[found.position] = x
            return self.subject.value(arrays)

        return Evidence(
            a=a,
            n=n,
            wrong=found.errors > self.plan.rtol,
            x=self.total.arrays[found.position],
            values=self.total.values,
            upstream=self.total.upstream,
            inputs={name: x for name, x in zip(names, self.total.arrays) if isinstance(x, np.ndarray | list | tuple)},
            pull=pull,
            evaluate=evaluate,
            others={names[place]: m for place, m in zip(self.subject.places, numeric) if place != found.position},
        )

    def _notes(self, numeric: list[np.ndarray]) -> None:
        """What a reader should know before trusting the verdict."""
        notes = self.report.notes
        for found, n in zip(self.report.arguments, numeric):
            if found.dtype in ("float32", "float16"):
                notes.append(f"{found.name} is {found.dtype}: checked in float64, where differences see more")
            if found.kinks:
                at = ", ".join(str(list(kink["index"])) for kink in found.kinks[:3]) + ", ..." * (len(found.kinks) > 3)
                notes.append(
                    f"{found.name} has {len(found.kinks)} kink{'s' * (len(found.kinks) > 1)} (slopes from left and "
                    f"right differ), at {at}: any slope between them is accepted there"
                )
            if found.jumps:
                at = ", ".join(str(list(index)) for index in found.jumps[:3]) + ", ..." * (len(found.jumps) > 3)
                notes.append(f"f jumps or has no finite slope in {found.name} at {at}: nothing was compared there")
            known = n[np.isfinite(n)]
            if known.size and not known.any():
                notes.append(f"every slope in {found.name} is 0 here: a wrong derivative may hide; try other inputs")
        if not self.total.all_finite:
            notes.append("f is not finite everywhere; outputs that are inf or nan were left out")
        if all(0 in found.shape for found in self.report.arguments):
            notes.append("the inputs are empty: nothing was compared")


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.max(np.abs(a - b), initial=0.0)) if a.shape == b.shape else math.inf


def _step_scale(x: float) -> float:
    size = abs(float(x))
    return max(min(max(size, 0.1), 1.0), 1e-4 * size)
