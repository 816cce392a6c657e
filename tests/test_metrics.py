"""Metrics count what a person would count, and refuse shapes that NumPy would quietly stretch."""

import importlib.util
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyllm import Tensor, losses, metrics

CLASSES = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
FUNCTIONS = [
    metrics.binary_accuracy,
    metrics.categorical_accuracy,
    metrics.sparse_categorical_accuracy,
    metrics.mean_absolute_error,
]


def test_a_half_is_not_above_the_threshold():
    found = metrics.binary_accuracy([[1], [0], [1], [0]], [[0.5], [0.5], [0.51], [0.49]])
    assert found.tolist() == [0, 1, 1, 1]


def test_binary_accuracy_averages_over_several_outputs():
    assert metrics.binary_accuracy([[1, 0]], [[0.9, 0.9]]).tolist() == [0.5]


def test_the_most_probable_class_counts_and_the_first_of_equals():
    assert metrics.categorical_accuracy(np.eye(3)[[0, 2, 1]], CLASSES).tolist() == [1, 0, 0]
    assert metrics.sparse_categorical_accuracy([0, 2, 1], CLASSES).tolist() == [1, 0, 0]
    assert metrics.sparse_categorical_accuracy([[0], [2], [2]], CLASSES).tolist() == [1, 0, 1]
    assert metrics.sparse_categorical_accuracy([0, 1], [[0.5, 0.5], [0.5, 0.5]]).tolist() == [1, 0]


def test_sequences_get_one_value_per_step():
    labels = np.array([[0, 1, 2], [0, 0, 0]])
    found = metrics.sparse_categorical_accuracy(labels, np.stack([CLASSES, CLASSES]))
    assert found.tolist() == [[1, 1, 1], [1, 0, 0]]


def test_mean_absolute_error_is_the_mean_of_the_distances():
    assert metrics.mean_absolute_error([[0.0, 2.0], [5.0, 1.0]], [[1.0, 2.0], [3.0, 4.0]]).tolist() == [0.5, 2.5]


def test_labels_in_a_row_fit_predictions_in_a_column():
    column = [[0.9], [0.2]]
    assert metrics.binary_accuracy([1, 1], column).tolist() == [1, 0]
    np.testing.assert_allclose(metrics.mean_absolute_error([1, 1], column), [0.1, 0.8])


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_labels_that_do_not_fit_are_refused_with_both_shapes(function):
    with pytest.raises(ValueError, match=rf"{function.__name__}: labels \(2, 2\) do not fit predictions \(3, 3\)"):
        function(np.ones((2, 2)), CLASSES)


def test_predictions_may_be_tensors():
    assert metrics.binary_accuracy([1], Tensor([[0.9]], requires_grad=True)).tolist() == [1]


@pytest.mark.parametrize(
    ("loss", "labels", "predictions", "expected"),
    [
        ("binary_crossentropy", [1, 0], [[0.9], [0.9]], [1, 0]),
        ("binary_crossentropy", [[1, 1]], [[0.9, 0.1]], [0.5]),  # two yes-or-no answers, not two classes
        ("sparse_categorical_crossentropy", [0, 2, 1], CLASSES, [1, 0, 0]),
        ("categorical_crossentropy", np.eye(3)[[0, 2, 1]], CLASSES, [1, 0, 0]),
        ("a function of mine", [0, 2, 1], CLASSES, [1, 0, 0]),
        ("a function of mine", [1, 0], [[0.9], [0.9]], [1, 0]),
    ],
)
@pytest.mark.parametrize("name", ["accuracy", "acc"])
def test_accuracy_means_the_kind_that_fits_the_loss_and_the_shapes(name, loss, labels, predictions, expected):
    metric = metrics.get(name, loss)
    assert metric.name == name and metric.fn(labels, predictions).tolist() == expected


def test_every_loss_can_be_watched_as_a_metric():
    assert metrics.get("mse")([[0.0]], [[2.0]]) == 4


@pytest.mark.parametrize("wrong", ["nope", 3, None])
def test_an_unknown_name_lists_the_known_ones(wrong):
    with pytest.raises(ValueError, match=r"unknown metric .*; known: accuracy, auc, bce, .*mae"):
        metrics.get(wrong)


