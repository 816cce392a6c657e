"""The fused parts of a small GPT's step, forward and backward: the kernel, its reference, PyTorch eager.

    python benchmarks/kernels.py [THREADS]

Batch 12, 64 positions, 128 features, 4 heads, 65 tokens; float32. Interleaved in one process on the same number of
threads (default 1), memory kept; medians in us, and the median ratio of the kernel to each way.
"""

import os
import sys

THREADS = int(sys.argv[1]) if len(sys.argv) > 1 else 1
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(THREADS)  # before NumPy is imported

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as f

from tinyllm import Tensor, ops
from tinyllm.autograd.kernels import KERNELS
from tinyllm.process import keep_memory

SECONDS = 2.0  # for each kernel
RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


IDS, LABELS = RNG.integers(65, size=(2, 12, 64))
X, HEADS = normal(12, 64, 128), (12, 4, 64, 32)
# name: the kernel, PyTorch's counterpart, the arrays that have gradients, the other arguments (of the kernel)
PARTS: dict[str, tuple[Callable, Callable, list[np.ndarray], tuple]] = {
    "linear 128 -> 512": (ops.linear, lambda x, w, b: f.linear(x, w.T, b), [X, normal(128, 512), normal(512)], ()),
    "linear 512 -> 128": (
        ops.linear, lambda x, w, b: f.linear(x, w.T, b), [normal(12, 64, 512), normal(512, 128), normal(128)], ()
    ),
    "layer norm": (
        ops.layer_norm, lambda x, g, b: f.layer_norm(x, (128,), g, b), [X, normal(128), normal(128)], (1e-5,)
    ),
    "gelu by tanh": (ops.gelu, lambda x: f.gelu(x, approximate="tanh"), [normal(12, 64, 512)], (True,)),
    "gelu": (ops.gelu, f.gelu, [normal(12, 64, 512)], (False,)),
    "causal attention": (
        ops.scaled_dot_product_attention,
        lambda q, k, v: f.scaled_dot_product_attention(q, k, v, is_causal=True),
        [normal(*HEADS), normal(*HEADS), normal(*HEADS)],
        (None, True),
    ),
    "cross-entropy": (
        ops.cross_entropy_with_logits,
        lambda z: f.cross_entropy(z.mT, torch.tensor(LABELS), reduction="none"),
        [normal(12, 64, 65)],
        (LABELS,),
    ),
    "embedding": (ops.embedding_lookup, lambda t: f.embedding(torch.tensor(IDS), t), [normal(65, 128)], (IDS,)),
}  # fmt: skip


def ways(kernel: Callable, theirs: Callable, arrays: list[np.ndarray], others: tuple) -> dict[str, Callable[[], None]]:
    leaves = [Tensor(a, requires_grad=True) for a in arrays]
    leaves_ = [torch.tensor(a, requires_grad=True) for a in arrays]
    upstream = normal(*kernel(*arrays, *others).shape)
    upstream_ = torch.tensor(upstream)

    def ours(function: Callable) -> None:
        for leaf in leaves:
            leaf.grad = None
        function(*leaves, *others).backward(upstream)

    def pytorch() -> None:
        for leaf in leaves_:
            leaf.grad = None
        theirs(*leaves_).backward(upstream_)

    return {"kernel": lambda: ours(kernel), "reference": lambda: ours(KERNELS[kernel]), "PyTorch": pytorch}


def main() -> None:
    torch.set_num_threads(THREADS)
    keep_memory()
    print(f"{f'us, {THREADS} thread(s)':<22}{'kernel':>9}{'reference':>11}{'ratio':>7}{'PyTorch':>9}{'ratio':>7}")
    for name, part in PARTS.items():
        functions = ways(*part)
        times: dict[str, list[float]] = {way: [] for way in functions}
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            for way, function in functions.items():
                start = time.perf_counter()
                function()
                times[way].append((time.perf_counter() - start) * 1e6)
        line = f"{name:<22}{statistics.median(times['kernel']):>9.0f}"
        for way, width in (("reference", 11), ("PyTorch", 9)):
            ratio = statistics.median(a / b for a, b in zip(times["kernel"][2:], times[way][2:]))
            line += f"{statistics.median(times[way]):>{width}.0f}{ratio:>7.2f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
