"""The state of training on disk, so that training which was cut off goes on to bitwise the same end.

    run/
      step-00000120.safetensors   every array: weights, the optimizer's slots, the permutation of this epoch, ...
      step-00000120.json          every other number, and the size and the SHA-256 of the arrays' file

The arrays are written first and the JSON last, each atomically, so a checkpoint that has its JSON is whole. No pickle:
numbers, text, arrays, and lists and dicts of them, floats as hexadecimal text so that no bit is lost.
"""

import json
import os
import re
import warnings
from contextlib import suppress
from typing import Any

import numpy as np

from tinyllm.autograd.tensor import as_array
from tinyllm.layers.inner import all_layers
from tinyllm.saving.files import exclusive, open_file, write_atomically
from tinyllm.saving.manifest import MOST_JSON_BYTES, fingerprint, parse_json, seal, sha256
from tinyllm.saving.safetensors import check_size, pack, read_layout, slice_tensors

__all__ = ["begin", "newest", "restore", "save", "steps_in"]

FORMAT, VERSION = "tinyllm-checkpoint", 1
NAME = re.compile(r"step-([0-9]{8,})\.(json|safetensors)")


# -- files ----------------------------------------------------------------------------------------------------------


def save(model: Any, folder: str, keep: int) -> None:
    """Write a checkpoint of the fit() that is running, and drop all but the newest `keep`."""
    progress = model.progress
    tensors: dict[str, np.ndarray] = {}
    state = encode(capture(model), "", tensors)
    data = pack(tensors)
    content = {"format": FORMAT, "version": VERSION, **fingerprint(data), "identity": progress.identity, "state": state}
    name = os.path.join(folder, f"step-{progress.step:08d}")
    with exclusive(folder):
        write_atomically(f"{name}.safetensors", data)
        write_atomically(f"{name}.json", seal(content).encode("ascii"))
        steps = steps_in(folder)
        kept = [step for step in steps if step <= progress.step][:keep]  # later ones belong to a future that was lost
        for step in steps:
            for ending in ("json", "safetensors") if step not in kept else ():
                with suppress(OSError):  # on Windows a reader may have it open
                    os.unlink(os.path.join(folder, f"step-{step:08d}.{ending}"))


def steps_in(folder: str) -> list[int]:
    """The steps of which there are checkpoints, the newest first."""
    if not os.path.isdir(folder):
        return []
    found = (NAME.fullmatch(name) for name in os.listdir(folder))
    return sorted({int(match[1]) for match in found if match}, reverse=True)


def newest(folder: str) -> dict[str, Any] | None:
    """The newest checkpoint that can be read, {"identity": ..., "state": ...}; None where there is none.

    A damaged one is passed over with a warning. ValueError if all are damaged.
    """
    steps = steps_in(folder)
    problems = []
    for step in steps:
        try:
            found = read(folder, step)
        except FileNotFoundError:  # killed before its JSON was written
            continue
        except ValueError as error:
            problems.append(str(error))
            continue
        if problems:
            warnings.warn(f"resume: {problems[0]}; going on from step {step}", stacklevel=4)
        return found
    if problems:
        raise ValueError(f"resume: none of the checkpoints in '{folder}' can be read: {problems[0]}")
    return None


def read(folder: str, step: int) -> dict[str, Any]:
    """The checkpoint of this step. ValueError, in one line, for one that was damaged."""
    name = f"step-{step:08d}.json"
    with open_file(os.path.join(folder, name), name) as (file, _):
        text = file.read(MOST_JSON_BYTES)
    content = parse_json(text, name)
    content.pop("checksum", None)
    if seal(content).encode("ascii") != text:
        raise ValueError(f"{name}: the file was changed or damaged")
    if content.get("format") != FORMAT or content.get("version") != VERSION:
        found = f"{content.get('format')!r:.40} {content.get('version')!r:.40}"
        raise ValueError(f"{name}: expected {FORMAT} {VERSION}, found {found}")
    name = f"step-{step:08d}.safetensors"
    with open_file(os.path.join(folder, name), name) as (file, size):
        check_size(name, size, content["bytes"])
        layout, header = read_layout(file, size, name)
        data = file.read()
    if sha256(header, data) != content["sha256"]:
        raise ValueError(f"{name}: its SHA-256 is not the one in the JSON: the file was changed or damaged")
    return {"identity": content["identity"], "state": decode(content["state"], slice_tensors(layout, data))}