def test_every_name_makes_a_metric_of_that_name_and_a_class_a_fresh_one():
    for name in metrics.METRICS:
        assert metrics.get(name).name == name
    assert metrics.get("AUC").name == "AUC" and isinstance(metrics.get("AUC"), metrics.AUC)
    assert isinstance(metrics.get("Precision"), metrics.Precision)
    assert metrics.get(metrics.Recall).name == "recall" and metrics.get(metrics.Recall(name="r")).name == "r"
    assert metrics.get("cosine_similarity")([[1.0, 0.0]], [[5.0, 0.0]]) == 1


# Accuracies


def test_the_k_best_hold_the_label_or_not_and_equals_do_not_help():
    scores, labels, one_hot = [[0.5, 0.2, 0.3], [0.1, 0.2, 0.7], [0.3, 0.4, 0.3]], [0, 1, 2], np.eye(3)
    for k, expected in ((1, [1, 0, 0]), (2, [1, 1, 0]), (3, [1, 1, 1])):
        assert metrics.sparse_top_k_categorical_accuracy(labels, scores, k).tolist() == expected
        assert metrics.top_k_categorical_accuracy(one_hot, scores, k).tolist() == expected
        assert metrics.SparseTopKCategoricalAccuracy(k)(labels, scores) == pytest.approx(np.mean(expected))
        assert metrics.TopKCategoricalAccuracy(k)(one_hot, scores) == pytest.approx(np.mean(expected))
    same = np.zeros((3, 3))
    assert metrics.sparse_top_k_categorical_accuracy([0, 1, 2], same, 2).tolist() == [1, 1, 0]
    assert metrics.sparse_top_k_categorical_accuracy([0], [[np.nan, 0.0, 1.0]], 2).tolist() == [0]


@given(scores=st.lists(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=4, max_size=4), min_size=1))
def test_the_single_best_is_the_top_1(scores):
    labels = np.arange(len(scores)) % 4
    best = metrics.sparse_categorical_accuracy(labels, scores)
    assert metrics.sparse_top_k_categorical_accuracy(labels, scores, 1).tolist() == best.tolist()


def test_a_threshold_for_logits_decides_about_the_predictions_only():
    assert metrics.BinaryAccuracy(threshold=2.0)([[1], [0]], [[3.0], [1.5]]) == 1
    assert metrics.BinaryAccuracy(threshold=-1.0)([[1], [0]], [[3.0], [-1.5]]) == 1
    assert metrics.Accuracy()([3, 1, 2], [3, 1, 1]) == pytest.approx(2 / 3)


# Means and weights


def test_batches_of_different_size_count_by_what_they_hold():
    metric = metrics.BinaryAccuracy()
    metric.update_state([[1], [1], [1]], [[0.9], [0.9], [0.9]])
    assert metric([[1]], [[0.1]]) == 0.75
    metric.reset_state()
    assert metric.result() == 0 and metric([[1]], [[0.9]]) == 1


def test_a_weighted_mean_is_divided_by_the_weights():
    assert metrics.MeanSquaredError()([[0.0], [0.0]], [[1.0], [3.0]], [3.0, 1.0]) == 3
    assert metrics.Mean()([1.0, 5.0], [1.0, 0.0]) == 1 and metrics.Mean()([1.0], [0.0]) == 0
    assert metrics.Mean()([1.0, np.nan], [1.0, 0.0]) == 1  # what does not count may be anything


def test_the_root_of_the_mean_is_not_the_mean_of_the_roots():
    metric = metrics.RootMeanSquaredError()
    metric.update_state([[0.0]], [[1.0]])
    assert metric([[0.0]], [[7.0]]) == 5 and metric.name == "root_mean_squared_error"


def test_perplexity_is_the_number_of_equally_likely_tokens():
    for n in (2, 5, 1000):
        assert metrics.Perplexity()(np.arange(n), np.full((n, n), 1 / n)) == pytest.approx(n)
    p = np.array([0.5, 0.2, 0.15, 0.1, 0.05])
    found = metrics.Perplexity()(np.arange(5), np.tile(p, (5, 1)), sample_weight=p)
    assert found == pytest.approx(3.792685310765617, rel=1e-12)  # exp of the entropy, 1.333074 nats
    assert metrics.Perplexity(from_logits=True)([0, 1], np.zeros((2, 7))) == pytest.approx(7)
    assert metrics.Perplexity()(np.eye(2), np.full((2, 2), 0.5)) == pytest.approx(2)


