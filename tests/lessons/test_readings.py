"""The five readings of the article's network: what TensorFlow found."""

import numpy as np
import pytest

from tinyllm.lessons.readings import AFTER, ALPHA, PRINTED, READINGS, THETA, as_table

# Computed beforehand with tf.GradientTape in float64: predictions, then the losses before, after a step of descent,
# with the sign turned, and with the article's weights.
FOUND = {
    "A": ([0.6], [0.9162907318741548, 0.2215008687155211, 2.3100046197673736, 1.821871548342297]),
    "B": (
        [0.8689268990658351],
        [2.032000089019382, 1.8840504357325036, 2.1833503787533943, 1.7960237106323744],
    ),
    "C": (
        [0.8000709109968823, 0.8061545613854337, 0.811756380730359, 0.816858791577444],
        [0.9243949165719102, 0.9061000149220988, 0.9433673751182222, 0.9522407355290132],
    ),
    "D": (
        [0.59325246273915, 0.599750411300471, 0.6060158062479195, 0.6119689278561586],
        [0.7083306340394032, 0.7077894744161292, 0.7088813580333881, 0.7264209255207339],
    ),
    "E": (
        [0.9315104546178012, 0.9377538799518679, 0.9428784839254041, 0.9470490144540008],
        [1.4155801922363487, 1.3612286482908222, 1.4712887649188855, 1.3333508030538392],
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_reading_has_the_predictions_and_losses_of_tensorflow(name):
    step = READINGS[name].compute()
    predictions, losses = FOUND[name]
    np.testing.assert_allclose(step.predictions, predictions, rtol=1e-12)
    np.testing.assert_allclose([step.before, step.descent, step.turned, step.article], losses, rtol=1e-12)


def test_descent_lowers_every_loss_and_the_turned_sign_raises_every_one():
    assert list(READINGS) == list(FOUND)
    for reading in READINGS.values():
        step = reading.compute()
        assert step.descent < step.before < step.turned


def test_the_step_of_reading_a_is_0_06_times_1_2_3_4():
    _, gradient = READINGS["A"].loss_and_gradient(READINGS["A"].start)
    np.testing.assert_allclose(gradient, [0.6, 1.2, 1.8, 2.4], rtol=1e-12)
    np.testing.assert_allclose(READINGS["A"].step(READINGS["A"].start), [0.04, 0.08, 0.12, 0.16], rtol=1e-12)


def test_the_articles_weights_follow_from_its_derivatives():
    starts = np.append(THETA, 1.1)
    np.testing.assert_allclose(starts - ALPHA * np.array([float(g) for g in PRINTED]), AFTER, rtol=1e-12)


def test_the_table_has_a_row_a_reading_in_both_languages():
    english, chinese = as_table(), as_table("zh")
    assert [row[0] for row in english] == ["", *FOUND]
    assert "".join(map("".join, english)).isascii()
    assert [row[2:] for row in english[1:]] == [row[2:] for row in chinese[1:]]
