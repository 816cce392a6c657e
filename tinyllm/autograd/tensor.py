"""Tensor: an array that remembers how it was computed.

NumPy's own functions and operators work on it, because it answers NumPy's two override protocols (`__array_ufunc__`,
NEP 13; `__array_function__`, NEP 18). What each function's derivative is stands in rules.py.
"""

import inspect
from collections.abc import Callable
from copy import deepcopy
from functools import cache, wraps
from typing import Any

import numpy as np
from numpy import ndarray

from tinyllm.autograd.graph import PICK, Node, Op, is_recording, walk

__all__ = ["COMPOSITES", "FLAT", "TABLE", "Tensor", "apply", "as_array", "origin"]

TABLE: dict[Callable, Op] = {}  # function -> its line in the table of derivatives
COMPOSITES: dict[Callable, Callable] = {}  # function -> the same function written with others of the table
FLAT: set[Callable] = set()  # functions that are flat almost everywhere: they return plain arrays

# -- what the class body below is made of ---------------------------------------------------------------------------


def _operators(symbol: str, ufunc: np.ufunc) -> tuple[Callable, Callable, Callable]:
    """The methods of one binary operator: x + y, y + x with an array in front, and x += y, which is refused."""

    def refuse(self, other):
        raise TypeError(
            f"{symbol}= would change a Tensor in place, its graph would no longer be true: write x = x {symbol} y, "
            f"or x.data {symbol}= y to update a leaf outside the graph"
        )

    return (
        lambda self, other: apply(TABLE[ufunc], (self, other), {}),
        lambda self, other: apply(TABLE[ufunc], (other, self), {}),
        refuse,
    )


def _method(function: Callable) -> Callable:
    def method(self, *args, **kwargs):
        return call(function, (self, *args), kwargs)

    method.__name__ = function.__name__
    method.__doc__ = f"np.{function.__name__} of this Tensor."
    return method


