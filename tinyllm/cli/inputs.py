"""What goes into a check from the command line: shapes read from text, and random arrays that have them."""

import argparse
import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Input", "draw", "input_", "labels", "refuse_enormous"]

LARGEST = 10**7  # numbers in all inputs together, and in all weights: 80 MB, of which a check makes some copies
MOST_AXES = 32


class Input(NamedTuple):
    """One argument: its shape, and for whole numbers 0, 1, ... the number that is above them all."""

    shape: tuple[int, ...]
    below: int | None = None


def input_(text: str) -> Input:
    """An Input from the command line; argparse shows what is wrong with it.

    >>> input_("3,4"), input_("()").shape, input_("2,5:int10").below
    (Input(shape=(3, 4), below=None), (), 10)
    """
    sizes, colon, kind = text.replace(" ", "").partition(":")
    sizes = re.sub(r"\A\((.*)\)\Z", r"\1", sizes)
    whole = re.fullmatch(r"int(\d{1,18})", kind, re.ASCII)
    if re.fullmatch(r"-?\d+(,-?\d+)*,?", sizes, re.ASCII) and "-" in sizes:
        raise argparse.ArgumentTypeError(f"{text!r}: a size cannot be negative")
    if not re.fullmatch(r"(\d{1,18}(,\d{1,18})*,?)?", sizes, re.ASCII):
        hint = "; MODULE:FUNCTION goes before --shapes" if colon and not whole else ""
        raise argparse.ArgumentTypeError(f"{text!r} is no shape; write 3,4 or 3 or (){hint}")
    if colon and not (whole and int(whole[1])):
        raise argparse.ArgumentTypeError(f"{text!r}: after the colon stands intN, as in 2,5:int10 for 0 to 9")
    shape = tuple(int(n) for n in sizes.split(",") if n)
    if len(shape) > MOST_AXES:
        raise argparse.ArgumentTypeError(f"{len(shape)} axes; at most {MOST_AXES}")
    return Input(shape, int(whole[1]) if whole else None)


def draw(inputs: Sequence[Input], options: argparse.Namespace) -> list[np.ndarray]:
    """Random arrays: standard normal, or as --positive, --low and --high say. The same seed gives the same numbers."""
    refuse_enormous("--shapes", sum(math.prod(each.shape) for each in inputs))
    low, high = 0.0 if options.positive and options.low is None else options.low, options.high
    if low is not None and high is not None and not (low < high and math.isfinite(high - low)):
        raise ValueError(f"there is nothing to draw between {low:g} and {high:g}; --low must be less than --high")
    if options.positive and low is not None and low < 0:
        raise ValueError(f"--positive and --low {low:g} contradict each other; leave one out")
    rng = np.random.default_rng(options.seed)

    def one(shape: tuple[int, ...]) -> Any:
        if low is not None and high is not None:
            return rng.uniform(low, high, shape)
        z = rng.standard_normal(shape)
        return z if low is high else high - np.exp(z) if low is None else low + np.exp(z)

    return [
        np.asarray(one(each.shape) if each.below is None else rng.integers(each.below, size=each.shape))
        for each in inputs
    ]


def refuse_enormous(what: str, numbers: int) -> None:
    """ValueError where so many numbers are more than a check should take, before memory is asked for them."""
    if numbers > LARGEST:
        bytes_, unit = 8.0 * numbers, 0
        while bytes_ >= 1000 and unit < 6:
            bytes_, unit = bytes_ / 1000, unit + 1
        size = f"{bytes_:.3g} {('bytes', 'KB', 'MB', 'GB', 'TB', 'PB', 'EB')[unit]}"
        raise ValueError(f"{what}: {numbers:,} numbers are {size}; a check takes at most {LARGEST:,}")


def labels(loss: Any, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Labels that this loss takes for predictions of this shape."""
    from tinyllm import losses

    rng = np.random.default_rng((seed, 1))
    axis = loss.options.get("axis", -1)
    if isinstance(loss, losses.SparseCategoricalCrossentropy):
        return rng.integers(shape[axis], size=shape[:axis] + shape[axis:][1:])
    if isinstance(loss, losses.CategoricalCrossentropy | losses.CategoricalFocalCrossentropy | losses.CategoricalHinge):
        ids = rng.integers(shape[axis], size=shape[:axis] + shape[axis:][1:])
        return np.moveaxis(np.eye(shape[axis])[ids], -1, axis)
    if isinstance(loss, losses.KLDivergence):
        z = np.exp(rng.standard_normal(shape))
        return z / z.sum(axis=-1, keepdims=True)
    if isinstance(loss, losses.MeanSquaredLogarithmicError | losses.MeanAbsolutePercentageError):
        return np.exp(rng.standard_normal(shape))
    if isinstance(loss, losses.Poisson | losses.Hinge | losses.SquaredHinge) or "Binary" in type(loss).__name__:
        return rng.integers(2, size=shape).astype(float)
    return rng.standard_normal(shape)
