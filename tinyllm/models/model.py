"""Model: layers that form one model, as a graph of calls or as a class of your own."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyllm.autograd import Tensor
from tinyllm.layers import InputLayer, Layer, deserialize
from tinyllm.layers.base import assign_weights
from tinyllm.layers.inner import all_layers, unique_names
from tinyllm.layers.symbolic import Call, mapped, shapes_of
from tinyllm.models import graph
from tinyllm.saving import save_model
from tinyllm.training import Trainable

__all__ = ["Model"]


class Model(Layer, Trainable):
    """Layers as one model. Either a graph: Model(inputs, outputs), of symbolic tensors. Layers may be called many
    times (they share their weights then), inputs and outputs may be one, a list or a dict:

    >>> from tinyllm.layers import Concatenate, Dense, Input
    >>> question, answer = Input((4,), name="question"), Input((4,), name="answer")
    >>> encoder = Dense(3, "tanh")
    >>> score = Dense(1, "sigmoid")(Concatenate()([encoder(question), encoder(answer)]))
    >>> model = Model([question, answer], score)
    >>> model.predict([np.ones((2, 4)), np.zeros((2, 4))]).shape
    (2, 1)

    Or a class of your own, whose layers are attributes, and which writes call(self, x, training=False):

    >>> class Small(Model):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden, self.last = Dense(3, "relu"), Dense(1)
    ...     def call(self, x, training=False):
    ...         return self.last(self.hidden(x))
    >>> Small().predict(np.ones((2, 4))).shape
    (2, 1)

    seed   of the initial weights, the shuffling and dropout: the same program gives the same numbers on every run
    dtype  of the layers that do not name their own: "float32", or "float64" for experiments

    A model is a layer, too: another model may call it. A file holds graphs; of a class of your own save_weights()
    keeps the weights. With several inputs, fit and predict take a list of arrays in the order of `inputs`, or a dict by
    the names of the Inputs, or by the keys where `inputs` is a dict.
    """

    preprocess: Any = None  # from texts to arrays (preprocessing.text.TextToIds); saved along

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        name: str | None = None,
        seed: int = 0,
        dtype: Any = None,
        trainable: bool = True,
    ):
        super().__init__(name=name, trainable=trainable, dtype=dtype, seed=seed)
        self.seed = seed
        self.inputs, self.outputs = inputs, outputs
        self._calls: list[Call] = []
        if inputs is None and outputs is None:
            return
        entries, ends = graph.symbols_in(inputs), graph.symbols_in(outputs)
        for what, found in (("inputs", entries), ("outputs", ends)):
            if not found:
                given = getattr(self, what)
                raise TypeError(f"Model: {what} are symbolic tensors, such as Input((5,)) gives; found {given!r:.60}")
        self._entries = entries
        if len(set(map(id, entries))) < len(entries):
            raise ValueError("Model: the same symbolic tensor is given twice among the inputs")
        self._calls = graph.calls_between(entries, ends)
        sources = [symbol.call.layer for symbol in entries if isinstance(symbol.call.layer, InputLayer)]
        self._layers: list[Layer] = list(dict.fromkeys([*sources, *(call.layer for call in self._calls)]))
        unique_names(f"Model '{self.name}'", self._layers)
        shared = [layer for layer in self._layers if sum(call.layer is layer for call in self._calls) > 1]
        for layer in shared:
            if layer.activity_regularizer is not None:
                what = f"the layer '{layer.name}' has an activity_regularizer and is called more than once"
                raise ValueError(f"Model: {what}; use a layer for each call, or activity_regularizer=None")
        for layer in self._layers:
            self.supply(layer)
        for call in self._calls:
            call.layer.ensure_built(shapes_of(call.x))
        self.input_shape, self.built = mapped(lambda symbol: symbol.shape, inputs), True

    @property
    def layers(self) -> list[Layer]:
        """The layers, in the order of their first calls (of a class of your own: in that of its attributes)."""
        return self.inner

    @property
    def input(self) -> Any:
        """The same as `inputs`."""
        return self.inputs

    @property
    def output(self) -> Any:
        """The same as `outputs`."""
        return self.outputs

    def get_layer(self, name: str) -> Layer:
        """The layer of this name. ValueError, listing the names, if there is none."""
        names = {layer.name: layer for layer in self.layers}
        if name not in names:
            raise ValueError(f"get_layer: there is no layer '{name}'; there are: {', '.join(names)}")
        return names[name]

    def supply(self, layer: Layer) -> None:
        """Give a layer this model's dtype and random numbers, where it has none of its own."""
        if self.dtype_given and not layer.dtype_given:
            layer.dtype = self.dtype
        if layer.rng is None:
            layer.rng = self.generator.spawn(1)[0]

    # -- computing --------------------------------------------------------------------------------------------------

    def call(self, x: Any, training: bool = False) -> Any:
        """The outputs for the inputs. A class of your own writes it."""
        if self.outputs is None:
            raise NotImplementedError(f"{type(self).__name__} has no call(self, x, training=False)")
        for symbol, each in zip(self._entries, x if isinstance(x, list) else [x]):
            fits = each.ndim == symbol.ndim and all(n in (None, m) for n, m in zip(symbol.shape[1:], each.shape[1:]))
            if not fits:
                what = f"found {each.shape}"
                raise ValueError(f"Model '{self.name}': the input '{symbol.call.layer.name}' is {symbol.shape}; {what}")
        return self._through(x, lambda layer, x, options: layer(x, **{"training": training, **options}))

    def _through(self, x: Any, apply: Callable) -> Any:
        values: dict[Any, Any] = dict(zip(self._entries, x if isinstance(x, list) else [x]))
        graph.run(self._calls, values, apply)
        return mapped(values.__getitem__, self.outputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.outputs is None:
            return super().compute_output_shape(input_shape)
        return self._through(input_shape, lambda layer, shape, options: layer.compute_output_shape(shape))

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        return mask

    def _masked(self, y: Any, mask: Any) -> Any:
        return y  # what comes out of the last layer has its mask

    def _build_own(self, input_shape: Any) -> None:
        if type(self).build is not Model.build:  # else its layers are built when call() comes to them
            self.build(input_shape)

    def build(self, input_shape: Any) -> None:
        """Make all weights for inputs of this shape (a list of shapes for several), for example (None, 5)."""
        shapes = input_shape if isinstance(input_shape, list) else [input_shape]
        zeros = [np.zeros([n or 1 for n in shape]) for shape in shapes]
        self(zeros if isinstance(input_shape, list) else zeros[0])
        for layer in all_layers(self).values():
            getattr(layer, "reset_states", lambda: None)()  # the zeros were no data

    def _one_or_several(self, x: Any, others: tuple) -> Any:
        if others:
            raise TypeError(f"Model '{self.name}': several inputs go into one list; found {1 + len(others)} arguments")
        return self._in_order(x) if self.outputs is not None else x

    def cast(self, x: Any) -> Any:
        return _each(lambda _, one: one if isinstance(one, Tensor) else np.asarray(one), x)

    def _in_order(self, x: Any) -> Any:
        """The inputs as the graph has them: one, or a list."""
        by_name = isinstance(self.inputs, dict)
        names = list(self.inputs) if by_name else [symbol.call.layer.name for symbol in self._entries]
        if isinstance(x, dict):
            if x.keys() != set(names):
                raise ValueError(
                    f"Model '{self.name}': its inputs are {', '.join(names)}; found {', '.join(map(str, x))}"
                )
            x = [x[name] for name in names]
        elif len(names) > 1 and not (isinstance(x, list | tuple) and len(x) == len(names)):
            found = f"a list of {len(x)}" if isinstance(x, list | tuple) else f"one, {type(x).__name__} {np.shape(x)}"
            raise ValueError(f"Model '{self.name}': expected {len(names)} inputs ({', '.join(names)}); found {found}")
        several = isinstance(x, list | tuple) and (len(names) > 1 or (len(x) == 1 and hasattr(x[0], "ndim")))
        return x if not several else list(x) if len(names) > 1 else x[0]

    def checked_input(self, caller: str, x: Any) -> Any:
        """x as arrays with as many samples each."""
        counts: dict[Any, int] = {}

        def checked(name: Any, one: Any) -> np.ndarray:
            array = super(Model, self).checked_input(caller, one)
            counts[name] = len(array)
            return array

        found = _each(checked, self._in_order(x) if self.outputs is not None else x)
        if len(set(counts.values())) > 1:
            found = ", ".join(f"{n} in input {name}" for name, n in counts.items())
            raise ValueError(f"{caller}: each input must have as many samples; found {found}")
        return found

    # -- weights ----------------------------------------------------------------------------------------------------

    @property
    def named_weights(self) -> dict[str, Tensor]:
        """All weights as "layer/weight"; RuntimeError while some layer does not know its input's shape."""
        unbuilt = next((layer.name for layer in self.inner if not layer.built), None)
        if unbuilt is not None:
            raise RuntimeError(
                f"the layer '{unbuilt}' has no weights yet: give the first layer an input_shape, "
                "call build(shape), or show the model some data"
            )
        return self.parameters

    @property
    def weights(self) -> list[Tensor]:
        """All weights, layer by layer; RuntimeError while some layer does not know its input's shape."""
        return list(self.named_weights.values())

    def set_weights(self, values: list) -> None:
        """Overwrite all weights. ValueError if their number or a shape differs; then nothing is changed."""
        assign_weights(f"{type(self).__name__} '{self.name}'", self.named_weights, values)

    # -- what it looks like -----------------------------------------------------------------------------------------

    @property
    def output_shape(self) -> Any:
        """The output's shape, None where it is not known yet."""
        return mapped(lambda symbol: symbol.shape, self.outputs)

    def summary(self) -> None:
        """Print the layers with their output shapes and numbers of parameters."""
        rows = [("Layer (type)", "Output shape", "Param #")]
        for layer in self.layers:
            shape = layer.compute_output_shape(layer.input_shape) if layer.input_shape is not None else "?"
            count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
            rows.append((f"{layer.name} ({type(layer).__name__})", str(shape), count))
        wide = [max(len(row[i]) for row in rows) for i in range(3)]
        line = "-" * (sum(wide) + 6)
        print(f'Model: "{self.name}"')
        for i, (name, shape, count) in enumerate(rows):
            print(line if i < 2 else "", end="\n" if i < 2 else "")
            print(f" {name:<{wide[0]}}  {shape:<{wide[1]}}  {count:>{wide[2]}}")
        total = sum(layer.count_params() for layer in self.layers if layer.built)
        trainable = sum(w.size for w in self.trainable_weights)
        print(line)
        print(f"Total params: {total:,}")
        print(f"Trainable params: {trainable:,}")
        print(f"Non-trainable params: {total - trainable:,}")

    def save(self, path: Any, weights: str | None = None) -> None:
        """Write the model to a folder, or to a file of Keras's (.keras, .h5) by the path's ending; see save_model."""
        save_model(self, path, weights)

    def export(self, path: Any, format: str = "onnx") -> None:
        """Write the model to an ONNX file, which other programs run (it cannot be trained on); see saving.onnx."""
        if format != "onnx":
            raise ValueError(
                f"export: the format is 'onnx'; found {format!r} (save() writes tinyllm's and Keras's files)"
            )
        from tinyllm.saving.onnx import export_onnx

        export_onnx(self, path)

    def __deepcopy__(self, memo: dict) -> "Model":
        copy.deepcopy(self._calls, memo)  # in their order: from the last one back, Python's stack would overflow
        made = object.__new__(type(self))
        memo[id(self)] = made
        vars(made).update(copy.deepcopy(vars(self), memo))
        return made

    def get_config(self) -> dict[str, Any]:
        """What makes a model like this one (without its weights), as JSON."""
        if self.outputs is None:
            raise TypeError(f"{type(self).__name__} is a class of your own, which no description can make again")
        described = graph.describe(self.inputs, self.outputs, self.layers, self._calls)
        return {"name": self.name, "seed": self.seed, "trainable": self.trainable, **described}

    @classmethod
    def from_config(cls, config: dict[str, Any], prepare: Callable | None = None) -> "Model":
        """The model that get_config() described, with fresh weights; prepare as in Layer.from_config."""
        made = {each["config"]["name"]: deserialize(each, prepare) for each in config["layers"]}
        inputs, outputs = graph.rebuild(config, made)
        options = {name: config[name] for name in ("name", "seed", "trainable") if name in config}
        return cls(inputs, outputs, **options)


def _each(function: Callable, x: Any) -> Any:
    """function(name, input) for each input in a dict or a list of arrays, and for anything else, which is one input."""
    if isinstance(x, dict):
        return {name: function(name, each) for name, each in x.items()}
    if isinstance(x, list | tuple) and x and all(hasattr(each, "ndim") for each in x):
        return [function(i, each) for i, each in enumerate(x)]
    return function("x", x)
