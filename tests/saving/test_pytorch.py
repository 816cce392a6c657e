"""A model's weights are PyTorch's under other names: the twins compute the same, forwards and backwards."""

import json
from pathlib import Path

import numpy as np
import pytest

from tinyllm.autograd import Tensor
from tinyllm.layers import (
    GRU,
    LSTM,
    Add,
    Bidirectional,
    Conv1D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Input,
    LayerNormalization,
    MultiHeadAttention,
    RMSNormalization,
    SimpleRNN,
    TimeDistributed,
)
from tinyllm.models import Model, Sequential
from tinyllm.saving import from_state_dict, load_pytorch, read_tensors, save_pytorch, to_state_dict, write_tensors

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "state_dicts.json").read_text(encoding="utf-8"))
RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 5, 6))


def shaken(model):
    """The model with weights that are nowhere 0 or 1: what is swapped then shows."""
    rng = np.random.default_rng(1)
    for w in model.weights:
        w.data = rng.normal(size=w.shape).astype(w.dtype) * 0.5
    return model


def one_layer(layer, x=X, dtype="float64"):
    model = Sequential([layer], dtype=dtype)
    model.predict(x)
    return shaken(model)


def tagger():
    return shaken(
        Sequential(
            [Embedding(9, 4, input_length=5), LSTM(3, return_sequences=True), GRU(4), Dropout(0.5), Dense(2, "tanh")],
            dtype="float64",
        )
    )


# Without PyTorch


def test_names_shapes_and_the_second_bias_are_pytorchs():
    state = to_state_dict(tagger())
    assert {name: w.shape for name, w in state.items()} == {
        "embedding.weight": (9, 4),
        "lstm.weight_ih_l0": (12, 4),
        "lstm.weight_hh_l0": (12, 3),
        "lstm.bias_ih_l0": (12,),
        "lstm.bias_hh_l0": (12,),
        "gru.weight_ih_l0": (12, 3),
        "gru.weight_hh_l0": (12, 4),
        "gru.bias_ih_l0": (12,),
        "gru.bias_hh_l0": (12,),
        "dense.weight": (2, 4),
        "dense.bias": (2,),
    }
    assert not state["lstm.bias_hh_l0"].any() and state["gru.bias_hh_l0"].all()


