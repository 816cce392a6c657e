"""GPT-2's weights (Radford et al. 2019) from the files that Hugging Face's transformers writes."""

import json
import os
from typing import Any

import numpy as np

from tinyllm import initializers
from tinyllm.layers import Layer
from tinyllm.layers.inner import all_layers
from tinyllm.models.gpt import EPSILON, GPT
from tinyllm.preprocessing.bpe import BPETokenizer
from tinyllm.saving.safetensors import MappedTensors

__all__ = ["load_gpt2"]

# Our layer: theirs. Their Conv1D keeps (inputs, outputs), as Dense does, so nothing is turned round.
OF_BLOCK = {
    "norm_1": "ln_1",
    "attention": "attn.c_attn",
    "attention_output": "attn.c_proj",
    "norm_2": "ln_2",
    "mlp": "mlp.c_fc",
    "mlp_output": "mlp.c_proj",
}
OF_MODEL = {"token_embedding": "wte", "position_embedding": "wpe", "norm": "ln_f"}
OF_WEIGHT = {"embeddings": "weight", "kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias"}
# What older files hold besides: masks, and the head, which is the embedding table once more
NO_WEIGHTS = (".attn.bias", ".attn.masked_bias", "lm_head.weight")
# What would make it another model than ours
EXPECTED = {
    "model_type": "gpt2",
    "activation_function": "gelu_new",
    "layer_norm_epsilon": EPSILON,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "tie_word_embeddings": True,
    "add_cross_attention": False,
}


def load_gpt2(folder: Any) -> GPT:
    """The GPT in a folder with config.json and model.safetensors; with vocab.json and merges.txt also its tokenizer.

    The file of weights is mapped, not read at once; float16 and bfloat16 become float32.

    Raises FileNotFoundError for a file that is missing, and ValueError, in one line, for a model that is no GPT-2 or a
    tensor that is missing, left over, or of another shape.
    """
    folder = os.fsdecode(folder)
    config = _json(os.path.join(folder, "config.json"))
    for name, wanted in EXPECTED.items():
        if config.get(name, wanted) != wanted:
            raise ValueError(f"config.json: {name} is {config[name]!r:.60}; a GPT-2 of ours has {wanted!r}")
    try:
        sizes = {"context": "n_positions", "depth": "n_layer", "heads": "n_head", "width": "n_embd"}
        model = GPT(config["vocab_size"], **{ours: config[theirs] for ours, theirs in sizes.items()}, bias=True)
    except (KeyError, TypeError) as error:
        raise ValueError(f"config.json: no description of a GPT-2: {error!r}") from None
    if config.get("n_inner") not in (None, 4 * config["n_embd"]):
        raise ValueError(f"config.json: n_inner is {config['n_inner']}; a GPT-2 of ours has 4 n_embd")
    tensors = MappedTensors(os.path.join(folder, "model.safetensors"))
    for layer in all_layers(model).values():
        _draw_nothing(layer)
    for name, weight in model.named_weights.items():
        value = _find(tensors, _theirs(name))
        if value.shape != weight.shape:
            raise ValueError(f"model.safetensors: '{_theirs(name)}' is {value.shape}; config.json says {weight.shape}")
        weight.data = value.astype(np.float32)
    known = {_theirs(name) for name in model.named_weights}
    weights = (name for name in tensors if not name.endswith(NO_WEIGHTS))
    left = [name for name in weights if name.removeprefix("transformer.") not in known]
    if left:
        raise ValueError(f"model.safetensors: '{left[0]}' is left over; config.json describes a model without it")
    vocab, merges = (os.path.join(folder, name) for name in ("vocab.json", "merges.txt"))
    if os.path.exists(vocab) and os.path.exists(merges):
        model.tokenizer = BPETokenizer.from_gpt2(vocab, merges)
    return model


def _theirs(name: str) -> str:
    """block_3/mlp/kernel is h.3.mlp.c_fc.weight there."""
    *path, weight = name.split("/")
    if len(path) == 1:
        return f"{OF_MODEL[path[0]]}.{OF_WEIGHT[weight]}"
    return f"h.{path[0].removeprefix('block_')}.{OF_BLOCK[path[1]]}.{OF_WEIGHT[weight]}"


def _find(tensors: MappedTensors, name: str) -> np.ndarray:
    for prefix in ("", "transformer."):  # with a head on top, or without
        if prefix + name in tensors:
            return tensors[prefix + name]
    raise ValueError(f"model.safetensors: there is no '{name}'; found {', '.join(list(tensors)[:5])}, ...")


def _draw_nothing(layer: Layer) -> None:
    """Weights that are overwritten at once need not be drawn."""
    for name in vars(layer):
        if name.endswith("_initializer"):
            setattr(layer, name, initializers.get("zeros"))


def _json(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except FileNotFoundError:
        raise FileNotFoundError(f"from_pretrained: there is no '{path}'") from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{os.path.basename(path)}: no JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{os.path.basename(path)}: expected a JSON object; found {found!r:.60}")
    return found
