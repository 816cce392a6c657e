"""`tinyllm gradcheck`: a function of one's own, a layer, a saved model, or the library's functions by their names."""

import argparse
import contextlib
import functools
import html
import io
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinyllm.cli import targets
from tinyllm.cli.inputs import input_
from tinyllm.cli.theirs import Theirs

__all__ = ["EPILOG", "USAGE", "add_options"]

USAGE = """tinyllm gradcheck NAME [NAME ...] | --all
       tinyllm gradcheck MODULE:FUNCTION --shapes SHAPE [SHAPE ...] [options]
       tinyllm gradcheck --layer NAME [--units 8 ...] [options]
       tinyllm gradcheck --model DIR [--data FILE.npz] [options]"""
EPILOG = """shapes:
  3,4          a matrix of normal random numbers, 3 rows and 4 columns
  3            a vector; so is 3,
  ''  or ()    one number
  2,5:int10    whole numbers 0 to 9, such as token ids; they are passed on, not differentiated

examples:
  tinyllm gradcheck my.py:loss --shapes 3,4 4,5
  tinyllm gradcheck my.py:loss --gradient loss_gradient --shapes 3,4 4,5 --plot errors.png
  tinyllm gradcheck numpy:log --positive --shapes 3,4 --order 2
  tinyllm gradcheck --layer LSTM --units 8 --return_sequences true
  tinyllm gradcheck --layer Bidirectional GRU --units 8 --merge_mode sum
  tinyllm gradcheck --model tour/language_model --json

exit code: 0 if every gradient is right, 1 if not or if something failed, 2 for a wrong command line"""

PASSED_ON = ("order", "method", "elements", "rtol")  # to tinyllm.gradcheck
INPUTS = ("shapes", "positive", "low", "high", "seed")
OUTPUTS = ("json", "html", "plot")
# What goes with each kind of target.
FITTING = {
    "table": (),
    "function": (*INPUTS, *PASSED_ON, *OUTPUTS, "gradient"),
    "layer": (*INPUTS, *PASSED_ON, *OUTPUTS),
    "model": (*INPUTS, *PASSED_ON, *OUTPUTS, "data"),
}
PICTURES = (".png", ".svg", ".pdf")


def add_options(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> None:
    """The options of the command; after --layer NAME, which is looked for in `arguments`, those of the layer, too."""
    add = parser.add_argument
    add("names", metavar="NAME", nargs="*", help="np.tanh, softmax, ...; or one function of yours: my.py:loss")
    add("--all", action="store_true", help="every function of the library that has a derivative, to order 3")
    add("--layer", metavar="NAME", nargs="+", help="a layer, then its arguments (listed by: --layer NAME --help)")
    add("--model", metavar="DIR", help="a folder or .h5 file that model.save() wrote")
    group = parser.add_argument_group("inputs")
    add = group.add_argument
    add("--shapes", metavar="SHAPE", nargs="+", type=input_, help="one for each argument, for example 3,4 4,5")
    add("--positive", action="store_true", default=None, help="draw positive numbers (for log, sqrt)")
    add("--low", type=_number, metavar="A", help="draw numbers above A")
    add("--high", type=_number, metavar="B", help="draw numbers below B")
    add("--seed", type=_seed, metavar="N", help="of the inputs, weights and directions (default: 0)")
    add("--data", metavar="FILE", help="with --model: an .npz file with the arrays x and, if you like, y")
    group = parser.add_argument_group("the check")
    add = group.add_argument
    add("--gradient", metavar="FUNCTION", help="by hand: g(upstream, *inputs); a name in MODULE, or MODULE:NAME")
    add("--order", type=int, choices=(1, 2), help="2: check the gradient's own gradient, too")
    add("--method", choices=("forward", "central", "richardson", "complex"), help="(default: richardson)")
    add("--elements", type=_elements, metavar="all|directions|N", help="which to compare (default: by size)")
    add("--rtol", type=_tolerance, metavar="R", help="the relative error allowed (default: 1e-6, order 2: 1e-5)")
    group = parser.add_argument_group("the report")
    add = group.add_argument
    add("--json", action="store_true", default=None, help="print JSON, and nothing else, on stdout")
    add("--html", metavar="FILE", help="write a page")
    add("--plot", metavar="FILE", help=f"write a heat map of the errors: {', '.join(PICTURES)}")
    layers = targets.add_layer_options(parser, arguments)
    parser.set_defaults(run=functools.partial(_run, parser.error, layers))


def _number(text: str) -> float:
    with contextlib.suppress(ValueError):
        if math.isfinite(float(text)):
            return float(text)
    raise argparse.ArgumentTypeError(f"must be a finite number; found {text!r}")


def _tolerance(text: str) -> float:
    if not 0 < _number(text) < 1:
        raise argparse.ArgumentTypeError(f"must lie between 0 and 1; found {text!r}")
    return float(text)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be 0, 1, 2, ...; found {text!r}")
    return int(text)


def _elements(text: str) -> str | int:
    if text in ("all", "directions"):
        return text
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"all, directions or a positive number; found {text!r}")
    return int(text)