LAYERS = {
    "dense": lambda: Dense(3),
    "dense without bias": lambda: Dense(3, use_bias=False),
    "convolution": lambda: Conv1D(4, 3),
    "rnn": lambda: SimpleRNN(3),
    "lstm": lambda: LSTM(3, return_sequences=True),
    "lstm without bias": lambda: LSTM(3, use_bias=False),
    "gru": lambda: GRU(3),
    "bidirectional lstm": lambda: Bidirectional(LSTM(3, return_sequences=True)),
    "bidirectional gru": lambda: Bidirectional(GRU(3)),
    "layer norm": lambda: LayerNormalization(epsilon=1e-5),
    "rms norm": lambda: RMSNormalization(epsilon=1e-6),
    "each step": lambda: TimeDistributed(Dense(3)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_there_and_back_again_are_the_same_bits(name):
    model, other = one_layer(LAYERS[name]()), one_layer(LAYERS[name]())
    for w in other.weights:
        w.data = w.data * 0
    from_state_dict(other, to_state_dict(model))
    for a, b in zip(model.get_weights(), other.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-15)


OURS = {
    "dense": lambda: [Dense(2)],
    "convolution": lambda: [Conv1D(2, 2)],
    "embedding": lambda: [Embedding(5, 2)],
    "layer norm": lambda: [LayerNormalization(epsilon=1e-5)],
    "rms norm": lambda: [RMSNormalization(epsilon=1e-6)],
    "rnn": lambda: [SimpleRNN(2, return_sequences=True)],
    "rnn relu": lambda: [SimpleRNN(2, "relu", return_sequences=True)],
    "lstm": lambda: [LSTM(2, return_sequences=True)],
    "lstm without bias": lambda: [LSTM(2, return_sequences=True, use_bias=False)],
    "gru": lambda: [GRU(2, return_sequences=True)],
    "bidirectional lstm": lambda: [Bidirectional(LSTM(2, return_sequences=True))],
    "bidirectional gru": lambda: [Bidirectional(GRU(2, return_sequences=True))],
    "two lstms": lambda: [LSTM(2, return_sequences=True), LSTM(2, return_sequences=True)],
}


@pytest.mark.parametrize("name", OURS)
def test_a_stored_module_of_pytorchs_computes_the_same_here_and_its_weights_go_back_as_they_came(name):
    golden = GOLDEN[name]
    state = {f"0.{key}": np.array(w) for key, w in golden["state"].items()}  # as in nn.Sequential(module)
    model = Sequential(OURS[name](), dtype="float64")
    model.predict(np.array(golden["x"][0]))
    from_state_dict(model, state)
    np.testing.assert_allclose(model.predict(np.array(golden["x"][0])), golden["y"], rtol=1e-12, atol=1e-12)
    back = {key.partition(".")[2]: w for key, w in to_state_dict(model).items()}
    assert len(model.layers) > 1 or back.keys() == golden["state"].keys()
    for key, w in back.items() if len(model.layers) == 1 else ():
        expected = np.array(golden["state"][key])
        if "bias_" in key and "gru" not in name:  # ours is one bias: the sum, and 0
            other = np.array(golden["state"][key.replace("_ih_", "_hh_")])
            expected = expected + other if "_ih_" in key else 0 * other
        np.testing.assert_allclose(w, expected, rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize("name", ["attention", "attention of three"])
def test_stored_attention_of_pytorchs_computes_the_same_here_and_its_weights_go_back_as_they_came(name):
    golden = GOLDEN[name]
    query, key, value = (np.array(x) for x in golden["x"])
    layer = MultiHeadAttention(2, 2, dtype="float64")
    layer(query, value, key)
    state = {name: np.array(w) for name, w in golden["state"].items()}
    from_state_dict(layer, state)
    np.testing.assert_allclose(layer(query, value, key).data, golden["y"], rtol=1e-12, atol=1e-12)
    back = to_state_dict(layer)
    assert back.keys() == state.keys()
    for each, w in back.items():
        np.testing.assert_array_equal(w, state[each])


def test_names_that_agree_only_in_part_are_not_believed():
    model = shaken(Sequential([Dense(6, input_shape=(6,)), Dense(6)]))
    state = to_state_dict(model)
    shifted = {n.replace("dense_1", "dense_2").replace("dense.", "dense_1."): w for n, w in state.items()}
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"the shapes of 'dense' .*: dense_1, dense_2; say which with rename"):
        from_state_dict(model, shifted)
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_a_normalisation_without_weights_needs_no_module():
    model = shaken(Sequential([Dense(6, input_shape=(6,)), LayerNormalization(center=False, scale=False), Dense(2)]))
    state = {f"theirs.{name}": w * 2 for name, w in to_state_dict(model).items()}
    before = model.get_weights()
    from_state_dict(model, state)
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a * 2, b)


def test_a_file_holds_them_and_one_that_does_not_fit_changes_nothing(tmp_path):
    model, other = tagger(), tagger()
    save_pytorch(model, tmp_path / "model.safetensors")
    other.set_weights([w * 2 for w in other.get_weights()])
    load_pytorch(other, tmp_path / "model.safetensors")
    np.testing.assert_array_equal(other.predict(np.ones((1, 5))), model.predict(np.ones((1, 5))))
    state = read_tensors(tmp_path / "model.safetensors")
    state["dense.weight"] = state["dense.weight"].T.copy()
    write_tensors(state, tmp_path / "turned.safetensors")
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"the layer 'dense' needs weight \(2, 4\), .* has .*weight \(4, 2\)"):
        load_pytorch(other, tmp_path / "turned.safetensors")
    for a, b in zip(before, other.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_modules_are_found_by_their_shapes_their_numbers_or_by_rename():
    model, other = tagger(), tagger()
    theirs = {"embedding": "table", "lstm": "below", "gru": "above", "dense": "out"}
    renamed = {f"{theirs[n.split('.')[0]]}.{n.split('.')[1]}": w for n, w in to_state_dict(model).items()}
    for state in (dict(reversed(renamed.items())), renamed):
        other.set_weights([w * 0 for w in other.get_weights()])
        from_state_dict(other, state)
        np.testing.assert_allclose(other.get_weights()[1], model.get_weights()[1])
    twice = shaken(Sequential([Dense(6, input_shape=(6,)), Dense(6)]))
    state = to_state_dict(twice)
    by_number = {f"{'10' if 'dense_1' in n else '2'}.{n.split('.')[1]}": w for n, w in reversed(state.items())}
    again = Sequential([Dense(6, input_shape=(6,)), Dense(6)])
    from_state_dict(again, by_number)
    np.testing.assert_array_equal(again.get_weights()[0], twice.get_weights()[0])
    named = {n.replace("dense_1", "last").replace("dense", "first"): w for n, w in state.items()}
    with pytest.raises(
        ValueError, match=r"several layers or modules have the shapes of 'dense'.*say which with rename"
    ):
        from_state_dict(again, named)
    from_state_dict(again, named, rename={"dense": "last", "dense_1": "first"})
    np.testing.assert_array_equal(again.get_weights()[0], twice.get_weights()[2])


@pytest.mark.parametrize(
    "make, state, error, message",
    [
        (lambda: one_layer(GRU(3, reset_after=False)), {}, TypeError, "'gru' .*no twin in torch.nn: reset_after=False"),
        (
            lambda: one_layer(LSTM(3, go_backwards=True)),
            {},
            TypeError,
            "'lstm' .*no twin in torch.nn: go_backwards=True",
        ),
        (
            lambda: one_layer(Bidirectional(LSTM(3), backward_layer=LSTM(4, go_backwards=True))),
            {},
            TypeError,
            "'bidirectional' .*no twin in torch.nn: .* of 3 and .* of 4 units",
        ),
        (lambda: one_layer(LayerNormalization(axis=1)), {}, TypeError, "it normalises axis 1, not the last"),
        (lambda: one_layer(Dense(3)), [1], TypeError, "expected names and arrays, as module.state_dict.. gives; found"),
        (lambda: one_layer(LSTM(3, "relu")), {}, TypeError, "'lstm' .*no twin in torch.nn: activations other than"),
        (lambda: Sequential([Dense(3)]), {}, RuntimeError, "'dense' has no weights yet"),
        (lambda: one_layer(Dense(3)), {"dense.weight": np.ones((3, 6))}, ValueError, "needs .*bias"),
        (
            lambda: one_layer(Dense(3)),
            {"running_mean": np.ones(3)},
            ValueError,
            "'running_mean' is no weight of",
        ),
        (lambda: one_layer(Dense(3)), {}, ValueError, "no module fits 'dense' .*: none"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(make, state, error, message):
    with pytest.raises(error, match=message) as caught:
        model = make()
        to_state_dict(model)
        from_state_dict(model, state)
    assert "\n" not in str(caught.value)


def test_a_module_too_many_is_refused():
    model = one_layer(Dense(3))
    with pytest.raises(ValueError, match=r"'other' \(weight \(2, 2\)\) belongs to no layer of ours"):
        from_state_dict(model, to_state_dict(model) | {"other.weight": np.ones((2, 2))})


# With PyTorch


def torch_twin(torch, name):
    nn = torch.nn
    modules = {
        "dense": lambda: nn.Linear(6, 3),
        "dense without bias": lambda: nn.Linear(6, 3, bias=False),
        "convolution": lambda: nn.Conv1d(6, 4, 3),
        "rnn": lambda: nn.RNN(6, 3, batch_first=True),
        "lstm": lambda: nn.LSTM(6, 3, batch_first=True),
        "lstm without bias": lambda: nn.LSTM(6, 3, bias=False, batch_first=True),
        "gru": lambda: nn.GRU(6, 3, batch_first=True),
        "bidirectional lstm": lambda: nn.LSTM(6, 3, bidirectional=True, batch_first=True),
        "bidirectional gru": lambda: nn.GRU(6, 3, bidirectional=True, batch_first=True),
        "layer norm": lambda: nn.LayerNorm(6),
        "rms norm": lambda: nn.RMSNorm(6, eps=1e-6),
        "each step": lambda: nn.Linear(6, 3),
    }
    return modules[name]().double()


def torch_output(name, module, x):
    if name == "convolution":
        return module(x.transpose(1, 2)).transpose(1, 2)
    y = module(x)
    if name in ("rnn", "gru", "lstm without bias"):
        return y[0][:, -1]
    if name == "bidirectional gru":
        return __import__("torch").cat([y[1][0], y[1][1]], dim=-1)
    return y[0] if isinstance(y, tuple) else y


@pytest.mark.torch
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float32", 1e-6)])
@pytest.mark.parametrize("way", ["ours to theirs", "theirs to ours"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_and_its_twin_compute_the_same(name, way, dtype, tolerance):
    torch = pytest.importorskip("torch")
    model, module = one_layer(LAYERS[name](), dtype=dtype), torch_twin(torch, name).to(getattr(torch, dtype))
    if way == "ours to theirs":
        state = {key.split(".")[-1]: torch.from_numpy(w) for key, w in to_state_dict(model).items()}
        module.load_state_dict(state)
    else:
        torch.manual_seed(0)
        for p in module.parameters():
            torch.nn.init.normal_(p, std=0.5)
        from_state_dict(model, {f"twin.{key}": w for key, w in module.state_dict().items()})
    x = Tensor(X.astype(dtype), requires_grad=True)
    theirs_x = torch.tensor(x.data, requires_grad=True)
    y, theirs = model(x), torch_output(name, module, theirs_x)
    close(y.data, theirs.detach(), tolerance)
    upstream = np.random.default_rng(2).normal(size=y.shape).astype(dtype)
    y.backward(upstream)
    theirs.backward(torch.from_numpy(upstream))
    close(x.grad, theirs_x.grad, tolerance)
    gradients = {n: p.grad.numpy() for n, p in module.named_parameters()}
    for w in model.weights:
        w.data = w.grad  # a gradient changes its shape and order as the weight does
    for key, gradient in to_state_dict(model).items():
        theirs_name = key.split(".")[-1]
        if "bias_hh" not in key or "gru" in name:
            close(gradient, gradients[theirs_name], tolerance)


def close(ours, theirs, tolerance):
    """As close as the largest number allows."""
    theirs = np.asarray(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * max(1, np.abs(theirs).max()))


@pytest.mark.torch
@pytest.mark.parametrize("features", [(6, 6, 6), (6, 4, 5)])
def test_attention_and_its_twin_compute_the_same(features):
    torch = pytest.importorskip("torch")
    q, k, v = (RNG.normal(size=(2, 5, n)) for n in features)
    query, value, key = Input((5, features[0])), Input((5, features[2])), Input((5, features[1]))
    model = shaken(Model([query, value, key], MultiHeadAttention(2, 3)(query, value, key), dtype="float64"))
    module = torch.nn.MultiheadAttention(6, 2, kdim=features[1], vdim=features[2], batch_first=True).double()
    prefix = "multi_head_attention."
    state = {name.removeprefix(prefix): torch.from_numpy(w) for name, w in to_state_dict(model).items()}
    module.load_state_dict(state)
    theirs = module(*(torch.from_numpy(each) for each in (q, k, v)))[0].detach().numpy()
    np.testing.assert_allclose(model.predict([q, v, k]), theirs, rtol=1e-11, atol=1e-12)
    for p in module.parameters():
        torch.nn.init.normal_(p, std=0.5)
    from_state_dict(model, {name: w.numpy() for name, w in module.state_dict().items()})
    theirs = module(*(torch.from_numpy(each) for each in (q, k, v)))[0].detach().numpy()
    np.testing.assert_allclose(model.predict([q, v, k]), theirs, rtol=1e-11, atol=1e-12)


@pytest.mark.torch
def test_a_whole_model_and_stacked_layers_come_from_pytorch_and_predict_the_same():
    torch = pytest.importorskip("torch")

    class Theirs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(9, 4)
            self.rnn = torch.nn.LSTM(4, 4, num_layers=2, batch_first=True)
            self.conv = torch.nn.Conv1d(4, 3, 2)
            self.out = torch.nn.Linear(12, 2)

        def forward(self, ids):
            y = self.conv(self.rnn(self.table(ids))[0].transpose(1, 2)).transpose(1, 2)
            return self.out(y.reshape(len(y), -1))

    theirs = Theirs()
    ours = Sequential(
        [
            Embedding(9, 4, input_length=5),
            LSTM(4, return_sequences=True),
            LSTM(4, return_sequences=True, name="above"),
            Conv1D(3, 2),
            Flatten(),
            Dense(2),
        ]
    )
    state = {name: w.detach().numpy() for name, w in theirs.state_dict().items()}
    from_state_dict(ours, state, rename={"lstm": "rnn", "above": "rnn[1]"})
    ids = RNG.integers(0, 9, (3, 5))
    expected = theirs(torch.from_numpy(ids)).detach().numpy()
    np.testing.assert_allclose(ours.predict(ids), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.torch
def test_two_grus_and_a_head_predict_the_same_in_pytorch():
    torch = pytest.importorskip("torch")

    class Theirs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(9, 4)
            self.gru = torch.nn.GRU(4, 5, batch_first=True)
            self.gru_1 = torch.nn.GRU(5, 3, batch_first=True)
            self.dense = torch.nn.Linear(3, 2)

        def forward(self, ids):
            return self.dense(self.gru_1(self.gru(self.embedding(ids))[0])[0][:, -1])

    layers = [Embedding(9, 4, input_length=5), GRU(5, return_sequences=True), GRU(3), Dense(2)]
    ours, theirs = shaken(Sequential(layers)), Theirs()
    theirs.load_state_dict({name: torch.from_numpy(w) for name, w in to_state_dict(ours).items()})
    ids = RNG.integers(0, 9, (3, 5))
    close(ours.predict(ids), theirs(torch.from_numpy(ids)).detach(), 1e-6)


@pytest.mark.torch
def test_a_transformers_block_comes_from_pytorch_and_predicts_the_same(tmp_path):
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.torch")
    ids = Input((None,))
    x = Embedding(9, 6, name="embedding")(ids)
    y = LayerNormalization(epsilon=1e-5, name="norm1")(Add()([x, MultiHeadAttention(2, 3, name="self_attn")(x, x)]))
    hidden = Dense(8, "relu", name="linear1")(y)
    y = LayerNormalization(epsilon=1e-5, name="norm2")(Add()([y, Dense(6, name="linear2")(hidden)]))
    ours = Model(ids, y)
    table = torch.nn.Embedding(9, 6)
    block = torch.nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True).eval()
    for p in block.parameters():
        torch.nn.init.normal_(p, std=0.5)
    state = {"embedding.weight": table.weight.detach(), **block.state_dict()}
    safetensors.save_file(state, tmp_path / "model.safetensors")
    load_pytorch(ours, tmp_path / "model.safetensors")  # the names are those of nn.TransformerEncoderLayer
    tokens = RNG.integers(0, 9, (3, 5))
    with torch.no_grad():
        close(ours.predict(tokens), block(table(torch.from_numpy(tokens))), 1e-6)
    save_pytorch(ours, tmp_path / "back.safetensors")
    back = safetensors.load_file(tmp_path / "back.safetensors")
    assert back.keys() == state.keys() and all(torch.equal(back[name], w) for name, w in state.items())


@pytest.mark.torch
def test_what_numpy_cannot_read_is_refused_in_one_line():
    torch = pytest.importorskip("torch")
    model = one_layer(Dense(3))
    for module in (torch.nn.Linear(6, 3).bfloat16().state_dict(), dict(torch.nn.Linear(6, 3).named_parameters())):
        with pytest.raises(TypeError, match="from_state_dict: NumPy cannot read 'weight': ") as caught:
            from_state_dict(model, module)
        assert "\n" not in str(caught.value)
