"""A model's weights are PyTorch's under other names: the twins compute the same, forwards and backwards."""

import numpy as np
import pytest

from tinyllm.autograd import Tensor
from tinyllm.layers import (
    GRU,
    LSTM,
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

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 5, 6))


def shaken(model):
    """The model with weights that are nowhere 0 or 1: what is swapped then shows."""
    rng = np.random.default_rng(1)
    for w in model.weights:
        w.data = rng.normal(size=w.shape).astype(w.dtype) * 0.5
    return model


def one_layer(layer, x=X):
    model = Sequential([layer], dtype="float64")
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
@pytest.mark.parametrize("way", ["ours to theirs", "theirs to ours"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_and_its_twin_compute_the_same(name, way):
    torch = pytest.importorskip("torch")
    model, module = one_layer(LAYERS[name]()), torch_twin(torch, name)
    if way == "ours to theirs":
        state = {key.split(".")[-1]: torch.from_numpy(w) for key, w in to_state_dict(model).items()}
        module.load_state_dict(state)
    else:
        torch.manual_seed(0)
        for p in module.parameters():
            torch.nn.init.normal_(p, std=0.5)
        from_state_dict(model, {f"twin.{key}": w.numpy() for key, w in module.state_dict().items()})
    x = Tensor(X, requires_grad=True)
    theirs_x = torch.tensor(X, requires_grad=True)
    y, theirs = model(x), torch_output(name, module, theirs_x)
    np.testing.assert_allclose(y.data, theirs.detach().numpy(), rtol=1e-12, atol=1e-12)
    upstream = np.random.default_rng(2).normal(size=y.shape)
    y.backward(upstream)
    theirs.backward(torch.from_numpy(upstream))
    np.testing.assert_allclose(x.grad, theirs_x.grad.numpy(), rtol=1e-10, atol=1e-12)


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