def test_the_perplexity_of_a_distribution_is_exp_of_its_entropy():
    case = json.loads((Path(__file__).parent / "golden" / "generation.json").read_text(encoding="utf-8"))
    p = np.array([case["probs"]])
    entropy = losses.CategoricalCrossentropy()(p, p)
    np.testing.assert_allclose(float(entropy), case["entropy_nats"], rtol=1e-12)
    np.testing.assert_allclose(metrics.Perplexity()(p, p), case["perplexity"], rtol=1e-12)


def test_perplexity_counts_tokens_not_batches_and_no_padding():
    rng = np.random.default_rng(0)
    p, y = rng.dirichlet(np.ones(5), (3, 4)), rng.integers(1, 5, (3, 4))
    keep = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]])
    metric = metrics.Perplexity(ignore_class=0)
    metric.update_state((y * keep)[:1], p[:1])
    found = metric((y * keep)[1:], p[1:])
    nats = -np.log(np.take_along_axis(p, y[..., None], -1)[..., 0])
    np.testing.assert_allclose(found, np.exp((nats * keep).sum() / keep.sum()), rtol=1e-12)
    np.testing.assert_allclose(metrics.Perplexity()(y, p, sample_weight=keep), found, rtol=1e-12)


def test_perplexity_of_nothing_is_no_number_and_of_the_impossible_infinite():
    assert np.isnan(metrics.Perplexity().result())
    assert metrics.Perplexity(from_logits=True)([0], [[-1000.0, 1000.0]]) == np.inf


# Counts


def test_the_four_counts_and_what_is_made_of_them():
    y, p = [1, 1, 1, 0, 0, 0, 0], [0.9, 0.8, 0.2, 0.7, 0.1, 0.3, 0.5]
    counts = [m()(y, p) for m in (metrics.TruePositives, metrics.FalsePositives)]
    counts += [m()(y, p) for m in (metrics.TrueNegatives, metrics.FalseNegatives)]
    assert counts == [2, 1, 3, 1]
    assert metrics.Precision()(y, p) == metrics.Recall()(y, p) == pytest.approx(2 / 3)
    assert metrics.ConfusionMatrix(2)(y, p).tolist() == [[3, 1], [1, 2]]


def test_rates_by_group_as_a_fairness_audit_wants_them():
    y, p = [1, 1, 1, 0, 0, 1, 1, 0, 0, 0], [1, 1, 0, 1, 0, 1, 0, 0, 0, 0]
    for weight, tpr, right in ((np.arange(10) < 5, 2 / 3, 0.6), (np.arange(10) >= 5, 0.5, 0.8)):
        assert metrics.Recall()(y, p, sample_weight=weight) == pytest.approx(tpr)
        assert metrics.Accuracy()(y, p, sample_weight=weight) == pytest.approx(right)


def test_precision_at_the_best_and_of_one_class():
    one_hot = np.eye(3)[[0, 2, 1]]
    assert metrics.Precision(top_k=1)(one_hot, CLASSES) == pytest.approx(1 / 3)
    assert metrics.Recall(top_k=2)(one_hot, [[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.3, 0.2, 0.5]]) == pytest.approx(2 / 3)
    assert metrics.Recall(class_id=0)(one_hot, CLASSES) == 1
    assert metrics.Precision(thresholds=0.0)([1, 0], [2.5, -3.0]) == 1  # logits


def test_f1_by_class_and_on_average():
    y, p = np.eye(3)[[0, 0, 1, 2]], np.eye(3)[[0, 1, 1, 1]]
    by_class = metrics.F1Score()(y, p)
    np.testing.assert_allclose(by_class, [2 / 3, 0.5, 0])
    np.testing.assert_allclose(metrics.F1Score()([0, 0, 1, 2], p), by_class)
    assert metrics.F1Score("macro")(y, p) == pytest.approx(by_class.mean())
    assert metrics.F1Score("weighted")(y, p) == pytest.approx(by_class @ [0.5, 0.25, 0.25])
    assert metrics.F1Score("micro")(y, p) == 0.5
    assert metrics.F1Score("macro")(y, y) == 1 and metrics.F1Score("macro").result() == 0


