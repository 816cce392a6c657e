"""Keras's description of a model (its JSON), made from ours and turned into ours. Pure functions of JSON.

Ours is what get_config() gives: {"class_name", "config"}; a graph of calls as in models/graph.py. Keras names modules
and registered names, keeps the shape of the input in an InputLayer, and calls a graph a Functional.
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from tinyllm import activations
from tinyllm.layers import LAYERS
from tinyllm.layers.recurrent import Recurrent
from tinyllm.names import lookup

__all__ = ["from_keras", "in_keras_order", "object_in_keras", "tensors_in", "to_keras"]

OTHERWISE_IN_KERAS = {
    "hard_sigmoid": "hard_sigmoid is clip(0.2 x + 0.5, 0, 1) here and clip(x / 6 + 0.5, 0, 1) in Keras 3",
}
MODELS = {"Sequential": "Sequential", "Functional": "Model", "Model": "Model"}  # Keras's class: ours
# What a Keras layer may say although we have no such argument: it does not change what the layer computes.
SILENT = {"batch_input_shape", "batch_shape", "implementation", "input_length", "seed", "time_major", "dtype_policy"}
HARMLESS = {"attention_axes": ([1], [-2]), "ragged": (False,)}
NOTHING: tuple = (None, False, 0, [], {})
EVERY_LAYER = {"name", "trainable", "dtype", "activity_regularizer"}


# -- to Keras -------------------------------------------------------------------------------------------------------


def to_keras(class_name: str, config: dict, input_shape: Any = None) -> dict:
    """Keras's description of a layer or a model. input_shape: of a Sequential, where its layers do not say it.

    ValueError for what Keras would compute differently, does not accept, or does not have.

    >>> to_keras("Dropout", {"name": "dropout", "rate": 0.5})["module"]
    'keras.layers'
    """
    name = config["name"]
    if "/" in name:
        raise ValueError(f"save: '{name}' has a slash, which Keras does not allow in a name")
    if class_name == "Sequential":
        return object_in_keras("keras", "Sequential", _sequential_to_keras(config, input_shape))
    if class_name == "Model":
        made = object_in_keras("keras.src.models.functional", "Functional", _graph_to_keras(config))
        return made | {"registered_name": "Functional"}
    if class_name not in LAYERS:
        raise ValueError(f"save: Keras has no layer {class_name} ('{name}'); save to a folder")
    return object_in_keras("keras.layers", class_name, _layer_to_keras(class_name, config))


def object_in_keras(module: str, class_name: str, config: dict) -> dict:
    """How Keras writes an object down."""
    return {"module": module, "class_name": class_name, "config": config, "registered_name": None}


def _layer_to_keras(class_name: str, config: dict) -> dict:
    if class_name == "InputLayer":
        shape, dtype = [None, *config["shape"]], config.get("dtype", "float32")
        return {"batch_shape": shape, "dtype": dtype, "sparse": False, "ragged": False, "name": config["name"]}
    made = {}
    for key, value in config.items():
        if key.endswith("activation") and value in OTHERWISE_IN_KERAS:
            why = OTHERWISE_IN_KERAS[value]
            raise ValueError(f"save: {why}: the file would predict something else there; save to a folder")
        if isinstance(value, dict) and key.endswith(("_initializer", "_regularizer")):
            value = object_in_keras(f"keras.{key.rpartition('_')[2]}s", value["class_name"], value["config"])
        elif isinstance(value, dict) and "class_name" in value:  # what a wrapper is around
            value = to_keras(value["class_name"], value["config"])
        made[key] = value
    for key in ("input_length", "fused"):  # ours alone; an InputLayer says how long the input is
        made.pop(key, None)
    if class_name == "SpatialDropout1D":
        del made["trainable"]  # which it does not take
    return made


def _sequential_to_keras(config: dict, input_shape: Any) -> dict:
    layers = [to_keras(each["class_name"], each["config"]) for each in config["layers"]]
    if layers[0]["class_name"] != "InputLayer" and input_shape is not None:
        first = config["layers"][0]["config"]
        entrance = {"name": f"{first['name']}_input", "shape": input_shape[1:], "dtype": first.get("dtype", "float32")}
        layers.insert(0, to_keras("InputLayer", entrance))
    made = {"name": config["name"], "trainable": config.get("trainable", True), "layers": layers}
    return made if input_shape is None else made | {"build_input_shape": list(input_shape)}


def _graph_to_keras(config: dict) -> dict:
    graphs = {each["config"]["name"] for each in config["layers"] if each["class_name"] == "Model"}

    def ends(x: Any) -> Any:
        """Inputs and outputs are named without words, and a graph's calls counted from 1."""
        name, number, index = x
        return [name, number + 1 if name in graphs else number, index]

    layers = []
    for each in in_keras_order(config):
        nodes = []
        for call in each["calls"]:
            args = call["args"]
            if each["class_name"] == "MultiHeadAttention" and isinstance(args[0], list):
                args = args[0]  # Keras's takes query, value and key one by one
            nodes.append({"args": _replaced(args, _keras_tensor), "kwargs": _replaced(call["kwargs"], _keras_tensor)})
        layers.append(
            to_keras(each["class_name"], each["config"]) | {"name": each["config"]["name"], "inbound_nodes": nodes}
        )
    return {
        "name": config["name"],
        "trainable": config.get("trainable", True),
        "layers": layers,
        "input_layers": _replaced(config["inputs"], ends),
        "output_layers": _replaced(config["outputs"], ends),
    }


