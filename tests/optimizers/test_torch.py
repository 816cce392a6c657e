"""Twenty random steps beside PyTorch's own optimisers. Where PyTorch adds epsilon elsewhere, it is made too small to
count."""

import numpy as np
import pytest

from tests.optimizers.cases import random_steps, walk
from tinyllm import Tensor
from tinyllm.optimizers import GD, SGD, Adagrad, Adam, Adamax, AdamW, Group, Nadam, RMSprop

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

TINY = 1e-150
SAME = {"epsilon": TINY, "beta_1": 0.8, "beta_2": 0.95}
BETAS = {"eps": TINY, "betas": (0.8, 0.95)}
RMS = {"alpha": 0.8, "eps": TINY}
PAIRS = {
    "GD": (lambda: GD(0.1), lambda p: torch.optim.SGD(p, 0.1)),
    "SGD": (lambda: SGD(0.1), lambda p: torch.optim.SGD(p, 0.1)),
    "SGD momentum": (lambda: SGD(0.1, 0.9), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)),
    "SGD nesterov": (lambda: SGD(0.1, 0.9, True), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True)),
    "Adagrad": (
        lambda: Adagrad(0.1, 0.3, TINY),
        lambda p: torch.optim.Adagrad(p, 0.1, initial_accumulator_value=0.3, eps=TINY),
    ),
    "RMSprop": (lambda: RMSprop(0.1, 0.8, epsilon=TINY), lambda p: torch.optim.RMSprop(p, 0.1, **RMS)),
    "RMSprop momentum": (
        lambda: RMSprop(0.1, 0.8, 0.5, TINY),
        lambda p: torch.optim.RMSprop(p, 0.1, momentum=0.5, **RMS),
    ),
    "RMSprop centered": (
        lambda: RMSprop(0.1, 0.8, 0.5, TINY, centered=True),
        lambda p: torch.optim.RMSprop(p, 0.1, momentum=0.5, centered=True, **RMS),
    ),
    "Adam": (lambda: Adam(0.1, **SAME), lambda p: torch.optim.Adam(p, 0.1, **BETAS)),
    "Adam float64 betas": (lambda: Adam(0.1, epsilon=TINY), lambda p: torch.optim.Adam(p, 0.1, eps=TINY)),
    "AdamW": (lambda: AdamW(0.1, 0.3, **SAME), lambda p: torch.optim.AdamW(p, 0.1, weight_decay=0.3, **BETAS)),
    "Adamax": (lambda: Adamax(0.1, **SAME), lambda p: torch.optim.Adamax(p, 0.1, **BETAS)),
    "Nadam": (
        lambda: Nadam(0.1, epsilon=1e-3),
        lambda p: torch.optim.NAdam(p, 0.1, eps=1e-3, momentum_decay=1.0),
    ),
    "Nadam weight decay": (
        lambda: Nadam(0.1, weight_decay=0.3),
        lambda p: torch.optim.NAdam(
            p, 0.1, eps=1e-7, momentum_decay=1.0, weight_decay=0.3, decoupled_weight_decay=True
        ),
    ),
}


def torch_walk(make, start, gradients, before_step=lambda p: None):
    parameters = [torch.nn.Parameter(torch.tensor(w)) for w in start]
    optimizer = make(parameters)
    path = []
    for step in gradients:
        for p, g in zip(parameters, step):
            p.grad = torch.tensor(g)
        before_step(parameters)
        optimizer.step()
        path.append([p.detach().numpy().copy() for p in parameters])
    return path


def agree(ours, theirs, tolerance=1e-12):
    for found, expected in zip(ours, theirs, strict=True):
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=10 * tolerance, atol=tolerance)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("seed", range(3))
def test_twenty_random_steps_are_those_of_pytorch(name, seed):
    start, gradients = random_steps(seed=seed)
    ours, theirs = PAIRS[name]
    tolerance = 1e-7 if "Nadam" in name else 1e-12  # PyTorch keeps Nadam's product of momenta in float32
    agree(walk(ours(), start, gradients), torch_walk(theirs, start, gradients), tolerance)


def test_amsgrad_takes_the_largest_mean_of_squares_before_its_bias_is_corrected_as_in_pytorch():
    start, gradients = random_steps()
    ours, theirs = Adam(0.1, amsgrad=True, **SAME), lambda p: torch.optim.Adam(p, 0.1, amsgrad=True, **BETAS)
    agree(walk(ours, start, gradients), torch_walk(theirs, start, gradients))


@pytest.mark.parametrize(
    "setting, clip",
    [
        ({"global_clipnorm": 0.7}, lambda p: torch.nn.utils.clip_grad_norm_(p, 0.7)),
        ({"clipvalue": 0.7}, lambda p: torch.nn.utils.clip_grad_value_(p, 0.7)),
        ({"clipnorm": 0.7}, lambda p: [torch.nn.utils.clip_grad_norm_(each, 0.7) for each in p]),
    ],
)
def test_gradients_are_clipped_as_pytorch_clips_them(setting, clip):
    start, gradients = random_steps()
    found = walk(SGD(0.1, momentum=0.9, **setting), start, gradients)
    expected = torch_walk(lambda p: torch.optim.SGD(p, 0.1, momentum=0.9), start, gradients, before_step=clip)
    agree(found, expected, 1e-5)  # PyTorch adds 1e-6 to the norm


def test_groups_are_those_of_pytorch():
    start, gradients = random_steps()
    ours = AdamW(0.1, 0.3, groups=[Group([1], learning_rate_multiplier=0.5, weight_decay=0.0)], **SAME)

    def theirs(p):
        groups = [{"params": p[:1]}, {"params": p[1:], "lr": 0.05, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, 0.1, weight_decay=0.3, **BETAS)

    agree(walk(ours, start, gradients), torch_walk(theirs, start, gradients))


@pytest.mark.parametrize("name", PAIRS)
def test_float32_steps_are_those_of_pytorch_to_its_precision(name):
    start, gradients = random_steps()
    ours, theirs = PAIRS[name]
    found, expected = walk(ours(), start, gradients), torch_walk(theirs, start, gradients)
    narrow = walk(with_larger_epsilon(ours()), start, gradients, "float32")
    assert all(w.dtype == "float32" for weights in narrow for w in weights)
    for a, b, c in zip(narrow[-1], expected[-1], found[-1]):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(a, c, rtol=1e-3, atol=1e-4)


def with_larger_epsilon(optimizer):
    if hasattr(optimizer, "epsilon"):
        optimizer.epsilon = max(optimizer.epsilon, 1e-12)
    return optimizer


def test_a_weight_without_a_gradient_is_skipped_as_in_pytorch():
    start, gradients = random_steps(6)
    weights = [Tensor(w, requires_grad=True) for w in start]
    parameters = [torch.nn.Parameter(torch.tensor(w)) for w in start]
    ours, theirs = SGD(0.1, 0.9, weight_decay=0.0), torch.optim.SGD(parameters, 0.1, momentum=0.9)
    for i, step in enumerate(gradients):
        given = [step[0], None if i in (2, 3) else step[1]]
        for p, g in zip(parameters, given):
            p.grad = None if g is None else torch.tensor(g)
        theirs.step()
        ours.apply_gradients(zip(given, weights))
    agree([[w.data for w in weights]], [[p.detach().numpy() for p in parameters]])
