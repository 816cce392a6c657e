"""Mutation testing of the derivatives: small changes to the code, each of which some test must notice.

    python -m tests.mutants            all of them (some minutes); writes tests/mutants.json
    python -m tests.mutants np.tanh    those of one function (or helper), printed

A mutant is one change inside one function or one line of the table (OPERATORS below). It lives in a forked process,
where the proofs that execute its line run against it, fastest first: the cases of `tinyllm gradcheck`, then the tests
in tests/autograd and tests/test_ops.py. A mutant that no proof notices must stand in tests/mutants_equivalent.txt,
with the reason why it computes the same derivative; otherwise the exit code is 1.
"""

import ast
import copy
import doctest
import importlib
import inspect
import itertools
import json
import os
import resource
import signal
import sys
import time
import warnings
from collections import Counter, defaultdict
from pathlib import Path

import mpmath

from tinyllm.autograd import (
    branch_kernels,
    functions,
    kernels,
    recurrence,
    recurrent_kernels,
    rules,
    transformer_kernels,
)
from tinyllm.autograd.cases import CASES
from tinyllm.autograd.verification import check, full_name

HERE = Path(__file__).parent
MODULES = {
    "rules": rules,
    "functions": functions,
    "kernels": kernels,
    "branch_kernels": branch_kernels,
    "recurrence": recurrence,
    "recurrent_kernels": recurrent_kernels,
    "transformer_kernels": transformer_kernels,
}
# Swapping the arguments of these changes nothing.
SYMMETRIC = {"equal", "same", "hypot", "radius", "maximum", "minimum", "max", "min", "broadcast_shapes"}
JOBS = os.cpu_count() or 1
# How entries are made and what is said of wrong arguments: no derivative depends on it.
MACHINERY = {"rule", "composite", "flat", "differentiable", "_only_default", "kernel", "references"}

# -- what is changed ------------------------------------------------------------------------------------------------

OPERATORS: dict[type, list[type]] = {
    ast.Add: [ast.Sub], ast.Sub: [ast.Add], ast.Mult: [ast.Div], ast.Div: [ast.Mult], ast.Pow: [ast.Mult],
    ast.FloorDiv: [ast.Mult], ast.Mod: [ast.Mult], ast.BitAnd: [ast.BitOr], ast.BitOr: [ast.BitAnd],
    ast.And: [ast.Or], ast.Or: [ast.And], ast.Eq: [ast.NotEq], ast.NotEq: [ast.Eq], ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is], ast.In: [ast.NotIn], ast.NotIn: [ast.In], ast.Lt: [ast.LtE, ast.Gt],
    ast.LtE: [ast.Lt, ast.GtE], ast.Gt: [ast.GtE, ast.Lt], ast.GtE: [ast.Gt, ast.LtE],
}  # fmt: skip
NAMES = {
    "sin": "cos", "cos": "sin", "sinh": "cosh", "cosh": "sinh", "exp": "expm1", "exp2": "exp", "tril": "triu",
    "triu": "tril", "max": "min", "min": "max", "maximum": "minimum", "minimum": "maximum", "greater": "greater_equal",
    "greater_equal": "greater", "less": "less_equal", "less_equal": "less", "equal": "not_equal", "sum": "mean",
    "log1p": "log", "sigmoid": "softplus", "floor_divide": "remainder",
}  # fmt: skip


