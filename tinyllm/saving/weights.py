"""Weights alone, without the model: a safetensors file with the names of the model's weights, or a file of Keras's."""

import os
from typing import Any

from tinyllm.saving import archive, hdf5, keras_files
from tinyllm.saving.files import open_file, path_text, replace_file
from tinyllm.saving.safetensors import read_tensors, write_tensors

__all__ = ["load_weights", "save_weights"]


def save_weights(model: Any, path: Any) -> None:
    """Write the weights: in Keras's layout to a name that ends in .weights.h5, else as safetensors under our names.

    Raises ValueError for another name of Keras's files, and RuntimeError while the model has no weights yet.
    """
    path = path_text(path, "save_weights")
    if path.lower().endswith(".weights.h5"):
        return replace_file(path, keras_files.weights_h5_file(model), "save_weights")
    if path.lower().endswith((".h5", ".hdf5", ".keras")):
        hint = "Keras's files of weights end in .weights.h5; save() writes whole models"
        raise ValueError(f"save_weights: writes safetensors; found the name '{path}' ({hint})")
    return write_tensors({name: w.data for name, w in model.named_weights.items()}, path)


def load_weights(model: Any, path: Any) -> None:
    """Overwrite the weights with those in a file: safetensors, .weights.h5, or a whole model in Keras's .h5 or .keras.

    What the file is, its content says. Names must agree in safetensors; Keras's files go by order and class.

    Raises FileNotFoundError where there is nothing, and ValueError if one weight does not fit; then all stay.
    """
    path = path_text(path, "load_weights")
    if not os.path.lexists(path):
        raise FileNotFoundError(f"load_weights: there is nothing at '{path}'")
    name, named = os.path.basename(path), model.named_weights
    with open_file(os.path.realpath(path), name) as (file, size):
        beginning = file.read(len(hdf5.SIGNATURE))
        zipped = beginning.startswith(archive.SIGNATURE)
        of_keras = zipped or beginning == hdf5.SIGNATURE
        stored = keras_files.stored_weights(model, file, size, name, zipped) if of_keras else read_tensors(path)
    if stored.keys() != named.keys():
        stranger = sorted(stored.keys() ^ named.keys())[0]
        where = "file" if stranger in stored else "model"
        raise ValueError(f"load_weights: '{stranger}' is in the {where} only; the names of the layers must agree")
    model.set_weights([stored[weight] for weight in named])
