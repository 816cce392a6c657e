"""A step of training (forward, loss, backward, Adam's update) as users call it, against PyTorch eager.

    python benchmarks/steps.py [THREADS] [--only NAME ...] [--seconds S] [--fused] [--plain-memory]

Ours is model.train_step of a compiled Sequential; PyTorch's is nn modules, loss.backward() and torch.optim.Adam with
its defaults, zero_grad(set_to_none=True). One process, the same number of threads (default 1), in turn: a busy machine
disturbs both alike. Median and minimum in ms; the ratio is the median of the ratios of neighbours in time.
--fused adds a line with PyTorch's Adam(fused=True), which is not its default; train_on_batch is train_step with the
averages of an epoch around it. Memory is kept (tinyllm.process.keep_memory) for both; --plain-memory leaves it alone.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("threads", type=int, nargs="?", default=1)
    parser.add_argument("--only", nargs="+", help="names of models, or how they begin")
    parser.add_argument("--seconds", type=float, default=8.0, help="for each model")
    parser.add_argument("--fused", action="store_true")
    parser.add_argument("--plain-memory", action="store_true")
    return parser.parse_args()


ARGUMENTS = arguments()
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(ARGUMENTS.threads)  # before NumPy is imported

import numpy as np
import torch
from torch import nn

from tinyllm.layers import GRU, LSTM, Dense, Embedding
from tinyllm.losses import SparseCategoricalCrossentropy
from tinyllm.models import Sequential
from tinyllm.process import keep_memory

torch.set_num_threads(ARGUMENTS.threads)
RNG = np.random.default_rng(0)


class Recurrent(nn.Module):
    """PyTorch's counterpart of Embedding -> LSTM or GRU -> Dense; parts that are not asked for are left out."""

    def __init__(
        self, kind: type, features: int, units: int, vocabulary: int = 0, classes: int = 0, last: bool = False
    ):
        super().__init__()
        self.table = nn.Embedding(vocabulary, features) if vocabulary else nn.Identity()
        self.recurrent = kind(features, units, batch_first=True)
        self.dense = nn.Linear(units, classes) if classes else nn.Identity()
        self.last = last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, _ = self.recurrent(self.table(x))
        return self.dense(y[:, -1] if self.last else y)


def classifier() -> tuple:
    """The article's: batch 1, 5 words, Embedding(4, 50) -> LSTM(100) -> Dense(1, sigmoid)."""
    ours = Sequential([Embedding(4, 50, input_length=5), LSTM(100), Dense(1, activation="sigmoid")])
    x, y = np.array([[1, 2, 3, 0, 0]]), np.array([1.0], np.float32)
    loss = nn.BCEWithLogitsLoss()
    theirs = Recurrent(nn.LSTM, 50, 100, 4, 1, last=True)
    return ours, "binary_crossentropy", theirs, lambda z, y: loss(z[:, 0], y), x, y


def mlp() -> tuple:
    """784-256-128-10, relu, batch 64."""
    ours = Sequential([Dense(256, "relu", input_shape=(784,)), Dense(128, "relu"), Dense(10)])
    theirs = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))
    x, y = RNG.standard_normal((64, 784)).astype(np.float32), RNG.integers(10, size=64)
    return ours, SparseCategoricalCrossentropy(from_logits=True), theirs, nn.CrossEntropyLoss(), x, y


def language_model(layer: type = LSTM, kind: type = nn.LSTM) -> tuple:
    """Embedding(65, 128) -> LSTM(256) -> Dense(65), batch 32, 64 steps."""
    ours = Sequential([Embedding(65, 128, input_length=64), layer(256, return_sequences=True), Dense(65)])
    x, y = RNG.integers(65, size=(2, 32, 64))
    loss = nn.CrossEntropyLoss()
    theirs = Recurrent(kind, 128, 256, 65, 65)
    cross_entropy = SparseCategoricalCrossentropy(from_logits=True)
    return ours, cross_entropy, theirs, lambda z, y: loss(z.reshape(-1, 65), y.reshape(-1)), x, y


def layer_alone() -> tuple:
    """LSTM(512) alone, batch 64, 100 steps of 512 features, squared error."""
    ours = Sequential([LSTM(512, return_sequences=True, input_shape=(100, 512))])
    x, y = (RNG.standard_normal((2, 64, 100, 512)) * 0.1).astype(np.float32)
    return ours, "mean_squared_error", Recurrent(nn.LSTM, 512, 512), nn.MSELoss(), x, y


MODELS: dict[str, Callable[[], tuple]] = {
    "a classifier": classifier,
    "b mlp": mlp,
    "c language model": language_model,
    "d lstm alone": layer_alone,
    "e gru language model": lambda: language_model(GRU, nn.GRU),
}


def steps(
    ours: Sequential, loss: object, theirs: nn.Module, their_loss: Callable, x: np.ndarray, y: np.ndarray
) -> dict:
    """One step each way, by name."""
    ours.compile("adam", loss)
    x_, y_ = torch.tensor(x), torch.tensor(y)

    def pytorch(adam: torch.optim.Optimizer) -> Callable[[], None]:
        def step() -> None:
            adam.zero_grad(set_to_none=True)
            their_loss(theirs(x_), y_).backward()
            adam.step()

        return step

    found: dict[str, Callable[[], object]] = {
        "train_step": lambda: ours.train_step(x, y),
        "PyTorch": pytorch(torch.optim.Adam(theirs.parameters(), eps=1e-7)),
        "train_on_batch": lambda: ours.train_on_batch(x, y),
    }
    if ARGUMENTS.fused:
        found["PyTorch, fused Adam"] = pytorch(torch.optim.Adam(theirs.parameters(), eps=1e-7, fused=True))
    return found


def measure(ways: dict[str, Callable[[], object]], seconds: float) -> dict[str, list[float]]:
    """Milliseconds of a step, turn by turn, at least five turns.

    With several threads a pause comes first: those of the other library spin for a while after their work, and would
    be competing. A turn is one step to wake up, then as many as fit into 30 ms, at least one, which are timed.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    repeats = dict.fromkeys(ways, 1)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["PyTorch"]) < 7:
        for name, step in ways.items():
            if ARGUMENTS.threads > 1:
                time.sleep(0.05)
            if repeats[name] > 1:
                step()
            start = time.perf_counter()
            for _ in range(repeats[name]):
                step()
            times[name].append((time.perf_counter() - start) * 1e3 / repeats[name])
            repeats[name] = max(1, int(30 / min(times[name])))
    return {name: values[2:] for name, values in times.items()}  # the first two warm up


def main() -> None:
    if not ARGUMENTS.plain_memory:
        keep_memory()
    print(f"NumPy {np.__version__}, PyTorch {torch.__version__}, {ARGUMENTS.threads} thread(s)")
    print(f"{'':<24}{'':<22}{'median ms':>10}{'min':>9}{'train_step takes':>18}")
    for name, make in MODELS.items():
        if ARGUMENTS.only and not name.startswith(tuple(ARGUMENTS.only)):
            continue
        times = measure(steps(*make()), ARGUMENTS.seconds)
        for way, values in times.items():
            ratio = statistics.median(a / b for a, b in zip(times["train_step"], values))
            line = f"{name:<24}{way:<22}{statistics.median(values):>10.3f}{min(values):>9.3f}"
            print(line + (f"{ratio:>17.2f}x" if way != "train_step" else ""), flush=True)
            name = ""


if __name__ == "__main__":
    main()
