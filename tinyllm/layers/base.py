"""Layer: what every layer shares: weights, building on first use, names, masks, and its configuration."""

import inspect
import re
from typing import Any, ClassVar

import numpy as np

from tinyllm import initializers
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

    Raises TypeError on an unknown argument, naming the known ones.
    """

    def __init__(
        self,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
        seed: int | None = None,
        input_shape: tuple | None = None,
        weights: list | None = None,
        **unknown: Any,
    ):
        if unknown:
            known = [n for cls in (type(self), Layer) for n in inspect.signature(cls).parameters]
            known = sorted(set(known) - {"unknown", "options"})
            raise TypeError(
                f"{type(self).__name__}: unknown argument {', '.join(map(repr, unknown))}; known: {', '.join(known)}"
            )
        if input_shape is not None and not isinstance(input_shape, tuple | list):
            raise TypeError(f"{type(self).__name__}: input_shape is a tuple such as (5,); found {input_shape!r}")
        self.name = name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()
        self.named = name is not None
        self.trainable = trainable
        self.dtype = np.dtype(dtype or "float32")
        self.dtype_given = dtype is not None
        self.rng: np.random.Generator | None = None if seed is None else np.random.default_rng(seed)
        self.batch_input_shape: Shape | None = None if input_shape is None else (None, *input_shape)
        self.built = False
        self.input_shape: Shape | None = None
        self.parameters: dict[str, Tensor] = {}
        self._initial = weights

    # -- what a subclass writes -------------------------------------------------------------------------------------

    def build(self, input_shape: Shape) -> None:
        """Make the weights, with add_weight, for inputs of this shape."""

    def call(self, *args: Any, **options: Any) -> Any:
        """The output for an input. A subclass writes call(self, x), and may take mask= and training= too."""
        raise NotImplementedError(f"{type(self).__name__} has no call()")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The output's shape for inputs of this shape."""
        return input_shape

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        """Which time steps of the output count: (batch, time) booleans, or None for all. By default as the input's."""
        return mask

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a layer like this one, as JSON."""
        return {"name": self.name, "trainable": self.trainable, "dtype": self.dtype.name}

    # -- what it gets -----------------------------------------------------------------------------------------------

    def add_weight(self, name: str, shape: tuple[int, ...], initializer: Any) -> Tensor:
        """A new weight, drawn by the initializer and kept under this name."""
        if self.rng is None:
            self.rng = np.random.default_rng(0)
        value = initializers.get(initializer)(shape, self.rng, self.dtype)
        self.parameters[name] = Tensor(value, requires_grad=True)
        return self.parameters[name]

    def ensure_built(self, input_shape: Shape) -> None:
        """Build once; later inputs must agree with the first in every axis that weights depend on."""
        if not self.built:
            self.build(input_shape)
            self.built = True
            self.input_shape = input_shape
            if self._initial is not None:
                self.set_weights(self._initial)

    def __call__(self, x: Any, **options: Any) -> Any:
        x = self.cast(x)
        self.ensure_built((None, *x.shape[1:]))
        for name in ("mask", "training"):  # every layer is offered these; not every call() asks for them
            if name not in self._options:
                options.pop(name, None)
        return self.call(x, **options)

    def cast(self, x: Any) -> Any:
        """The input in this layer's dtype."""
        if not isinstance(x, Tensor):
            return Tensor(np.asarray(x, self.dtype))
        return x if x.dtype == self.dtype else x.astype(self.dtype)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._options = set(inspect.signature(cls.call).parameters) - {"self", "x"}

    _options: ClassVar[set[str]] = set()  # which of mask=, training=, ... call() takes

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
