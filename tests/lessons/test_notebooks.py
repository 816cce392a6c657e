"""The notebooks are what their sources say, and every lesson runs."""

import json
import os
import re
import runpy
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import tinyllm.lessons
from tinyllm import gradcheck
from tinyllm.autograd.tensor import TABLE
from tinyllm.lessons.notebooks import FOLDER, LANGUAGES, SOURCES, main, notebook, parse, render, write_missing
from tinyllm.lessons.readings import READINGS

LESSONS = sorted(SOURCES.glob("[0-9][0-9]_*.py"))
NOTEBOOKS = [FOLDER / language / f"{source.stem}.ipynb" for source in LESSONS for language in LANGUAGES]
EVERY = pytest.mark.parametrize("source", LESSONS, ids=lambda path: path.stem)

SMALL = """# %% [markdown] tags=["en"]
# # Title
# %% [markdown] tags=["zh"]
# # 标题
# %% tags=["hide"]
def f(x):
    ### BEGIN SOLUTION
    return x + 1
    ### END SOLUTION


# %%
f(1)

# %%
f(1)
"""


# -- the notebooks in the repository --------------------------------------------------------------------------------


def test_the_notebooks_are_what_their_sources_give():
    stale = [str(path) for path, text in render().items() if not path.exists() or path.read_bytes() != text.encode()]
    assert not stale, "run python -m tinyllm.lessons.notebooks"


def test_no_notebook_is_without_a_source():
    assert {p for language in LANGUAGES for p in (FOLDER / language).glob("*.ipynb")} == set(NOTEBOOKS)


def shared(text):
    """What the two languages must have in common: displayed formulas (but for words in them) and code."""
    text = re.sub(r"\\text\{[^}]*\}", "", text)
    return sorted(re.findall(r"\$\$.*?\$\$|`[^`]+`", text, re.DOTALL))


@EVERY
def test_a_source_is_short_and_in_two_languages(source):
    text = source.read_text(encoding="utf-8")
    cells = parse(text, source.name)  # refuses an English cell without its Chinese neighbour, and the reverse
    assert len(text.splitlines()) <= 260
    for english, chinese in pairwise(cells):
        if english.kind == "markdown":
            assert english.language, f"line {english.line}: every text has a language"
        if english.language == "en":
            quoted = re.findall("[\u4e00-\u9fff]", english.source)
            assert len(quoted) < 0.2 * len(english.source), f"line {english.line}: Chinese in an English cell"
            assert re.search("[\u4e00-\u9fff]", chinese.source), f"line {chinese.line}: no Chinese"
            assert shared(english.source) == shared(chinese.source), f"line {english.line}: other formulas or code"


