"""Models on disk: a folder with a manifest (JSON) and the weights (safetensors). No pickle: loading runs no code.

    my_model/
      manifest.json                      what the model is, how it was trained, and the SHA-256 of the weights
      weights-1f0c5a9be0d7.safetensors   the numbers, in a file called after its own content

The weights are written first and the manifest last, each under another name until it is whole on the disk. So at any
moment the manifest that is there belongs to weights that are there: killed at any point, a save leaves the old model or
the new one. docs/file-formats.md describes every field; hdf5.py is the other format, the one that Keras reads.
"""

import hashlib
import importlib
import json
import math
import os
import re
import secrets
import stat
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from tinyllm import initializers, losses, metrics, optimizers
from tinyllm.autograd.tensor import as_array
from tinyllm.layers import LAYERS, Layer, deserialize
from tinyllm.names import lookup
from tinyllm.preprocessing.text import TextToIds

try:
    import fcntl
except ImportError:  # Windows: two processes that save to one place at once are not kept apart there
    fcntl = None  # type: ignore[assignment]

__all__ = ["load_model", "read_tensors", "save_model", "write_tensors"]

FORMAT, VERSION = "tinyllm-model", 1
MANIFEST = "manifest.json"
WEIGHTS_NAME = re.compile(r"weights-[0-9a-f]{12}\.safetensors")
TEMPORARY_NAME = re.compile(r"\.tinyllm-[0-9a-f]{16}\.tmp")
HDF5_SUFFIXES = (".h5", ".hdf5")
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
MOST_JSON_BYTES = 100_000_000
DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8"} | {
    f"{s}{8 * n}": f"<{s.lower()}{n}" for s in "IU" for n in (1, 2, 4, 8)
}

# What goes wrong when a model is built from a description that is not one.
UNFIT = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError, MemoryError)


class Spec(NamedTuple):
    """What must agree between a stored tensor and the weight it is for."""

    shape: tuple[int, ...]
    dtype: np.dtype


# -- saving and loading a model -------------------------------------------------------------------------------------


def save_model(model: Any, path: Any) -> None:
    """Write the model to a folder, or to one HDF5 file if the path ends in .h5 or .hdf5.

    With it go its tokenizer (`model.preprocess`) and, when it is compiled, the optimizer with its state, the loss, the
    metrics and the random generators: training goes on after load_model as if nothing had happened. An older model
    at this path is replaced in one step. Equal models give equal bytes.

    Raises FileExistsError where the path holds something else, and ValueError for a model that load_model could not
    build again (a layer of your own); in both cases nothing was written.
    """
    path = _text(path, "save")
    if path.lower().endswith(HDF5_SUFFIXES):
        from tinyllm.hdf5 import save_hdf5

        return save_hdf5(model, path)
    content, tensors = describe(model)
    data = pack(tensors)
    content["weights"] = {"file": f"weights-{sha256(data)[:12]}.safetensors", **fingerprint(data)}
    folder = os.path.realpath(path)
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise FileExistsError(f"save: '{path}' is a file; a model is saved as a folder (or to a name ending in .h5)")
    os.makedirs(folder, exist_ok=True)
    with exclusive(folder):
        _refuse_foreign(folder, path)
        write_atomically(os.path.join(folder, content["weights"]["file"]), data)
        write_atomically(os.path.join(folder, MANIFEST), seal(content).encode("ascii"))
        for name in os.listdir(folder):
            if WEIGHTS_NAME.fullmatch(name) and name != content["weights"]["file"]:
                with suppress(OSError):  # on Windows a reader may have it open
                    os.unlink(os.path.join(folder, name))
    return None


