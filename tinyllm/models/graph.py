"""The graph of layers behind a functional Model: which calls lead to its outputs, their values, and their description.

In a description a symbolic tensor is {"tensor": [layer, number of the call of that layer, number of the output]}.
"""

from collections.abc import Callable
from typing import Any

from tinyllm.layers import InputLayer, Layer
from tinyllm.layers.inner import all_layers, free_name
from tinyllm.layers.symbolic import Call, SymbolicTensor, mapped

__all__ = ["calls_between", "describe", "rebuild", "run", "symbols_in"]


def symbols_in(x: Any) -> list[SymbolicTensor]:
    """The symbolic tensors in x, however deep in lists and dicts."""
    found: list[SymbolicTensor] = []
    mapped(lambda each: found.append(each) if isinstance(each, SymbolicTensor) else None, x)
    return found


def calls_between(inputs: list[SymbolicTensor], outputs: list[SymbolicTensor]) -> list[Call]:
    """The calls that lead from the inputs to the outputs, in the order in which they were made.

    ValueError where an output depends on an Input that is not among the inputs.
    """
    known = set(map(id, inputs))
    found: dict[int, Call] = {}
    waiting = [symbol for symbol in outputs if id(symbol) not in known]
    while waiting:
        symbol = waiting.pop()
        if id(symbol) in known or id(symbol.call) in found:
            continue
        if symbol.call.x is None:
            raise ValueError(
                f"Model: the outputs need the Input '{symbol.call.layer.name}', which is not among the inputs"
            )
        found[id(symbol.call)] = symbol.call
        waiting += symbols_in([symbol.call.x, symbol.call.options])
    return sorted(found.values(), key=lambda call: call.number)


def run(calls: list[Call], values: dict[SymbolicTensor, Any], apply: Callable) -> None:
    """Make the calls one after another, each as apply(layer, x, options), and add their outputs to `values`."""

    def value(x: Any) -> Any:
        return values[x] if isinstance(x, SymbolicTensor) else x

    for call in calls:
        y = apply(call.layer, mapped(value, call.x), mapped(value, call.options))
        values |= zip(call.outputs, y if isinstance(y, list) else [y])


def describe(inputs: Any, outputs: Any, layers: list[Layer], calls: list[Call]) -> dict[str, Any]:
    """The graph as JSON. ValueError where two of its layers share a layer inside them."""
    numbers: dict[int, int] = {}
    _refuse_sharing(layers)
    names = {layer.name for layer in layers}
    begun: dict[int, InputLayer] = {}  # where a model begins that was cut out of another one
    for symbol in symbols_in(inputs):
        if symbol.call.x is not None:
            start = InputLayer(symbol.shape[1:], name=free_name(f"{symbol.call.layer.name}_input", names))
            begun[id(symbol)], names = start, {*names, start.name}
    layers = [*begun.values(), *layers]
    by_layer: dict[int, list[Call]] = {id(layer): [] for layer in layers}
    for call in calls:
        numbers[id(call)] = len(by_layer[id(call.layer)])
        by_layer[id(call.layer)].append(call)

    def name(x: Any) -> Any:
        if not isinstance(x, SymbolicTensor):
            return x
        if id(x) in begun:
            return {"tensor": [begun[id(x)].name, 0, 0]}
        return {"tensor": [x.call.layer.name, numbers.get(id(x.call), 0), x.index]}

    return {
        "layers": [
            {
                "class_name": type(layer).__name__,
                "config": layer.get_config(),
                "calls": [
                    {"args": [mapped(name, call.x)], "kwargs": mapped(name, call.options)}
                    for call in by_layer[id(layer)]
                ],
            }
            for layer in layers
        ],
        "inputs": mapped(name, inputs),
        "outputs": mapped(name, outputs),
    }


def _refuse_sharing(layers: list[Layer]) -> None:
    found: dict[int, str] = {}
    for outer in layers:
        for path, layer in all_layers(outer).items():
            name = f"{outer.name}/{path}".rstrip("/")
            if found.setdefault(id(layer), name) != name:
                what = f"'{found[id(layer)]}' and '{name}' are one layer, which a description would make two of"
                raise ValueError(f"Model: {what}; call it in one graph, or save_weights()")


def rebuild(config: dict[str, Any], made: dict[str, Layer]) -> tuple[Any, Any]:
    """(inputs, outputs) of the graph that describe() described, of the layers `made`, by name.

    ValueError for a description in which a call needs what no call gives.
    """
    tensors: dict[tuple, SymbolicTensor] = {}

    def tensor(x: Any) -> Any:
        if isinstance(x, list):
            return [tensor(each) for each in x]
        if isinstance(x, dict) and x.keys() == {"tensor"}:
            return tensors[tuple(x["tensor"])]
        return {name: tensor(each) for name, each in x.items()} if isinstance(x, dict) else x

    waiting = []
    for each in config["layers"]:
        layer = made[each["config"]["name"]]
        if isinstance(layer, InputLayer) and not each["calls"]:
            tensors[layer.name, 0, 0] = layer.symbol
        waiting += [(layer, number, call) for number, call in enumerate(each["calls"])]
    while waiting:
        left = []
        for layer, number, call in waiting:
            try:
                x, options = tensor(call["args"]), tensor(call["kwargs"])
            except KeyError:
                left.append((layer, number, call))
                continue
            y = layer(*x, **options)
            for i, symbol in enumerate(y if isinstance(y, list) else [y]):
                tensors[layer.name, number, i] = symbol
        if len(left) == len(waiting):
            raise ValueError(f"the layer '{left[0][0].name}' is called on something that nothing gives")
        waiting = left
    try:
        return tensor(config["inputs"]), tensor(config["outputs"])
    except KeyError as error:
        raise ValueError(f"Model: nothing gives {error}, which is among its inputs or outputs") from None
