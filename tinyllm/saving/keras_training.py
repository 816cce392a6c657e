"""How a model was compiled, as Keras writes it down, made from ours and turned into ours; and the optimizer's state."""

import inspect
import re
import warnings
from typing import Any

import numpy as np

from tinyllm import losses, metrics, optimizers, schedules
from tinyllm.names import lookup
from tinyllm.saving.keras_config import object_in_keras

__all__ = ["compile_from_keras", "slots_by_name", "slots_by_number", "training_to_keras"]

IN_KERAS = {c.lower(): c for c in ("Adagrad", "Adam", "Adamax", "AdamW", "Nadam", "RMSprop", "SGD")}
# Tried with Keras 3.15: it finds these under another name or not at all.
NOT_IN_KERAS = {"half_sum_squared_error", "perplexity"}
NO_KERAS_METRIC = NOT_IN_KERAS | {"binary_focal_crossentropy", "categorical_focal_crossentropy", "huber", "log_cosh"}
NO_KERAS_METRIC |= {"kld"}
NOT_IN_OURS = ("use_ema", "gradient_accumulation_steps", "loss_scale_factor")
NEEDED = "call compile() after loading"
SLOTS = {
    "momentum": re.compile(r"_momentum$|/momentum:0$|/m(/|:0$)"),
    "velocity": re.compile(r"_velocity$|/v(/|:0$)"),
}
NOT_UNDERSTOOD = "its optimizer's weights are not understood"


# -- to Keras -------------------------------------------------------------------------------------------------------


def training_to_keras(training: dict | None) -> dict | None:
    """Keras's compile_config. What Keras does not have is left out with a warning; None where nothing is left."""
    if training is None:
        return None
    try:
        optimizer, loss = _optimizer_to_keras(training["optimizer"]), _loss_to_keras(training["loss"])
    except ValueError as error:
        _warn(f"{error}: there the model is not compiled; {NEEDED}")
        return None
    watched = {}
    for kind in ("metrics", "weighted_metrics"):
        names = training[kind]
        for name in (n for n in names if n in NO_KERAS_METRIC):
            _warn(f"Keras has no metric '{name}': there it is left out")
        watched[kind] = [name for name in names if name not in NO_KERAS_METRIC]
    return {
        "optimizer": optimizer,
        "loss": loss,
        "loss_weights": None,
        "metrics": watched["metrics"],
        "weighted_metrics": watched["weighted_metrics"] or None,
    }


def _optimizer_to_keras(optimizer: dict) -> dict:
    class_name, config = optimizer["class_name"], dict(optimizer["config"])
    if class_name not in IN_KERAS:
        raise ValueError(f"Keras has no optimizer '{class_name}'")
    if config.pop("groups", None):
        raise ValueError("Keras has no parameter groups")
    rate = config["learning_rate"]
    if isinstance(rate, dict):
        if rate["class_name"] == "OneCycle":
            raise ValueError("Keras has no schedule OneCycle")
        config["learning_rate"] = object_in_keras("keras.optimizers.schedules", rate["class_name"], rate["config"])
    return object_in_keras("keras.optimizers", IN_KERAS[class_name], config)


def _loss_to_keras(loss: dict) -> dict:
    if loss["class_name"] in NOT_IN_KERAS:
        raise ValueError(f"Keras has no loss '{loss['class_name']}'")
    return object_in_keras("keras.losses", losses.LOSSES[loss["class_name"]].__name__, loss["config"])


def _warn(message: str) -> None:
    warnings.warn(f"save: {message}", stacklevel=6)


# -- from Keras -----------------------------------------------------------------------------------------------------


def compile_from_keras(model: Any, described: dict) -> None:
    """Compile the model as Keras's compile_config, or an old file's training_config, says. ValueError if we cannot."""
    optimizer = described.get("optimizer") or described["optimizer_config"]
    watched = [
        [_metric_name(m) for m in _flat(described.get(kind) or []) if m is not None]
        for kind in ("metrics", "weighted_metrics")
    ]
    model.compile(_optimizer(optimizer), _loss(described["loss"]), *watched)


