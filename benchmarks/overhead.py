"""What one small recorded operation costs, forward and backward: tinyllm, PyTorch eager, HIPS autograd.

    python benchmarks/overhead.py

Vectors of 16 elements, a chain of 400 operations: bookkeeping is everything and arithmetic nothing. All engines run in
one process, in turn, so that a busy machine disturbs them alike; a ratio compares neighbours in time. One thread: NumPy
has no more for elementwise operations, PyTorch is told so. PyTorch and HIPS autograd are optional.
"""

import argparse
import gc
import os
import platform
import statistics
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from tinyllm import Tensor

ROUNDS = 100  # of 4 operations each
START, SCALE = np.linspace(0.1, 1.0, 16), np.linspace(0.5, 0.9, 16)


def chain(x, scale, tanh):
    for _ in range(ROUNDS):
        x = tanh(x * scale + x) * scale
    return x


def tinyllm() -> np.ndarray:
    x = Tensor(START, requires_grad=True)
    np.sum(chain(x, SCALE, np.tanh)).backward()
    return x.grad


def engines() -> dict[str, Callable[[], np.ndarray]]:
    """Every engine that is installed, by name and version."""
    found = {"tinyllm": tinyllm}
    if find_spec("torch"):
        import torch

        torch.set_num_threads(1)
        scale = torch.tensor(SCALE)

        def pytorch() -> np.ndarray:
            x = torch.tensor(START, requires_grad=True)
            chain(x, scale, torch.tanh).sum().backward()
            return x.grad.numpy()

        found[f"PyTorch {torch.__version__}"] = pytorch
    else:
        print("PyTorch is not installed: left out")
    if find_spec("autograd"):
        from importlib.metadata import version

        import autograd
        import autograd.numpy as anp

        gradient = autograd.grad(lambda x: anp.sum(chain(x, SCALE, anp.tanh)))
        found[f"HIPS autograd {version('autograd')}"] = lambda: gradient(START)
    else:
        print("HIPS autograd is not installed: left out")
    return found


def measure(functions: dict[str, Callable], repeats: int) -> dict[str, list[float]]:
    """Seconds of each call, the functions taking turns."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, f in functions.items():
            begin = time.perf_counter()
            f()
            times[name].append(time.perf_counter() - begin)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=200)
    repeats = parser.parse_args().repeats
    found = engines()
    expected = tinyllm()
    for name, f in found.items():
        np.testing.assert_allclose(f(), expected, rtol=1e-12, err_msg=name)
    measure(found, 10)  # warm up
    gc.collect()
    times = measure(found, repeats)
    ours = np.array(times["tinyllm"])

    print(f"Python {platform.python_version()}, NumPy {np.__version__}; {repeats} interleaved runs")
    print(f"machine: {os.cpu_count()} processors; this process: {threading.active_count()} Python thread")
    print(f"{'forward + backward':24} {'us per operation':>20} {'tinyllm takes':>24}")
    print(f"{'':24} {'median':>10} {'minimum':>9} {'median ratio':>14} {'of minima':>9}")
    for name, seconds in times.items():
        us = [s / (4 * ROUNDS) * 1e6 for s in seconds]
        line = f"{name:24} {statistics.median(us):10.2f} {min(us):9.2f}"
        if name != "tinyllm":
            line += f" {np.median(ours / seconds):13.2f}x {ours.min() / min(seconds):8.2f}x"
        print(line)


if __name__ == "__main__":
    main()
