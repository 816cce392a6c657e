"""A positive whole number is one, whatever type it has; nothing else is."""

import numpy as np
import pytest

from tinyllm.checks import positive


def test_whole_numbers_of_numpy_become_plain_ones():
    assert type(positive("n", np.int64(3))) is int


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "3", None, np.array([1])])
def test_what_is_no_positive_whole_number_is_named(value):
    with pytest.raises(ValueError, match="n must be a positive whole number; found"):
        positive("n", value)
