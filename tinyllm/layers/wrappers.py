"""Bidirectional and TimeDistributed: layers around other layers."""

import copy
from typing import Any

import numpy as np

from tinyllm.autograd.tensor import as_array
from tinyllm.layers.arguments import one_of
from tinyllm.layers.base import Layer, Shape
from tinyllm.layers.recurrent import Recurrent

__all__ = ["Bidirectional", "TimeDistributed", "Wrapper"]


class Wrapper(Layer):
    """What layers around other layers share.

    Raises TypeError for what is no layer.
    """

    def __init__(self, layer: Any, **options: Any):
        layer = self._new(layer)
        if layer.dtype_given and options.get("dtype") is None:
            options["dtype"] = layer.dtype
        super().__init__(**options)
        self.rng = layer.rng if self.rng is None else self.rng
        self.batch_input_shape = self.batch_input_shape or self._shape_around(layer.batch_input_shape)
        self.layer: Any = layer

    def _new(self, layer: Any) -> Any:
        if not isinstance(layer, Layer):
            raise TypeError(f"{type(self).__name__}: expected a layer such as LSTM(3); found {layer!r:.60}")
        return layer

    @classmethod
    def from_config(cls, config, prepare=None):
        from tinyllm.layers import MODELS, deserialize  # it knows the wrappers, too

        made = {}
        for name in ("layer", "backward_layer"):
            if config.get(name):  # a model makes its weights at once, a layer only when it is built
                early = prepare if config[name].get("class_name") in MODELS else None
                made[name] = deserialize(config[name], early)
        return super().from_config(config | made, prepare)

    def _shape_around(self, inner_shape: Shape | None) -> Shape | None:
        return inner_shape


class TimeDistributed(Wrapper):
    """The same layer at each time step: x (batch, time, ...) becomes (batch, time, ...).

    >>> from tinyllm.layers import Dense
    >>> TimeDistributed(Dense(3))(np.ones((2, 5, 4))).shape
    (2, 5, 3)
    """

    def cast(self, x):
        if not self.layer.dtype_given:
            self.layer.dtype = self.dtype  # of a layer that is not built yet, too
        return self.layer.cast(x)

    def _shape_around(self, inner_shape):
        return None if inner_shape is None else (None, None, *inner_shape[1:])

    def _step(self, shape: Shape) -> Shape:
        if len(shape) < 3:
            raise ValueError(f"TimeDistributed '{self.name}': expected inputs (batch, time, ...), found {tuple(shape)}")
        return (shape[0], *shape[2:])

    def build(self, input_shape):
        self.layer.ensure_built(self._step(input_shape))

    def call(self, x, mask=None, training=False):
        batch, time, *rest = x.shape
        each = np.reshape(x, (batch * time, *rest))
        options: dict[str, Any] = {"training": training}
        if mask is not None and np.ndim(mask) > 2:  # (batch, time, inner time): the inner layer's own
            options["mask"] = np.reshape(as_array(mask), (batch * time, *np.shape(mask)[2:]))
        y = self.layer(each, **options)
        if isinstance(y, list):
            raise ValueError(f"TimeDistributed '{self.name}': the layer '{self.layer.name}' returns {len(y)} outputs")
        return np.reshape(y, (batch, time, *y.shape[1:]))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        inner = self.layer.compute_output_shape(self._step(input_shape))
        return (inner[0], input_shape[1], *inner[1:])


