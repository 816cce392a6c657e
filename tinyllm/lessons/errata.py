"""docs/errata.md and its Chinese twin, from the ledger: every claim of the article beside what is computed.

`python -m tinyllm.lessons.errata` computes all claims and writes both; `--check` only says which is out of date.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tinyllm.lessons.claims import LEDGER, VERDICTS, Finding, claim, tally
from tinyllm.lessons.claims.entry import Language
from tinyllm.lessons.readings import as_table

__all__ = ["FOLDER", "errata", "main", "render"]

FOLDER = Path(__file__).parents[2] / "docs"

SECTIONS = {
    "S3": ("Section 3: networks, training, optimisers", "第 3 节：网络、训练、优化器"),
    "S4": ("Section 4: losses, gradients, and one step by hand", "第 4 节：损失、梯度与手算的一步"),
    "S5": ("Section 5: the program, and the server", "第 5 节：程序与服务"),
    "S7": ("Section 7: what to read", "第 7 节：学习资源"),
    "S8": ("Section 8: where it goes", "第 8 节：发展趋势"),
    "S9": ("Section 9: questions and answers", "第 9 节：常见问题"),
}

TEXTS = {
    "en": {
        "top": """# What became of the article's claims

The lessons follow the article "LLM 产业链生态". It goes a long way in a few pages: collect, process, train, deploy, a
network worked by hand, a program to run. Much of it is sound, its outline above all. Whoever computes by hand makes
slips, and a slip that one has found teaches more than a page without any; so here they all are, each beside a
computation. Nobody is blamed, and you are invited to check us: `tinyllm claims S4-09` computes one before your eyes.

Where a statement is claimed and no number, it was tried: True if it held, False if not, the name of an exception if the
attempt ended in one. A statement of several parts has a True or False for each, in the order in which they are told.

This page is made by `python -m tinyllm.lessons.errata` from [the ledger](../tinyllm/lessons/claims); edit that instead.
中文版：[errata.zh-CN.md](errata.zh-CN.md)
""",
        "tally": "## The tally",
        "verdicts": {
            "right": "what is claimed holds when it is tried",
            "wrong": "another value comes out, or the statement fails when it is tried",
            "imprecise": "holds in one case or part and not in another",
            "right given a wrong input": "the arithmetic is right, the number put into it is not",
            "unverifiable": "we could not find out",
        },
        "head": ("claim", "line", "the article says", "claimed", "computed", "verdict", "why"),
        "readings": """## The network of section 4, in its five readings

Lines 179 to 474 step downhill on a network "1-2-1" with ten weights, which does not exist: 1-2-1 has seven weights, or
four without biases. So each way to make it fit is tried, with the learning rate 0.1. Descent lowers all five losses;
the sign of line 112 raises all five. The weights that the article ends with raise three, and lower two by luck.
(`tinyllm claims --readings`; the code is [readings.py](../tinyllm/lessons/readings.py).)
""",
        "sum": "together",
    },
    "zh": {
        "top": """# 文章中各个说法的核对结果

课程依据的文章是《LLM 产业链生态》。它篇幅不长，走得却很远：采集、处理、训练、部署，还有手算的网络和程序。其中许多内容
站得住，尤其是整体框架。手算难免出错，而找到一处错误，比读一页没有错的文字学得更多；所以这里全部列出，每一条旁边都是
算出来的结果。这不是责怪谁，也欢迎你来核对我们：`tinyllm claims S4-09 --language zh` 会当场再算一遍。

没有数字、只有说法的，我们就照着试：成立记 True，不成立记 False，中途报错记异常的名字。说法有几个部分的，按所说的顺序
各记一个。

本页由 `python -m tinyllm.lessons.errata` 从[账本](../tinyllm/lessons/claims)生成，请改账本，不要改本页。
English: [errata.md](errata.md)
""",
        "tally": "## 统计",
        "verdicts": {
            "right": "照着试，确实成立",
            "wrong": "算出来是别的数，或照着试不成立",
            "imprecise": "有的情形或部分成立，有的不成立",
            "right given a wrong input": "算式没错，错的是代进去的数",
            "unverifiable": "我们查不到",
        },
        "head": ("编号", "行", "文章的说法", "文中的数", "算得的数", "判断", "原因"),
        "readings": """## 第 4 节的网络：五种解读

第 179 到 474 行在一个“1-2-1”网络上走一步，却有十个权重。这样的网络并不存在：1-2-1 有七个权重，不带偏置则是四个。
于是把能凑上的办法都试一遍，学习率 0.1。下降使五个损失都变小；第 112 行的符号使五个都变大。文章最后那组权重使三个变大，
两个碰巧变小。
（`tinyllm claims --readings`；代码在 [readings.py](../tinyllm/lessons/readings.py)。）
""",
        "sum": "合计",
    },
}


def errata(findings: Sequence[Finding], language: Language) -> str:
    """The page, in one language."""
    chinese = language == "zh"
    texts: dict = TEXTS[language]
    counts = tally()
    names = VERDICTS if chinese else {verdict: verdict for verdict in VERDICTS}
    rows = [(names[v], str(counts[v]), texts["verdicts"][v]) for v in VERDICTS]
    parts = [texts["top"], texts["tally"], "", *_table(("", "", ""), [*rows, (texts["sum"], str(len(LEDGER)), "")])]
    for section, titles in SECTIONS.items():
        parts += ["", f"## {titles[chinese]}", ""]
        parts += _table(texts["head"], [_row(f, language) for f in findings if f.entry.id.startswith(section)])
    head, *readings = as_table(language)
    return "\n".join([*parts, "", texts["readings"], *_table(head, readings), ""])


def _row(finding: Finding, language: Language) -> tuple[str, ...]:
    id, says, *numbers, verdict, why = finding.cells(language, brief=True)
    return id, str(finding.entry.line), f"`{says}`" if says == finding.entry.says else says, *numbers, verdict, why


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown."""
    return [f"| {' | '.join(_escaped(cell) for cell in row)} |" for row in (head, ["---"] * len(head), *rows)]


def _escaped(text: str) -> str:
    """Characters that mean something in a table of Markdown; between backquotes only | does."""
    text = text.replace("|", "\\|")
    if text.startswith("`"):
        return text
    for mark in "*_<[":
        text = text.replace(mark, "\\" + mark)
    return text


def render(folder: Path = FOLDER) -> dict[Path, str]:
    """The text of both pages by their place under folder. Every claim is computed and checked."""
    findings = [claim(id) for id in LEDGER]
    return {folder / "errata.md": errata(findings, "en"), folder / "errata.zh-CN.md": errata(findings, "zh")}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages that differ from the ledger, or with --check name them and return 1."""
    parser = argparse.ArgumentParser(prog="python -m tinyllm.lessons.errata", description="Write the errata.")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="where to write (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is out of date")
    options = parser.parse_args(arguments)
    changed = {
        p: text for p, text in render(options.folder).items() if not p.exists() or p.read_bytes() != text.encode()
    }
    for path, text in changed.items():
        print(f"{path}: out of date; run python -m tinyllm.lessons.errata" if options.check else f"wrote {path}")
        if not options.check:
            path.write_bytes(text.encode())
    return 1 if options.check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
