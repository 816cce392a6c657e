"""Clipping bounds what it says; a landscape passes through the model and leaves it where it was."""

import numpy as np
import pytest

from tinyllm.experiments import WeightPath, clipping, landscape, record_path
from tinyllm.layers import Dense, Dropout
from tinyllm.models import Sequential
from tinyllm.optimizers import SGD


@pytest.fixture(scope="module")
def runs():
    return clipping()


def test_clipping_by_norm_bounds_the_norm_and_leaves_small_gradients_alone(runs):
    norms, used = runs.norms["norm"], runs.used["norm"]
    np.testing.assert_allclose(used, np.minimum(norms, runs.clip_norm), rtol=1e-12)
    assert np.any(norms > runs.clip_norm)


def test_clipping_by_value_bounds_the_norm_by_the_number_of_weights(runs):
    numbers = 16 + 16 * 16 + 16 + 16
    assert np.max(runs.used["value"]) <= runs.clip_value * np.sqrt(numbers)
    assert np.all(runs.used["value"] <= runs.norms["value"])


def test_without_clipping_the_gradient_that_is_used_is_the_one_that_came(runs):
    np.testing.assert_array_equal(runs.used["none"], runs.norms["none"])


def test_clipped_training_learns_where_the_unclipped_explodes(runs):
    assert np.mean(runs.losses["norm"][-10:]) < 0.2 > np.mean(runs.losses["value"][-10:])
    assert np.nanmax(runs.losses["none"]) > 1e4


def test_where_nothing_explodes_all_three_learn():
    result = clipping(learning_rate=0.05, steps=60)
    assert all(np.mean(losses[-10:]) < 0.6 * losses[0] for losses in result.losses.values())


def test_all_three_trainings_begin_at_the_same_loss(runs):
    assert len({losses[0] for losses in runs.losses.values()}) == 1


def test_a_training_that_overflows_ends_in_nan_not_in_a_warning():
    result = clipping(learning_rate=1e200, steps=4)
    assert np.isfinite(result.losses["none"][0]) and np.isnan(result.losses["none"][-1])
    result.plot()
    assert "none" in str(result)


@pytest.mark.parametrize("bound", [0, -1.0, np.nan])
def test_a_bound_that_lets_nothing_through_is_refused(bound):
    with pytest.raises(ValueError, match="clipping: clip_norm must be positive"):
        clipping(clip_norm=bound)
    with pytest.raises(ValueError, match="clipping: clip_value must be positive"):
        clipping(clip_value=bound)


@pytest.fixture
def model():
    model = Sequential([Dense(5, activation="tanh", input_shape=(2,)), Dropout(0.5), Dense(1)], dtype="float64")
    model.compile(SGD(0.1), "mse")
    return model


X = np.random.default_rng(0).standard_normal((16, 2))
Y = np.sin(X[:, :1])


def test_in_the_middle_of_a_landscape_is_the_models_own_loss(model):
    height = landscape(model, X, Y, resolution=5)
    assert height.losses[2, 2] == height.loss == model.evaluate(X, Y)
    assert (height.a[2], height.b[2]) == (0, 0)


def test_a_landscape_leaves_the_weights_as_they_were(model):
    before, arrays = model.get_weights(), [w.data for w in model.weights]
    landscape(model, X, Y, resolution=3)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))
    assert all(w.data is a for w, a in zip(model.weights, arrays))


def test_a_landscape_that_fails_leaves_them_too(model):
    before = model.get_weights()
    with pytest.raises(ValueError):
        landscape(model, np.ones((4, 3)), Y[:4], resolution=3)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))


def test_random_directions_have_the_norm_of_each_units_weights(model):
    from tinyllm.experiments.descent import _random_directions

    kernel = model.weights[0]
    model.weights[1].data[:] = [0, 1, 2, 3, 4]
    for direction in _random_directions(model.trainable_weights, np.random.default_rng(0)):
        columns, bias = direction[:10].reshape(2, 5), direction[10:15]
        np.testing.assert_allclose(np.linalg.norm(columns, axis=0), np.linalg.norm(kernel.data, axis=0))
        assert np.linalg.norm(bias) == pytest.approx(np.sqrt(30))


