"""Layer: what every layer shares: weights, building on first use, names, masks, penalties and its configuration."""

import inspect
import re
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from tinyllm import activations, initializers, regularizers
from tinyllm.autograd import Tensor

__all__ = ["InputLayer", "Layer", "Shape"]

Shape = tuple[int | None, ...]  # the batch axis, and any axis not known yet, is None


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
        self.parameters: dict[str, Tensor] = {}
        self.owner: Layer | None = None  # the layer around this one, through which it makes its weights
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
    def from_config(cls, config: dict[str, Any]) -> "Layer":
        """The layer that get_config() described, with fresh weights."""
        return cls(**config)

    def add_weight(self, name: str, shape: tuple[int, ...], initializer: Any) -> Tensor:
        """A new weight, drawn by the initializer and kept under this name."""
        if self.owner is None:
            value = initializers.get(initializer)(shape, self.generator, self.dtype)
            self.parameters[name] = Tensor(value, requires_grad=True)
        else:
            self.parameters[name] = self.owner.add_weight(f"{self.name}/{name}", shape, initializer)
        return self.parameters[name]

    @property
    def generator(self) -> np.random.Generator:
        """Where this layer's random numbers come from."""
        if self.rng is None:
            self.rng = np.random.default_rng(0)
        return self.rng

    def ensure_built(self, input_shape: Any) -> None:
        """Build once; later inputs must agree with the first in every axis that weights depend on."""
        if not self.built:
            self.build(input_shape)
            self.built = True
            self.input_shape = input_shape
            if self._initial is not None:
                self.set_weights(self._initial)

    def __call__(self, x: Any, *others: Any, **options: Any) -> Any:
        if self.several_inputs:
            x = self._each(x, *others)
            self.ensure_built([(None, *each.shape[1:]) for each in x])
        elif others:
            raise TypeError(f"{type(self).__name__} '{self.name}': expected one input, found {1 + len(others)}")
        else:
            x = self.cast(x)
            self.ensure_built((None, *x.shape[1:]))
        for name in ("mask", "training"):  # every layer is offered these; not every call() asks for them
            if name not in self._options:
                options.pop(name, None)
        y = self.call(x, **options)
        if self.activity_regularizer is not None:
            outputs = y if isinstance(y, list) else [y]
            self._activity_losses = [self.activity_regularizer(each) / max(len(each), 1) for each in outputs]
        return y

    def cast(self, x: Any) -> Any:
        """The input in this layer's dtype."""
        if not isinstance(x, Tensor):
            return Tensor(np.asarray(x, self.dtype))
        return x if x.dtype == self.dtype else x.astype(self.dtype)

    def _each(self, x: Any, *others: Any) -> list:
        if not others and not isinstance(x, list | tuple):
            found = f"{type(x).__name__} {np.shape(x)}"
            raise TypeError(f"{type(self).__name__} '{self.name}': expected a list of inputs, found one {found}")
        return [self.cast(each) for each in ([x, *others] if others else x)]

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
        found = [(self._regularizer(name), w) for name, w in self.parameters.items()] if self.trainable else []
        return [penalty(w) for penalty, w in found if penalty is not None] + self._activity_losses

    def _regularizer(self, weight: str) -> Callable | None:
        kind = weight.rpartition("/")[2].replace("recurrent_kernel", "recurrent")
        return getattr(self, f"{kind}_regularizer", None)

    # -- weights ----------------------------------------------------------------------------------------------------

    @property
    def weights(self) -> list[Tensor]:
        """All weights, in the order they were made."""
        return list(self.parameters.values())

    @property
    def trainable_weights(self) -> list[Tensor]:
        """The weights that training may change."""
        return self.weights if self.trainable else []

    def count_params(self) -> int:
        """How many numbers the weights hold."""
        return sum(w.size for w in self.weights)

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the weights."""
        return [w.data.copy() for w in self.weights]

    def set_weights(self, values: list) -> None:
        """Overwrite the weights. ValueError if their number or a shape differs; then nothing is changed."""
        assign_weights(f"layer '{self.name}'", self.parameters, values)

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


class InputLayer(Layer):
    """Says what one sample looks like, so that a model can be built before it sees data.

    >>> InputLayer((5,)).batch_input_shape
    (None, 5)
    """

    def __init__(self, shape: tuple, **options: Any):
        super().__init__(input_shape=shape, **options)

    def call(self, x):
        return x

    def cast(self, x):
        return x if isinstance(x, Tensor) else np.asarray(x)

    def get_config(self):
        return {"name": self.name, "shape": list((self.batch_input_shape or ())[1:])}