def test_a_confusion_matrix_has_the_truth_in_its_rows():
    found = metrics.confusion_matrix([0, 1, 2, 2], [0, 2, 2, 1], num_classes=4)
    assert found.tolist() == [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]] and found.dtype.kind == "i"
    assert metrics.confusion_matrix([0, 1], [1, 1], weights=[0.5, 2.0]).tolist() == [[0, 0.5], [0, 2]]
    for labels in ([0, 2, 1], np.eye(3)[[0, 2, 1]], [[0], [2], [1]]):
        matrix = metrics.ConfusionMatrix(3)(labels, CLASSES)
        assert matrix.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]


# Areas under curves


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(1, 3)), min_size=2, max_size=30))
def test_the_exact_area_is_the_chance_that_a_one_beats_a_zero_and_a_tie_is_half(rows):
    y, score, weight = (np.array(column) for column in zip(*rows))
    found = metrics.AUC(num_thresholds=None)(y, score / 5, sample_weight=weight)
    if y.all() or not y.any():
        assert np.isnan(found)
        return
    won = (score[y][:, None] > score[~y]) + 0.5 * (score[y][:, None] == score[~y])
    pairs = weight[y][:, None] * weight[~y]
    assert found == pytest.approx(np.sum(won * pairs) / pairs.sum(), rel=1e-12)


def test_two_hundred_thresholds_come_near_the_exact_area_and_cannot_see_small_differences():
    rng = np.random.default_rng(0)
    y = rng.random(2000) < 0.3
    p = np.clip(0.4 * y + 0.6 * rng.random(2000), 0, 1)
    for curve in ("ROC", "PR"):
        drawn, exact = metrics.AUC(curve=curve)(y, p), metrics.AUC(None, curve)(y, p)
        assert drawn != exact and drawn == pytest.approx(exact, abs=2e-3)
    close = 0.5 + 1e-4 * p
    assert metrics.AUC()(y, close) == 0.5 and metrics.AUC(None)(y, close) == pytest.approx(metrics.AUC(None)(y, p))


def test_an_area_is_the_same_for_logits_and_their_probabilities():
    y, z = [0, 1, 0, 1], np.array([-3.0, 0.5, 1.0, 40.0])
    assert metrics.AUC(from_logits=True)(y, z) == metrics.AUC()(y, 1 / (1 + np.exp(-z))) == 0.75


def test_each_output_may_have_its_own_curve():
    y, p = np.array([[0, 1], [1, 0], [1, 1]]), np.array([[0.1, 0.2], [0.9, 0.3], [0.8, 0.1]])
    for number in (200, None):
        one = [metrics.AUC(number)(y[:, i], p[:, i]) for i in (0, 1)]
        assert metrics.AUC(number, multi_label=True)(y, p) == pytest.approx(np.mean(one))
        assert one == [1, 0]


def test_one_class_makes_no_curve():
    assert metrics.AUC()([1, 1], [0.2, 0.9]) == 0 == metrics.AUC().result()
    assert np.isnan(metrics.AUC(None)([1, 1], [0.2, 0.9]))


# What holds for all that have a state

STATEFUL = {
    "Precision": metrics.Precision,
    "Recall at two": lambda: metrics.Recall(thresholds=[0.3, 0.6]),
    "F1Score": lambda: metrics.F1Score("macro", threshold=0.5),
    "FBetaScore": lambda: metrics.FBetaScore("weighted", 2.0, 0.4),
    "AUC": metrics.AUC,
    "AUC, PR": lambda: metrics.AUC(curve="PR"),
    "AUC, exact": lambda: metrics.AUC(None),
    "AUC by label": lambda: metrics.AUC(multi_label=True),
    "BinaryAccuracy": metrics.BinaryAccuracy,
    "RootMeanSquaredError": metrics.RootMeanSquaredError,
    "TruePositives": metrics.TruePositives,
}


