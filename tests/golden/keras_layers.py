"""Write the section "keras" of layers.json: what Keras computes for layers with the same names and weights, in float64.

`KERAS_BACKEND=torch python -W ignore -m tests.golden.keras_layers` (needs both). {title: case}; a case has the
layer's class, its options (a layer inside as [class, options]), the inputs, the call's options, the weights, a random
gradient of each output ("upstream"), the values, and the gradients of the inputs and the weights. Numbers have two
decimals, which keeps the file short; tests/layers/test_golden.py compares.
"""

import json
from pathlib import Path

import numpy as np

FILE = Path(__file__).parent / "layers.json"
MASK = [[True, True, False], [False, True, True]]
HEADS = {"num_heads": 2, "key_dim": 2}
RNN = {"units": 2, "return_sequences": True}
WHOLE = RNN | {"return_state": True}
PAIR = {"filters": 2, "kernel_size": 2}
BOTH = {"layer": ["SimpleRNN", {"units": 2}], "merge_mode": None}
SAME = {"padding": "same"}
# title: (class, options, shapes of the inputs, options of the call)
LAYERS = {
    "GRU, reset before": ("GRU", WHOLE | {"reset_after": False}, [(2, 3, 2)], {}),
    "GRU, reset before, masked": ("GRU", WHOLE | {"reset_after": False}, [(2, 3, 2)], {"mask": MASK}),
    "GRU, masked": ("GRU", WHOLE, [(2, 3, 2)], {"mask": MASK}),
    "GRU, backwards": ("GRU", RNN | {"go_backwards": True}, [(2, 3, 2)], {"mask": MASK}),
    "GRU, relu": ("GRU", RNN | {"activation": "relu", "recurrent_activation": "softplus"}, [(2, 3, 2)], {}),
    "SimpleRNN, masked": ("SimpleRNN", WHOLE, [(2, 3, 2)], {"mask": MASK}),
    "SimpleRNN, zero output": ("SimpleRNN", RNN | {"zero_output_for_mask": True}, [(2, 3, 2)], {"mask": MASK}),
    "Bidirectional LSTM": ("Bidirectional", {"layer": ["LSTM", RNN]}, [(2, 3, 2)], {"mask": MASK}),
    "Bidirectional GRU, sum": ("Bidirectional", {"layer": ["GRU", WHOLE], "merge_mode": "sum"}, [(2, 3, 2)], {}),
    "Bidirectional, both": ("Bidirectional", BOTH, [(2, 3, 2)], {}),
    "TimeDistributed": ("TimeDistributed", {"layer": ["Dense", {"units": 2, "activation": "tanh"}]}, [(2, 3, 2)], {}),
    "LayerNormalization of two axes": ("LayerNormalization", {"axis": [1, 2]}, [(2, 3, 2)], {}),
    "RMSNormalization": ("RMSNormalization", {}, [(2, 3, 2)], {}),
    "MultiHeadAttention": ("MultiHeadAttention", HEADS, [(2, 3, 2), (2, 2, 2)], {}),
    "MultiHeadAttention, causal": ("MultiHeadAttention", HEADS | {"value_dim": 3}, [(1, 3, 2), (1, 3, 2), (1, 3, 1)], {
        "use_causal_mask": True, "return_attention_scores": True}),
    "Conv1D, causal": ("Conv1D", {"filters": 2, "kernel_size": 3, "padding": "causal"}, [(2, 4, 2)], {}),
    "Conv1D, same, strides": ("Conv1D", {"filters": 2, "kernel_size": 3, "strides": 2} | SAME, [(1, 6, 2)], {}),
    "Conv1D, dilated groups": ("Conv1D", PAIR | {"dilation_rate": 2, "groups": 2}, [(1, 4, 2)], {}),
    "MaxPooling1D": ("MaxPooling1D", {"pool_size": 3, "strides": 2} | SAME, [(1, 6, 2)], {}),
    "AveragePooling1D": ("AveragePooling1D", {"pool_size": 3, "strides": 1} | SAME, [(1, 4, 2)], {}),
    "GlobalMaxPooling1D": ("GlobalMaxPooling1D", {}, [(2, 3, 2)], {}),
    "GlobalAveragePooling1D, masked": ("GlobalAveragePooling1D", {}, [(2, 3, 2)], {"mask": MASK}),
    "Add": ("Add", {}, [(2, 3, 2), (2, 3, 2)], {}),
    "Concatenate": ("Concatenate", {"axis": 1}, [(2, 1, 2), (2, 3, 2)], {}),
}  # fmt: skip


def normal(rng, shape):
    return np.round(rng.standard_normal(shape), 2)


def golden(seed, name, options, shapes, call):
    """One case, by Keras."""
    import keras
    import torch

    rng = np.random.default_rng(seed)
    made = dict(options)
    if "layer" in made:
        inner, of_inner = made["layer"]
        made["layer"] = getattr(keras.layers, inner)(**of_inner, dtype="float64")
    layer = getattr(keras.layers, name)(**made, dtype="float64")
    several = name in ("Add", "Concatenate", "MultiHeadAttention")
    layer.build(*shapes) if name == "MultiHeadAttention" else layer.build(shapes if several else shapes[0])
    weights = [normal(rng, tuple(w.shape)) for w in layer.weights]
    layer.set_weights(weights)
    x = [torch.tensor(normal(rng, shape), requires_grad=True) for shape in shapes]
    given = [x] if name in ("Add", "Concatenate") else x
    ys = layer(*given, **{k: torch.tensor(v) if isinstance(v, list) else v for k, v in call.items()})
    ys = list(ys) if isinstance(ys, list | tuple) else [ys]
    upstream = [torch.tensor(normal(rng, tuple(y.shape))) for y in ys]
    sum((y * u).sum() for y, u in zip(ys, upstream)).backward()
    return {
        "class": name, "options": options, "inputs": [t.tolist() for t in x], "call": call,
        "weights": [w.tolist() for w in weights], "upstream": [u.tolist() for u in upstream],
        "values": [y.tolist() for y in ys], "of_inputs": [t.grad.tolist() for t in x],
        "of_weights": [w.value.grad.tolist() for w in layer.weights],
    }  # fmt: skip


def main():
    import keras
    from keras.src.backend.common import dtypes

    keras.config.set_floatx("float64")
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"  # without TensorFlow, Keras takes products in single precision
    stored = json.loads(FILE.read_text(encoding="utf-8"))
    stored["keras"] = {title: golden(i, *case) for i, (title, case) in enumerate(LAYERS.items())}
    parts = (
        f'"{part}": {{\n' + ",\n".join(f'"{k}": {json.dumps(v)}' for k, v in stored[part].items()) + "\n}"
        for part in stored
    )
    FILE.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
