"""The command line: `tinyllm tour`, `tinyllm serve MODEL`, `tinyllm gradcheck --all`."""

import argparse
import os
import sys
from collections.abc import Sequence

import tinyllm

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit code 0, or 1 with a line that says what failed; 2 for a wrong command line.

    130 after Ctrl-C and 141 when nobody reads the output any more, as shells have it.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "gradcheck" and options.all == bool(options.names):
        parser.error("gradcheck: give the names of functions, or --all")
    for stream in (sys.stdout, sys.stderr):  # a console that cannot show a character prints its code instead
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return options.run(options) or 0
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader has seen enough: tinyllm tour | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python would complain at its exit
        return 141
    except (ValueError, OSError, ImportError, FloatingPointError) as error:
        print(f"tinyllm {options.command}: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tinyllm", description="Understand a language model by running one.")
    parser.add_argument("--version", action="version", version=f"tinyllm {tinyllm.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    tour = commands.add_parser("tour", help="the whole pipeline, from text to a served answer, in under 20 seconds")
    tour.add_argument("--text", metavar="FILE", help="a UTF-8 text for the second half, one sentence a line")
    tour.add_argument("--plot", metavar="DIR", help="write the loss curves there, as PNG")
    tour.add_argument("--out", metavar="DIR", default="tour", help="where the models are saved (default: %(default)s)")
    tour.set_defaults(run=_tour)

    serve = commands.add_parser("serve", help="answer HTTP requests with a saved model")
    serve.add_argument("model", metavar="MODEL", help="a folder or .h5 file that model.save() wrote")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    serve.add_argument("--port", type=int, default=5000, help="port to listen on (default: %(default)s)")
    serve.set_defaults(run=_serve)

    gradcheck = commands.add_parser("gradcheck", help="prove derivatives: compare them with differences, to order 3")
    gradcheck.add_argument("names", metavar="NAME", nargs="*", help="a function, for example np.tanh or softmax")
    gradcheck.add_argument("--all", action="store_true", help="every function that has a derivative")
    gradcheck.set_defaults(run=_gradcheck)
    return parser


def _tour(options: argparse.Namespace) -> None:
    from tinyllm.tour import tour

    tour(options.text, options.plot, options.out)


def _serve(options: argparse.Namespace) -> None:
    from tinyllm.serving import serve

    serve(options.model, host=options.host, port=options.port)


def _gradcheck(options: argparse.Namespace) -> int:
    from tinyllm.autograd.verification import HEADING, find, verify

    functions = find(options.names) if options.names else None
    print(HEADING, flush=True)
    rows = []
    for row in verify(functions):
        print(row, flush=True)
        rows.append(row)
    wrong = sum(not row.ok for row in rows)
    print(f"{len(rows)} functions, {sum(row.cases for row in rows)} cases: {f'{wrong} WRONG' if wrong else 'all ok'}")
    return 1 if wrong else 0