class Tensor:
    """A value, and, if it requires a gradient, the graph of operations that made it.

    Tensor(value, requires_grad=False, dtype=None): `value` is copied; anything np.array takes is taken.
    With requires_grad=True the Tensor is a leaf: `backward()` on a result collects d result / d leaf in its `.grad`.

    Raises TypeError when the value is not made of numbers, or when a gradient is asked for one that is not real
    floating point.

    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> np.sum(np.square(x)).backward()
    >>> x.grad
    array([2., 4., 6.])
    """

    __slots__ = ("__weakref__", "_data", "_mask", "node")
    _data: np.ndarray
    _mask: Any
    node: Node | None

    def __init__(self, value: Any, requires_grad: bool = False, dtype: Any = None):
        self.node = None
        self._data = np.array(value, dtype=dtype)
        if self._data.dtype.kind not in "biufc":
            raise TypeError(f"Tensor: a value is made of numbers; found dtype {self._data.dtype} in {value!r:.60}")
        if requires_grad:
            self.requires_grad = True

    # -- what it is -------------------------------------------------------------------------------------------------

    @property
    def data(self) -> np.ndarray:
        """The value, off the graph. A leaf may be given another array of its shape; the array is taken, not copied."""
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        value = np.asarray(value)
        if self.node is not None:
            if self.node.op is not None:
                raise RuntimeError(f"data: this Tensor was computed by '{self.node.op.name}'; only a leaf's can be set")
            if value.shape != self.shape or value.dtype.kind != "f":
                raise ValueError(
                    f"data: this leaf holds {self.dtype} of shape {self.shape}; found {value.dtype} of shape "
                    f"{value.shape}: make a new Tensor"
                )
            self.node.value = value
        self._data = value

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this Tensor. Settable on a Tensor that no operation made."""
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if wanted and self.node is None:
            if self.dtype.kind != "f":
                raise TypeError(
                    f"requires_grad: only floating-point values have gradients; found {self.data.dtype}: "
                    "pass dtype=float"
                )
            self.node = Node(None, (), None, None, self.data)
        elif not wanted and self.node is not None:
            if self.node.op is not None:
                raise RuntimeError("requires_grad: this Tensor was computed; use detach() to leave the graph")
            self.node = None

    @property
    def is_leaf(self) -> bool:
        """True unless an operation on the graph made this Tensor."""
        return self.node is None or self.node.op is None

    @property
    def grad(self) -> Any:
        """The gradient collected by backward(): an array (a Tensor after create_graph=True), or None. Leaves only."""
        return None if self.node is None else self.node.grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if self.node is None or self.node.op is not None:
            raise RuntimeError("grad: only a leaf (made with requires_grad=True) keeps a gradient")
        if value is not None and np.shape(value) != self.shape:
            raise ValueError(f"grad: this leaf has shape {self.shape}; found a gradient of shape {np.shape(value)}")
        self.node.grad = value

    shape = property(lambda self: self.data.shape, doc="Sizes of the axes.")
    ndim = property(lambda self: self.data.ndim, doc="Number of axes.")
    size = property(lambda self: self.data.size, doc="Number of elements.")
    dtype = property(lambda self: self.data.dtype, doc="Type of the elements.")
    mT = property(lambda self: np.swapaxes(self, -1, -2), doc="Each matrix transposed.")
    T = property(np.transpose, doc="The axes in reverse order.")

    @property
    def mask(self) -> Any:
        """Which time steps count, (batch, time) booleans: a layer says so to the next. None: all of them."""
        return getattr(self, "_mask", None)

    @mask.setter
    def mask(self, value: Any) -> None:
        self._mask = value

    def __len__(self) -> int:
        return len(self.data)

    def __float__(self) -> float:
        return float(self.data)

    def __int__(self) -> int:
        return int(self.data)

    def __bool__(self) -> bool:
        return bool(self.data)

    def __repr__(self) -> str:
        text = repr(self.data).replace("array(", "Tensor(", 1).replace("\n", "\n ")
        return text[:-1] + ", requires_grad=True)" if self.node is not None else text

    def __format__(self, spec: str) -> str:
        return format(self.data[()], spec)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.node is not None:
            raise TypeError(
                "a Tensor on the graph cannot become an array unnoticed, its gradient would be lost: use .data for its "
                "value, np.stack([...]) to build a Tensor from Tensors"
            )
        return np.array(self.data, dtype=dtype, copy=copy)

    def item(self) -> float:
        """The single element, as a Python number."""
        return self.data.item()

    def tolist(self) -> Any:
        """The values as nested lists."""
        return self.data.tolist()

    def numpy(self) -> np.ndarray:
        """The value, off the graph: the same as `.data`."""
        return self.data

    def __deepcopy__(self, memo: dict) -> "Tensor":
        if not self.is_leaf:
            raise RuntimeError("deepcopy: this Tensor was computed; copy detach(), which leaves the graph")
        copied = Tensor(self._data, self.requires_grad)
        if self.grad is not None:
            copied.grad = deepcopy(self.grad, memo)
        return copied

    def detach(self) -> "Tensor":
        """The same value, off the graph (the memory is shared).

        >>> Tensor([1.0], requires_grad=True).detach().requires_grad
        False
        """
        return wrap(self.data, None)

    # -- gradients --------------------------------------------------------------------------------------------------

    def backward(self, gradient: Any = None, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Add d(sum of self * gradient)/d(leaf) to the `.grad` of every leaf that self was computed from.

        gradient      same shape as self; may be left out when self has one element (then it is 1)
        retain_graph  keep the graph, so that backward() can run again
        create_graph  record the gradients too: they become Tensors that can be differentiated (retains the graph)

        Raises RuntimeError when there is nothing to differentiate or the graph was freed; ValueError on a wrong shape.

        >>> x = Tensor(3.0, requires_grad=True)
        >>> (x * x * x).backward(create_graph=True)
        >>> slope = x.grad                              # 3 x^2, itself a function of x
        >>> x.grad = None
        >>> slope.backward()
        >>> float(slope), float(x.grad)                 # 27, and its slope 6 x
        (27.0, 18.0)
        """
        if self.node is None:
            raise RuntimeError(
                "backward(): nothing to differentiate: no input of this Tensor was made with requires_grad=True, "
                "or it was computed under no_grad()"
            )
        recorded = create_graph and is_recording()
        g = _output_gradient(self, gradient, recorded)
        found = walk([(self.node, g)], retain=retain_graph or create_graph, wrap=wrap if recorded else None)
        taken = {id(g)}
        for leaf, d in found.items():
            if leaf.grad is not None:
                leaf.grad = leaf.grad + d
            elif isinstance(d, Tensor):
                leaf.grad = np.copy(d)
            else:  # an array of its own: not the upstream gradient, nor a view, nor what another leaf has already
                leaf.grad = d if d.base is None and id(d) not in taken else np.array(d)
            taken.add(id(d))

    # -- NumPy's protocols ------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
        if method != "__call__":
            raise TypeError(
                f"np.{ufunc.__name__}.{method} has no derivative rule; use the function instead "
                "(np.sum for np.add.reduce, np.max for np.maximum.reduce, tinyllm.ops.scatter_add for np.add.at)"
            )
        return call(ufunc, args, kwargs)

    def __array_function__(self, function: Callable, types: Any, args: tuple, kwargs: dict) -> Any:
        return call(function, args, kwargs)

    def __getitem__(self, index: Any) -> "Tensor":
        return apply(TABLE[getitem], (self, _plain_index(index)), {})

    def __iter__(self):
        if self.data.ndim == 0:
            raise TypeError("a Tensor without axes cannot be iterated over; use .item() for its value")
        return (self[i] for i in range(len(self.data)))

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            "a Tensor cannot be written to in place, its graph would no longer be true: use np.where, "
            "tinyllm.ops.scatter_add or np.concatenate to build a new one, or write to .data outside the graph"
        )

    __hash__ = object.__hash__

    # -- operators --------------------------------------------------------------------------------------------------

    __add__, __radd__, __iadd__ = _operators("+", np.add)
    __sub__, __rsub__, __isub__ = _operators("-", np.subtract)
    __mul__, __rmul__, __imul__ = _operators("*", np.multiply)
    __truediv__, __rtruediv__, __itruediv__ = _operators("/", np.divide)
    __pow__, __rpow__, __ipow__ = _operators("**", np.power)
    __matmul__, __rmatmul__, __imatmul__ = _operators("@", np.matmul)
    __mod__, __rmod__, __imod__ = _operators("%", np.remainder)
    __lt__, __le__, __gt__, __ge__ = map(_method, (np.less, np.less_equal, np.greater, np.greater_equal))
    __eq__, __ne__ = _method(np.equal), _method(np.not_equal)
    __floordiv__ = _method(np.floor_divide)
    __neg__, __abs__ = _method(np.negative), _method(np.absolute)

    def __rfloordiv__(self, other: Any) -> Any:
        return call(np.floor_divide, (other, self), {})

    def __pos__(self) -> "Tensor":
        return self

    # -- methods that arrays have -----------------------------------------------------------------------------------

    sum, mean, max, min = _method(np.sum), _method(np.mean), _method(np.max), _method(np.min)
    var, std, prod, trace = _method(np.var), _method(np.std), _method(np.prod), _method(np.trace)
    cumsum, cumprod, dot, clip = _method(np.cumsum), _method(np.cumprod), _method(np.dot), _method(np.clip)
    swapaxes, squeeze, ravel, copy = _method(np.swapaxes), _method(np.squeeze), _method(np.ravel), _method(np.copy)
    flatten, diagonal, repeat, take = _method(np.ravel), _method(np.diagonal), _method(np.repeat), _method(np.take)
    argmax, argmin, argsort, nonzero = _method(np.argmax), _method(np.argmin), _method(np.argsort), _method(np.nonzero)
    any, all, round, searchsorted = _method(np.any), _method(np.all), _method(np.round), _method(np.searchsorted)

    def reshape(self, *shape: Any) -> "Tensor":
        """np.reshape: reshape(2, 3) or reshape((2, 3))."""
        return call(np.reshape, (self, shape[0] if len(shape) == 1 else shape), {})

    def transpose(self, *axes: Any) -> "Tensor":
        """np.transpose: transpose(), transpose(1, 0) or transpose((1, 0))."""
        return call(np.transpose, (self, (axes[0] if len(axes) == 1 else axes) or None), {})

    def astype(self, dtype: Any) -> "Tensor":
        """The same values in another floating-point type; the gradient comes back in this one."""
        return apply(TABLE[astype], (self, np.dtype(dtype)), {})