@EVERY
def test_a_lesson_runs_as_a_script(source, tmp_path):
    env = {k: v for k, v in os.environ.items() if k != "DISPLAY"}
    env |= {"MPLBACKEND": "Agg", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-W", "error::UserWarning", "-W", "error::RuntimeWarning", str(source)]
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.notebook
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}-{path.stem}")
@pytest.mark.filterwarnings("default")  # the Jupyter packages' own
def test_a_notebook_runs(path, tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    document = nbformat.read(path, as_version=4)
    nbformat.validate(document)
    nbclient.NotebookClient(document, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in document.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [output["text"] for output in outputs if output.get("name") == "stderr"]


# -- what the lessons show --------------------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch):
    """Run a lesson in this process; returns its variables and the claims that it made."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    plt = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    made, original = {}, tinyllm.lessons.claim

    def recorded(id, *args, **kwargs):
        made[id] = original(id, *args, **kwargs)
        return made[id]

    monkeypatch.setattr(tinyllm.lessons, "claim", recorded)
    return lambda name: (runpy.run_path(str(SOURCES / name)), made)


def test_lessons_1_and_2_compute_every_claim_of_section_4(run):
    run("01_losses_by_hand.py")
    _, made = run("02_one_step_downhill.py")
    assert set(made) == {"S3-02"} | {f"S4-{i:02}" for i in range(1, 51)}
    assert [id for id, finding in made.items() if finding.computed is None] == []
    assert [id for id, f in made.items() if f.holds() is None and f.entry.verdict != "imprecise"] == []


def test_lesson_2_computes_the_stated_network_by_hand_as_the_library_does(run):
    lesson, _ = run("02_one_step_downhill.py")
    assert lesson["losses"] == pytest.approx(lesson["results"]["D"][:3], rel=1e-12)
    for name, reading in READINGS.items():  # which tests/lessons/test_readings.py holds to TensorFlow's numbers
        assert lesson["curves"][name, 1][:2] == pytest.approx(lesson["results"][name][:2], rel=1e-12)
        assert lesson["curves"][name, -1][1] == pytest.approx(reading.compute().turned, rel=1e-12)


def test_lesson_0_goes_through_the_stages_and_what_was_loaded_answers_as_what_was_saved(run):
    lesson, made = run("00_the_pipeline.py")
    assert set(made) == {"S3-01", "S5-23", "S7-01", "S7-02"} | {f"S5-0{i}" for i in range(1, 6)}
    assert [lesson["ENGLISH"][lesson["names"][box]] for box in lesson["order"]] == [
        "collect", "process", "train", "deploy",
    ]  # fmt: skip
    assert np.array_equal(lesson["loaded"].predict(lesson["x"]), lesson["model"].predict(lesson["x"]))
    assert (lesson["after"] > 0.5).astype(int).tolist() == [1, 0, 1]
    assert lesson["alike"][0, 2] > 0.95 > 0 > lesson["alike"][0, 1]


def test_lesson_3_has_every_rule_better_at_one_rate_and_a_falling_rate_lowest(run):
    lesson, made = run("03_descents_raced.py")
    assert set(made) == {"S3-03", "S3-04", "S3-05"}
    assert lesson["best"] == {"GD": 100, "SGD": 10, "momentum": 3, "Adam": 0.1}
    ends = {name: losses[-1] for name, losses in (lesson["races"] | lesson["others"]).items()}
    assert sorted(ends, key=ends.get)[:2] == ["SGD, falling rate", "Adam"] and max(ends, key=ends.get) == "GD"
    assert ends["momentum, rate 1"] < ends["momentum"] and min(ends.values()) > lesson["floor"]
    np.testing.assert_allclose(-lesson["w"].data, lesson["by_hand"], rtol=1e-12)


def test_lesson_4_has_the_gradient_right_in_the_right_order_only(run):
    lesson, made = run("04_a_scalar_autograd.py")
    assert set(made) == {"S3-01"}
    found = []
    for order in (lesson["newest_first"], lesson["as_met"]):
        x = lesson["Value"](3.0)
        lesson["diamond"](x).backward(order)
        found.append(x.grad)
    assert found == [24.0, 6.0]
    assert gradcheck(lesson["off"], *lesson["point"], gradient=lesson["by_value"]).ok
    assert lesson["losses"][-1] < 1e-4 < 0.1 < lesson["forgotten"][-1]


def test_lesson_5_leaves_one_matrix_product_by_shapes_and_eight_without(run):
    try:
        lesson, made = run("05_the_derivative_table.py")
        assert gradcheck(np.sinc, np.array([0.3, -1.7]), order=2).ok
    finally:
        TABLE.pop(np.sinc, None)  # the lesson enters a rule for it
    assert not made
    a, b, g = np.ones((2, 3)), np.ones((3, 4)), np.ones((2, 4))
    assert list(lesson["ways"](a.shape, g=g, b=b)) == ["g @ b.T"]
    assert list(lesson["ways"](b.shape, g=g, a=a)) == ["a.T @ g"]
    assert len(lesson["ways"]((3, 3), g=np.eye(3), b=np.eye(3))) == 8


def test_lesson_6_finds_seven_slips_and_names_six_and_is_fooled_by_none_that_it_does_not_note(run):
    lesson, made = run("06_checking_gradients.py")
    assert set(made) == {"S4-02"}
    assert lesson["reports"]["nothing wrong"].ok and (lesson["found"], lesson["named"]) == (7, 6)
    float32 = lesson["errors"].min(axis=1)  # drawn last: forward, central, complex
    assert float32[0] > float32[1] > 1e-6 > float32[2]
    judged = {name: gradcheck(f, at, gradient=gradient) for name, (f, at, gradient) in lesson["tricks"].items()}
    assert [report.grade for report in judged.values()] == ["wrong", "wrong", "right", "right"]
    assert [len(report.notes) for report in judged.values()] == [0, 0, 1, 0]


def test_lesson_7_learns_with_a_bend_and_a_good_beginning_only(run):
    lesson, made = run("07_dense_layers.py")
    assert set(made) == {"S5-11"}
    straight, folded, bent = lesson["accuracy"].values()
    assert abs(straight - folded) < 0.02 and bent > 0.98
    assert lesson["spread"]["s = 0.02"][-1] == pytest.approx((0.02 * 128**0.5) ** 20, rel=1)
    assert [name for name, curve in lesson["curves"].items() if curve[-1] < 0.2] == ["Glorot"]


def test_lesson_8_cuts_one_sentence_into_one_ten_thirty_or_seven_tokens(run):
    lesson, made = run("08_text_to_integers.py")
    assert set(made) == {"S5-06", "S5-07", "S5-08", "S5-25", "S9-03"}
    assert [len(tokens) for tokens in lesson["rows"].values()] == [1, 10, 30, 7]
    assert lesson["curves"]["Chinese", 1][0] == 3 and lesson["curves"]["Chinese", 1][-1] < 1
    for name, lengths in lesson["curves"].items():
        assert all(a > b for a, b in pairwise(lengths)), name


def test_lesson_9_brings_the_seasons_together_and_leaves_the_masked_padding_alone(run):
    lesson, made = run("09_embeddings.py")
    assert set(made) == {"S5-09"}
    assert lesson["moved"][True][0] == 0 < 0.05 < lesson["moved"][False][0]
    assert lesson["alike"] > 0.7
    near = lesson["neighbours"](lesson["chinese"][0], lesson["chinese"][2], "春", count=3)
    assert set("夏秋冬") < set(near)


def test_lesson_10_holds_hand_loop_and_kernel_equal_and_the_forget_gate_decides_the_reach(run):
    lesson, made = run("10_the_lstm_cell_by_hand.py")
    assert set(made) == {"S5-08", "S5-09", "S5-10"}
    by_hand = lesson["backward"](*(lesson[name] for name in ("upstream", "x", "K", "R", "b")))
    for ours, fused in zip(by_hand, lesson["fast"][1:], strict=True):
        np.testing.assert_allclose(ours, fused, rtol=0, atol=1e-12)
    assert lesson["apart"] < 1e-12
    left = lesson["left"]
    assert (
        left["LSTM, forget bias 0"]
        < left["SimpleRNN"]
        < left["LSTM, forget bias 1"]
        < 1e-4
        < left["LSTM, forget bias 5"]
    )
    assert lesson["off"] < 1e-6 and lesson["padding"] == 0  # the masked ones, made last
    for name, end in lesson["ended"].items():
        assert np.allclose(end.data, lesson["h_last"], rtol=0, atol=1e-12) == (name != "after reset_states()")


# -- the generator ---------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "01_small.py").write_text(SMALL, encoding="utf-8")
    return tmp_path


def test_a_notebook_holds_its_language_and_the_shared_code():
    english, chinese = (json.loads(notebook(parse(SMALL), language)) for language in LANGUAGES)
    assert [cell["cell_type"] for cell in english["cells"]] == ["markdown", "code", "code", "code"]
    assert english["cells"][0]["source"] == ["# Title"] and chinese["cells"][0]["source"] == ["# 标题"]
    assert english["cells"][1:] == chinese["cells"][1:]
    assert english["cells"][1]["metadata"] == {"tags": ["hide"]}
    assert english["cells"][2]["outputs"] == [] and english["cells"][2]["execution_count"] is None
    assert (english["nbformat"], english["nbformat_minor"]) == (4, 5)


def test_a_solution_is_left_out_and_the_code_still_compiles():
    source = "".join(json.loads(notebook(parse(SMALL), "en"))["cells"][1]["source"])
    assert source == "def f(x):\n    ...  # your code here"
    compile(source, "cell", "exec")
    with pytest.raises(ValueError, match="do not pair"):
        notebook(parse("# %%\n### BEGIN SOLUTION\nx = 1\n"), "en")


def test_cell_ids_are_unique_valid_and_keep_still_when_another_cell_changes():
    before, after = (
        [cell["id"] for cell in json.loads(notebook(parse(text), "en"))["cells"]]
        for text in (SMALL, SMALL.replace("# Title", "# Another title"))
    )
    assert len(set(before)) == len(before) == 4
    assert all(re.fullmatch("[a-zA-Z0-9_-]{1,64}", id) for id in before)
    assert before[0] != after[0] and before[1:] == after[1:]


def write(folder, *options):
    return main([str(folder), "--sources", str(folder / "source"), *options])


def test_writing_twice_changes_nothing_and_check_names_what_would_change(folder, capsys):
    assert write(folder, "--check") == 1
    assert "01_small.ipynb: out of date" in capsys.readouterr().out
    assert not (folder / "en").exists()
    assert write(folder) == 0
    first = (folder / "zh" / "01_small.ipynb").read_bytes()
    assert b"\r" not in first and first.endswith(b"}\n")
    capsys.readouterr()
    assert write(folder) == 0 and write(folder, "--check") == 0
    assert capsys.readouterr().out == ""
    assert (folder / "zh" / "01_small.ipynb").read_bytes() == first
    (folder / "en" / "02_gone.ipynb").write_text("{}")
    assert write(folder, "--check") == 1
    assert "02_gone.ipynb: no source" in capsys.readouterr().out


def test_only_missing_notebooks_are_written_for_a_student(folder):
    course = folder / "my course"
    written, differ = write_missing(course, "zh", folder / "source")
    assert (written, differ) == ([course / "01_small.ipynb"], [])
    assert "标题" in written[0].read_text(encoding="utf-8")
    assert write_missing(course, "zh", folder / "source") == ([], [])
    assert write_missing(course, "en", folder / "source") == ([], written)  # the other language counts as another
    assert "标题" in written[0].read_text(encoding="utf-8")


def test_a_folder_without_sources_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no lesson sources"):
        render(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import this\n", "line 1: a source begins with a cell"),
        ("# %% a title\n", "line 1: expected"),
        ('# %% [markdown] tags=["en"]\nnot a comment\n', "line 2: text in a markdown cell"),
        ('# %% [markdown] tags=["en"]\n# Hello.\n# %%\n1\n', "line 1: no cell with tags=..zh"),
        ('# %%\n1\n# %% [markdown] tags=["zh"]\n# 你好。\n', "line 3: no cell with tags=..en"),
        ('# %% tags=["en"]\n1\n', "line 1: code is shared"),
    ],
)
def test_a_source_that_breaks_the_rules_is_refused_with_its_line(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text, "01_x.py")


@EVERY
def test_jupytext_reads_the_same_cells(source):
    jupytext = pytest.importorskip("jupytext")
    theirs = jupytext.read(source, fmt="py:percent").cells
    ours = parse(source.read_text(encoding="utf-8"))
    assert [(c.kind, c.source) for c in ours] == [(c.cell_type, c.source) for c in theirs]


@pytest.mark.parametrize("tags", ["['en']", "[1]"])
def test_tags_that_are_no_list_of_strings_are_named_with_their_line(tags):
    with pytest.raises(ValueError, match=r'source, line 2: tags are written \["en"\], in double quotes; found'):
        parse(f"\n# %% tags={tags}\n1")
