"""Optimisers: how a gradient becomes a step.

The weights of one dtype are moved into one flat buffer (each weight's `.data` becomes a view of it), so that an update
is a few passes over memory instead of a few per weight.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinyllm.autograd import Tensor
from tinyllm.names import lookup

__all__ = ["SGD", "Adam", "Optimizer", "get"]


class Optimizer:
    """The base. A subclass writes update(w, g, slots): change the flat weights w in place, given their gradient g.

    learning_rate may be changed at any time. `iterations` counts the steps taken.
    """

    slot_names: tuple[str, ...] = ()  # what is remembered per weight, zero at first

    def __init__(self, learning_rate: float, name: str | None = None):
        if not isinstance(learning_rate, float | int | np.number) or not 0 <= learning_rate < math.inf:
            raise ValueError(
                f"{type(self).__name__}: learning_rate must be 0 or a positive number; found {learning_rate!r}"
            )
        self.learning_rate = learning_rate
        self.name = name or type(self).__name__.lower()
        self.iterations = 0
        self.buffers: list[_Flat] = []
        self.parameters: list[Tensor] = []

    def apply_gradients(self, gradients_and_weights: Iterable[tuple[Any, Tensor]]) -> None:
        """One step: pairs of a gradient (an array, or None to leave a weight alone for now) and its weight.

        Raises, before any weight moves, FloatingPointError if a gradient is NaN or infinite, ValueError if it has
        another shape than its weight, and TypeError for a weight that is no Tensor.

        >>> w = Tensor([1.0], requires_grad=True)
        >>> SGD(learning_rate=0.5).apply_gradients([(np.array([2.0]), w)])
        >>> w.data
        array([0.])
        """
        pairs = list(gradients_and_weights)
        self.build([w for _, w in pairs])
        gradients = {id(w): g for g, w in pairs}
        for buffer in self.buffers:
            buffer.gather(gradients)
            if not np.isfinite(buffer.g).all():
                raise FloatingPointError("the gradient is not finite; the weights are as they were before this step")
        self.iterations += 1
        for buffer in self.buffers:
            self.update(buffer.w, buffer.g, buffer.slots)

    def build(self, parameters: list[Tensor]) -> None:
        """Move the weights into flat buffers. Done by the first step; ValueError if the weights change later."""
        if not self.parameters:
            for p in parameters:
                if not isinstance(p, Tensor):
                    raise TypeError(f"apply_gradients: a pair is (gradient, weight); found {p!r:.40} for a weight")
            self.parameters = list(parameters)
            dtypes = dict.fromkeys(p.dtype for p in parameters)
            self.buffers = [_Flat([p for p in parameters if p.dtype == d], self.slot_names) for d in dtypes]
        elif [id(p) for p in parameters] != [id(p) for p in self.parameters]:
            raise ValueError(
                f"{type(self).__name__}: built for {len(self.parameters)} weights, found others; "
                "use a new optimizer (compile the model again)"
            )

    def update(self, w: np.ndarray, g: np.ndarray, slots: dict[str, np.ndarray]) -> None:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal one."""
        return {"name": self.name, "learning_rate": self.learning_rate}

    def get_state(self) -> list[dict[str, np.ndarray]]:
        """For each weight, its slots (views): what must be saved, with `iterations`, to go on exactly."""
        state: dict[int, dict[str, np.ndarray]] = {}
        for buffer in self.buffers:
            state |= buffer.slots_by_weight()
        return [state[id(p)] for p in self.parameters]


