"""Which draws serve which numbers; Dropout itself is tested in test_dense.py."""

import numpy as np
import pytest

from tinyllm.layers import Dropout, SpatialDropout1D


def test_a_feature_is_dropped_in_all_time_steps_or_in_none():
    for layer in (SpatialDropout1D(0.5, seed=0), Dropout(0.5, noise_shape=(None, 1, None), seed=0)):
        y = layer(np.ones((4, 5, 6)), training=True).data
        np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1], y.shape))
        assert set(np.unique(y)) == {0, 2} and (y[0] != y[1]).any()


def test_outside_training_nothing_is_dropped():
    x = np.arange(6.0).reshape(1, 2, 3)
    np.testing.assert_array_equal(SpatialDropout1D(0.5)(x).data, x)


def test_a_noise_shape_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"noise_shape \(None, 2\) does not fit inputs of shape \(4, 3\)"):
        Dropout(0.5, noise_shape=(None, 2))(np.ones((4, 3)), training=True)


def test_spatial_dropout_wants_three_axes():
    with pytest.raises(
        ValueError, match=r"SpatialDropout1D .*expected inputs \(batch, time, features\), found \(4, 3\)"
    ):
        SpatialDropout1D(0.5)(np.ones((4, 3)))


@pytest.mark.parametrize("rate", [1, -0.5, "0.5"])
def test_the_rate_is_checked(rate):
    with pytest.raises(ValueError, match="SpatialDropout1D: rate must be at least 0 and below 1; found"):
        SpatialDropout1D(rate)
