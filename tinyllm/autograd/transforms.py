"""Derivatives as functions of functions, under JAX's names: grad(f) is again a function, so it can be differentiated.

Each transform calls f on fresh variables in place of the arguments it differentiates, and walks the graph back to
these variables and to nothing else: weights that f happens to use keep their `.grad`, and an inner transform takes
whatever belongs to an outer one as a constant. Its result is still a function of that constant, so it is recorded.
A result is an array for an array and a Tensor for a Tensor, and always a Tensor where an outer variable is in it.
More, with examples: docs/transforms.md.
"""

from collections.abc import Callable, Iterable, Sequence
from operator import index
from typing import Any

import numpy as np

from tinyllm.autograd.graph import Node, Op, is_recording, recording, walk
from tinyllm.autograd.tensor import Tensor, as_array, wrap

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]

VARIABLE = Op(lambda x: x, "variable")  # stands for an argument during one call; below it, the argument's own graph
VARIABLE.derivatives = (lambda g, y, x: g,)
_open: set[Node] = set()  # the variables of the transforms whose function is running now


def grad(f: Callable, argnums: int | Sequence[int] = 0) -> Callable:
    """The gradient of f as a function: grad(f)(x)[i] = df(x) / dx[i], with the shape and dtype of x.

    f returns one number, shape (). argnums says which arguments to differentiate: a number gives one gradient, a tuple
    a tuple of them; other arguments may be anything. Raises TypeError when a differentiated argument is not floating
    point, ValueError when f returns more than one number or is called without that argument.

    >>> grad(np.tanh)(0.0), grad(grad(grad(np.tanh)))(0.0)
    (array(1.), array(-2.))
    """
    both = value_and_grad(f, argnums)
    return lambda *args, **kwargs: both(*args, **kwargs)[1]


def value_and_grad(f: Callable, argnums: int | Sequence[int] = 0) -> Callable:
    """f(x) and the gradient of f at x together, for the price of the gradient. Shapes, dtypes and errors as for `grad`.

    >>> value_and_grad(lambda w, x: np.sum(w * x))(np.array([1.0, 2.0]), 3)
    (array(9.), array([3., 3.]))
    """

    def transformed(*args: Any, **kwargs: Any) -> tuple:
        y, carry = _vjp("grad", f, args, _places("grad", argnums, len(args)), kwargs)
        if isinstance(y, tuple) or y.shape != ():
            found = f"a tuple of {len(y)}" if isinstance(y, tuple) else f"shape {y.shape}"
            raise ValueError(
                f"grad: f must return one number, shape (); found {found}: reduce it (np.sum, np.mean), or use vjp "
                "for a weighted sum of the gradients, jacobian for all of them"
            )
        gradients = carry([np.ones((), y.dtype)])
        return y, gradients if np.ndim(argnums) else gradients[0]

    return transformed


def vjp(f: Callable, *primals: Any) -> tuple[Any, Callable]:
    """y = f(*primals), and pull: pull(v) = v J, a tuple with sum_i v[i] dy[i] / dx for each primal x.

    v has the shape of y, and is a tuple where f returns one; pull may be called again and again, f ran once. Raises
    TypeError when a primal is not floating point (then vjp(lambda x: f(x, ids), x)), ValueError when v does not fit y.

    >>> y, pull = vjp(lambda x: x * x, np.array([1.0, 2.0]))
    >>> y, pull(np.array([1.0, 10.0]))
    (array([1., 4.]), (array([ 2., 40.]),))
    """
    y, carry = _vjp("vjp", f, primals, range(len(primals)))
    return y, lambda v: carry(_fitting("vjp", v if isinstance(y, tuple) else (v,), _several(y), "output"))


