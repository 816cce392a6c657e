"""The class under every loss: values per sample, weights, masks, and how they become one number."""

import inspect
import re
from typing import Any

import numpy as np

from tinyllm.autograd import Tensor
from tinyllm.losses.inputs import check_options, spread

__all__ = ["Loss", "snake_case"]

REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none")


class Loss:
    """A loss as one number: f(y_true, y_pred) per sample, weighted, then reduced.

    Arguments are the function's own options, then reduction, then name.
    reduction  "sum_over_batch_size" or "mean": the sum of weight * loss, divided by the number of values (with a mask:
               by the number it keeps, and not by the weights: Keras's default)
               "mean_with_sample_weight": divided by the sum of the weights
               "sum"; "none" or None: one value per sample
    __call__(y_true, y_pred, sample_weight=None, mask=None) -> a Tensor
    sample_weight is one number per sample, (batch,), or per time step, (batch, time); a mask (batch, time) is True
    where a step counts. Of one's own: a subclass with call(y_true, y_pred) -> one value per sample.

    >>> class Absolute(Loss):
    ...     def call(self, y_true, y_pred):
    ...         return np.mean(np.absolute(y_pred - y_true), axis=-1)
    >>> float(Absolute("sum")([[1.0], [2.0]], Tensor([[1.5], [4.0]])))
    2.5
    """

    function: Any = None
    reduction: str = "sum_over_batch_size"

    def __init__(self, *arguments: Any, **options: Any):
        who, function = type(self).__name__, type(self).function
        known = [*list(inspect.signature(function).parameters)[2:]] if function else []
        known += ["reduction", "name"]
        options |= dict(zip(known, arguments))
        if not set(options) <= set(known) or len(arguments) > len(known):
            unknown = sorted(set(options) - set(known)) or list(arguments[len(known) :])
            raise TypeError(f"{who}: unknown options {unknown}; known: {', '.join(known)}")
        reduction = options.pop("reduction", self.reduction) or "none"
        if reduction not in REDUCTIONS:
            raise ValueError(f"unknown reduction {reduction!r}; known: {', '.join(REDUCTIONS)}")
        self.reduction = reduction
        self.name = options.pop("name", None) or snake_case(who)
        check_options(who, options)
        self.options = options

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One value per sample (per time step, for sequences)."""
        function = type(self).function
        if function is None:
            raise NotImplementedError(f"{type(self).__name__}: a loss of one's own defines call(self, y_true, y_pred)")
        return function(y_true, y_pred, **self.options)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> Tensor:
        values = self.call(y_true, y_pred)
        if not isinstance(values, Tensor):
            raise TypeError(f"{self.name}: a loss is a Tensor computed from y_pred; found {type(values).__name__}")
        keep = None if mask is None or not values.ndim else spread(self.name, mask, values.shape).astype(values.dtype)
        weight = None if sample_weight is None else spread(self.name, sample_weight, values.shape).astype(values.dtype)
        if keep is not None:
            weight = keep if weight is None else weight * keep
        if weight is not None:
            values = values * weight
        if self.reduction in ("sum", "none"):
            return np.sum(values) if self.reduction == "sum" else values
        counted = weight if self.reduction == "mean_with_sample_weight" else keep
        total = values.size if counted is None else counted.sum()
        return np.sum(values) / (total or 1.0)  # where nothing counts the sum is 0 already

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal one."""
        return {"reduction": self.reduction, "name": self.name, **self.options}


def snake_case(name: str) -> str:
    """CamelCase as snake_case.

    >>> snake_case("MeanSquaredError"), snake_case("KLDivergence"), snake_case("F1Score")
    ('mean_squared_error', 'kl_divergence', 'f1_score')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
