"""Optimisers that give every weight a rate of its own, from the gradients it has seen.

All follow Keras: where epsilon goes is part of the formula, and PyTorch's place is another for most of them.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinyllm.optimizers.base import Optimizer

__all__ = ["Adagrad", "Adam", "AdamW", "Adamax", "Nadam", "RMSprop"]


@dataclass(eq=False)
class Adagrad(Optimizer):
    """Adagrad (Duchi, Hazan & Singer 2011, figure 1, diagonal): a rate that falls with all the gradients so far.

    a = a + g^2                                 at first initial_accumulator_value
    w = w - rate g / sqrt(a + epsilon)
    """

    learning_rate: Any = 0.001
    initial_accumulator_value: float = 0.1
    epsilon: float = 1e-7

    @property
    def slot_names(self):
        return ("accumulator",)

    @property
    def slot_start(self):
        return self.initial_accumulator_value

    def update(self, w, g, slots, rate):
        a, scratch = slots["accumulator"], slots["scratch"]
        a += np.multiply(g, g, out=scratch)
        np.add(a, self.epsilon, out=scratch)
        g *= rate
        g /= np.sqrt(scratch, out=scratch)
        w -= g


@dataclass(eq=False)
class RMSprop(Optimizer):
    """RMSprop (Tieleman & Hinton 2012, lecture 6.5): Adagrad with a running mean in place of the sum.

    v = rho v + (1 - rho) g^2
    u = rate g / sqrt(v + epsilon)
    w = w - u                                   with momentum m: b = m b + u, w = w - b

    centered: v less the square of the running mean of g, which is the variance of g (Graves 2013, equation 40).
    """

    learning_rate: Any = 0.001
    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-7
    centered: bool = False

    @property
    def slot_names(self):
        centered, momentum = ("average_gradient",) * bool(self.centered), ("momentum",) * bool(self.momentum)
        return ("velocity", *momentum, *centered)

    def update(self, w, g, slots, rate):
        v, scratch = slots["velocity"], slots["scratch"]
        np.multiply(g, g, out=scratch)
        _average(v, scratch, self.rho, scratch)
        if self.centered:
            mean = slots["average_gradient"]
            _average(mean, g, self.rho, scratch)
            np.multiply(mean, mean, out=scratch)
            np.subtract(v, scratch, out=scratch)
            np.maximum(scratch, 0, out=scratch)  # a variance, but for rounding; below 0 its root would be NaN
            scratch += self.epsilon
        else:
            np.add(v, self.epsilon, out=scratch)
        g *= rate
        g /= np.sqrt(scratch, out=scratch)
        if self.momentum:
            b = slots["momentum"]
            b *= self.momentum
            b += g
            g = b
        w -= g


@dataclass(eq=False)
class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, section 2, the form at its end).

    m = beta_1 m + (1 - beta_1) g               a running mean of the gradient
    v = beta_2 v + (1 - beta_2) g^2             and of its square
    w = w - rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon)

    amsgrad: the largest v so far takes v's place in the last line (Reddi, Kale & Kumar 2018).
    """

    learning_rate: Any = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    amsgrad: bool = False

    @property
    def slot_names(self):
        return ("momentum", "velocity", "velocity_hat") if self.amsgrad else ("momentum", "velocity")

    def update(self, w, g, slots, rate):
        m, v, scratch = slots["momentum"], slots["velocity"], slots["scratch"]
        t = self.iterations
        _average(m, g, self.beta_1, scratch)
        g *= g
        _average(v, g, self.beta_2, scratch)
        if self.amsgrad:
            v = np.maximum(slots["velocity_hat"], v, out=slots["velocity_hat"])
        np.sqrt(v, out=scratch)
        scratch += self.epsilon
        np.divide(m, scratch, out=scratch)
        scratch *= rate * math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        w -= scratch


@dataclass(eq=False)
class AdamW(Adam):
    """Adam with weight decay (Loshchilov & Hutter 2019, algorithm 2): w = w - rate weight_decay w, then Adam's step.

    The decay is no part of the gradient, so it is not divided by sqrt(v). Group can keep it from biases.
    """

    weight_decay: float = field(default=0.004, kw_only=False)


@dataclass(eq=False)
class Adamax(Optimizer):
    """Adamax (Kingma & Ba 2015, section 7.1): Adam with a maximum in place of the mean of squares.

    m = beta_1 m + (1 - beta_1) g
    u = max(beta_2 u, |g|)
    w = w - rate / (1 - beta_1^t) m / (u + epsilon)
    """

    learning_rate: Any = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    @property
    def slot_names(self):
        return ("momentum", "norm")

    def update(self, w, g, slots, rate):
        m, u, scratch = slots["momentum"], slots["norm"], slots["scratch"]
        u *= self.beta_2
        np.maximum(u, np.abs(g, out=scratch), out=u)
        _average(m, g, self.beta_1, g)
        np.add(u, self.epsilon, out=scratch)
        np.divide(m, scratch, out=scratch)
        scratch *= rate / (1 - self.beta_1**self.iterations)
        w -= scratch


@dataclass(eq=False)
class Nadam(Optimizer):
    """Nadam (Dozat 2016, algorithm 2): Adam that looks ahead as Nesterov's momentum does.

    u_t = beta_1 (1 - 0.96^t / 2)               the momentum, warmed up; U_t = u_1 u_2 ... u_t
    m, v as in Adam
    n = u_(t+1) m / (1 - U_(t+1)) + (1 - u_t) g / (1 - U_t)
    w = w - rate n / (sqrt(v / (1 - beta_2^t)) + epsilon)

    Dozat warms up over 250 times as many steps, with 0.96^(t / 250); so does PyTorch. This is Keras's form.
    """

    learning_rate: Any = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    @property
    def slot_names(self):
        return ("momentum", "velocity")

    def update(self, w, g, slots, rate):
        m, v, scratch = slots["momentum"], slots["velocity"], slots["scratch"]
        t = self.iterations
        u, u_next, product = self._warm_up(t), self._warm_up(t + 1), self._product(t)
        _average(m, g, self.beta_1, scratch)
        np.multiply(g, g, out=scratch)
        _average(v, scratch, self.beta_2, scratch)
        g *= (1 - u) / (1 - product)
        g += np.multiply(m, u_next / (1 - product * u_next), out=scratch)
        np.divide(v, 1 - self.beta_2**t, out=scratch)
        np.sqrt(scratch, out=scratch)
        scratch += self.epsilon
        g /= scratch
        g *= rate
        w -= g

    def _warm_up(self, t: int) -> float:
        return self.beta_1 * (1 - 0.5 * 0.96**t)

    def _product(self, t: int) -> float:
        """U_t, multiplied on from where it was left. Nothing to save: it follows from t."""
        done, product = getattr(self, "_multiplied", (0, 1.0))
        if done > t:
            done, product = 0, 1.0
        for i in range(done + 1, t + 1):
            product *= self._warm_up(i)
        self._multiplied = t, product
        return product


def _average(mean: np.ndarray, x: np.ndarray, rho: float, out: np.ndarray) -> None:
    """mean = rho mean + (1 - rho) x, in place; `out` is overwritten, and may be x."""
    mean *= rho
    mean += np.multiply(x, 1 - rho, out=out)
