"""What `tinyllm gradcheck` checks, and with which inputs: a function of the user's, a layer, a saved model."""

import argparse
import contextlib
import difflib
import inspect
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinyllm.cli.inputs import Input, draw, labels, refuse_enormous
from tinyllm.cli.theirs import Theirs

__all__ = ["Target", "add_layer_options", "function", "layer", "model"]

Target = tuple[Callable, list, dict[str, Any]]  # for gradcheck: f, the inputs, further arguments
BATCH, TIME, FEATURES = 3, 5, 4
MARK = "layer."  # before the names of a layer's arguments among the options


# -- a function -----------------------------------------------------------------------------------------------------


def function(options: argparse.Namespace, theirs: Theirs) -> Target:
    """MODULE:FUNCTION, its inputs of the shapes given, and a gradient written by hand if there is one."""
    name = options.names[0]
    f = theirs.load(name)
    try:
        signature = inspect.signature(f)
    except (TypeError, ValueError):  # some functions written in C have none
        signature = None
    if signature is not None:
        _refuse_unfit(signature, options.shapes)
    elif options.shapes is None:
        raise ValueError("give the shape of each argument, for example --shapes 3,4")
    more = {}
    if options.gradient is not None:
        beside = options.gradient if ":" in options.gradient else f"{name.rpartition(':')[0]}:{options.gradient}"
        more["gradient"] = theirs.load(beside)
    return f, draw(options.shapes, options), more


def _refuse_unfit(signature: inspect.Signature, shapes: Sequence[Input] | None) -> None:
    """ValueError unless there is a shape for every argument."""
    parameters = signature.parameters.values()
    named = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if not named and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        raise ValueError("it takes no arguments: there is nothing to differentiate")
    required = [p.name for p in named if p.default is p.empty] or [p.name for p in named[:1]] or ["*args"]
    takes = f"it takes {len(required)} argument{'s' * (len(required) > 1)} ({', '.join(required)})"
    if shapes is None:
        example = " ".join(f"{i},{i + 1}" for i in range(3, 3 + min(len(required), 6)))
        raise ValueError(f"{takes}: give the shape of each, for example --shapes {example}")
    try:
        signature.bind(*shapes)
    except TypeError as error:
        found = f"--shapes gives {len(shapes)}" if len(shapes) != len(required) else str(error)
        raise ValueError(f"{takes}; {found}") from None


# -- a layer --------------------------------------------------------------------------------------------------------