def load_model(path: Any) -> Any:
    """The model that save_model wrote, weights and predictions equal to the last bit; or a Sequential from Keras's .h5.

    Everything is checked before it is believed: sizes, SHA-256 sums, and every tensor's name, shape and dtype.

    Raises FileNotFoundError where there is nothing, and ValueError, in one line, for whatever is wrong with a file.
    """
    path = _text(path, "load_model")
    if os.path.isdir(path):
        return _load_folder(path)
    if not os.path.lexists(path):
        raise FileNotFoundError(f"load_model: there is nothing at '{path}'")
    if os.path.basename(path) == MANIFEST:
        raise ValueError(f"load_model: '{path}' is a part of a model; give its folder")
    with _open(os.path.realpath(path), os.path.basename(path)) as (file, size):
        signature = file.read(len(HDF5_SIGNATURE))
    if signature != HDF5_SIGNATURE:
        what = "its first bytes are not HDF5's" if len(signature) == 8 else f"it has {size} bytes"
        raise ValueError(f"load_model: '{path}' is neither a model folder nor an HDF5 file: {what}")
    from tinyllm.hdf5 import load_hdf5

    return load_hdf5(path)


def _load_folder(path: str) -> Any:
    if not os.path.lexists(os.path.join(path, MANIFEST)):
        raise FileNotFoundError(f"load_model: '{path}' is not a tinyllm model: it has no {MANIFEST}")
    content = _read_manifest(path)
    while True:
        try:
            return _load_content(content, path)
        except FileNotFoundError:  # a save may have replaced the model since its manifest was read
            before, content = content, _read_manifest(path)
            if content == before:
                raise ValueError(f"{content['weights']['file']}: the file is missing from '{path}'") from None


def _load_content(content: dict, path: str) -> Any:
    described = content.get("weights")
    if not isinstance(described, dict) or not WEIGHTS_NAME.fullmatch(str(described.get("file"))):
        found = described.get("file") if isinstance(described, dict) else described
        raise ValueError(
            f"{MANIFEST}: expected a weights file like weights-<12 hex digits>.safetensors, found {found!r:.80}"
        )
    name = described["file"]
    with _open(os.path.join(path, name), name) as (file, size):
        _check_size(name, size, described.get("bytes"))
        layout, header = _read_layout(file, size, name)
        model = rebuild(content, {key: entry.spec for key, entry in layout.items()}, MANIFEST, name)
        data = file.read(size - len(header))
    if len(header) + len(data) != size:
        raise ValueError(f"{name}: the file shrank while it was read")
    if sha256(header, data) != described.get("sha256"):
        raise ValueError(f"{name}: its SHA-256 differs from the manifest's: the file was changed or damaged")
    restore(model, content, _slice(layout, data), MANIFEST)
    return model


def _read_manifest(path: str) -> dict:
    with _open(os.path.join(path, MANIFEST), MANIFEST) as (file, size):
        if size > MOST_JSON_BYTES:
            raise ValueError(f"{MANIFEST}: {size} bytes are too many (at most {MOST_JSON_BYTES})")
        return unseal(file.read(MOST_JSON_BYTES), MANIFEST)


def _refuse_foreign(folder: str, path: str) -> None:
    """FileExistsError unless the folder is empty, or holds a model of ours, or what is left of a save that was cut."""
    names = os.listdir(folder)
    if MANIFEST in names:
        try:
            with _open(os.path.join(folder, MANIFEST), MANIFEST) as (file, _):
                ours = b'"format": "' + FORMAT.encode() + b'"' in file.read(200)
        except (ValueError, OSError):
            ours = False
        if not ours:
            raise FileExistsError(f"save: the {MANIFEST} in '{path}' is not a tinyllm model's; choose another folder")
        return
    foreign = sorted(n for n in names if not (WEIGHTS_NAME.fullmatch(n) or TEMPORARY_NAME.fullmatch(n)))
    if foreign:
        raise FileExistsError(
            f"save: '{path}' holds something else ('{foreign[0]}'), not a tinyllm model; choose another folder"
        )


# -- a model as a description and tensors ---------------------------------------------------------------------------