def _keras_tensor(x: list) -> dict:
    """Shape and dtype are not looked at when a model is built: only where the tensor comes from."""
    return {"class_name": "__keras_tensor__", "config": {"shape": [], "dtype": "float32", "keras_history": x}}


def _replaced(x: Any, tensor: Callable) -> Any:
    """x with every {"tensor": [...]} in it, however deep, replaced by tensor([...])."""
    if isinstance(x, list):
        return [_replaced(each, tensor) for each in x]
    if isinstance(x, dict):
        return tensor(x["tensor"]) if x.keys() == {"tensor"} else {k: _replaced(v, tensor) for k, v in x.items()}
    return x


def in_keras_order(config: dict) -> list[dict]:
    """A graph's layers in the order in which Keras keeps them: the furthest from the outputs first.

    Its weight files have that order. The distance is the longest way to an output, in calls; between equals, what comes
    first on the way back from the outputs does (keras/src/ops/function.py, map_graph).
    """
    by_name = {each["config"]["name"]: each for each in config["layers"]}
    visited: dict[str, int] = {}
    finished: dict[tuple, list] = {}  # each call behind those that it needs

    def needed(node: tuple) -> list:
        calls = by_name[node[0]]["calls"]
        call = calls[node[1]] if calls else {}
        return list(tensors_in([call.get("args"), [value for _, value in sorted(call.get("kwargs", {}).items())]]))

    waiting: list[tuple[tuple, Iterator, list]] = [((None, 0), tensors_in(config["outputs"]), [])]
    while waiting:
        node, others, before = waiting[-1]
        other = next(others, None)
        if other is None:
            waiting.pop()
            finished[node] = before
        elif other not in finished:
            visited.setdefault(other[0], len(visited))
            found = needed(other)
            waiting.append((other, iter(found), found))
    del finished[None, 0]

    of_call: dict[tuple, int] = {}
    of_layer: dict[str, int] = {}
    for node, before in reversed(finished.items()):
        of_call[node] = of_layer[node[0]] = max(of_call.get(node, 0), of_layer.get(node[0], 0))
        for other in before:
            of_call[other] = max(of_call.get(other, 0), of_call[node] + 1)
    return sorted(config["layers"], key=lambda e: (-of_layer.get(n := e["config"]["name"], 0), visited.get(n, -1)))


def tensors_in(x: Any) -> Iterator[tuple]:
    """(layer, number of the call) of every symbolic tensor in x."""
    if isinstance(x, dict) and x.keys() == {"tensor"}:
        yield tuple(x["tensor"][:2])
    elif isinstance(x, dict | list):
        for each in x.values() if isinstance(x, dict) else x:
            yield from tensors_in(each)


# -- from Keras -----------------------------------------------------------------------------------------------------


def from_keras(described: dict, old: bool = False) -> dict:
    """Our description of a layer or a model of Keras's. old: Keras 1 or 2 wrote it.

    ValueError for a layer or a setting that we do not have, naming it.

    >>> from_keras({"class_name": "Dense", "config": {"name": "d", "units": 2, "kernel_constraint": None}})
    {'class_name': 'Dense', 'config': {'name': 'd', 'units': 2}}
    """
    class_name, config = described["class_name"], described["config"]
    kind = MODELS.get(class_name, class_name)
    if kind == "Sequential":
        return {"class_name": kind, "config": _sequential_from_keras(config, old)}
    if kind == "Model":
        return {"class_name": kind, "config": _graph_from_keras(config, old)}
    return {"class_name": class_name, "config": _layer_from_keras(class_name, config, old)}


