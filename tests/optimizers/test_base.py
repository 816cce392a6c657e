"""Settings, groups, clipping and the step that all optimisers share."""

import copy
import json
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.optimizers.cases import CASES, random_steps, walk
from tinyllm import Tensor, optimizers
from tinyllm.layers import Dense
from tinyllm.models import Sequential
from tinyllm.optimizers import GD, SGD, Adam, AdamW, Group, Optimizer, RMSprop
from tinyllm.saving import load_model
from tinyllm.schedules import CosineDecay, ExponentialDecay, OneCycle

NAN, INF = float("nan"), float("inf")


def one_weight():
    return Tensor([[1.0, 2.0]], requires_grad=True)


# -- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_a_configuration_goes_through_json_and_makes_an_equal_optimizer(name):
    optimizer = CASES[name]()
    config = json.loads(json.dumps(optimizer.get_config()))
    again = optimizers.get({"class_name": type(optimizer).__name__, "config": config})
    assert type(again) is type(optimizer) and again.get_config() == optimizer.get_config()
    start, gradients = random_steps(4)
    np.testing.assert_array_equal(walk(optimizer, start, gradients)[-1][0], walk(again, start, gradients)[-1][0])


@pytest.mark.parametrize("name", ["gd", "sgd", "adam", "adamw", "rmsprop", "adagrad", "nadam", "adamax", "AdamW"])
def test_an_optimizer_has_a_name(name):
    assert type(optimizers.get(name)).__name__.lower() == optimizers.get(name).name == name.lower()


def test_an_unknown_optimizer_lists_the_known_ones():
    for wrong in ("nope", 3, None, {"class_name": "Nope"}):
        with pytest.raises(ValueError, match=r"unknown optimizer .*; known: adagrad, adam, .*sgd"):
            optimizers.get(wrong)


def test_a_class_is_no_optimizer():
    with pytest.raises(TypeError, match=r"^optimizer: found the class Adam; make one of it: Adam\(\)$"):
        optimizers.get(Adam)


@pytest.mark.parametrize("rate", [-0.1, NAN, INF, "0.1", None, True, 1j, [0.1]])
@pytest.mark.parametrize("make", [GD, SGD, Adam])
def test_a_learning_rate_is_0_or_a_positive_number_at_first_and_later(make, rate):
    message = f"^{make.__name__}: learning_rate must be 0 or a positive number; found "
    with pytest.raises(ValueError, match=message):
        make(learning_rate=rate)
    optimizer = make(0.5)
    with pytest.raises(ValueError, match=message):
        optimizer.learning_rate = rate
    assert optimizer.learning_rate == 0.5


@pytest.mark.parametrize(
    "make, setting, wrong",
    [
        (SGD, "momentum", (-0.1, 1.5, NAN, None)),
        (RMSprop, "momentum", (-0.1, 1.5)),
        (RMSprop, "rho", (-0.1, 1.0)),
        (Adam, "beta_1", (1.0, -0.5, "0.9")),
        (Adam, "beta_2", (1.0, -0.5)),
        (Adam, "epsilon", (0, -1e-7, NAN, None)),
        (optimizers.Adagrad, "initial_accumulator_value", (-1, INF)),
        (optimizers.Nadam, "beta_1", (1.0,)),
        (optimizers.Adamax, "epsilon", (0,)),
        (SGD, "weight_decay", (-0.1, INF)),
        (AdamW, "weight_decay", (None, -1)),
        (SGD, "clipnorm", (0, -1.0, INF)),
        (SGD, "clipvalue", (0, -1.0)),
        (Adam, "global_clipnorm", (0, NAN)),
    ],
)
def test_a_setting_out_of_range_is_named_at_first_and_later(make, setting, wrong):
    for value in wrong:
        with pytest.raises(ValueError, match=f"^{make.__name__}: {setting} must be .*; found {value!r}"):
            make(**{setting: value})
        with pytest.raises(ValueError, match=f"^{make.__name__}: {setting} must be .*; found {value!r}"):
            setattr(make(), setting, value)


def test_the_edges_of_the_ranges_are_in_them_or_not():
    SGD(0, momentum=1)
    RMSprop(rho=0, momentum=0)
    Adam(beta_1=0, beta_2=0, epsilon=5e-324, weight_decay=0, clipnorm=5e-324)
    for setting in ("epsilon", "weight_decay", "clipnorm"):
        with pytest.raises(ValueError, match=f"Adam: {setting} must be .*; found inf"):
            Adam(**{setting: INF})


