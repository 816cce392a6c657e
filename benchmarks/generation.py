"""Tokens a second when one text is written: tinyllm and PyTorch eager, the same weights, the same threads.

    python benchmarks/generation.py [THREADS]

GPT: nanoGPT's size for a CPU (65 characters, context 64, 4 blocks, 4 heads, width 128), 1 token of prompt and 63 new
ones, so that the context is just filled; then 20 behind a full context, where the window slides and is read anew for
each. LSTM: embedding 128, width 256, 200 tokens. Each token is drawn from the softmax. PyTorch is written in the
straightforward way: nanoGPT's own generate, which reads everything again for each token; the same with keys and values
kept; nn.LSTM step by step. Before anything is timed, the logits must agree. All run in one process, in turn, so that a
busy machine disturbs them alike; the ratio is the median of neighbours in time.
"""

import os
import sys

THREADS = int(sys.argv[1]) if len(sys.argv) > 1 else 1
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(THREADS)  # before NumPy is imported

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyllm.generation import generate
from tinyllm.models import GPT, RecurrentLM

ROUNDS = 15
VOCABULARY, CONTEXT, HEADS, WIDTH = 65, 64, 4, 128
LSTM_TOKENS, BEYOND = 200, 20


def main() -> None:
    try:
        import torch
    except ImportError:
        raise SystemExit("this comparison needs PyTorch: pip install torch==2.13.0") from None
    torch.set_num_threads(THREADS)
    gpt, lstm = GPT(VOCABULARY, CONTEXT, heads=HEADS, width=WIDTH), RecurrentLM(VOCABULARY, "lstm", 128, 256)
    theirs, their_lstm = TorchGPT(gpt), TorchLSTM(lstm)
    new = CONTEXT - 1
    compare("GPT", new, {
        "tinyllm": lambda: generate(gpt, [0], new),
        "PyTorch, keys and values kept": lambda: theirs.with_cache([0], new),
        "PyTorch, nanoGPT's generate": lambda: theirs.without_cache([0], new),
    })  # fmt: skip
    full = list(range(CONTEXT))
    compare("GPT, context full", BEYOND, {
        "tinyllm": lambda: generate(gpt, full, BEYOND),
        "PyTorch, nanoGPT's generate": lambda: theirs.without_cache(full, BEYOND),
    })  # fmt: skip
    compare("LSTM", LSTM_TOKENS, {
        "tinyllm": lambda: generate(lstm, [0], LSTM_TOKENS),
        "PyTorch, nn.LSTM": lambda: their_lstm.generate([0], LSTM_TOKENS),
    })  # fmt: skip


def compare(name: str, tokens: int, ways: dict[str, Callable[[], object]]) -> None:
    timed: dict[str, list[float]] = {way: [] for way in ways}
    for round_ in range(ROUNDS + 1):
        for way, function in ways.items():
            start = time.perf_counter()
            function()
            if round_:  # the first round warms up
                timed[way].append(time.perf_counter() - start)
    ours = timed["tinyllm"]
    print(f"{f'{name}, {THREADS} thread(s)':<39}tokens/s: median   best   tinyllm is times as fast")
    for way, seconds in timed.items():
        ratio = statistics.median(b / a for a, b in zip(ours, seconds))
        print(f"  {way:<42}{tokens / statistics.median(seconds):>12.0f}{tokens / min(seconds):>7.0f}{ratio:>10.2f}")


def agree(ours: np.ndarray, theirs: Any) -> None:
    np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=1e-4)


