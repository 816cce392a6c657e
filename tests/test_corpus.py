"""Texts as training data: what is held out, what a batch holds, and that a state brings the same batches again."""

from itertools import pairwise

import numpy as np
import pytest

from tinyllm.corpus import IGNORED, Lines, Streams, Windows, lines_of, split

IDS = np.arange(100)


def test_the_last_part_is_held_out():
    parts = split(IDS, 0.1)
    assert parts.train[-1] == 89 and parts.validation.tolist() == list(range(90, 100))


@pytest.mark.parametrize("ids, share", [([], 0.1), ([1, 2, 3], 0.1), (IDS, 0.0), (IDS, 1.0)])
def test_a_part_of_fewer_than_two_tokens_is_refused(ids, share):
    with pytest.raises(ValueError, match=r"split: .*(give a longer text|a share between 0 and 1)"):
        split(ids, share)


def test_a_window_is_followed_by_the_same_one_token_later():
    x, y = Windows(IDS, size=50, width=7, steps=1)[0]
    assert x.shape == y.shape == (50, 7)
    np.testing.assert_array_equal(x + 1, y)
    np.testing.assert_array_equal(x, x[:, :1] + np.arange(7))
    assert x.min() >= 0 and y.max() <= 99 and len(np.unique(x[:, 0])) > 20


def test_every_window_can_be_drawn():
    drawn = Windows(np.arange(6), size=400, width=4, steps=1)[0][0]
    assert np.unique(drawn[:, 0]).tolist() == [0, 1]


def test_streams_go_on_where_the_last_batch_ended_and_begin_again_at_the_end():
    streams = Streams(IDS, size=3, width=8, steps=5)
    batches = [streams[i] for i in range(5)]
    for (x, _), (after, _) in pairwise(batches[:4]):
        np.testing.assert_array_equal(x + 8, after)
    np.testing.assert_array_equal(batches[4][0], batches[0][0])
    for x, y in batches:
        np.testing.assert_array_equal(x + 1, y)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Windows(IDS, 2, 4, 3, seed=1),
        lambda: Streams(IDS, 2, 4, 3),
        lambda: Lines(IDS[:10, None], IDS[:10, None], 4, 3, seed=1),
    ],
)
def test_a_state_brings_the_same_batches_again(make):
    first, second = make(), make()
    _ = first[0], first[1]
    second.set_state(first.get_state())
    assert len(first) == 3
    for i in range(3):
        for a, b in zip(first[i], second[i]):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "make", [lambda: Windows(IDS[:4], 2, 4, 1), lambda: Streams(IDS[:8], 2, 4, 1), lambda: lines_of([], 0)]
)
def test_a_text_too_short_is_refused_with_what_to_do(make):
    with pytest.raises(ValueError, match=r"give (a longer text|at least one)"):
        make()


def test_lines_stand_between_boundaries_and_their_padding_is_ignored():
    x, y = lines_of([[3, 4, 5], [], [6]], boundary=0)
    assert x.tolist() == [[0, 3, 4, 5], [0, 0, 0, 0], [0, 6, 0, 0]]
    i = IGNORED
    assert y.tolist() == [[3, 4, 5, 0], [0, i, i, i], [6, 0, i, i]]
