"""`tinyllm serve`, `tinyllm ask`, `tinyllm bench-serve`: a model behind HTTP, a client, and how fast it is."""

import argparse
import sys
from typing import Any

__all__ = ["add_ask", "add_bench", "add_serve"]

SERVE = """examples:
  tinyllm serve tour/classifier                        then open http://127.0.0.1:5000
  tinyllm serve run --generations 8 --deadline 10      the best model of a run of `tinyllm train`
  tinyllm serve classifier --reload                    a newer model saved there answers without a restart
docs/serving.md has the routes, docs/deployment.md how to leave it running.
"""


def add_serve(commands: Any) -> None:
    """The command line of `tinyllm serve`."""
    serve = commands.add_parser(
        "serve",
        help="answer HTTP requests with a saved model, and show a page to try it",
        epilog=SERVE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.add_argument("model", metavar="MODEL", help="a model's folder, .keras or .h5 file, or a run of tinyllm train")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    serve.add_argument("--port", type=int, default=5000, help="port to listen on (default: %(default)s)")
    serve.add_argument("--generations", type=int, default=4, help="texts written at once (default: %(default)s)")
    serve.add_argument("--deadline", type=float, default=30.0, help="seconds for one text (default: %(default)s)")
    serve.add_argument(
        "--reload", type=float, nargs="?", const=1.0, default=0.0, metavar="SECONDS",
        help="look so often (default: every second) for a newer model, and answer with it",
    )  # fmt: skip
    serve.add_argument(
        "--grace", type=float, default=30.0, help="seconds to finish after SIGTERM (default: %(default)s)"
    )
    serve.add_argument("--quiet", action="store_true", help="no line per request on stderr")
    serve.set_defaults(run=_serve)


def add_ask(commands: Any) -> None:
    """The command line of `tinyllm ask`."""
    ask = commands.add_parser("ask", help="put a text to a running server and print what it answers")
    ask.add_argument("url", metavar="URL", help="such as http://127.0.0.1:5000")
    ask.add_argument("text", metavar="TEXT", help="the text to judge, or the prompt to go on from")
    ask.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="of /generate, such as temperature=0.5")
    ask.add_argument("--json", action="store_true", help="print the answer as it came")
    ask.set_defaults(run=_ask)


def add_bench(commands: Any) -> None:
    """The command line of `tinyllm bench-serve`."""
    bench = commands.add_parser("bench-serve", help="serve a model on this machine, and measure size and latency")
    bench.add_argument("model", metavar="MODEL", help="as for serve")
    bench.add_argument("--seconds", type=float, default=2.0, help="for each line of the table (default: %(default)s)")
    bench.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16], help="so many at once (default: 1 4 16)")
    bench.set_defaults(run=_bench)


def _serve(options: argparse.Namespace) -> None:
    import logging

    from tinyllm.serving import serve

    if not options.quiet:
        access = logging.getLogger("tinyllm.access")
        access.setLevel(logging.INFO)
        access.addHandler(logging.StreamHandler())
        access.propagate = False
    serve(
        options.model,
        host=options.host,
        port=options.port,
        generations=options.generations,
        deadline=options.deadline,
        reload=options.reload,
        grace=options.grace,
    )


def _ask(options: argparse.Namespace) -> None:
    from tinyllm.serving.client import ask

    for piece in ask(options.url, options.text, options.set, raw=options.json):
        sys.stdout.write(piece)
        sys.stdout.flush()
    print()


def _bench(options: argparse.Namespace) -> None:
    from tinyllm.serving.bench import bench

    for line in bench(options.model, options.seconds, options.clients):
        print(line, flush=True)