def encode(value: Any, path: str, tensors: dict[str, np.ndarray]) -> Any:
    """The value as JSON; its arrays go into `tensors` and leave their names behind."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"$float": value.hex()}
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        tensors[path] = value.astype(np.uint8) if value.dtype == bool else value
        return {"$bool" if value.dtype == bool else "$array": path}
    if isinstance(value, list | tuple):
        items = [encode(each, f"{path}/{i}", tensors) for i, each in enumerate(value)]
        return {"$tuple": items} if isinstance(value, tuple) else items
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: encode(each, f"{path}/{key}", tensors) for key, each in value.items()}
    raise TypeError(
        f"checkpoint: {path.lstrip('/')} is {value!r:.60}; kept are numbers, text, arrays, and lists and dicts of them"
    )


def decode(value: Any, tensors: dict[str, np.ndarray]) -> Any:
    """What encode() was given."""
    if isinstance(value, list):
        return [decode(each, tensors) for each in value]
    if not isinstance(value, dict):
        return value
    match list(value.items()):
        case [("$float", str(digits))]:
            return float.fromhex(digits)
        case [("$array", str(name))]:
            return tensors[name]
        case [("$bool", str(name))]:
            return tensors[name].astype(bool)
        case [("$tuple", list(items))]:
            return tuple(decode(each, tensors) for each in items)
    return {key: decode(each, tensors) for key, each in value.items()}


# -- what is kept ---------------------------------------------------------------------------------------------------


def identity(model: Any, batches: Any) -> dict[str, Any]:
    """What the training that goes on must share with the one that was cut off, besides its weights' shapes; JSON."""
    optimizer = model.optimizer
    settings = {
        "model": type(model).__name__,
        "optimizer": type(optimizer).__name__,
        **{f"optimizer's {name}": value for name, value in optimizer.get_config().items() if name != "name"},
        "loss": model.loss.name,
        **{f"data's {name}": value for name, value in batches.identity().items()},
    }
    if optimizer.iterations:  # it may have been changed by then
        settings.pop("optimizer's learning_rate")
    return json.loads(json.dumps(settings, default=lambda f: getattr(f, "__qualname__", type(f).__name__)))


def begin(model: Any, folder: Any, verbose: Any) -> dict[str, Any] | None:
    """The state to go on from, for the fit() that begins; None if there is no folder, or nothing in it yet."""
    progress = model.progress
    progress.identity = identity(model, progress.batches)
    if folder is None:
        return None
    progress.resumed_from = os.fsdecode(folder)
    saved = newest(progress.resumed_from)
    if saved is None:
        if verbose:
            print(f"resume: there is no checkpoint in '{folder}' yet; training starts at its beginning")
        return None
    check_identity(saved["identity"], progress.identity)
    progress.identity = saved["identity"]
    return saved["state"]


def check_identity(saved: dict[str, Any], current: dict[str, Any]) -> None:
    """ValueError where they differ; a learning rate that one of them lacks may have changed in training."""
    for name in [*saved, *current]:
        both = name in saved and name in current
        if saved.get(name) != current.get(name) and (both or name != "optimizer's learning_rate"):
            there, here = (str(each.get(name, "none"))[:80] for each in (saved, current))
            raise ValueError(f"resume: the checkpoint belongs to another training: its {name} is {there}, here {here}")


