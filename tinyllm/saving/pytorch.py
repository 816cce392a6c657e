"""Weights to and from PyTorch: a model's weights under the names, shapes and gate orders of torch.nn's modules.

PyTorch's matrices are (outputs, inputs), its recurrent modules have two biases of which ours is the sum, its GRU puts
the reset gate first, and its attention keeps query, key and value in one matrix. torch itself is not needed.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinyllm import activations, layers
from tinyllm.autograd.tensor import as_array
from tinyllm.layers.base import Layer, assign_weights
from tinyllm.saving.safetensors import read_tensors, write_tensors

__all__ = ["from_state_dict", "load_pytorch", "save_pytorch", "to_state_dict"]

Arrays = dict[str, np.ndarray]
RECURRENT = re.compile(r"(.*?)\.?((?:weight|bias)_(?:ih|hh)_l)(\d+)(_reverse)?")
ATTENTION = re.compile(r"(?:(.*)\.)?(in_proj_(?:weight|bias)|[qkv]_proj_weight)")
OTHERS = re.compile(r"(?:(.*)\.)?(weight|bias)")


def to_state_dict(model: Any) -> Arrays:
    """The weights of a model or layer as PyTorch has them: {"<layer>.weight_ih_l0": array, ...}, nested with dots.

    A torch module whose attributes have the layers' names takes it with load_state_dict() (after torch.from_numpy).
    Raises TypeError, naming the layer, for one that has no twin in torch.nn.

    >>> from tinyllm.layers import Dense
    >>> from tinyllm.models import Sequential
    >>> {name: w.shape for name, w in to_state_dict(Sequential([Dense(3, input_shape=(2,))])).items()}
    {'dense.weight': (3, 2), 'dense.bias': (3,)}
    """
    found: Arrays = {}
    for path, layer in _twins(model):
        prefix = f"{path}." if path else ""
        found |= {f"{prefix}{name}": np.ascontiguousarray(w) for name, w in _twin(layer).give(layer).items()}
    return found


def from_state_dict(model: Any, state: Mapping[str, Any], rename: Mapping[str, str] | None = None) -> None:
    """Overwrite a model's (or layer's) weights with those of a PyTorch module; all or nothing.

    state   names -> arrays, such as module.state_dict()
    rename  {our layer: its module's path in state}; of a module with several recurrent layers "rnn[1]" is the second.
            Without it, layers are found by their names if all of them agree; else by the numbers of an nn.Sequential;
            else by the shapes, if only one choice fits

    Raises ValueError, listing both sides, where a layer's module is not clear or does not fit; then nothing is changed.
    """
    modules = _modules(state)
    twins = _twins(model)
    homes = _homes(twins, modules, rename or {})
    values: list[np.ndarray] = []
    for path, layer in twins:
        home, who = homes[path], f"the layer '{path}'" if path else f"{layer!r}"
        expected, found = _shapes(layer), {name: w.shape for name, w in modules[home].items()}
        if expected != found:
            raise ValueError(f"from_state_dict: {who} needs {_listed(expected)}; '{home}' has {_listed(found)}")
        values += _twin(layer).take(layer, modules[home]).values()
    if unused := sorted(modules.keys() - set(homes.values())):
        raise ValueError(f"from_state_dict: '{unused[0]}' ({_listed(modules[unused[0]])}) belongs to no layer of ours")
    weights = {f"{path}/{name}": w for path, layer in twins for name, w in layer.parameters.items()}
    assign_weights(f"{type(model).__name__} '{model.name}'", weights, values)


def save_pytorch(model: Any, path: Any) -> None:
    """Write to_state_dict(model) to a safetensors file: safetensors.torch.load_file() reads it."""
    write_tensors(to_state_dict(model), path)


def load_pytorch(model: Any, path: Any, rename: Mapping[str, str] | None = None) -> None:
    """from_state_dict() of a safetensors file, as safetensors.torch.save_file() writes it."""
    from_state_dict(model, read_tensors(path), rename)


# -- twins ----------------------------------------------------------------------------------------------------------


class Twin(NamedTuple):
    """How a layer's weights become its module's, and back. `take` gives ours in the order of layer.parameters."""

    give: Callable[[Any], Arrays]
    take: Callable[[Any, Arrays], Arrays]


def _plain(**ours: str) -> Twin:
    """The same arrays, a matrix turned round: weight="kernel" says what PyTorch calls the kernel."""
    turn = {"kernel": lambda w: w.T if w.ndim == 2 else w.transpose(2, 1, 0)}  # a convolution's: (out, in, width)

    def turned(our_name: str, w: np.ndarray) -> np.ndarray:
        return turn.get(our_name, np.asarray)(w)

    def give(layer: Any) -> Arrays:
        return {theirs: turned(n, _data(layer, n)) for theirs, n in ours.items() if n in layer.own_parameters}

    def take(layer: Any, state: Arrays) -> Arrays:
        return {n: turned(n, state[theirs]) for theirs, n in ours.items() if n in layer.own_parameters}

    return Twin(give, take)


def _normalization(**ours: str) -> Twin:
    """PyTorch normalises the last axes."""
    plain = _plain(**ours)

    def give(layer: Any) -> Arrays:
        axes, rank = layer.axes(len(layer.input_shape)), len(layer.input_shape)
        if axes != list(range(axes[0], rank)):
            raise _no_twin(layer, f"it normalises axis {layer.axis}, not the last")
        return plain.give(layer)

    return Twin(give, plain.take)


def _recurrent(suffix: str = "") -> Twin:
    """SimpleRNN, LSTM and GRU. Gates are blocks of columns; only the GRU's are in another order (theirs r, z, n)."""

    def swapped(layer: Any, w: np.ndarray) -> np.ndarray:
        if not isinstance(layer, layers.GRU):
            return w
        z, r, n = np.split(w, 3, axis=-1)
        return np.concatenate([r, z, n], axis=-1)  # its own inverse

    def give(layer: Any) -> Arrays:
        _check_recurrent(layer, backwards=suffix != "")
        found = {"weight_ih": "kernel", "weight_hh": "recurrent_kernel"}
        state = {theirs: swapped(layer, _data(layer, ours)).T for theirs, ours in found.items()}
        if layer.use_bias:
            bias = swapped(layer, _data(layer, "bias"))
            state["bias_ih"], state["bias_hh"] = bias if bias.ndim == 2 else (bias, np.zeros_like(bias))
        return {f"{theirs}_l0{suffix}": w for theirs, w in state.items()}

    def take(layer: Any, state: Arrays) -> Arrays:
        get = {name.removesuffix(f"_l0{suffix}"): w for name, w in state.items()}
        found = {"kernel": swapped(layer, get["weight_ih"].T), "recurrent_kernel": swapped(layer, get["weight_hh"].T)}
        if layer.use_bias:
            both = swapped(layer, np.stack([get["bias_ih"], get["bias_hh"]]))
            found["bias"] = both if isinstance(layer, layers.GRU) else both.sum(axis=0)
        return found

    return Twin(give, take)


def _check_recurrent(layer: Any, backwards: bool) -> None:
    usual = layer.activation is activations.tanh
    usual |= isinstance(layer, layers.SimpleRNN) and layer.activation is activations.relu  # nonlinearity="relu"
    if not usual or getattr(layer, "recurrent_activation", activations.sigmoid) is not activations.sigmoid:
        raise _no_twin(layer, "activations other than tanh and sigmoid")
    if not getattr(layer, "reset_after", True):
        raise _no_twin(layer, "reset_after=False")
    if layer.go_backwards and not backwards:
        raise _no_twin(layer, "go_backwards=True")


def _no_twin(layer: Any, why: str) -> TypeError:
    return TypeError(f"the layer '{layer.name}' ({type(layer).__name__}) has no twin in torch.nn: {why}")


def _bidirectional() -> Twin:
    ways = {"layer": _recurrent(), "backward_layer": _recurrent("_reverse")}

    def give(layer: Any) -> Arrays:
        forward, backward = layer.layer, layer.backward_layer
        if type(forward) is not type(backward) or forward.units != backward.units:
            raise _no_twin(layer, f"a {forward!r} of {forward.units} and a {backward!r} of {backward.units} units")
        return {name: w for way, twin in ways.items() for name, w in twin.give(getattr(layer, way)).items()}

    def take(layer: Any, state: Arrays) -> Arrays:
        taken = {way: twin.take(getattr(layer, way), state) for way, twin in ways.items()}
        return {f"{way}/{name}": w for way, arrays in taken.items() for name, w in arrays.items()}

    return Twin(give, take)


def _attention() -> Twin:
    parts = ("query", "key", "value")

    def give(layer: Any) -> Arrays:
        kernels = [_data(layer, f"{part}/kernel") for part in parts]
        features, heads, size = kernels[0].shape
        output = _data(layer, "attention_output/kernel")
        if heads * size != features or layer.value_dim != size or output.shape[2:] != (features,):
            raise _no_twin(layer, f"{heads} heads of {size} and {layer.value_dim}, for {features} features")
        flat = [kernel.reshape(len(kernel), -1).T for kernel in kernels]
        if all(len(kernel) == features for kernel in kernels):
            state = {"in_proj_weight": np.concatenate(flat)}
        else:
            state = {f"{part[0]}_proj_weight": w for part, w in zip(parts, flat)}
        state["out_proj.weight"] = output.reshape(-1, features).T
        if layer.use_bias:
            state["in_proj_bias"] = np.concatenate([_data(layer, f"{part}/bias").ravel() for part in parts])
            state["out_proj.bias"] = _data(layer, "attention_output/bias")
        return state

    def take(layer: Any, state: Arrays) -> Arrays:
        if "in_proj_weight" in state:
            flat = dict(zip(parts, np.split(state["in_proj_weight"], 3)))
        else:
            flat = {part: state[f"{part[0]}_proj_weight"] for part in parts}
        found = {f"{part}/kernel": w.T for part, w in flat.items()}
        found["attention_output/kernel"] = state["out_proj.weight"].T
        if layer.use_bias:
            found |= {f"{part}/bias": b for part, b in zip(parts, np.split(state["in_proj_bias"], 3))}
            found["attention_output/bias"] = state["out_proj.bias"]
        return {name: found[name].reshape(w.shape) for name, w in layer.own_parameters.items()}

    return Twin(give, take)


TWINS: dict[type, Twin] = {
    layers.Dense: _plain(weight="kernel", bias="bias"),
    layers.Conv1D: _plain(weight="kernel", bias="bias"),
    layers.Embedding: _plain(weight="embeddings"),
    layers.LayerNormalization: _normalization(weight="gamma", bias="beta"),
    layers.RMSNormalization: _normalization(weight="scale"),
    layers.SimpleRNN: _recurrent(),
    layers.LSTM: _recurrent(),
    layers.GRU: _recurrent(),
    layers.Bidirectional: _bidirectional(),
    layers.MultiHeadAttention: _attention(),
}


def _data(layer: Any, name: str) -> np.ndarray:
    return layer.own_parameters[name].data


def _shapes(layer: Any) -> dict[str, tuple[int, ...]]:
    return {name: w.shape for name, w in _twin(layer).give(layer).items()}


def _twin(layer: Any) -> Twin:
    return TWINS[type(layer)]


def _twins(outer: Layer, path: str = "") -> list[tuple[str, Layer]]:
    """The layers that have a twin, by their paths, in order. TypeError for weights that no twin covers."""
    if type(outer) in TWINS:
        if not outer.built:
            raise RuntimeError(f"the layer '{outer.name}' has no weights yet: build the model, or show it some data")
        return [(path, outer)] if outer.parameters else []  # a normalisation may have none
    if outer.own_parameters:
        known = ", ".join(sorted(each.__name__ for each in TWINS))
        raise TypeError(f"the layer '{outer.name}' ({type(outer).__name__}) has no twin in torch.nn; known: {known}")
    return [found for layer in outer.inner for found in _twins(layer, f"{path}.{layer.name}".lstrip("."))]


# -- which module is which layer's ----------------------------------------------------------------------------------


def _modules(state: Mapping[str, Any]) -> dict[str, Arrays]:
    """The arrays of a state dict module by module; the layers of a recurrent module as "rnn", "rnn[1]", ..."""
    if not isinstance(state, Mapping):
        found_kind = type(state).__name__
        raise TypeError(f"from_state_dict: expected names and arrays, as module.state_dict() gives; found {found_kind}")
    found: dict[str, Arrays] = {}
    attention = {match[1] or "" for key in state if (match := ATTENTION.fullmatch(key))}
    for key, value in state.items():
        if match := RECURRENT.fullmatch(key):
            number = int(match[3])
            path, name = match[1] + (f"[{number}]" if number else ""), f"{match[2]}0{match[4] or ''}"
        elif match := ATTENTION.fullmatch(key) or OTHERS.fullmatch(key):
            path, name = match[1] or "", match[2]
            outer, _, last = path.rpartition(".")
            if last == "out_proj" and outer in attention:
                path, name = outer, f"out_proj.{name}"
        else:
            raise ValueError(f"from_state_dict: '{key}' is no weight of a module that has a twin here")
        try:
            found.setdefault(path, {})[name] = np.asarray(as_array(value))
        except (TypeError, RuntimeError) as error:  # what PyTorch says of bfloat16, of another device, of a Parameter
            raise TypeError(f"from_state_dict: NumPy cannot read '{key}': {error}") from None
    return found


def _homes(twins: list, modules: dict[str, Arrays], rename: Mapping[str, str]) -> dict[str, str]:
    """For each of our layers, by path, the path of its module."""
    paths = [path for path, _ in twins]
    for ours, theirs in rename.items():
        if ours not in paths or theirs not in modules:
            known = f"our layers: {', '.join(paths)}; modules: {', '.join(modules)}"
            raise ValueError(f"from_state_dict: rename {{'{ours}': '{theirs}'}} names something unknown; {known}")
    rest = [(path, layer) for path, layer in twins if path not in rename]
    homes = dict(rename)
    if all(path in modules for path, _ in rest):
        return homes | {path: path for path, _ in rest}
    # Names that agree in part say nothing: "dense_1" may be the first layer there, and the second here.
    free = [path for path in modules if path not in homes.values()]
    if len(rest) == len(free) and all(path.split("[")[0].isdigit() for path in free):  # an nn.Sequential counts
        free.sort(key=lambda path: [int(n) for n in re.findall(r"\d+", path)])
        return homes | dict(zip((path for path, _ in rest), free))
    for path, layer in rest:
        expected = _shapes(layer)
        fitting = [each for each in free if {name: w.shape for name, w in modules[each].items()} == expected]
        alike = [other for other, twin in rest if _shapes(twin) == expected]
        if len(fitting) != 1 or len(alike) != 1:
            there = ", ".join(fitting) if fitting else ", ".join(f"{m} ({_listed(modules[m])})" for m in free) or "none"
            what = f"several layers or modules have the shapes of '{path}'" if fitting else f"no module fits '{path}'"
            which = f"say which with rename={{'{path}': ...}}"
            raise ValueError(f"from_state_dict: {what} ({_listed(expected)}): {there}; {which}")
        homes[path] = fitting[0]
    return homes


def _listed(arrays: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {getattr(w, 'shape', w)}" for name, w in arrays.items()) or "nothing"
