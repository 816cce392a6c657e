"""The zoo is really wrong, the herd is really right, and the checker can tell them apart."""

import numpy as np
import pytest

import tinyllm
from tinyllm.experiments.herd import HERD
from tinyllm.experiments.zoo import WRONG, parade, right

SEEDS = (0, 1, 2)
CONVENTION = {"relu at the kink"}  # relu has slope 0 at 0, np.maximum shares the tie


def gradients(animal, seed):
    """For each differentiable input: the animal's gradient, and the engine's of the same function at the same place."""
    rng = np.random.default_rng(seed)
    inputs = animal.draw(rng)
    g = rng.normal(size=np.shape(animal.f(*inputs)))
    claimed = animal.gradient(g, *inputs)
    claimed = claimed if isinstance(claimed, tuple) else (claimed,)
    smooth = [i for i, x in enumerate(inputs) if np.asarray(x).dtype.kind == "f"]
    assert [i for i, d in enumerate(claimed) if d is not None] == smooth

    def f(*floats):
        filled = dict(zip(smooth, floats))
        return animal.f(*(filled.get(i, x) for i, x in enumerate(inputs)))

    y, pull = tinyllm.vjp(f, *(np.asarray(inputs[i], dtype=float) for i in smooth))
    return [(np.asarray(claimed[i]), true) for i, true in zip(smooth, pull(g.astype(y.dtype)))]


@pytest.mark.parametrize("animal", WRONG.values(), ids=lambda a: a.name)
@pytest.mark.parametrize("seed", SEEDS)
def test_no_animal_of_the_zoo_is_secretly_right(animal, seed):
    pairs = gradients(animal, seed)
    assert all(np.all(np.isfinite(true)) for _, true in pairs)
    assert any(c.shape != true.shape or not np.allclose(c, true, rtol=5e-6, atol=0) for c, true in pairs)


@pytest.mark.parametrize("animal", [a for a in HERD.values() if a.name not in CONVENTION], ids=lambda a: a.name)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_herd_agrees_with_the_engine(animal, seed):
    rtol = 1e-5 if "float32" in animal.name else 1e-7
    for claimed, true in gradients(animal, seed):
        largest = np.max(np.abs(true), initial=0)
        atol = 1e-14 if "saturated" in animal.name else 0.01 * rtol * largest  # softmax: of two numbers nearly equal
        np.testing.assert_allclose(claimed, true, rtol=rtol, atol=atol)


@pytest.fixture(scope="module")
def rows():
    return parade()


def test_no_animal_of_the_parade_deceives_the_checker(rows):
    assert [name for name, ok, _ in rows if ok] == []


@pytest.mark.parametrize("animal", WRONG.values(), ids=lambda a: a.name)
@pytest.mark.parametrize("seed", SEEDS[1:])
def test_the_checker_rejects_every_animal_of_the_zoo_whatever_the_draw(animal, seed):
    inputs = animal.draw(np.random.default_rng(seed))
    assert not tinyllm.gradcheck(animal.f, *inputs, gradient=animal.gradient, seed=seed).ok


@pytest.mark.parametrize("seed", range(200))
def test_the_checker_accepts_every_member_of_the_herd(seed):
    rng = np.random.default_rng(seed)
    animal = right(rng)
    report = tinyllm.gradcheck(animal.f, *animal.draw(rng), gradient=animal.gradient, seed=seed)
    assert report.ok, f"{animal.name}: {report.diagnosis}"


def named(animal, diagnosis):
    names = (animal.mistake,) if isinstance(animal.mistake, str) else animal.mistake
    return any(name and name in diagnosis.lower() for name in names)


def test_the_diagnosis_names_the_mistakes_of_the_zoo(rows):
    nameable = [(WRONG[name], diagnosis) for name, _, diagnosis in rows if WRONG[name].mistake]
    assert sum(named(animal, diagnosis) for animal, diagnosis in nameable) >= 0.85 * len(nameable)


def test_few_animals_have_a_mistake_without_a_name():
    assert len(WRONG) >= 70
    assert sum(not animal.mistake for animal in WRONG.values()) <= 0.15 * len(WRONG)
