"""Layers beside their twins in PyTorch, the weights turned as PyTorch keeps them: values and gradients, float64."""

import numpy as np
import pytest

from tinyllm import Tensor, layers

pytestmark = pytest.mark.torch


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


X = normal(3, 5, 4)


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def reordered(w):
    """Keras has the gates z, r, n side by side; PyTorch r, z, n one below the other."""
    z, r, n = np.split(w.T, 3)
    return np.concatenate([r, z, n])


def recurrent_weights(torch, kind, weights):
    """The four parameters of a PyTorch module; where Keras has one bias, the second is 0."""
    kernel, recurrent, bias = weights
    if kind == "GRU":
        return [torch.tensor(reordered(w)) for w in (kernel, recurrent, bias[0], bias[1])]
    return [torch.tensor(w) for w in (kernel.T.copy(), recurrent.T.copy(), bias, np.zeros_like(bias))]


@pytest.mark.parametrize("kind, module", [("SimpleRNN", "RNN"), ("GRU", "GRU"), ("LSTM", "LSTM")])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_a_recurrent_layer_is_pytorchs(torch, kind, module, both, fused):
    layer = getattr(layers, kind)(3, return_sequences=True, fused=fused, dtype="float64")
    layer = layers.Bidirectional(layer) if both else layer
    layer(X)
    layer.set_weights([0.7 * normal(*w.shape, seed=i) for i, w in enumerate(layer.weights)])
    twin = getattr(torch.nn, module)(4, 3, batch_first=True, bidirectional=both, dtype=torch.float64)
    weights = layer.get_weights()
    with torch.no_grad():
        given = [w for i in range(0, len(weights), 3) for w in recurrent_weights(torch, kind, weights[i : i + 3])]
        for parameter, value in zip(twin.parameters(), given, strict=True):
            parameter.copy_(value)
    x, t = Tensor(X, requires_grad=True), torch.tensor(X, requires_grad=True)
    y, (r, _) = layer(x), twin(t)
    upstream = normal(*y.shape, seed=9)
    np.sum(y * upstream).backward()
    (r * torch.tensor(upstream)).sum().backward()
    np.testing.assert_allclose(y.data, r.detach().numpy(), rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(x.grad, t.grad.numpy(), rtol=1e-10, atol=1e-12)
    turn = reordered if kind == "GRU" else np.transpose
    for ours, theirs in ((0, 0), (1, 1)) + (((3, 4), (4, 5)) if both else ()):
        gradient = list(twin.parameters())[theirs].grad.numpy()
        np.testing.assert_allclose(turn(layer.weights[ours].grad), gradient, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name, twin", [
    ("Dense", lambda nn, w: nn.functional.linear(w[0], w[1].T, w[2])),
    ("LayerNormalization", lambda nn, w: nn.functional.layer_norm(w[0], (4,), w[1], w[2], 1e-3)),
    ("RMSNormalization", lambda nn, w: nn.functional.rms_norm(w[0], (4,), w[1], 1e-6)),
    ("Conv1D", lambda nn, w: nn.functional.conv1d(w[0].mT, w[1].permute(2, 1, 0), w[2], dilation=2).mT),
    ("MaxPooling1D", lambda nn, w: nn.functional.max_pool1d(w[0].mT, 2).mT),
    ("AveragePooling1D", lambda nn, w: nn.functional.avg_pool1d(w[0].mT, 3, 1).mT),
])  # fmt: skip
def test_a_layer_is_pytorchs_function(torch, name, twin):
    options = {"Dense": (3,), "Conv1D": (3, 2, 1, "valid", None, 2), "MaxPooling1D": (2,), "AveragePooling1D": (3, 1)}
    layer = getattr(layers, name)(*options.get(name, ()), dtype="float64")
    layer(X)
    layer.set_weights([normal(*w.shape, seed=1 + i) for i, w in enumerate(layer.weights)])
    mine = Tensor(X, requires_grad=True)
    theirs = [torch.tensor(a, requires_grad=True) for a in (X, *layer.get_weights())]
    y, r = layer(mine), twin(torch.nn, theirs)
    upstream = normal(*y.shape, seed=9)
    np.sum(y * upstream).backward()
    (r * torch.tensor(upstream)).sum().backward()
    np.testing.assert_allclose(y.data, r.detach().numpy(), rtol=1e-10, atol=1e-13)
    for a, b in zip([mine, *layer.weights], theirs):
        np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
def test_multi_head_attention_is_pytorchs(torch, causal):
    layer = layers.MultiHeadAttention(2, 3, dtype="float64")
    x = normal(2, 5, 6)
    layer(x, x)
    layer.set_weights([normal(*w.shape, seed=1 + i) for i, w in enumerate(layer.weights)])
    twin = torch.nn.MultiheadAttention(6, 2, batch_first=True, dtype=torch.float64)
    q, bq, k, bk, v, bv, out, bias = layer.get_weights()
    with torch.no_grad():
        twin.in_proj_weight.copy_(torch.tensor(np.concatenate([w.reshape(6, 6).T for w in (q, k, v)])))
        twin.in_proj_bias.copy_(torch.tensor(np.concatenate([b.ravel() for b in (bq, bk, bv)])))
        twin.out_proj.weight.copy_(torch.tensor(out.reshape(6, 6).T))
        twin.out_proj.bias.copy_(torch.tensor(bias))
    mine, t = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    hidden = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1) if causal else None
    y, r = layer(mine, mine, use_causal_mask=causal), twin(t, t, t, attn_mask=hidden, need_weights=False)[0]
    upstream = normal(*y.shape, seed=9)
    np.sum(y * upstream).backward()
    (r * torch.tensor(upstream)).sum().backward()
    np.testing.assert_allclose(y.data, r.detach().numpy(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(mine.grad, t.grad.numpy(), rtol=1e-10, atol=1e-11)
