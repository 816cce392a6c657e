"""The command line: `tinyllm tour`, `lessons`, `claims`, `train --text FILE`, `serve MODEL`, `gradcheck ...`."""

import argparse
import os
import sys
from collections.abc import Sequence

import tinyllm
from tinyllm.cli import claims, exercises, gradcheck, language, lessons, serving, shrink

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit code 0, or 1 with a line that says what failed; 2 for a wrong command line.

    130 after Ctrl-C and 141 when nobody reads the output any more, as shells have it.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):  # a console that cannot show a character prints its code instead
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        options = _parser(arguments).parse_args(arguments)
        return options.run(options) or 0
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader has seen enough: tinyllm tour | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python would complain at its exit
        return 141
    except (ValueError, OSError, ImportError, FloatingPointError, MemoryError) as error:
        print(f"tinyllm {arguments[0]}: {error or 'not enough memory'}", file=sys.stderr)
        return 1


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tinyllm", description="Understand a language model by running one.")
    parser.add_argument("--version", action="version", version=f"tinyllm {tinyllm.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    tour = commands.add_parser("tour", help="the whole pipeline, from text to a served answer, in under 20 seconds")
    tour.add_argument("--text", metavar="FILE", help="a UTF-8 text for the second half, one sentence a line")
    tour.add_argument("--plot", metavar="DIR", help="write the loss curves there, as PNG")
    tour.add_argument("--out", metavar="DIR", default="tour", help="where the models are saved (default: %(default)s)")
    tour.set_defaults(run=_tour)

    serving.add_serve(commands)
    serving.add_ask(commands)
    serving.add_bench(commands)
    shrink.add_shrink(commands)
    language.add_train(commands)
    language.add_generate(commands)
    claims.add_claims(commands)
    lessons.add_lessons(commands)
    exercises.add_exercise(commands)
    exercises.add_grade(commands)

    check = commands.add_parser(
        "gradcheck",
        help="compare derivatives with differences: your function's, a layer's, a model's, the library's",
        usage=gradcheck.USAGE,
        epilog=gradcheck.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    gradcheck.add_options(check, arguments[1:] if arguments[:1] == ["gradcheck"] else [])
    return parser


def _tour(options: argparse.Namespace) -> None:
    from tinyllm.tour import tour

    tour(options.text, options.plot, options.out)
