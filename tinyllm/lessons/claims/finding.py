"""claim(): a figure of the article beside the figure that was just computed, with a verdict that is checked.

    claim("S4-09")                      # claimed -0.105   computed 0.105361   wrong   log 0.9 is -0.105; ...
    claim("S4-09", computed=loss)       # the same with a number of your own

A verdict that the computation contradicts raises AssertionError, so a lesson cannot go on telling what is no longer so.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from tinyllm.autograd.tensor import as_array
from tinyllm.lessons.claims.entry import VERDICTS, Claim, Language
from tinyllm.lessons.claims.ledger import LEDGER
from tinyllm.lessons.columns import aligned

__all__ = ["Finding", "Table", "claim", "table"]

NUMBER = re.compile(r"[-+]?\d+(?:\.(\d+))?")
COLOURS = {"right": "#2e9e5b", "wrong": "#d9485f", "right given a wrong input": "#b07d12"}  # on white and on black
HEADINGS = {
    "en": ("claim", "the article says", "claimed", "computed", "verdict", "why"),
    "zh": ("编号", "文章的说法", "文中的数", "算得的数", "判断", "原因"),
}


def claim(id: str, computed: Any = None, claimed: Any = None, language: Language | None = None) -> "Finding":
    """The ledger's entry, checked against what was computed.

    id        for example "S4-09"; KeyError if the ledger has no such entry
    computed  number(s); or True / False where the claim is a statement that was tried; or the exception it ended in;
              anything else is shown and not checked. By default the ledger's own computation runs
    claimed   where the article prints a formula and no number: the value of that formula
    language  "en" or "zh"; by default print() gives English and a notebook shows both

    "right" and "right given a wrong input" demand that computed and claimed agree, "wrong" that they do not: to the
    decimals that the article prints, or to 1 part in 10,000 where it prints none. The ledger's truth must be met too.
    Raises AssertionError where the ledger is out of date.

    >>> claim("S4-09")
    S4-09, line 152: -[log 0.9]; claimed -0.105, computed 0.105361: wrong. log 0.9 is -0.105; the minus sign in front \
of it makes the loss positive.
    >>> claim("S4-09", computed=-0.105)
    Traceback (most recent call last):
    AssertionError: S4-09: the ledger is out of date (or the computation wrong): its verdict is 'wrong', but -0.105 \
