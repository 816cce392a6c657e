"""What all optimisers share: settings that are checked, groups of weights, clipping, and the step itself."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from numbers import Real
from typing import Any

import numpy as np

from tinyllm import schedules
from tinyllm.autograd import Tensor
from tinyllm.optimizers.flat import FlatBuffer, norm

__all__ = ["Group", "Optimizer"]

NOT_NEGATIVE = (lambda x: 0 <= x < math.inf, "0 or a positive number")
CLIP: Any = (lambda x: 0 < x < math.inf, "a positive number, or None for no clipping")
CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")
# What a setting may be. None may be set, too, where it is the default.
RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "weight_decay": NOT_NEGATIVE,
    "learning_rate_multiplier": NOT_NEGATIVE,
    "initial_accumulator_value": NOT_NEGATIVE,
    "momentum": (lambda x: 0 <= x <= 1, "between 0 and 1"),
    "epsilon": (lambda x: 0 < x < math.inf, "positive, it keeps 0 / 0 away"),
    **dict.fromkeys(("rho", "beta_1", "beta_2"), (lambda x: 0 <= x < 1, "at least 0 and below 1")),
    **dict.fromkeys(CLIPS, CLIP),
}


def checked(owner: Any, name: str, value: Any, allowed: Callable[[Any], bool], text: str, origin: str = "") -> float:
    """The value as a plain float (a NumPy scalar would decide the dtype of a pass); ValueError if it is not allowed."""
    if isinstance(value, Real) and not isinstance(value, bool) and allowed(value):
        return float(value)
    raise ValueError(f"{type(owner).__name__}: {name} must be {text}; found {value!r:.60}{origin}")


class Checked:
    """An object whose settings are checked whenever they are set."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in RANGES and (value is not None or getattr(type(self), name, None) is not None):
            value = checked(self, name, value, *RANGES[name])
        object.__setattr__(self, name, value)


@dataclass(eq=False)
class Group(Checked):
    """Weights that an optimizer treats in another way; of several groups that pick a weight, the first counts.

    match                     picks them: a function of the weight, or a list of weights, or of their positions among
                              all that are trained
    learning_rate_multiplier  their rate is the optimizer's times this: below 1 for layers that were trained before
    weight_decay              theirs; None: the optimizer's

    GPT is usually trained with weight decay on its matrices only:

    >>> from tinyllm.optimizers import AdamW
    >>> optimizer = AdamW(3e-4, weight_decay=0.1, groups=[Group(lambda w: w.ndim < 2, weight_decay=0.0)])
    """

    match: Callable[[Tensor], bool] | Sequence[Tensor | int]
    _: KW_ONLY
    learning_rate_multiplier: float = 1.0
    weight_decay: float | None = None

    def positions(self, parameters: Sequence[Tensor]) -> list[int]:
        """Where this group's weights are among all. ValueError if one that is listed is not there."""
        if callable(self.match):
            return [i for i, p in enumerate(parameters) if self.match(p)]
        where = {id(p): i for i, p in enumerate(parameters)} | {i: i for i in range(len(parameters))}
        keys = [each if isinstance(each, int) else id(each) for each in self.match]
        for key, each in zip(keys, self.match):
            if key not in where:
                raise ValueError(
                    f"Group: {each!r:.40} is none of the {len(parameters)} weights that are trained; is it frozen?"
                )
        return [where[key] for key in keys]

    def get_config(self, parameters: Sequence[Tensor] = ()) -> dict[str, Any]:
        """The arguments that make an equal one; where the parameters are known, its weights are named by position."""
        config = {field.name: getattr(self, field.name) for field in fields(self)}
        return config | {"match": self.positions(parameters)} if parameters else config


