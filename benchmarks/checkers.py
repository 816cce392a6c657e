"""Gradient checkers on the same wrong and right gradients: tinyllm, PyTorch, JAX, HIPS autograd, Chainer's method.

    pip install torch==2.13.0 jax autograd
    python benchmarks/checkers.py

The zoo's wrong gradients (found, or missed) and 200 draws from the herd of right ones (accepted, or a false alarm).
Each checker gets the same NumPy function and the same hand-written gradient in a wrapper of its own engine, float64
inputs, integer inputs held constant, and its own defaults; first order, reverse mode. "cannot run": the function did
not get through the wrapper even forward. A package that is missing is left out.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is imported
os.environ["JAX_PLATFORMS"] = "cpu"

import argparse
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

import tinyllm
from tinyllm.experiments.zoo import WRONG, Animal, right

PIP = {"torch": "torch==2.13.0", "jax": "jax", "autograd": "autograd"}


class Case:
    """An animal with its inputs, as a function of the floating-point ones alone."""

    def __init__(self, animal: Animal, rng: np.random.Generator, seed: int):
        self.animal, self.inputs, self.seed = animal, animal.draw(rng), seed
        self.which = [i for i, x in enumerate(self.inputs) if np.asarray(x).dtype.kind == "f"]
        self.floats = [np.array(self.inputs[i], dtype=np.float64) for i in self.which]

    def all_inputs(self, floats: Any) -> list:
        filled = dict(zip(self.which, floats))
        return [filled.get(i, x) for i, x in enumerate(self.inputs)]

    def f(self, *floats: np.ndarray) -> np.ndarray:
        return np.array(self.animal.f(*self.all_inputs(floats)), dtype=np.float64)

    def gradient(self, g: np.ndarray, *floats: np.ndarray) -> list[np.ndarray]:
        d = self.animal.gradient(g, *self.all_inputs(floats))
        d = d if isinstance(d, tuple) else (d,)
        return [np.array(d[i], dtype=np.float64) for i in self.which]


# A checker makes two functions from a case: forward() runs f alone in its wrapper, check() tells whether it accepts.
Checker = Callable[[Case], tuple[Callable[[], Any], Callable[[], Any]]]


def ours(case: Case):
    def check():
        return tinyllm.gradcheck(case.animal.f, *case.inputs, gradient=case.animal.gradient, seed=case.seed)

    return lambda: case.animal.f(*case.inputs), check


def pytorch(case: Case):
    """torch.autograd.gradcheck: each input's element by each output's; eps 1e-6, atol 1e-5, rtol 1e-3."""
    import torch

    class Wrapped(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *xs):
            ctx.save_for_backward(*xs)
            return torch.from_numpy(case.f(*(x.detach().numpy() for x in xs)))

        @staticmethod
        def backward(ctx, g):
            ds = case.gradient(g.numpy(), *(x.detach().numpy() for x in ctx.saved_tensors))
            return tuple(torch.from_numpy(d) for d in ds)

    copied = (torch.from_numpy(x).clone(memory_format=torch.contiguous_format) for x in case.floats)
    xs = [x.requires_grad_() for x in copied]
    return lambda: Wrapped.apply(*xs), lambda: torch.autograd.gradcheck(Wrapped.apply, xs)


def jax_(case: Case):
    """jax.test_util.check_grads: one random direction and upstream (seed 0); eps 1e-4, atol = rtol = 1e-5."""
    import jax
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", True)

    def shaped(arrays):
        return [jax.ShapeDtypeStruct(np.shape(a), np.float64) for a in arrays]

    out = shaped([case.f(*case.floats)])[0]
    grads = shaped(case.gradient(np.zeros(out.shape), *case.floats))

    def in_numpy(call):
        return lambda *xs: call(*(np.array(x) for x in xs))

    @jax.custom_vjp
    def wrapped(*xs):
        return jax.pure_callback(in_numpy(case.f), out, *xs)

    wrapped.defvjp(
        lambda *xs: (wrapped(*xs), xs),
        lambda xs, g: tuple(jax.pure_callback(in_numpy(case.gradient), grads, g, *xs)),
    )
    xs = [jax.numpy.asarray(x) for x in case.floats]
    return lambda: wrapped(*xs).block_until_ready(), lambda: check_grads(wrapped, xs, order=1, modes=["rev"])


def hips(case: Case):
    """autograd.test_util.check_grads: one random direction and upstream; eps 1e-6, absolute or relative 1e-6."""
    from autograd.extend import defvjp, primitive
    from autograd.test_util import check_grads

    wrapped = primitive(case.f)
    defvjp(
        wrapped, *(lambda y, *xs, i=i: lambda g: case.gradient(np.asarray(g), *xs)[i] for i in range(len(case.which)))
    )

    def check():
        np.random.seed(case.seed)  # noqa: NPY002 - it draws from the global generator
        for i in range(len(case.which)):  # one by one: a tuple of arguments would broadcast a gradient into shape
            check_grads(wrapped, i, modes=["rev"], order=1)(*case.floats)

    return lambda: wrapped(*case.floats), check


def chainer(case: Case, eps: float = 1e-3, atol: float = 1e-5, rtol: float = 1e-4):
    """chainer.gradient_check.check_backward, its method and defaults (Chainer 7 does not run on NumPy 2): one random
    direction of length 1, a random upstream, a central difference with eps 1e-3; atol 1e-5, rtol 1e-4."""

    def check():
        rng = np.random.default_rng(case.seed)
        direction = [rng.normal(size=x.shape) for x in case.floats]
        length = np.sqrt(sum(np.sum(d * d) for d in direction)) or 1.0
        y = case.f(*case.floats)
        g = rng.normal(size=y.shape)
        claimed = case.gradient(g, *case.floats)
        assert all(d.shape == x.shape for d, x in zip(claimed, case.floats))
        ahead, behind = (
            case.f(*(x + s * eps * d / length for x, d in zip(case.floats, direction))) for s in (1.0, -1.0)
        )
        np.testing.assert_allclose(
            sum(np.sum(c * d) / length for c, d in zip(claimed, direction)),
            np.sum(g * (ahead - behind)) / (2 * eps),
            atol=atol,
            rtol=rtol,
        )

    return lambda: case.f(*case.floats), check


CHECKERS: dict[str, tuple[str | None, Checker]] = {
    "tinyllm": (None, ours),
    "PyTorch": ("torch", pytorch),
    "JAX": ("jax", jax_),
    "HIPS autograd": ("autograd", hips),
    "Chainer's method": (None, chainer),
}


def judge(checker: Checker, case: Case) -> tuple[bool | None, str, float]:
    """Whether the checker accepts the gradient (None: cannot run), what it says, seconds."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            forward, check = checker(case)
            forward()
        except Exception as error:
            return None, repr(error), 0.0
        start = time.perf_counter()
        try:
            report = check()
        except Exception as error:  # a shape that does not fit is refused by the engine, each with an error of its own
            return False, str(error), time.perf_counter() - start
    seconds = time.perf_counter() - start
    return getattr(report, "ok", True), getattr(report, "diagnosis", ""), seconds


