"""GPT-2's files: the logits and the greedy text of transformers, in every precision, and one-line errors."""

import json

import numpy as np
import pytest

from tinyllm.generation import Sampling, generate
from tinyllm.models import GPT
from tinyllm.models.gpt2 import _theirs
from tinyllm.saving import read_tensors, write_tensors
from tinyllm.saving.safetensors import MappedTensors

CONFIG = {"model_type": "gpt2", "vocab_size": 11, "n_positions": 16, "n_layer": 2, "n_head": 2, "n_embd": 8}


@pytest.fixture
def folder(tmp_path):
    model = GPT(11, 16, 2, 2, 8, bias=True)
    rng = np.random.default_rng(0)
    tensors = {}
    for name, w in model.named_weights.items():
        w.data = (w.data + rng.normal(size=w.shape) * 0.3).astype("float32")
        tensors[f"transformer.{_theirs(name)}"] = w.data
    tensors["transformer.h.0.attn.bias"] = np.ones((1, 1, 16, 16), np.uint8)  # an old file's mask: not needed
    write_tensors(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path, model


def test_names_with_a_head_on_top_are_found(folder):
    path, model = folder
    loaded = GPT.from_pretrained(path)
    ids = np.arange(10)[None]
    np.testing.assert_array_equal(loaded.scores(ids), model.scores(ids))
    assert loaded.tokenizer is None and loaded.count_params() == model.count_params()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"model_type": "bert"}, "model_type is 'bert'; a GPT-2 of ours has 'gpt2'"),
        ({"activation_function": "relu"}, "activation_function is 'relu'"),
        ({"n_embd": 9}, "width 9 is no multiple of heads 2"),
        ({"n_embd": 16}, r"'wte.weight' is \(11, 8\); config.json says \(11, 16\)"),
        ({"n_layer": 1}, "'transformer.h.1.attn.c_attn.bias' is left over"),
        ({"n_layer": 3}, "there is no 'h.2.ln_1.weight'"),
        ({"n_layer": None}, "vocab_size|no description|must be"),
        ({"n_inner": 5}, "n_inner is 5"),
    ],
)
def test_what_is_no_gpt2_of_ours_is_refused_in_one_line(folder, change, message):
    path, _ = folder
    (path / "config.json").write_text(json.dumps(CONFIG | change))
    with pytest.raises(ValueError, match=message) as caught:
        GPT.from_pretrained(path)
    assert "\n" not in str(caught.value)


def test_missing_and_damaged_files_are_named(folder):
    path, _ = folder
    with pytest.raises(FileNotFoundError, match=r"there is no '.*config\.json'"):
        GPT.from_pretrained(path / "nowhere")
    (path / "config.json").write_text("[")
    with pytest.raises(ValueError, match=r"config\.json: no JSON"):
        GPT.from_pretrained(path)
    (path / "config.json").write_text(json.dumps(CONFIG))
    (path / "model.safetensors").write_bytes(b"\x08")
    with pytest.raises(ValueError, match="too few for a safetensors file"):
        GPT.from_pretrained(path)


def test_bfloat16_becomes_float32(tmp_path):
    values = np.array([1.0, -2.5, 3.140625, 0.0], np.float32)  # exact in bfloat16
    bits = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    header = json.dumps({"x": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]}}).encode()
    (tmp_path / "bf16.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bits)
    for found in (read_tensors(tmp_path / "bf16.safetensors"), MappedTensors(tmp_path / "bf16.safetensors")):
        assert found["x"].dtype == np.float32
        np.testing.assert_array_equal(found["x"], values.reshape(2, 2))


@pytest.mark.interop
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_logits_and_greedy_text_are_those_of_transformers(dtype, tmp_path):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=300, n_positions=32, n_embd=24, n_layer=3, n_head=4, bos_token_id=0, eos_token_id=0
    )
    theirs = transformers.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for p in theirs.parameters():
            p.add_(torch.randn_like(p) * 0.1)  # biases are 0 and gains 1 at first: swapped ones would pass
    theirs = theirs.to(getattr(torch, dtype))
    theirs.save_pretrained(tmp_path)
    theirs = theirs.float()
    ours = GPT.from_pretrained(tmp_path)
    ids = np.random.default_rng(0).integers(1, 300, (2, 20))
    with torch.no_grad():
        expected = theirs(torch.from_numpy(ids)).logits.numpy()
        written = theirs.generate(
            torch.from_numpy(ids[:1, :5]), max_new_tokens=25, do_sample=False, pad_token_id=0, eos_token_id=None
        )
    np.testing.assert_allclose(ours.scores(ids), expected, atol=1e-4)
    found = generate(ours, ids[0, :5].tolist(), 25, Sampling(greedy=True))
    assert found.ids == written[0, 5:].tolist()
