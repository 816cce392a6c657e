"""What generate(explain=True) tells of each step."""

import numpy as np

from tests.generation.small import Conditional, Letters, Parts
from tinyllm.generation import Sampling, distribution, generate
from tinyllm.generation.explaining import CANDIDATES, shown

P = np.array([0.5, 0.3, 0.2])


def test_each_step_tells_the_probabilities_before_and_after_the_settings():
    model = Conditional(np.tile(P, (3, 1)), Letters("abc"))
    found = generate(model, "a", 20, Sampling(temperature=0.8, top_k=2), explain=True)
    assert [step.chosen for step in found.steps] == found.ids
    after = distribution(np.log(P), temperature=0.8, top_k=2)
    for step in found.steps:
        assert [c.text for c in step.candidates] == ["'a'", "'b'", "'c'"]
        np.testing.assert_allclose([c.before for c in step.candidates], P)
        np.testing.assert_allclose([c.after for c in step.candidates], after)


def test_a_stop_is_a_step_as_well_and_nothing_is_kept_unasked():
    model = Conditional(np.tile([0.0, 0.0, 1.0], (3, 1)), Letters("abc"))
    assert [step.chosen for step in generate(model, "a", 5, stop=2, explain=True).steps] == [2]
    assert generate(model, "a", 5).steps == ()


def test_the_table_marks_what_was_chosen_and_is_ascii():
    model = Conditional(np.tile(P, (3, 1)), Letters("a\u00e9\n"))
    lines = str(generate(model, "a", 1, Sampling(greedy=True), explain=True).steps[0]).splitlines()
    assert lines[0].split() == ["id", "token", "before", "after"]
    assert lines[1].split() == [">", "0", "'a'", "0.500", "1.000"]
    assert lines[2].split() == ["1", r"'\xe9'", "0.300", "0.000"]
    assert lines[3].split() == ["2", r"'\n'", "0.200", "0.000"]


def test_the_chosen_token_is_listed_even_if_it_was_improbable():
    n = CANDIDATES + 5
    p = np.linspace(2, 1, n)
    model = Conditional(np.tile(p / p.sum(), (n, 1)))
    steps = [step for seed in range(10) for step in generate(model, [0], 10, seed=seed, explain=True).steps]
    assert all(step.chosen in [c.id for c in step.candidates] for step in steps)
    assert {len(step.candidates) for step in steps} == {CANDIDATES, CANDIDATES + 1}


def test_half_a_character_is_shown_as_its_bytes_and_without_a_tokenizer_nothing():
    assert shown(Parts([b"\xc3", b"ok"]), 0) == r"b'\xc3'"
    assert shown(Parts([b"\xc3", b"ok"]), 1) == "'ok'"
    assert shown(None, 1) == ""