@pytest.mark.parametrize("pair", [("clipnorm", "clipvalue"), ("clipvalue", "global_clipnorm")])
def test_only_one_of_the_three_ways_to_clip_is_taken(pair):
    message = r"^Adam: choose one of (\w+) and (\w+)$"
    with pytest.raises(ValueError, match=message):
        Adam(**dict.fromkeys(pair, 1.0))
    optimizer = Adam(**{pair[0]: 1.0})
    with pytest.raises(ValueError, match=message):
        setattr(optimizer, pair[1], 1.0)
    setattr(optimizer, pair[0], None)
    setattr(optimizer, pair[1], 1.0)


def test_an_unknown_setting_is_refused():
    with pytest.raises(TypeError, match="momentun"):
        SGD(momentun=0.9)


def test_a_numpy_scalar_does_not_decide_the_dtype():
    optimizer = SGD(np.float64(0.5), momentum=np.float64(0.5), weight_decay=np.float32(0.5))
    assert {type(optimizer.learning_rate), type(optimizer.momentum), type(optimizer.weight_decay)} == {float}


def test_an_optimizer_shows_its_settings():
    assert repr(SGD(0.5, momentum=0.25)).startswith("SGD(learning_rate=0.5, ")
    assert "momentum=0.25" in repr(SGD(0.5, momentum=0.25))


def test_an_optimizer_of_ones_own_is_a_class_with_update():
    class SignDescent(Optimizer):
        def update(self, w, g, slots, rate):
            w -= rate * np.sign(g)

    assert SignDescent().learning_rate == SignDescent.learning_rate == 0.01
    w = one_weight()
    SignDescent(0.5, weight_decay=1.0).apply_gradients([(np.array([[7.0, -7.0]]), w)])
    assert w.data.tolist() == [[0.0, 1.5]]


# -- the learning rate ----------------------------------------------------------------------------------------------


def test_the_learning_rate_may_change_between_steps():
    w, optimizer = one_weight(), SGD(0.5)
    optimizer.apply_gradients([(np.ones((1, 2)), w)])
    optimizer.learning_rate = 0.0
    optimizer.apply_gradients([(np.ones((1, 2)), w)])
    assert w.data.tolist() == [[0.5, 1.5]]


def test_a_schedule_is_asked_before_every_step_and_can_be_read():
    w, optimizer, read = one_weight(), SGD(lambda step: 2.0**-step), []
    for _ in range(3):
        read.append(optimizer.learning_rate)
        optimizer.apply_gradients([(np.ones((1, 2)), w)])
    assert read == [1, 0.5, 0.25]
    assert w.data.tolist() == [[1 - 1.75, 2 - 1.75]]


@pytest.mark.parametrize("rate", [-0.1, NAN, "fast", None])
def test_a_schedule_that_gives_no_rate_is_found_out_before_a_weight_moves(rate):
    w, optimizer = one_weight(), SGD(lambda step: rate if step else 1.0, weight_decay=0.5)
    optimizer.apply_gradients([(np.zeros((1, 2)), w)])
    before = w.data.copy()
    with pytest.raises(ValueError, match=r"^SGD: learning_rate must .*, which the schedule gave for step 1$"):
        optimizer.apply_gradients([(np.ones((1, 2)), w)])
    assert (w.data == before).all() and optimizer.iterations == 1


def test_a_schedule_may_be_replaced_by_a_number_and_a_number_by_a_schedule():
    optimizer = SGD(ExponentialDecay(1.0, 1, 0.5))
    optimizer.learning_rate = 0.25
    assert optimizer.learning_rate == 0.25
    optimizer.learning_rate = ExponentialDecay(0.5, 1, 0.5)
    assert optimizer.learning_rate == 0.5


def test_the_class_of_a_schedule_is_no_schedule():
    with pytest.raises(TypeError, match=r"^learning_rate: found the class CosineDecay; make one of it: CosineDecay\("):
        SGD(CosineDecay)


# -- clipping -------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=6), st.floats(1e-3, 1e3))
def test_a_clipped_gradient_has_at_most_that_norm_and_the_same_direction(values, most):
    g = np.array(values, "float32")
    for setting in ("clipnorm", "global_clipnorm"):
        ((after,),) = walk(SGD(1.0, **{setting: most}), [np.zeros(len(g))], [[g]], "float32")
        length = np.linalg.norm(after.astype(float))
        assert length <= most * (1 + 1e-5)
        if np.linalg.norm(g.astype(float)) < most:
            np.testing.assert_array_equal(-after, g)
        else:
            np.testing.assert_allclose(-after.astype(float) / most, g / np.linalg.norm(g.astype(float)), atol=1e-5)


