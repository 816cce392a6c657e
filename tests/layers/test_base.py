"""What every layer shares: names, weights, and errors that name what is known."""

import numpy as np
import pytest

from tinyllm import Tensor
from tinyllm.layers import LSTM, Dense, Dropout, Embedding, Input, InputLayer, Layer, deserialize

LAYERS = [
    Dense(3, activation="relu", use_bias=False, kernel_initializer="he_normal", name="one"),
    Dropout(0.25),
    Embedding(7, 2, mask_zero=True, input_length=5),
    LSTM(3, return_sequences=True, go_backwards=True, recurrent_activation="hard_sigmoid", trainable=False),
    InputLayer((5,)),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_a_configuration_makes_an_equal_layer(layer):
    again = deserialize({"class_name": type(layer).__name__, "config": layer.get_config()})
    assert type(again) is type(layer) and again.get_config() == layer.get_config()


def test_an_unknown_layer_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown layer 'Dence'; known: Activation, .*Dense, Dropout, Embedding"):
        deserialize({"class_name": "Dence"})


def test_an_unknown_argument_lists_the_known_ones():
    with pytest.raises(TypeError, match=r"LSTM: unknown argument 'unit'; known: activation, .*units, .*weights"):
        LSTM(3, unit=3)


@pytest.mark.parametrize("what", ["activation", "kernel_initializer"])
def test_an_unknown_name_lists_the_known_ones(what):
    with pytest.raises(ValueError, match=f"unknown {what.split('_')[-1]} 'nope'; known: .*(tanh|zeros)"):
        Dense(2, **{what: "nope"})


def test_names_come_from_the_class():
    assert [layer.name for layer in (Dense(1), LSTM(1), Dropout(0.1))] == ["dense", "lstm", "dropout"]


# Weights


def built():
    layer = Dense(2)
    layer(np.ones((1, 3)))
    return layer


def test_get_weights_gives_copies():
    layer = built()
    layer.get_weights()[0][...] = 7
    assert (layer.kernel.data != 7).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], r"Dense 'dense' has 2 weights, found a list of 0"),
        ([np.ones((3, 2))], r"Dense 'dense' has 2 weights, found a list of 1"),
        ([np.ones((3, 2)), np.ones(3)], r"weight 'bias' has shape \(2,\), found \(3,\)"),
        ([np.ones((2, 3)), np.ones(2)], r"weight 'kernel' has shape \(3, 2\), found \(2, 3\)"),
        ([np.ones((3, 2)), ["a", "b"]], r"weight 'bias' is float32, found <U1"),
        ([np.ones((3, 2)), np.ones(2) * 1j], r"weight 'bias' is float32, found complex128"),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_nothing_changes(values, message):
    layer = built()
    before = layer.get_weights()
    with pytest.raises(ValueError, match=message):
        layer.set_weights(values)
    for old, new in zip(before, layer.get_weights()):
        np.testing.assert_array_equal(old, new)


def test_initial_weights_that_do_not_fit_show_when_the_layer_is_built():
    with pytest.raises(ValueError, match=r"weight 'kernel' has shape \(3, 2\), found \(1, 1\)"):
        Dense(2, weights=[np.ones((1, 1)), np.ones(2)])(np.ones((1, 3)))


def test_a_seed_decides_the_weights():
    a, b, c = (Dense(4, seed=seed) for seed in (1, 1, 2))
    values = [layer(np.ones((1, 3))).data for layer in (a, b, c)]
    assert (values[0] == values[1]).all() and (values[0] != values[2]).any()


def test_a_frozen_layer_has_no_trainable_weights():
    layer = built()
    layer.trainable = False
    assert (len(layer.weights), layer.trainable_weights) == (2, [])


# Calling


def test_a_layer_computes_in_its_own_dtype():
    assert Dense(2)(np.ones((1, 3))).dtype == "float32"
    assert Dense(2, dtype="float64")(np.ones((1, 3), "float32")).dtype == "float64"


def test_the_gradient_returns_in_the_dtype_of_the_input():
    x = Tensor(np.ones((1, 3)), requires_grad=True)
    np.sum(Dense(2)(x)).backward()
    assert x.grad.dtype == "float64"


def test_lists_are_inputs_too():
    assert Dense(2)([[1, 2, 3]]).shape == (1, 2)
    assert InputLayer((3,))([[1, 2, 3]]).shape == (1, 3)


def test_a_layer_of_ones_own_needs_only_build_and_call():
    class Scale(Layer):
        def build(self, input_shape):
            self.factor = self.add_weight("factor", (input_shape[-1],), "ones")

        def call(self, x):
            return x * self.factor

    layer = Scale()
    np.testing.assert_array_equal(layer(np.array([[1.0, 2.0]]), training=True, mask=None).data, [[1, 2]])
    assert (layer.name, layer.count_params()) == ("scale", 2)


def test_a_layer_without_call_says_so():
    class Lazy(Layer):
        pass

    with pytest.raises(NotImplementedError, match=r"Lazy has no call\(\)"):
        Lazy()(np.ones((1, 1)))


def test_an_input_shape_is_a_tuple():
    with pytest.raises(TypeError, match=r"Dense: input_shape is a tuple such as \(5,\); found 5"):
        Dense(1, input_shape=5)


# Layers of one's own, as Keras's guides write them