class TorchGPT:
    """nanoGPT's model, reduced to what writing needs, with a tinyllm GPT's weights."""

    def __init__(self, model: GPT):
        import torch

        self.torch, self.functional = torch, torch.nn.functional
        self.depth = model.depth
        model.ensure_ready()
        self.weights = {name: torch.tensor(w.data) for name, w in model.named_weights.items()}
        for name, w in self.weights.items():
            if name.endswith("kernel"):
                self.weights[name] = w.T.contiguous()  # as nn.Linear has it
        ids = np.random.default_rng(0).integers(0, VOCABULARY, (1, CONTEXT))
        agree(model.scores(ids), self.forward(torch.tensor(ids)))
        past: list = [None] * model.depth
        agree(model.scores(ids)[:, :5], self.forward(torch.tensor(ids[:, :5]), past))
        agree(model.scores(ids)[:, 5:6], self.forward(torch.tensor(ids[:, 5:6]), past))

    def forward(self, ids, past=None):
        w, f, torch = self.weights, self.functional, self.torch
        start = 0 if past is None or past[0] is None else past[0][0].shape[2]
        positions = torch.arange(start, start + ids.shape[1])
        x = w["token_embedding/embeddings"][ids] + w["position_embedding/embeddings"][positions]
        for i in range(self.depth):
            b = f"block_{i}/"
            qkv = f.linear(f.layer_norm(x, (WIDTH,), w[b + "norm_1/gamma"]), w[b + "attention/kernel"])
            q, k, v = (part.view(1, -1, HEADS, WIDTH // HEADS).transpose(1, 2) for part in qkv.split(WIDTH, dim=2))
            if past is not None:
                if past[i] is not None:
                    k, v = torch.cat([past[i][0], k], dim=2), torch.cat([past[i][1], v], dim=2)
                past[i] = (k, v)
            y = f.scaled_dot_product_attention(q, k, v, is_causal=q.shape[2] > 1)
            x = x + f.linear(y.transpose(1, 2).reshape(1, -1, WIDTH), w[b + "attention_output/kernel"])
            hidden = f.gelu(
                f.linear(f.layer_norm(x, (WIDTH,), w[b + "norm_2/gamma"]), w[b + "mlp/kernel"]), approximate="tanh"
            )
            x = x + f.linear(hidden, w[b + "mlp_output/kernel"])
        return f.linear(f.layer_norm(x, (WIDTH,), w["norm/gamma"]), w["token_embedding/embeddings"])

    def draw(self, logits):
        return self.torch.multinomial(self.functional.softmax(logits[:, -1], dim=-1), num_samples=1)

    def without_cache(self, prompt, new):
        with self.torch.no_grad():
            ids = self.torch.tensor([prompt])
            for _ in range(new):
                ids = self.torch.cat([ids, self.draw(self.forward(ids[:, -CONTEXT:]))], dim=1)
        return ids

    def with_cache(self, prompt, new):
        with self.torch.no_grad():
            past: list = [None] * self.depth
            ids = now = self.torch.tensor([prompt])
            for _ in range(new):
                now = self.draw(self.forward(now, past))
                ids = self.torch.cat([ids, now], dim=1)
        return ids


class TorchLSTM:
    """Embedding, nn.LSTM and Linear, with a tinyllm RecurrentLM's weights."""

    def __init__(self, model: RecurrentLM):
        import torch

        self.torch = torch
        model.ensure_ready()
        table, kernel, recurrent, bias, head, head_bias = (torch.tensor(w.data) for w in model.named_weights.values())
        self.embedding = torch.nn.Embedding.from_pretrained(table)
        self.lstm = torch.nn.LSTM(kernel.shape[0], recurrent.shape[0], batch_first=True)
        self.linear = torch.nn.Linear(recurrent.shape[0], VOCABULARY)
        with torch.no_grad():  # PyTorch's gates have Keras's order, and two biases
            for ours, theirs in ((kernel.T, self.lstm.weight_ih_l0), (recurrent.T, self.lstm.weight_hh_l0)):
                theirs.copy_(ours)
            self.lstm.bias_ih_l0.copy_(bias)
            self.lstm.bias_hh_l0.zero_()
            self.linear.weight.copy_(head.T)
            self.linear.bias.copy_(head_bias)
        ids = np.random.default_rng(0).integers(0, VOCABULARY, (1, 20))
        agree(model.scores(ids), self.linear(self.lstm(self.embedding(torch.tensor(ids)))[0]))

    def generate(self, prompt, new):
        with self.torch.no_grad():
            ids = now = self.torch.tensor([prompt])
            state = None
            for _ in range(new):
                outputs, state = self.lstm(self.embedding(now), state)
                logits = self.linear(outputs[:, -1])
                now = self.torch.multinomial(self.torch.softmax(logits, dim=-1), num_samples=1)
                ids = self.torch.cat([ids, now], dim=1)
        return ids


if __name__ == "__main__":
    main()
