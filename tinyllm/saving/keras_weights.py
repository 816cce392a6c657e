"""Where Keras keeps each weight: in its new files by class and number, in its old ones by order."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tinyllm.layers.recurrent import Recurrent
from tinyllm.saving.hdf5 import Attributes

__all__ = ["Place", "by_layer", "get_names", "places", "put_names", "stored_by_layer"]

MOST_ATTRIBUTE_BYTES = 64512  # HDF5's limit for what is stored in an object's header
ATTENTION = {"attention_output": "output"}  # where Keras's attribute has another name than its layer


class Place(NamedTuple):
    """A weight: its name here, its path in a .weights.h5, and what decides where it stands in an old file."""

    name: str
    path: str
    layer: str
    trainable: bool


def places(described: dict, model: Any) -> list[Place]:
    """The place of each weight of the model that Keras describes so, in Keras's order (saving/saving_lib.py there)."""
    return list(_inside(described, model, "", "", model.trainable))


def _inside(described: dict, layer: Any, store: str, prefix: str, trainable: bool) -> Iterator[Place]:
    class_name, config = described["class_name"], described["config"]
    trainable = trainable and layer.trainable
    if "layers" in config:  # a model
        inner = {each.name: each for each in layer.layers}
        used: dict[str, int] = {}
        for each in config["layers"]:
            name = each["config"]["name"]
            if name not in inner:  # an InputLayer, or what makes a mask
                continue
            kind = _snake_case(each["class_name"])
            number = used[kind] = used.get(kind, -1) + 1
            path = f"{store}layers/{kind}_{number}/" if number else f"{store}layers/{kind}/"
            yield from _inside(each, inner[name], path, f"{prefix}{name}/", trainable)
    elif layer.inner:  # a wrapper
        parts = {"layer": layer.layer}
        if class_name == "Bidirectional":
            parts = {"forward_layer": layer.layer, "backward_layer": layer.backward_layer}
        for attribute, each in parts.items():
            yield from _inside(config["layer"], each, f"{store}{attribute}/", f"{prefix}{each.name}/", trainable)
    else:
        cell = "cell/" if isinstance(layer, Recurrent) else ""
        counts: dict[str, int] = {}
        for name in layer.parameters:
            part = name.rpartition("/")[0]
            where = f"{store}{ATTENTION.get(part, part)}_dense/" if part else f"{store}{cell}"
            counts[part] = counts.get(part, -1) + 1
            yield Place(f"{prefix}{name}", f"{where}vars/{counts[part]}", prefix.partition("/")[0], trainable)


def _snake_case(name: str) -> str:
    """A class's name as Keras writes it in its files: SimpleRNN is simple_rnn, Conv1D conv1d."""
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()


def by_layer(described: dict, found: list[Place]) -> dict[str, list[Place]]:
    """The places by outermost layer, all layers of the model; in each, as in old files, the trainable ones first."""
    names = [each["config"]["name"] for each in described["config"]["layers"]]
    return {
        name: [p for frozen in (False, True) for p in found if p.layer == name and p.trainable is not frozen]
        for name in names
    }


def stored_by_layer(attributes: Attributes, arrays: dict[str, np.ndarray], group: str) -> dict[str, list[np.ndarray]]:
    """The arrays of an old file's group of weights, layer by layer, in its order. LookupError where one is missing."""
    inside = f"{group}/" if group else ""
    return {
        layer: [arrays[f"{inside}{layer}/{path}"] for path in get_names(attributes[f"{inside}{layer}"], "weight_names")]
        for layer in get_names(attributes[group], "layer_names")
    }


def put_names(attribute: str, names: list[str]) -> dict[str, list[str]]:
    """A list of names as Keras stores it: one attribute, or attribute0, attribute1, ... where that is too large.

    >>> put_names("layer_names", ["a", "b"])
    {'layer_names': ['a', 'b']}
    """
    longest = max((len(name.encode()) for name in names), default=1)
    rows = max(1, MOST_ATTRIBUTE_BYTES // max(longest, 1))
    if len(names) <= rows:
        return {attribute: names}
    return {f"{attribute}{i}": names[at : at + rows] for i, at in enumerate(range(0, len(names), rows))}


def get_names(attributes: dict[str, Any], attribute: str) -> list[str]:
    """The list of names that put_names() spread."""
    found, number = list(attributes.get(attribute, [])), 0
    while f"{attribute}{number}" in attributes:
        found += attributes[f"{attribute}{number}"]
        number += 1
    return found
