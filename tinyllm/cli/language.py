"""`tinyllm train` and `tinyllm generate`: a language model of one's own text, from the command line."""

import argparse
import os
from typing import Any

__all__ = ["add_generate", "add_train"]

TRAIN = """examples:
  tinyllm train --text poems.txt                                 a small GPT, by character
  tinyllm train --text poems.txt --model lstm --out poems        an LSTM, into the folder poems
  tinyllm train --text poems.txt --model lstm --out poems --resume     go on after Ctrl-C or a power cut
  tinyllm train --text poems.txt --model lstm --config poems     a collection of poems, or other short lines
  tinyllm train --text names.txt --model gru --config makemore   one name a line
  tinyllm train --text play.txt --config nanogpt-cpu --set steps=500 dropout=0.1
"""


def add_train(commands: Any) -> None:
    """The command line of `tinyllm train`."""
    train = commands.add_parser(
        "train",
        help="train a language model on a text file",
        epilog=TRAIN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    train.add_argument("--text", metavar="FILE", help="a UTF-8 text file")
    train.add_argument("--model", default="gpt", help="gpt, lstm, gru, ... (default: %(default)s; see --list)")
    train.add_argument("--config", default="small", help="a recipe by its name (default: %(default)s; see --list)")
    train.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="change numbers of the recipe")
    train.add_argument("--steps", type=int, help="the same as --set steps=...")
    train.add_argument("--seed", type=int, default=0, help="of weights and batches (default: %(default)s)")
    train.add_argument("--out", metavar="DIR", default="run", help="where everything goes (default: %(default)s)")
    train.add_argument(
        "--resume", action="store_true", help="go on with the training in --out, to the same end bit for bit"
    )
    train.add_argument("--list", action="store_true", help="show the recipes and stop")
    train.set_defaults(run=_train)


def add_generate(commands: Any) -> None:
    """The command line of `tinyllm generate`."""
    write = commands.add_parser("generate", help="let a language model write")
    write.add_argument("model", metavar="MODEL", help="the folder of a run of `tinyllm train`, or of a saved model")
    write.add_argument("--prompt", default="\n", help="what the text begins with (default: a new line)")
    write.add_argument("--max-tokens", type=int, default=500, help="how long it may get (default: %(default)s)")
    write.add_argument("--greedy", action="store_true", help="always the most probable token")
    write.add_argument("--temperature", type=float, help="below 1 bolder, above 1 more even (default: 0.8)")
    write.add_argument("--top-k", type=int, help="draw from the k most probable tokens only")
    write.add_argument("--top-p", type=float, help="draw from the most probable ones with this probability together")
    write.add_argument("--min-p", type=float, help="draw from those at least this fraction as probable as the first")
    write.add_argument("--repetition-penalty", type=float, default=1.0, help="above 1: what was written counts less")
    write.add_argument("--stop", action="append", default=[], metavar="TEXT", help="end before this text")
    write.add_argument("--seed", type=int, default=0, help="the same seed gives the same text (default: %(default)s)")
    write.set_defaults(run=_generate)


def _train(options: argparse.Namespace) -> int:
    from tinyllm.pretraining import train
    from tinyllm.process import keep_memory, one_blas_thread
    from tinyllm.recipes import RECIPES, recipe

    if options.list:
        for model, configs in RECIPES.items():
            for name, each in configs.items():
                print(f"--model {model} --config {name}: {each.steps} steps, {each.sizes}, window {each.window}")
        return 0
    if options.text is None:
        raise ValueError("give a text: --text FILE")
    changes = dict(_setting(each) for each in options.set)
    if options.steps is not None:
        changes["steps"] = options.steps
    chosen = recipe(options.model, options.config, **changes)
    keep_memory()
    with one_blas_thread():
        metrics = train(options.text, chosen, options.out, options.seed, options.resume)
    if "validation_nats" in metrics:
        print(f"the model is in {os.path.join(options.out, 'model')}: tinyllm generate {options.out}")
        if metrics["best_validation_nats"] < metrics["validation_nats"]:
            last = os.path.join(options.out, "last")
            print(f"that of the last step, which has learnt more by heart: tinyllm generate {last}")
    return 0 if metrics.get("steps", chosen.steps) >= chosen.steps else 130  # stopped by Ctrl-C: no success


def _setting(text: str) -> tuple[str, Any]:
    """name=value, as a Python number or bool where it is one."""
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise ValueError(f"--set takes NAME=VALUE, such as steps=500; found {text!r}")
    if value.lower() in ("true", "false"):
        return name, value.lower() == "true"
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, value


def _generate(options: argparse.Namespace) -> None:
    from tinyllm.models import CausalLM, load_model
    from tinyllm.pretraining import best_of

    model = load_model(best_of(options.model))
    if not isinstance(model, CausalLM):
        raise ValueError(f"{options.model} holds a {type(model).__name__}; generate takes what `tinyllm train` made")
    if options.temperature is None:
        options.temperature = 1.0 if options.greedy else 0.8
    names = ("max_tokens", "greedy", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "stop", "seed")
    pieces = model.stream(options.prompt, **{name: getattr(options, name) for name in names})  # or it is refused here
    print(options.prompt.lstrip("\n"), end="", flush=True)
    for piece in pieces:
        print(piece, end="", flush=True)
    print()
