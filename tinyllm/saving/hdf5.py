"""Keras's HDF5 file (model.h5): written so that Keras opens it, read from us and from Keras. Needs h5py.

    attributes  model_config, training_config, keras_version, backend; tinyllm_manifest (ours: folder.py's manifest)
    model_weights/<layer>/...       the weights, in the order of the attributes layer_names and weight_names
    tinyllm_optimizer/...           what the optimizer remembers, under the folder format's names

Keras ignores our attribute, and with it the tokenizer travels and a changed weight is noticed. Links, virtual and
external datasets are refused: they would read other files. HDF5 itself is a large C library: do not open a stranger's
file in a process that matters.
"""

import inspect
import json
import math
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinyllm import losses, metrics, optimizers
from tinyllm.layers import LAYERS, InputLayer
from tinyllm.names import lookup
from tinyllm.saving.description import describe, rebuild, restore
from tinyllm.saving.files import exclusive, write_atomically
from tinyllm.saving.folder import HDF5_SIGNATURE
from tinyllm.saving.manifest import fingerprint, one_line, parse_json, seal, unseal
from tinyllm.saving.safetensors import Spec, pack

__all__ = ["load_hdf5", "save_hdf5"]

KERAS_VERSION = "3.0.0"  # the version whose layout is written
MANIFEST = "tinyllm_manifest"
# Not Keras's optimizer_weights: Keras 3.15 builds its optimizer for no variables when it finds that group (in its own
# files, too), and cannot train the model any further. Without the group it starts a fresh optimizer.
SLOT_GROUP = "tinyllm_optimizer"
MOST_ATTRIBUTE_BYTES = 64512  # HDF5's limit for what is stored in an object's header
MOST_NAMES = 10_000
HARD_SIGMOID = "hard_sigmoid is clip(0.2 x + 0.5, 0, 1) here and clip(x / 6 + 0.5, 0, 1) in Keras 3"
# What a Keras layer may say although we have no such argument: it does not change what the layer computes.
SILENT = {"batch_input_shape", "implementation", "input_length", "seed"}
NOT_IN_OURS = ("decay", "use_ema", "gradient_accumulation_steps", "loss_scale_factor")
IN_KERAS = {c.lower(): c for c in ("Adagrad", "Adam", "Adamax", "AdamW", "Nadam", "RMSprop", "SGD")}
SLOTS = {
    "momentum": re.compile(r"_momentum$|/momentum:0$|/m(/|:0$)"),
    "velocity": re.compile(r"_velocity$|/v(/|:0$)"),
}
WEIGHTS = {"Dense": ("kernel", "bias"), "Embedding": ("embeddings",), "LSTM": ("kernel", "recurrent_kernel", "bias")}


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise ImportError("HDF5 files need h5py: pip install h5py") from None
    return h5py


# -- writing --------------------------------------------------------------------------------------------------------


def save_hdf5(model: Any, path: str) -> None:
    """Write one .h5 file, atomically: made in memory, written beside the old one, renamed. See saving.save_model."""
    h5py = _h5py()
    content, tensors = describe(model)
    # The sum is of the same bytes as the folder format's.
    content["weights"] = {"names": list(model.named_weights), **fingerprint(pack(tensors))}
    for name in (model.name, *(layer.name for layer in model.layers)):
        if "/" in name:
            raise ValueError(f"save: '{name}' has a slash, which Keras does not allow in a name")
    model_config, training_config = _keras_model(model), _keras_training(content["training"])
    with h5py.File("model.h5", "w", driver="core", backing_store=False) as file:
        file.attrs["backend"] = "numpy"
        file.attrs["keras_version"] = KERAS_VERSION
        file.attrs["model_config"] = json.dumps(model_config)
        file.attrs[MANIFEST] = seal(content)
        group = file.create_group("model_weights")
        group.attrs["backend"] = "numpy"
        group.attrs["keras_version"] = KERAS_VERSION
        layers = [layer for layer in model.layers if not isinstance(layer, InputLayer)]
        _write_names(group, "layer_names", [layer.name for layer in layers])
        for layer in layers:
            names = {name: _keras_path(model, layer, name) for name in layer.parameters}
            _write_arrays(group.create_group(layer.name), {names[n]: w.data for n, w in layer.parameters.items()})
        _write_arrays(group.create_group("top_level_model_weights"), {})
        if training_config is not None:
            file.attrs["training_config"] = json.dumps(training_config)
        slots = {name: value for name, value in tensors.items() if name not in model.named_weights}
        if slots:
            _write_arrays(file.create_group(SLOT_GROUP), slots)
        file.flush()
        data = file.id.get_file_image()
    target = os.path.realpath(path)
    if os.path.isdir(target):
        raise FileExistsError(f"save: '{path}' is a folder; choose another name for the file")
    if os.path.lexists(target):
        with open(target, "rb") as old:
            if old.read(8) not in (b"", HDF5_SIGNATURE):
                raise FileExistsError(f"save: '{path}' holds something else, not an HDF5 file; choose another name")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with exclusive(os.path.dirname(target)):
        write_atomically(target, data)


