"""The five measures agree with their definitions, and a rate that does not exist is said to be missing, not NaN."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyllm.audit import (
    accuracy_gap,
    demographic_parity_difference,
    disparate_impact_ratio,
    equal_opportunity_difference,
    equalized_odds_difference,
    fairness_report,
)

CASE = json.loads((Path(__file__).parents[1] / "golden" / "fairness.json").read_text())["fairness"]
DATA = CASE["y_true"], CASE["y_pred"], CASE["group"]


@pytest.mark.parametrize("group", ["A", "B"])
@pytest.mark.parametrize("rate", ["selection_rate", "tpr", "fpr", "accuracy"])
def test_each_rate_of_each_group_is_the_stored_one(group, rate):
    assert fairness_report(*DATA).groups[group][rate] == pytest.approx(CASE["per_group"][group][rate], abs=1e-12)


def test_demographic_parity_difference_is_the_stored_one():
    assert demographic_parity_difference(*DATA[1:]) == pytest.approx(CASE["demographic_parity_difference"], abs=1e-12)


def test_disparate_impact_ratio_is_the_stored_one():
    expected = CASE["disparate_impact_ratio_min_over_max"]
    assert disparate_impact_ratio(*DATA[1:]) == pytest.approx(expected, abs=1e-12)


def test_equal_opportunity_difference_is_the_stored_one():
    assert equal_opportunity_difference(*DATA) == pytest.approx(CASE["equal_opportunity_difference"], abs=1e-12)


def test_equalized_odds_difference_is_the_stored_one():
    expected = CASE["equalized_odds_difference_max(tpr,fpr)"]
    assert equalized_odds_difference(*DATA) == pytest.approx(expected, abs=1e-12)


def test_accuracy_gap_is_the_stored_one():
    assert accuracy_gap(*DATA) == pytest.approx(CASE["accuracy_gap"], abs=1e-12)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=20))
def test_two_groups_of_the_same_people_are_treated_alike(people):
    y, p = map(list, zip(*people))
    report = fairness_report(y * 2, p * 2, ["A"] * len(y) + ["B"] * len(y))
    found = {name: value for name, value in report.measures.items() if value is not None}
    assert found.pop("disparate_impact_ratio", 1.0) == 1.0
    assert set(found.values()) == {0.0}


def test_the_order_of_the_samples_does_not_matter():
    order = np.random.default_rng(0).permutation(10)
    shuffled = fairness_report(*(np.array(each)[order] for each in DATA))
    assert shuffled.measures == fairness_report(*DATA).measures


def test_columns_booleans_and_whole_floats_count_as_0_and_1():
    y, p, groups = DATA
    columns = fairness_report(np.array(y, bool)[:, None], np.array(p, float)[:, None], np.array(groups))
    assert columns == fairness_report(*DATA)


def test_a_group_without_positives_has_no_true_positive_rate_and_the_report_says_so():
    data = [1, 0, 0, 0], [1, 0, 1, 0], ["A", "A", "B", "B"]
    with pytest.raises(ValueError, match="group 'B' has no sample with y_true = 1, so it has no true positive rate"):
        equal_opportunity_difference(*data)
    report = fairness_report(*data)
    assert report.groups["B"]["tpr"] is None and report.measures["equal_opportunity_difference"] is None
    assert "note: equal_opportunity_difference: group 'B' has no sample" in str(report)
    json.dumps(report.to_dict(), allow_nan=False)


def test_a_group_without_negatives_has_no_false_positive_rate():
    with pytest.raises(ValueError, match="group 'A' has no sample with y_true = 0, so it has no false positive rate"):
        equalized_odds_difference([1, 1, 1, 0], [1, 1, 1, 0], ["A", "A", "B", "B"])


def test_nobody_selected_at_all_has_no_ratio():
    with pytest.raises(ValueError, match="0 / 0 is no ratio"):
        disparate_impact_ratio([0, 0], ["A", "B"])
    assert "four-fifths" not in str(fairness_report([0, 0], [0, 0], ["A", "B"]))


def test_the_four_fifths_rule_holds_at_exactly_four_fifths():
    groups = ["A"] * 5 + ["B"] * 5
    assert "four-fifths rule: kept (0.800)" in str(fairness_report([1] * 10, [1] * 5 + [1, 1, 1, 1, 0], groups))
    small = [1] * 8 + [0] * 92 + [1] * 10 + [0] * 90  # 0.08 / 0.1 < 0.8 in floating point
    assert "four-fifths rule: kept (0.800)" in str(fairness_report([1] * 200, small, ["A"] * 100 + ["B"] * 100))
    assert "four-fifths rule: broken (0.600)" in str(fairness_report([1] * 10, [1] * 5 + [1, 1, 1, 0, 0], groups))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 0], [0.7, 0.2], ["A", "B"]), r"y_pred must hold 0 and 1; found 0.7: a probability becomes an answer by"),
        (([1, 2], [1, 0], ["A", "B"]), "y_true must hold 0 and 1; found 2$"),
        (([1, 0], [1, np.nan], ["A", "B"]), "y_pred must hold 0 and 1; found nan"),
        (([1, 0], [1, 0], ["A", "A"]), "a comparison needs two groups; found 'A'"),
        (([], [], []), "a comparison needs two groups; found none"),
        (([1, 0], [1, 0], ["A"]), "found 2 labels, 2 predictions and 1 groups"),
        (([1, 0], [1, 0], ["A", None]), r"groups\[1\] is None; name each sample's group"),
        (([1, 0], [1, 0], [1.0, float("nan")]), r"groups\[1\] is nan"),
        (([1, 0], [1, 0], ["A", ["B"]]), r"groups\[1\] is \['B'\]; name the group by a text or a number"),
        (([[1, 0]], [1, 0], ["A", "B"]), r"y_true must be \(samples,\) or \(samples, 1\); found \(1, 2\)"),
    ],
)
def test_what_cannot_be_compared_is_named(arguments, message):
    with pytest.raises((ValueError, TypeError), match=f"fairness_report: .*{message}"):
        fairness_report(*arguments)


def test_texts_in_place_of_lists_are_refused():
    with pytest.raises(TypeError, match="groups is the text 'AB'"):
        fairness_report([1, 0], [1, 0], "AB")
    with pytest.raises(TypeError, match="y_true must hold 0 and 1; found <U3"):
        fairness_report(["yes", "no"], [1, 0], ["A", "B"])


def test_the_groups_may_come_from_a_generator():
    assert fairness_report(*DATA[:2], (name for name in DATA[2])) == fairness_report(*DATA)


def test_three_groups_are_compared_by_their_extremes():
    report = fairness_report([1, 0] * 3, [1, 0, 1, 1, 0, 0], list("AABBCC"))
    assert report.measures == {
        "demographic_parity_difference": 1.0,
        "disparate_impact_ratio": 0.0,
        "equal_opportunity_difference": 1.0,
        "equalized_odds_difference": 1.0,
        "accuracy_gap": 0.5,
    }


def test_groups_whose_names_look_alike_stay_apart():
    report = fairness_report([1, 0, 1, 0], [1, 0, 1, 1], [1, 1, "1", "1"])
    assert list(report.to_dict()["groups"]) == ["1", "'1'"]
