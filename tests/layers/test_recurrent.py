"""The LSTM is Keras's, to the last digits of float64, forwards and backwards; the fused path is the readable one."""

import json
from pathlib import Path

import numpy as np
import pytest

from tinyllm import Tensor, no_grad
from tinyllm.layers import LSTM, Embedding

TRUTH = json.loads((Path(__file__).parents[1] / "golden" / "document.json").read_text(encoding="utf-8"))["lstm"]
INPUTS = {name: np.array(value) for name, value in TRUTH["inputs"].items()}


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def lstm(**arguments):
    layer = LSTM(3, dtype="float64", **arguments)
    layer.build((None, 3, 2))
    layer.built = True
    layer.set_weights([INPUTS[name] for name in layer.parameters])
    return layer


def tensor(name):
    return Tensor(INPUTS[name], requires_grad=True)


# Against Keras


@pytest.mark.parametrize("case", TRUTH["cases"], ids=lambda case: case["name"])
def test_an_lstm_has_the_values_and_the_gradients_of_keras(case):
    layer = lstm(**case["arguments"])
    x, h0, c0 = tensor("x"), tensor("h0"), tensor("c0")
    found = layer(x, mask=case["mask"], initial_state=[h0, c0] if case["initial_state"] else None)
    output, h, c = found if layer.return_state else (found, None, None)
    loss = np.sum(output * INPUTS["Cseq" if layer.return_sequences else "Clast"])
    if layer.return_state:
        loss = loss + np.sum(h * INPUTS["Ch"]) + np.sum(c * INPUTS["Cc"])
        close(h.data, case["h"])
        close(c.data, case["c"])
    loss.backward()
    close(output.data, case["output"])
    close(loss.data, case["loss"])
    gradients = {name: w.grad for name, w in layer.parameters.items()} | {"x": x.grad, "h0": h0.grad, "c0": c0.grad}
    assert set(case["grad"]) == {name for name, g in gradients.items() if g is not None}
    for name, expected in case["grad"].items():
        close(gradients[name], expected)


def test_before_the_first_step_that_counts_the_output_is_zero_even_with_an_initial_state():
    case = TRUTH["before_the_first_step"]
    layer = lstm(return_sequences=True, return_state=True)
    output, h, c = layer(INPUTS["x"], mask=case["mask"], initial_state=[INPUTS["h0"], INPUTS["c0"]])
    close(output.data, case["output"])
    close(h.data, case["h"])
    close(c.data, case["c"])


def test_a_stateful_lstm_starts_where_the_last_batch_stopped_until_it_is_reset():
    layer = lstm(stateful=True)
    first, second = layer(INPUTS["x"]).data, layer(INPUTS["x"]).data
    close(first, TRUTH["stateful"]["first"])
    close(second, TRUTH["stateful"]["second"])
    layer.reset_states()
    np.testing.assert_array_equal(layer(INPUTS["x"]).data, first)


def test_the_forget_gate_starts_at_one_unless_told_otherwise():
    for unit_forget_bias, expected in ((True, "default_bias"), (False, "bias_without_unit_forget")):
        layer = LSTM(3, unit_forget_bias=unit_forget_bias)
        layer(np.zeros((1, 1, 2)))
        assert layer.bias.data.tolist() == TRUTH[expected]


# On its own


def test_the_fused_lstm_is_the_readable_one():
    def another_tanh(x):  # not the one that the fused path is for
        return np.tanh(x)

    fused, readable = lstm(return_sequences=True), lstm(return_sequences=True, activation=another_tanh)
    mask = [[1, 1, 0], [1, 0, 1]]
    np.testing.assert_allclose(fused(INPUTS["x"], mask=mask).data, readable(INPUTS["x"], mask=mask).data, atol=1e-15)


def test_a_mask_of_ones_is_no_mask():
    layer = lstm(return_sequences=True)
    np.testing.assert_array_equal(layer(INPUTS["x"], mask=np.ones((2, 3))).data, layer(INPUTS["x"]).data)