def is_named(animal: Animal, diagnosis: str) -> bool:
    mistakes = (animal.mistake,) if isinstance(animal.mistake, str) else animal.mistake
    return any(m and m in diagnosis.lower() for m in mistakes)


def cases(draws: int) -> tuple[list[Case], list[Case]]:
    zoo = [Case(animal, np.random.default_rng(0), 0) for animal in WRONG.values()]
    herd = []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        herd.append(Case(right(rng), rng, seed))
    return zoo, herd


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200, help="right gradients drawn from the herd")
    parser.add_argument("--only", choices=CHECKERS, help="one checker")
    arguments = parser.parse_args()
    zoo, herd = cases(arguments.draws)
    print(f"Python {platform.python_version()}, NumPy {np.__version__}; {len(zoo)} wrong gradients, {len(herd)} right")
    print("\n| checker | wrong: found | missed | right: false alarms | cannot run | named | median ms |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    lists = []
    for name, (package, checker) in CHECKERS.items():
        if arguments.only not in (None, name):
            continue
        if package is not None and find_spec(package) is None:
            lists.append(f"{name}: left out; pip install {PIP[package]}")
            continue
        judge(checker, zoo[0])  # imports and first-call costs are nobody's time per check
        wrong, good = [judge(checker, case) for case in zoo], [judge(checker, case) for case in herd]
        missed = [case.animal.name for case, (ok, _, _) in zip(zoo, wrong) if ok]
        alarms = [case.animal.name for case, (ok, _, _) in zip(herd, good) if ok is False]
        stuck = [f"{c.animal.name} ({why})" for c, (ok, why, _) in zip(zoo + herd, wrong + good) if ok is None]
        found = sum(ok is False for ok, _, _ in wrong)
        named: int | str = "-"
        if name == "tinyllm":
            named = sum(is_named(case.animal, said) for case, (_, said, _) in zip(zoo, wrong))
            lists += [
                f"tinyllm, another name: {c.animal.name}: {c.animal.mistake}; it says: {said}"
                for c, (_, said, _) in zip(zoo, wrong)
                if c.animal.mistake and not is_named(c.animal, said)
            ]
        milliseconds = 1e3 * statistics.median(seconds for ok, _, seconds in wrong + good if ok is not None)
        print(f"| {name} | {found} | {len(missed)} | {len(alarms)} | {len(stuck)} | {named} | {milliseconds:.2f} |")
        for what, names in (("missed", missed), ("false alarms", alarms), ("cannot run", stuck)):
            counted = {n: names.count(n) for n in names}
            lists.append(f"{name}, {what}: " + "; ".join(n if k == 1 else f"{n} x{k}" for n, k in counted.items()))
    print()
    print("\n".join(lists))
    print(
        "\nPyTorch's engine sums a gradient to its input's shape: a sum forgotten over the batch is no mistake there."
    )


if __name__ == "__main__":
    main()
