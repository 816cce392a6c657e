"""BERT reads in both directions and fills in blanks."""

import numpy as np

from tests.models.test_lm_kinds import IDS, V, shaken
from tinyllm.corpus import IGNORED, Blanks
from tinyllm.losses import SparseCategoricalCrossentropy
from tinyllm.models import BERT, load_model


def test_bert_reads_in_both_directions_and_never_answers_with_a_blank():
    model = shaken(BERT(V, context=8, depth=2, heads=2, width=8))
    before = model(IDS).data
    changed = IDS.copy()
    changed[:, -1] = (changed[:, -1] + 1) % V
    assert not np.allclose(before[:, 0], model(changed).data[:, 0]) and before.shape == (3, 8, V)
    assert model.fill([1, model.blank, 2]).shape == (3, V)
    np.testing.assert_allclose(model.fill([1, model.blank, 2]).sum(axis=-1), 1, rtol=1e-5)


def test_bert_learns_to_fill_in_and_comes_back_from_its_file(tmp_path):
    text = np.tile(np.arange(V), 60)
    model = BERT(V, context=8, depth=1, heads=2, width=16)
    model.compile("adam", SparseCategoricalCrossentropy(from_logits=True, ignore_class=IGNORED))
    model.optimizer.learning_rate = 0.01
    model.fit(Blanks(text, 32, 8, 150, model.blank), epochs=2, shuffle=False, verbose=0)
    assert model.nats(text) < 0.7 < np.log(V)
    assert model.fill([0, 1, model.blank, 3, 4])[2].argmax() == 2
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(load_model(tmp_path / "model")(IDS).data, model(IDS).data)


def test_a_text_shorter_than_a_window_can_be_judged():
    model = BERT(V, context=8, depth=1, heads=2, width=8)
    assert np.isfinite(model.nats(np.arange(5)))