@pytest.mark.parametrize("return_sequences", [False, True])
def test_a_row_masked_throughout_keeps_its_states_and_shows_zeros(return_sequences):
    layer = lstm(return_state=True, return_sequences=return_sequences)
    states = [INPUTS["h0"], INPUTS["c0"]]
    output, h, c = layer(INPUTS["x"], mask=[[0, 0, 0], [1, 1, 1]], initial_state=states)
    assert (output.data[0] == 0).all() and (output.data[1] != 0).all()
    np.testing.assert_array_equal([h.data[0], c.data[0]], [s[0] for s in states])


def test_what_stands_under_a_mask_does_not_matter():
    layer = lstm()
    x = INPUTS["x"].copy()
    before = layer(x, mask=[[1, 1, 0], [1, 1, 0]]).data
    x[:, 2] = 1e6
    np.testing.assert_array_equal(layer(x, mask=[[1, 1, 0], [1, 1, 0]]).data, before)


def test_recording_changes_no_value():
    layer = lstm(return_sequences=True)
    with no_grad():
        unrecorded = layer(INPUTS["x"]).data
    np.testing.assert_array_equal(unrecorded, layer(INPUTS["x"]).data)


def test_float32_goes_in_and_comes_out():
    layer = LSTM(3, return_state=True)
    assert [y.dtype for y in layer(INPUTS["x"])] == ["float32"] * 3
    assert [w.dtype for w in layer.weights] == ["float32"] * 3


def test_a_long_sequence_goes_forwards_and_backwards():
    layer = LSTM(2, seed=0)
    x = Tensor(np.ones((1, 2000, 1)), requires_grad=True)
    np.sum(layer(x)).backward()
    assert x.grad.shape == (1, 2000, 1) and np.isfinite(x.grad).all() and (x.grad[0, -1] != 0).all()


@pytest.mark.parametrize("shape", [(2, 3), (3,), (2, 3, 2, 1)])
def test_an_lstm_wants_three_axes(shape):
    with pytest.raises(
        ValueError, match=rf"'lstm': expected inputs \(batch, time, features\), found {len(shape)} axes"
    ):
        LSTM(3)(np.ones(shape))


def test_another_number_of_features_is_named_with_the_expected_one():
    with pytest.raises(ValueError, match=r"expected inputs \(batch, time, 2\), found \(2, 3, 5\)"):
        lstm()(np.ones((2, 3, 5)))
    with pytest.raises(ValueError, match=r"expected inputs \(batch, time, 2\), found \(2, 3\)"):
        lstm()(np.ones((2, 3)))


def test_a_sequence_of_length_zero_is_refused():
    with pytest.raises(ValueError, match="a sequence of length 0"):
        lstm()(np.ones((2, 0, 2)))


def test_a_mask_of_the_wrong_shape_is_named_with_the_right_one():
    with pytest.raises(ValueError, match=r"expected a mask of shape \(2, 3\), found \(2, 2\)"):
        lstm()(INPUTS["x"], mask=np.ones((2, 2)))


@pytest.mark.parametrize("state", [[np.zeros((2, 3))], [np.zeros((2, 3)), np.zeros((1, 3))], [np.zeros((2, 2))] * 2])
def test_states_of_the_wrong_shape_are_refused(state):
    with pytest.raises(ValueError, match=r"expected two states of shape \(2, 3\), found \["):
        lstm()(INPUTS["x"], initial_state=state)


def test_a_stateful_lstm_says_what_to_do_when_the_batch_size_changes():
    layer = lstm(stateful=True)
    layer(INPUTS["x"])
    with pytest.raises(ValueError, match=r"call reset_states\(\) when the batch size changes"):
        layer(INPUTS["x"][:1])


@pytest.mark.parametrize("units", [0, -1, 2.5, True, "3", None])
def test_units_must_be_a_positive_whole_number(units):
    with pytest.raises(ValueError, match="LSTM: units must be a positive whole number; found"):
        LSTM(units)


def test_a_misspelt_call_argument_is_not_swallowed():
    with pytest.raises(TypeError, match="inital_state"):
        lstm()(INPUTS["x"], inital_state=None)


def test_a_mask_reaches_the_next_layer_only_if_there_are_time_steps_left():
    mask = Embedding(4, 2, mask_zero=True).compute_mask(np.array([[1, 0]]))
    assert LSTM(2, return_sequences=True).compute_mask(None, mask) is mask
    assert LSTM(2).compute_mask(None, mask) is None