def test_one_weights_gradient_is_clipped_without_the_others():
    (after,) = walk(SGD(1.0, clipnorm=1.0), [np.zeros(2), np.zeros(1)], [[np.array([3.0, 4.0]), np.array([0.5])]])
    np.testing.assert_allclose(after[0], [-0.6, -0.8])
    np.testing.assert_allclose(after[1], [-0.5])


def test_the_global_norm_is_over_all_groups_and_dtypes():
    weights = [Tensor(np.zeros(1), requires_grad=True, dtype=d) for d in ("float32", "float64", "float64")]
    optimizer = SGD(1.0, global_clipnorm=1.0, groups=[Group([2], learning_rate_multiplier=0.5)])
    optimizer.apply_gradients(zip([np.array([2.0]), np.array([3.0]), np.array([6.0])], weights))
    np.testing.assert_allclose([w.data[0] for w in weights], [-2 / 7, -3 / 7, -3 / 7], rtol=1e-6)


def test_a_weight_without_a_gradient_adds_nothing_to_the_global_norm():
    start, optimizer = [np.zeros(2), np.zeros(9)], SGD(1.0, global_clipnorm=5.0)
    (after,) = walk(optimizer, start, [[np.array([3.0, 4.0]), None]])
    assert after[0].tolist() == [-3, -4]


# -- groups ---------------------------------------------------------------------------------------------------------


def test_decay_can_be_for_matrices_only():
    start = [np.ones((2, 2)), np.ones(2)]
    optimizer = AdamW(0.5, weight_decay=0.5, groups=[Group(lambda w: w.ndim < 2, weight_decay=0.0)])
    (after,) = walk(optimizer, start, [[np.zeros((2, 2)), np.zeros(2)]])
    assert (after[0] == 0.75).all() and (after[1] == 1).all()


