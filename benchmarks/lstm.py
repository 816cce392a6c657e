"""The fused LSTM, forward and backward, against the LSTM composed from rules and against PyTorch eager.

    python benchmarks/lstm.py [THREADS]

Interleaved in one process on the same number of threads (default 1); medians and minima in ms. The products line is the
matrix products alone: no LSTM written on NumPy can be faster than that.
"""

import os
import sys

THREADS = int(sys.argv[1]) if len(sys.argv) > 1 else 1
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(THREADS)  # before NumPy is imported

import statistics
import time
from collections.abc import Callable

import numpy as np

from tinyllm import Tensor
from tinyllm.autograd.kernels import lstm, lstm_from_rules

SIZES = [(1, 5, 50, 100), (16, 40, 32, 128), (32, 64, 128, 256)]  # batch, time, features, units


def ways(batch: int, steps: int, features: int, units: int) -> dict[str, Callable[[], object]]:
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return (rng.normal(size=shape) * 0.1).astype(np.float32)

    x, h, c = draw(batch, steps, features), draw(batch, units), draw(batch, units)
    kernel, recurrent, bias = draw(features, 4 * units), draw(units, 4 * units), draw(4 * units)
    upstream = draw(batch, steps, units)
    weights = [Tensor(w, requires_grad=True) for w in (kernel, recurrent, bias)]
    step, flat = draw(4 * units, batch), draw(steps * batch, 4 * units)
    rows, across, hidden = draw(steps * batch, features), draw(units, batch), draw(steps * batch, units)
    turned, turned_kernel = np.ascontiguousarray(recurrent.T), np.ascontiguousarray(kernel.T)

    def run(function: Callable) -> None:
        for w in weights:
            w.grad = None
        function(x, h, c, *weights)[0].backward(upstream)

    def products() -> None:
        _ = rows @ kernel, flat @ turned_kernel, rows.T @ flat, hidden.T @ flat
        for _ in range(steps):
            _ = turned @ across, recurrent @ step

    found: dict[str, Callable[[], object]] = {
        "fused": lambda: run(lstm),
        "from rules": lambda: run(lstm_from_rules),
        "products": products,
    }
    try:
        import torch
    except ImportError:
        return found
    torch.set_num_threads(THREADS)
    model, x_, upstream_ = torch.nn.LSTM(features, units, batch_first=True), torch.tensor(x), torch.tensor(upstream)

    def pytorch() -> None:
        model.zero_grad()
        model(x_)[0].backward(upstream_)

    return found | {"PyTorch": pytorch}


def main() -> None:
    print(
        f"{'batch, time, features, units':<30}{'':<12}{'median':>9}{'min':>9}{'fused / it':>12}   {THREADS} thread(s)"
    )
    for size in SIZES:
        timed: dict[str, list[float]] = {}
        functions = ways(*size)
        for round_ in range(2 + 1500 // (size[0] * size[1] + 50)):
            for name, function in functions.items():
                start = time.perf_counter()
                function()
                if round_:  # the first round warms up
                    timed.setdefault(name, []).append((time.perf_counter() - start) * 1e3)
        for name, values in timed.items():
            ratio = statistics.median(a / b for a, b in zip(timed["fused"], values))
            row = f"{statistics.median(values):>9.3f}{min(values):>9.3f}{ratio:>12.2f}"
            print(f"{size if name == 'fused' else ''!s:<30}{name:<12}{row}")


if __name__ == "__main__":
    main()
