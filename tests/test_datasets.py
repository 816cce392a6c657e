"""The corpus is fit to learn from; a file that is not text is named for what it is."""

import unicodedata

import pytest

from tinyllm.datasets import load_text, report, seasons, split


@pytest.fixture
def file_of(tmp_path):
    def write(data):
        path = tmp_path / "mine.txt"
        path.write_bytes(data)
        return path

    return write


# The corpus


def is_chinese(line):
    return any("\u4e00" <= character <= "\u9fff" for character in line)


def test_the_corpus_has_over_200_lines_half_chinese_and_half_english():
    chinese = [line for line in seasons() if is_chinese(line)]
    english = [line for line in seasons() if line.isascii()]
    assert len(seasons()) >= 200
    assert len(chinese) == len(english) == len(seasons()) / 2


def test_no_line_of_the_corpus_is_there_twice_or_blank():
    assert report(seasons()).duplicates == report(seasons()).empty == 0


def test_the_corpus_has_no_control_characters_and_no_stray_spaces():
    for line in seasons():
        assert not [character for character in line if unicodedata.category(character).startswith("C")], line
        assert line == " ".join(line.split()), line


def test_nfc_leaves_every_line_of_the_corpus_alone():
    assert [unicodedata.normalize("NFC", line) for line in seasons()] == seasons()


def test_each_line_keeps_to_the_punctuation_of_its_language():
    for line in seasons():
        marks = {character for character in line if unicodedata.category(character).startswith("P")}
        assert marks <= (set("，。") if is_chinese(line) else set(",.")), line
        assert line.endswith("。" if is_chinese(line) else "."), line


def test_the_corpus_is_small_enough_for_a_model_of_a_few_seconds():
    seen = report(seasons())
    assert seen.vocabulary <= 260
    assert seen.longest <= 45
    assert len({character for line in seasons() for character in line if is_chinese(character)}) < 190


# Reading a file


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_is_accepted_and_the_last_one_is_optional(file_of, end):
    assert load_text(file_of(f"one{end}二{end}".encode())) == ["one", "二"]
    assert load_text(file_of(f"one{end}二".encode())) == ["one", "二"]


def test_blank_lines_are_kept_so_that_report_can_count_them(file_of):
    assert load_text(file_of(b"\none\n \n\n")) == ["", "one", " ", ""]
    assert report(load_text(file_of(b"\none\n \n\n"))).empty == 3


def test_only_a_line_end_ends_a_line(file_of):
    text = "a\x0cb\x0bc\x85d\u2028e"
    assert load_text(file_of(text.encode())) == [text]


def test_a_very_long_line_is_kept_whole(file_of):
    assert load_text(file_of(b"x" * 2_000_000 + b"\ny")) == ["x" * 2_000_000, "y"]


def test_a_utf8_mark_is_dropped_from_the_first_line_only(file_of):
    assert load_text(file_of("\ufeff春\n\ufeff夏".encode())) == ["春", "\ufeff夏"]


def test_a_path_may_be_a_string(file_of):
    assert load_text(str(file_of(b"one"))) == ["one"]


# Errors


