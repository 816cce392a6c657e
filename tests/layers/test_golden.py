"""Layers hold to what Keras computed for them (tests/golden/layers.json), forwards and backwards, in float64."""

import json
from pathlib import Path

import numpy as np
import pytest

from tinyllm import Tensor, layers

STORED = json.loads((Path(__file__).parents[1] / "golden" / "layers.json").read_text(encoding="utf-8"))
CASES = {f"{part}: {title}": case for part, cases in STORED.items() for title, case in cases.items()}
IMPLEMENTATIONS = {f"{title}, {'fused' if fused else 'step by step'}": (case, fused) for title, case in CASES.items()
                   for fused in (True, False) if fused or case["class"] in ("GRU", "SimpleRNN", "LSTM")}  # fmt: skip


def made(case, fused=True):
    options = dict(case["options"])
    if "layer" in options:
        inner, of_inner = options["layer"]
        options["layer"] = getattr(layers, inner)(**of_inner)
    if not fused:
        options["fused"] = False
    weights = [np.array(w) for w in case["weights"]]
    return getattr(layers, case["class"])(**options, weights=weights, dtype="float64")


@pytest.mark.parametrize("case, fused", IMPLEMENTATIONS.values(), ids=list(IMPLEMENTATIONS))
def test_a_layer_has_the_values_and_the_gradients_of_keras(case, fused):
    layer = made(case, fused)
    inputs = [Tensor(x, requires_grad=True) for x in case["inputs"]]
    call = {name: np.array(v) if isinstance(v, list) else v for name, v in case["call"].items()}
    ys = layer(*inputs, **call)
    ys = ys if isinstance(ys, list) else [ys]
    loss = sum(np.sum(y * np.array(u)) for y, u in zip(ys, case["upstream"], strict=True))
    loss.backward()
    if "loss" in case:
        np.testing.assert_allclose(float(loss), case["loss"], rtol=1e-10)
    found = [y.data for y in ys] + [x.grad for x in inputs] + [w.grad for w in layer.weights]
    for a, b in zip(found, case["values"] + case["of_inputs"] + case["of_weights"], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
