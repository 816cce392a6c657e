"""Gradients through depth and time are what the weights say they are."""

import numpy as np
import pytest

from tinyllm.experiments import depth, gradient_flow, sequence_length


@pytest.mark.parametrize("experiment", [depth, sequence_length])
def test_a_vanishing_gradient_blinds_differences_but_not_float32(experiment):
    result = experiment()
    assert result.gradient[-1] < 1e-12 < 0.1 < result.gradient[0]
    assert np.all(result.float32 < 1e-5)
    assert result.central[0] < 1e-9 and result.central[-1] > 0.1


def test_richardson_sees_further_than_central_differences():
    result = depth((1, 8, 32))
    assert np.all(result.richardson < result.central)


def test_an_orthogonal_network_of_no_gain_has_no_gradient_loss_beyond_the_tanh():
    small, large = depth((30,), gain=0.5).gradient[0], depth((30,), gain=1.5).gradient[0]
    assert small < 1e-6 * large


def test_where_the_gradient_is_0_nothing_is_right_of_it():
    result = depth((1, 2), gain=0.0)
    assert result.gradient[-1] == 0 and np.isinf(result.float32[-1]) and np.isinf(result.central[-1])
    result.plot().draw_without_rendering()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: depth(()), "depth: depths is empty"),
        (lambda: depth((1, 0)), "depth: depths must be a whole number of at least 1; found 0"),
        (lambda: depth(units=2.5), "depth: units must be a whole number of at least 1; found 2.5"),
        (lambda: sequence_length((-3,)), "sequence_length: lengths must be a whole number of at least 1; found -3"),
        (lambda: gradient_flow(steps=0), "gradient_flow: steps must be a whole number of at least 1; found 0"),
        (lambda: gradient_flow(np.nan), "gradient_flow: forget_bias must be a finite number or a list of them"),
        (lambda: gradient_flow("one"), "gradient_flow: forget_bias must be a finite number .* found 'one'"),
        (lambda: gradient_flow([]), "gradient_flow: forget_bias must be a finite number or a list of them"),
    ],
)
def test_a_wrong_size_is_one_line(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_a_larger_forget_bias_keeps_more_of_the_gradient_and_a_plain_network_loses_it():
    flow = gradient_flow((-2, 0, 1, 2, 5))
    assert np.all(np.diff(flow.kept) > 0)
    assert flow.kept[0] < 1e-20 < 0.5 < flow.kept[-1]
    assert flow.plain[0] < 1e-10


def test_large_recurrent_weights_make_the_gradient_explode():
    flow = gradient_flow(5.0, recurrent_scale=5, steps=60)
    assert flow.kept[0] > 10 and flow.plain[0] > 1000


def test_the_gradient_of_the_last_state_is_the_losss_own():
    flow = gradient_flow((0, 1), units=4, steps=3)
    np.testing.assert_allclose(flow.hidden[:, -1], 1)
    np.testing.assert_array_equal(flow.cell[:, -1], 0)
    assert flow.plain[-1] == pytest.approx(1)


def test_with_no_recurrent_weights_the_cells_gradient_is_the_product_of_the_forget_gates():
    """Then the gates see the input alone; with a bias of 30 they are open, so nothing is lost from step to step."""
    flow = gradient_flow(30.0, units=4, steps=9, recurrent_scale=0.0)
    np.testing.assert_allclose(flow.cell[0, :-1], flow.cell[0, 0], rtol=1e-9)
    np.testing.assert_array_equal(flow.hidden[0, :-1], 0)


def test_flow_is_the_same_for_the_same_seed():
    one, same, other = (gradient_flow(1.0, units=3, steps=4, seed=seed) for seed in (0, 0, 1))
    assert one.to_dict() == same.to_dict() != other.to_dict()
