"""Layer: what every layer shares: weights, building on first use, names, masks, penalties and its configuration."""

import copy
import inspect
import re
from collections.abc import Callable
from functools import wraps
from threading import RLock
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tinyllm import activations, initializers, regularizers
from tinyllm.autograd import Tensor, no_grad
from tinyllm.autograd.tensor import wrap
from tinyllm.layers.arguments import arguments
from tinyllm.layers.inner import adopt, all_layers, free_name
from tinyllm.layers.symbolic import (
    Call,
    Shape,
    SymbolicTensor,
    any_symbolic,
    common_shape,
    outputs_of,
    shapes_of,
    zeros_of,
)

__all__ = ["Layer", "Shape", "all_layers", "mask_of"]

BUILDING = RLock()  # two threads may show data to one model that has no weights yet


class Layer:
    """A function with weights. A subclass writes `build` (make the weights) and `call` (compute the output).

    name         by default the class's name in snake_case; a model adds a number where two would be equal
    trainable    False freezes the weights (compile again after a change in the midst of training)
    dtype        of the weights and the output, "float32" by default
    seed         of the weights' initial values and of dropout; a model hands out its own where this is None
    input_shape  (or input_length) of one sample, if known: then the model can be built before it sees data
    weights      initial values, as get_weights() returns them
    activity_regularizer  a penalty on the output (tinyllm.regularizers), divided by the number of samples

    An attribute kernel_regularizer is a penalty on the weight called kernel, and so on; `losses` lists all penalties.
    Layers that are attributes of this one, or in a list, tuple or dict that is, are its inner layers: their weights are
    its weights, called "inner name/weight"; a weight that two of them share counts once. Called on a symbolic tensor
    (layers.Input), a layer notes the call for a Model.

    A mask (batch, time) says which time steps count. It travels with the Tensor, as its .mask, from layer to layer;
    mask= in a call overrides it.

    Raises TypeError on an unknown argument, naming the known ones.
    """

    several_inputs: ClassVar[bool] = False  # True: x is a list of inputs, called as layer([a, b]) or layer(a, b)

    def __init__(
        self,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
        seed: int | None = None,
        input_shape: tuple | None = None,
        weights: list | None = None,
        activity_regularizer: Any = None,
        **unknown: Any,
    ):
        if unknown:
            known = ", ".join(sorted(arguments(type(self))))
            raise TypeError(f"{type(self).__name__}: unknown argument {', '.join(map(repr, unknown))}; known: {known}")
        if input_shape is not None and not isinstance(input_shape, tuple | list):
            raise TypeError(f"{type(self).__name__}: input_shape is a tuple such as (5,); found {input_shape!r}")
        self.name = name or re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type(self).__name__).lower()
        self.named = name is not None
        self.trainable = trainable
        self.dtype = np.dtype(dtype or "float32")
        self.dtype_given = dtype is not None
        self.rng: np.random.Generator | None = None if seed is None else np.random.default_rng(seed)
        self.batch_input_shape: Shape | None = None if input_shape is None else (None, *input_shape)
        self.built = False
        self.input_shape: Any = None
        self.own_parameters: dict[str, Tensor] = {}
        self._fixed: set[str] = set()  # those that are never trained
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._activity_losses: list[Tensor] = []
        self._initial = weights

    # -- what a subclass writes -------------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Make the weights, with add_weight, for inputs of this shape (with several_inputs, of these shapes)."""

    def call(self, *args: Any, **options: Any) -> Any:
        """The output for an input. A subclass writes call(self, x), and may take mask= and training= too."""
        raise NotImplementedError(f"{type(self).__name__} has no call()")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The output's shape for inputs of this shape; a list of shapes where call() returns a list.

        By default a copy of the layer is called on zeros, with 2 and with 3 in the place of None; what differs is None.
        ValueError, with what call() raised, where it does not take them.
        """
        trial: Any = {}
        for length in (2, 3):
            try:
                with no_grad():
                    trial[length] = copy.deepcopy(self)(zeros_of(input_shape, length))
            except Exception as error:
                what = f"on zeros {input_shape} call() raised {type(error).__name__}: {error}"
                advice = "mend it, or write compute_output_shape(self, input_shape)"
                raise ValueError(f"{type(self).__name__} '{self.name}': {what}; {advice}") from error
        if not isinstance(trial[2], list):
            return common_shape(trial[2], trial[3])
        return [common_shape(a, b) for a, b in zip(trial[2], trial[3])]

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        """Which time steps of the output count: (batch, time) booleans, or None for all. By default as the input's."""
        return mask

    # -- what it gets -----------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a layer like this one, as JSON. Each is read from the attribute of its name."""
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype.name}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        own = [name for name in arguments(type(self)) if name not in arguments(Layer)]
        return config | {name: _described(name, getattr(self, name)) for name in own}

    @classmethod
    def from_config(cls, config: dict[str, Any], prepare: Callable | None = None) -> "Layer":
        """The layer that get_config() described, with fresh weights.

        prepare: called with it, and with every layer inside it, before it makes its weights.
        """
        layer = cls(**config)
        if prepare is not None:
            for each in all_layers(layer).values():
                prepare(each)
        return layer

    def add_weight(
        self,
        name: str | None = None,
        shape: int | tuple[int, ...] = (),
        initializer: Any = "glorot_uniform",
        trainable: bool = True,
        regularizer: Any = None,
    ) -> Tensor:
        """A new weight, drawn by the initializer and kept under this name (default: weight, weight_1, ...).

        trainable=False: training leaves it alone. ValueError for a name that is taken, or an axis that is None.
        """
        owner = f"{type(self).__name__} '{self.name}'"
        if not isinstance(name, str | None):
            raise TypeError(f"add_weight: {owner}: name is a text; found {name!r:.40}: write shape=...")
        name = name or free_name("weight", self.own_parameters)
        if name in self.own_parameters:
            raise ValueError(f"add_weight: {owner} has a weight called '{name}' already; names must differ")
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        if None in shape:
            raise ValueError(f"{owner}: the weight '{name}' would be {shape}; the input's shape must say how long")
        value = initializers.get(initializer)(shape, self.generator, self.dtype)
        self.own_parameters[name] = Tensor(value, requires_grad=trainable)
        self._fixed |= set() if trainable else {name}
        if regularizer is not None:
            setattr(self, f"{name}_regularizer", regularizers.get(regularizer))
        return self.own_parameters[name]

    @property
    def generator(self) -> np.random.Generator:
        """Where this layer's random numbers come from."""
        if self.rng is None:
            self.rng = np.random.default_rng(0)
        return self.rng

    @property
    def inner(self) -> list["Layer"]:
        """The layers inside this one, in the order in which they became its attributes."""
        own = vars(self)
        found = own.get("_inner")
        if found is None:
            found = list(dict.fromkeys(_layers_in([each for name, each in own.items() if name != "own_parameters"])))
            if self.built:  # from here on only another attribute can change them, see __setattr__
                own["_inner"] = found
        return list(found)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if isinstance(value, Layer | list | tuple | dict):
            vars(self).pop("_inner", None)

    def ensure_built(self, input_shape: Any) -> None:
        """Build once; later inputs must agree with the first in every axis that weights depend on."""
        if self.built:
            return
        with BUILDING:
            if not self.built:
                adopt(self, self.inner)
                self._build_own(input_shape)
                if not self.built:
                    self._finish(input_shape)

    def _build_own(self, input_shape: Any) -> None:
        self.build(input_shape)

    def _finish(self, input_shape: Any) -> None:
        self.input_shape = input_shape
        if self._initial is not None:
            self.set_weights(self._initial)
        self.built = True  # last: from here on the other threads go on

    def __call__(self, x: Any, *others: Any, **options: Any) -> Any:
        x = self._one_or_several(x, others)
        if any_symbolic(x):
            return self._noted(x, options)
        mask = options.pop("mask", None)
        mask = mask_of(x) if mask is None else mask
        x = [self.cast(each) for each in x] if self.several_inputs else self.cast(x)
        self.ensure_built(shapes_of(x))
        if "training" not in self._options:  # every layer is offered these two; not every call() asks for them
            options.pop("training", None)
        if mask is not None and "mask" in self._options:
            options["mask"] = mask
        y = self.call(x, **options)
        y = list(y) if isinstance(y, tuple) else y
        if self.activity_regularizer is not None:
            outputs = y if isinstance(y, list) else [y]
            self._activity_losses = [self.activity_regularizer(each) / max(len(each), 1) for each in outputs]
        return self._masked(y, self.compute_mask(x, mask))

    def cast(self, x: Any) -> Any:
        """The input in this layer's dtype."""
        if not isinstance(x, Tensor):
            return Tensor(np.asarray(x, self.dtype))
        return x if x.dtype == self.dtype else x.astype(self.dtype)

    def _one_or_several(self, x: Any, others: tuple) -> Any:
        if not self.several_inputs:
            several = [x, *others] if others else x
            if others or (isinstance(x, list | tuple) and any(isinstance(each, Tensor | SymbolicTensor) for each in x)):
                what = f"expected one input, found {len(several)}"
                advice = "Concatenate()([a, b]) makes them one; if your call() takes a list, say several_inputs = True"
                raise TypeError(f"{type(self).__name__} '{self.name}': {what}: {advice}")
            return x
        if not others and not isinstance(x, list | tuple):
            found = f"{type(x).__name__} {np.shape(x)}"
            raise TypeError(f"{type(self).__name__} '{self.name}': expected a list of inputs, found one {found}")
        return [x, *others] if others else list(x)

    def _noted(self, x: Any, options: dict[str, Any]) -> Any:
        """What a call on symbolic tensors gives: symbolic tensors, whose values a Model computes (models/graph.py)."""
        for name in options.keys() - self._options - {"mask", "training"}:
            raise TypeError(f"{type(self).__name__} '{self.name}': unknown argument '{name}' in a call")
        return outputs_of(Call(self, x, options), self.compute_output_shape(shapes_of(x)), self.dtype)

    def _masked(self, y: Any, mask: Any) -> Any:
        if isinstance(y, list):
            masks = mask if isinstance(mask, list) else [mask] * len(y)
            return [self._masked(each, m) for each, m in zip(y, masks)]
        if isinstance(y, Tensor) and mask is not mask_of(y):
            y = wrap(y.data, y.node)  # y may be the input itself, whose mask is another
            y.mask = mask
        return y

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = _finished(cls.build)  # type: ignore[method-assign]
        cls._options = set(inspect.signature(cls.call).parameters) - {"self", "x"}
        own = inspect.signature(cls.__init__).parameters  # help() shows those that **options takes, too
        cls.__signature__ = inspect.Signature(
            [p if name in own else p.replace(kind=p.KEYWORD_ONLY) for name, p in arguments(cls).items()]
        )

    _options: ClassVar[set[str]] = set()  # which of mask=, training=, ... call() takes
    __signature__: ClassVar[inspect.Signature]

    # -- penalties --------------------------------------------------------------------------------------------------

    @property
    def losses(self) -> list[Tensor]:
        """The penalties, one number each: of the weights that are trained, and of the last call's output."""
        if not self.trainable:
            return self._activity_losses
        found = [(self._regularizer(name), w) for name, w in self._trained().items()]
        own = [penalty(w) for penalty, w in found if penalty is not None]
        return own + [each for layer in self.inner for each in layer.losses] + self._activity_losses

    def _regularizer(self, weight: str) -> Callable | None:
        kind = weight.rpartition("/")[2].replace("recurrent_kernel", "recurrent")
        return getattr(self, f"{kind}_regularizer", None)

    # -- weights ----------------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> dict[str, Tensor]:
        """All weights by name, in the order they were made; those of inner layers as "inner name/weight"."""
        inner = {f"{layer.name}/{name}": w for layer in self.inner for name, w in layer.parameters.items()}
        every = self.own_parameters | inner
        first = {id(w): name for name, w in reversed(every.items())}  # of the names of a shared weight
        return {name: w for name, w in every.items() if first[id(w)] == name}

    @property
    def weights(self) -> list[Tensor]:
        """All weights, in the order of `parameters`."""
        return list(self.parameters.values())

    @property
    def trainable_weights(self) -> list[Tensor]:
        """The weights that training may change."""
        if not self.trainable:
            return []
        inner = [w for layer in self.inner for w in layer.trainable_weights]
        return list({id(w): w for w in [*self._trained().values(), *inner]}.values())

    def _trained(self) -> dict[str, Tensor]:
        return {name: w for name, w in self.own_parameters.items() if name not in self._fixed}

    @property
    def non_trainable_weights(self) -> list[Tensor]:
        """The others."""
        trained = set(map(id, self.trainable_weights))
        return [w for w in self.weights if id(w) not in trained]

    def count_params(self) -> int:
        """How many numbers the weights hold."""
        return sum(w.size for w in self.weights)

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the weights."""
        return [w.data.copy() for w in self.weights]

    def set_weights(self, values: list) -> None:
        """Overwrite the weights. ValueError if their number or a shape differs; then nothing is changed."""
        assign_weights(f"{type(self).__name__} '{self.name}'", self.parameters, values)

    if not TYPE_CHECKING:  # mypy would believe that a layer has every attribute

        def __getattr__(self, name: str) -> Any:
            if "own_parameters" not in vars(self):
                raise AttributeError(f"{type(self).__name__}: __init__ must begin with super().__init__()")
            return object.__getattribute__(self, name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


def _finished(build: Callable) -> Callable:
    """build(), after which a layer counts as built, by whomever it was called; if it fails, nothing was added."""

    @wraps(build)
    def whole(self: Layer, input_shape: Any) -> None:
        before = dict(self.own_parameters)
        try:
            build(self, input_shape)
        except Exception:
            self.own_parameters = before
            raise
        if type(self).build is whole:  # not a super().build()
            self._finish(input_shape)

    return whole


def _layers_in(x: Any) -> list[Layer]:
    """The layers in lists, tuples and dicts, however deep."""
    if isinstance(x, dict):
        x = list(x.values())
    if isinstance(x, list | tuple):
        return [layer for each in x for layer in _layers_in(each)]
    return [x] if isinstance(x, Layer) else []


def _described(name: str, value: Any) -> Any:
    """An argument as JSON."""
    if name.endswith("initializer"):
        return initializers.serialize(value)
    if name.endswith("regularizer"):
        return regularizers.serialize(value)
    if name.endswith("activation"):
        return activations.name_of(value)
    if isinstance(value, Layer):
        return {"class_name": type(value).__name__, "config": value.get_config()}
    return list(value) if isinstance(value, tuple) else value


def assign_weights(owner: str, weights: dict[str, Tensor], values: list) -> None:
    """Write values into weights, all or nothing."""
    if len(values) != len(weights):
        raise ValueError(f"set_weights: {owner} has {len(weights)} weights, found a list of {len(values)}")
    arrays = [np.asarray(v) for v in values]
    for (name, weight), value in zip(weights.items(), arrays):
        if weight.shape != value.shape:
            raise ValueError(f"set_weights: {owner}, weight '{name}' has shape {weight.shape}, found {value.shape}")
        if not np.can_cast(value.dtype, weight.dtype, "same_kind"):
            raise ValueError(f"set_weights: {owner}, weight '{name}' is {weight.dtype}, found {value.dtype}")
    for weight, value in zip(weights.values(), arrays):
        weight.data[...] = value


def mask_of(x: Any) -> Any:
    """The mask that travels with a Tensor; a list of masks for a list, or None where there is none at all."""
    if isinstance(x, list | tuple):
        masks = [mask_of(each) for each in x]
        return masks if any(m is not None for m in masks) else None
    return getattr(x, "mask", None)
