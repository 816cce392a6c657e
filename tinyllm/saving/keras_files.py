"""Keras's three files: model.h5 (its old format), model.keras, and model.weights.h5, which holds the weights alone.

Ours are sealed (seal.py), and a whole model carries our manifest, which Keras ignores: with it travel the tokenizer,
the optimizer's state and the random generators. docs/file-formats.md says what is where.
"""

import json
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from tinyllm.autograd.tensor import wrap
from tinyllm.saving import archive, seal
from tinyllm.saving.description import UNFIT, describe, kinds, rebuild, restore
from tinyllm.saving.hdf5 import Attributes, read_hdf5, write_hdf5
from tinyllm.saving.keras_config import from_keras, to_keras
from tinyllm.saving.keras_masks import layers_that_lose_masks
from tinyllm.saving.keras_training import compile_from_keras, slots_by_name, slots_by_number, training_to_keras
from tinyllm.saving.keras_weights import Place, by_layer, get_names, places, put_names, stored_by_layer
from tinyllm.saving.manifest import fingerprint, one_line, parse_json, unseal
from tinyllm.saving.manifest import seal as sealed_json
from tinyllm.saving.safetensors import Spec, pack

__all__ = ["h5_file", "keras_file", "load_h5", "load_keras", "stored_weights", "weights_h5_file"]

KERAS_VERSION = "3.0.0"  # the version whose layout is written
MANIFEST, MANIFEST_MEMBER = "tinyllm_manifest", "tinyllm.json"
MEMBERS = ("metadata.json", "config.json", "model.weights.h5", MANIFEST_MEMBER)
SEALED_WEIGHTS = {"tinyllm": "weights"}  # the attribute that says: this file was sealed
MOST_NUMBERS = 2**50  # in one weight; NumPy's limit lies above
# Not Keras's optimizer_weights: Keras 3.15 builds its optimizer for no variables when it finds that group (in its own
# files, too), and cannot train the model any further. Without the group it starts a fresh optimizer.
SLOT_GROUP = "tinyllm_optimizer"


# -- writing --------------------------------------------------------------------------------------------------------


def h5_file(model: Any) -> bytes:
    """The model as an .h5 file of Keras's old format."""
    content, tensors = describe(model)
    described = _described(model)
    _warn_of_masks(content, "save")
    layers = by_layer(described, places(described, model))
    about = {"backend": "numpy", "keras_version": KERAS_VERSION}
    whole = {key: described[key] for key in ("class_name", "config")}
    attributes: Attributes = {"": {**about, "model_config": json.dumps(whole)}}
    attributes["model_weights"] = about | put_names("layer_names", list(layers))
    arrays: dict[str, np.ndarray] = {}
    for layer, found in (layers | {"top_level_model_weights": []}).items():
        names = {p.name: f"{model.name}/{p.name}" for p in found}
        attributes[f"model_weights/{layer}"] = put_names("weight_names", list(names.values()))
        arrays |= {f"model_weights/{layer}/{path}": tensors[name] for name, path in names.items()}
    compiled = training_to_keras(content["training"])
    if compiled is not None:
        optimizer = compiled.pop("optimizer")
        attributes[""]["training_config"] = json.dumps(compiled | {"optimizer_config": optimizer})
    content["weights"] = {"names": [p.name for found in layers.values() for p in found], **fingerprint(pack(tensors))}
    attributes[""][MANIFEST] = sealed_json(content)
    return seal.sealed(write_hdf5(attributes, arrays | _slots(model, tensors)))


def keras_file(model: Any) -> bytes:
    """The model as a .keras file."""
    content, tensors = describe(model)
    described = _described(model)
    _warn_of_masks(content, "save")
    paths = {p.name: p.path for p in places(described, model)}
    weights = write_hdf5({}, {path: tensors[name] for name, path in paths.items()} | _slots(model, tensors))
    content["weights"] = {"paths": paths, **fingerprint(pack(tensors))}
    config = described | {"compile_config": training_to_keras(content["training"])}
    about = {"keras_version": KERAS_VERSION, "date_saved": "1980-01-01@00:00:00"}  # equal models, equal bytes
    members = (json.dumps(about).encode(), json.dumps(config).encode(), weights, sealed_json(content).encode())
    return archive.write_archive(dict(zip(MEMBERS, members)))


def weights_h5_file(model: Any) -> bytes:
    """The model's weights as a .weights.h5 file."""
    named = model.named_weights
    arrays = {p.path: named[p.name].data for p in places(_described(model), model)}
    return seal.sealed(write_hdf5({"": SEALED_WEIGHTS}, arrays))


def _described(model: Any) -> dict:
    """Keras's description of the model. ValueError where it cannot have one."""
    models = kinds()
    if isinstance(model, models["Sequential"]):  # a LanguageModel is one, too, but describes itself by its texts
        kind, config = "Sequential", models["Sequential"].get_config(model)
    elif type(model) is models["Model"] and model.outputs is not None:
        kind, config = "Model", model.get_config()
    else:
        raise ValueError(f"save: Keras's files hold a Sequential or a graph; found a class of your own, {model!r:.60}")
    return to_keras(kind, config, model.input_shape)


