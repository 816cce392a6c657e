"""The article's training, 100 epochs of batch 1, on one BLAS thread: milliseconds a step, and the whole process.

    python benchmarks/document_program.py

Three ways in one process, in turn: fit() with the fused LSTM; the same model with the LSTM composed step by step from
the table of derivatives; PyTorch eager, if it is installed. Then the article's program as a process of its own, in
processor seconds from `python` to exit. Medians and minima; the machine is shared, so trust the ratios.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is imported

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from unittest import mock

import numpy as np

from tinyllm.autograd.kernels import lstm_from_rules
from tinyllm.layers import LSTM, Dense, Embedding
from tinyllm.models import Sequential

ROUNDS, EPOCHS, STEPS = 5, 100, 300
X = np.array([[1, 0, 0, 0, 0], [2, 0, 0, 0, 0], [3, 0, 0, 0, 0]], np.int32)
Y = np.array([1, 0, 1])

PROGRAM = """
import numpy as np, tinyllm
from tinyllm.preprocessing.sequence import pad_sequences
from tinyllm.layers import Embedding, LSTM, Dense
from tinyllm.models import Sequential
texts = ["你好，世界！", "今天天气很好。", "我爱中国。"]
tokenizer = tinyllm.preprocessing.text.Tokenizer()
tokenizer.fit_on_texts(texts)
x = pad_sequences(tokenizer.texts_to_sequences(texts), maxlen=5, padding="post")
model = Sequential()
model.add(Embedding(input_dim=len(tokenizer.word_index) + 1, output_dim=50, input_length=5))
model.add(LSTM(units=100, activation="tanh"))
model.add(Dense(units=1, activation="sigmoid"))
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
model.fit(x, np.array([1, 0, 1]), epochs=100, batch_size=1, verbose=0)
model.predict(x)
"""


def fused() -> None:
    model = Sequential(
        [Embedding(4, 50, input_length=5), LSTM(100), Dense(1, activation="sigmoid")],
    )
    model.compile("adam", "binary_crossentropy", ["accuracy"])
    model.fit(X, Y, epochs=EPOCHS, batch_size=1, verbose=0)


def readable() -> None:
    with mock.patch("tinyllm.layers.recurrent.lstm", lstm_from_rules):
        fused()


def pytorch() -> Callable[[], None] | None:
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    x, y = torch.tensor(X, dtype=torch.long), torch.tensor(Y, dtype=torch.float32)[:, None]

    def train() -> None:
        table, lstm = torch.nn.Embedding(4, 50), torch.nn.LSTM(50, 100, batch_first=True)
        dense = torch.nn.Linear(100, 1)
        weights = [*table.parameters(), *lstm.parameters(), *dense.parameters()]
        adam, loss = torch.optim.Adam(weights, eps=1e-7), torch.nn.BCEWithLogitsLoss()
        for _ in range(EPOCHS):
            for i in torch.randperm(3).tolist():
                adam.zero_grad()
                loss(dense(lstm(table(x[i : i + 1]))[1][0][0]), y[i : i + 1]).backward()
                adam.step()

    return train


def main() -> None:
    ways: dict[str, Callable[[], None]] = {"fit(), fused LSTM": fused, "fit(), LSTM from rules": readable}
    if (train := pytorch()) is not None:
        ways["PyTorch eager"] = train
    times: dict[str, list[float]] = {name: [] for name in ways}
    for round_ in range(ROUNDS + 1):  # the first round warms up
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if round_:
                times[name].append((time.perf_counter() - start) / STEPS * 1e3)
    print(f"{'ms a step (one thread)':<28}{'median':>8}{'min':>8}{'ratio':>8}")
    for name, values in times.items():
        ratio = statistics.median(a / b for a, b in zip(values, times["fit(), fused LSTM"]))
        print(f"{name:<28}{statistics.median(values):>8.3f}{min(values):>8.3f}{ratio:>8.2f}")
    seconds = []
    for _ in range(ROUNDS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", PROGRAM], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    print(f"\n{'whole program, CPU seconds':<28}{statistics.median(seconds):>8.3f}{min(seconds):>8.3f}")


if __name__ == "__main__":
    main()