agrees with the claim -0.105
    """
    if id not in LEDGER:
        raise KeyError(f"no claim {id!r}; the ledger has {len(LEDGER)}, for example {', '.join(list(LEDGER)[:3])}")
    if language not in (None, "en", "zh"):
        raise ValueError(f"claim: language must be 'en' or 'zh'; found {language!r}")
    entry = LEDGER[id]
    if computed is None:
        computed = entry.compute()
        claimed = entry.formula() if entry.formula and claimed is None else claimed
    finding = Finding(entry, computed, claimed, language)
    finding.check()
    return finding


def table(findings: Iterable["Finding"]) -> "Table":
    """Several claims below one another.

    >>> table([claim("S4-21"), claim("S4-14")])
    claim  the article says                       claimed  computed  verdict
    S4-21  -[log 0.4]                             0.916    0.916291  right
    S4-14  a 1-2-1 network has this many weights  10       7         wrong
    """
    return Table(tuple(findings))


@dataclass(frozen=True)
class Finding:
    """A claim with what was computed for it: a line of text, or a table of one row in a notebook."""

    entry: Claim
    computed: Any = None
    value: Any = None  # of the claim's formula, where the article prints no number
    language: Language | None = None

    @property
    def claimed(self) -> Any:
        """The printed number, or the formula's value, or True for a statement, one for each part that was tried."""
        if self.value is not None or self.entry.claimed:
            return self.entry.claimed if self.value is None else self.value
        if _is_statement(self.computed):
            return [True] * len(self.computed) if isinstance(self.computed, list) else True
        return ""

    def holds(self) -> bool | None:
        """Whether computed agrees with the claim; None where that cannot be told."""
        if isinstance(self.computed, bool | np.bool_):
            return bool(self.computed)
        if isinstance(self.computed, BaseException):
            return False
        return _agree(self.entry.id, self.claimed, self.computed)

    def check(self) -> None:
        """AssertionError if the verdict, or the truth that the ledger holds, is not what was computed."""
        entry, holds, shown = self.entry, self.holds(), _shown(self.computed)
        wanted = {"right": True, "right given a wrong input": True, "wrong": False}.get(entry.verdict)
        begin = f"{entry.id}: the ledger is out of date (or the computation wrong):"
        if holds is not None and wanted is not None and holds != wanted:
            found = "agrees with" if holds else "does not agree with"
            said = _shown(self.claimed) or _pick(entry.says, "en")
            raise AssertionError(f"{begin} its verdict is '{entry.verdict}', but {shown} {found} the claim {said}")
        if _agree(entry.id, entry.truth, self.computed) is False:
            raise AssertionError(f"{begin} it has {entry.truth} as the truth, but {shown} was computed")

    def cells(self, language: Language, brief: bool = False) -> tuple[str, ...]:
        """id, says, claimed, computed, verdict, why. brief: of an exception, its kind alone."""
        e, computed = self.entry, self.computed
        computed = type(computed).__name__ if brief and isinstance(computed, BaseException) else computed
        verdict, why = (VERDICTS[e.verdict], e.why_zh) if language == "zh" else (e.verdict, e.why)
        return e.id, _pick(e.says, language), _shown(self.claimed), _shown(computed), verdict, why

    def as_json(self, language: Language = "en") -> dict[str, Any]:
        """id, line, verdict, claimed, computed, says, why: numbers, lists, texts and booleans that JSON has.

        claimed is true where the claim is a statement. An exception becomes its text.

        >>> claim("S4-09").as_json()["claimed"], claim("S4-17").as_json()["computed"]
        (-0.105, False)
        """
        e = self.entry
        claimed = _parsed(self.claimed) if isinstance(self.claimed, str) else _plain(self.claimed)
        _, says, *_, why = self.cells(language)
        return {
            "id": e.id,
            "line": e.line,
            "verdict": e.verdict,
            "claimed": claimed,
            "computed": _plain(self.computed),
            "says": says,
            "why": why,
        }

    def in_full(self) -> str:
        """Everything about it, a line each, and where its computation stands.

        >>> print(claim("S4-35").in_full())
        claim             S4-35, line 290
        the article says  number of partial derivatives
        claimed           11
        computed          10
        verdict           wrong
        why               Ten weights have ten partial derivatives.
        code              tinyllm/lessons/claims/worked_step.py
        """
        language = self.language or "en"
        id, *cells = self.cells(language)
        place = f"{id}，第 {self.entry.line} 行" if language == "zh" else f"{id}, line {self.entry.line}"
        code = self.entry.compute.__module__.replace(".", "/") + ".py"
        headings = (*HEADINGS[language], "代码" if language == "zh" else "code")
        return aligned([(h, c) for h, c in zip(headings, (place, *cells, code)) if c])

    def __repr__(self) -> str:
        chinese = self.language == "zh"
        id, says, claimed, computed, verdict, why = self.cells("zh" if chinese else "en")
        words = ("文中", "算得", "，", "：", "；") if chinese else ("claimed", "computed", ", ", ": ", "; ")
        numbers = words[2].join(f"{w} {n}" for w, n in zip(words, (claimed, computed)) if n)
        place = f"{id}（第 {self.entry.line} 行）：{says}" if chinese else f"{id}, line {self.entry.line}: {says}"
        end = "。" if chinese else ". "
        return f"{place}{words[4]}{numbers}{words[3] if numbers else ''}{verdict}{end}{why}"

    def _repr_html_(self) -> str:
        return Table((self,))._repr_html_()