def replacements(node):
    """The other nodes that may stand in this one's place."""
    if isinstance(node, ast.operator | ast.cmpop | ast.boolop):
        yield from (other() for other in OPERATORS.get(type(node), []))
    elif isinstance(node, ast.BinOp):
        yield from (node.left, node.right)
        if not isinstance(node.op, ast.Add | ast.Mult | ast.BitAnd | ast.BitOr):
            yield ast.BinOp(node.right, node.op, node.left)
    elif isinstance(node, ast.BoolOp):
        yield from node.values
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    elif isinstance(node, ast.Compare) and len(node.ops) > 1:
        yield ast.Compare(node.left, node.ops[:1], node.comparators[:1])
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield ast.Constant(not node.value)
        elif isinstance(node.value, int | float):
            yield from (ast.Constant(node.value + 1), ast.Constant(node.value - 1))
    elif isinstance(node, ast.Call):
        if node.args and not isinstance(node.args[0], ast.Starred):
            yield node.args[0]  # swap(m) -> m
        if isinstance(node.func, ast.Attribute) and not (
            isinstance(node.func.value, ast.Name) and node.func.value.id == "np"
        ):
            yield node.func.value  # x.astype(t) -> x
        pairs = itertools.pairwise(range(len(node.args)))
        for i, j in [] if ast.unparse(node.func).removeprefix("np.") in SYMMETRIC else pairs:
            yield ast.Call(node.func, [*node.args[:i], node.args[j], node.args[i], *node.args[j + 1 :]], node.keywords)
        for k in range(len(node.keywords)):
            yield ast.Call(node.func, node.args, node.keywords[:k] + node.keywords[k + 1 :])
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield ast.Attribute(node.value, NAMES[node.attr], node.ctx)
    elif isinstance(node, ast.Name) and node.id in NAMES:
        yield ast.Name(NAMES[node.id], node.ctx)
    elif isinstance(node, ast.Lambda):
        yield ast.Lambda(node.args, ast.UnaryOp(ast.USub(), node.body))
        names = [a.arg for a in node.args.args]
        for old in {n.id for n in ast.walk(node.body) if isinstance(n, ast.Name)} & set(names):
            for new in set(names[:4]) - {old}:  # g, y and the first arguments
                yield ast.Lambda(node.args, _Rename(old, new).visit(copy.deepcopy(node.body)))
    elif isinstance(node, ast.Slice):
        if node.lower:
            yield ast.Slice(None, node.upper, node.step)
        if node.upper:
            yield ast.Slice(node.lower, None, node.step)
    elif isinstance(node, ast.AugAssign | ast.Expr) and not isinstance(
        getattr(node, "value", None), ast.Constant | ast.Yield
    ):
        yield ast.Pass()
    elif isinstance(node, ast.If | ast.While):
        yield type(node)(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)


class _Rename(ast.NodeTransformer):
    def __init__(self, old, new):
        self.old, self.new = old, new

    def visit_Name(self, node):
        return ast.Name(self.new, node.ctx) if node.id == self.old else node


def skipped(node):
    """What no derivative depends on: errors, their conditions, annotations, defaults of named functions."""
    if isinstance(node, ast.If):
        return isinstance(node.body[-1], ast.Raise)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return getattr(node.value.func, "id", "") == "_only_default"
    return isinstance(node, ast.Raise | ast.JoinedStr | ast.arguments)


