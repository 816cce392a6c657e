"""What can be checked: a function, a function with a gradient written by hand, a layer, a loss, a model with a batch.

Each becomes a Subject: a pure function of arrays, with a gradient. Layers and models are known by what they offer, not
by their class, so that the engine does not import what is built on it. They are copied, and the copy is widened to
float64: the one that was handed in is not touched.
"""

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyllm.autograd.tensor import Tensor, as_array, wrap
from tinyllm.autograd.transforms import vjp

__all__ = ["Subject", "listed", "pull", "subject_of"]


@dataclass
class Subject:
    """A function of `arrays`, of which those at `places` are differentiated."""

    name: str
    f: Callable
    arrays: list[Any]  # float64 where they are differentiated, else as they were given
    places: list[int]
    names: list[str]  # one for each of arrays
    dtypes: list[str]  # as they were given
    gradient: Callable | None = None  # written by hand: (upstream, *arrays) -> one gradient for each array
    tensors: bool = True  # f takes Tensors where it is differentiated

    def value(self, arrays: Sequence[Any]) -> list[np.ndarray]:
        """f's outputs, in memory of their own: an output may be a view of an input that is about to change."""
        given = list(arrays)
        for i in self.places:
            given[i] = wrap(arrays[i], None) if self.tensors else arrays[i].copy()
        return [np.array(as_array(y)) for y in listed(self.f(*given))]

    def pull(self, arrays: Sequence[Any], upstream: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The gradient of sum(f * upstream) with respect to each differentiated array, whatever its shape is."""
        if self.gradient is None:
            return [as_array(d) for d in pull(self.f, arrays, self.places, upstream)]
        given = [a.copy() if isinstance(a, np.ndarray) else a for a in arrays]
        gs = [u.copy() for u in upstream]
        found = self.gradient(gs[0] if len(gs) == 1 else tuple(gs), *given)
        several = list(found) if isinstance(found, tuple | list) else [found]
        if len(several) == len(arrays):
            several = [several[i] for i in self.places]
        elif len(several) != len(self.places):
            raise ValueError(
                f"gradcheck: gradient returned {len(several)} gradients for {len(arrays)} inputs: "
                "return one for each input, in their order (None for one that has no gradient)"
            )
        return [self._gradient_array(d, i) for d, i in zip(several, self.places)]

    def _gradient_array(self, d: Any, i: int) -> np.ndarray:
        d = np.zeros(self.arrays[i].shape) if d is None else np.asarray(as_array(d))
        if d.dtype.kind not in "biuf":
            raise TypeError(f"gradcheck: the gradient of {self.names[i]} must be real numbers; found {d.dtype}")
        return d

    def slope(self, upstream: list[np.ndarray]) -> "Subject":
        """The gradient itself as a function to be checked: order 2."""

        def gradients(*args: Any) -> tuple:
            if any(isinstance(args[i], Tensor) and args[i].node is not None for i in self.places):
                return tuple(pull(self.f, args, self.places, upstream))
            return tuple(self.pull([as_array(a) if i in self.places else a for i, a in enumerate(args)], upstream))

        return Subject(self.name, gradients, self.arrays, self.places, self.names, self.dtypes)


def listed(ys: Any) -> list:
    """One output or several, as a list."""
    return list(ys) if isinstance(ys, tuple | list) else [ys]


def pull(f: Callable, args: Sequence[Any], places: Sequence[int], upstream: Sequence[Any]) -> tuple:
    """The gradients of sum(f * upstream) by the engine; recorded where the arguments are Tensors on a graph."""

    def of_places(*xs: Any) -> Any:
        inside = list(args)
        for i, x in zip(places, xs):
            inside[i] = x
        return f(*inside)

    y, back = vjp(of_places, *[args[i] for i in places])
    return back(tuple(upstream) if isinstance(y, tuple) else upstream[0])


def subject_of(
    f: Callable, inputs: Sequence[Any], gradient: Callable | None, argnums: Any, options: dict[str, Any]
) -> Subject:
    """Make a Subject of whatever was handed to gradcheck()."""
    if not callable(f):
        raise TypeError(f"gradcheck: the first argument is what to check, something callable; found {f!r:.60}")
    name = getattr(f, "name", None) or getattr(f, "__name__", type(f).__name__)
    name = f"{type(f).__name__} '{name}'" if hasattr(f, "trainable_weights") else str(name)
    names = _parameter_names(f, len(inputs))
    frozen: set[int] = set()
    owner = hasattr(f, "trainable_weights")
    if owner:
        if gradient is not None:
            raise TypeError("gradcheck: gradient= belongs to a function; a layer or a model brings its own")
        f, inputs, names, frozen = _of_weights(f, list(inputs), options)
    else:
        if names[:1] == ["y_true"]:
            frozen = {0}  # a loss is a function of the prediction
        if options:
            plain, f = f, lambda *args: plain(*args, **options)
    arrays = [_float64(x) for x in inputs]
    floats = [i for i, a in enumerate(arrays) if isinstance(a, np.ndarray) and a.dtype == np.float64]
    places = _places(argnums, len(arrays), floats, [i for i in floats if i not in frozen], names, owner)
    for i in set(range(len(arrays))) - set(places):  # what is not differentiated stays what it was
        arrays[i] = inputs[i]
    return Subject(
        name, f, arrays, places, names, [str(getattr(x, "dtype", "float64")) for x in inputs], gradient, not gradient
    )


def _parameter_names(f: Callable, n: int) -> list[str]:
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (ValueError, TypeError):
        parameters = []
    simple = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [simple[i] if i < len(simple) else f"argument {i}" for i in range(n)]


def _places(argnums: Any, n: int, floats: list[int], default: list[int], names: list[str], owner: bool) -> list[int]:
    if argnums is None:
        if not default and owner:
            raise TypeError("gradcheck: no weight is trainable and no input is differentiated: nothing to check")
        if not default:
            raise TypeError(
                "gradcheck: no input is a floating-point array, so there is nothing to differentiate: "
                "write 2.0 for 2, or x.astype(float)"
            )
        return default
    chosen = list(argnums) if isinstance(argnums, Sequence) else [argnums]
    if not chosen or any(isinstance(i, bool) or not isinstance(i, int) or not -n <= i < n for i in chosen):
        raise ValueError(f"gradcheck: argnums={argnums!r}: name inputs by their places, 0 to {n - 1}")
    for i in chosen:
        if i % n not in floats:
            raise TypeError(f"gradcheck: input {i} ({names[i % n]}) is not floating point, it has no gradient")
    return sorted({i % n for i in chosen})


def _float64(x: Any) -> Any:
    if isinstance(x, str | bytes) or x is None or isinstance(x, dict):
        return x
    try:
        array = np.asarray(as_array(x))
    except ValueError as error:
        raise ValueError("gradcheck: an input is a list whose rows differ in length; it cannot be an array") from error
    if array.dtype.kind == "c":
        raise TypeError("gradcheck: an input is complex; split it into its real and imaginary part")
    return np.array(array, np.float64) if array.dtype.kind == "f" else x


# -- layers and models ----------------------------------------------------------------------------------------------


def _of_weights(owner: Any, inputs: list, options: dict[str, Any]) -> tuple:
    """A layer or model as a function of (inputs, weights): the copy's weights become whatever is handed in."""
    try:
        owner = copy.deepcopy(owner)
    except Exception as error:
        raise TypeError(f"gradcheck: cannot copy the {type(owner).__name__} to be checked: {error}") from error
    model = hasattr(owner, "compute_loss")
    if not 1 <= len(inputs) <= (2 if model else 99):
        raise TypeError(
            f"gradcheck: a {'model takes x, or x and y' if model else 'layer takes its input'}, then options"
        )
    if model and len(inputs) == 2 and owner.loss is None:
        raise ValueError("gradcheck: with y, the model's loss is checked: compile it with one first, or leave y out")
    parts = list(_parts(owner, set()))
    for part in parts:
        if hasattr(part, "dtype"):
            part.dtype = np.dtype(np.float64) if part.dtype is not None else None
    run = _model_run(owner, options) if model else lambda *xs: owner(*xs, **options)
    run(*inputs)  # makes the weights, where there are none yet
    named = {id(w): name for name, w in _named_weights(parts)}
    for part in parts:
        for w in getattr(part, "own_parameters", {}).values():
            w._data, w.node = w.data.astype(np.float64), None
    weights = list(owner.trainable_weights)
    n = len(inputs)

    def f(*args: Any) -> Any:
        for w, given in zip(weights, args[n:]):
            given = given if isinstance(given, Tensor) else Tensor(given)
            w._data, w.node = given._data, given.node
        return run(*args[:n])

    own = ["x", "y"][:n] if model else ["x"] if n == 1 else [f"x{i}" for i in range(n)]
    names = own + [named.get(id(w), f"weight {i}") for i, w in enumerate(weights)]
    return f, inputs + [w.data for w in weights], names, set(range(n)) if model else set()


def _model_run(model: Any, options: dict[str, Any]) -> Callable:
    def run(x: Any, y: Any = None) -> Any:
        prediction = model(x, **options)
        return prediction if y is None else model.compute_loss(np.asarray(as_array(y)), prediction)

    return run


def _parts(owner: Any, seen: set[int]) -> Iterator[Any]:
    """A layer or model and the layers in it."""
    if id(owner) in seen:
        return
    seen.add(id(owner))
    yield owner
    for value in vars(owner).values():
        for each in (
            value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
        ):
            if hasattr(each, "trainable_weights") and not isinstance(each, type):
                yield from _parts(each, seen)


def _named_weights(parts: list) -> Iterator[tuple[str, Tensor]]:
    for part in parts:
        for name, w in getattr(part, "own_parameters", {}).items():
            yield (name if len(parts) == 1 else f"{part.name}/{name}"), w
