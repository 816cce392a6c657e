"""Layer: what every layer shares: weights, building on first use, names, masks, penalties and its configuration."""

import inspect
import re
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from tinyllm import activations, initializers, regularizers
from tinyllm.autograd import Tensor
from tinyllm.autograd.tensor import wrap
from tinyllm.layers.symbolic import Call, Shape, SymbolicTensor, any_symbolic, outputs_of, shapes_of

__all__ = ["Input", "InputLayer", "Layer", "Shape", "adopt", "all_layers", "mask_of", "unique_names"]


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
    Layers that are attributes of this one, or in a list or tuple that is, are its inner layers: their weights are its
    weights, called "inner name/weight". Called on a symbolic tensor (layers.Input), a layer notes the call for a Model.

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
        """The output's shape for inputs of this shape; a list of shapes where call() returns a list."""
        return input_shape

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

    def add_weight(self, name: str, shape: tuple[int, ...], initializer: Any) -> Tensor:
        """A new weight, drawn by the initializer and kept under this name."""
        value = initializers.get(initializer)(shape, self.generator, self.dtype)
        self.own_parameters[name] = Tensor(value, requires_grad=True)
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
        found: dict[int, Layer] = {}
        for value in vars(self).values():
            for each in value if isinstance(value, list | tuple) else (value,):
                if isinstance(each, Layer):
                    found.setdefault(id(each), each)
        return list(found.values())

    def ensure_built(self, input_shape: Any) -> None:
        """Build once; later inputs must agree with the first in every axis that weights depend on."""
        if not self.built:
            adopt(self, self.inner)
            if not self.own_parameters:  # else build() was called by hand
                self.build(input_shape)
            self.built = True
            self.input_shape = input_shape
            if self._initial is not None:
                self.set_weights(self._initial)

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
            if others:
                raise TypeError(f"{type(self).__name__} '{self.name}': expected one input, found {1 + len(others)}")
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
        found = [(self._regularizer(name), w) for name, w in self.own_parameters.items()]
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
        return self.own_parameters | inner

    @property
    def weights(self) -> list[Tensor]:
        """All weights, in the order of `parameters`."""
        return list(self.parameters.values())

    @property
    def trainable_weights(self) -> list[Tensor]:
        """The weights that training may change."""
        if not self.trainable:
            return []
        return [*self.own_parameters.values(), *(w for layer in self.inner for w in layer.trainable_weights)]

    def count_params(self) -> int:
        """How many numbers the weights hold."""
        return sum(w.size for w in self.weights)

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the weights."""
        return [w.data.copy() for w in self.weights]

    def set_weights(self, values: list) -> None:
        """Overwrite the weights. ValueError if their number or a shape differs; then nothing is changed."""
        assign_weights(f"{type(self).__name__} '{self.name}'", self.parameters, values)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


def arguments(cls: type) -> dict[str, inspect.Parameter]:
    """What this class may be made with: its own arguments, then those of the classes its **options go on to."""
    found: dict[str, inspect.Parameter] = {}
    for each in cls.__mro__:
        if each is not object and "__init__" in vars(each):
            parameters = list(inspect.signature(vars(each)["__init__"]).parameters.values())[1:]
            named = {p.name: p for p in parameters if p.kind is not p.VAR_KEYWORD}
            found |= {name: p for name, p in named.items() if name not in found}
            if len(named) == len(parameters):
                break
    return found


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


def all_layers(outer: Layer) -> dict[str, Layer]:
    """The layers in a layer or model, however deep, by paths such as "bidirectional/forward_lstm"; itself as ""."""
    found = {"": outer}
    for layer in outer.inner:
        found |= {f"{layer.name}/{path}".rstrip("/"): each for path, each in all_layers(layer).items()}
    return found


def adopt(outer: Layer, layers: list[Layer]) -> None:
    """Give the layers inside another one different names, and its dtype and random numbers where they have no own."""
    unique_names(f"{type(outer).__name__} '{outer.name}'", layers)
    for layer in layers:
        if not layer.dtype_given:
            layer.dtype = outer.dtype
        if layer.rng is None:
            layer.rng = outer.generator


def unique_names(owner: str, layers: list[Layer]) -> None:
    """Number layers that were given no name and would be called alike; from now on a name stays.

    ValueError where two have the same name for good.
    """
    taken: set[str] = set()
    for layer in layers:
        if layer.named and layer.name in taken:
            raise ValueError(f"{owner}: there is a layer called '{layer.name}' already; names must differ")
        taken |= {layer.name} if layer.named else set()
    for layer in layers:
        if not layer.named and layer.name in taken:
            layer.name = next(f"{layer.name}_{i}" for i in range(1, 10**6) if f"{layer.name}_{i}" not in taken)
        layer.named = True
        taken.add(layer.name)


class InputLayer(Layer):
    """Says what one sample looks like, so that a model can be built before it sees data.

    >>> InputLayer((5,)).batch_input_shape
    (None, 5)
    """

    def __init__(self, shape: tuple, **options: Any):
        super().__init__(input_shape=shape, **options)
        self.ensure_built(self.batch_input_shape)
        self.symbol: SymbolicTensor = outputs_of(Call(self, None, {}), self.batch_input_shape, self.dtype)

    def call(self, x):
        return x

    def cast(self, x):
        return x if isinstance(x, Tensor) else np.asarray(x)

    def get_config(self):
        config = {"name": self.name, "shape": list((self.batch_input_shape or ())[1:])}
        return config | {"dtype": self.dtype.name} if self.dtype_given else config


def Input(shape: tuple, dtype: Any = None, name: str | None = None) -> SymbolicTensor:
    """A symbolic tensor (batch, *shape), where a Model begins. None in the shape: an axis of any length.

    >>> Input((5,), name="ids")
    <SymbolicTensor (None, 5) float32 of 'ids'>
    """
    return InputLayer(shape, dtype=dtype, name=name).symbol
