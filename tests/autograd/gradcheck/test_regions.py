"""A gradient that is wrong in a part: the part has a name."""

import numpy as np
import pytest

from tinyllm import gradcheck


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def spoiled(shape, part):
    factor = np.ones(shape)
    factor[part] = 1 + np.arange(1, factor[part].size + 1).reshape(factor[part].shape)
    return gradcheck(np.exp, normal(*shape), gradient=lambda g, x: g * np.exp(x) * factor).diagnosis


@pytest.mark.parametrize(
    "shape, part, said",
    [
        ((4, 3), (2, 1), "one element wrong, at [2, 1]"),
        ((5, 3), 2, "one row wrong: row 2"),
        ((5, 3), (slice(None), 1), "one column wrong: column 1"),
        ((2, 5, 3), (slice(None), 1), "one index wrong: index 1 of axis 1"),
        ((3, 8), (slice(None), slice(4, 6)), "gate block 3 of 4 (g) wrong: columns 4 to 5"),
        ((8, 3), slice(0, 2), "gate block 1 of 4 (i) wrong: rows 0 to 1"),
        ((2, 9), (slice(None), slice(3, 6)), "gate block 2 of 3 (r) wrong: columns 3 to 5"),
        ((5, 7), slice(1, 5), "all wrong but one row: row 0"),
        ((5, 5), np.triu_indices(5, 1), "wrong only above the diagonal"),
        ((5, 5), np.tril_indices(5, -1), "wrong only below the diagonal"),
        ((5, 5), np.diag_indices(5), "wrong only on the diagonal"),
    ],
)
def test_the_part_is_named(shape, part, said):
    assert said in spoiled(shape, part)


@pytest.mark.parametrize("where, said", [(lambda x: x < 0, "negative"), (lambda x: x > 0, "positive")])
def test_one_side_of_zero_is_named(where, said):
    report = gradcheck(np.exp, normal(3, 5), gradient=lambda g, x: g * np.exp(x) * np.where(where(x), 2 + x, 1))
    assert f"wrong only where the argument is {said}" in report.diagnosis


def last_one_wins(g, table, ids):
    d = np.zeros_like(table)
    d[ids] = g
    return d


@pytest.mark.parametrize("seed", range(3))
def test_only_repeated_indices_are_named_whether_the_indices_are_an_argument_or_inside_f(seed):
    ids = np.array([1, 1, 3])
    table = normal(5, 3, seed=seed)
    outside = gradcheck(lambda table, ids: table[ids], table, ids, gradient=last_one_wins)
    inside = gradcheck(lambda table: table[ids], table, gradient=lambda g, table: last_one_wins(g, table, ids))
    assert "only repeated indices wrong: rows of ids" in outside.diagnosis
    assert "only repeated indices wrong: elements that f uses more than once" in inside.diagnosis


def cross_entropy(logits, labels):
    return np.log(np.sum(np.exp(logits), axis=-1)) - logits[np.arange(len(labels)), labels]


def test_the_labels_share_is_named():
    def gradient(g, logits, labels):
        return g[:, None] * np.exp(logits) / np.sum(np.exp(logits), axis=-1, keepdims=True)

    report = gradcheck(cross_entropy, normal(4, 5), np.array([0, 3, 1, 2]), gradient=gradient)
    assert "only the elements that labels points at are wrong" in report.diagnosis


def test_zero_where_there_should_be_a_gradient_and_the_wrong_sign_are_said():
    assert ", zero there" in gradcheck(
        np.exp, normal(4, 3), gradient=lambda g, x: g * np.exp(x) * (np.arange(4) != 1)[:, None]
    ).diagnosis  # fmt: skip
    assert ", of the wrong sign there" in gradcheck(
        np.exp, normal(4, 3), gradient=lambda g, x: g * np.exp(x) * np.where(np.arange(4) == 1, -1, 1)[:, None]
    ).diagnosis  # fmt: skip
