"""Models on disk: a folder with a manifest (JSON) and the weights (safetensors). No pickle: loading runs no code.

    my_model/
      manifest.json                      what the model is, how it was trained, and the SHA-256 of the weights
      weights-1f0c5a9be0d7.safetensors   the numbers, in a file called after its own content

The weights are written first and the manifest last, each under another name until it is whole on the disk. So at any
moment the manifest that is there belongs to weights that are there: killed at any point, a save leaves the old model or
the new one. docs/file-formats.md describes every field; keras_files.py has the other formats, those that Keras reads.
"""

import os
import re
from contextlib import suppress
from typing import Any

from tinyllm.saving import archive, hdf5, keras_files, small
from tinyllm.saving.description import describe, rebuild, restore
from tinyllm.saving.files import TEMPORARY_NAME, exclusive, open_file, path_text, replace_file, write_atomically
from tinyllm.saving.manifest import FORMAT, MOST_JSON_BYTES, fingerprint, seal, sha256, unseal
from tinyllm.saving.safetensors import check_size, pack, read_layout, slice_tensors

__all__ = ["load_model", "save_model"]

MANIFEST = "manifest.json"
KERAS_FILES = {(".h5", ".hdf5"): keras_files.h5_file, (".keras",): keras_files.keras_file}
WEIGHTS_NAME = re.compile(r"weights-[0-9a-f]{12}\.safetensors")


def save_model(model: Any, path: Any, weights: str | None = None) -> None:
    """Write the model to a folder; or to one file that Keras reads, if the path ends in .keras, .h5 or .hdf5.

    weights: "float16" or "int8" stores a folder's weights in a half or a quarter of the bytes, without the optimizer
    (small.py); `tinyllm shrink` measures what that costs.

    With it go its tokenizer (`model.preprocess`) and, when it is compiled, the optimizer with its state, the loss, the
    metrics and the random generators: training goes on after load_model as if nothing had happened. An older model
    at this path is replaced in one step. Equal models give equal bytes.

    Raises FileExistsError where the path holds something else, and ValueError for a model that load_model could not
    build again (a layer of your own), or that Keras would compute differently; in each case nothing was written.
    """
    path = path_text(path, "save")
    for suffixes, file_of in KERAS_FILES.items():
        if path.lower().endswith(suffixes):
            if weights is not None:
                raise ValueError(f"save: weights={weights!r} is for a model's folder; '{path}' is a file of Keras's")
            return replace_file(path, file_of(model), "save")
    content, tensors = describe(model)
    stored = None
    if weights is not None:
        content["training"] = None
        tensors, stored = small.narrowed({name: tensors[name] for name in model.named_weights}, weights)
    data = pack(tensors)
    content["weights"] = {"file": f"weights-{sha256(data)[:12]}.safetensors", **fingerprint(data)}
    if stored is not None:
        content["weights"]["stored"] = stored
    folder = os.path.realpath(path)
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise FileExistsError(f"save: '{path}' is a file; a model is saved as a folder (or as .keras or .h5)")
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
    """The model that save_model wrote, weights and predictions equal to the last bit; or one from a file of Keras's.

    Everything is checked before it is believed: sizes, SHA-256 sums, and every tensor's name, shape and dtype.

    Raises FileNotFoundError where there is nothing, and ValueError, in one line, for whatever is wrong with a file.
    """
    path = path_text(path, "load_model")
    if os.path.isdir(path):
        return _load_folder(path)
    if not os.path.lexists(path):
        raise FileNotFoundError(f"load_model: there is nothing at '{path}'")
    if os.path.basename(path) == MANIFEST:
        raise ValueError(f"load_model: '{path}' is a part of a model; give its folder")
    name = os.path.basename(path)
    with open_file(os.path.realpath(path), name) as (file, size):
        beginning = file.read(len(hdf5.SIGNATURE))
        if beginning == hdf5.SIGNATURE:
            return keras_files.load_h5(file, size, name)
        if beginning.startswith(archive.SIGNATURE):
            return keras_files.load_keras(file, size, name)
    what = "its first bytes are not HDF5's, nor a zip's" if len(beginning) == 8 else f"it has {size} bytes"
    raise ValueError(f"load_model: '{path}' is neither a model folder nor a file of Keras's: {what}")


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
    with open_file(os.path.join(path, name), name) as (file, size):
        check_size(name, size, described.get("bytes"))
        layout, header = read_layout(file, size, name)
        stored, specs = described.get("stored"), {key: entry.spec for key, entry in layout.items()}
        if stored is not None:
            specs = small.widened_specs(specs, stored, name)
        model = rebuild(content, specs, MANIFEST, name)
        data = file.read(size - len(header))
    if len(header) + len(data) != size:
        raise ValueError(f"{name}: the file shrank while it was read")
    if sha256(header, data) != described.get("sha256"):
        raise ValueError(f"{name}: its SHA-256 differs from the manifest's: the file was changed or damaged")
    tensors = slice_tensors(layout, data)
    restore(model, content, tensors if stored is None else small.widened(tensors, stored, name), MANIFEST)
    return model


def _read_manifest(path: str) -> dict:
    with open_file(os.path.join(path, MANIFEST), MANIFEST) as (file, size):
        if size > MOST_JSON_BYTES:
            raise ValueError(f"{MANIFEST}: {size} bytes are too many (at most {MOST_JSON_BYTES})")
        return unseal(file.read(MOST_JSON_BYTES), MANIFEST)


def _refuse_foreign(folder: str, path: str) -> None:
    """FileExistsError unless the folder is empty, or holds a model of ours, or what is left of a save that was cut."""
    names = os.listdir(folder)
    if MANIFEST in names:
        try:
            with open_file(os.path.join(folder, MANIFEST), MANIFEST) as (file, _):
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
