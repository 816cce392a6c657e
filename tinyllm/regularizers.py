"""Penalties that keep weights or outputs small: one number each, added to the loss that is trained on."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyllm.names import lookup

__all__ = ["L1", "L1L2", "L2", "Regularizer", "get", "serialize"]


class Regularizer:
    """The base: a subclass computes its penalty, one number, from an array or a Tensor."""

    def __init__(self, **factors: float):
        for name, value in factors.items():
            if isinstance(value, bool | str) or not 0 <= value < np.inf:
                raise ValueError(f"{type(self).__name__}: {name} must be a number that is at least 0; found {value!r}")
        self.factors = {name: float(value) for name, value in factors.items()}

    def __call__(self, x: Any) -> Any:
        """The penalty for x."""
        raise NotImplementedError(f"{type(self).__name__} has no __call__()")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal one."""
        return dict(self.factors)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value:g}' for name, value in self.factors.items())})"


class L1(Regularizer):
    """l1 sum |x|: drives weights that hardly matter to 0 (the lasso: Tibshirani 1996).

    Raises ValueError unless l1 is finite and at least 0.

    >>> float(L1(0.5)(np.array([1.0, -2.0])))
    1.5
    """

    def __init__(self, l1: float = 0.01):
        super().__init__(l1=l1)

    def __call__(self, x):
        return self.factors["l1"] * np.sum(np.absolute(x))


class L2(Regularizer):
    """l2 sum x^2: shrinks each weight in proportion to its size (ridge regression: Hoerl & Kennard 1970).

    Raises ValueError unless l2 is finite and at least 0.

    >>> float(L2(0.5)(np.array([1.0, -2.0])))
    2.5
    """

    def __init__(self, l2: float = 0.01):
        super().__init__(l2=l2)

    def __call__(self, x):
        return self.factors["l2"] * np.sum(np.square(x))


class L1L2(Regularizer):
    """l1 sum |x| + l2 sum x^2 (the elastic net: Zou & Hastie 2005).

    Raises ValueError unless both factors are finite and at least 0.

    >>> float(L1L2(l1=1.0, l2=0.5)(np.array([1.0, -2.0])))
    5.5
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0):
        super().__init__(l1=l1, l2=l2)

    def __call__(self, x):
        return self.factors["l1"] * np.sum(np.absolute(x)) + self.factors["l2"] * np.sum(np.square(x))


REGULARIZERS: dict[str, type[Regularizer]] = {"l1": L1, "l2": L2, "l1_l2": L1L2}


def get(regularizer: Any) -> Callable[[Any], Any] | None:
    """A regularizer by name ("l1", "l2", "l1_l2"), or from {"class_name": ..., "config": {...}}.

    None is none; a function of the weights is returned as it is. ValueError on an unknown name, listing the known ones.

    >>> get("l2"), get({"class_name": "L1", "config": {"l1": 0.5}})
    (L2(l2=0.01), L1(l1=0.5))
    """
    if regularizer is None or (callable(regularizer) and not isinstance(regularizer, type)):
        return regularizer
    if isinstance(regularizer, dict):
        classes = {c.__name__: c for c in REGULARIZERS.values()}
        return lookup("regularizer", regularizer.get("class_name"), classes)(**regularizer.get("config", {}))
    return lookup("regularizer", regularizer, REGULARIZERS)()


def serialize(regularizer: Any) -> dict[str, Any] | None:
    """What get() turns back into this regularizer; the form Keras writes. ValueError for a private function."""
    if regularizer is None:
        return None
    if type(regularizer) not in REGULARIZERS.values():
        raise ValueError(f"{regularizer!r} is not one of tinyllm's regularizers, so a model file cannot name it")
    return {"class_name": type(regularizer).__name__, "config": regularizer.get_config()}
