"""Makes state_dicts.json: modules of torch.nn, their weights, inputs and outputs, in float64. Needs PyTorch:

python -m tests.golden.state_dicts

{name: {"state": {key: weight}, "x": [inputs], "y": output}}; the weights and inputs have two decimals, which keeps the
file short. tests/saving/test_pytorch.py compares.
"""

import json
from pathlib import Path

import torch
from torch import nn

BATCH, TIME, FEATURES, UNITS = 2, 4, 3, 2


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64).mul(100).round().div(100)


def recurrent(kind, **options):
    return kind(FEATURES, UNITS, batch_first=True, **options), lambda module, x: module(x)[0]


def attention(kdim=4, vdim=4):
    return nn.MultiheadAttention(4, 2, kdim=kdim, vdim=vdim, batch_first=True), lambda module, *x: module(*x)[0]


def plain(module):
    return module, lambda module, x: module(x)


CASES = {
    "dense": plain(nn.Linear(FEATURES, UNITS)),
    "convolution": (nn.Conv1d(FEATURES, UNITS, 2), lambda module, x: module(x.mT).mT),
    "embedding": plain(nn.Embedding(5, UNITS)),
    "layer norm": plain(nn.LayerNorm(FEATURES)),
    "rms norm": plain(nn.RMSNorm(FEATURES, eps=1e-6)),
    "rnn": recurrent(nn.RNN),
    "rnn relu": recurrent(nn.RNN, nonlinearity="relu"),
    "lstm": recurrent(nn.LSTM),
    "lstm without bias": recurrent(nn.LSTM, bias=False),
    "gru": recurrent(nn.GRU),
    "bidirectional lstm": recurrent(nn.LSTM, bidirectional=True),
    "bidirectional gru": recurrent(nn.GRU, bidirectional=True),
    "two lstms": recurrent(nn.LSTM, num_layers=2),
    "attention": attention(),
    "attention of three": attention(kdim=3, vdim=5),
}


def main():
    torch.manual_seed(0)
    found = {}
    for name, (module, compute) in CASES.items():
        module = module.double()
        module.load_state_dict({key: draw(*w.shape) for key, w in module.state_dict().items()})
        if "attention" in name:
            query, key, value = (draw(BATCH, time, n) for time, n in ((3, 4), (TIME, module.kdim), (TIME, module.vdim)))
            inputs = [query, key, value]
        else:
            inputs = [torch.randint(5, (BATCH, TIME)) if name == "embedding" else draw(BATCH, TIME, FEATURES)]
        with torch.no_grad():
            y = compute(module, *inputs)
        state = {key: w.tolist() for key, w in module.state_dict().items()}
        found[name] = {"state": state, "x": [x.tolist() for x in inputs], "y": y.tolist()}
    path = Path(__file__).with_name("state_dicts.json")
    path.write_text(json.dumps(found, separators=(",", ":")).replace('},"', '},\n"') + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
