"""What is known about a wrong gradient, and the questions that the table of mistakes asks of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

__all__ = ["Evidence"]

LARGEST_JACOBIAN = 4_000_000  # outputs times elements


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
    evaluate: Callable[..., list[np.ndarray]]  # f's outputs for another x, and for other arguments by name
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
    def mostly_right(self) -> bool:
        telling = self.known & ((self.n != 0) | self.wrong)
        return bool(self.wrong.sum() < 0.5 * telling.sum())

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

    def outputs_slope(self, i: int, others: dict[str, np.ndarray]) -> np.ndarray:
        """How all outputs, side by side, change with the i-th element of x: Richardson's difference."""
        value = self.x.flat[i]
        h = 1e-3 * max(min(max(abs(value), 0.1), 1.0), 1e-4 * abs(value))
        at = []
        for t in (h, -h, 2 * h, -2 * h):
            moved = self.x.copy()
            moved.flat[i] += t
            at.append(np.concatenate([np.ravel(y) for y in self.evaluate(moved, others)]))
        return (8 * (at[0] - at[1]) - (at[2] - at[3])) / (12 * h)

    def slopes_with(self, name: str, value: np.ndarray) -> np.ndarray | None:
        """The true gradient where another argument has another value; None where f does not take it."""
        try:
            columns = [self.outputs_slope(i, {name: value}) for i in range(self.x.size)]
        except Exception:
            return None
        u = np.concatenate([np.ravel(u) for u in self.upstream])
        return (u @ np.stack(columns, axis=1)).reshape(self.x.shape) if columns[0].size == u.size else None

    @cached_property
    def jacobian(self) -> np.ndarray | None:
        """d outputs / d x by differences, (outputs, elements); None if that is too large or not all of n is known."""
        outputs = sum(y.size for y in self.values)
        if not self.known.all() or outputs * self.x.size > LARGEST_JACOBIAN or not self.x.size:
            return None
        columns = [self.outputs_slope(i, {}) for i in range(self.x.size)]
        j = np.stack(columns, axis=1).astype(float)
        return np.where(np.abs(j) < 1e-9 * np.max(np.abs(j), initial=0.0), 0.0, j)

    def pulled(self, *upstream: np.ndarray) -> np.ndarray | None:
        """The true gradient for another upstream gradient."""
        if self.jacobian is None:
            return None
        return (np.concatenate([np.ravel(u) for u in upstream]) @ self.jacobian).reshape(self.x.shape)