@pytest.mark.parametrize("make", STATEFUL.values(), ids=STATEFUL)
def test_batches_add_up_and_a_weight_of_zero_is_an_absence(make):
    rng = np.random.default_rng(3)
    y, p, w = rng.integers(0, 2, (20, 3)), rng.random((20, 3)), rng.random(20)
    metric, whole = make(), make()(y, p, sample_weight=w)
    for rows in (slice(0, 7), slice(7, 20)):
        metric.update_state(y[rows], p[rows], sample_weight=w[rows])
    np.testing.assert_allclose(metric.result(), whole, rtol=1e-12)
    metric.reset_state()
    keep = w > 0.5
    found, without = metric(y, p, sample_weight=keep), make()(y[keep], p[keep])
    np.testing.assert_allclose(found, without, rtol=1e-12)
    repeated = make()(np.repeat(y, 2, axis=0), np.repeat(p, 2, axis=0))
    np.testing.assert_allclose(make()(y, p, sample_weight=np.full(20, 2.0)), repeated, rtol=1e-12)


@pytest.mark.parametrize("make", STATEFUL.values(), ids=STATEFUL)
def test_a_sequence_is_counted_step_by_step(make):
    rng = np.random.default_rng(4)
    y, p, keep = rng.integers(0, 2, (4, 5, 1)), rng.random((4, 5, 1)), rng.random((4, 5)) < 0.6
    found, flat = make()(y, p, sample_weight=keep), make()(y[keep], p[keep])
    np.testing.assert_allclose(found, flat, rtol=1e-12)


# Bad input


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: metrics.Precision()([2], [0.5]), "precision: a label is 0 or 1; found 2"),
        (lambda: metrics.Recall()([1], [1.5]), r"recall: a prediction is a probability; found 1.5: .*thresholds=0\.0"),
        (lambda: metrics.AUC()([1], [-0.5]), "auc: a prediction is a probability; found -0.5: .*from_logits=True"),
        (lambda: metrics.AUC()([1], [np.nan]), "auc: a prediction is a probability; found nan"),
        (lambda: metrics.Precision()([], []), r"precision: an empty batch: .* shape \(0,\)"),
        (lambda: metrics.binary_accuracy([[2.0]], [[0.5]]), "binary_accuracy: a label lies between 0 and 1; found 2"),
        (
            lambda: metrics.sparse_categorical_accuracy([7], [[0.5, 0.5]]),
            r"sparse_categorical_accuracy: label 7 is not one of 0\.\.1",
        ),
        (lambda: metrics.SparseTopKCategoricalAccuracy()([1], [[0.5, 0.5]]), r"k must be .* 1\.\.2, .*; found 5"),
        (lambda: metrics.top_k_categorical_accuracy([[0, 1]], [[0.5, 0.5]], k=True), "found True"),
        (lambda: metrics.Precision(top_k=3)([[0, 1]], [[0.5, 0.5]]), r"top_k must lie in 1\.\.2"),
        (lambda: metrics.Precision(class_id=2)([[0, 1]], [[0.5, 0.5]]), r"class_id 2 is not one of 0\.\.1"),
        (lambda: metrics.Precision(thresholds=[]), r"thresholds are a number or a list of them; found \[\]"),
        (lambda: metrics.Precision()([[1, 0]], [0.5, 0.5]), r"labels \(1, 2\) do not fit predictions \(2,\)"),
        (lambda: metrics.Precision()([1, 0], [0.5, 0.5], [1.0]), r"sample_weight \(1,\) does not fit"),
        (lambda: metrics.F1Score()([[1.0]], [[0.7]]), "of one output the best is always chosen; give threshold=0.5"),
        (lambda: metrics.F1Score("mean"), "unknown average 'mean'; known: None, micro, macro, weighted"),
        (lambda: metrics.FBetaScore(beta=0), "beta must be positive; found 0"),
        (lambda: metrics.AUC(curve="roc"), "AUC: unknown curve 'roc'; known: ROC, PR"),
        (lambda: metrics.AUC(num_thresholds=1), "num_thresholds must be at least 2, or None"),
        (lambda: metrics.confusion_matrix([3], [0], 2), r"confusion_matrix: label 3 is not one of 0\.\.1"),
        (lambda: metrics.confusion_matrix([0], [0.5]), "confusion_matrix: prediction 0.5 is not one of"),
        (lambda: metrics.Perplexity()([9], [[0.5, 0.5]]), r"label 9 is not one of 0\.\.1"),
    ],
)
def test_wrong_input_to_a_metric_is_one_line_that_says_what_to_do(action, message):
    with pytest.raises(ValueError, match=message) as caught:
        action()
    assert "\n" not in str(caught.value)