def add_layer_options(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> list[type]:
    """The layers named after --layer, the outer one first; their arguments become options of the parser.

    Raises ValueError for an unknown layer, with near names.
    """
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    early.add_argument("--layer", nargs="+", default=[])
    try:
        names = early.parse_known_args(list(arguments))[0].layer
    except argparse.ArgumentError:  # --layer alone: the parser will say so
        names = []
    if not names:
        return []
    from tinyllm.layers import LAYERS

    for name in names:
        if name not in LAYERS:
            by_lower = {known.lower(): known for known in LAYERS}
            near = [by_lower[n] for n in difflib.get_close_matches(name.lower(), by_lower, cutoff=0.5)]
            what, shown = ("near ones", near) if near else ("known", sorted(LAYERS))
            raise ValueError(f"unknown layer {name!r}; {what}: {', '.join(shown)}")
    layers: list[type] = [LAYERS[name] for name in names]
    for each in layers:
        group = parser.add_argument_group(f"arguments of {each.__name__}")
        for p in inspect.signature(each).parameters.values():
            spellings = dict.fromkeys([f"--{p.name}", f"--{p.name.replace('_', '-')}"])
            with contextlib.suppress(argparse.ArgumentError):  # --seed is everybody's; layers share --name
                group.add_argument(*spellings, **_argument(p))
    return layers


def _argument(p: inspect.Parameter) -> dict[str, Any]:
    shared = {"dest": MARK + p.name, "metavar": "VALUE", "default": argparse.SUPPRESS}
    if p.default is p.empty:
        return shared | {"type": _value, "required": True, "help": "required"}
    shared["help"] = f"default: {p.default}".replace("%", "%%")
    return shared | ({"type": _truth, "nargs": "?", "const": True} if p.annotation is bool else {"type": _value})


def _value(text: str) -> Any:
    """JSON, Python's True, False and None, numbers with commas as a list, or else the text itself."""
    if text in ("True", "False", "None"):
        return {"True": True, "False": False, "None": None}[text]
    for said in (text, f"[{text}]"):
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(said)
    return text


def _truth(text: str) -> bool:
    if not isinstance(_value(text), bool):
        raise argparse.ArgumentTypeError(f"true or false; found {text!r}")
    return _value(text)


def layer(layers: Sequence[type], options: argparse.Namespace) -> Target:
    """A fresh layer, and an input it takes: the first of a few shapes, unless --shapes says which."""
    given = {k.removeprefix(MARK): v for k, v in vars(options).items() if k.startswith(MARK)}
    if options.shapes is not None:
        return _layer_with(layers, given, options, options.shapes)
    shapes: list[tuple[int, ...]] = [(BATCH, FEATURES), (BATCH, TIME, FEATURES)]
    outer = _new(layers, given, options.seed)
    if _vocabulary(outer) is not None:
        shapes[0] = (BATCH, TIME)
    if hasattr(outer, "target_shape"):  # Reshape: as many numbers as its output has
        shapes = [(BATCH, math.prod(abs(n) for n in outer.target_shape))]
    inputs = 2 if outer.several_inputs else 1
    for shape in shapes[:-1]:
        with contextlib.suppress(ValueError):
            return _layer_with(layers, given, options, [Input(shape)] * inputs)
    return _layer_with(layers, given, options, [Input(shapes[-1])] * inputs)


def _layer_with(layers: Sequence[type], given: dict[str, Any], options: argparse.Namespace, inputs: Any) -> Target:
    """The layer, built for these inputs. ValueError if it does not take them."""
    made = _new(layers, given, options.seed)
    below = _vocabulary(made)
    xs = draw([each if each.below is not None else Input(each.shape, below) for each in inputs], options)
    with _no_enormous_weight(made):
        made(*xs)
    return made, xs, {}


def _new(layers: Sequence[type], given: dict[str, Any], seed: int) -> Any:
    """Layers around layers from the outside in; each argument goes to the outermost that takes it."""
    takes = inspect.signature(layers[0]).parameters
    own = {"dtype": "float64"} | {name: value for name, value in given.items() if name in takes}
    own["seed"] = seed + 1  # not the inputs' numbers again
    if "layer" in takes:
        if len(layers) < 2:
            raise ValueError(f"{layers[0].__name__} goes around a layer: --layer {layers[0].__name__} LSTM --units 8")
        rest = {name: value for name, value in given.items() if name not in takes}
        own["layer"] = _new(layers[1:], rest, seed)
    elif len(layers) > 1:
        raise ValueError(f"{layers[0].__name__} goes around no other layer; found {layers[1].__name__} after it")
    return layers[0](**own)


def _vocabulary(outer: Any) -> int | None:
    """How many ids the layer takes, if an Embedding meets the input."""
    while hasattr(outer, "layer"):
        outer = outer.layer
    return outer.input_dim if hasattr(outer, "embeddings_initializer") else None


@contextlib.contextmanager
def _no_enormous_weight(made: Any) -> Iterator[None]:
    add_weight = made.add_weight

    def checked(name: str, shape: tuple[int, ...], *rest: Any, **options: Any) -> Any:
        refuse_enormous(f"{made.name}, weight '{name}' {shape}", math.prod(shape))
        return add_weight(name, shape, *rest, **options)

    vars(made)["add_weight"] = checked
    try:
        yield
    finally:
        del vars(made)["add_weight"]


# -- a saved model --------------------------------------------------------------------------------------------------


def model(options: argparse.Namespace) -> Target:
    """A model that was saved, with a batch; its loss is checked if it was compiled, else its output."""
    from tinyllm.layers import InputLayer
    from tinyllm.models import load_model

    loaded = load_model(options.model)
    if options.data is not None:
        x, y = _stored(options.data)
        if options.shapes is not None:
            raise ValueError("--data brings its own shapes; leave --shapes out")
    else:
        first = next((each for each in loaded.layers if not isinstance(each, InputLayer)), loaded.layers[0])
        if options.shapes is None:
            sizes = [size or TIME for size in loaded.layers[0].input_shape[1:]]
            found = Input((BATCH, *sizes))
        elif len(options.shapes) == 1:
            found = options.shapes[0]
        else:
            raise ValueError(f"a model has one input; --shapes gives {len(options.shapes)}")
        below = _vocabulary(first) if found.below is None else found.below
        x, y = draw([Input(found.shape, below)], options)[0], None
    if loaded.loss is None:
        if y is not None:
            raise ValueError(
                f"{options.data} has y, but the model was saved without a loss; compile it, or leave y out"
            )
        return loaded, [x], {}
    if y is None:
        y = labels(loaded.loss, loaded(x).shape, options.seed)
    return loaded, [x, y], {}


def _stored(path: str) -> tuple[np.ndarray, np.ndarray | None]:
    """x and y, or None for it, from an .npz file."""
    import zipfile

    if not os.path.isfile(path) or not zipfile.is_zipfile(path):
        what = "is no .npz file" if os.path.exists(path) else "does not exist"
        raise ValueError(f"--data {path}: {what}; write one with np.savez({path!r}, x=x, y=y)")
    with np.load(path, allow_pickle=False) as data:
        if "x" not in data:
            raise ValueError(f"--data {path}: it holds no x; found {', '.join(data) or 'nothing'}")
        try:
            return data["x"], data["y"] if "y" in data.files else None
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"--data {path}: x and y must be arrays of numbers: {error}") from None