_new = object.__new__
_SEQUENCES = (list, tuple)
_SETTINGS = (int, bool, tuple)


def wrap(value: np.ndarray, node: Node | None) -> Tensor:
    """A Tensor around an array that is ours already: no copy, no checks."""
    t = _new(Tensor)
    t._data = value
    t.node = node
    return t


def as_array(x: Any) -> np.ndarray:
    """The plain array of a Tensor or of anything array-like."""
    return x.data if isinstance(x, Tensor) else np.asarray(x)


def origin(t: Any, function: Callable) -> "Tensor | None":
    """If t was computed by `function`, the Tensor that function was given; otherwise None.

    A loss asks it for the logits under a sigmoid or softmax, where the cross-entropy is exact.
    """
    if isinstance(t, Tensor) and t.node is not None and t.node.op is TABLE[function]:
        return wrap(t.node.args[0], t.node.parents[0])
    return None


def _output_gradient(output: Tensor, gradient: Any, recorded: bool) -> Any:
    if output.dtype.kind != "f":
        raise TypeError(f"backward(): the output is {output.dtype}; only real floating-point values have gradients")
    if gradient is None:
        if output.size != 1:
            raise RuntimeError(
                f"backward(): the output has shape {output.shape}; reduce it to one number (np.sum, np.mean) "
                "or pass gradient= of that shape"
            )
        gradient = np.ones_like(output._data)
    if np.shape(gradient) != output.shape:
        raise ValueError(f"backward(): gradient has shape {np.shape(gradient)}, the output {output.shape}")
    if as_array(gradient).dtype.kind not in "biuf":
        raise TypeError(f"backward(): gradient must be real numbers; found {as_array(gradient).dtype}")
    if not recorded:
        return np.asarray(as_array(gradient), output.dtype)
    return gradient.astype(output.dtype) if isinstance(gradient, Tensor) else Tensor(gradient, dtype=output.dtype)