def jvp(f: Callable, primals: Any, tangents: Any) -> tuple[Any, Any]:
    """y = f(*primals) and dy = J v: how y changes as the primals move along the tangents, sum_j dy / dx[j] v[j].

    primals and tangents agree in shape: a tuple each, or an array each for a function of one argument; dy has the shape
    of y. pull(v) = v J is linear in v, so its own vjp, at any v, is J (J. Townsend 2017, "A new trick for calculating
    Jacobian vector products"). Raises TypeError when a primal is not floating point, ValueError when shapes differ.

    >>> jvp(lambda x: x * x, np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    (array([1., 4.]), array([ 2., 40.]))
    """
    primals = _several(primals)
    v = _fitting("jvp", _several(tangents), primals, "primal")
    if any(isinstance(x, Tensor) for x in primals):
        v = [_tensor(d) for d in v]
    y, carry = _vjp("jvp", f, primals, range(len(primals)))
    anywhere = [np.zeros(np.shape(o), np.result_type(as_array(o), np.float16)) for o in _several(y)]
    dy = _vjp("jvp", lambda *g: carry(g), anywhere, range(len(anywhere)))[1](v)
    return y, dy if isinstance(y, tuple) else dy[0]


def jacobian(f: Callable, argnums: int | Sequence[int] = 0) -> Callable:
    """The matrix of all first derivatives as a function: jacobian(f)(x)[i, j] = df(x)[i] / dx[j].

    Its shape is that of f(x), then that of x; tuples stay tuples, outputs outside, argnums inside. It costs a backward
    walk for each number in f(x). Raises TypeError and ValueError as `grad` does, but f may return any shape.

    >>> jacobian(np.cumsum)(np.ones(2)).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """

    def transformed(*args: Any, **kwargs: Any) -> Any:
        y, carry = _vjp("jacobian", f, args, _places("jacobian", argnums, len(args)), kwargs)
        result: list[Any] = []
        for k, o in enumerate(_several(y)):
            basis = np.eye(max(1, o.size), o.size, dtype=o.dtype)  # one row at least: it tells the shapes
            rows = [carry([None] * k + [e.reshape(o.shape)]) for e in basis]
            blocks = tuple(np.stack(d)[: o.size].reshape(o.shape + d[0].shape) for d in zip(*rows))
            result.append(blocks if np.ndim(argnums) else blocks[0])
        return tuple(result) if isinstance(y, tuple) else result[0]

    return transformed


def hessian(f: Callable, argnums: int | Sequence[int] = 0) -> Callable:
    """The matrix of all second derivatives as a function: hessian(f)(x)[i, j] = d2 f(x) / dx[i] dx[j].

    Its shape is that of x twice; for a tuple of argnums, hessian(f)(x, y)[a][b] has the mixed derivatives. It is
    jacobian(grad(f)), and raises what they do.

    >>> hessian(lambda x: x[0] * x[1] ** 2)(np.array([1.0, 3.0])).tolist()
    [[0.0, 6.0], [6.0, 2.0]]
    """
    return jacobian(grad(f, argnums), argnums)


def hvp(f: Callable, primals: Any, tangents: Any) -> Any:
    """The Hessian of f times a vector, H v = d(grad f(x) . v) / dx, without the matrix (B. Pearlmutter 1994).

    primals and tangents agree in shape: a tuple each, or an array each for a function of one argument. The result has
    the shape of the primal, and is a tuple if there are several. Raises as `grad` and `jvp` do.

    >>> hvp(lambda x: x[0] * x[1] ** 2, np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    array([6., 8.])
    """
    primals = _several(primals)
    v = _fitting("hvp", _several(tangents), primals, "primal")
    product = _vjp("hvp", grad(f, range(len(primals))), primals, range(len(primals)))[1](v)
    return product if len(primals) > 1 else product[0]


