"""Students' files are cut into parts; nothing that they hold stops the reader."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyllm.lessons.grading.submissions import read, without_magics


def parts(tmp_path, text, name="a.py"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path)


def test_a_script_is_cut_at_its_markers_and_keeps_its_line_numbers(tmp_path):
    found = parts(tmp_path, "import a\n# exercise 90.1 (2 points): x\nb = 1\n# %%\nc\n# Exercise 90.2\nd = 1\n")
    assert found.opening == [["a.py", "import a\n"]]
    assert found.parts["90.1"][0] == ["a.py", "\n# exercise 90.1 (2 points): x\nb = 1\n"]
    assert found.parts["90.2"] == [["a.py", "\n\n\n\n\n# Exercise 90.2\nd = 1\n"]]
    assert found.notes == [] and found.lessons == ["90"]


def test_a_notebook_is_read_without_its_texts_outputs_and_magics(tmp_path):
    cells = [
        {"cell_type": "markdown", "source": "# exercise 90.9"},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "import a"]},
        {"cell_type": "code", "source": "# exercise 90.1\n!ls\nx = 1"},
        {"cell_type": "code", "source": "%%bash\nls"},
        {"cell_type": "code", "source": "help?"},
    ]
    found = parts(tmp_path, json.dumps({"cells": cells}), "a.ipynb")
    assert found.opening == [["code cell 1", "pass\nimport a\n"]]
    assert found.parts == {
        "90.1": [["code cell 2", "# exercise 90.1\npass\nx = 1\n"], ["code cell 4", "pass\n"]],
    }


def test_python_that_looks_like_a_magic_stays():
    source = 'x = (7\n% 4)\ntext = """\n%time\n!ls\n"""'
    assert without_magics(source) == source


@pytest.mark.parametrize(
    ("name", "text", "note"),
    [
        ("a.py", "", "the file is empty"),
        ("a.ipynb", "", "the file is empty"),
        ("a.py", "x = 1\n", "there is no line '# exercise NN.K'"),
        ("a.py", b"\xff\xfe\x00", "not text in UTF-8"),
        ("a.ipynb", "{", "the notebook is broken"),
        ("a.ipynb", "[]", "the notebook is broken"),
        ("a.ipynb", '{"cells": [{}]}', "the notebook is broken"),
        ("a.ipynb", "[" * 100_000, "the notebook is broken|recursion"),
        ("a.py", "# exercise 90.1\na\n# exercise 90.1\nb\n", "90.1 is marked 2 times; keep one"),
    ],
)
def test_a_file_that_is_wrong_has_a_note_in_one_line(tmp_path, name, text, note):
    found = parts(tmp_path, text, name)
    assert len(found.notes) == 1 and "\n" not in found.notes[0]
    with pytest.raises(AssertionError, match=note):
        raise AssertionError(found.notes[0])


@given(st.text() | st.binary())
def test_no_file_stops_the_reader(tmp_path_factory, text):
    for name in ("a.py", "a.ipynb"):
        parts(tmp_path_factory.getbasetemp(), text.encode(errors="ignore") if isinstance(text, str) else text, name)
