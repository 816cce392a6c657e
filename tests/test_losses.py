"""Losses: Keras 3's values and gradients, exact logits, and labels that must fit."""

import importlib.util
import itertools
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyllm import Tensor, gradcheck, losses, ops

GOLDEN = json.loads((Path(__file__).parent / "golden" / "losses.json").read_text(encoding="utf-8"))
REDUCTIONS = ["sum_over_batch_size", "sum", "none"]
CLASSES = {c.__name__: c for c in losses.LOSSES.values()}
FUNCTIONS = sorted({c.function for c in CLASSES.values()}, key=lambda f: f.__name__)


def assert_close(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def named(cases):
    return {"argvalues": cases, "ids": [case["name"] for case in cases]}


# Figures computed by others, stored


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("case", **named(GOLDEN["keras3"]))
def test_a_loss_has_the_value_and_the_gradient_of_keras_3(case, reduction):
    loss = getattr(losses, case["class"])(reduction=reduction, **case["kwargs"])
    prediction = Tensor(case["y_pred"], requires_grad=True)
    value = loss(case["y_true"], prediction, sample_weight=case["sample_weight"])
    np.sum(value).backward()
    expected = case["result"][reduction]
    assert_close((value.data, prediction.grad), (expected["value"], expected["grad_pred"]))


@pytest.mark.parametrize("case", **named(GOLDEN["article"]))
def test_the_losses_of_the_article_per_sample(case):
    found = losses.binary_crossentropy(case["y_true"], case["y_pred"])
    np.testing.assert_allclose(found.data, case["per_sample"], rtol=1e-10)


@pytest.mark.parametrize(
    ("loss", "squash", "expected"),
    [("BinaryCrossentropy", ops.sigmoid, "bce_sum"), ("HalfSumSquaredError", lambda z: z, "half_sse")],
)
def test_the_slope_for_a_weight_is_the_sum_of_p_minus_y_times_x(loss, squash, expected):
    case = GOLDEN["slopes"]
    theta = Tensor(case["theta"], requires_grad=True)
    getattr(losses, loss)(reduction="sum")(case["y"], squash(np.array(case["x"]) @ theta)[:, None]).backward()
    np.testing.assert_allclose(theta.grad, case[expected], rtol=1e-10)


def test_pytorch_has_the_same_binary_crossentropy_where_nothing_is_clipped():
    y, p = (next(c for c in GOLDEN["keras3"] if c["name"] == "bce_basic")[key] for key in ("y_true", "y_pred"))
    np.testing.assert_allclose(float(losses.BinaryCrossentropy()(y, p)), GOLDEN["pytorch"]["bce_default"], rtol=1e-10)


def test_what_is_certain_and_wrong_costs_16_nats_here_and_100_in_pytorch():
    case = next(c for c in GOLDEN["keras3"] if c["name"] == "bce_extreme")
    wrong = losses.binary_crossentropy(case["y_true"], case["y_pred"]).data[2:]
    np.testing.assert_allclose(wrong, -np.log(1e-7), rtol=1e-7)
    assert GOLDEN["pytorch"]["bce_extreme_none"][2:] == [100, 100]
    assert (np.array(GOLDEN["tf_keras_2"]["bce_extreme_none"][2:]) < wrong - 0.6).all()  # log(1e-7 + 1e-7)


# Every loss against Keras itself, on random draws


def drawn(name, rng, shape=(4, 3)):
    """Labels and predictions for a loss; probabilities where it takes probabilities, away from every corner."""
    p = rng.dirichlet(np.ones(shape[-1]), shape[:-1]) if "Categorical" in name else rng.uniform(0.05, 0.95, shape)
    if name.startswith("Sparse"):
        return rng.integers(0, shape[-1], shape[:-1]), p
    if name.startswith("Categorical"):
        scores = rng.normal(size=shape) if "Hinge" in name else p
        return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])], scores
    if name.startswith("Binary"):
        return rng.integers(0, 2, shape).astype(float), p
    if "Hinge" in name:
        return rng.choice([-1.0, 1.0], shape), rng.normal(size=shape)
    if name in ("KLDivergence", "Poisson", "MeanSquaredLogarithmicError"):
        return rng.uniform(0.05, 0.95, shape), p
    return rng.normal(size=shape), 2 * rng.normal(size=shape)