def test_layers_that_were_trained_before_move_slowly():
    model = Sequential([Dense(3, input_shape=(2,)), Dense(1)])
    before = model.get_weights()
    optimizer = SGD(1.0, groups=[Group(model.layers[0].weights, learning_rate_multiplier=0.125)])
    optimizer.apply_gradients([(np.ones(w.shape), w) for w in model.trainable_weights])
    moved = [b - a for a, b in zip(model.get_weights(), before)]
    for step, expected in zip(moved, [0.125, 0.125, 1, 1]):
        np.testing.assert_allclose(step, expected, rtol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_a_group_goes_as_an_optimizer_with_its_settings_would(name):
    start, gradients = random_steps()
    one, other = CASES[name](), CASES[name]()
    one.global_clipnorm = other.global_clipnorm = None
    rate = vars(one)["learning_rate"]
    one.groups = [Group([1], learning_rate_multiplier=0.5, weight_decay=0.125)]
    other.learning_rate = (lambda step: 0.5 * rate(step)) if callable(rate) else 0.5 * rate
    other.weight_decay = 0.125
    np.testing.assert_allclose(walk(one, start, gradients)[-1][1], walk(other, start, gradients)[-1][1], rtol=1e-13)


def test_the_first_group_that_picks_a_weight_has_it():
    start, g = [np.zeros(1), np.zeros(1)], [np.ones(1), np.ones(1)]
    groups = [Group([0], learning_rate_multiplier=2.0), Group(lambda w: True, learning_rate_multiplier=3.0)]
    (after,) = walk(SGD(1.0, groups=groups), start, [g])
    assert [w[0] for w in after] == [-2, -3]


def test_a_groups_weights_are_positions_in_the_configuration():
    start, gradients = random_steps(2)
    optimizer = SGD(0.5, groups=[Group(lambda w: w.ndim < 2, weight_decay=0.5)])
    expected = walk(optimizer, start, gradients)
    config = json.loads(json.dumps(optimizer.get_config()))
    assert config["groups"] == [{"match": [1], "learning_rate_multiplier": 1.0, "weight_decay": 0.5}]
    np.testing.assert_array_equal(walk(SGD(**config), start, gradients)[-1][1], expected[-1][1])


def test_a_configuration_without_groups_does_not_mention_them():
    assert "groups" not in SGD().get_config()  # Keras reads it from our .h5, and knows no groups


def test_a_weight_in_a_group_that_is_not_trained_is_refused():
    frozen = one_weight()
    for match in ([frozen], [5], [-1]):
        with pytest.raises(ValueError, match=r"^Group: .* is none of the 1 weights that are trained; is it frozen\?"):
            SGD(groups=[Group(match)]).apply_gradients([(np.ones((1, 2)), one_weight())])


def test_what_is_no_group_is_refused():
    with pytest.raises(TypeError, match=r"^SGD: groups must be a list of Group; found 3"):
        SGD(groups=[3])
    for wrong in ({"weight_decay": -1}, {"learning_rate_multiplier": -1}):
        with pytest.raises(ValueError, match=f"^Group: {next(iter(wrong))} must be"):
            Group([0], **wrong)


# -- the step -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_a_gradient_that_is_no_number_moves_nothing(name, bad):
    start, gradients = random_steps(3)
    optimizer = CASES[name]()
    path = walk(optimizer, start, gradients)
    state = copy.deepcopy(optimizer.get_state())
    gradients[0][1][2] = bad
    with pytest.raises(FloatingPointError, match="the gradient is not finite; the weights are as they were"):
        optimizer.apply_gradients(zip(gradients[0], optimizer.parameters))
    assert optimizer.iterations == 3
    for before, p in zip(path[-1], optimizer.parameters):
        np.testing.assert_array_equal(before, p.data)
    for before, after in zip(state, optimizer.get_state()):
        for slot in before:
            np.testing.assert_array_equal(before[slot], after[slot])


def test_gradients_near_the_end_of_the_numbers_are_finite():
    ((after,),) = walk(SGD(1.0, clipnorm=1.0), [np.zeros(2)], [[np.array([1e38, -1e38])]], "float32")
    np.testing.assert_allclose(after, [-(0.5**0.5), 0.5**0.5], rtol=1e-6)


def test_no_gradient_at_all_is_an_error():
    for pairs in ([(None, one_weight())], []):
        with pytest.raises(ValueError, match=r"no weight has a gradient; call backward\(\)"):
            SGD().apply_gradients(pairs)


def test_other_weights_than_the_first_time_are_refused():
    optimizer = SGD()
    optimizer.apply_gradients([(np.ones((1, 2)), one_weight())])
    with pytest.raises(ValueError, match=r"SGD: built for 1 weights, found others; .*compile the model again"):
        optimizer.apply_gradients([(np.ones((1, 2)), one_weight())])


@pytest.mark.parametrize(
    ("pair", "error", "message"),
    [
        ((np.ones(3), Tensor([1.0, 2.0])), ValueError, r"of shape \(3,\) for a weight of shape \(2,\)"),
        ((np.array(1.0), Tensor([1.0, 2.0])), ValueError, r"of shape \(\) for a weight"),
        ((Tensor([1.0]), np.ones(1)), TypeError, r"a pair is \(gradient, weight\)"),
        ((np.ones(1), Tensor([1])), TypeError, r"a weight is made of floating-point numbers; found int64"),
    ],
)
def test_a_gradient_that_does_not_belong_to_its_weight_is_refused(pair, error, message):
    with pytest.raises(error, match=message):
        SGD().apply_gradients([pair])


def test_one_weight_twice_is_refused():
    w = one_weight()
    with pytest.raises(ValueError, match="the same weight occurs twice"):
        SGD().apply_gradients([(np.ones((1, 2)), w), (np.ones((1, 2)), w)])


def test_the_state_is_there_to_be_saved():
    start, gradients = random_steps(1)
    optimizer = Adam(amsgrad=True)
    walk(optimizer, start, gradients)
    slots = {"momentum", "velocity", "velocity_hat"}
    assert optimizer.iterations == 1
    assert [{k: v.shape for k, v in state.items()} for state in optimizer.get_state()] == [
        dict.fromkeys(slots, (2, 3)),
        dict.fromkeys(slots, (4,)),
    ]


@pytest.mark.parametrize("name", CASES)
def test_three_steps_then_three_after_loading_are_six_steps_to_the_bit(name, tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, 2)), rng.normal(size=(24, 1))

    def fresh():
        model = Sequential([Dense(3, "tanh", input_shape=(2,)), Dense(1)], seed=0)
        optimizer = CASES[name]()
        optimizer.groups = [Group(lambda w: w.ndim < 2, weight_decay=0.0, learning_rate_multiplier=0.5)]
        model.compile(optimizer, "mse")
        return model

    whole, half = fresh(), fresh()
    whole.fit(x, y, batch_size=8, epochs=2, verbose=0)
    half.fit(x, y, batch_size=8, epochs=1, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        half.save(tmp_path / "m")
        loaded = load_model(tmp_path / "m")
    loaded.fit(x, y, batch_size=8, epochs=2, initial_epoch=1, verbose=0)
    assert loaded.optimizer.iterations == 6
    for a, b in zip(whole.get_weights(), loaded.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_a_schedule_of_ours_that_keras_lacks_is_saved_too(tmp_path):
    model = Sequential([Dense(1, input_shape=(2,))])
    model.compile(SGD(OneCycle(0.5, 10)), "mse")
    model.save(tmp_path / "m")
    assert vars(load_model(tmp_path / "m").optimizer)["learning_rate"] == OneCycle(0.5, 10)
