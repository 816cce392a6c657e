"""What the ledger holds: a claim of the article, the verdict on it, and the computation that the verdict rests on.

The article is "LLM 产业链生态" (an introduction to language models, in Chinese); lessons follow it and compute its
figures again. An entry says in our own words what is claimed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["VERDICTS", "Claim", "Language", "Verdict", "tried"]

Language = Literal["en", "zh"]
Verdict = Literal["right", "wrong", "imprecise", "right given a wrong input", "unverifiable"]

VERDICTS: dict[str, str] = {  # with their Chinese names
    "right": "正确",
    "wrong": "错误",
    "imprecise": "不准确",
    "right given a wrong input": "输入错，算得对",
    "unverifiable": "无法核实",
}


@dataclass(frozen=True)
class Claim:
    """One claim of the article.

    id       section and number, for example "S4-09"
    line     where the article makes it
    says     what is claimed: a formula or a few words; (English, Chinese) where the words differ
    claimed  the number or numbers as the article prints them ("-0.105": three decimals); "" where it prints none
    verdict  one of VERDICTS
    truth    the number or numbers that a computation must find, if there is one answer
    why      one sentence in English
    why_zh   the same in Chinese
    compute  our computation: number(s), text, True / False for a statement that is tried (a list of them for its
             parts, in the order of says), or the exception in which the attempt ends
    formula  where the article prints a formula or a line of code and no number: what that comes to
    """

    id: str
    line: int
    says: str | tuple[str, str]
    claimed: str
    verdict: Verdict
    truth: str
    why: str
    why_zh: str
    compute: Callable[[], Any]
    formula: Callable[[], Any] | None = None


def tried(action: Callable[[], Any]) -> Any:
    """What action() returns, or the exception that it raises.

    >>> tried(lambda: [1][1])
    IndexError('list index out of range')
    """
    try:
        return action()
    except Exception as error:
        return error