def test_an_option_that_a_metric_does_not_have_is_named():
    with pytest.raises(TypeError, match="huber: unknown option 'dleta'; known: delta"):
        metrics.MeanMetricWrapper(losses.huber, dleta=1.0)


# Keras itself

needs_keras = pytest.mark.skipif(
    not (importlib.util.find_spec("keras") and importlib.util.find_spec("torch")), reason="needs Keras, PyTorch"
)


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras

        if keras.config.backend() != "torch":
            pytest.skip("needs Keras on PyTorch")
        yield keras


SAME = [
    *((name, {}) for name in ("Precision", "Recall", "TruePositives", "FalsePositives", "TrueNegatives")),
    ("FalseNegatives", {"thresholds": [0.2, 0.7]}),
    ("Precision", {"thresholds": [0.25, 0.5, 0.8]}),
    ("Recall", {"thresholds": [0.0, 0.5, 1.0]}),
    ("Precision", {"top_k": 2}),
    ("Recall", {"top_k": 1, "class_id": 1}),
    ("Recall", {"class_id": 2}),
    *(("AUC", {"curve": c, "summation_method": m}) for c in ("ROC", "PR") for m in ("interpolation", "minoring")),
    *(("AUC", {"curve": c, "summation_method": "majoring", "num_thresholds": 7}) for c in ("ROC", "PR")),
    ("AUC", {"thresholds": [0.1, 0.2, 0.7]}),
    ("AUC", {"multi_label": True}),
    ("AUC", {"multi_label": True, "curve": "PR"}),
    *(("F1Score", {"average": a}) for a in (None, "micro", "macro", "weighted")),
    ("F1Score", {"threshold": 0.4}),
    ("FBetaScore", {"beta": 2.0, "average": "macro", "threshold": 0.6}),
    ("BinaryAccuracy", {"threshold": 0.3}),
    ("BinaryCrossentropy", {}),
    ("BinaryCrossentropy", {"label_smoothing": 0.1}),
    *((name, {}) for name in ("MeanSquaredError", "RootMeanSquaredError", "MeanAbsoluteError", "CosineSimilarity")),
    *((name, {}) for name in ("Hinge", "SquaredHinge", "LogCoshError", "KLDivergence", "Poisson")),
    *((name, {}) for name in ("MeanSquaredLogarithmicError", "MeanAbsolutePercentageError")),
]
SAME_FOR_CLASSES = [
    *((name, {}) for name in ("CategoricalAccuracy", "SparseCategoricalAccuracy")),
    *((name, {"k": 2}) for name in ("TopKCategoricalAccuracy", "SparseTopKCategoricalAccuracy")),
    *((name, {}) for name in ("CategoricalCrossentropy", "SparseCategoricalCrossentropy", "CategoricalHinge")),
    ("CategoricalCrossentropy", {"label_smoothing": 0.2}),
]


@pytest.mark.interop
@needs_keras
@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # Keras on PyTorch under NumPy 2
@pytest.mark.parametrize(("name", "options"), SAME + SAME_FOR_CLASSES, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_metric_over_batches_is_that_of_keras(keras, name, options, weighted):
    rng = np.random.default_rng(5)
    ours, theirs = getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options)
    if name not in ("FBetaScore", "LogCoshError"):
        assert ours.name == theirs.name.rstrip("_0123456789")
    for size in (16, 5):
        y, p = rng.integers(0, 2, (size, 3)).astype("float32"), rng.random((size, 3)).astype("float32")
        if (name, options) in SAME_FOR_CLASSES:
            p = rng.dirichlet(np.ones(4), size).astype("float32")
            labels = rng.integers(0, 4, size)
            y = labels if name.startswith("Sparse") else np.eye(4, dtype="float32")[labels]
        weight = rng.random(size).astype("float32") if weighted else None
        for metric in (ours, theirs):
            metric.update_state(y, p, sample_weight=weight)
    expected = keras.ops.convert_to_numpy(theirs.result())
    np.testing.assert_allclose(ours.result(), expected, rtol=3e-6, atol=1e-6)
    ours.reset_state(), theirs.reset_state()
    np.testing.assert_allclose(np.sum(ours.result()), np.sum(keras.ops.convert_to_numpy(theirs.result())))