class Bidirectional(Wrapper):
    """A recurrent layer that reads the sequence forwards, and a twin that reads it backwards (Schuster & Paliwal 1997).

    merge_mode      how the two outputs meet: "concat" (side by side), "sum", "mul", "ave"; None: a list of both
    backward_layer  the layer that reads backwards, if not the twin of `layer`

    With return_sequences both outputs are in the order of time, and zero where the mask is False; with return_state the
    forward layer's states follow the output, then the backward layer's; initial_state takes them in this order.

    Raises ValueError for layers that have weights already, read in the wrong direction, or return different things.

    >>> from tinyllm.layers import LSTM
    >>> Bidirectional(LSTM(3))(np.ones((2, 5, 4))).shape
    (2, 6)
    """

    def __init__(self, layer: Any, merge_mode: str | None = "concat", backward_layer: Any = None, **options: Any):
        super().__init__(layer, **options)
        self.merge_mode = one_of("Bidirectional", "merge_mode", merge_mode, ("concat", "sum", "mul", "ave", None))
        self.layer = copy.deepcopy(self.layer)
        self.backward_layer = copy.deepcopy(self.layer if backward_layer is None else self._new(backward_layer))
        for each in (self.layer, self.backward_layer):
            if not isinstance(each, Recurrent):
                raise TypeError(f"Bidirectional: expected recurrent layers such as LSTM(3); found {each!r}")
            if each.built:
                what = f"the layer '{each.name}' has weights already"
                raise ValueError(f"Bidirectional: {what}; give a new one, and set_weights()")
        if backward_layer is None:
            self.backward_layer.go_backwards = True
            self.backward_layer.name = f"backward_{self.layer.name.removeprefix('forward_')}"
        self.layer.name = f"forward_{self.layer.name.removeprefix('forward_')}"
        if self.layer.go_backwards or not self.backward_layer.go_backwards:
            raise ValueError("Bidirectional: layer must have go_backwards=False and backward_layer go_backwards=True")
        for setting in ("return_sequences", "return_state", "stateful"):
            if getattr(self.layer, setting) != getattr(self.backward_layer, setting):
                raise ValueError(f"Bidirectional: {setting} must be the same in both layers")
        for each in (self.layer, self.backward_layer):
            each.rng = None  # both draw from this layer's; copies of one generator would draw the same weights
            each.zero_output_for_mask = each.return_sequences  # where both directions repeat, they would repeat another

    @property
    def return_state(self) -> bool:
        """Whether the states come along."""
        return self.layer.return_state

    @property
    def return_sequences(self) -> bool:
        """Whether every time step has an output."""
        return self.layer.return_sequences

    def build(self, input_shape):
        for each in self.inner:
            each.ensure_built(input_shape)

    def call(self, x, mask=None, initial_state=None, training=False):
        half = None if initial_state is None else len(initial_state) // 2
        starts = (None, None) if half is None else (initial_state[:half], initial_state[half:])
        found = [
            layer(x, mask=mask, initial_state=start, training=training) for layer, start in zip(self.inner, starts)
        ]
        (forward, *forward_states), (backward, *backward_states) = found if self.return_state else [[y] for y in found]
        if self.return_sequences:
            backward = backward[:, ::-1]  # the first to be made belongs to the last time step
        outputs = self._merged(forward, backward)
        if self.return_state:
            return [*outputs, *forward_states, *backward_states]
        return outputs if self.merge_mode is None else outputs[0]

    def _merged(self, forward: Any, backward: Any) -> list:
        if self.merge_mode is None:
            return [forward, backward]
        if self.merge_mode == "concat":
            return [np.concatenate([forward, backward], axis=-1)]
        if self.merge_mode == "mul":
            return [forward * backward]
        return [forward + backward if self.merge_mode == "sum" else (forward + backward) / 2]

    def reset_states(self) -> None:
        """Forget where the last batch stopped (stateful layers)."""
        for each in (self.layer, self.backward_layer):
            each.reset_states()

    def compute_mask(self, x, mask=None):
        after = mask if self.return_sequences else None
        outputs = [after] * (2 if self.merge_mode is None else 1)
        if self.return_state:
            return outputs + [None] * (2 * len(self.layer.state_names))
        return outputs if self.merge_mode is None else after

    def compute_output_shape(self, input_shape: Shape) -> Any:
        found = [each.compute_output_shape(input_shape) for each in self.inner]
        (forward, *forward_states), (backward, *backward_states) = found if self.return_state else [[s] for s in found]
        outputs = [forward, backward]
        if self.merge_mode is not None:
            width = forward[-1] + backward[-1] if self.merge_mode == "concat" else forward[-1]
            outputs = [(*forward[:-1], width)]
        if self.return_state:
            return [*outputs, *forward_states, *backward_states]
        return outputs if self.merge_mode is None else outputs[0]
