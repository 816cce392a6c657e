"""The walk over every derivative: it finds what is wrong, and says so; the page tells what the walk finds."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from tests import mutants
from tinyllm.autograd.cases import CASES
from tinyllm.autograd.kernels import KERNELS, cross_entropy_with_logits
from tinyllm.autograd.rules import relu, sigmoid, softplus
from tinyllm.autograd.tensor import COMPOSITES, TABLE
from tinyllm.autograd.verification import PAGE, find, full_name, page, verify

ELEMENTWISE = [f for f in CASES if (isinstance(f, np.ufunc) and f.signature is None) or f in (relu, sigmoid, softplus)]


@pytest.fixture
def instead(monkeypatch):
    """Puts other derivatives in a rule's place."""
    return lambda f, *derivatives: monkeypatch.setattr(TABLE[f], "derivatives", derivatives)


def only(rows):
    (row,) = rows
    return row


def test_a_row_tells_kind_cases_and_the_error_of_each_order():
    row = only(verify([np.tanh]))
    assert (row.name, row.kind, row.cases, row.ok) == ("np.tanh", "rule", len(CASES[np.tanh]), True)
    assert list(row.errors) == [1, 2, 3]
    assert 0 < row.errors[1] < 1e-7
    assert [only(verify([f])).kind for f in (np.dot, cross_entropy_with_logits)] == ["composite", "kernel"]


def test_elementwise_functions_are_checked_to_third_order():
    rows = list(verify(ELEMENTWISE))
    assert len(rows) > 40
    for row in rows:
        assert row.ok and row.errors.keys() == {1, 2, 3}, str(row)


def test_a_wrong_derivative_is_found(instead):
    instead(np.tanh, lambda g, y, x: g * (1 - y))
    row = only(verify([np.tanh]))
    assert not row.ok and len(row.problems) == 3  # the fourth case is empty
    assert str(row).splitlines()[0].endswith("WRONG")
    assert "case 1: order 1: x: " in str(row)


def test_a_derivative_that_raises_is_a_finding_and_not_the_end(instead):
    instead(np.tanh, lambda g, y, x: g @ y @ x @ x)
    rows = list(verify([np.tanh, np.exp]))
    assert [row.ok for row in rows] == [False, True]
    assert "ValueError: " in rows[0].problems[0]


def test_a_composite_that_is_not_what_numpy_computes_is_found(monkeypatch):
    monkeypatch.setitem(
        COMPOSITES, np.var, lambda a, axis=None, keepdims=False, **_: np.mean(a * a, axis, keepdims=keepdims)
    )
    assert "value on Tensors and on arrays" in str(only(verify([np.var])))


def test_a_kernel_that_is_not_its_reference_is_found(monkeypatch):
    op = TABLE[cross_entropy_with_logits]
    right = op.function
    monkeypatch.setattr(op, "function", lambda *a: (right(*a)[0], lambda g: (right(*a)[1](g)[0] * (1 + 1e-9), None)))
    assert "gradients of kernel and reference" in str(only(verify([cross_entropy_with_logits])))
    monkeypatch.setattr(op, "function", lambda *a: (right(*a)[0] * (1 + 1e-9), right(*a)[1]))
    assert "cross_entropy_with_logits and its reference" in str(only(verify([cross_entropy_with_logits])))


def test_every_kernel_is_in_the_walk():
    assert set(KERNELS) <= set(CASES)


def test_a_function_is_found_by_each_of_its_names():
    assert find(["np.linalg.inv"]) == find(["linalg.inv"]) == find(["inv"]) == [np.linalg.inv]
    assert find(["np.abs"]) == find(["abs"]) == [np.absolute]
    assert [full_name(f) for f in find(["clip", "np.clip"])] == ["clip", "np.clip"]
    with pytest.raises(ValueError, match=r"unknown function 'np.tahn'; near ones: np.tan, np.tanh"):
        find(["np.tahn"])
    with pytest.raises(ValueError, match=r"unknown function 'qqqq'; see"):
        find(["qqqq"])


# The mutants


def test_the_cases_of_tanh_notice_every_change_of_its_rule():
    def proof():
        assert only(verify([np.tanh])).ok

    changes = list(mutants.mutants(["np.tanh"]))
    assert len(changes) >= 15
    for file, _, text, _, _, changed in changes:
        assert mutants.survives(file, changed, [("case", 0.1, proof)]) == "case", text


def test_a_mutant_that_computes_the_same_survives():
    (same,) = [m for m in mutants.mutants(["relu"]) if m[2].endswith("np.greater(y, 0)")]
    file, *_, changed = same
    assert mutants.survives(file, changed, [("case", 0.1, lambda: list(verify([relu])))]) is None


def test_every_mutant_without_a_witness_is_explained():
    told = json.loads((mutants.HERE / "mutants.json").read_text(encoding="utf-8"))
    assert told["survivors"] == []
    assert sum(told["total"].values()) > 1000
    assert told["total"]["equivalent"] <= len(mutants.equivalents())
    assert all(reason for reason in mutants.equivalents().values())


@pytest.mark.mutants
def test_every_mutant_is_noticed_or_computes_the_same():
    done = subprocess.run([sys.executable, "-m", "tests.mutants"], check=False, cwd=mutants.HERE.parent)
    assert done.returncode == 0


# The page


@pytest.fixture(scope="module")
def rows():
    return list(verify())


def test_every_derivative_is_right_to_third_order(rows):
    assert [str(row) for row in rows if not row.ok] == []
    assert {row.function for row in rows if 3 not in row.errors} == {np.std, np.linalg.det}


def test_the_page_tells_what_is(rows):
    stored = PAGE.read_text(encoding="utf-8")
    assert page(rows, stored) == stored, "python -m tinyllm.autograd.verification writes it anew"


def test_the_page_of_another_machine_has_the_same_bytes(rows):
    stored = PAGE.read_text(encoding="utf-8")
    other = [dataclasses.replace(row, errors={k: 1.3 * e for k, e in row.errors.items()}) for row in rows]
    assert page(other, stored) == stored


def test_the_page_shows_a_new_case_and_a_wrong_derivative(rows):
    stored = PAGE.read_text(encoding="utf-8")
    more = dataclasses.replace(rows[0], cases=rows[0].cases + 1)
    wrong = dataclasses.replace(rows[1], problems=["case 1: order 1"])
    changed = set(page([more, wrong, *rows[2:]], stored).splitlines()) - set(stored.splitlines())
    assert len(changed) == 2 and sum("WRONG" in line for line in changed) == 1
