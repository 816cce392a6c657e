"""Every derivative, proven in one walk over the cases; and the page that tells of it.

`tinyllm gradcheck` prints this walk, docs/verification.md stores it:

    python -m tinyllm.autograd.verification            write the page
    python -m tinyllm.autograd.verification --check    exit code 1 if the page no longer tells what is
"""

import ast
import difflib
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from tinyllm.autograd import rules
from tinyllm.autograd.cases import CASES
from tinyllm.autograd.gradcheck import gradcheck
from tinyllm.autograd.gradcheck.subjects import listed, pull
from tinyllm.autograd.graph import reachable
from tinyllm.autograd.kernels import KERNELS
from tinyllm.autograd.tensor import TABLE, Tensor, as_array

__all__ = ["Row", "find", "full_name", "verify"]

TOLERANCES = {1: 1e-6, 2: 1e-5, 3: 1e-4}  # the relative error allowed at each order
EXACT = 1e-12  # a kernel against its reference, a Tensor's value against NumPy's
# Orders other than 1 to 3: where a case is piecewise linear, the third derivative is 0 as the difference of large
# numbers, and there is nothing to be relative to.
ORDERS: dict[Callable, int] = {np.linalg.det: 2, np.std: 2}


@dataclass
class Row:
    """What was found about one function."""

    function: Callable
    cases: int = 0
    errors: dict[int, float] = field(default_factory=dict)  # order -> the worst relative error
    problems: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return full_name(self.function)

    @property
    def kind(self) -> str:
        return "kernel" if self.function in KERNELS else "rule" if self.function in TABLE else "composite"

    @property
    def ok(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        errors = "".join(f"{self.errors[k]:>9.0e}" if k in self.errors else " " * 9 for k in TOLERANCES)
        line = f"{self.name:<34}{self.kind:<10}{self.cases:>5}{errors}  {'ok' if self.ok else 'WRONG'}"
        return "\n    ".join([line, *self.problems])


HEADING = f"{'function':<34}{'kind':<10}cases{''.join(f'  order {k}' for k in TOLERANCES)}"


def verify(functions: Iterable[Callable] | None = None) -> Iterator[Row]:
    """One Row per function (all that have cases, if none are named), each as soon as it is known.

    Each case is compared with differences at every order, its value with what plain arrays give, and a kernel with its
    reference.

    >>> [str(row).split()[-1] for row in verify([np.tanh])]
    ['ok']
    """
    for f in CASES if functions is None else functions:
        row = Row(f)
        for case in CASES[f]:
            with np.errstate(all="ignore"):  # a wrong derivative may overflow: that is a finding, not a warning
                errors, problem = check(*case, orders=ORDERS.get(f, 3))
            row.cases += 1
            for order, error in errors.items():
                row.errors[order] = max(error, row.errors.get(order, 0.0))
            if problem:
                row.problems.append(f"case {row.cases}: {problem}")
        yield row


def check(f: Callable, *arrays: np.ndarray, orders: int = 3) -> tuple[dict[int, float], str]:
    """The relative error of each order, and what is wrong ('' if nothing), of one case."""
    errors: dict[int, float] = {}
    try:
        for what, got, expected in witnesses(f, arrays):
            if not apart(got, expected) <= EXACT:
                return errors, f"{what}: relative difference {apart(got, expected):.1e}"
        g = f
        for order in range(1, orders + 1):
            report = gradcheck(g, *arrays, rtol=TOLERANCES[order])
            errors[order] = report.error
            if not report.ok:
                return errors, f"order {order}: {report.diagnosis}, relative error {report.error:.1e}"
            g = slope(g, arrays, order)
    except Exception as error:  # whatever a wrong derivative raises, the walk goes on and reports it
        return errors, f"{type(error).__name__}: {error}"
    return errors, ""


def slope(f: Callable, arrays: Sequence[np.ndarray], seed: int) -> Callable:
    """The gradients of sum(f * u) for a random u, as a function of the same arrays that can be differentiated again."""
    positions = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    rng = np.random.default_rng(seed)
    upstream = [rng.standard_normal(y.shape) for y in listed(f(*map(Tensor, arrays)))]
    return lambda *args: pull(f, args, positions, upstream)


def witnesses(f: Callable, arrays: Sequence[np.ndarray]) -> Iterator[tuple[str, list, list]]:
    """What must agree exactly: a kernel with its reference, f on Tensors with f on arrays."""
    leaves = [Tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    values = listed(f(*leaves))
    recorded = [y.node for y in values if isinstance(y, Tensor) and y.node is not None]
    kernels = [n for n in reachable(recorded, frozenset()) if n.op is not None and n.op.reference is not None]
    for node in kernels:
        expected = node.op.reference(*node.args, **node.kwargs)
        yield f"{node.op.name} and its reference", listed(node.value), listed(expected)
    if kernels:
        positions = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
        upstream = [np.random.default_rng(i).standard_normal(y.shape) for i, y in enumerate(values)]
        own, referred = (pull(f, args, positions, upstream) for args in (arrays, leaves))  # leaves: it is recorded
        yield "gradients of kernel and reference", list(own), list(referred)
    yield "value on Tensors and on arrays", values, listed(f(*arrays))


def apart(got: list, expected: list) -> float:
    """The largest difference, relative to the largest value; infinite where shapes differ."""
    worst = 0.0
    for a, b in zip(map(as_array, got), map(as_array, expected), strict=True):
        if a.shape != b.shape:
            return math.inf
        if a.size and not np.array_equal(a, b, equal_nan=True):
            difference = np.max(np.abs(a - b)) / max(float(np.max(np.abs(b))), 1e-300)
            worst = max(worst, float(difference) if difference >= 0 else math.inf)
    return worst


def full_name(f: Callable) -> str:
    """np.tanh, np.linalg.inv, softmax: what one writes to call it."""
    module = getattr(f, "__module__", None) or "numpy"  # a ufunc has none
    return f"{module.replace('numpy', 'np', 1)}.{f.__name__}" if module.split(".")[0] == "numpy" else f.__name__


def find(names: Iterable[str]) -> list[Callable]:
    """The functions with these names, with or without what stands before the dot. ValueError names near ones.

    >>> find(["np.tanh", "inv"]) == [np.tanh, np.linalg.inv]
    True
    """
    found: list[Callable] = []
    for name in names:
        bare = name.removeprefix("np.")
        alias = getattr(np, bare, None)  # np.abs is np.absolute
        same = [f for f in CASES if name in (full_name(f), f.__name__) or full_name(f) == f"np.{bare}" or f is alias]
        if not same:
            known = {f.__name__: full_name(f) for f in CASES}
            near = [known[n] for n in difflib.get_close_matches(name.rpartition(".")[2], known, n=4, cutoff=0.5)]
            hint = f"near ones: {', '.join(near)}" if near else "see tinyllm.ops.differentiable()"
            raise ValueError(f"unknown function {name!r}; {hint}")
        found += [f for f in same if f not in found]
    return found


# -- the page -------------------------------------------------------------------------------------------------------

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "verification.md"
MARK = "<!-- from here on written by: python -m tinyllm.autograd.verification -->\n"
COLUMNS = ("function", "its derivative", "orders", "cases", "errors below", "PyTorch", "mutants", "at a corner")
ERRORS = COLUMNS.index("errors below")
FLOOR = -9  # errors below 1e-9 are rounding, and another machine rounds otherwise


def page(rows: Iterable[Row], stored: str) -> str:
    """The page: the stored one's prose, and the table anew. A stored error bound stays where it is still true."""
    prose, _, old = stored.partition(MARK)
    bounds = {cells[0]: cells[ERRORS] for cells in map(_cells, old.splitlines()) if len(cells) == len(COLUMNS)}
    mutants = json.loads((ROOT / "tests" / "mutants.json").read_text(encoding="utf-8"))
    golden = json.loads((ROOT / "tests" / "golden" / "autograd.json").read_text(encoding="utf-8"))
    text, corners = _rule_texts(), _corners()
    lines = [prose + MARK, *_totals(mutants), "", _line(COLUMNS), _line(["---"] * len(COLUMNS))]
    for row in rows:
        label = f"`{row.name}`"
        if row.kind == "kernel":
            derivative = f"kernel, reference `{KERNELS[row.function].__name__}`"
        else:
            derivative = text.get(row.function, "composite")
        vectors = golden.get(row.name)
        lines.append(
            _line(
                [
                    label,
                    derivative,
                    ", ".join(map(str, row.errors)),
                    str(row.cases),
                    _bounds(list(row.errors.values()), bounds.get(label, "")) if row.ok else "WRONG",
                    str(len(vectors)) if isinstance(vectors, list | dict) else "",
                    _mutants(mutants["owners"], row.name),
                    "; ".join(corners.get(row.function, [])),
                ]
            )
        )
    functions = {full_name(f) for f in CASES}
    helpers = sorted({key.split()[1] for key in mutants["owners"]} - functions)
    lines += ["", "What the table is written with:", "", _line(["helper", "mutants"]), _line(["---"] * 2)]
    lines += [_line([f"`{name}`", _mutants(mutants["owners"], name)]) for name in helpers]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _bounds(errors: list[float], stored: str) -> str:
    """A power of ten above each error, with room for another machine's rounding; or the stored ones if they hold."""
    exponents = [max(FLOOR, math.ceil(math.log10(3 * e))) if e else FLOOR for e in errors]
    kept = (
        [int(bound.removeprefix("1e")) for bound in stored.split(", ")]
        if re.fullmatch(r"(1e-\d(, )?)+", stored)
        else []
    )
    if len(kept) == len(errors) and all(e < 10.0**k and k <= new + 1 for e, k, new in zip(errors, kept, exponents)):
        exponents = kept
    return ", ".join(f"1e{k}" for k in exponents)


def _rule_texts() -> dict[Callable, str]:
    """Each rule's derivatives, as they stand in rules.py."""
    source = Path(rules.__file__).read_text(encoding="utf-8")
    texts = {}
    for statement in ast.parse(source).body:
        match statement:
            case ast.Expr(ast.Call(ast.Call(ast.Name("rule"), [function]), derivatives, keywords)):
                parts = [_text(source, d) for d in [*derivatives, *[k.value for k in keywords]]]
                first, *rest = ast.unparse(function).split(".")
                texts[reduce(getattr, rest, vars(rules)[first])] = "; ".join(f"`{p}`" for p in parts if p)
    return texts


def _text(source: str, derivative: ast.expr) -> str:
    while isinstance(derivative, ast.Lambda):
        derivative = derivative.body
    return "" if isinstance(derivative, ast.Constant) else ast.get_source_segment(source, derivative) or ""


def _corners() -> dict[Callable, list[str]]:
    """The conventions of docs/conventions.md, by function."""
    symbols = {"**": np.power, "%": np.remainder}
    found: dict[Callable, list[str]] = {}
    for line in (ROOT / "docs" / "conventions.md").read_text(encoding="utf-8").splitlines():
        cells = _cells(line)
        if len(cells) < 3 or not (said := re.match(r"`(.*?)`,? *(.*)", cells[0])):
            continue
        call = re.match(r"(?:np\.)?([\w.]+)\(", said[1])
        name = call[1] if call else None
        functions = (
            [f for s, f in symbols.items() if f" {s} " in said[1]]
            if name is None
            else [f for f in CASES if full_name(f) in (f"np.{name}", name) or getattr(np, name, None) is f]
        )
        for f in functions:
            found.setdefault(f, []).append(f"{said[2]}: {cells[1]}")
    return found


def _mutants(owners: dict[str, dict[str, int]], name: str) -> str:
    """How many of a function's mutants some proof noticed, of how many there are."""
    counts = [c for key, c in owners.items() if key.split()[1] == name]
    made, unnoticed = sum(sum(c.values()) for c in counts), sum(c.get("survived", 0) for c in counts)
    same = sum(c.get("equivalent", 0) for c in counts)
    noticed = f"{made - same - unnoticed} of {made}" if made else ""
    return noticed + (f", {same} the same" if same else "") + (f", {unnoticed} unnoticed" if unnoticed else "")


def _totals(mutants: dict[str, Any]) -> list[str]:
    total = mutants["total"]
    made, same, unnoticed = sum(total.values()), total.get("equivalent", 0), total.get("survived", 0)
    return [
        f"Mutants: {made} made; {made - same - unnoticed} noticed, {total.get('case', 0)} of them by the cases of the "
        f"table below and {total.get('test', 0) + total.get('hang', 0)} by other tests; {same} compute the same, for "
        f"the reasons in `tests/mutants_equivalent.txt`; {unnoticed} unnoticed."
    ]


def main(arguments: Sequence[str]) -> int:
    """Write the page, or, with --check, say whether it still tells what is."""
    stored = PAGE.read_text(encoding="utf-8")
    new = page(verify(), stored)
    if "--check" not in arguments:
        PAGE.write_text(new, encoding="utf-8")
        return 0
    changed = [line for line in difflib.ndiff(stored.splitlines(), new.splitlines()) if line[0] in "+-"]
    print("\n".join([*changed, f"{PAGE.name}: {'write it anew' if changed else 'tells what is'}"]))
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