def places(node, inside_rule):
    """Every (parent, field, index or None, child) below a node."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "ctx"):
            continue
        for i, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.Call) and getattr(child.func, "id", "") == "rule":
                continue  # which function it is
            if isinstance(child, ast.AST) and (
                not skipped(child) or (inside_rule and isinstance(child, ast.arguments))
            ):
                yield node, name, i, child
                yield from places(child, inside_rule)


def owner(statement):
    """The function that a statement of a module is about: "np.tanh" for its rule, "spread" for a helper; or None."""
    if isinstance(statement, ast.FunctionDef) and statement.name not in MACHINERY:
        made = [
            d for d in statement.decorator_list if isinstance(d, ast.Call) and getattr(d.func, "id", "") == "composite"
        ]
        return ast.unparse(made[0].args[0]) if made else statement.name
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        inner = statement.value.func
        if isinstance(inner, ast.Call) and getattr(inner.func, "id", "") == "rule":
            return ast.unparse(inner.args[0])
    return None


def mutants(only=()):
    """(file, owner, "before -> after", line, first and last line of the statement, the changed statement)."""
    for file, module in MODULES.items():
        for statement in ast.parse(inspect.getsource(module)).body:
            name = owner(statement)
            if name is None or (only and name not in only):
                continue
            is_rule = isinstance(statement, ast.Expr)
            original, seen = ast.dump(statement), Counter()
            for parent, field, i, child in list(places(statement.value if is_rule else statement, is_rule)):
                for other in replacements(child):
                    before = getattr(parent, field)
                    value = [*before[:i], other, *before[i + 1 :]] if i is not None else other
                    context = parent if isinstance(child, ast.operator | ast.cmpop | ast.boolop) else child
                    line = getattr(child, "lineno", getattr(parent, "lineno", statement.lineno))
                    old = ast.unparse(context)
                    setattr(parent, field, value)
                    changed = ast.fix_missing_locations(copy.deepcopy(statement))
                    new = ast.unparse(context if context is parent else other)
                    setattr(parent, field, before)
                    if ast.dump(changed) != original:
                        text = " ".join(f"{old} -> {new}".split())
                        seen[text] += 1
                        text += f" (#{seen[text]})" if seen[text] > 1 else ""
                        yield file, name, text, line, range(statement.lineno, statement.end_lineno + 1), changed


def put(file, statement):
    """Let the changed statement take the place of the original, for everyone who holds the function already."""
    module = MODULES[file]
    if isinstance(statement, ast.Expr):
        exec(compile(ast.Module([statement], []), module.__file__, "exec"), module.__dict__)
        return
    statement.decorator_list = []
    scope = dict(module.__dict__)
    exec(compile(ast.Module([statement], []), module.__file__, "exec"), scope)
    inspect.unwrap(module.__dict__[statement.name]).__code__ = scope[statement.name].__code__


# -- who must notice ------------------------------------------------------------------------------------------------


def proofs():
    """(kind, name, function without arguments): the cases first, then every test that needs no fixture."""
    for f, cases in CASES.items():
        for i, case in enumerate(cases):
            yield "case", f"{full_name(f)} {i}", lambda case=case: _must(check(*case, orders=2)[1])
    for module in MODULES.values():
        for example in doctest.DocTestFinder().find(module):
            yield "test", example.name, lambda example=example: _must(doctest.DocTestRunner().run(example).failed)
    files = [*sorted((HERE / "autograd").glob("test_*.py")), HERE / "test_ops.py"]
    for path in files:
        name = ".".join(["tests", *path.relative_to(HERE).with_suffix("").parts])
        if path.stem in ("test_verification", "test_graph", "test_gradcheck", "test_torch", "test_stateful"):
            continue
        module = importlib.import_module(name)
        for test in [t for n, t in vars(module).items() if n.startswith("test_")]:
            marks = list(getattr(test, "pytestmark", []))
            if any(m.name != "parametrize" for m in marks):
                continue
            given = [_arguments(m) for m in marks]
            wanted = set(inspect.signature(test).parameters) if not hasattr(test, "hypothesis") else set()
            for choice in itertools.product(*given):
                arguments = {k: v for part in choice for k, v in part.items()}
                if wanted <= set(arguments):
                    label = f"{path.stem}.{test.__name__}"
                    yield "test", label, lambda test=test, arguments=arguments: test(**arguments)


def _must(problem):
    assert not problem, problem


def _arguments(mark):
    names = [n.strip() for n in mark.args[0].split(",")] if isinstance(mark.args[0], str) else list(mark.args[0])
    for values in mark.args[1]:
        named = type(values).__name__ == "ParameterSet"  # pytest.param(...)
        yield dict(zip(names, values.values if named else values if len(names) > 1 else [values]))


def traced(run, watched):
    """The (file, line) pairs that a proof executes, and its seconds."""
    lines = set()

    def tracer(frame, event, _):
        file = watched.get(frame.f_code.co_filename)
        if file is None:
            return None
        lines.add((file, frame.f_lineno))
        return tracer

    start = time.perf_counter()
    sys.settrace(tracer)
    try:
        run()
    finally:
        sys.settrace(None)
    return lines, time.perf_counter() - start


def survives(file, changed, chosen):
    """None if every proof passes against the mutant, else the kind of the first one that does not."""
    return verdict(os.waitpid(begin(file, changed, chosen), 0)[1])


def verdict(status):
    return [None, "case", "test", "hang"][min(os.waitstatus_to_exitcode(status) % 256, 3)]


def begin(file, changed, chosen):
    """The id of a process in which the proofs run against the mutant."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, lambda *_: os._exit(3))
        kind = "case"
        try:
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, 1)
            os.dup2(devnull, 2)
            resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
            put(file, changed)
            for kind, seconds, run in chosen:  # noqa: B007  (asked for when one fails)
                signal.setitimer(signal.ITIMER_REAL, 3 + 20 * seconds)  # longer than that: it hangs, which is noticed
                run()
        except BaseException:
            os._exit(1 if kind == "case" else 2)
        os._exit(0)
    return pid


