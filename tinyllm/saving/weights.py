"""Weights alone, without the model: a safetensors file with the names of the model's weights."""

import os
from typing import Any

from tinyllm.saving.safetensors import read_tensors, write_tensors

__all__ = ["load_weights", "save_weights"]


def save_weights(model: Any, path: Any) -> None:
    """Write the weights to a safetensors file, under the names of `named_weights`."""
    path = os.fsdecode(path)
    if path.lower().endswith((".h5", ".hdf5", ".keras")):
        raise ValueError(f"save_weights: writes safetensors; found the name '{path}' (save() writes .h5)")
    write_tensors({name: w.data for name, w in model.named_weights.items()}, path)


def load_weights(model: Any, path: Any) -> None:
    """Overwrite the weights with those that save_weights() wrote. ValueError if one does not fit; then all stay."""
    stored, named = read_tensors(path), model.named_weights
    if stored.keys() != named.keys():
        stranger = sorted(stored.keys() ^ named.keys())[0]
        where = "file" if stranger in stored else "model"
        raise ValueError(f"load_weights: '{stranger}' is in the {where} only; the names of the layers must agree")
    model.set_weights([stored[name] for name in named])
