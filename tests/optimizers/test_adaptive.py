"""Where the formulas of the adaptive optimisers are delicate."""

import numpy as np
import pytest

from tests.optimizers.cases import CASES, random_steps, walk
from tinyllm import Tensor
from tinyllm.optimizers import Adagrad, Adam, Nadam, RMSprop


def test_adams_first_step_has_the_size_of_the_rate_whatever_the_gradient():
    for scale in (1e-3, 1.0, 1e3):
        ((after,),) = walk(Adam(0.01), [np.zeros(2)], [[scale * np.array([1.0, -2.0])]])
        np.testing.assert_allclose(after, [-0.01, 0.01], rtol=0.01)


def test_a_row_that_is_looked_up_twice_is_squared_as_a_whole():
    """(g + g)^2, not g^2 + g^2 as in Keras 3 on TensorFlow, where such a row moves sqrt(2) times as far."""
    table = Tensor(np.zeros((2, 1)), requires_grad=True)
    np.sum(table[np.array([0, 0, 1])]).backward()
    Adam(0.01, epsilon=1e-12).apply_gradients([(table.grad, table)])
    np.testing.assert_allclose(table.data, [[-0.01], [-0.01]], rtol=1e-6)


def test_amsgrad_never_forgets_a_large_gradient():
    start, gradients = [np.zeros(1)], [[np.array([100.0])], *([np.array([1.0])] for _ in range(50))]
    plain, ams = (walk(Adam(0.1, beta_2=0.5, amsgrad=a), start, gradients) for a in (False, True))
    assert abs(ams[-1][0] - ams[-2][0]) < 0.05 < abs(plain[-1][0] - plain[-2][0])


def test_nadam_goes_on_from_any_step():
    """The product of its momenta is not among the slots: it follows from the number of steps."""
    start, gradients = random_steps(8)
    whole, half, rest = Nadam(0.1), Nadam(0.1), Nadam(0.1)
    path = walk(whole, start, gradients)
    before = walk(half, start, gradients[:5])[-1]
    rest.build([Tensor(w, requires_grad=True) for w in before])
    rest.iterations = 5
    for old, new in zip(half.get_state(), rest.get_state()):
        for slot in old:
            new[slot][...] = old[slot]
    for step in gradients[5:]:
        rest.apply_gradients(zip(step, rest.parameters))
    for a, p in zip(path[-1], rest.parameters):
        np.testing.assert_array_equal(a, p.data)


def test_nadam_may_be_taken_back_to_an_earlier_step():
    start, gradients = random_steps(8)
    optimizer = Nadam(0.1)
    walk(optimizer, start, gradients)
    assert optimizer._product(3) == Nadam(0.1)._product(3)


def test_the_variance_of_equal_gradients_is_not_below_zero():
    path = walk(RMSprop(0.01, centered=True), [np.zeros(3)], [[np.full(3, 12345.67)]] * 200, "float32")
    assert np.isfinite(path[-1]).all()


def test_adagrads_sum_starts_where_it_is_told():
    ((after,),) = walk(Adagrad(1.0, initial_accumulator_value=0.25), [np.zeros(1)], [[np.array([1.0])]])
    np.testing.assert_allclose(after, -1 / np.sqrt(1.25), rtol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_every_optimizer_comes_down_a_bowl(name):
    optimizer, w = CASES[name](), Tensor([3.0, -2.0], requires_grad=True)
    optimizer.learning_rate = 0.05
    before = np.sum(np.square(w.data))
    for _ in range(100):
        optimizer.apply_gradients([(2 * w.data, w)])
    assert np.sum(np.square(w.data)) < 0.5 * before
