"""One comparison of a slope with a gradient: along an element, or along a direction."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyllm.autograd.gradcheck.differences import STEPS, Slope

__all__ = ["UNRESOLVED", "Line", "largest"]

UNRESOLVED = 0.05  # a slope known no better than this part of itself says nothing


@dataclass
class Line:
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
        return STEPS * max(self.size, 0.1)

    def take(self, found: Slope, negligible: float) -> None:
        """What a closer look found. A slope that is known worse than a twentieth of itself is no slope."""
        negligible = max(negligible, self.resolution)
        self.numeric, self.resolution, self.kind = found.value, found.resolution, found.kind
        self.left, self.right = found.left, found.right
        off, size = abs(self.analytic - self.numeric), max(abs(self.numeric), abs(self.analytic))
        if self.kind != "kink" and negligible < self.resolution > UNRESOLVED * size and off <= 3 * self.resolution:
            self.kind = "jump"

    def judge(self, floor: float, blur: float, rtol: float) -> None:
        """The relative error; what differences and rounding leave open is taken off where it is more than rtol."""
        a, n = self.analytic, self.numeric
        if self.kind == "jump":
            self.error = self.absolute = 0.0 if not math.isnan(a) else math.inf
            return
        if self.kind == "kink":  # any slope between the two sides will do
            n = self.numeric = min(max(a, min(self.left, self.right)), max(self.left, self.right))
        self.absolute = abs(a - n)
        open_, size = self.resolution + blur, max(abs(a), abs(n), floor)
        self.error = (self.absolute if open_ <= rtol * size else max(0.0, self.absolute - open_)) / size
        if not math.isfinite(self.error):
            self.error = math.inf

    def kink(self) -> dict[str, Any]:
        return {"index": self.index, "left": self.left, "right": self.right, "analytic": float(self.analytic)}


def largest(lines: list[Line]) -> float:
    """The largest slope that was measured."""
    slopes = (abs(line.numeric) for line in lines if line.kind != "jump" and math.isfinite(line.numeric))
    return max(slopes, default=0.0)
