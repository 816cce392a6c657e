"""Steps against the gradient, with and without momentum."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyllm.optimizers.base import Optimizer

__all__ = ["GD", "SGD"]


@dataclass(eq=False)
class GD(Optimizer):
    """Gradient descent (Cauchy 1847): w = w - rate g.

    Given the gradient over all the data it is "batch" gradient descent; over a few samples, stochastic.

    >>> from tinyllm import Tensor
    >>> w = Tensor([0.3, 0.2], requires_grad=True)
    >>> GD(0.1).apply_gradients([(np.array([1.0, -2.0]), w)])
    >>> w.data.round(12)
    array([0.2, 0.4])
    """

    learning_rate: Any = 0.01

    def update(self, w, g, slots, rate):
        g *= rate
        w -= g


@dataclass(eq=False)
class SGD(Optimizer):
    """Gradient descent with momentum m (Polyak 1964): v = m v - rate g, then w = w + v. With m = 0 it is GD.

    nesterov: w = w + m v - rate g (Nesterov 1983; this form: Sutskever et al. 2013, section 2).
    """

    learning_rate: Any = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    @property
    def slot_names(self):
        return ("momentum",) if self.momentum else ()

    def update(self, w, g, slots, rate):
        g *= -rate
        if self.momentum:
            v = slots["momentum"]
            v *= self.momentum
            v += g
            if self.nesterov:
                g += np.multiply(v, self.momentum, out=slots["scratch"])
            else:
                g = v
        w += g
