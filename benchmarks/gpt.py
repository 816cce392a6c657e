"""A training step of nanoGPT's CPU model (804,096 weights): forward, backward, clipping, AdamW; beside PyTorch eager.

    python benchmarks/gpt.py [THREADS]

Batch 12, context 64, 4 blocks, 4 heads, width 128, no biases, tanh GELU on both sides. One process, the same number of
threads (default 1), in turn; medians and minima in ms, the ratio is the median of neighbours in time. The products line
is the matrix products of a step alone: no GPT written on NumPy can be faster than that. Peak memory is the process's.
"""

import os
import sys

THREADS = int(sys.argv[1]) if len(sys.argv) > 1 else 1
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(THREADS)  # before NumPy is imported

import resource
import statistics
import time
from collections.abc import Callable

import numpy as np

from tinyllm.corpus import Windows
from tinyllm.losses import SparseCategoricalCrossentropy
from tinyllm.models import GPT
from tinyllm.optimizers import AdamW, Group
from tinyllm.process import keep_memory

ROUNDS = 60
VOCABULARY, CONTEXT, DEPTH, HEADS, WIDTH, BATCH = 65, 64, 4, 4, 128, 12


def ours() -> Callable[[np.ndarray, np.ndarray], object]:
    model = GPT(VOCABULARY, CONTEXT, DEPTH, HEADS, WIDTH)
    groups = [Group(lambda w: w.ndim < 2, weight_decay=0.0)]
    optimizer = AdamW(1e-3, beta_2=0.99, epsilon=1e-8, weight_decay=0.1, global_clipnorm=1.0, groups=groups)
    model.compile(optimizer, SparseCategoricalCrossentropy(from_logits=True))
    return model.train_step


def products() -> Callable[[np.ndarray, np.ndarray], object]:
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    rows = BATCH * CONTEXT
    dense = [(WIDTH, 3 * WIDTH), (WIDTH, WIDTH), (WIDTH, 4 * WIDTH), (4 * WIDTH, WIDTH)] * DEPTH + [(WIDTH, VOCABULARY)]
    each = [(draw(rows, m), draw(m, n), draw(rows, n)) for m, n in dense]
    head = draw(BATCH, HEADS, CONTEXT, WIDTH // HEADS), draw(BATCH, HEADS, CONTEXT, CONTEXT)

    def run(x: np.ndarray, y: np.ndarray) -> None:
        for a, w, d in each:
            _ = a @ w, d @ w.T, a.T @ d
        for _ in range(DEPTH):
            for _ in range(3):  # scores and values forward, twice as many backward
                _ = head[0] @ head[0].swapaxes(-1, -2), head[1] @ head[0]

    return run


def pytorch() -> Callable[[np.ndarray, np.ndarray], object]:
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.set_num_threads(THREADS)

    class Norm(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.ones(WIDTH))

        def forward(self, x):
            return F.layer_norm(x, (WIDTH,), self.gain, None, 1e-5)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm_1, self.norm_2 = Norm(), Norm()
            self.attention, self.attention_output = (nn.Linear(WIDTH, n * WIDTH, bias=False) for n in (3, 1))
            self.mlp, self.mlp_output = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(4 * WIDTH, WIDTH, bias=False)

        def forward(self, x):
            batch, time_, width = x.shape
            parts = self.attention(self.norm_1(x)).split(width, dim=2)
            q, k, v = (part.view(batch, time_, HEADS, width // HEADS).transpose(1, 2) for part in parts)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.attention_output(y.transpose(1, 2).reshape(batch, time_, width))
            return x + self.mlp_output(F.gelu(self.mlp(self.norm_2(x)), approximate="tanh"))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.positions = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(CONTEXT, WIDTH)
            self.blocks, self.norm = nn.ModuleList(Block() for _ in range(DEPTH)), Norm()

        def forward(self, ids):
            x = self.table(ids) + self.positions(torch.arange(ids.shape[1]))
            for block in self.blocks:
                x = block(x)
            return self.norm(x) @ self.table.weight.T

    model = Model()
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}], 1e-3, (0.9, 0.99)
    )

    def step(x: np.ndarray, y: np.ndarray) -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(torch.from_numpy(x)).view(-1, VOCABULARY), torch.from_numpy(y).view(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return step


def main() -> None:
    keep_memory()
    batches = Windows(np.random.default_rng(0).integers(0, VOCABULARY, 100_000), BATCH, CONTEXT, ROUNDS)
    ways = {"tinyllm": ours(), "products": products()}
    try:
        ways["PyTorch"] = pytorch()
    except ImportError:
        print("PyTorch is not installed: pip install torch==2.13.0")
    timed: dict[str, list[float]] = {name: [] for name in ways}
    for i in range(ROUNDS):
        x, y = batches[i]
        for name, step in ways.items():
            start = time.perf_counter()
            step(x, y)
            if i >= 5:  # the first rounds warm up
                timed[name].append((time.perf_counter() - start) * 1e3)
    print(f"{'':<12}{'median ms':>10}{'min':>8}{'tinyllm / it':>14}   {THREADS} thread(s)")
    for name, values in timed.items():
        ratio = statistics.median(a / b for a, b in zip(timed["tinyllm"], values))
        print(f"{name:<12}{statistics.median(values):>10.1f}{min(values):>8.1f}{ratio:>14.2f}")
    share = statistics.median(b / a for a, b in zip(timed["tinyllm"], timed["products"]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{share:.0%} of a step are matrix products; peak memory {peak} MB")


if __name__ == "__main__":
    main()