# -- calling and recording ------------------------------------------------------------------------------------------


def call(function: Callable, args: tuple, kwargs: dict) -> Any:
    """A function that met a Tensor: look it up, and record it or say why that cannot be done."""
    op = TABLE.get(function)
    if op is not None:
        usual = op.arity <= len(args) <= op.positional and (not kwargs or _known(op, args, kwargs))
        if not usual and op.variadic is None:
            args, kwargs = _canonical(op, function, args, kwargs)
        return apply(op, args, kwargs)
    composite = COMPOSITES.get(function)
    if composite is not None:
        _bind(composite, function.__name__, args, kwargs)
        return composite(*args, **kwargs)
    if function in FLAT:
        return function(*_plain(args), **{k: _plain(v) for k, v in kwargs.items()})
    raise TypeError(
        f"{_name(function)} has no derivative rule; rules exist for {len(TABLE) + len(COMPOSITES)} functions "
        "(tinyllm.ops.differentiable())"
    )


def apply(op: Op, args: tuple, kwargs: dict) -> Any:
    """Compute op on the arrays inside args; record it if one of them is on the graph."""
    values: list[Any] = []
    parents: list[Node | None] = []
    on_graph = False
    for a in args:
        node = None
        if isinstance(a, Tensor):
            node = a.node
            if node is not None:
                on_graph = True
            a = a._data
        elif isinstance(a, _SEQUENCES) and len(values) < op.arity:
            a = np.asarray(a)  # a rule may ask for its shape
        values.append(a)
        parents.append(node)
    try:
        y = op.function(*values, **kwargs) if kwargs else op.function(*values)  # an empty ** costs 60 ns
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        raise _explained(op, values, error) from error
    backward = None
    if op.reference is not None:
        y, backward = y
    if type(y) is not ndarray and type(y) is not tuple:
        y = np.asarray(y)
    node = Node(op, parents, values, kwargs, y, backward) if on_graph and is_recording() else None
    if type(y) is not tuple:
        return wrap(y, node)
    if node is None:
        return tuple(wrap(part, None) for part in y)
    return tuple(wrap(part, Node(PICK, (node,), (None, i), {}, part)) for i, part in enumerate(y))


def function(forward: Callable) -> Callable:
    """Make a function of arrays (one that NumPy lacks) callable on Tensors; its derivative goes into the table.

    On plain arrays it stays the plain function.
    """
    op = Op(forward, forward.__name__)

    @wraps(forward)
    def on_tensors(*args, **kwargs):
        for a in (*args, *kwargs.values()):
            if isinstance(a, Tensor):
                return call(on_tensors, args, kwargs)
        result = forward(*args, **kwargs)
        return result if op.reference is None else result[0]

    TABLE[on_tensors] = op
    return on_tensors