OPTIONS = {
    "BinaryCrossentropy": [{"label_smoothing": 0.2}, {"from_logits": True}, {"axis": 0}],
    "BinaryFocalCrossentropy": [
        {"gamma": 0.5, "apply_class_balancing": True, "alpha": 0.3},
        {"from_logits": True, "label_smoothing": 0.1, "gamma": 3.0},
    ],
    "CategoricalCrossentropy": [{"label_smoothing": 0.2}, {"from_logits": True}, {"axis": 0}],
    "CategoricalFocalCrossentropy": [
        {"from_logits": True, "gamma": 1.5, "label_smoothing": 0.1},
        {"alpha": [0.1, 0.5, 0.7]},
    ],
    "SparseCategoricalCrossentropy": [{"from_logits": True}, {"ignore_class": 1}, {"from_logits": True, "axis": -1}],
    "Huber": [{"delta": 0.3}],
    "CosineSimilarity": [{"axis": 0}],
}
VARIANTS = [(name, options) for name in sorted(CLASSES) for options in ({}, *OPTIONS.get(name, []))]
needs_keras = pytest.mark.skipif(
    importlib.util.find_spec("keras") is None or importlib.util.find_spec("torch") is None,
    reason="needs Keras, PyTorch",
)


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras

        if keras.config.backend() != "torch":
            pytest.skip("needs Keras on PyTorch")
        # Off TensorFlow, Keras turns float64 into float32 in the middle of a loss; here it may keep it.
        widths = importlib.import_module("keras.src.backend.common.dtypes").BIT64_TO_BIT32_DTYPE
        before = keras.config.floatx(), dict(widths)
        keras.config.set_floatx("float64")
        widths["float64"] = "float64"
        yield keras
        keras.config.set_floatx(before[0])
        widths |= before[1]


def keras_says(keras, loss, y, p, weight, mask):
    import torch

    prediction = torch.tensor(p, dtype=torch.float64, requires_grad=True)
    if mask is not None:
        prediction._keras_mask = torch.tensor(mask)
    value = loss(torch.tensor(y), prediction, None if weight is None else torch.tensor(weight))
    value.sum().backward()
    value = value.detach().numpy()
    one_each = (*value.shape[:1], 1) == value.shape  # (batch, 1) where a weight was a column
    return value[:, 0] if one_each else value, prediction.grad.numpy()


@pytest.mark.interop
@needs_keras
@pytest.mark.parametrize(("name", "options"), [v for v in VARIANTS if v[0] != "HalfSumSquaredError"], ids=str)
def test_every_loss_weighs_masks_and_reduces_like_keras(keras, name, options):
    rng = np.random.default_rng(sum(map(ord, name)))
    shapes = [(4, 3)] if "axis" in options and options["axis"] == 0 else [(4, 3), (4, 5, 3)]
    for shape, reduction in itertools.product(shapes, ["sum_over_batch_size", "mean", "sum", "none", None]):
        y, p = drawn(name, rng, shape)
        if options.get("from_logits"):
            p = 3 * rng.normal(size=shape)
        steps = (shape[1],) if options.get("axis") == 0 else shape[:-1]
        weights = [None, rng.uniform(size=steps), rng.uniform(size=(*steps[:-1], 1)), rng.uniform(size=(*steps, 1))]
        masks = [None, rng.random(steps) < 0.7, np.zeros(steps, bool)]
        if len(steps) == 1:
            weights.pop(2)
        for weight, mask in itertools.product(weights, masks):
            theirs = getattr(keras.losses, name)(reduction=reduction, dtype="float64", **options)
            wide = weight  # a column of weights under a mask is an error in Keras on PyTorch
            if weight is not None and len(steps) == 2 and (mask is not None or "ignore_class" in options):
                wide = np.ascontiguousarray(np.broadcast_to(weight.reshape(*weight.shape[:2]), steps))
            expected = keras_says(keras, theirs, y, p, wide, mask)
            ours = Tensor(p, requires_grad=True)
            value = getattr(losses, name)(reduction=reduction, **options)(y, ours, weight, mask)
            np.sum(value).backward()
            assert_close((value.data, ours.grad), expected)