def equivalents():
    """{(file, owner, change): reason} from tests/mutants_equivalent.txt: lines under the reason that holds for them."""
    found, reason = {}, ""
    for line in (HERE / "mutants_equivalent.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            reason = line[2:]
        elif line.strip():
            file, name, change = line.strip().split(" | ", 2)
            found[file, name, change] = reason
    return found


def main(only=()):
    """Try them all, or those of some functions; 1 if one survives without a reason."""
    warnings.simplefilter("error")
    mpmath.mp.dps = 400  # as tests/test_ops.py wants it
    watched = {module.__file__: file for file, module in MODULES.items()}
    everything = []
    for kind, label, run in proofs():
        try:
            lines, seconds = traced(run, watched)
        except BaseException as error:
            print(f"left out, fails here by itself: {label}: {type(error).__name__}: {str(error)[:100]}")
            continue
        everything.append((kind, seconds, run, lines))
    everything.sort(key=lambda p: (p[0], p[1]))
    print(f"{len(everything)} proofs, {sum(p[1] for p in everything):.0f} s", flush=True)
    known, start = equivalents(), time.perf_counter()
    counts = defaultdict(Counter)
    survivors, unused, running = [], set(known), {}

    def reap():
        pid, status = os.wait()
        mutant, line = running.pop(pid)
        end = verdict(status)
        if end is None and mutant in known:
            end = "equivalent"
            unused.discard(mutant)
        elif end is None:
            survivors.append(" | ".join(mutant))
            print(f"  survives: {survivors[-1]}   line {line}", flush=True)
        counts[mutant[:2]][end or "survived"] += 1

    for n, (file, name, change, line, whole, changed) in enumerate(mutants(only)):
        hit = [(k, s, run) for k, s, run, lines in everything if (file, line) in lines]
        if not hit:  # a line in the middle of a longer expression
            hit = [(k, s, run) for k, s, run, lines in everything if any((file, at) in lines for at in whole)]
        if len(running) >= JOBS:
            reap()
        running[begin(file, changed, hit)] = (file, name, change), line
        if n % 200 == 199:
            print(f"{n + 1} mutants, {time.perf_counter() - start:.0f} s", flush=True)
    while running:
        reap()
    total = sum(counts.values(), Counter())
    print(f"{total.total()} mutants in {time.perf_counter() - start:.0f} s: {dict(total)}")
    if not only:
        files = {f: dict(sum((c for (g, _), c in counts.items() if g == f), Counter())) for f in MODULES}
        owners = {f"{f} {name}": dict(c) for (f, name), c in sorted(counts.items())}
        found = {"total": dict(total), "files": files, "owners": owners, "survivors": sorted(survivors)}
        text = json.dumps(found, indent=1, sort_keys=True)
        (HERE / "mutants.json").write_text(text + "\n", encoding="utf-8")
        for old in sorted(unused):
            print("no longer made, or noticed now:", " | ".join(old))
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(set(sys.argv[1:])))
