"""How a model was compiled goes into Keras's words and back; what Keras lacks is announced, what we lack refused."""

import json
import warnings

import numpy as np
import pytest

from tinyllm.layers import Dense
from tinyllm.models import Sequential
from tinyllm.optimizers import SGD, Adam, Nadam, RMSprop
from tinyllm.optimizers.base import Group
from tinyllm.saving.description import describe
from tinyllm.saving.keras_training import compile_from_keras, slots_by_number, training_to_keras
from tinyllm.schedules import CosineDecay, OneCycle

LR = np.float32(0.1)


def model(*compiled):
    made = Sequential([Dense(2, input_shape=(3,))])
    if compiled:
        made.compile(*compiled)
    return made


def in_keras(made):
    return training_to_keras(describe(made)[0]["training"])


@pytest.mark.parametrize(
    "compiled",
    [
        ("adam", "mse", ["mae"]),
        (SGD(CosineDecay(0.1, 10), momentum=0.5), "sparse_categorical_crossentropy", ["accuracy"], ["accuracy"]),
        (RMSprop(0.01, centered=True, clipnorm=1.0), "log_cosh", ["cosine_similarity", "auc"]),
    ],
)
def test_what_both_have_comes_back(compiled):
    made, again = model(*compiled), model()
    with warnings.catch_warnings(action="error"):
        described = json.loads(json.dumps(in_keras(made)))
    compile_from_keras(again, described)
    assert again.optimizer.get_config() == made.optimizer.get_config()
    assert type(again.loss) is type(made.loss)
    assert describe(again)[0]["training"] == describe(made)[0]["training"]


@pytest.mark.parametrize(
    "compiled, message",
    [
        (("gd", "mse"), "save: Keras has no optimizer 'gd': there the model is not compiled"),
        ((SGD(OneCycle(0.1, 10)), "mse"), "Keras has no schedule OneCycle"),
        (("sgd", "half_sum_squared_error"), "Keras has no loss 'half_sum_squared_error'"),
        ((Adam(groups=[Group([0], weight_decay=0.1)]), "mse"), "Keras has no parameter groups"),
    ],
)
def test_what_keras_lacks_is_announced_and_leaves_the_model_uncompiled_there(compiled, message):
    with pytest.warns(UserWarning, match=message):
        assert in_keras(model(*compiled)) is None


def test_a_metric_that_keras_lacks_is_announced_and_the_others_stay():
    made = model("sgd", "sparse_categorical_crossentropy", ["perplexity", "accuracy"])
    with pytest.warns(UserWarning, match="save: Keras has no metric 'perplexity': there it is left out"):
        assert in_keras(made)["metrics"] == ["accuracy"]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"loss": {"class_name": "CTC", "config": {}}}, "unknown loss 'ctc'; known: "),
        ({"loss": ["mse", "mae"]}, "several losses"),
        ({"optimizer": {"class_name": "Lion", "config": {"learning_rate": 0.1}}}, "unknown optimizer 'lion'; known: "),
        ({"optimizer": {"class_name": "SGD", "config": {"learning_rate": 0.1, "use_ema": True}}}, "has use_ema=True"),
        ({"metrics": ["psnr"]}, "unknown metric 'psnr'"),
    ],
)
def test_what_we_lack_is_an_error_that_names_it(change, message):
    with pytest.raises(ValueError, match=message):
        compile_from_keras(model(), {"optimizer": "sgd", "loss": "mse"} | change)


def numbered(optimizer, *slots):
    made = model(optimizer, "mse")
    slots_by_number(made, made.trainable_weights, [np.int32(7), LR, *slots])
    return made.optimizer


K, B = np.ones((3, 2), "f4"), np.ones(2, "f4")


def test_the_numbers_of_an_optimizer_s_arrays_are_keras_s():
    adam = numbered(Adam(amsgrad=True), K, 2 * K, 3 * B, 4 * B, 5 * K, 6 * B)
    first, second = adam.get_state()
    assert adam.iterations == 7
    assert [float(first[s].flat[0]) for s in ("momentum", "velocity", "velocity_hat")] == [1, 2, 5]
    assert [float(second[s].flat[0]) for s in ("momentum", "velocity", "velocity_hat")] == [3, 4, 6]
    first, second = numbered(RMSprop(momentum=0.5, centered=True), K, 2 * B, 3 * K, 4 * B, 5 * K, 6 * B).get_state()
    assert [float(second[s].flat[0]) for s in ("velocity", "momentum", "average_gradient")] == [2, 4, 6]
    assert numbered(Nadam(), K, K, B, B, np.float32(1)).iterations == 7


@pytest.mark.parametrize("slots", [[], [K], [K, K, B, B, B], [B, B, K, K]])
def test_arrays_that_do_not_fit_are_refused(slots):
    with pytest.raises(ValueError, match="its optimizer's weights"):
        numbered(Adam(), *slots)