def _layer_from_keras(class_name: str, config: dict, old: bool) -> dict:
    arguments = set(inspect.signature(lookup("layer", class_name, LAYERS)).parameters) | EVERY_LAYER
    if class_name == "InputLayer":
        shape: Any = config.get("batch_shape") or config.get("batch_input_shape")
        config = {k: v for k, v in config.items() if k not in ("batch_shape", "batch_input_shape")}
        config["shape"] = shape[1:]
    made = {}
    for key, value in config.items():
        if key in SILENT or value in HARMLESS.get(key, ()):
            continue
        if key == "dtype" and isinstance(value, dict):
            value = value["config"]["name"]
        if key.endswith("activation"):
            value = value["config"] if isinstance(value, dict) else value
            if value in OTHERWISE_IN_KERAS and not (old and value == "hard_sigmoid"):
                raise ValueError(f"{class_name} '{config['name']}': {OTHERWISE_IN_KERAS[value]}")
            activations.get(value)
        if key not in arguments:
            if value not in NOTHING:
                raise ValueError(
                    f"{class_name} '{config['name']}' has {key}={value!r:.60}, which tinyllm does not know"
                )
        elif isinstance(value, dict) and key.endswith("layer"):  # what a wrapper is around
            made[key] = from_keras(value, old)
        elif not key.endswith("_initializer"):  # how the weights began no longer matters
            made[key] = value
    return made


def _sequential_from_keras(config: dict, old: bool) -> dict:
    layers = [from_keras(each, old) for each in config["layers"]]
    made = {"name": config["name"], "layers": [each for each in layers if each["class_name"] != "InputLayer"]}
    return made if config.get("trainable", True) else made | {"trainable": False}


def _graph_from_keras(config: dict, old: bool) -> dict:
    graphs = {e["config"]["name"] for e in config["layers"] if MODELS.get(e["class_name"]) == "Model"}

    def ends(x: Any) -> Any:
        if isinstance(x, dict):
            return {key: ends(value) for key, value in x.items()}
        if len(x) == 3 and isinstance(x[0], str):
            return {"tensor": [x[0], x[1] - 1 if x[0] in graphs else x[1], x[2]]}
        return [ends(each) for each in x]

    masks = _masks(config)
    layers = []
    for each in (e for e in config["layers"] if e["config"]["name"] not in masks):
        calls = [_call_from_keras(each["class_name"], node, masks) for node in each["inbound_nodes"]]
        layers.append(from_keras(each, old) | {"calls": calls})
    made = {"name": config["name"], "trainable": config.get("trainable", True), "layers": layers}
    return made | {"inputs": ends(config["input_layers"]), "outputs": ends(config["output_layers"])}


def _masks(config: dict) -> set[str]:
    """The operations among the layers that only make the mask of an Embedding or a Masking; ours travels unseen."""
    made = set()
    for each in config["layers"]:
        hides = each["config"].get("mask_value", 0 if each["config"].get("mask_zero") else None)
        if hides is not None and isinstance(each["inbound_nodes"][0], dict):
            made |= {(str(node["args"][0]), hides) for node in each["inbound_nodes"]}
    found: set[str] = set()
    for each in config["layers"]:
        args = each["inbound_nodes"][0]["args"] if each["class_name"] in ("Any", "NotEqual") else []
        begun = len(args) == 2 and (str(args[0]), args[1]) in made
        if begun or (len(args) == 1 and next(tensors_in(_tensors_from_keras(args)), (None,))[0] in found):
            found.add(each["config"]["name"])
    return found


def _call_from_keras(class_name: str, node: Any, masks: set[str]) -> dict:
    if isinstance(node, list):  # Keras 2: [[layer, call, output, options], ...]
        tensors = [{"tensor": each[:3]} for each in node]
        args: list = [tensors] if len(node) > 1 else tensors
        kwargs = node[0][3] if len(node[0]) > 3 else {}
    else:
        args, kwargs = _tensors_from_keras(node["args"]), _tensors_from_keras(node["kwargs"])
    # training=False is how Keras notes that nothing was said.
    kwargs = {key: value for key, value in kwargs.items() if value is not None and (key, value) != ("training", False)}
    for key in [key for key in kwargs if key.endswith("mask")]:
        if {layer for layer, _ in tensors_in(kwargs[key])} & masks:
            del kwargs[key]
    names = ("query", "value", "key") if class_name == "MultiHeadAttention" else ("inputs", "sequences", "x")
    if class_name == "MultiHeadAttention" or not args:
        args = args + [kwargs.pop(name) for name in names[len(args) :] if name in kwargs]
    if class_name == "MultiHeadAttention":
        args = [args]
    elif len(args) == 2 and (class_name == "Bidirectional" or issubclass(LAYERS.get(class_name, int), Recurrent)):
        kwargs["initial_state"] = args.pop()
    return {"args": args, "kwargs": kwargs}


def _tensors_from_keras(x: Any) -> Any:
    if isinstance(x, list):
        return [_tensors_from_keras(each) for each in x]
    if not isinstance(x, dict):
        return x
    if x.get("class_name") == "__keras_tensor__":
        return {"tensor": x["config"]["keras_history"]}
    if x.get("class_name") == "__tuple__":
        return _tensors_from_keras(x.get("items", x.get("config")))
    return {key: _tensors_from_keras(value) for key, value in x.items()}