def describe(model: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(what the manifest says, except about the weights' file; all tensors by name). Checks that it can be undone."""
    from tinyllm import __version__

    kind = type(model).__name__
    if kinds().get(kind) is not type(model):
        raise ValueError(f"save: load_model does not know the class {kind}; known: {', '.join(sorted(kinds()))}")
    if not model.layers:
        raise ValueError("save: this model has no layers; add() some")
    for layer in model.layers:
        if LAYERS.get(type(layer).__name__) is not type(layer):
            known = ", ".join(sorted(LAYERS))
            raise ValueError(
                f"save: the layer '{layer.name}' is a {type(layer).__name__}, which load_model does not know; "
                f"known: {known}"
            )
    tensors = {name: w.data for name, w in model.named_weights.items()}
    training, slots = _describe_training(model)
    generators = {"": model.rng} | {layer.name: layer.rng for layer in model.layers}
    content = {
        "format": FORMAT,
        "version": VERSION,
        "tinyllm": __version__,
        "kind": kind,
        "config": model.get_config(),
        "input_shape": model.layers[0].input_shape,
        "preprocess": _describe_preprocess(model),
        "training": training,
        "random": {name: state for name, rng in generators.items() if (state := _random_state(rng)) is not None},
    }
    if twice := tensors.keys() & slots.keys():
        raise ValueError(f"save: two tensors would be called '{min(twice)}'; rename the layer")
    tensors |= slots
    content = json.loads(render(content))  # as load_model will see it
    stored = {name: Spec(value.shape, value.dtype) for name, value in tensors.items()}
    rebuild(content, stored, f"save: {kind}.get_config()", "this model")
    return content, tensors


def rebuild(content: dict, stored: dict[str, Spec], where: str, source: str) -> Any:
    """The model that `content` describes, with fresh weights that fit the `stored` tensors.

    What fits is looked up before it is allocated, so a small file cannot ask for a large model.
    """
    kind, training = content.get("kind"), content.get("training")
    config: Any = content.get("config")
    model_class = _unless_unfit(where, lambda: lookup("kind of model", kind, kinds()))
    shape = content.get("input_shape")

    def build() -> Any:
        input_shape = None if shape is None else tuple(shape)
        _check_before_building(kind, config, input_shape, stored, source)
        settled = config["layers"] if kind == "Sequential" else []
        fresh = [each | {"config": each["config"] | dict.fromkeys(_initializers(each), "zeros")} for each in settled]
        model = model_class.from_config(config | {"layers": fresh} if settled else config)
        if input_shape is not None:
            model.build(input_shape)
        for layer, each in zip(model.layers, settled):
            for name, described in _initializers(each).items():
                setattr(layer, name, initializers.get(described))
        expected = {name: Spec(w.shape, w.dtype) for name, w in model.named_weights.items()}
        if training is not None:
            slots = [(slot, name) for slot in training["slots"] for name in training["slots_of"]]
            expected |= {f"optimizer/{slot}/{name}": expected[name] for slot, name in slots}
        return model, expected

    model, expected = _unless_unfit(f"{where}: the model cannot be built", build)
    for name, spec in expected.items():
        _check_spec(name, spec, stored, source)
    extra = sorted(stored.keys() - expected.keys())
    if extra:
        raise ValueError(f"{source}: '{extra[0]}' belongs to no layer of the model")
    return model


def restore(model: Any, content: dict, tensors: Mapping[str, np.ndarray], where: str) -> None:
    """Put the tensors, the tokenizer, the optimizer's state and the random generators back into a rebuilt model."""
    named = model.named_weights
    for name, weight in named.items():
        weight.data = np.array(tensors[name], order="C")  # the layout decides the last bit of a matrix product

    def put_back() -> None:
        if content.get("preprocess") is not None:
            lookup("preprocess", content["preprocess"]["class_name"], {"TextToIds": TextToIds})
            model.preprocess = TextToIds.from_config(content["preprocess"]["config"])
        if content.get("training") is not None:
            _restore_training(model, content["training"], named, tensors)
        generators = {"": model.rng} | {layer.name: layer.rng for layer in model.layers}
        for name, state in content.get("random", {}).items():
            _set_random_state(generators[name], state)

    _unless_unfit(f"{where}: it cannot be restored", put_back)


def kinds() -> dict[str, Any]:
    """The classes of models that a file may name."""
    models = importlib.import_module("tinyllm.models")  # above this floor, so only when it is needed
    public: dict[str, Any] = {name: getattr(models, name) for name in models.__all__}
    return {name: value for name, value in public.items() if isinstance(value, type) and hasattr(value, "from_config")}


def _check_before_building(kind: Any, config: Any, input_shape: Any, stored: dict[str, Spec], source: str) -> None:
    """ValueError where a layer would make a weight that is not stored, before memory is taken for it."""
    if kind != "Sequential":  # such a class makes its own layers: no setting may be larger than all there is
        total = sum(math.prod(spec.shape) for spec in stored.values())
        large = [name for name, value in config.items() if isinstance(value, int) and value > total and name != "seed"]
        if large:
            raise ValueError(f"{large[0]}={config[large[0]]} does not fit the {total} numbers of {source}")
        return
    for each in config["layers"]:
        layer = deserialize(each)
        vars(layer)["add_weight"] = _zeros_where_stored(layer, stored, source)
        input_shape = input_shape if input_shape is not None else layer.batch_input_shape
        layer.build(input_shape)
        input_shape = layer.compute_output_shape(input_shape)


def _initializers(described: dict) -> dict[str, Any]:
    """A layer's initializers. Drawing weights that are overwritten at once would take longer than all the rest."""
    return {name: value for name, value in described["config"].items() if name.endswith("_initializer")}


def _zeros_where_stored(layer: Layer, stored: dict[str, Spec], source: str) -> Callable:
    add_weight = layer.add_weight

    def checked(name: str, shape: tuple[int, ...], initializer: Any) -> Any:
        _check_spec(f"{layer.name}/{name}", Spec(tuple(shape), layer.dtype), stored, source)
        return add_weight(name, shape, "zeros")

    return checked


def _check_spec(name: str, expected: Spec, stored: dict[str, Spec], source: str) -> None:
    if name not in stored:
        raise ValueError(f"{source}: there is no '{name}', which the model needs")
    if stored[name] != expected:
        found = f"'{name}' is {stored[name].dtype} {stored[name].shape}"
        raise ValueError(f"{source}: {found}; the model described needs {expected.dtype} {expected.shape}")


def _unless_unfit(where: str, action: Callable) -> Any:
    try:
        return action()
    except UNFIT as error:
        raise ValueError(f"{where}: {one_line(error)}") from None


def one_line(error: BaseException) -> str:
    """An error's message on one line."""
    return " ".join(str(error).split())[:500] or type(error).__name__


# -- what a model was trained with ----------------------------------------------------------------------------------


def _describe_training(model: Any) -> tuple[dict | None, dict[str, np.ndarray]]:
    """(optimizer, loss and metrics as JSON, the optimizer's tensors); (None, {}) where a file cannot name them."""
    if model.optimizer is None or model.loss is None:
        return None, {}
    optimizer, loss = model.optimizer, model.loss
    chosen = [_name_in(optimizers.OPTIMIZERS, type(optimizer))]
    chosen += [_name_in({name: c.function for name, c in losses.LOSSES.items()}, type(loss).function)]
    chosen += [m if isinstance(m, str) else _name_in(metrics.METRICS, m) for m in model.metrics]
    if None in chosen:
        warnings.warn(
            "save: the optimizer, the loss or a metric is your own, which a file cannot name: "
            "call compile() again after loading; the optimizer's state is not saved",
            stacklevel=4,
        )
        return None, {}
    state = dict(zip(map(id, optimizer.parameters), optimizer.get_state()))
    names = [name for name, w in model.named_weights.items() if id(w) in state]
    values = [state[id(model.named_weights[name])] for name in names]
    slots = [slot for slot in optimizer.slot_names if any(each[slot].any() for each in values)]  # the rest is still 0
    training = {
        "optimizer": {"class_name": chosen[0], "config": optimizer.get_config()},
        "iterations": optimizer.iterations,
        "slots": slots,
        "slots_of": names if slots else [],
        "loss": {"class_name": chosen[1], "config": loss.get_config()},
        "metrics": chosen[2:],
    }
    return training, {f"optimizer/{s}/{n}": each[s] for s in slots for n, each in zip(names, values)}


def _restore_training(model: Any, training: dict, named: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
    optimizer = optimizers.get(training["optimizer"])
    loss = lookup("loss", training["loss"]["class_name"], losses.LOSSES)(**training["loss"]["config"])
    model.compile(optimizer, loss, training["metrics"])
    if type(training["iterations"]) is not int or training["iterations"] < 0:
        raise ValueError(f"iterations must be a whole number; found {training['iterations']!r}")
    optimizer.iterations = training["iterations"]
    if training["slots"]:
        optimizer.build([named[name] for name in training["slots_of"]])
        for name, state in zip(training["slots_of"], optimizer.get_state()):
            for slot in training["slots"]:
                state[slot][...] = tensors[f"optimizer/{slot}/{name}"]


def _describe_preprocess(model: Any) -> dict | None:
    if model.preprocess is None:
        return None
    if not isinstance(model.preprocess, TextToIds):
        warnings.warn("save: model.preprocess is your own function, which a file cannot hold", stacklevel=4)
        return None
    return {"class_name": "TextToIds", "config": model.preprocess.get_config()}


def _name_in(known: Mapping[str, Any], wanted: Any) -> str | None:
    return next((name for name, value in known.items() if value is wanted), None)


def _random_state(rng: Any) -> dict | None:
    """The state of NumPy's usual generator; its 128-bit numbers as text, for readers whose JSON numbers are floats."""
    if rng is None or rng.bit_generator.state["bit_generator"] != "PCG64":
        return None
    state = rng.bit_generator.state
    numbers = {name: str(value) for name, value in state["state"].items()}
    return {"has_uint32": state["has_uint32"], "uinteger": state["uinteger"], **numbers}


def _set_random_state(rng: np.random.Generator, saved: dict) -> None:
    numbers = {name: int(saved[name]) for name in ("state", "inc")}
    rest = {name: saved[name] for name in ("has_uint32", "uinteger")}
    rng.bit_generator.state = {"bit_generator": "PCG64", "state": numbers, **rest}


# -- the manifest ---------------------------------------------------------------------------------------------------


def render(content: dict) -> str:
    """The one way to write this content as JSON. ValueError for what JSON does not have."""
    try:
        return json.dumps(content, indent=1, allow_nan=False, default=_plain) + "\n"
    except (TypeError, ValueError) as error:
        raise ValueError(f"save: a setting of the model cannot be written as JSON: {one_line(error)}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r:.80}")


def seal(content: dict) -> str:
    """The content as JSON with the SHA-256 of itself at its end."""
    return render(content | {"checksum": sha256(render(content).encode("ascii"))})


def unseal(text: bytes, name: str) -> dict:
    """What seal() sealed; ValueError if a single bit differs. (Line ends may be Windows's: git changes them.)"""
    content = parse_json(text, name)
    if content.get("format") != FORMAT:
        raise ValueError(f"{name}: not a tinyllm model's manifest (its format is {content.get('format')!r:.40})")
    version = content.get("version")
    if type(version) is not int or version < 1:
        raise ValueError(f"{name}: its format version is {version!r:.40}")
    if version > VERSION:
        raise ValueError(f"{name}: made by a newer tinyllm (format version {version}; this one reads {VERSION})")
    checksum = content.pop("checksum", None)
    try:
        intact = seal(content).encode("ascii") == text.replace(b"\r\n", b"\n")
    except (ValueError, RecursionError):
        intact = False
    if not intact:
        what = "it has no checksum" if checksum is None else "its content differs from its own checksum"
        raise ValueError(f"{name}: {what}: the file was changed or damaged")
    return content


def parse_json(text: bytes, name: str) -> dict:
    """A JSON object from UTF-8; ValueError for anything else, for NaN, and for a name that occurs twice."""

    def without_repetition(pairs: list) -> dict:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError("a name occurs twice")
        return dict(pairs)

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON number")

    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=without_repetition, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name}: damaged, or not JSON: {one_line(error)}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{name}: expected a JSON object, found {type(value).__name__}")
    return value


def sha256(*parts: bytes) -> str:
    """The SHA-256 of the parts, one after another, in hex."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def fingerprint(data: bytes) -> dict[str, Any]:
    """Size and SHA-256."""
    return {"bytes": len(data), "sha256": sha256(data)}


# -- safetensors ----------------------------------------------------------------------------------------------------


class Entry(NamedTuple):
    """Where a tensor lies in the data."""

    spec: Spec
    begin: int
    end: int


def write_tensors(tensors: Mapping[str, Any], path: Any) -> None:
    """Write named arrays to a safetensors file, atomically; the same arrays give the same bytes.

    float16/32/64 and whole numbers; any memory layout (transposed, sliced, broadcast, big-endian): the values count.
    """
    path = os.path.realpath(_text(path, "write_tensors"))
    data = pack(tensors)
    with exclusive(os.path.dirname(path)):
        write_atomically(path, data)


def read_tensors(path: Any) -> dict[str, np.ndarray]:
    """The named arrays of a safetensors file. ValueError, in one line, for a file that is damaged or cut short."""
    path = _text(path, "read_tensors")
    name = os.path.basename(path)
    if not os.path.lexists(path):
        raise FileNotFoundError(f"read_tensors: there is nothing at '{path}'")
    with _open(path, name) as (file, size):
        layout, header = _read_layout(file, size, name)
        data = file.read(size - len(header))
    if len(header) + len(data) != size:
        raise ValueError(f"{name}: the file shrank while it was read")
    return _slice(layout, data)


def pack(tensors: Mapping[str, Any]) -> bytes:
    """Named arrays in the safetensors format: 8 bytes of header length, a JSON header, raw little-endian values."""
    codes = {np.dtype(dtype): code for code, dtype in DTYPES.items()}
    arrays = {}
    for name, value in tensors.items():
        array = np.asarray(as_array(value))
        if array.dtype.newbyteorder("<") not in codes:
            raise ValueError(f"tensor '{name}' is {array.dtype}; a safetensors file of ours holds {', '.join(DTYPES)}")
        arrays[name] = array.astype(array.dtype.newbyteorder("<"), copy=False)
    ordered = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))  # so that all are aligned
    header: dict[str, Any] = {}
    end = 0
    for name in ordered:
        array = arrays[name]
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": codes[array.dtype], "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *(arrays[name].tobytes() for name in ordered)])


def _read_layout(file: BinaryIO, size: int, name: str) -> tuple[dict[str, Entry], bytes]:
    """(where each tensor lies, the bytes read so far). Nothing is believed that the file's size does not bear out."""
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8:
        raise ValueError(f"{name}: {size} bytes are too few for a safetensors file")
    if length > min(MOST_JSON_BYTES, size - 8):
        raise ValueError(
            f"{name}: its header claims {length} bytes, of {size} in the file: cut short, or no safetensors"
        )
    text = file.read(length)
    layout = {}
    for tensor, entry in parse_json(text, f"{name}: its header").items():
        if tensor != "__metadata__":
            layout[tensor] = _entry(entry, f"{name}: tensor {tensor!r:.80}")
    end = 0
    for tensor, entry in sorted(layout.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != end:
            raise ValueError(
                f"{name}: tensor {tensor!r:.80} begins at {entry.begin}, expected {end}: an overlap or a gap"
            )
        end = entry.end
    _check_size(name, size, 8 + length + end)
    return layout, start + text


def _entry(entry: Any, where: str) -> Entry:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{where}: expected dtype, shape and data_offsets")
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in DTYPES:
        raise ValueError(f"{where}: dtype {entry['dtype']!r:.40} is none of {', '.join(DTYPES)}")
    for key in ("shape", "data_offsets"):
        if not isinstance(entry[key], list) or any(type(n) is not int or not 0 <= n < 2**63 for n in entry[key]):
            raise ValueError(f"{where}: {key} must be a list of whole numbers, found {entry[key]!r:.80}")
    if len(entry["data_offsets"]) != 2 or len(entry["shape"]) > 32:
        raise ValueError(f"{where}: expected two offsets and at most 32 axes")
    dtype, shape, (begin, end) = np.dtype(DTYPES[entry["dtype"]]), tuple(entry["shape"]), entry["data_offsets"]
    needed = math.prod(shape) * dtype.itemsize
    if end - begin != needed or math.prod(n for n in shape if n) >= 2**60:
        raise ValueError(
            f"{where}: {dtype.name} {shape} takes {needed} bytes; its offsets {begin}, {end} say {end - begin}"
        )
    return Entry(Spec(shape, dtype.newbyteorder("=")), begin, end)


def _slice(layout: dict[str, Entry], data: bytes) -> dict[str, np.ndarray]:
    """The arrays, in the machine's byte order, each with its own memory."""
    arrays = {}
    for name, (spec, begin, end) in layout.items():
        stored = np.frombuffer(memoryview(data)[begin:end], spec.dtype.newbyteorder("<"))
        arrays[name] = stored.astype(spec.dtype).reshape(spec.shape)
    return arrays


def _check_size(name: str, size: int, expected: Any) -> None:
    if type(expected) is not int:
        raise ValueError(f"{name}: its size is not known: {expected!r:.40}")
    if size != expected:
        n = abs(size - expected)
        count = f"{n} byte{'s are' if n > 1 else ' is'}"
        raise ValueError(
            f"{name}: {count} {'missing' if size < expected else 'too many'}: found {size}, not {expected}"
        )


# -- files ----------------------------------------------------------------------------------------------------------


def write_atomically(path: str, data: bytes) -> None:
    """Make `path` hold `data`, or leave it as it was: written elsewhere in the folder, brought to the disk, renamed.

    The file's mode follows the umask, as for any new file.
    """
    folder = os.path.dirname(path)
    temporary = os.path.join(folder, f".tinyllm-{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(temporary, flags, 0o666)
    except OSError as error:
        raise type(error)(error.errno, f"save: cannot write into this folder: {error.strerror}", folder) from None
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    with _descriptor_of(folder) as opened:
        if opened is not None:
            os.fsync(opened)  # the new name, too, survives a power cut


@contextmanager
def exclusive(folder: str) -> Iterator[None]:
    """While this lasts, no other process or thread of ours writes into the folder; leftovers of killed ones go away."""
    with _descriptor_of(folder) as opened:
        if opened is not None and fcntl is not None:
            with suppress(OSError):  # some network drives have no locks
                fcntl.flock(opened, fcntl.LOCK_EX)
                for name in filter(TEMPORARY_NAME.fullmatch, os.listdir(folder)):
                    os.unlink(os.path.join(folder, name))
        yield


@contextmanager
def _descriptor_of(folder: str) -> Iterator[int | None]:
    """The folder, opened; None on Windows, which cannot."""
    if os.name == "nt":
        yield None
        return
    descriptor = os.open(folder or ".", os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _open(path: str, name: str) -> Iterator[tuple[BinaryIO, int]]:
    """(file, size) of a regular file; ValueError for a symbolic link, a folder, a pipe, or one that cannot be read."""
    if os.path.islink(path):
        raise ValueError(f"{name}: is a symbolic link; a model's files must be files of its own folder")
    flags = os.O_RDONLY
    for flag in ("O_BINARY", "O_NOFOLLOW", "O_NONBLOCK"):
        flags |= getattr(os, flag, 0)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"{name}: cannot be read: {error.strerror}") from None
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{name}: is not a regular file")
        yield file, status.st_size


def _text(path: Any, caller: str) -> str:
    text = os.fsdecode(path)
    if not text or "\0" in text:
        raise ValueError(f"{caller}: {text!r} is no path")
    return text
