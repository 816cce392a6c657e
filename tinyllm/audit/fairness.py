"""Fairness between groups: how the rates of a classifier differ from one group of people to another.

Everywhere y_true and y_pred are (samples,) or (samples, 1) of 0 and 1, where 1 is the answer that one wants to have
(the loan, the job), and groups is one name per sample. A difference is 0 where all groups are treated alike.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyllm.autograd.tensor import as_array
from tinyllm.pictures import table

__all__ = [
    "FairnessReport",
    "accuracy_gap",
    "demographic_parity_difference",
    "disparate_impact_ratio",
    "equal_opportunity_difference",
    "equalized_odds_difference",
    "fairness_report",
]


def demographic_parity_difference(y_pred: Any, groups: Sequence[Hashable]) -> float:
    """max - min over the groups of P(y_pred = 1 | group), the selection rate.

    Independence of answer and group, whatever the truth is (Dwork et al. 2012, "Fairness through awareness", section 3:
    statistical parity).

    >>> demographic_parity_difference([1, 1, 0, 0], ["A", "A", "B", "B"])
    1.0
    """
    return _measured("demographic_parity_difference", None, y_pred, groups)


def disparate_impact_ratio(y_pred: Any, groups: Sequence[Hashable]) -> float:
    """min / max over the groups of P(y_pred = 1 | group).

    Below 0.8 it fails the four-fifths rule (Uniform Guidelines on Employee Selection Procedures, 29 CFR 1607.4 D,
    1978). Raises ValueError where nobody is selected in any group: 0 / 0.

    >>> disparate_impact_ratio([1, 1, 1, 0], ["A", "A", "B", "B"])
    0.5
    """
    return _measured("disparate_impact_ratio", None, y_pred, groups)


def equal_opportunity_difference(y_true: Any, y_pred: Any, groups: Sequence[Hashable]) -> float:
    """max - min over the groups of P(y_pred = 1 | y_true = 1, group), the true positive rate.

    Who deserves the answer 1 gets it as often in each group (Hardt et al. 2016, "Equality of opportunity in supervised
    learning", definition 2.2). Raises ValueError for a group in which y_true is never 1.

    >>> equal_opportunity_difference([1, 1, 1, 1], [1, 1, 1, 0], ["A", "A", "B", "B"])
    0.5
    """
    return _measured("equal_opportunity_difference", y_true, y_pred, groups)


def equalized_odds_difference(y_true: Any, y_pred: Any, groups: Sequence[Hashable]) -> float:
    """The larger of two differences between groups: of the true positive rates, and of the false positive rates.

    The false positive rate is P(y_pred = 1 | y_true = 0, group). (Hardt et al. 2016, definition 2.1.) Raises ValueError
    for a group in which y_true is always 1 or always 0.

    >>> equalized_odds_difference([1, 0, 1, 0], [1, 1, 1, 0], ["A", "A", "B", "B"])
    1.0
    """
    return _measured("equalized_odds_difference", y_true, y_pred, groups)


def accuracy_gap(y_true: Any, y_pred: Any, groups: Sequence[Hashable]) -> float:
    """max - min over the groups of P(y_pred = y_true | group).

    >>> accuracy_gap([1, 0, 1, 0], [1, 0, 1, 1], ["A", "A", "B", "B"])
    0.5
    """
    return _measured("accuracy_gap", y_true, y_pred, groups)


@dataclass(frozen=True)
class FairnessReport:
    """What fairness_report() found; print it for a table.

    groups    samples, positives (y_true = 1) and the four rates of each group; a rate that does not exist is None
    measures  the five numbers of this module; one that does not exist is None, and notes say why
    """

    groups: dict[Any, dict[str, Any]]
    measures: dict[str, float | None]
    notes: list[str]

    def __str__(self) -> str:
        rows = [[str(name), *("-" if v is None else v for v in each.values())] for name, each in self.groups.items()]
        first = table(["group", *next(iter(self.groups.values()))], rows)
        second = table(["measure", "value"], [[n, "-" if v is None else f"{v:.3f}"] for n, v in self.measures.items()])
        ratio = self.measures["disparate_impact_ratio"]
        kept = ratio is not None and ratio > 0.8 - 1e-9  # 0.08 / 0.1 is a little below 0.8
        rule = [] if ratio is None else [f"four-fifths rule: {'kept' if kept else 'broken'} ({ratio:.3f})"]
        return "\n".join([first, "", second, *rule, *(f"note: {note}" for note in self.notes)])

    def to_dict(self) -> dict[str, Any]:
        """All of it, for json.dumps; a group is called by its name as text (1 and "1" by how they are written)."""
        text = str if len(set(map(str, self.groups))) == len(self.groups) else repr
        groups = {text(name): dict(each) for name, each in self.groups.items()}
        return {"groups": groups, "measures": dict(self.measures), "notes": list(self.notes)}


def fairness_report(y_true: Any, y_pred: Any, groups: Sequence[Hashable]) -> FairnessReport:
    """Every rate and every measure of this module.

    Raises ValueError if there are fewer than two groups, or if a label or an answer is neither 0 nor 1.

    >>> report = fairness_report([1, 0, 1, 0], [1, 0, 1, 1], ["A", "A", "B", "B"])
    >>> report.measures["demographic_parity_difference"], report.groups["B"]["fpr"]
    (0.5, 1.0)
    """
    rates = _by_group("fairness_report", y_true, y_pred, groups)
    measures: dict[str, float | None] = {}
    notes: list[str] = []
    for name, measure in MEASURES.items():
        try:
            measures[name] = measure(name, rates)
        except ValueError as error:
            measures[name] = None
            notes.append(str(error))
    return FairnessReport(rates, measures, notes)


def _measured(name: str, y_true: Any, y_pred: Any, groups: Any) -> float:
    return MEASURES[name](name, _by_group(name, y_true, y_pred, groups))


def _by_group(caller: str, y_true: Any, y_pred: Any, groups: Any) -> dict[Any, dict[str, Any]]:
    """The rates of each group, in the order of first sight. Without y_true only the selection rate."""
    answers = _zeros_and_ones(caller, "y_pred", y_pred)
    labels = answers if y_true is None else _zeros_and_ones(caller, "y_true", y_true)
    if isinstance(groups, str):
        raise TypeError(f"{caller}: groups is the text {groups!r:.40}; give a list with one name per sample")
    names = np.ravel(groups).tolist() if isinstance(groups, np.ndarray) else list(groups)
    if not len(answers) == len(labels) == len(names):
        found = f"{len(labels)} labels, {len(answers)} predictions and {len(names)} groups"
        raise ValueError(f"{caller}: one of each per sample is needed; found {found}")
    for i, name in enumerate(names):
        if not isinstance(name, Hashable):
            raise TypeError(f"{caller}: groups[{i}] is {name!r:.40}; name the group by a text or a number")
        if name is None or name != name or name == "":
            raise ValueError(f"{caller}: groups[{i}] is {name!r}; name each sample's group, or leave the sample out")
    members: dict[Any, list[int]] = {}
    for i, name in enumerate(names):
        members.setdefault(name, []).append(i)
    if len(members) < 2:
        raise ValueError(f"{caller}: a comparison needs two groups; found {', '.join(map(repr, members)) or 'none'}")
    return {name: _rates(labels[rows], answers[rows]) for name, rows in members.items()}


def _rates(y: np.ndarray, p: np.ndarray) -> dict[str, Any]:
    return {
        "samples": len(y),
        "positives": int(y.sum()),
        "selection_rate": float(p.mean()),
        "tpr": float(p[y == 1].mean()) if (y == 1).any() else None,
        "fpr": float(p[y == 0].mean()) if (y == 0).any() else None,
        "accuracy": float((y == p).mean()),
    }


def _gap(caller: str, rates: dict[Any, dict[str, Any]], rate: str) -> float:
    for name, each in rates.items():
        if each[rate] is None:
            label, what = (1, "true") if rate == "tpr" else (0, "false")
            raise ValueError(
                f"{caller}: group {name!r} has no sample with y_true = {label}, so it has no {what} positive "
                "rate: collect some, or leave the group out"
            )
    values = [each[rate] for each in rates.values()]
    return max(values) - min(values)


def _ratio(caller: str, rates: dict[Any, dict[str, Any]]) -> float:
    values = [each["selection_rate"] for each in rates.values()]
    if not max(values):
        raise ValueError(f"{caller}: y_pred is 1 in no group, and 0 / 0 is no ratio")
    return min(values) / max(values)


# Each is a function of its own name, for its errors, and of the rates of each group.
MEASURES: dict[str, Callable[[str, dict[Any, dict[str, Any]]], float]] = {
    "demographic_parity_difference": lambda name, rates: _gap(name, rates, "selection_rate"),
    "disparate_impact_ratio": _ratio,
    "equal_opportunity_difference": lambda name, rates: _gap(name, rates, "tpr"),
    "equalized_odds_difference": lambda name, rates: max(_gap(name, rates, rate) for rate in ("tpr", "fpr")),
    "accuracy_gap": lambda name, rates: _gap(name, rates, "accuracy"),
}


def _zeros_and_ones(caller: str, what: str, values: Any) -> np.ndarray:
    array = np.asarray(as_array(values))
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(f"{caller}: {what} must be (samples,) or (samples, 1); found {array.shape}")
    if array.size and array.dtype.kind not in "biuf":
        raise TypeError(f"{caller}: {what} must hold 0 and 1; found {array.dtype}")
    wrong = array[(array != 0) & (array != 1)]
    if wrong.size:
        advice = ": a probability becomes an answer by (p > 0.5)" if 0 < wrong[0] < 1 else ""
        raise ValueError(f"{caller}: {what} must hold 0 and 1; found {wrong[0]}{advice}")
    return array.astype(int)