def _optimizer(described: Any) -> optimizers.Optimizer:
    if isinstance(described, str):
        return optimizers.get(described)
    config = described["config"]
    optimizer_class = lookup("optimizer", described["class_name"].rpartition(">")[2].lower(), optimizers.OPTIMIZERS)
    arguments = inspect.signature(optimizer_class).parameters
    for key in NOT_IN_OURS:
        if config.get(key):
            raise ValueError(f"its optimizer has {key}={config[key]!r:.40}")
    if config.get("decay"):
        raise ValueError(f"its optimizer has decay={config['decay']!r:.40}")
    ours = {key: value for key, value in config.items() if key in arguments}
    return optimizer_class(**ours | {"learning_rate": schedules.get(config["learning_rate"])})


def _loss(described: Any) -> losses.Loss:
    if isinstance(described, str):
        return losses.get(described)
    if isinstance(described, list | dict) and "class_name" not in described:
        raise ValueError("it has several losses, one for each output")
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
    """The name under which we have a metric. ValueError for one with settings of its own, or that we lack."""
    if isinstance(described, str):
        name = described
    elif described["class_name"] == "function":
        name = described["config"]
    else:
        name = described["config"]["name"]
    metrics.get(name)
    return name


def _flat(values: Any) -> list:
    return [each for value in values for each in _flat(value)] if isinstance(values, list) else [values]


# -- the optimizer's state ------------------------------------------------------------------------------------------


def slots_by_name(model: Any, weights: list[Any], stored: dict[str, np.ndarray]) -> None:
    """Take the state over from an old file, which names it, whatever Keras's version; weights: in Keras's order."""
    steps = [path for path in stored if re.search(r"(^|/)iter(ation)?(:0)?$", path)]
    slots = {}
    for slot in model.optimizer.slot_names:
        pattern = SLOTS.get(slot) or re.compile(rf"_{slot}$")
        slots[slot] = [value for path, value in stored.items() if pattern.search(path)]
    if len(steps) != 1:
        raise ValueError(NOT_UNDERSTOOD)
    _restore(model, weights, stored[steps[0]], {slot: found for slot, found in slots.items() if found})


def slots_by_number(model: Any, weights: list[Any], stored: list[np.ndarray]) -> None:
    """Take the state over from a new file, which numbers it: steps, learning rate unless scheduled, then the slots.

    Those of Adam and its relatives stand momentum beside velocity for each weight, others slot after slot.
    """
    names, count = model.optimizer.slot_names, len(weights)
    start = 1 if callable(vars(model.optimizer)["learning_rate"]) else 2
    width = 2 if len(names) > 1 and names[0] == "momentum" else 1
    slots = {name: stored[start + i : start + width * count : width] for i, name in enumerate(names[:width])}
    start += len(slots) * count
    for name in names[width:]:
        slots[name], start = stored[start : start + count], start + count
    if start + isinstance(model.optimizer, optimizers.Nadam) != len(stored):  # Nadam's product, which ours computes
        raise ValueError(NOT_UNDERSTOOD)
    _restore(model, weights, stored[0], slots)


def _restore(model: Any, weights: list[Any], steps: np.ndarray, slots: dict[str, list[np.ndarray]]) -> None:
    for found in slots.values():
        if len(found) != len(weights):
            raise ValueError(NOT_UNDERSTOOD)
        if [value.shape for value in found] != [w.shape for w in weights]:
            raise ValueError("its optimizer's weights have other shapes than the model's")
    model.optimizer.iterations = int(steps)
    if slots:
        model.optimizer.build(weights)
    for i, state in enumerate(model.optimizer.get_state()):
        for slot, found in slots.items():
            state[slot][...] = found[i]
