"""Every optimizer with every option, and random steps for all of them. The numbers are exact in float32, which Keras
passes some of them through."""

import numpy as np

from tinyllm import Tensor
from tinyllm.optimizers import GD, SGD, Adagrad, Adam, Adamax, AdamW, Nadam, RMSprop
from tinyllm.schedules import CosineDecay, InverseTimeDecay, PiecewiseConstantDecay

TINY = 2.0**-20
BETAS = {"beta_1": 0.875, "beta_2": 0.96875, "epsilon": TINY}
RMS = {"rho": 0.875, "epsilon": TINY}
CASES = {
    "GD": lambda: GD(0.125),
    "SGD": lambda: SGD(0.125),
    "SGD momentum": lambda: SGD(0.125, 0.875),
    "SGD nesterov": lambda: SGD(0.125, 0.875, True),
    "SGD weight decay": lambda: SGD(0.125, 0.875, weight_decay=0.25),
    "SGD clipnorm": lambda: SGD(0.125, clipnorm=0.5),
    "SGD clipvalue": lambda: SGD(0.125, 0.5, clipvalue=0.5),
    "SGD global_clipnorm": lambda: SGD(0.125, 0.5, global_clipnorm=0.5),
    "SGD nesterov weight decay clipvalue": lambda: SGD(0.125, 0.875, True, weight_decay=0.25, clipvalue=0.5),
    "SGD schedule": lambda: SGD(PiecewiseConstantDecay([2, 9], [0.5, 0.25, 0.125]), 0.5, True, weight_decay=0.25),
    "Adagrad": lambda: Adagrad(0.125, 0.5, TINY),
    "Adagrad from 0": lambda: Adagrad(0.125, 0.0, weight_decay=0.25),
    "RMSprop": lambda: RMSprop(0.0625, **RMS),
    "RMSprop momentum": lambda: RMSprop(0.0625, momentum=0.5, **RMS),
    "RMSprop centered": lambda: RMSprop(0.0625, centered=True, **RMS),
    "RMSprop centered momentum": lambda: RMSprop(0.0625, momentum=0.5, centered=True, clipvalue=0.5, **RMS),
    "Adam": lambda: Adam(0.0625, **BETAS),
    "Adam amsgrad": lambda: Adam(0.0625, amsgrad=True, **BETAS),
    "Adam amsgrad global_clipnorm": lambda: Adam(0.0625, amsgrad=True, global_clipnorm=0.5, **BETAS),
    "Adam schedule": lambda: Adam(CosineDecay(0.0, 12, 0.125, warmup_target=0.125, warmup_steps=4), **BETAS),
    "Adam weight decay schedule": lambda: Adam(
        InverseTimeDecay(0.125, 4, 0.5), amsgrad=True, weight_decay=0.25, clipvalue=0.5, **BETAS
    ),
    "AdamW": lambda: AdamW(0.0625, 0.25, **BETAS),
    "AdamW amsgrad": lambda: AdamW(0.0625, 0.25, amsgrad=True, clipnorm=0.5, **BETAS),
    "Adamax": lambda: Adamax(0.0625, **BETAS),
    "Nadam": lambda: Nadam(0.0625, **BETAS),
    "Nadam weight decay": lambda: Nadam(0.0625, weight_decay=0.25, **BETAS),
}
SHAPES = ((2, 3), (4,))


def random_steps(steps=20, seed=0, shapes=SHAPES):
    """(the weights at first, the gradients of every step)"""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=s) for s in shapes], [[rng.normal(size=s) for s in shapes] for _ in range(steps)]


def walk(optimizer, start, gradients, dtype="float64"):
    """The weights after every step."""
    weights = [Tensor(w, requires_grad=True, dtype=dtype) for w in start]
    path = []
    for step in gradients:
        optimizer.apply_gradients(zip(step, weights))
        path.append([w.data.copy() for w in weights])
    return path
