"""A model as JSON and named arrays, and back. Both file formats store what describe() gives."""

import importlib
import json
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinyllm import losses, metrics, optimizers
from tinyllm.layers import LAYERS, MODELS, Layer
from tinyllm.layers.inner import all_layers
from tinyllm.names import lookup
from tinyllm.preprocessing.text import TextToIds
from tinyllm.saving.manifest import FORMAT, VERSION, one_line, render
from tinyllm.saving.safetensors import Spec

__all__ = ["describe", "kinds", "rebuild", "restore"]

# What goes wrong when a model is built from a description that is not one.
UNFIT = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError, MemoryError)


def describe(model: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(what the manifest says, except about the weights' file; all tensors by name). Checks that it can be undone."""
    from tinyllm import __version__

    kind = type(model).__name__
    if kinds().get(kind) is not type(model):
        raise ValueError(
            f"save: load_model does not know the class {kind}; known: {', '.join(sorted(kinds()))}; "
            "save_weights() keeps the weights of any class"
        )
    if not (model.layers or model.named_weights):
        raise ValueError("save: this model has no layers; add() some")
    own = "layers" not in model.get_config()  # a class that makes its layers itself, also when it is loaded
    for layer in () if own else all_layers(model).values():
        if (LAYERS | MODELS).get(type(layer).__name__) is not type(layer):
            known = ", ".join(sorted(LAYERS | MODELS))
            raise ValueError(
                f"save: the layer '{layer.name}' is a {type(layer).__name__}, which load_model does not know; "
                f"known: {known}"
            )
    tensors = {name: w.data for name, w in model.named_weights.items()}
    training, slots = _describe_training(model)
    content = {
        "format": FORMAT,
        "version": VERSION,
        "tinyllm": __version__,
        "kind": kind,
        "config": model.get_config(),
        "input_shape": model.input_shape,
        "preprocess": _describe_preprocess(model),
        "training": training,
        "random": {
            path: state for path, layer in all_layers(model).items() if (state := _random_state(layer.rng)) is not None
        },
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
    held: list[Layer] = []

    def prepare(layer: Layer) -> None:
        """Let the layer make its weights as zeros, which costs no drawing, and only such as are stored."""
        add_weight = layer.add_weight

        def checked(name: str, shape: tuple[int, ...], initializer: Any = None, **options: Any) -> Any:
            spec = Spec(tuple(shape), layer.dtype)
            ending = f"/{layer.name}/{name}"  # behind the names of the layers around it
            found = [path for path in stored if f"/{path}".endswith(ending)] or [ending[1:]]
            if not any(stored.get(path) == spec for path in found):
                _check_spec(found[0], spec, stored, source)
            return add_weight(name, shape, "zeros", **options)

        vars(layer)["add_weight"] = checked
        held.append(layer)

    def build() -> Any:
        if "layers" not in config:  # such a class makes its own layers
            _check_sizes(config, stored, source)
        model = model_class.from_config(config, prepare)
        if shape is not None and not model.built:
            model.build(tuple(shape))
        for layer in held:
            vars(layer).pop("add_weight", None)
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
        layers = all_layers(model)
        for path, state in content.get("random", {}).items():
            _set_random_state(layers[path].generator, state)

    _unless_unfit(f"{where}: it cannot be restored", put_back)


def kinds() -> dict[str, Any]:
    """The classes of models that a file may name."""
    importlib.import_module("tinyllm.models")  # above this floor, so only when it is needed: it enters them
    return dict(MODELS)


def _check_sizes(config: dict, stored: dict[str, Spec], source: str) -> None:
    """ValueError where a setting is larger than all that is stored."""
    total = sum(math.prod(spec.shape) for spec in stored.values())
    large = [name for name, value in config.items() if isinstance(value, int) and value > total and name != "seed"]
    if large:
        raise ValueError(f"{large[0]}={config[large[0]]} does not fit the {total} numbers of {source}")


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


# -- what a model was trained with ----------------------------------------------------------------------------------


def _describe_training(model: Any) -> tuple[dict | None, dict[str, np.ndarray]]:
    """(optimizer, loss and metrics as JSON, the optimizer's tensors); (None, {}) where a file cannot name them."""
    if model.optimizer is None or model.loss is None:
        return None, {}
    optimizer, loss = model.optimizer, model.loss
    chosen = [_name_in(optimizers.OPTIMIZERS, type(optimizer))]
    chosen += [_name_in({name: c.function for name, c in losses.LOSSES.items()}, type(loss).function)]
    watched = [*model.metrics, *model.weighted_metrics]
    chosen += [m if isinstance(m, str) else _name_in(metrics.METRICS, m) for m in watched]
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
        "metrics": chosen[2 : 2 + len(model.metrics)],
        "weighted_metrics": chosen[2 + len(model.metrics) :],
    }
    return training, {f"optimizer/{s}/{n}": each[s] for s in slots for n, each in zip(names, values)}


def _restore_training(model: Any, training: dict, named: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
    optimizer = optimizers.get(training["optimizer"])
    loss = lookup("loss", training["loss"]["class_name"], losses.LOSSES)(**training["loss"]["config"])
    model.compile(optimizer, loss, training["metrics"], training.get("weighted_metrics", []))
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
