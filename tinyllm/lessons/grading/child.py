"""The process in which a student's code runs: a script of its own, started with `python -I -B`, never imported by it.

    child.py MODULE ...          answers on its stdin and stdout, for one exercise
    child.py --fork MODULE ...   on Linux: imports NumPy and the MODULEs once, then forks for every exercise

It knows no check and no expected value: it is handed code and inputs, and hands back what came out. Whatever the code
does to this process, the grader compares elsewhere.
"""

import contextlib
import importlib
import importlib.util
import json
import math
import os
import signal
import socket
import sys
import sysconfig
import types
import warnings
from typing import Any, BinaryIO

import numpy as np
import numpy.fft
import numpy.linalg
import numpy.random  # all of it now: under the guard below, some of it would not load

try:
    import resource
except ImportError:  # Windows: the time limit alone, which the grader keeps
    resource = None  # type: ignore[assignment]

HERE = os.path.dirname(os.path.realpath(__file__))
TINYLLM = os.path.dirname(os.path.dirname(HERE))
MEMORY = 2**30  # bytes of address space, beyond what Python and NumPy took
FILES = 16 * 2**20  # bytes in one file
# What Python tells its audit hooks, and what is refused: other processes, the network, memory by address.
REFUSED = {
    "start processes": ("subprocess.", "os.fork", "os.exec", "os.spawn", "os.posix_spawn", "os.system"),
    "reach other processes": ("os.kill", "os.startfile", "pty.", "signal.pidfd"),
    "use the network": ("socket.",),
    "reach around Python": ("ctypes.", "gc.get"),
}
Allowed = tuple[frozenset[str], dict[str, bool]]  # what importable() and folders() tell
CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.mkdir")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def load_wire() -> types.ModuleType:
    """wire.py beside this file, without the package around it, which would bring the solutions."""
    spec = importlib.util.spec_from_file_location("wire", os.path.join(HERE, "wire.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- what the code may do -------------------------------------------------------------------------------------------


def limit(seconds: float) -> None:
    """Memory, processor time and file sizes, where the system has such limits."""
    if resource is None:
        return
    taken = 0
    with contextlib.suppress(OSError), open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    limits = {
        "RLIMIT_AS": taken + MEMORY,
        "RLIMIT_CPU": math.ceil(seconds) + 1,
        "RLIMIT_FSIZE": FILES,
        "RLIMIT_CORE": 0,
    }
    for name, value in limits.items():
        with contextlib.suppress(ValueError, OSError):  # macOS keeps no limit of the address space
            resource.setrlimit(getattr(resource, name), (value, value))


def importable(modules: list[str]) -> frozenset[str]:
    """The first names of what may be imported: the standard library, NumPy, and that of `modules`."""
    return frozenset({*sys.stdlib_module_names, "numpy", *(name.partition(".")[0] for name in modules)})


def folders(roots: frozenset[str]) -> dict[str, bool]:
    """Folders whose files may be read, or may not; of those that hold a file, the longest decides."""
    found = {os.path.realpath(sysconfig.get_path(name)): True for name in ("stdlib", "platstdlib")}
    for folder in list(found):  # what is installed lies in there
        found |= {os.path.join(folder, name): False for name in ("site-packages", "dist-packages")}
    found |= {os.path.realpath(sysconfig.get_path(name)): False for name in ("purelib", "platlib")}
    found |= {os.path.dirname(os.path.realpath(np.__file__)): True, os.devnull: True, "/dev/urandom": True}
    return found | {TINYLLM: "tinyllm" in roots, os.path.join(TINYLLM, "lessons"): False}


def guard(roots: frozenset[str], readable: dict[str, bool], folder: str) -> None:
    """From now on: imports from `roots`, files of `readable` and, to change them, of `folder`. There is no way back."""
    said = ", ".join(["the standard library", "NumPy", *sorted(roots - sys.stdlib_module_names - {"numpy"})])
    readable = readable | {folder: True}
    realpath, fsdecode, join = os.path.realpath, os.fsdecode, os.path.join

    def may(path: Any, changes: bool) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):  # a descriptor, opened before
            return True
        real = realpath(fsdecode(path))
        inside = [each for each in readable if real == each or real.startswith(join(each, ""))]
        best = max(inside, key=len, default="")
        return best in (folder, os.devnull) if changes else readable.get(best, False)

    def hook(event: str, args: tuple) -> None:
        if event == "import":
            name = str(args[0])
            if f"{name}.".startswith("tinyllm.lessons."):
                raise ImportError("tinyllm.lessons has the solutions; an exercise may not import it")
            if name.partition(".")[0] not in roots:
                raise ImportError(f"an exercise may import {said}; found {name!r}")
        elif event == "open":
            if not may(args[0], bool((args[2] or 0) & WRITING)):
                raise PermissionError(f"an exercise may open files in its own folder only; found {args[0]!r}")
        elif event.startswith(CHANGES):
            if not all(may(each, True) for each in args if isinstance(each, str | bytes)):
                raise PermissionError(f"an exercise may change files in its own folder only; found {args[0]!r}")
        else:
            for what, events in REFUSED.items():
                if event.startswith(events):
                    raise PermissionError(f"an exercise may not {what} ({event})")

    sys.addaudithook(hook)


# -- answering ------------------------------------------------------------------------------------------------------


def serve(wire: types.ModuleType, asked: BinaryIO, answers: BinaryIO, allowed: Allowed) -> None:
    """Answer messages until there are no more. The first one is ["begin", folder, seconds]."""
    _, folder, seconds = wire.read(asked)
    os.chdir(folder)
    os.environ["HOME"] = folder
    quiet, output = os.open(os.devnull, os.O_RDONLY), os.open("output", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor, target in ((quiet, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, target)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = sys.stderr = open(1, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    sys.stdout.reconfigure(line_buffering=True)
    limit(seconds)
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", RuntimeWarning)  # overflow, division by zero: a fault, and said as one
    names: dict[str, Any] = {"__name__": "exercise"}
    texts: dict[str, list[str]] = {}
    guard(*allowed, os.path.realpath(folder))
    wire.write(answers, ["value", None])
    with contextlib.suppress(EOFError):
        while True:
            message = wire.read(asked)
            try:
                reply = ["value", answer(message, names, texts)]
            except BaseException as error:  # SystemExit and KeyboardInterrupt, too, are the student's
                reply = told(error, texts)
            try:
                wire.write(answers, reply)
            except wire.WireError as error:
                wire.write(answers, ["unfit", str(error)])


def answer(message: list, names: dict[str, Any], texts: dict[str, list[str]]) -> Any:
    """Do what one message asks: load cells, call a function, run a piece of code."""
    kind, *rest = message
    if kind == "load":
        for label, source, needed in rest[0]:
            known = texts.get(label, [])  # the cells of a script come with their places in it
            texts[label] = known + source.splitlines()[len(known) :]
            try:
                exec(compile(source, label, "exec"), names)
            except BaseException:
                if needed:
                    raise
        return None
    if kind == "call":
        name, args, kwargs = rest
        if name not in names:
            raise NameError(f"there is no {name!r} in it")
        return names[name](*args, **kwargs)
    code, inputs = rest
    names.update(inputs)
    names.pop("result", None)
    exec(compile(code, "the check", "exec"), names)
    return names["result"]


def told(error: BaseException, texts: dict[str, list[str]]) -> list:
    """What the grader is told about an exception: its classes' names, its text, and the line of the student's."""
    label, line, trace = "", 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in texts:
            label, line = trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next
    try:
        said = str(error)[:500]
        if isinstance(error, SyntaxError) and error.filename in texts:
            label, line, said = error.filename, error.lineno or 0, str(error.msg)
    except BaseException:
        said = "(its message cannot be shown)"
    lines = texts.get(label, [])
    return [
        "raised",
        [each.__name__ for each in type(error).__mro__],
        said,
        label,
        line,
        "".join(lines[line - 1 : line]),
    ]


# -- starting -------------------------------------------------------------------------------------------------------


def forks(wire: types.ModuleType, allowed: Allowed) -> None:
    """On stdin, a socket, come descriptors, each the wire of one exercise. A byte ends it; no more bytes, all."""
    control = socket.socket(fileno=0)
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        child = os.fork()
        if child == 0:
            os.setsid()
            with open(descriptors[0], "rb") as asked, open(os.dup(descriptors[0]), "wb") as answers:
                serve(wire, asked, answers, allowed)
            os._exit(0)
        os.close(descriptors[0])
        ended = not control.recv(1)
        for kill in (os.kill, os.killpg):  # the group: whatever it has started, too
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if ended:
            return
        control.sendall(json.dumps(os.waitstatus_to_exitcode(status)).encode().ljust(8))


def main(arguments: list[str]) -> None:
    modules = [each for each in arguments if each != "--fork"]
    site = sysconfig.get_path("purelib")  # before what is installed, and after the standard library
    sys.path.insert(sys.path.index(site) if site in sys.path else len(sys.path), os.path.dirname(TINYLLM))
    for module in modules:
        with contextlib.suppress(Exception):  # if it is missing, the student's own import says so
            importlib.import_module(module)
    wire, roots = load_wire(), importable(modules)
    allowed = (roots, folders(roots))
    if "--fork" in arguments:
        forks(wire, allowed)
        return
    with open(os.dup(0), "rb") as asked, open(os.dup(1), "wb") as answers:
        serve(wire, asked, answers, allowed)


if __name__ == "__main__":
    main(sys.argv[1:])