class Linear(Layer):
    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = units

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="random_normal", name="w")
        self.b = self.add_weight(shape=self.units, regularizer="l2")

    def call(self, inputs):
        return inputs @ self.w + self.b


def test_add_weight_takes_keywords_and_has_defaults():
    layer = Linear(3)
    layer(np.ones((2, 4)))
    assert {name: w.shape for name, w in layer.parameters.items()} == {"w": (4, 3), "weight": (3,)}
    assert float(layer.losses[0]) == pytest.approx(0.01 * float((layer.b.data**2).sum()), rel=1e-6)


def test_a_weight_that_is_not_trainable_stays_and_has_no_penalty():
    class Scale(Layer):
        def build(self, input_shape):
            self.a = self.add_weight()
            self.n = self.add_weight(shape=(), initializer="ones", trainable=False, regularizer="l2")

        def call(self, x):
            return x * self.a * self.n

    layer = Scale()
    layer(np.ones((2, 4)))
    assert list(layer.parameters) == ["weight", "weight_1"]
    assert [layer.trainable_weights, layer.non_trainable_weights] == [[layer.a], [layer.n]]
    assert layer.losses == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([(3,), "zeros"], r"add_weight: .*name is a text; found \(3,\): write shape="),
        (["w", (None, 3), "zeros"], r"the weight 'w' would be \(None, 3\)"),
    ],
)
def test_a_weight_that_cannot_be_made_is_named(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Layer().add_weight(*arguments)


def test_a_second_weight_of_the_same_name_is_refused_and_not_forgotten():
    layer = Layer()
    layer.add_weight("w", (2,))
    with pytest.raises(ValueError, match="has a weight called 'w' already"):
        layer.add_weight("w", (3,))


def test_inner_layers_are_found_in_lists_and_dicts_however_deep():
    class Deep(Layer):
        def __init__(self):
            super().__init__()
            self.heads = {"a": Dense(2), "b": [Dense(2), (Dense(2),)]}

        def call(self, x):
            return self.heads["b"][1][0](self.heads["b"][0](self.heads["a"](x)))

    layer = Deep()
    layer(np.ones((1, 2)))
    assert [name for name in layer.parameters if name.endswith("kernel")] == [
        "dense/kernel",
        "dense_1/kernel",
        "dense_2/kernel",
    ]


def test_a_weight_that_two_inner_layers_share_counts_once():
    class Twin(Layer):
        def __init__(self, shared, **options):
            super().__init__(**options)
            self.shared = shared

        def call(self, x):
            return self.shared(x)

    class Pair(Layer):
        def __init__(self):
            super().__init__()
            shared = Dense(2)
            self.a, self.b = Twin(shared, name="a"), Twin(shared, name="b")

        def call(self, x):
            return self.b(self.a(x))

    layer = Pair()
    layer(np.ones((1, 2)))
    assert list(layer.parameters) == ["a/dense/kernel", "a/dense/bias"]
    assert len(layer.trainable_weights) == len(layer.get_weights()) == 2
    assert layer.count_params() == 6


def test_the_output_shape_of_a_layer_of_ones_own_is_found_by_trying():
    class Halves(Layer):
        def call(self, x):
            return x[:, :, :2], np.mean(x, axis=1)

    assert Halves().compute_output_shape((None, None, 5)) == [(None, None, 2), (None, 5)]
    layer = Linear(3)
    assert layer.compute_output_shape((None, 4)) == (None, 3)
    assert not layer.built


def test_a_call_that_does_not_take_the_shape_says_which_and_why():
    class Narrow(Layer):
        def call(self, x):
            return x @ np.ones((2, 2))

    with pytest.raises(ValueError, match=r"Narrow 'narrow': on zeros \(None, 3\) call\(\) raised ValueError: matmul"):
        Narrow().compute_output_shape((None, 3))


def test_several_tensors_for_a_layer_of_one_input_are_refused():
    x = Tensor(np.ones((1, 3)))
    for several in ([x, x], [Input((3,)), Input((3,))]):
        with pytest.raises(TypeError, match=r"Dense 'dense': expected one input, found 2: Concatenate"):
            Dense(1)(several)


def test_a_layer_that_forgot_to_initialise_its_base_says_so():
    class Late(Layer):
        def __init__(self):
            self.hidden = Dense(1)

    with pytest.raises(AttributeError, match=r"Late: __init__ must begin with super\(\).__init__\(\)"):
        Late()(np.ones((1, 2)))


def test_build_may_be_called_by_hand_and_counts():
    class Outer(Layer):
        def __init__(self):
            super().__init__()
            self.hidden = Linear(3, weights=[np.ones((4, 3)), np.zeros(3)])

        def build(self, input_shape):
            self.hidden.build(input_shape)

        def call(self, x):
            return self.hidden(x)

    layer = Outer()
    np.testing.assert_array_equal(layer(np.ones((1, 4))).data, [[4, 4, 4]])
    assert list(layer.parameters) == ["linear/w", "linear/weight"]


def test_a_build_that_fails_can_be_tried_again():
    class Choosy(Linear):
        def build(self, input_shape):
            super().build(input_shape)
            if input_shape[-1] != 4:
                raise ValueError("4, please")

    layer = Choosy(3)
    with pytest.raises(ValueError, match="4, please"):
        layer(np.ones((1, 5)))
    assert layer(np.ones((1, 4))).shape == (1, 3)