@pytest.mark.interop
@needs_keras
@pytest.mark.parametrize("name", sorted(set(CLASSES) - {"HalfSumSquaredError"}))
def test_a_mean_by_weights_is_that_of_keras_where_each_value_has_its_own_weight(keras, name):
    rng = np.random.default_rng(1)
    y, p = drawn(name, rng, (4, 5, 3))
    for weight, mask in itertools.product([None, rng.uniform(size=(4, 5))], [None, rng.random((4, 5)) < 0.5]):
        theirs = getattr(keras.losses, name)(reduction="mean_with_sample_weight", dtype="float64")
        expected = keras_says(keras, theirs, y, p, weight, mask)
        ours = Tensor(p, requires_grad=True)
        value = getattr(losses, name)(reduction="mean_with_sample_weight")(y, ours, weight, mask)
        value.backward()
        assert_close((value.data, ours.grad), expected)


@pytest.mark.interop
@needs_keras
def test_every_name_that_keras_knows_here_is_its_loss(keras):
    for name in losses.LOSSES:
        if name != "half_sum_squared_error":
            loss = keras.losses.get(name) if name in losses.SHORT else None
            assert loss is None or loss.__name__ == losses.get(name).name
    for name in set(CLASSES) - {"HalfSumSquaredError"}:
        assert type(keras.losses.get(name)).__name__ == type(losses.get(name)).__name__ == name


# Derivatives, twice


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=str)
def test_the_slope_of_every_loss_and_the_slope_of_its_slope(name, options):
    rng = np.random.default_rng(7)
    y, p = drawn(name, rng)
    if options.get("from_logits"):
        p = 3 * rng.normal(size=p.shape)
    loss = getattr(losses, name)(reduction="none", **options)
    report = gradcheck(lambda p: loss(y, p), p, order=2)
    assert report.ok, report


@pytest.mark.parametrize("name", ["BinaryFocalCrossentropy", "CategoricalFocalCrossentropy"])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_a_focal_loss_has_no_nan_however_sure_the_model_is(name, gamma):
    z = Tensor([[1000.0, -1000.0], [-1000.0, 1000.0]], requires_grad=True)
    y = [[1.0, 0.0], [1.0, 0.0]]
    values = getattr(losses, name)(gamma=gamma, alpha=1.0, from_logits=True, reduction="none")(y, z)
    np.sum(values).backward()
    surprise = 1000 if name.startswith("Binary") else 2000
    np.testing.assert_allclose(values.data, [0, surprise], atol=1e-100)
    assert np.isfinite(z.grad).all() and (z.grad[0] == 0).all() and (z.grad[1] != 0).any()


def test_a_focal_loss_without_focus_is_the_cross_entropy():
    y, p = drawn("CategoricalCrossentropy", np.random.default_rng(0))
    focal = losses.categorical_focal_crossentropy(y, p, alpha=1.0, gamma=0.0)
    np.testing.assert_allclose(focal.data, losses.categorical_crossentropy(y, p).data, rtol=1e-14)
    focal = losses.binary_focal_crossentropy(y, p, gamma=0.0)
    np.testing.assert_allclose(focal.data, losses.binary_crossentropy(y, p).data, rtol=1e-14)


@given(error=st.floats(-1e150, 1e150), delta=st.floats(1e-3, 1e3))
def test_huber_and_log_cosh_lie_below_both_of_their_limits(error, delta):
    huber = losses.huber([[0.0]], [[error]], delta).item()
    log_cosh = losses.log_cosh([[0.0]], [[error]]).item()
    assert 0 <= huber <= min(delta * abs(error), error * error / 2) * (1 + 1e-12)
    assert -1e-15 <= log_cosh <= min(abs(error), error * error / 2 + 1e-15)


@pytest.mark.parametrize("error", [-1000.0, 1000.0, 1e300])
def test_an_outlier_pulls_with_the_same_force_however_far(error):
    for loss in ("huber", "log_cosh", "mae"):
        p = Tensor([[error]], requires_grad=True)
        losses.get(loss)([[0.0]], p).backward()
        assert p.grad == np.sign(error)