def composed(f: Callable) -> Callable:
    """Enter a function of ours that is put together from others into the list of what has a derivative."""
    COMPOSITES[f] = f
    return f


@function
def getitem(x, index):
    """x[index], for any index NumPy takes."""
    return x[index]


@function
def astype(x, dtype):
    """x in another floating-point dtype."""
    if not np.issubdtype(dtype, np.floating):
        raise TypeError(f"{dtype} has no gradients; use .data.astype({dtype}) to leave the graph")
    return x.astype(dtype)


def _plain(value: Any) -> Any:
    """The arrays inside Tensors, also inside lists and tuples of them."""
    if isinstance(value, Tensor):
        return value.data
    if isinstance(value, list | tuple):
        return type(value)(_plain(v) for v in value)
    return value


def _plain_index(index: Any) -> Any:
    return _plain(index) if isinstance(index, Tensor | list | tuple) else index


def _name(function: Callable) -> str:
    module = getattr(function, "__module__", None) or "numpy"
    name = getattr(function, "__name__", str(function))
    return f"{module.replace('numpy', 'np', 1)}.{name}" if module.startswith("numpy") else name


@cache
def signature(function: Callable) -> inspect.Signature:
    """What a function may be called with. Older NumPys do not tell it for np.where; then it is what its rule takes."""
    try:
        return inspect.signature(function)
    except ValueError:
        rule = next(d for d in TABLE[function].derivatives if d)
        return inspect.Signature(list(inspect.signature(rule).parameters.values())[2:])


def _bind(function: Callable, name: str, args: tuple, kwargs: dict) -> inspect.BoundArguments:
    _refuse_out(name, kwargs)
    try:
        return signature(function).bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{name}: {error}: {name}{signature(function)}") from None


def _refuse_out(name: str, given: dict) -> None:
    if given.get("out") is not None:
        raise TypeError(f"{name}: out= writes in place, which a Tensor does not allow; use the returned value")


def _known(op: Op, args: tuple, kwargs: dict) -> bool:
    """Whether this is how the rule expects it already, as in np.mean(x, axis=-1); to bind arguments takes 15 us."""
    return len(args) == op.arity and all(n in op.keywords and type(v) in _SETTINGS for n, v in kwargs.items())


def _canonical(op: Op, function: Callable, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """Arguments as the rule expects them: arrays by position, the rest by name, what NumPy defaults left out."""
    if isinstance(function, np.ufunc):
        arrays = args[: op.arity]
        given = {**kwargs, **dict(zip(["out"], args[op.arity :]))}
        _refuse_out(op.name, given)
    else:
        bound = _bind(function, op.name, args, kwargs)
        _refuse_out(op.name, bound.arguments)
        if op.reference is not None:  # a kernel takes everything by position
            bound.apply_defaults()
            return bound.args, {}
        parameters = signature(function).parameters
        arrays = tuple(bound.arguments.pop(n) for n in list(parameters)[: op.arity] if n in bound.arguments)
        given = {n: _plain(v) for n, v in bound.arguments.items() if v is not parameters[n].default}
    given = {n: v for n, v in given.items() if n in op.keywords or v is not None}
    for n in given:
        if n not in op.keywords:
            known = ", ".join(sorted(op.keywords)) or "none"
            raise TypeError(f"{op.name}: {n}= is not supported on a Tensor; supported keywords: {known}")
    if len(arrays) < op.arity:
        raise TypeError(f"{op.name}: {op.arity} arrays are needed; found {len(arrays)}")
    return arrays, given


def _explained(op: Op, values: list, error: Exception) -> Exception:
    """NumPy's error, led by the operation and the shapes that met."""
    shapes = [np.shape(v) for v in values[: op.arity] if isinstance(v, np.ndarray | np.generic | float | int)]
    if op.name == "matmul" and len(shapes) == 2:
        a, b = shapes
        if not a or not b:
            return ValueError(
                f"matmul: {a} @ {b}: a matrix product needs an axis on both sides; * multiplies by a number"
            )
        inner = b[max(-2, -len(b))]
        if a[-1] != inner:
            return ValueError(f"matmul: {a} @ {b}: inner sizes {a[-1]} and {inner} differ")
    kind = next((k for k in (ValueError, IndexError) if isinstance(error, k)), TypeError)
    return kind(f"{op.name}: shapes {', '.join(map(str, shapes))}: {' '.join(str(error).split())}")