@dataclass(frozen=True)
class Table:
    """Findings as rows. Its text leaves the reasons out, a notebook shows them."""

    findings: tuple[Finding, ...]

    @property
    def language(self) -> Language | None:
        return self.findings[0].language if self.findings else None

    def __repr__(self) -> str:
        language = self.language or "en"
        return aligned([HEADINGS[language][:-1], *(f.cells(language)[:-1] for f in self.findings)])

    def _repr_html_(self) -> str:
        languages: tuple[Language, ...] = (self.language,) if self.language else ("en", "zh")

        def both(cells: Iterable[tuple[str, ...]], tag: str, style: str = "") -> str:
            rows = zip(*cells)  # one tuple a column, its texts in each language; equal ones are shown once
            return "".join(f'<{tag} style="text-align:left;{style}">{_lines(texts)}</{tag}>' for texts in rows)

        head = both((HEADINGS[language] for language in languages), "th")
        body = ""
        for f in self.findings:
            cells = [f.cells(language) for language in languages]
            colour = f"color:{COLOURS.get(f.entry.verdict, 'inherit')};font-weight:bold;"
            body += f'<tr title="line {f.entry.line}">{both((c[:4] for c in cells), "td")}'
            body += f"{both((c[4:5] for c in cells), 'td', colour)}{both((c[5:] for c in cells), 'td')}</tr>"
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _lines(texts: tuple[str, ...]) -> str:
    return "<br>".join(escape(text) for text in dict.fromkeys(texts))


def _pick(says: str | tuple[str, str], language: Language) -> str:
    return says if isinstance(says, str) else says[language == "zh"]


def _agree(id: str, printed: Any, computed: Any) -> bool | None:
    """Do the computed numbers round to the printed ones? None if one side has no numbers."""
    found = _numbers(computed)
    if isinstance(printed, str):
        digits = [len(m[1] or "") for m in NUMBER.finditer(printed)]
        expected: Any = np.array([float(m[0]) for m in NUMBER.finditer(printed)])
        margin: Any = 0.5 * 10.0 ** -np.array(digits) + 1e-9
    else:
        expected = _numbers(printed)
        margin = None if expected is None else 1e-6 + 1e-4 * np.abs(expected)
    if found is None or expected is None or not expected.size:
        return None
    if found.shape != expected.shape:
        raise ValueError(f"{id}: {expected.size} numbers were expected, {_shown(printed)}; found {_shown(computed)}")
    return bool(np.all(np.abs(found - expected) <= margin))


def _numbers(value: Any) -> np.ndarray | None:
    """The value as a flat array of floats (Fractions and Tensors too), or None if it is not made of numbers."""
    if value is None or isinstance(value, str | bool | np.bool_ | BaseException):
        return None
    try:
        array = np.ravel(as_array(value))
        return None if array.dtype == bool else array.astype(float)
    except (TypeError, ValueError):
        return None


def _shown(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    numbers = _numbers(value)
    if numbers is not None and _is_table(value):
        return str(as_array(value).tolist())
    if numbers is None:
        return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    texts = [f"{n + 0.0:.6g}" for n in np.round(numbers, 12)]
    return ", ".join(texts)


def _is_statement(computed: Any) -> bool:
    """True or False, a list of them, or the exception in which an attempt ended."""
    if isinstance(computed, list):
        return bool(computed) and all(isinstance(part, bool) for part in computed)
    return isinstance(computed, bool | np.bool_ | BaseException)


def _is_table(value: Any) -> bool:
    """Whole numbers in rows, or a list of just one: shown with their brackets."""
    array = as_array(value)
    return array.dtype.kind in "iu" and (array.ndim > 1 or array.shape == (1,))


def _parsed(printed: str) -> Any:
    """The article's number, or the list of its numbers: "-0.105", "0, 1", "[1]"; True where it prints none."""
    values = json.loads(f"[{printed}]") or [True]
    return values[0] if len(values) == 1 else values


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, BaseException):
        return _shown(value)
    if value is None or isinstance(value, str | bool):
        return value
    return as_array(value).tolist()
