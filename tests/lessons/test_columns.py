"""Text in columns."""

import pytest

from tinyllm.lessons.columns import aligned, shortened


def test_a_chinese_character_takes_two_columns():
    assert aligned([("错误", "x"), ("abcd", "y"), ("", "z")]) == "错误  x\nabcd  y\n      z"


def test_nothing_stands_behind_the_last_word_of_a_row():
    assert aligned([("a", ""), ("b", "long")]) == "a\nb  long"


@pytest.mark.parametrize(
    ("text", "short"), [("abcdefgh", "abcdefgh"), ("abcdefghi", "abcde..."), ("错误错误错误", "错误...")]
)
def test_a_text_is_shortened_to_its_width_or_just_below(text, short):
    assert shortened(text, 8) == short
