"""The list of the lessons."""

import pytest

from tinyllm.lessons.catalogue import lesson, lessons
from tinyllm.lessons.notebooks import SOURCES

ENGLISH, CHINESE = '# %% [markdown] tags=["en"]\n# # 3. Waves\n', '# %% [markdown] tags=["zh"]\n# # 3. 波\n'


def test_every_source_is_a_lesson_with_titles_in_both_languages_and_a_duration():
    found = lessons()
    assert [each.source for each in found] == sorted(SOURCES.glob("[0-9][0-9]_*.py"))
    for each in found:
        assert each.source.name.startswith(f"{each.number:02}_")
        assert each.title.isascii() and any("\u4e00" <= letter <= "\u9fff" for letter in each.title_zh)
        assert each.minutes and each.minutes < 120


def test_a_duration_may_be_missing_a_title_may_not(tmp_path):
    source = tmp_path / "03_waves.py"
    source.write_text(ENGLISH + CHINESE, encoding="utf-8")
    (found,) = lessons(tmp_path)
    assert (found.number, found.title, found.title_zh, found.minutes) == (3, "Waves", "波", None)
    source.write_text(ENGLISH.replace("3. ", "") + CHINESE, encoding="utf-8")
    with pytest.raises(ValueError, match=r"03_waves\.py: the first two cells begin with the title"):
        lessons(tmp_path)


@pytest.mark.parametrize("number", ["1", "01", 1])
def test_a_lesson_is_found_by_its_number(number):
    assert lesson(number).source.stem == "01_losses_by_hand"


@pytest.mark.parametrize("number", ["77", "", "-1", "01_losses"])
def test_another_number_is_refused_with_those_there_are(number):
    with pytest.raises(ValueError, match=r"no lesson .*; there are 00, 01, 02, "):
        lesson(number)