class _Flat:
    """Weights of one dtype side by side in one array, with their gradient and slots laid out alike."""

    def __init__(self, parameters: list[Tensor], slot_names: tuple[str, ...]):
        self.parameters = parameters
        ends = np.cumsum([p.size for p in parameters]).tolist()
        self.parts = [slice(end - p.size, end) for p, end in zip(parameters, ends)]
        self.w = np.empty(ends[-1] if ends else 0, parameters[0].dtype)
        self.g = np.empty_like(self.w)
        self.slots = {name: np.zeros_like(self.w) for name in (*slot_names, "scratch")}
        self.views = [self.w[part].reshape(p.shape) for p, part in zip(parameters, self.parts)]

    def gather(self, gradients: dict[int, Any]) -> None:
        for p, part, view in zip(self.parameters, self.parts, self.views):
            if p.data is not view:  # the first time, or someone gave the weight another array since
                view[...] = p.data
                p.data = view
                if p.node is not None:
                    p.node.value = view
            g = gradients[id(p)]
            if g is None:
                self.g[part] = 0
                continue
            g = g.data if isinstance(g, Tensor) else np.asarray(g)
            if g.shape != p.shape:
                raise ValueError(f"apply_gradients: a gradient of shape {g.shape} for a weight of shape {p.shape}")
            self.g[part] = g.ravel()

    def slots_by_weight(self) -> dict[int, dict[str, np.ndarray]]:
        return {
            id(p): {n: s[part].reshape(p.shape) for n, s in self.slots.items() if n != "scratch"}
            for p, part in zip(self.parameters, self.parts)
        }


class SGD(Optimizer):
    """Gradient descent: w = w - learning_rate g; with momentum m: v = m v - learning_rate g, w = w + v.

    nesterov: w = w + m v - learning_rate g (Nesterov 1983; this form: Sutskever et al. 2013).
    Whether it is "stochastic" is a matter of the batch, not of this formula.
    """

    slot_names = ("momentum",)

    def __init__(
        self, learning_rate: float = 0.01, momentum: float = 0.0, nesterov: bool = False, name: str | None = None
    ):
        super().__init__(learning_rate, name)
        if not 0 <= momentum <= 1:
            raise ValueError(f"SGD: momentum must be between 0 and 1; found {momentum}")
        self.momentum = momentum
        self.nesterov = nesterov

    def update(self, w, g, slots):
        g *= -self.learning_rate
        if self.momentum:
            v = slots["momentum"]
            v *= self.momentum
            v += g
            if self.nesterov:
                g += np.multiply(v, self.momentum, out=slots["scratch"])
            else:
                g = v
        w += g

    def get_config(self):
        return super().get_config() | {"momentum": self.momentum, "nesterov": self.nesterov}


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, section 2, the form at its end), with Keras's defaults.

    m = beta_1 m + (1 - beta_1) g               a running mean of the gradient
    v = beta_2 v + (1 - beta_2) g^2             and of its square
    w = w - learning_rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon)
    """

    slot_names = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        name: str | None = None,
    ):
        super().__init__(learning_rate, name)
        if not (0 <= beta_1 < 1 and 0 <= beta_2 < 1):
            raise ValueError(f"Adam: beta_1 and beta_2 must be at least 0 and below 1; found {beta_1}, {beta_2}")
        if not epsilon > 0:
            raise ValueError(f"Adam: epsilon must be positive, it keeps 0 / 0 away; found {epsilon}")
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def update(self, w, g, slots):
        m, v, scratch = slots["momentum"], slots["velocity"], slots["scratch"]
        t = self.iterations
        m *= self.beta_1
        m += np.multiply(g, 1 - self.beta_1, out=scratch)
        v *= self.beta_2
        g *= g
        v += np.multiply(g, 1 - self.beta_2, out=scratch)
        np.sqrt(v, out=scratch)
        scratch += self.epsilon
        np.divide(m, scratch, out=scratch)
        scratch *= self.learning_rate * math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        w -= scratch

    def get_config(self):
        return super().get_config() | {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}


OPTIMIZERS: dict[str, type[Optimizer]] = {"adam": Adam, "sgd": SGD}


def get(optimizer: Any) -> Optimizer:
    """An optimizer from a name, from {"class_name": ..., "config": {...}}, or the optimizer itself.

    >>> get("adam").learning_rate
    0.001
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, dict):
        return lookup("optimizer", str(optimizer.get("class_name")).lower(), OPTIMIZERS)(**optimizer.get("config", {}))
    return lookup("optimizer", optimizer.lower() if isinstance(optimizer, str) else optimizer, OPTIMIZERS)()