# -- running it -----------------------------------------------------------------------------------------------------


def _run(error: Callable[[str], None], layers: list[type], options: argparse.Namespace) -> int:
    kind = _kind(error, options)
    if kind == "table":
        return _table(options.names)
    page, picture = _target_file(options.html, "--html"), _target_file(options.plot, "--plot", PICTURES)
    if picture:
        from tinyllm.pictures import style

        style()  # ImportError without matplotlib: before the check, not after it
    report = _report(kind, layers, options)
    if page:
        _write(page, _page(report).encode())
    if picture:
        buffer = io.BytesIO()
        report.plot().savefig(buffer, format=picture.rpartition(".")[2].lower())
        _write(picture, buffer.getvalue())
    print(report.to_json() if options.json else "\n".join(map(str, _orders(report))))
    return 0 if report.ok else 1


def _report(kind: str, layers: list[type], options: argparse.Namespace) -> Any:
    options.seed = options.seed or 0
    chosen = {o: getattr(options, o) for o in (*PASSED_ON, "seed") if getattr(options, o) is not None}
    theirs = Theirs()
    what = options.names[0] if kind == "function" else ""
    with theirs.running(what), np.errstate(all="ignore"):  # the report says where a value is not finite
        from tinyllm.autograd.gradcheck import gradcheck

        if kind == "function":
            f, inputs, more = targets.function(options, theirs)
        elif kind == "layer":
            f, inputs, more = targets.layer(layers, options)
        else:
            f, inputs, more = targets.model(options)
        return gradcheck(f, *inputs, **more, **chosen)


def _kind(error: Callable[[str], None], options: argparse.Namespace) -> str:
    """What is to be checked: "table", "function", "layer" or "model"; argparse's error unless it is one of them."""
    own = [name for name in options.names if ":" in name]
    kinds = {
        "table": options.all or (options.names and not own),
        "function": own,
        "layer": options.layer,
        "model": options.model is not None,
    }
    found = [kind for kind, asked in kinds.items() if asked]
    if len(found) != 1 or (options.all and options.names):
        error("give the names of functions, or --all, or one MODULE:FUNCTION, --layer NAME or --model DIR")
    if own and len(options.names) > 1:
        error(f"one MODULE:FUNCTION at a time; found {' '.join(options.names)}")
    for name in options.names:
        if name.endswith(".py"):
            error(f"{name} has many functions: name one, {name}:FUNCTION")
    (kind,) = found
    every = (*INPUTS, *PASSED_ON, *OUTPUTS, "gradient", "data")
    unfit = [f"--{o}" for o in every if getattr(options, o) is not None and o not in FITTING[kind]]
    if unfit:
        what = {"table": "a function of the library", "function": "a function"}.get(kind, f"--{kind}")
        error(f"{', '.join(unfit)} {'do' if len(unfit) > 1 else 'does'} not go with {what}")
    return kind


def _table(names: Sequence[str]) -> int:
    from tinyllm.autograd.verification import HEADING, find, verify

    functions = find(names) if names else None
    print(HEADING, flush=True)
    rows = []
    for row in verify(functions):
        print(row, flush=True)
        rows.append(row)
    wrong = sum(not row.ok for row in rows)
    print(f"{len(rows)} functions, {sum(row.cases for row in rows)} cases: {f'{wrong} WRONG' if wrong else 'all ok'}")
    return 1 if wrong else 0


# -- what is left behind --------------------------------------------------------------------------------------------


def _orders(report: Any) -> list:
    return [each for each in (report.lower, report) if each is not None]


def _page(report: Any) -> str:
    """A complete page, in ASCII."""
    head = f'<meta charset="utf-8">\n<title>{html.escape(report.summary)}</title>'
    body = "\n".join(each._repr_html_() for each in _orders(report))
    page = f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'
    return page.encode("ascii", "xmlcharrefreplace").decode()


def _target_file(path: str | None, option: str, suffixes: Sequence[str] = ()) -> str | None:
    """The absolute path, if a file can be written there: this is asked before the check, which may take long."""
    if path is None:
        return None
    folder = os.path.dirname(path) or "."
    if suffixes and os.path.splitext(path)[1].lower() not in suffixes:
        raise ValueError(f"{option} {path}: the name must end in {', '.join(suffixes)}")
    if not os.path.isdir(folder):
        raise ValueError(f"{option} {path}: there is no folder '{folder}'; make it first")
    if os.path.lexists(path) and not os.path.isfile(path):  # a folder, or a device that would be replaced
        raise ValueError(f"{option} {path}: it exists and is not a file; choose another name")
    if not os.path.basename(path) or not os.access(folder, os.W_OK):
        raise ValueError(f"{option} {path}: cannot be written")
    return os.path.abspath(path)


def _write(path: str, data: bytes) -> None:
    from tinyllm.saving.files import write_atomically

    write_atomically(path, data)
