"""The function under test as one number, sum(f * upstream), near its inputs; and how exactly that number is known."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinyllm.autograd.gradcheck.differences import EPS, METHODS, STEPS, look_closer, noise
from tinyllm.autograd.gradcheck.subjects import Subject

__all__ = ["Total", "precision"]


class Total:
    """sum(f(arrays) * upstream), called as a function.

    `arrays` are copies of the subject's; element() moves them in place and puts them back.
    """

    def __init__(self, subject: Subject, rng: np.random.Generator):
        self.subject = subject
        self.arrays = [a.copy() if i in subject.places else a for i, a in enumerate(subject.arrays)]
        self.values = self.outputs()
        for i in subject.places:
            if not np.array_equal(self.arrays[i], subject.arrays[i], equal_nan=True):
                raise ValueError(
                    f"gradcheck: f writes into its argument {subject.names[i]}; let it work on a copy (x = x.copy())"
                )
        self.upstream = [rng.standard_normal(y.shape) for y in self.values]
        self.finite = [np.isfinite(y) for y in self.values]
        for u, finite in zip(self.upstream, self.finite):
            u[~finite] = 0
        self.all_finite = all(finite.all() for finite in self.finite)
        self.here = self()
        weighted = (np.abs(y * u)[finite] for y, u, finite in zip(self.values, self.upstream, self.finite))
        self.size = sum(float(np.sum(w)) for w in weighted)
        self.unit = EPS * max((float(np.max(np.abs(u), initial=0.0)) for u in self.upstream), default=0.0)
        self.rounding = 0.0  # the rounding errors in it: absolute, and relative to its size
        self.relative = EPS

    def outputs(self) -> list[np.ndarray]:
        """f's outputs as real floating-point arrays; TypeError for anything else."""
        values = self.subject.value(self.arrays)
        if not values:
            raise TypeError("gradcheck: f returned no output at all; return an array, or a tuple of arrays")
        for y in values:
            if y.dtype.kind not in "biuf":
                raise TypeError(f"gradcheck: f must return real numbers; found {y.dtype}")
        return [y if y.dtype.kind == "f" else y.astype(np.float64) for y in values]

    def __call__(self, arrays: Sequence[Any] | None = None) -> Any:
        values = self.subject.value(self.arrays if arrays is None else arrays)
        if self.all_finite:
            return sum(np.vdot(u, y).item() for u, y in zip(self.upstream, values))
        return sum(np.sum(np.where(ok, y * u, 0)) for y, u, ok in zip(values, self.upstream, self.finite))

    def gradient(self) -> list[np.ndarray]:
        """The gradient under test."""
        return self.subject.pull(self.arrays, self.upstream)

    def element(self, place: int, index: tuple) -> Callable[[float], float]:
        """It as a function of how far one element is moved."""
        x = self.arrays[place]

        def phi(t: float) -> float:
            kept = x[index]
            x[index] = kept + t
            value = self()
            x[index] = kept
            return value

        return phi

    def direction(self, moves: dict[int, np.ndarray]) -> Callable:
        """It as a function of how far the arguments are moved along `moves`; a complex distance makes them complex."""

        def phi(t: Any) -> Any:
            arrays = list(self.arrays)
            for place, v in moves.items():
                arrays[place] = arrays[place] + t * v
            return self(arrays)

        return phi

    def measure_rounding(self, rng: np.random.Generator) -> str:
        """How large the rounding errors are, absolute and relative; returns what a reader should know of it, or ''."""
        places = [i for i in self.subject.places if self.arrays[i].size]
        moves = {i: rng.standard_normal(self.arrays[i].shape) * _scale(self.arrays[i], 0) for i in places}
        norm = math.sqrt(sum(v.size for v in moves.values())) or 1.0
        along = self.direction({i: v / norm for i, v in moves.items()})
        arrays = [a + v / norm * 0.01 if (v := moves.get(i)) is not None else a for i, a in enumerate(self.arrays)]
        moved = self.subject.value(arrays)  # values that are simple numbers here are not simple there
        self.rounding = max(self.size * max(map(precision, moved)), self._scatter(along))
        self.relative = min(max(self.rounding / self.size, EPS), 1e-3) if self.size else EPS
        if self.relative < 1e-10:
            return ""
        low = [str(y.dtype) for y in self.values if y.dtype in (np.float16, np.float32)]
        where = f"f returns {low[0]}" if low else "is there float32 inside f?"
        return (
            f"f's values are good to {self.relative:.0e} of their size only ({where}): differences of them cannot see "
            f"an error below about {self.relative**0.8:.0e}; compute in float64 to see more"
        )

    def _scatter(self, along: Callable) -> float:
        """Noise is the same everywhere; what is larger beside one point than away from it comes from that point."""
        found = []
        for start in (0.0, 1e-3, -1e-3):

            def phi(t: float, start: float = start) -> float:
                return along(start + t)

            found.append(noise(phi))
        return min((size for size in found if math.isfinite(size)), default=0.0)

    def complex_step_fails(self, rng: np.random.Generator) -> str:
        """Why the complex step cannot be used: f must be analytic and take complex arrays. '' if it can."""
        tensors, self.subject.tensors = self.subject.tensors, False
        problem = ""
        for place in self.subject.places:
            v = rng.standard_normal(self.arrays[place].shape) * _scale(self.arrays[place], 0.1)
            try:
                found = METHODS["complex"].formula(self.direction({place: v}), 1e-20)
            except Exception as error:
                problem = f"f does not take complex arrays: {type(error).__name__}: {str(error).splitlines()[0]:.80}"
                break
            real = look_closer(self.direction({place: v}), STEPS, self.rounding)
            if not abs(found - real.value) <= 1e-5 * max(abs(found), abs(real.value)) + 3 * real.resolution:
                problem = f"f is not analytic in {self.subject.names[place]} (abs, comparisons, conj, a cast to real?)"
                break
        if problem:
            self.subject.tensors = tensors
        return problem


def precision(y: np.ndarray) -> float:
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


def _scale(x: np.ndarray, least: float) -> np.ndarray:
    """How far each element may be moved: its own size, at most 1, and 1 for a zero."""
    size = np.minimum(np.abs(x), 1.0)
    return np.where(size == 0, 1.0, np.maximum(size, least))
