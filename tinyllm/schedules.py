"""Learning-rate schedules: the number of steps taken so far -> the rate of the next step.

Any function of the step will do as an optimizer's learning_rate; these are the usual ones, under Keras's names, and
they can be saved with the model. "Step decay" is PiecewiseConstantDecay, or ExponentialDecay(..., staircase=True).
"""

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, asdict, dataclass, fields
from itertools import pairwise
from numbers import Real
from typing import Any

from tinyllm.names import lookup

__all__ = [
    "CosineDecay",
    "ExponentialDecay",
    "InverseTimeDecay",
    "OneCycle",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "Schedule",
    "get",
]

DIVISORS = {"decay_steps", "total_steps", "div_factor", "final_div_factor"}


@dataclass(frozen=True)
class Schedule:
    """The base: a subclass writes __call__(step). Two schedules with equal arguments are equal."""

    def __call__(self, step: int) -> float:
        raise NotImplementedError

    def __post_init__(self) -> None:
        for field in fields(self):
            value: Any = getattr(self, field.name)
            where = f"{type(self).__name__}: {field.name}"
            if field.type in (float, int) or (field.type == float | None and value is not None):
                number = isinstance(value, Real) and not isinstance(value, bool)
                if not number or not 0 <= value < math.inf:
                    raise ValueError(f"{where} must be 0 or a positive number; found {value!r}")
                if field.name in DIVISORS and value == 0:
                    raise ValueError(f"{where} must be positive; found 0")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal one."""
        return asdict(self)


@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """rate = initial_learning_rate * decay_rate ^ (step / decay_steps).

    staircase: the exponent is rounded down, so that the rate falls once in decay_steps steps.

    >>> halved = ExponentialDecay(0.8, decay_steps=10, decay_rate=0.5, staircase=True)
    >>> [halved(step) for step in (0, 9, 10, 20)]
    [0.8, 0.8, 0.4, 0.2]
    """

    initial_learning_rate: float
    decay_steps: float
    decay_rate: float
    staircase: bool = False

    def __call__(self, step):
        return self.initial_learning_rate * self.decay_rate ** _periods(step / self.decay_steps, self.staircase)


@dataclass(frozen=True)
class InverseTimeDecay(Schedule):
    """rate = initial_learning_rate / (1 + decay_rate step / decay_steps).

    Robbins & Monro (1951) need rates like this one: their sum is infinite, the sum of their squares is not.

    >>> [InverseTimeDecay(0.6, decay_steps=1, decay_rate=1)(step) for step in (0, 1, 2)]
    [0.6, 0.3, 0.19999999999999998]
    """

    initial_learning_rate: float
    decay_steps: float
    decay_rate: float
    staircase: bool = False

    def __call__(self, step):
        return self.initial_learning_rate / (1 + self.decay_rate * _periods(step / self.decay_steps, self.staircase))


@dataclass(frozen=True)
class PolynomialDecay(Schedule):
    """rate = (initial - end) (1 - step / decay_steps)^power + end, then end; power 1 is a straight line.

    cycle: instead of staying at the end, decay_steps is extended to its next multiple.

    >>> [PolynomialDecay(1.0, decay_steps=4, end_learning_rate=0.0)(step) for step in (0, 1, 4, 9)]
    [1.0, 0.75, 0.0, 0.0]
    """

    initial_learning_rate: float
    decay_steps: float
    end_learning_rate: float = 0.0001
    power: float = 1.0
    cycle: bool = False

    def __call__(self, step):
        last = self.decay_steps * max(1, math.ceil(step / self.decay_steps)) if self.cycle else self.decay_steps
        left = 1 - min(step / last, 1)
        return (self.initial_learning_rate - self.end_learning_rate) * left**self.power + self.end_learning_rate


@dataclass(frozen=True)
class PiecewiseConstantDecay(Schedule):
    """values[0] up to and including step boundaries[0], then values[1] up to boundaries[1], and so on.

    >>> rate = PiecewiseConstantDecay([100, 200], [0.1, 0.01, 0.001])
    >>> [rate(step) for step in (0, 100, 101, 201)]
    [0.1, 0.1, 0.01, 0.001]
    """

    boundaries: Sequence[float]
    values: Sequence[float]

    def __post_init__(self):
        object.__setattr__(self, "boundaries", tuple(self.boundaries))
        object.__setattr__(self, "values", tuple(self.values))
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"PiecewiseConstantDecay: {len(self.boundaries)} boundaries part {len(self.boundaries) + 1} values; "
                f"found {len(self.values)}"
            )
        for value in (*self.boundaries, *self.values):
            if not isinstance(value, Real) or not 0 <= value < math.inf:
                raise ValueError(f"PiecewiseConstantDecay: found {value!r} where 0 or a positive number must be")
        if any(a >= b for a, b in pairwise(self.boundaries)):
            raise ValueError(f"PiecewiseConstantDecay: boundaries must rise; found {self.boundaries}")

    def __call__(self, step):
        return self.values[sum(step > boundary for boundary in self.boundaries)]


@dataclass(frozen=True)
class CosineDecay(Schedule):
    """Half a cosine from the initial rate down to alpha times it, in decay_steps (Loshchilov & Hutter 2017, section 3).

    With a warmup_target, the rate first rises in a straight line from the initial rate to the target, for
    warmup_steps (Goyal et al. 2017, section 2.2), and the cosine starts there: what GPT is usually trained with.

    >>> rate = CosineDecay(0.0, decay_steps=100, alpha=0.1, warmup_target=0.01, warmup_steps=10)
    >>> [round(rate(step), 6) for step in (0, 5, 10, 60, 110)]
    [0.0, 0.005, 0.01, 0.0055, 0.001]
    """

    initial_learning_rate: float
    decay_steps: float
    alpha: float = 0.0
    _: KW_ONLY
    warmup_target: float | None = None
    warmup_steps: float = 0

    def __post_init__(self):
        super().__post_init__()
        if self.warmup_steps and self.warmup_target is None:
            raise ValueError(f"CosineDecay: warmup_steps={self.warmup_steps} without a warmup_target to rise to")

    def __call__(self, step):
        top = self.initial_learning_rate
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return _line(top, self.warmup_target, step / self.warmup_steps)
            step, top = step - self.warmup_steps, self.warmup_target
        return _cosine(top, self.alpha * top, min(step / self.decay_steps, 1))


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up to a large rate and down again, far below the start (Smith & Topin 2018). Numbers and names as in PyTorch.

    From max / div_factor to max_learning_rate in the first pct_start of the total_steps, then to
    max / div_factor / final_div_factor at the last step, where it stays. three_phase: down as it came up, before it
    goes lower. anneal_strategy: "cos" or "linear". The momentum stays as it is.

    >>> rate = OneCycle(1.0, total_steps=11, pct_start=0.5, anneal_strategy="linear", div_factor=10)
    >>> [round(rate(step), 3) for step in (0, 4, 5, 10)]
    [0.1, 0.9, 0.909, 0.0]
    """

    max_learning_rate: float
    total_steps: int
    pct_start: float = 0.3
    anneal_strategy: str = "cos"
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    three_phase: bool = False

    def __post_init__(self):
        super().__post_init__()
        lookup("OneCycle anneal_strategy", self.anneal_strategy, ANNEALING)
        most = 0.5 if self.three_phase else 1
        if self.pct_start > most:
            raise ValueError(f"OneCycle: pct_start must be between 0 and {most}; found {self.pct_start}")

    def __call__(self, step):
        high = self.max_learning_rate
        low = high / self.div_factor
        lowest, last = low / self.final_div_factor, self.total_steps - 1
        rise = self.pct_start * self.total_steps - 1  # as in PyTorch: the step of the summit, which may be fractional
        corners = [(0.0, low), (rise, high), (2 * rise, low), (last, lowest)]
        if not self.three_phase:
            del corners[2]
        for (start, begin), (end, target) in pairwise(corners):
            if step <= end:
                done = (step - start) / (end - start) if end > start else 1
                return ANNEALING[self.anneal_strategy](begin, target, done)
        return lowest


def _periods(elapsed: float, staircase: bool) -> float:
    return math.floor(elapsed) if staircase else elapsed


def _line(start: float, end: float, done: float) -> float:
    return start + (end - start) * done


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


ANNEALING = {"cos": _cosine, "linear": _line}
SCHEDULES: dict[str, type[Schedule]] = {
    c.__name__: c
    for c in (CosineDecay, ExponentialDecay, InverseTimeDecay, OneCycle, PiecewiseConstantDecay, PolynomialDecay)
}


def get(schedule: Any) -> Any:
    """A schedule from what serialize() gave (the form Keras writes, too); anything else is returned as it is."""
    if not isinstance(schedule, dict):
        return schedule
    config = {key: value for key, value in schedule.get("config", {}).items() if key != "name"}
    return lookup("schedule", schedule.get("class_name"), SCHEDULES)(**config)


def serialize(schedule: Any) -> Any:
    """What get() turns back into this schedule; a number, or a function of your own, is returned as it is."""
    if not isinstance(schedule, Schedule):
        return schedule
    return {"class_name": type(schedule).__name__, "config": schedule.get_config()}