def test_a_recorded_path_runs_from_the_first_weights_to_the_last(model):
    first = np.concatenate([w.ravel() for w in model.get_weights()])
    path = record_path(model, X, Y, epochs=3, batch_size=4)
    assert path.shape == (1 + 3 * 4, 21)
    np.testing.assert_array_equal(path[0], first)
    np.testing.assert_array_equal(path[-1], np.concatenate([w.ravel() for w in model.get_weights()]))


def test_of_a_long_path_every_so_many_points_are_kept_and_the_last(model):
    assert len(record_path(model, X, Y, epochs=5, batch_size=16, every=2)) == 1 + 2 + 1
    with pytest.raises(ValueError, match="WeightPath: every must be a whole number of at least 1; found 0"):
        WeightPath(0)


def test_a_path_ends_in_the_middle_of_its_landscape_and_lies_inside_it(model):
    path = record_path(model, X, Y, epochs=10)
    height = landscape(model, X, Y, path, resolution=9)
    np.testing.assert_allclose(height.path[-1], 0, atol=1e-12)
    assert height.a[0] <= height.path[:, 0].min() and height.path[:, 0].max() <= height.a[-1]
    assert height.b[0] <= height.path[:, 1].min() and height.path[:, 1].max() <= height.b[-1]
    assert height.loss == model.evaluate(X, Y)


def test_the_plane_of_a_path_holds_what_it_says_of_its_length(model):
    path = record_path(model, X, Y, epochs=10)
    height = landscape(model, X, Y, path, resolution=3)
    held, whole = np.sum(height.path**2), np.sum((path - path[-1]) ** 2)
    assert np.sum(height.explained) == pytest.approx(held / whole)
    assert 0.9 < np.sum(height.explained) <= 1


def test_a_straight_path_lies_in_its_plane_to_the_last_digit(model):
    end = np.concatenate([w.ravel() for w in model.get_weights()])
    path = end + np.linspace(1, 0, 7)[:, None] * np.random.default_rng(0).standard_normal(21)
    height = landscape(model, X, Y, path, resolution=5)
    np.testing.assert_allclose(height.explained, [1, 0], atol=1e-12)
    height.plot()


def test_a_height_that_is_not_finite_is_left_white(model):
    height = landscape(model, X, Y, span=1e200, resolution=3)
    assert np.isfinite(height.loss) and np.isnan(height.losses).any()
    height.plot()


def test_the_same_seed_gives_the_same_landscape(model):
    one, same, other = (landscape(model, X, Y, resolution=3, seed=seed).losses for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"path": np.zeros((9, 4))}, r"path must be \(points, 21\) with at least 3 points; found \(9, 4\)"),
        ({"path": np.zeros((2, 21))}, r"with at least 3 points; found \(2, 21\)"),
        ({"resolution": 2}, "resolution must be a whole number of at least 3; found 2"),
        ({"span": 0}, "span must be a positive number; found 0"),
    ],
)
def test_a_wrong_argument_is_one_line(model, options, says):
    with pytest.raises(ValueError, match=f"landscape: .*{says}"):
        landscape(model, X, Y, **options)


def test_a_path_that_does_not_move_has_no_directions(model):
    here = np.concatenate([w.ravel() for w in model.get_weights()])
    with pytest.raises(ValueError, match="landscape: the path does not move"):
        landscape(model, X, Y, np.tile(here, (4, 1)))


def test_a_model_without_a_loss_has_no_landscape():
    with pytest.raises(RuntimeError, match=r"landscape: call model.compile\(optimizer, loss\) first"):
        landscape(Sequential([Dense(1, input_shape=(2,))]), X, Y)


def test_a_model_of_one_number_has_no_plane():
    model = Sequential([Dense(1, use_bias=False, input_shape=(1,))])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="landscape: a plane needs a model with at least two trainable numbers"):
        landscape(model, np.ones((2, 1)), np.ones((2, 1)))