def test_a_vector_of_zeros_has_no_direction_and_a_finite_slope():
    p = Tensor([[0.0, 0.0]], requires_grad=True)
    loss = losses.CosineSimilarity()([[3.0, 4.0]], p)
    loss.backward()
    assert float(loss) == 0 and np.isfinite(p.grad).all()


def test_hinges_take_zero_and_one_for_minus_one_and_one():
    p = [[0.3], [-2.0]]
    for function in (losses.hinge, losses.squared_hinge):
        np.testing.assert_array_equal(function([[1], [0]], p).data, function([[1], [-1]], p).data)


# What the article calls the mean squared error


def test_half_the_sum_of_squares_is_no_mean():
    y, p = [[0.0], [1.0], [1.0]], Tensor([[0.5], [0.5], [3.0]], requires_grad=True)
    half_sum, mean = losses.HalfSumSquaredError()(y, p), losses.MeanSquaredError()(y, p)
    np.testing.assert_allclose(float(mean), 2 / 3 * float(half_sum))
    half_sum.backward()
    np.testing.assert_array_equal(p.grad, p.data - y)


# Cross-entropy from the logits under a prediction


@pytest.mark.parametrize("logit", [-1000.0, -30.0, 0.3, 30.0, 1000.0])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_binary_crossentropy_of_a_sigmoid_is_exact_and_its_slope_is_p_minus_y(logit, label):
    z = Tensor([[logit]], requires_grad=True)
    p = ops.sigmoid(z)
    loss = losses.BinaryCrossentropy()([[label]], p)
    loss.backward()
    np.testing.assert_allclose(float(loss), np.logaddexp(0, -logit if label else logit), rtol=1e-14, atol=1e-300)
    np.testing.assert_allclose(z.grad, p.data - label, rtol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_crossentropy_of_a_softmax_is_exact_and_its_slope_is_p_minus_y(smoothing):
    z = Tensor([[1000.0, 0.0, -1000.0], [1.0, 2.0, 3.0]], requires_grad=True)
    p, y = ops.softmax(z), np.eye(3)[[2, 0]]
    loss = losses.CategoricalCrossentropy(reduction="sum", label_smoothing=smoothing)(y, p)
    loss.backward()
    np.testing.assert_allclose(z.grad, p.data - (y * (1 - smoothing) + smoothing / 3), atol=1e-12)
    assert np.isfinite(loss.data)


def test_one_hot_and_whole_number_labels_give_the_same_loss():
    z = np.array([[1000.0, 0.0, -1000.0], [1.0, 2.0, 3.0]])
    one_hot = losses.CategoricalCrossentropy(from_logits=True)(np.eye(3)[[2, 0]], z)
    sparse = losses.SparseCategoricalCrossentropy(from_logits=True)([2, 0], z)
    np.testing.assert_allclose(float(sparse), float(one_hot), rtol=1e-14)


def test_label_smoothing_moves_binary_labels_towards_a_half():
    found = losses.BinaryCrossentropy(label_smoothing=0.2)([[1.0]], [[0.7]])
    np.testing.assert_allclose(float(found), -(0.9 * np.log(0.7) + 0.1 * np.log(0.3)))


def test_the_labels_are_never_changed_in_place():
    y = np.array([[1.0], [0.0]])
    losses.BinaryCrossentropy(label_smoothing=0.2)(y, [[0.7], [0.2]])
    assert y.tolist() == [[1], [0]]


# Weights and masks


def test_a_masked_step_counts_in_neither_the_sum_nor_the_number():
    y, p = np.zeros((2, 3, 1)), np.array([[[1.0], [2.0], [9.0]], [[3.0], [9.0], [9.0]]])
    mask = [[True, True, False], [True, False, False]]
    assert float(losses.MeanSquaredError()(y, p, mask=mask)) == (1 + 4 + 9) / 3
    assert float(losses.MeanSquaredError()(y, p, mask=np.zeros((2, 3), bool))) == 0


def test_a_sample_weight_holds_for_every_step_of_its_sample():
    y, p = np.zeros((2, 2, 1)), np.array([[[1.0], [2.0]], [[3.0], [4.0]]])
    assert float(losses.MeanSquaredError()(y, p, sample_weight=[2.0, 0.0])) == 10 / 4
    assert float(losses.MeanSquaredError()(y, p, sample_weight=[[1.0, 0.0], [0.0, 1.0]])) == 17 / 4
    assert float(losses.MeanSquaredError()(y, p, sample_weight=[[2.0], [0.0]])) == 10 / 4


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1,), (4, 1)])
def test_a_sample_weight_that_does_not_fit_is_refused(shape):
    with pytest.raises(ValueError, match=r"mean_squared_error: sample_weight \(.*\) does not fit the losses \(2,\)"):
        losses.MeanSquaredError()(np.zeros((2, 3)), np.ones((2, 3)), sample_weight=np.ones(shape))


