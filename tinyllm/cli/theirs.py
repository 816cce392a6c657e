"""The user's code: imported from where they are, and its errors shown as theirs, with their line."""

import contextlib
import difflib
import importlib
import importlib.util
import inspect
import linecache
import os
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator

__all__ = ["Theirs"]

LIBRARIES = tuple(
    os.path.join(os.path.realpath(folder), "")
    for folder in (os.path.dirname(os.path.dirname(__file__)), *map(sysconfig.get_path, ("stdlib", "platstdlib")))
)


class Theirs:
    """What belongs to the user, in one run of a command."""

    def __init__(self) -> None:
        self.folder = os.getcwd()
        self.files: set[str] = set()  # theirs, wherever they lie

    @contextlib.contextmanager
    def running(self, what: str = "") -> Iterator[None]:
        """While their code runs: the current folder is importable, what it prints goes to stderr.

        Whatever it raises, SystemExit too, becomes a ValueError that names their file, line and function, and shows the
        line; what we raise about `what`, one without.
        """
        path = list(sys.path)
        sys.path.insert(0, self.folder)
        try:
            with contextlib.redirect_stdout(sys.stderr):
                yield
        except (Exception, SystemExit) as error:
            raise ValueError(self._told(error, what)) from None
        finally:
            sys.path[:] = path

    # -- loading ----------------------------------------------------------------------------------------------------

    def load(self, text: str) -> Callable:
        """The function behind "module:function" or "file.py:Class.method"; a method gets Class() for its self."""
        where, _, names = text.rpartition(":")
        if not where or not names:
            raise ValueError("write MODULE:FUNCTION, such as my.py:loss")
        module = self._module(where)
        found: object = module
        for i, name in enumerate(names.split(".")):
            inside = ".".join([where, *names.split(".")[:i]])
            try:
                plain = isinstance(inspect.getattr_static(found, name, None), types.FunctionType)
                found = getattr(found() if isinstance(found, type) and plain else found, name)
            except AttributeError as error:
                if error.name != name:  # raised within their own property
                    raise
                near = difflib.get_close_matches(name, [n for n in dir(found) if not n.startswith("__")], cutoff=0.5)
                hint = f"; near ones: {', '.join(near)}" if near else ""
                raise ValueError(f"{inside} has no {name!r}{hint}") from None
        if not callable(found):
            raise ValueError(f"{names} is not a function; found {type(found).__name__}")
        if isinstance(found, type):
            raise ValueError(f"{names} is a class; name a method of it, or an instance that can be called")
        return found

    def _module(self, name: str) -> types.ModuleType:
        importlib.invalidate_caches()  # the file may be younger than what Python knows of its folder
        if name.endswith(".py"):
            path = os.path.abspath(name)
            if not os.path.isfile(path):
                raise ValueError(f"there is no file '{name}'")
            sys.path.insert(0, os.path.dirname(path))
            # A name of its own: a file called random.py must not be everybody's random.
            alias = f"checked_{os.path.basename(path)[:-3]}"
            spec = importlib.util.spec_from_file_location(alias, path)
            assert spec is not None and spec.loader is not None
            module = sys.modules[alias] = importlib.util.module_from_spec(spec)
            self.files.add(path)
            spec.loader.exec_module(module)
            return module
        if not all(part.isidentifier() for part in name.split(".")):
            raise ValueError(f"{name!r} is neither a module such as package.module nor a file such as my.py")
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            raise ValueError(f"there is no module '{error.name}' to import from {self.folder}") from None
        self.files.add(getattr(module, "__file__", None) or "")
        return module

    # -- errors -----------------------------------------------------------------------------------------------------

    def _told(self, error: BaseException, what: str) -> str:
        message = _message(error)
        place = self._place(error)
        if place is None:
            said = message.removeprefix("gradcheck: ")
            if not isinstance(error, ValueError | TypeError | OSError | ImportError | IndexError):
                said = f"{type(error).__name__}: {said}"
            return f"{what}: {said}" if what else said
        file, line, function = place
        linecache.checkcache(file)
        source = linecache.getline(file, line).strip()
        shown = os.path.relpath(file, self.folder) if file.startswith(os.path.join(self.folder, "")) else file
        inside = "" if function == "<module>" else f", in {function}"
        told = f"{shown}, line {line}{inside}: {type(error).__name__}" + (f": {message}" if message else "")
        return f"{told}\n    {source}" if source else told

    def _place(self, error: BaseException) -> tuple[str, int, str] | None:
        """File, line and function of the innermost of their lines that was running; None if there was none."""
        if isinstance(error, SyntaxError) and error.filename and os.path.isfile(error.filename):
            return error.filename, error.lineno or 1, "<module>"
        found, trace = None, error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            if self._owns(code.co_filename):
                found = code.co_filename, trace.tb_lineno, code.co_qualname
            trace = trace.tb_next
        return found

    def _owns(self, file: str) -> bool:
        if file in self.files:
            return True
        real = os.path.realpath(file)
        installed = {"site-packages", "dist-packages"} & set(real.split(os.sep))
        return os.path.isfile(file) and not installed and not real.startswith(LIBRARIES)


def _message(error: BaseException) -> str:
    """In one line."""
    if isinstance(error, SyntaxError):
        return error.msg or ""
    try:
        text = str(error)
    except Exception:
        return "(its message cannot be shown)"
    return " ".join(text.split("\n"))