def _vjp(name: str, f: Callable, args: Sequence, places: Sequence[int], kwargs: Any = {}) -> tuple:  # noqa: B006
    """f's value, and carry(gs): from one gradient for each output (None: zero) to one for each argument in places."""
    inside = list(args)
    for i in places:
        inside[i] = _variable(name, args[i], i)
    sinks = {inside[i].node: isinstance(args[i], Tensor) for i in places}
    _open.update(sinks)
    try:
        with recording(True):
            y = f(*inside, **kwargs)
    finally:
        _open.difference_update(sinks)
    outputs = [_tensor(o) for o in _several(y)]
    for o in outputs:
        if o.dtype.kind not in "biuf":
            raise TypeError(f"{name}: f must return real numbers, or a tuple of arrays of them; found {o.data!r:.60}")

    def carry(gs: Iterable) -> tuple:
        tensors = any(isinstance(g, Tensor) for g in gs)
        roots = [(o.node, g) for o, g in zip(outputs, gs) if o.node is not None and g is not None]
        ends = [node for node, _ in roots] + [g.node for _, g in roots if isinstance(g, Tensor)]
        record = is_recording() and _leads_on(ends, tensors or any(sinks.values()))
        given = [(node, _tensor(g) if record else as_array(g)) for node, g in roots]
        found = walk(given, frozenset(sinks), retain=True, wrap=wrap if record else None)
        return tuple(_result(found.get(x, np.zeros_like(x.value)), tensors or tensor) for x, tensor in sinks.items())

    values = tuple(_result(o, any(sinks.values())) for o in outputs)
    return values if isinstance(y, tuple | list) else values[0], carry


def _variable(name: str, x: Any, i: int) -> Tensor:
    value = x.data if isinstance(x, Tensor) else np.array(x)
    if value.dtype.kind != "f":
        raise TypeError(
            f"{name}: argument {i} is {value.dtype}; only floating-point arguments can be differentiated: "
            "write 2.0 for 2, x.astype(float) for an array, or leave this argument out"
        )
    below = x.node if isinstance(x, Tensor) and is_recording() else None
    return wrap(value, Node(VARIABLE, (below,), (value,), {}, value))


def _result(d: Any, as_tensor: bool) -> Any:
    """A result for the caller: on the graph only where that leads on, and in memory of its own."""
    if isinstance(d, Tensor) and is_recording() and _leads_on([d.node], as_tensor):
        return np.copy(d)
    own = np.array(as_array(d))
    return wrap(own, None) if as_tensor else own


def _leads_on(ends: list[Node | None], to_leaves: bool) -> bool:
    """Whether a variable of an enclosing transform lies below these nodes (or, if asked, a leaf that someone made)."""
    stack = [node for node in ends if node is not None and (to_leaves or _open)]
    seen = set(stack)
    while stack:
        node = stack.pop()
        if node in _open or (to_leaves and node.op is None):
            return True
        new = {p for p in node.parents if p is not None and p not in seen}
        seen |= new
        stack += new
    return False


def _tensor(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else wrap(np.asarray(x), None)


def _several(x: Any) -> tuple:
    return tuple(x) if isinstance(x, tuple | list) else (x,)


def _fitting(name: str, given: Any, wanted: tuple, what: str) -> list:
    """One array for each of `wanted`, of its shape and dtype."""
    given = [v if isinstance(v, Tensor) else np.array(v) for v in _several(given)]
    if [v.shape for v in given] != [np.shape(x) for x in wanted] or any(v.dtype.kind not in "biuf" for v in given):
        found = ", ".join(f"{v.dtype} {v.shape}" for v in given)
        shapes = ", ".join(str(np.shape(x)) for x in wanted)
        raise ValueError(f"{name}: real numbers are needed for each {what}, of its shape, {shapes}; found {found}")
    dtypes = [as_array(x).dtype for x in wanted]
    return [v if v.dtype == dtype or dtype.kind != "f" else v.astype(dtype) for v, dtype in zip(given, dtypes)]


def _places(name: str, argnums: int | Sequence[int], n: int) -> list[int]:
    try:
        places = [index(i) for i in (argnums if isinstance(argnums, Iterable) else [argnums])]
    except TypeError:
        raise TypeError(f"{name}: argnums is an integer or a tuple of integers; found {argnums!r}") from None
    if not places or len({i % max(n, 1) for i in places}) < len(places) or any(not -n <= i < n for i in places):
        raise ValueError(
            f"{name}: argnums={argnums} for {n} positional arguments: name arguments by their places, 0 to {n - 1}, "
            "each once, at least one"
        )
    return [i % n for i in places]