def test_a_mean_by_weights_with_equal_weights_is_the_mean_whatever_their_shape():
    y, p = np.zeros((2, 3, 1)), np.arange(6.0).reshape(2, 3, 1)
    loss, mean = losses.MeanSquaredError("mean_with_sample_weight"), float(losses.MeanSquaredError()(y, p))
    for shape in ((2,), (2, 1), (2, 3), (2, 3, 1), ()):
        np.testing.assert_allclose(float(loss(y, p, np.full(shape, 0.3))), mean)
    assert float(loss(y, p, np.zeros(2))) == 0


@pytest.mark.parametrize("ignored", [-1, 1, 9])
def test_an_ignored_label_counts_in_neither_the_sum_nor_the_number_and_teaches_nothing(ignored):
    z = Tensor([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]], requires_grad=True)
    for from_logits, p in ((True, z), (False, ops.softmax(z))):
        z.grad = None
        loss = losses.SparseCategoricalCrossentropy(from_logits, ignored)([2, ignored], p)
        loss.backward()
        np.testing.assert_allclose(float(loss), np.log(np.exp([-2, -1, 0]).sum()), rtol=1e-12)
        assert (z.grad[1] == 0).all() and z.grad[0].any()


def test_ignored_labels_and_a_mask_add_up():
    y, p = [[0, 1, -1]], np.full((1, 3, 2), 0.5)
    loss = losses.SparseCategoricalCrossentropy(ignore_class=-1, reduction="sum")
    np.testing.assert_allclose(float(loss(y, p)), 2 * np.log(2))
    np.testing.assert_allclose(float(loss(y, p, mask=[[False, True, True]])), np.log(2))


def test_a_loss_that_is_one_number_already_stays_so_under_a_mask():
    mine = losses.get(lambda y_true, y_pred: np.mean(np.square(y_pred - y_true)))
    assert float(mine(np.zeros((2, 3)), Tensor(np.full((2, 3), 2.0)), mask=np.ones((2, 3), bool))) == 4


# Bad input


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_labels_that_do_not_fit_are_refused_with_both_shapes(function):
    with pytest.raises(ValueError, match=rf"{function.__name__}: labels \(2, 2\) do not fit predictions \(3, 4\)"):
        function(np.ones((2, 2)), np.full((3, 4), 0.25))


@pytest.mark.parametrize("label", [-1, 3, 1.5, np.nan, np.inf])
@pytest.mark.parametrize("from_logits", [True, False])
def test_a_label_that_is_no_class_is_named(label, from_logits):
    message = rf"sparse_categorical_crossentropy: label {label} is not one of 0\.\.2"
    with pytest.raises(ValueError, match=message):
        losses.sparse_categorical_crossentropy([0, label], np.full((2, 3), 1 / 3), from_logits=from_logits)


@pytest.mark.parametrize("label", [2.0, -1.0])
def test_a_binary_label_outside_0_and_1_would_make_the_loss_negative_and_is_refused(label):
    with pytest.raises(ValueError, match=f"binary_crossentropy: a label lies between 0 and 1; found {label}"):
        losses.binary_crossentropy([[label]], [[0.9]])


@pytest.mark.parametrize("value", [3.0, np.ones(1)])
def test_a_loss_of_ones_own_that_lost_the_graph_is_refused(value):
    with pytest.raises(TypeError, match=r"a loss is a Tensor computed from y_pred; found (float|ndarray)"):
        losses.get(lambda y_true, y_pred: value)([[1.0]], [[1.0]])


