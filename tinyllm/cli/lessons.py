"""`tinyllm lessons`: list them, run one, or open them in JupyterLab."""

import argparse
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["add_lessons"]

EXAMPLES = """examples:
  tinyllm lessons                      write the notebooks into ./lessons and open JupyterLab there
  tinyllm lessons course --language zh the same in Chinese, into ./course
  tinyllm lessons --list               what there is
  tinyllm lessons --run 01             one as a script, here in the terminal
  tinyllm lessons --run 01 --plots DIR and its figures as PNG
"""


def add_lessons(commands: Any) -> None:
    """The command line of `tinyllm lessons`."""
    lessons = commands.add_parser(
        "lessons",
        help="the lessons: in JupyterLab, or one as a script",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    lessons.add_argument("folder", nargs="?", metavar="DIR", help="for the notebooks (default: lessons)")
    lessons.add_argument("--language", choices=["en", "zh"], default="en", help="English or Chinese (default: en)")
    what = lessons.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="number, title and duration of each")
    what.add_argument("--run", dest="number", metavar="NN", help="run this one as a script")
    lessons.add_argument("--plots", metavar="DIR", help="with --run: save the figures there")
    lessons.add_argument("--no-browser", action="store_true", help="JupyterLab tells its address and opens no window")
    lessons.add_argument("--allow-root", action="store_true", help="start JupyterLab as root, as in a container")
    lessons.set_defaults(run=_lessons)


def _lessons(options: argparse.Namespace) -> int | None:
    flags = [flag for flag in ("--no-browser", "--allow-root") if getattr(options, flag[2:].replace("-", "_"))]
    if (options.list or options.number) and (options.folder or flags):
        what = options.folder or flags[0]
        raise ValueError(f"{what} is for JupyterLab; leave it out with --list and --run")
    if options.plots and not options.number:
        raise ValueError("--plots belongs to --run NN")
    if options.number:
        return _run(options.number, options.plots)
    if options.list:
        _print_list(options.language)
    else:
        _open(Path(options.folder or "lessons"), options.language, flags)
    return None


def _print_list(language: str) -> None:
    from tinyllm.lessons.catalogue import lessons

    for each in lessons():
        title, unit = (each.title_zh, "分钟") if language == "zh" else (each.title, "minutes")
        print(f"{each.number:02}  {title}" + (f" ({each.minutes} {unit})" if each.minutes else ""))


def _run(number: str, plots: str | None) -> int:
    """The lesson in a process of its own; its exit code."""
    from tinyllm.lessons.catalogue import lesson

    source = lesson(number).source
    if importlib.util.find_spec("matplotlib") is None:
        raise ImportError("the lessons draw with matplotlib: pip install matplotlib")
    if plots is not None:
        Path(plots).mkdir(parents=True, exist_ok=True)
    environment = {"PYTHONIOENCODING": ":backslashreplace"} | os.environ  # for a console without Chinese
    if not _has_display():
        environment["MPLBACKEND"] = "Agg"
    command = [sys.executable, "-m", "tinyllm.lessons.script", str(source), *([plots] if plots is not None else [])]
    return subprocess.run(command, env=environment, check=False).returncode


def _has_display() -> bool:
    return not sys.platform.startswith("linux") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open(folder: Path, language: str, flags: list[str]) -> None:
    from tinyllm.lessons.notebooks import write_missing

    written, kept = write_missing(folder, language)
    print(f"{folder}: {len(written)} notebooks written, {len(kept)} that differ from ours kept as they are")
    for path in kept:
        print(f"  kept: {path.name} (for ours, move it away and run this again)")
    try:
        from jupyterlab.labapp import LabApp
    except ImportError:
        raise ImportError("JupyterLab is not installed: pip install jupyterlab; then run this again") from None
    LabApp.launch_instance([f"--ServerApp.root_dir={folder.resolve()}", *flags])