def _warn_of_masks(content: dict, where: str) -> None:
    for name in layers_that_lose_masks(content["config"]):
        what = f"Keras reads the padding in '{name}', because it has an initial state"
        warnings.warn(f"{where}: {what}: predictions for padded inputs differ", stacklevel=5)


def _slots(model: Any, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    named = model.named_weights
    return {f"{SLOT_GROUP}/{name}": value for name, value in tensors.items() if name not in named}


# -- reading --------------------------------------------------------------------------------------------------------


def load_h5(file: BinaryIO, size: int, name: str) -> Any:
    """The model in an .h5 file, ours or Keras's. ValueError, in one line, for whatever is wrong with the file."""
    is_sealed = seal.check(file, size, name)
    attributes, arrays = read_hdf5(file, size, name)
    about = attributes[""]
    with _complete(name):
        if MANIFEST in about:
            _check_sealed(is_sealed, name)
            content = unseal(about[MANIFEST].encode("utf-8", "replace"), f"{name}: {MANIFEST}")
            stored = [
                value for found in stored_by_layer(attributes, arrays, "model_weights").values() for value in found
            ]
            return _load_ours(content, content["weights"]["names"], stored, arrays, name)
        if "model_config" not in about:
            what = "no model_config: not a whole Keras model (for its weights alone there is load_weights)"
            raise ValueError(f"{name}: {what}")
        described = parse_json(about["model_config"].encode(), f"{name}: model_config")
        old = str(about.get("keras_version", "")).startswith(("1.", "2."))
        by_order = stored_by_layer(attributes, arrays, "model_weights")
        model, weights = _load_theirs(
            described, lambda p: _named_by_order(described, p, by_order), f"{name}: model_config", old
        )
        if "training_config" in about:

            def state(group: str = "optimizer_weights") -> None:
                if group in attributes:
                    paths = get_names(attributes[group], "weight_names")
                    slots_by_name(model, weights, {path: arrays[f"{group}/{path}"] for path in paths})

            _compile(model, parse_json(about["training_config"].encode(), "training_config"), state, name)
        return model


def load_keras(file: BinaryIO, size: int, name: str) -> Any:
    """The model in a .keras file, ours or Keras's. ValueError, in one line, for whatever is wrong with the file."""
    is_sealed = seal.check(file, size, name)
    members = archive.read_archive(file, size, name, MEMBERS)
    for member in MEMBERS[1:3]:
        if member not in members:
            raise ValueError(f"{name}: it has no {member}: not a whole Keras model")
    arrays = _read_member(members["model.weights.h5"], f"{name}: model.weights.h5")[1]
    described = parse_json(members["config.json"], f"{name}: config.json")
    with _complete(name):
        if MANIFEST_MEMBER in members:
            _check_sealed(is_sealed, name)
            content = unseal(members[MANIFEST_MEMBER], f"{name}: {MANIFEST_MEMBER}")
            paths = content["weights"]["paths"]
            return _load_ours(content, list(paths), [arrays[path] for path in paths.values()], arrays, name)
        model, weights = _load_theirs(described, lambda p: _named_by_path(p, arrays), f"{name}: config.json")
        if described.get("compile_config"):

            def state(group: str = "optimizer/vars/") -> None:
                numbers = sorted(int(path.removeprefix(group)) for path in arrays if path.startswith(group))
                if numbers:
                    slots_by_number(model, weights, [arrays[f"{group}{i}"] for i in numbers])

            _compile(model, described["compile_config"], state, name)
        return model


def stored_weights(model: Any, file: BinaryIO, size: int, name: str, zipped: bool) -> dict[str, np.ndarray]:
    """The arrays for this model's weights in a .weights.h5, or in a file of a whole model."""
    is_sealed = seal.check(file, size, name)
    if zipped:
        members = archive.read_archive(file, size, name, MEMBERS)
        ours = MANIFEST_MEMBER in members
        attributes, arrays = _read_member(members.get("model.weights.h5", b""), f"{name}: model.weights.h5")
    else:
        attributes, arrays = read_hdf5(file, size, name)
        ours = bool(attributes[""].keys() & {MANIFEST, *SEALED_WEIGHTS})
    if ours:
        _check_sealed(is_sealed, name)
    described = _described(model)
    with _complete(name):
        found = places(described, model)
        for group in ("model_weights", ""):
            if any(key.startswith("layer_names") for key in attributes.get(group, ())):
                return _named_by_order(described, found, stored_by_layer(attributes, arrays, group))
        return _named_by_path(found, arrays)


def _read_member(data: bytes, name: str) -> tuple[Attributes, dict[str, np.ndarray]]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return read_hdf5(file, len(data), name)


def _check_sealed(is_sealed: bool, name: str) -> None:
    if not is_sealed:
        raise ValueError(
            f"{name}: tinyllm wrote it, and the seal at its end is missing: the file was changed or damaged"
        )


def _load_ours(content: dict, names: list[str], stored: list[np.ndarray], arrays: dict, name: str) -> Any:
    if len(names) != len(stored):
        raise ValueError(f"{name}: {len(stored)} weights are stored, the manifest has {len(names)}")
    inside = f"{SLOT_GROUP}/"
    tensors = dict(zip(names, stored))
    tensors |= {path.removeprefix(inside): value for path, value in arrays.items() if path.startswith(inside)}
    model = rebuild(content, _specs(tensors), f"{name}: manifest", name)
    if fingerprint(pack(tensors))["sha256"] != content["weights"]["sha256"]:
        raise ValueError(f"{name}: its weights' SHA-256 differs from the manifest's: it was changed or damaged")
    restore(model, content, tensors, f"{name}: manifest")
    return model


def _load_theirs(described: dict, tensors_at: Callable, where: str, old: bool = False) -> tuple[Any, list]:
    """(the model that Keras describes, its trained weights in Keras's order). tensors_at: from places to arrays."""
    ours = from_keras(described, old)
    content = {"kind": ours["class_name"], "config": ours["config"], "input_shape": None, "training": None}
    if ours["class_name"] not in ("Sequential", "Model"):
        raise ValueError(f"{where}: its class is {ours['class_name']}; read are Sequential and Functional")
    if ours["class_name"] == "Sequential":
        content["input_shape"] = _input_shape(described["config"])
    _warn_of_masks(ours, where)
    sketch = _sketch(content)
    found = places(described, sketch)
    dtypes = {name: w.dtype for name, w in sketch.named_weights.items()} if found else {}
    tensors = {name: value.astype(dtypes[name]) for name, value in tensors_at(found).items()}
    model = rebuild(content, _specs(tensors), where, where.partition(":")[0])
    restore(model, content, tensors, where)
    named = model.named_weights
    return model, [named[p.name] for p in found if p.trainable]


def _specs(tensors: dict[str, np.ndarray]) -> dict[str, Spec]:
    return {name: Spec(value.shape, value.dtype) for name, value in tensors.items()}


def _input_shape(config: dict) -> list | None:
    first = config["layers"][0]["config"]
    shape = first.get("batch_shape") or first.get("batch_input_shape") or config.get("build_input_shape")
    return None if shape is None else [None, *shape[1:]]


def _sketch(content: dict) -> Any:
    """The model with weights that take no memory: for their names."""

    def prepare(layer: Any) -> None:
        def add_weight(name: str, shape: tuple[int, ...], _: Any) -> Any:
            if math.prod(shape) >= MOST_NUMBERS:
                raise ValueError(f"'{layer.name}/{name}' needs {layer.dtype} {shape}, which no file holds")
            one = np.zeros(1, layer.dtype)
            value = np.lib.stride_tricks.as_strided(one, shape, [0] * len(shape))
            layer.own_parameters[name] = wrap(value, None)
            return layer.own_parameters[name]

        vars(layer)["add_weight"] = add_weight

    model = kinds()[content["kind"]].from_config(content["config"], prepare)
    if content["input_shape"] is not None and not model.built:
        model.build(tuple(content["input_shape"]))
    return model


def _named_by_order(described: dict, found: list[Place], stored: dict[str, list]) -> dict[str, np.ndarray]:
    """The arrays of an old file by our names: layer by layer, in order."""
    expected = [layer for layer in by_layer(described, found).values() if layer]
    layers = [arrays for arrays in stored.values() if arrays]
    counts = [list(map(len, each)) for each in (layers, expected)]
    if counts[0] != counts[1]:
        raise ValueError(f"{sum(counts[0])} weights are stored, the model has {sum(counts[1])}, or in other layers")
    return {p.name: value for places, arrays in zip(expected, layers) for p, value in zip(places, arrays)}


def _named_by_path(found: list[Place], arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a new file by our names."""
    paths = {p.path: p.name for p in found}
    stored = {path for path in arrays if path.startswith("layers/")}
    for path in sorted(paths.keys() ^ stored):
        where = f"for '{paths[path]}' there is no" if path in paths else "the model has no place for"
        raise ValueError(f"{where} '{path}'")
    return {name: arrays[path] for path, name in paths.items()}


def _compile(model: Any, described: dict, state: Callable, name: str) -> None:
    """Compile the model, and take over the state of the optimizer; a warning where that cannot be."""
    try:
        compile_from_keras(model, described)
        state()
    except UNFIT as error:  # how it was trained is not needed to predict
        model.optimizer = model.loss = None
        warnings.warn(f"{name}: not compiled, call compile(): {one_line(error)}", stacklevel=5)


@contextmanager
def _complete(name: str) -> Iterator[None]:
    """Every error is one line that names the file."""
    try:
        yield
    except ValueError as error:
        message = one_line(error)
        raise ValueError(message if message.startswith(name) else f"{name}: {message}") from None
    except UNFIT as error:
        what = f"there is no {error}" if isinstance(error, KeyError) else one_line(error)
        raise ValueError(f"{name}: damaged, or not a model: {what}") from None