def test_labels_in_a_row_fit_predictions_in_a_column():
    assert losses.binary_crossentropy([1, 0], [[0.9], [0.1]]).shape == (2,)
    assert losses.mean_squared_error([1, 0], [[1.0], [0.0]]).data.tolist() == [0, 0]


def test_an_unknown_loss_lists_the_known_ones():
    for wrong in ("nope", 3, None):
        with pytest.raises(ValueError, match=r"unknown loss .*; known: bce, binary_crossentropy, .*mse"):
            losses.get(wrong)


def test_an_unknown_reduction_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown reduction 'man'; known: sum_over_batch_size, mean, sum, "):
        losses.MeanSquaredError(reduction="man")


def test_an_unknown_option_shows_when_the_loss_is_made():
    with pytest.raises(TypeError, match=r"unknown options .'from_logit'.; known: from_logits, label_smoothing"):
        losses.BinaryCrossentropy(from_logit=True)


def test_a_loss_may_be_a_name_a_class_an_object_or_a_function():
    made = losses.BinaryCrossentropy(from_logits=True)
    assert losses.get(made) is made
    assert type(losses.get("mse")) is type(losses.get(losses.MeanSquaredError)) is losses.MeanSquaredError
    assert type(losses.get("KLDivergence")) is type(losses.get("kld")) is type(losses.get("KLD")) is losses.KLDivergence
    mine = losses.get(lambda y_true, y_pred: np.mean(np.absolute(y_pred - y_true), axis=-1))
    assert float(mine(np.zeros((2, 2)), Tensor([[1.0, 3.0], [0.0, 0.0]]))) == 1


@pytest.mark.parametrize("name", sorted(losses.LOSSES))
def test_float32_stays_float32(name):
    p = Tensor([[0.25, 0.75], [0.5, 0.5]], requires_grad=True, dtype="float32")
    y = [1, 0] if name.startswith("sparse") else [[0.0, 1.0], [1.0, 0.0]]
    loss = losses.get(name)(y, p, sample_weight=[1.0, 2.0])
    loss.backward()
    assert loss.dtype == p.grad.dtype == "float32"


def test_float32_stays_float32_with_ignored_labels_and_class_weights_of_its_own():
    p = Tensor(np.full((2, 2), 0.5), requires_grad=True, dtype="float32")
    for loss, y in (
        (losses.SparseCategoricalCrossentropy(ignore_class=1), [1, 0]),
        (losses.CategoricalFocalCrossentropy(alpha=[0.2, 0.3], label_smoothing=0.1), np.eye(2)),
        (losses.BinaryFocalCrossentropy(True, np.float64(0.3), np.float64(2)), np.eye(2)),
        (losses.Huber(np.float64(0.5)), np.eye(2)),
    ):
        p.grad = None
        value = loss(y, p, np.ones(2), np.ones(2, bool))
        value.backward()
        assert value.dtype == p.grad.dtype == "float32"


def test_a_configuration_makes_an_equal_loss():
    loss = losses.BinaryCrossentropy(reduction="sum", label_smoothing=0.1)
    assert losses.BinaryCrossentropy(**loss.get_config()).get_config() == loss.get_config()
    for name in losses.LOSSES:
        config = losses.get(name).get_config()
        assert losses.LOSSES[name](**config).get_config() == config


def test_options_come_in_the_order_of_keras():
    assert losses.BinaryCrossentropy(True, 0.1).options == {"from_logits": True, "label_smoothing": 0.1}
    assert losses.Huber(2.0).options == {"delta": 2.0} and losses.MeanSquaredError("sum").reduction == "sum"
    with pytest.raises(TypeError, match="BinaryCrossentropy: from_logits is True or False; found 'sum'"):
        losses.BinaryCrossentropy("sum")
    with pytest.raises(TypeError, match=r"MeanSquaredError: unknown options \[3\]; known: reduction, name"):
        losses.MeanSquaredError("sum", "mine", 3)