def test_a_missing_file_is_named_with_a_way_on(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file '.*poems\.txt' .*seasons\(\)"):
        load_text(tmp_path / "poems.txt")


def test_a_text_passed_for_a_path_gives_a_short_error():
    with pytest.raises(FileNotFoundError) as caught:
        load_text("In spring the river is green.\n" * 1000)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 600


def test_a_file_used_as_a_folder_is_a_missing_file(file_of):
    with pytest.raises(FileNotFoundError, match="no file"):
        load_text(file_of(b"one") / "two.txt")


def test_a_directory_is_named_as_one(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a directory; give"):
        load_text(tmp_path)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_bytes_that_are_not_utf8_are_placed_by_offset_and_line(file_of, end):
    data = b"tea" + end + "茶".encode() + end + "茶".encode("gbk")
    where = rf"byte 0xB2 at offset {6 + 2 * len(end)} \(line 3\).*re-save it as UTF-8"
    with pytest.raises(ValueError, match=where):
        load_text(file_of(data))


def test_the_offset_counts_the_utf8_mark(file_of):
    with pytest.raises(ValueError, match=r"0xFF at offset 4 \(line 1\)"):
        load_text(file_of(b"\xef\xbb\xbfa\xff"))


def test_a_character_cut_off_at_the_end_of_the_file_is_an_error(file_of):
    with pytest.raises(ValueError, match=r"0xE8 at offset 0 \(line 1\)"):
        load_text(file_of("茶".encode()[:2]))


@pytest.mark.parametrize("data", [b"", b" \n\t\r\n", "\u3000\n".encode(), b"\xef\xbb\xbf"])
def test_a_file_without_text_is_refused(file_of, data):
    with pytest.raises(ValueError, match="holds no text"):
        load_text(file_of(data))


def test_a_binary_file_is_refused_at_its_first_nul(file_of):
    with pytest.raises(ValueError, match="NUL byte at offset 4: it is a binary file"):
        load_text(file_of(b"\x89PNG\x00\x00"))


@pytest.mark.parametrize("size", [16, 32])
@pytest.mark.parametrize("order", ["le", "be"])
def test_utf16_and_utf32_are_called_by_name(file_of, size, order):
    with pytest.raises(ValueError, match=rf"is UTF-{size} .*re-save it as UTF-8"):
        load_text(file_of("\ufeff茶 tea\n".encode(f"utf-{size}-{order}")))


def test_utf16_without_a_mark_is_suspected(file_of):
    with pytest.raises(ValueError, match="or UTF-16 without a mark"):
        load_text(file_of("tea".encode("utf-16-le")))


# The split


@pytest.mark.parametrize("count", [2, 3, 10, 281])
@pytest.mark.parametrize("fraction", [0.001, 0.1, 0.5, 0.999])
def test_a_split_loses_nothing_and_leaves_no_part_empty(count, fraction):
    train, held_out = split(range(count), fraction)
    assert train and held_out
    assert sorted(train + held_out) == list(range(count))


def test_a_tenth_is_held_out_by_default():
    train, held_out = split(seasons())
    assert (len(train), len(held_out)) == (270, 30)


def test_both_parts_of_the_corpus_hold_both_languages():
    for part in split(seasons()):
        assert 0.3 < sum(map(is_chinese, part)) / len(part) < 0.7


def test_the_seed_decides_the_split_and_the_items_stay_as_they_were():
    items = list(range(50))
    assert split(items, seed=1) == split(items, seed=1) != split(items, seed=2)
    assert items == list(range(50))


def test_one_item_goes_to_train_and_none_goes_nowhere():
    assert split(["one"]) == (["one"], [])
    assert split([]) == ([], [])


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 10, float("nan")])
def test_a_fraction_that_leaves_a_part_empty_is_refused(fraction):
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        split([1, 2, 3], fraction)


# The report


def test_a_report_counts_what_is_there():
    seen = report(["tea", "茶", "tea", "tea", "", " ", " "])
    assert (seen.documents, seen.empty, seen.duplicates) == (7, 3, 2)
    assert (seen.characters, seen.vocabulary, seen.longest, seen.shortest) == (10, 4, 3, 1)


def test_a_report_of_nothing_is_all_zeros():
    assert set(vars(report([])).values()) == {0}


def test_a_printed_report_is_ascii_and_names_every_number():
    printed = str(report(seasons()))
    assert printed.isascii()
    assert [line.split()[0] for line in printed.splitlines()] == list(vars(report([])))


@pytest.mark.parametrize("function", [split, report])
def test_one_string_is_not_a_list_of_strings(function):
    with pytest.raises(TypeError, match=r"got one string.*splitlines\(\)"):
        function("tea\nwater")


def test_a_report_names_the_document_that_is_not_a_string():
    with pytest.raises(TypeError, match="document 1 is bytes, not str"):
        report(["tea", b"tea"])
