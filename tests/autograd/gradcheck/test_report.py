"""The report as text, HTML, a dict and JSON; its three grades."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest

from tinyllm import gradcheck

X = np.array([[0.3, -0.8, 1.2], [2.0, 0.1, -0.4]])


def scaled(factor, **options):
    return gradcheck(np.exp, X, gradient=lambda g, x: factor * g * np.exp(x), **options)


@pytest.mark.parametrize("off, grade", [(0.0, "right"), (3e-7, "right"), (1e-5, "doubtful"), (1e-3, "wrong")])
def test_the_grade_follows_the_thresholds_which_are_named(off, grade):
    report = scaled(1 + off)
    assert report.grade == grade and report.ok == bool(report) == (grade == "right")
    assert report.thresholds == {"right": 1e-6, "doubtful": 1e-4, "wrong": np.inf}
    assert ("1e-06" if grade != "wrong" else "0.0001") in report.summary


def test_each_argument_tells_of_its_worst_element():
    (found,) = gradcheck(
        np.exp, X, gradient=lambda g, x: g * np.exp(x) + np.where(np.arange(3) == 1, 0.5, 0) * [[0], [1]]
    ).arguments
    assert (found.name, found.shape, found.index, found.checked) == ("x", (2, 3), (1, 1), 6)
    assert found.absolute == pytest.approx(0.5) == abs(found.analytic - found.numeric)
    assert found.error == pytest.approx(0.5 / max(abs(found.analytic), abs(found.numeric)))
    assert np.unravel_index(np.argmax(found.errors), found.shape) == found.index


def test_the_text_has_a_line_for_each_argument_and_the_diagnosis():
    text = str(gradcheck(np.multiply, X, X + 1, gradient=lambda g, a, b: (g * b, -g * a)))
    assert text.count("\n") >= 4 and "WRONG" in text.splitlines()[0]
    assert "x1  " in text and "diagnosis: x2: the sign is wrong" in text and "compared: every element (12)" in text


class Balanced(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_html_is_balanced_and_escaped():
    parser = Balanced()
    text = gradcheck(lambda x: x, X, gradient=lambda g, x: 2 * g)._repr_html_()
    parser.feed(text)
    assert not parser.open
    assert "&lt;lambda&gt;" in text and "<lambda>" not in text and "WRONG" in text


@pytest.mark.parametrize(
    "report",
    [
        scaled(1.0),
        scaled(np.nan),
        scaled(2.0, elements="directions"),
        gradcheck(np.abs, [0.0, 1.0]),
        gradcheck(lambda x: np.where(x > 0, x * np.log(np.where(x > 0, x, 1.0)), 0.0), [0.0, 1.0]),
        gradcheck(np.exp, X, order=2),
        gradcheck(np.sum, np.zeros((0, 3))),
        gradcheck(np.sqrt, [0.0, 1.0], gradient=lambda g, x: g * 0.5 / np.sqrt(x)),
    ],
    ids=str,
)
def test_every_report_becomes_strict_json_and_back(report):
    again = json.loads(report.to_json(), parse_constant=pytest.fail)
    assert again.keys() == report.to_dict().keys()
    assert again["ok"] == report.ok and again["diagnosis"] == report.diagnosis
    assert [a["name"] for a in again["arguments"]] == [a.name for a in report.arguments]
    assert (again["lower"] is None) == (report.order == 1)


def test_empty_inputs_are_right_and_said_to_be_empty():
    assert "nothing was compared" in str(gradcheck(np.sum, np.zeros((0, 3))))