def capture(model: Any) -> dict[str, Any]:
    """The state of the model and of the fit() that is running."""
    progress, optimizer = model.progress, model.optimizer
    slots = dict(zip(map(id, optimizer.parameters), optimizer.get_state()))
    rate = vars(optimizer)["learning_rate"]
    return {
        "input_shape": model.input_shape,
        "weights": {name: w.data for name, w in model.named_weights.items()},
        "slots": {name: slots[id(w)] for name, w in model.named_weights.items() if id(w) in slots},
        "iterations": optimizer.iterations,
        "learning_rate": None if callable(rate) else rate,
        "random": {name: rng.bit_generator.state for name, rng in _generators(model).items()},
        "layers": {name: [as_array(s) for s in layer.states] for name, layer in _stateful(model).items()},
        "epoch": progress.epoch,
        "batch": progress.batch,
        "step": progress.step,
        "stopped": model.stop_training,
        "batches": progress.batches.get_state(),
        "averages": None if progress.averages is None else _metrics_state(progress.averages),
        "callbacks": [[type(each).__name__, each.get_state()] for each in progress.callbacks],
    }


def restore(model: Any, state: dict[str, Any], averages: Any) -> None:
    """Bring the model, its optimizer and the fit() that is beginning to where capture() was asked.

    averages: of the epoch under way, None between two epochs. ValueError where the weights are not this model's.
    """
    progress, optimizer = model.progress, model.optimizer
    if not model.built:
        model.build(state["input_shape"])
    named, stored = model.named_weights, state["weights"]
    for name in [*stored, *named]:
        there, here = (f"{w[name].dtype} {w[name].shape}" if name in w else "not there" for w in (stored, named))
        if there != here:
            raise ValueError(f"resume: the checkpoint is another model's: its '{name}' is {there}, this model's {here}")
    for name, w in named.items():
        w.data[...] = stored[name]
    progress.batches.set_state(state["batches"])
    if state["slots"]:
        trained = [w for name, w in named.items() if name in state["slots"]]
        optimizer.build(trained)
        for w, slots in zip(optimizer.parameters, optimizer.get_state()):
            name = next(name for name, each in named.items() if each is w)
            for slot, values in slots.items():
                values[...] = state["slots"][name][slot]
    optimizer.iterations = state["iterations"]
    if state["learning_rate"] is not None:
        optimizer.learning_rate = state["learning_rate"]
    for name, layer in _stateful(model, whether_or_not=True).items():
        layer.states = state["layers"].get(name)
    if averages is not None:
        _set_metrics_state(averages, state["averages"])
    waiting = list(state["callbacks"])
    for each in progress.callbacks:
        found = next((pair for pair in waiting if pair[0] == type(each).__name__), None)
        if found is not None:
            waiting.remove(found)
            each.set_state(found[1])
    progress.epoch, progress.batch, progress.step = state["epoch"], state["batch"], state["step"]
    progress.averages = averages
    model.stop_training = state["stopped"]
    for name, rng in _generators(model).items():  # last: nothing above may have drawn from them
        if name in state["random"]:
            rng.bit_generator.state = state["random"][name]


def _generators(model: Any) -> dict[str, np.random.Generator]:
    return {path: layer.rng for path, layer in all_layers(model).items() if layer.rng is not None}


def _stateful(model: Any, whether_or_not: bool = False) -> dict[str, Any]:
    """The layers that start where the last batch stopped (recurrent ones with stateful=True)."""
    found: dict[str, Any] = {path: each for path, each in all_layers(model).items() if getattr(each, "stateful", False)}
    return {name: layer for name, layer in found.items() if whether_or_not or layer.states is not None}


def _metrics_state(averages: Any) -> dict[str, dict[str, Any]]:
    """The attributes of each metric that a checkpoint can hold; the others are settings."""
    state: dict[str, dict[str, Any]] = {}
    for name, metric in {"loss": averages.loss, **averages.metrics}.items():
        state[name] = {}
        for key, value in vars(metric).items():
            with suppress(TypeError):
                encode(value, "", {})
                state[name][key] = value
    return state


def _set_metrics_state(averages: Any, state: dict[str, dict[str, Any]]) -> None:
    found = {"loss": averages.loss, **averages.metrics}
    if found.keys() != state.keys():
        raise ValueError(f"resume: the checkpoint's metrics are {list(state)}, this model's {list(found)}")
    for name, metric in found.items():
        vars(metric).update(state[name])
