"""How weights start. Each is called with (shape, rng, dtype) and returns an array; rng is a numpy Generator.

The scale follows the fan of the matrix (Glorot & Bengio 2010; He et al. 2015; LeCun et al. 1998), so that signals keep
their size from layer to layer.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tinyllm.names import lookup

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "Zeros",
    "get",
]


@dataclass(frozen=True)
class Initializer:
    """The base: a subclass draws float64 values, and this casts them."""

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator, dtype: Any = "float32") -> np.ndarray:
        return np.asarray(self.draw(shape, rng), dtype, order="C")  # one layout, so that a product has the same bits

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal one."""
        return asdict(self)


@dataclass(frozen=True)
class Constant(Initializer):
    """Every value the same."""

    value: float = 0.0

    def draw(self, shape, rng):
        return np.full(shape, self.value)


class Zeros(Initializer):
    """All 0."""

    def draw(self, shape, rng):
        return np.zeros(shape)


class Ones(Initializer):
    """All 1."""

    def draw(self, shape, rng):
        return np.ones(shape)


@dataclass(frozen=True)
class RandomUniform(Initializer):
    """Uniform between minval and maxval."""

    minval: float = -0.05
    maxval: float = 0.05

    def draw(self, shape, rng):
        return rng.uniform(self.minval, self.maxval, shape)


@dataclass(frozen=True)
class RandomNormal(Initializer):
    """Normal with this mean and standard deviation."""

    mean: float = 0.0
    stddev: float = 0.05

    def draw(self, shape, rng):
        return rng.normal(self.mean, self.stddev, shape)


class _Scaled(Initializer):
    """Variance scale / fan; fan is the number of inputs ("in") or the mean of inputs and outputs ("avg")."""

    scale, mode, normal = 1.0, "avg", False

    def draw(self, shape, rng):
        window = math.prod(shape[:-2])  # a convolution's kernel: how many inputs each output sees
        fan_in, fan_out = (
            (window * shape[-2], window * shape[-1]) if len(shape) > 1 else (math.prod(shape), math.prod(shape))
        )
        variance = self.scale / (fan_in if self.mode == "in" else (fan_in + fan_out) / 2)
        if self.normal:
            return _truncated_normal(shape, rng) * np.sqrt(variance)
        return rng.uniform(-1, 1, shape) * np.sqrt(3 * variance)


class GlorotUniform(_Scaled):
    """Uniform with variance 2 / (fan_in + fan_out)."""


class GlorotNormal(_Scaled):
    """Truncated normal with variance 2 / (fan_in + fan_out)."""

    normal = True


class HeUniform(_Scaled):
    """Uniform with variance 2 / fan_in, for relu."""

    scale, mode = 2.0, "in"


class HeNormal(HeUniform):
    """Truncated normal with variance 2 / fan_in, for relu."""

    normal = True


class LecunUniform(_Scaled):
    """Uniform with variance 1 / fan_in."""

    mode = "in"


class LecunNormal(LecunUniform):
    """Truncated normal with variance 1 / fan_in."""

    normal = True


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """gain times a matrix with orthonormal rows (or columns, if it is tall) (Saxe et al. 2014).

    >>> q = Orthogonal()((2, 8), np.random.default_rng(0), "float64")
    >>> np.allclose(q @ q.T, np.eye(2))
    True
    """

    gain: float = 1.0

    def draw(self, shape, rng):
        if len(shape) < 2:
            raise ValueError(f"Orthogonal: needs a matrix, found the shape {shape}")
        rows, columns = int(np.prod(shape[:-1])), shape[-1]
        q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
        q = q * np.sign(np.diag(r))  # makes the draw uniform over orthogonal matrices
        return self.gain * np.reshape(q if rows >= columns else q.T, shape)


def _truncated_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Normal values redrawn where beyond two standard deviations, scaled back to variance 1."""
    x = rng.normal(size=shape)
    while (far := np.abs(x) > 2).any():
        x[far] = rng.normal(size=int(far.sum()))
    return x / 0.87962566103423978  # the standard deviation of a normal cut at +-2


INITIALIZERS: dict[str, type[Initializer]] = {
    "constant": Constant,
    "glorot_normal": GlorotNormal,
    "glorot_uniform": GlorotUniform,
    "he_normal": HeNormal,
    "he_uniform": HeUniform,
    "lecun_normal": LecunNormal,
    "lecun_uniform": LecunUniform,
    "normal": RandomNormal,
    "ones": Ones,
    "orthogonal": Orthogonal,
    "random_normal": RandomNormal,
    "random_uniform": RandomUniform,
    "uniform": RandomUniform,
    "zeros": Zeros,
}


def get(initializer: Any) -> Initializer:
    """An initializer by name or from {"class_name": ..., "config": {...}}; an Initializer is returned as it is.

    >>> get("glorot_uniform")((2, 3), np.random.default_rng(0)).shape
    (2, 3)
    """
    if isinstance(initializer, Initializer):
        return initializer
    if isinstance(initializer, dict):
        classes = {c.__name__: c for c in INITIALIZERS.values()}
        config = {k: v for k, v in initializer.get("config", {}).items() if k != "seed"}
        return lookup("initializer", initializer.get("class_name"), classes)(**config)
    return lookup("initializer", initializer, INITIALIZERS)()


def serialize(initializer: Initializer) -> dict[str, Any]:
    """What get() turns back into this initializer; the form Keras writes."""
    return {"class_name": type(initializer).__name__, "config": initializer.get_config()}