def test_a_subclass_that_computes_nothing_says_what_is_missing():
    with pytest.raises(NotImplementedError, match=r"Mine: a loss of one's own defines call\(self, y_true, y_pred\)"):
        type("Mine", (losses.Loss,), {})()([[1.0]], [[1.0]])


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            lambda: losses.binary_crossentropy([[1.0]], [[3.0]]),
            "a prediction is a probability; found 3.0: end .*'sigmoid'",
        ),
        (lambda: losses.binary_crossentropy([[1.0]], [[-0.5]]), "found -0.5"),
        (
            lambda: losses.categorical_crossentropy([[1.0, 0.0]], [[-1.0, 3.0]]),
            "found -1.0: .*'softmax', or .*from_logits",
        ),
        (lambda: losses.sparse_categorical_crossentropy([1], [[-1.0, 3.0]]), "found -1.0"),
        (lambda: losses.categorical_crossentropy([[1.0]], [[0.9]]), "one output: binary_crossentropy"),
        (lambda: losses.binary_crossentropy(1.0, 0.9), "at least one axis; found the number 0.9"),
        (lambda: losses.BinaryCrossentropy(label_smoothing=3), "label_smoothing must lie between 0 and 1; found 3"),
        (lambda: losses.binary_crossentropy([[1.0]], [[0.9]], label_smoothing=-1), "label_smoothing must .* found -1"),
        (lambda: losses.Huber(delta=0.0), "Huber: delta must be positive; found 0.0"),
        (lambda: losses.CategoricalFocalCrossentropy(alpha=[1, -1]), r"alpha must be 0 or more; found \[1, -1\]"),
        (lambda: losses.binary_focal_crossentropy([[1.0]], [[0.9]], gamma=-1.0), "gamma must be 0 or more; found -1"),
        (
            lambda: losses.categorical_focal_crossentropy([[1.0, 0.0]], [[0.5, 0.5]], alpha=[1, 2, 3]),
            r"alpha is one number or one per class; found \(3,\) for 2",
        ),
        (lambda: losses.categorical_crossentropy([[2.0, 0.0]], [[0.5, 0.5]]), "a label lies between 0 and 1; found 2"),
        (lambda: losses.kl_divergence([[2.0]], [[0.5]]), "kl_divergence: a label lies between 0 and 1; found 2.0"),
        (lambda: losses.kl_divergence([[1.0]], [[3.0]]), "a probability; found 3.0: end .*'softmax'$"),
        (lambda: losses.poisson([[-1.0]], [[3.0]]), "poisson: a label is 0 or more; found -1.0"),
        (lambda: losses.poisson([[1.0]], [[-3.0]]), "poisson: a prediction is a rate; found -3.0: .*'softplus'$"),
        (lambda: losses.mean_squared_logarithmic_error([[-1.0]], [[3.0]]), "a label is 0 or more; found -1.0"),
        (lambda: losses.hinge([[0.0], [-1.0]], [[3.0], [1.0]]), r"labels are -1 and 1, or 0 and 1; found 0.0 among"),
        (lambda: losses.squared_hinge([[3.0]], [[3.0]]), "squared_hinge: labels are -1 and 1, or 0 and 1; found 3.0"),
        (
            lambda: losses.mean_squared_error(np.ones((0, 2)), np.ones((0, 2))),
            r"an empty batch: .* shape \(0, 2\)",
        ),
        (lambda: losses.cosine_similarity([[1.0]], [[1.0]], axis=2), r"predictions \(1, 1\) have no axis 2"),
    ],
)
def test_scores_where_probabilities_belong_and_other_misuse(action, message):
    with pytest.raises(ValueError, match=message):
        action()


@pytest.mark.parametrize(
    ("loss", "squash", "labels"),
    [
        (losses.BinaryCrossentropy, ops.sigmoid, [[1.0, 0.0]]),
        (losses.CategoricalCrossentropy, ops.softmax, [[1.0, 0.0]]),
        (losses.SparseCategoricalCrossentropy, ops.softmax, [0]),
    ],
)
def test_squashed_predictions_are_no_logits(loss, squash, labels):
    z = Tensor([[0.3, -0.2]], requires_grad=True)
    with pytest.raises(
        ValueError, match=f"from_logits=True, but the predictions went through {squash.__name__} already"
    ):
        loss(from_logits=True)(labels, squash(z))
