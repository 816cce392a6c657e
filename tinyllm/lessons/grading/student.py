"""What a check holds of a student's answer: their functions, called over the wire."""

from collections.abc import Callable, Sequence
from typing import Any

from tinyllm.lessons.grading.helpers import Lost, one_line
from tinyllm.lessons.grading.sessions import Session

__all__ = ["Student"]

UNWRITTEN = NotImplementedError.__name__


class Student:
    """student.NAME(...) calls their function; student.run(code, **inputs) runs code among their names.

    Both return plain values and raise Lost if the student's code raises; student.raises(ValueError).NAME(...) demands
    that it does, and returns the exception's message.
    """

    def __init__(self, session: Session, label: str) -> None:
        self._session, self._label = session, label

    def __getattr__(self, name: str) -> Callable:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._value(name, self._session.ask("call", name, list(args), kwargs))

        call.__name__ = name
        return call

    def run(self, code: str, **inputs: Any) -> Any:
        """`result`, after the code has run among the student's names, with the inputs as further ones."""
        return self._value("it", self._session.ask("run", code, inputs))

    def raises(self, *kinds: type[BaseException]) -> "Raising":
        """student.raises(ValueError).f(x): Lost unless f(x) raises one of these; the message of what it raised."""
        return Raising(self._session, self._label, [kind.__name__ for kind in kinds])

    def load(self, cells: Sequence[Sequence[Any]]) -> None:
        """Run the student's cells: [label, source, whether it must run] each. Lost if one that must does not."""
        self._value("it", self._session.ask("load", [list(cell) for cell in cells]))

    def _value(self, name: str, reply: list) -> Any:
        if reply[0] == "raised":
            raise Lost(self._told(name, reply))
        if reply[0] == "unfit":
            raise Lost(one_line(f"{name}: {reply[1]}"))
        return reply[1]

    def _told(self, name: str, reply: list) -> str:
        (kind, *_), said, label, line, text = reply[1:]
        if kind == UNWRITTEN:
            return one_line(f"not written yet ({self._label} raises NotImplementedError)")
        where = f" ({label}, line {line}: {text.strip()})" if line else ""
        return one_line(f"{name} raised {kind}: {said}{where}")


class Raising(Student):
    """A Student of whom an exception is demanded."""

    def __init__(self, session: Session, label: str, kinds: list[str]) -> None:
        super().__init__(session, label)
        self._kinds = kinds

    def _value(self, name: str, reply: list) -> Any:
        wanted = " or ".join(self._kinds)
        if reply[0] == "raised" and set(self._kinds) & set(reply[1]):
            if reply[1][0] == UNWRITTEN and UNWRITTEN not in self._kinds:  # it is a RuntimeError, too
                raise Lost(self._told(name, reply))
            return reply[2]
        if reply[0] == "raised":
            raise Lost(one_line(f"{wanted} was asked; {self._told(name, reply)}"))
        raise Lost(one_line(f"{name} must raise {wanted}; it returned {reply[1]!r:.100}"))
