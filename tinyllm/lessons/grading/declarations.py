"""How an exercise's file declares its checks, and the mistakes that each check must catch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Check", "Mistake", "check"]


@dataclass(frozen=True)
class Mistake:
    """A wrong answer on purpose: in the solution's cell `old`, which occurs once, becomes `new`.

    The check that lists it must lose; with `says`, a phrase, its feedback must hold that.
    """

    name: str
    old: str
    new: str
    says: str | None = None

    def applied(self, source: str) -> str:
        """The solution with this mistake. ValueError unless `old` occurs exactly once.

        >>> Mistake("forgets the minus", "-np.log", "np.log").applied("return -np.log(p)")
        'return np.log(p)'
        """
        if source.count(self.old) != 1:
            raise ValueError(
                f"mistake {self.name!r}: {self.old!r} must occur once; found {source.count(self.old)} times"
            )
        return source.replace(self.old, self.new)


@dataclass(frozen=True)
class Check:
    """What one check is: the exercise it belongs to, its points, its function (student, rng) and its sentence."""

    exercise: str
    points: int
    function: Callable[[Any, Any], None]
    catches: tuple[Mistake, ...]

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def sentence(self) -> str:
        """The first line of the function's docstring; it is shown to the student."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]


def check(exercise: str, points: int, catches: Sequence[Mistake] = ()) -> Callable[[Callable], Check]:
    """A decorator for a function (student, rng) that raises Lost, by the helpers, where the answer is wrong.

    >>> @check("05.1", points=2)
    ... def the_gradient_is_right(student, rng):
    ...     '''The gradient agrees with differences.'''
    >>> the_gradient_is_right.sentence
    'The gradient agrees with differences.'
    """
    return lambda function: Check(exercise, points, function, tuple(catches))