def _write_names(group: Any, attribute: str, names: list[str]) -> None:
    """A list of names as Keras stores it: one attribute, or attribute0, attribute1, ... where that is too large."""
    encoded = np.array([name.encode() for name in names])
    rows = max(1, MOST_ATTRIBUTE_BYTES // max(encoded.itemsize, 1))
    pieces = [encoded[i : i + rows] for i in range(0, len(encoded), rows)] or [encoded]
    for i, piece in enumerate(pieces):
        group.attrs[attribute if len(pieces) == 1 else f"{attribute}{i}"] = piece


def _write_arrays(group: Any, arrays: dict[str, np.ndarray]) -> None:
    _write_names(group, "weight_names", list(arrays))
    for name, array in arrays.items():
        group.create_dataset(name, data=array)


def _keras_path(model: Any, layer: Any, name: str) -> str:
    cell = "lstm_cell/" if type(layer).__name__ == "LSTM" else ""
    return f"{model.name}/{layer.name}/{cell}{name}"


def _keras_model(model: Any) -> dict:
    layers = []
    for layer in model.layers:
        config = layer.get_config()
        if _says_hard_sigmoid(config):
            raise ValueError(f"save: {HARD_SIGMOID}: the file would predict something else there; save to a folder")
        if isinstance(layer, InputLayer):
            continue
        config.pop("input_length", None)  # Keras 3 has it no more; the InputLayer below says it
        layers.append({"class_name": type(layer).__name__, "config": config})
    first = model.layers[0]
    name = first.name if isinstance(first, InputLayer) else f"{first.name}_input"
    shape = first.input_shape
    entrance = {"batch_input_shape": shape, "dtype": first.dtype.name, "sparse": False, "ragged": False, "name": name}
    layers.insert(0, {"class_name": "InputLayer", "config": entrance})
    return {"class_name": "Sequential", "config": {"name": model.name, "layers": layers, "build_input_shape": shape}}


def _says_hard_sigmoid(config: Any) -> bool:
    """Whether a layer, or one wrapped in it, is set to that activation."""
    if isinstance(config, dict):
        return any(
            (key.endswith("activation") and value == "hard_sigmoid") or _says_hard_sigmoid(value)
            for key, value in config.items()
        )
    return False


def _keras_training(training: dict | None) -> dict | None:
    """Keras's training_config; None where it has no such loss, metric or optimizer."""
    if training is None:
        return None
    optimizer = training["optimizer"]
    config = {key: value for key, value in optimizer["config"].items() if key != "groups"}
    ours_alone = optimizer["config"].get("groups") or not isinstance(config["learning_rate"], float | int)
    if ours_alone or optimizer["class_name"] not in IN_KERAS:
        return None
    names = [training["loss"]["class_name"], *training["metrics"], *training["weighted_metrics"]]
    if "half_sum_squared_error" in names:
        return None
    class_name = losses.LOSSES[names[0]].__name__
    return {
        "loss": {"class_name": class_name, "config": training["loss"]["config"]},
        "metrics": training["metrics"],
        "weighted_metrics": training["weighted_metrics"] or None,
        "loss_weights": None,
        "optimizer_config": {
            "class_name": IN_KERAS[optimizer["class_name"]],
            "config": config,
        },
    }


# -- reading --------------------------------------------------------------------------------------------------------


def load_hdf5(path: str) -> Any:
    """The model in an .h5 file, ours or Keras's. ValueError, in one line, for whatever is wrong with the file."""
    h5py = _h5py()
    name = os.path.basename(path)
    try:
        with open(path, "rb") as stream:
            reader = _Reader(h5py, stream, name)
            with h5py.File(stream, "r") as file:
                return _load_ours(reader, file) if MANIFEST in file.attrs else _load_keras(reader, file)
    except _Refused as error:
        raise ValueError(str(error)) from None
    except Exception as error:  # h5py raises whatever HDF5 trips over
        raise ValueError(f"{name}: damaged, cut short, or not a model: {one_line(error)}") from None


class _Refused(ValueError):
    """An error whose message is complete."""


def _load_ours(reader: "_Reader", file: Any) -> Any:
    name = reader.name
    with _complete():
        content = unseal(reader.text(file, MANIFEST).encode("utf-8", "replace"), f"{name}: {MANIFEST}")
    arrays = reader.weights(file)
    described = content["weights"]
    if len(described["names"]) != len(arrays):
        raise ValueError(f"{len(arrays)} weights are stored, the manifest has {len(described['names'])}")
    tensors = dict(zip(described["names"], arrays))
    if SLOT_GROUP in file:
        group = reader.item(file, SLOT_GROUP)
        tensors |= {path: reader.array(group, path) for path in reader.names(group, "weight_names")}
    stored = {key: Spec(value.shape, value.dtype) for key, value in tensors.items()}
    with _complete():
        model = rebuild(content, stored, f"{name}: {MANIFEST}", name)
        if fingerprint(pack(tensors))["sha256"] != described["sha256"]:
            raise ValueError(f"{name}: its weights' SHA-256 differs from the manifest's: it was changed or damaged")
        restore(model, content, tensors, f"{name}: {MANIFEST}")
    return model


def _load_keras(reader: "_Reader", file: Any) -> Any:
    name = reader.name
    if "model_config" not in file.attrs:
        raise _Refused(f"{name}: no model_config: not a whole Keras model (perhaps only its weights)")
    with _complete():
        described = parse_json(reader.text(file, "model_config").encode(), f"{name}: model_config")
    old = "keras_version" in file.attrs and reader.text(file, "keras_version").startswith(("1.", "2."))
    config, shape = _tinyllm_config(described, old)
    arrays = reader.weights(file)
    expected = {
        f"{each['config']['name']}/{weight}": each["config"].get("dtype", "float32")
        for each in config["layers"]
        for weight in WEIGHTS.get(each["class_name"], ())
        if weight != "bias" or each["config"].get("use_bias", True)
    }
    if len(expected) != len(arrays):
        raise ValueError(f"{len(arrays)} weights are stored, the model has {len(expected)}")
    tensors = {key: value.astype(dtype) for (key, dtype), value in zip(expected.items(), arrays)}  # mapped by order
    content = {"kind": "Sequential", "config": config, "input_shape": shape, "training": None}
    with _complete():
        model = rebuild(content, {k: Spec(v.shape, v.dtype) for k, v in tensors.items()}, f"{name}: model_config", name)
        restore(model, content, tensors, name)
    if "training_config" in file.attrs:
        try:
            _compile(model, reader, file)
        except Exception as error:  # how it was trained is not needed to predict
            model.optimizer = model.loss = None
            warnings.warn(f"{name}: not compiled, call compile(): {one_line(error)}", stacklevel=4)
    return model


@contextmanager
def _complete() -> Iterator[None]:
    """Lets the ValueErrors of saving.py, which say all, through as they are."""
    try:
        yield
    except ValueError as error:
        raise _Refused(str(error)) from None


class _Reader:
    """Reads names, texts and arrays from a file that is not trusted: hard links only, nothing larger than the file."""

    def __init__(self, h5py: Any, stream: Any, name: str):
        self.h5py = h5py
        self.name = name
        self.size = os.fstat(stream.fileno()).st_size
        self.left = self.size

    def item(self, group: Any, path: str) -> Any:
        """group[path], where every step is a hard link."""
        for step in path.split("/"):
            link = group.get(step, getlink=True)
            if link is None:
                raise _Refused(f"{self.name}: there is no '{path}'")
            if not isinstance(link, self.h5py.HardLink):
                raise _Refused(f"{self.name}: '{path}' is a link to elsewhere; such files are not read")
            group = group[step]
        return group

    def array(self, group: Any, path: str) -> np.ndarray:
        """The dataset at this path, in the machine's byte order."""
        dataset = self.item(group, path)
        if not isinstance(dataset, self.h5py.Dataset) or dataset.dtype.kind not in "fiu":
            raise _Refused(f"{self.name}: '{path}' holds no numbers")
        if dataset.is_virtual or dataset.external:
            raise _Refused(f"{self.name}: '{path}' takes its values from another file; such files are not read")
        needed = math.prod(dataset.shape) * dataset.dtype.itemsize
        if needed > self.left:
            raise _Refused(f"{self.name}: '{path}' claims {needed} bytes in a file of {self.size}")
        self.left -= needed
        return np.asarray(dataset[()]).astype(dataset.dtype.newbyteorder("="))

    def text(self, item: Any, attribute: str) -> str:
        """An attribute that is one text."""
        return self._texts(item, attribute, most=1)[0]

    def names(self, item: Any, attribute: str) -> list[str]:
        """A list of names, in one attribute or in several (see _write_names)."""
        if attribute in item.attrs:
            return self._texts(item, attribute)
        found: list[str] = []
        for i in range(MOST_NAMES):
            if f"{attribute}{i}" not in item.attrs:
                break
            found += self._texts(item, f"{attribute}{i}")
        return found

    def weights(self, file: Any) -> list[np.ndarray]:
        """All weights, in the file's order of layers and weights."""
        group = self.item(file, "model_weights")
        found = []
        for layer in self.names(group, "layer_names"):
            stored = self.item(group, layer)
            found += [self.array(stored, path) for path in self.names(stored, "weight_names")]
        return found

    def _texts(self, item: Any, attribute: str, most: int = MOST_NAMES) -> list[str]:
        described = item.attrs.get_id(attribute)
        count = math.prod(described.shape)
        if count == 0:
            return []
        is_text = self.h5py.check_string_dtype(described.dtype) is not None
        if not is_text or count > most or described.get_storage_size() > self.size:
            raise _Refused(f"{self.name}: the attribute '{attribute}' is no text, or too large")
        values = np.ravel(item.attrs[attribute]).tolist()
        return [value.decode() if isinstance(value, bytes) else value for value in values]


# -- Keras's descriptions as ours -----------------------------------------------------------------------------------


def _tinyllm_config(described: dict, old: bool) -> tuple[dict, Any]:
    """(a Sequential's config, its input shape) from Keras's model_config; `old` is a Keras before 3."""
    if described.get("class_name") != "Sequential":
        raise ValueError(f"a model of the class {described.get('class_name')!r:.40}; only Sequential is read")
    config = described["config"]
    shape: Any = None
    layers: list[dict] = []
    for each in config["layers"]:
        class_name, own = each["class_name"], each["config"]
        if not layers:
            shape = shape or own.get("batch_input_shape") or own.get("batch_shape")
        if class_name != "InputLayer":
            layers.append({"class_name": class_name, "config": _layer_config(class_name, own, old)})
    shape = shape or config.get("build_input_shape")
    return {"name": config["name"], "seed": 0, "layers": layers}, shape and [None, *shape[1:]]


def _layer_config(class_name: str, config: dict, old: bool) -> dict:
    arguments = set(inspect.signature(lookup("layer", class_name, LAYERS)).parameters) | {"name", "trainable", "dtype"}
    ours = {}
    for key, value in config.items():
        if key == "dtype" and isinstance(value, dict):
            value = value["config"]["name"]
        if key in SILENT:
            continue
        if key.endswith("activation"):
            value = value["config"] if isinstance(value, dict) else value
            if value == "hard_sigmoid" and not old:
                raise ValueError(f"{class_name} '{config['name']}': {HARD_SIGMOID}")
        if key in arguments:
            if not key.endswith("_initializer"):  # how the weights began no longer matters
                ours[key] = value
        elif value not in (None, False, 0, [], {}):
            raise ValueError(f"{class_name} '{config['name']}' has {key}={value!r:.60}, which tinyllm does not know")
    return ours


def _compile(model: Any, reader: _Reader, file: Any) -> None:
    training = parse_json(reader.text(file, "training_config").encode(), "training_config")
    described = training["optimizer_config"]["config"]
    optimizer_class = lookup("optimizer", training["optimizer_config"]["class_name"].lower(), optimizers.OPTIMIZERS)
    for key in NOT_IN_OURS:
        if described.get(key):
            raise ValueError(f"its optimizer has {key}={described[key]!r:.40}")
    arguments = inspect.signature(optimizer_class).parameters
    optimizer = optimizer_class(**{key: value for key, value in described.items() if key in arguments})
    watched = [
        [_metric_name(m) for m in _flat(training.get(kind) or []) if m is not None]
        for kind in ("metrics", "weighted_metrics")
    ]
    model.compile(optimizer, _loss(training["loss"]), *watched)
    if "optimizer_weights" in file:
        _restore_slots(model, reader, reader.item(file, "optimizer_weights"))


def _loss(described: Any) -> losses.Loss:
    if isinstance(described, str):
        return losses.get(described)
    if described["class_name"] == "function":
        return losses.get(described["config"])
    loss_class = lookup("loss", losses.snake_case(described["class_name"]), losses.LOSSES)
    config = {k: v for k, v in described["config"].items() if v is not None and k not in ("dtype", "fn")}
    if config.get("reduction") in ("auto", "sum_over_batch_size"):  # Keras's default, in its two names
        del config["reduction"]
    known = {*inspect.signature(loss_class).parameters, "name", "reduction"}
    for key, value in config.items():
        if key not in known and value and (key, value) != ("axis", -1):
            raise ValueError(f"its loss has {key}={value!r:.40}")
    return loss_class(**{key: value for key, value in config.items() if key in known})


def _metric_name(described: Any) -> str:
    name = described if isinstance(described, str) else described["config"]["name"]
    metrics.get(name)
    return name


def _flat(values: Any) -> list:
    return [each for value in values for each in _flat(value)] if isinstance(values, list) else [values]


def _slot(name: str) -> re.Pattern:
    return SLOTS.get(name) or re.compile(rf"_{name}$")


def _restore_slots(model: Any, reader: _Reader, group: Any) -> None:
    """Keras's optimizer weights, whatever its version: each slot's arrays come in the order of the weights."""
    paths = reader.names(group, "weight_names")
    weights = model.trainable_weights
    steps = [path for path in paths if re.search(r"(^|/)iter(ation)?(:0)?$", path)]
    slots = {slot: [path for path in paths if _slot(slot).search(path)] for slot in model.optimizer.slot_names}
    used = {slot: found for slot, found in slots.items() if found}
    if len(steps) != 1 or any(len(found) != len(weights) for found in used.values()):
        raise ValueError("its optimizer's weights are not understood")
    values = {slot: [reader.array(group, path) for path in found] for slot, found in used.items()}
    for found in values.values():
        if [value.shape for value in found] != [w.shape for w in weights]:
            raise ValueError("its optimizer's weights have other shapes than the model's")
    model.optimizer.iterations = int(reader.array(group, steps[0]))
    if values:
        model.optimizer.build(weights)
    for i, state in enumerate(model.optimizer.get_state()):
        for slot, found in values.items():
            state[slot][...] = found[i]