class Rate:
    """The setting learning_rate: a number or a schedule is set; what is read is the number for the next step.

    Read from the class, it is the default, which is where @dataclass looks for one.
    """

    def __init__(self, default: float):
        self.default = default

    def __get__(self, optimizer: Any, owner: Any = None) -> float:
        if optimizer is None:
            return self.default
        given = vars(optimizer)["learning_rate"]
        if not callable(given):
            return given
        step = optimizer.iterations
        origin = f", which the schedule gave for step {step}"
        return checked(optimizer, "learning_rate", given(step), *NOT_NEGATIVE, origin)

    def __set__(self, optimizer: Any, value: Any) -> None:
        value = schedules.get(value)
        if isinstance(value, type):
            raise TypeError(f"learning_rate: found the class {value.__name__}; make one of it: {value.__name__}(...)")
        if not callable(value):
            value = checked(optimizer, "learning_rate", value, *NOT_NEGATIVE)
        vars(optimizer)["learning_rate"] = value


RATE = Rate(0.01)


@dataclass(eq=False)
class Optimizer(Checked):
    """The base. A subclass writes update(w, g, slots, rate): change the weights w in place, given their gradient g.

    learning_rate    a number, or a schedule (of tinyllm.schedules, or any function of the number of steps taken). It
                     may be set at any time; what is read is the number for the next step
    weight_decay     before each step the weights shrink: w = w - rate weight_decay w (Loshchilov & Hutter 2019)
    clipnorm         the largest norm for the gradient of one weight; or
    clipvalue        the largest absolute value for any number in a gradient; or
    global_clipnorm  the largest norm for all gradients together (Pascanu et al. 2013, section 3.2)
    groups           weights to treat in another way: a list of Group

    `iterations` counts the steps taken. A setting out of range raises ValueError, also when it is set later.
    """

    learning_rate: Any = RATE
    _: KW_ONLY
    weight_decay: float | None = None
    clipnorm: float | None = None
    clipvalue: float | None = None
    global_clipnorm: float | None = None
    groups: Sequence[Any] = ()
    name: str | None = None

    def __post_init__(self) -> None:
        self.name = self.name or type(self).__name__.lower()
        self.groups = [Group(**each) if isinstance(each, dict) else each for each in self.groups]
        stranger = next((each for each in self.groups if not isinstance(each, Group)), None)
        if stranger is not None:
            raise TypeError(f"{type(self).__name__}: groups must be a list of Group; found {stranger!r:.60}")
        self.iterations = 0
        self.buffers: list[FlatBuffer] = []
        self.parameters: list[Tensor] = []

    def __init_subclass__(cls) -> None:
        cls.learning_rate = Rate(cls.learning_rate)  # a subclass gives its default as a plain number

    def __setattr__(self, name: str, value: Any) -> None:
        if name in CLIPS and value is not None:
            for other in CLIPS:
                if other != name and getattr(self, other) is not None:
                    raise ValueError(f"{type(self).__name__}: choose one of {name} and {other}")
        super().__setattr__(name, value)

    # -- what a subclass writes -------------------------------------------------------------------------------------

    @property
    def slot_names(self) -> tuple[str, ...]:
        """What is remembered per weight."""
        return ()

    @property
    def slot_start(self) -> float:
        """The value of the slots before the first step."""
        return 0.0

    def update(self, w: np.ndarray, g: np.ndarray, slots: dict[str, np.ndarray], rate: float) -> None:
        """Change w and the slots in place. All are flat and of one size; g and slots["scratch"] may be overwritten."""
        raise NotImplementedError(f"{type(self).__name__} has no update()")

    # -- what it gets -----------------------------------------------------------------------------------------------

    def apply_gradients(self, gradients_and_weights: Iterable[tuple[Any, Tensor]]) -> None:
        """One step: pairs of a gradient (an array, or None to leave a weight as it is) and its weight.

        Raises, before any weight moves, FloatingPointError if a gradient is NaN or infinite, ValueError if it has
        another shape than its weight or if there is none at all, and TypeError for a weight that is no Tensor.

        >>> from tinyllm.optimizers import SGD
        >>> w = Tensor([1.0], requires_grad=True)
        >>> SGD(learning_rate=0.5).apply_gradients([(np.array([2.0]), w)])
        >>> w.data
        array([0.])
        """
        pairs = list(gradients_and_weights)
        if all(g is None for g, _ in pairs):
            raise ValueError("apply_gradients: no weight has a gradient; call backward() on the loss first")
        self.build([w for _, w in pairs])
        gradients = {id(w): g for g, w in pairs}
        for buffer in self.buffers:
            buffer.gather(gradients)
        total = math.hypot(*(norm(buffer.g) for buffer in self.buffers))
        if not math.isfinite(total):
            raise FloatingPointError("the gradient is not finite; the weights are as they were before this step")
        learning_rate = self.learning_rate
        self.iterations += 1
        for buffer in self.buffers:
            self._clip(buffer, total)
            rate = learning_rate * buffer.group.learning_rate_multiplier
            decay = self.weight_decay if buffer.group.weight_decay is None else buffer.group.weight_decay
            without_gradient = buffer.missing_state()
            for w, g, slots in buffer.blocks:
                if decay:
                    w *= 1 - rate * decay
                self.update(w, g, slots, rate)
            for view, value in without_gradient:
                view[...] = value

    def _clip(self, buffer: FlatBuffer, total: float) -> None:
        """Clip the buffer's gradient; `total` is the norm of all gradients together."""
        if self.clipvalue is not None:
            np.clip(buffer.g, -self.clipvalue, self.clipvalue, out=buffer.g)
        if self.global_clipnorm is not None and total > self.global_clipnorm:
            buffer.g *= self.global_clipnorm / total
        if self.clipnorm is not None:
            for g in (buffer.g[part] for part in buffer.parts):
                if (length := norm(g)) > self.clipnorm:
                    g *= self.clipnorm / length

    def build(self, parameters: Iterable[Tensor]) -> None:
        """Move the weights into flat buffers. Done by the first step; ValueError if the weights change later."""
        parameters = list(parameters)
        if not self.parameters:
            self._check(parameters)
            everything = Group(lambda w: True)
            group_of: dict[int, Group] = {}
            for group in reversed([*self.groups, everything]):
                group_of |= dict.fromkeys(group.positions(parameters), group)
            kinds: dict[Any, list[Tensor]] = {}
            for i, p in enumerate(parameters):
                kinds.setdefault((p.dtype, group_of[i]), []).append(p)
            self.buffers = [FlatBuffer(those, group) for (_, group), those in kinds.items()]
            self.parameters = parameters
        elif [id(p) for p in parameters] != [id(p) for p in self.parameters]:
            raise ValueError(
                f"{type(self).__name__}: built for {len(self.parameters)} weights, found others; "
                "use a new optimizer (compile the model again)"
            )
        names = self.slot_names
        for buffer in self.buffers:
            if any(name not in buffer.slots for name in names):  # at first, and if momentum is switched on later
                buffer.add_slots(names, self.slot_start)

    def _check(self, parameters: list[Tensor]) -> None:
        for p in parameters:
            if not isinstance(p, Tensor):
                raise TypeError(f"apply_gradients: a pair is (gradient, weight); found {p!r:.40} for a weight")
            if p.dtype.kind != "f":
                raise TypeError(f"apply_gradients: a weight is made of floating-point numbers; found {p.dtype}")
        if len({id(p) for p in parameters}) < len(parameters):
            raise ValueError("apply_gradients: the same weight occurs twice; add its gradients up first")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal one; JSON, if the rate and the groups' choices are not your own functions.

        A group's weights are given by position once they are known: after the first step, or build().
        """
        config = {field.name: getattr(self, field.name) for field in fields(self)}
        config["learning_rate"] = schedules.serialize(vars(self)["learning_rate"])
        groups = [group.get_config(self.parameters) for group in config.pop("groups")]
        return config | {"groups": groups} if groups else config  # Keras reads this, too, and has no groups

    def get_state(self) -> list[dict[str, np.ndarray]]:
        """For each weight, its slots (views): what must be saved, with `iterations`, to go on exactly."""
        if self.parameters:
            self.build(self.parameters)
        state: dict[int, dict[str, np.ndarray]] = {}
        for buffer in self.buffers:
            state |= buffer.slots_by_weight()
        return [state[id(p)] for p in self.parameters]
