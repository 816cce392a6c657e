"""Every picture can be read: its texts lie inside it and not on each other, in any style the notebook has chosen."""

import importlib.util
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
import pytest

from tinyllm import experiments
from tinyllm.layers import LSTM, Dense, Embedding
from tinyllm.models import Sequential
from tinyllm.pictures import Experiment, at_least, figure, progress, table


def reader():
    """A compiled model that reads sequences of ids, and something to read."""
    model = Sequential([Embedding(9, 4, input_length=5), LSTM(6), Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    rng = np.random.default_rng(0)
    return model, rng.integers(0, 9, (8, 5)), rng.integers(0, 2, (8, 1))


def with_path():
    model, x, y = reader()
    return experiments.landscape(model, x, y, experiments.record_path(model, x, y, epochs=9), resolution=7)


RESULTS = {
    "step_size": experiments.step_size,
    "step_size of one method in one precision": lambda: experiments.step_size(methods=["forward"], dtypes=["float32"]),
    "cancellation": experiments.cancellation,
    "one case of cancellation": lambda: experiments.cancellation().cases["variance"],
    "kinks": experiments.kinks,
    "sequence_length": experiments.sequence_length,
    "gradient_flow for one bias": lambda: experiments.gradient_flow(1.0),
    "gradient_flow that explodes": lambda: experiments.gradient_flow((-1, 1, 3, 5), steps=60, recurrent_scale=5),
    "gradient_norms": lambda: experiments.gradient_norms(*reader()),
    "clipping": experiments.clipping,
    "landscape": lambda: experiments.landscape(*reader(), resolution=7),
    "landscape around a path": with_path,
}


@cache
def result_of(name):
    return RESULTS[name]()


def texts(figure):
    """(text, box) of all that is written, once it is drawn."""
    from matplotlib.text import Text

    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    unseen = set()
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        drawn = axis._update_ticks()
        ticks = [t for t in [*axis.get_major_ticks(), *axis.get_minor_ticks()] if t not in drawn]
        unseen |= {label for tick in ticks for label in (tick.label1, tick.label2)}
    written = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip() and t not in unseen]
    return [(t.get_text(), t.get_window_extent(renderer)) for t in written]


@pytest.mark.parametrize("name", RESULTS)
def test_a_picture_has_titles_and_labels_inside_it_that_do_not_overlap(name):
    picture = result_of(name).plot()
    found = texts(picture)
    edge = picture.bbox
    outside = [t for t, b in found if b.x0 < -1 or b.y0 < -1 or b.x1 > edge.x1 + 1 or b.y1 > edge.y1 + 1]
    over = [(t, u) for (t, a), (u, b) in combinations(found, 2) if a.padded(1).overlaps(b.padded(1))]
    assert (outside, over) == ([], [])
    for ax in picture.axes:
        assert ax.get_xlabel() + ax.get_ylabel()
        assert ax.get_title(loc="left") or ax.get_label() == "<colorbar>"


def test_a_picture_is_the_same_in_a_dark_notebook():
    import matplotlib.style

    result = result_of("landscape around a path")
    light = result._repr_png_()
    with matplotlib.style.context("dark_background"):
        assert result._repr_png_() == light
        picture = result.plot()
    assert picture._repr_png_() == light


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_prints_as_a_short_table_and_gives_plain_numbers(name):
    import json

    result = result_of(name)
    assert 2 <= len(str(result).splitlines()) <= 30 and repr(result) == str(result)
    assert max(map(len, str(result).splitlines())) <= 120
    json.dumps(result.to_dict())


def test_pictures_go_into_axes_of_ones_own():
    picture, axes = figure(2, 2)
    assert experiments.kinks().plot(axes) is picture
    assert experiments.gradient_flow(1.0, units=2, steps=3).plot(axes[0]) is picture
    with pytest.raises(ValueError, match=r"Kinks has 4 panels; found 1 axes"):
        experiments.kinks().plot(axes[0])


def test_pyplot_knows_nothing_of_a_picture_so_nothing_has_to_be_closed():
    import matplotlib.pyplot

    before = matplotlib.pyplot.get_fignums()
    experiments.kinks().plot()
    assert matplotlib.pyplot.get_fignums() == before


def test_without_matplotlib_a_result_is_its_table_and_plot_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.style", None)
    result = experiments.kinks()
    assert result._repr_png_() is None
    with pytest.raises(ImportError, match="pictures need matplotlib: pip install matplotlib"):
        result.plot()


def test_importing_the_experiments_does_not_import_matplotlib():
    code = "import sys, tinyllm.experiments; print('matplotlib' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert importlib.util.find_spec("matplotlib") and run.stdout == "False\n"


def test_a_table_lines_up():
    assert table(["name", "n"], [["a", 1], ["longer", 20]]).splitlines() == ["name     n", "a        1", "longer  20"]
    assert table(["name", "n"], []) == "name  n"


def test_a_count_that_is_none_is_refused():
    assert at_least("f", "n", np.int64(3)) == 3
    for wrong in (0, -1, 2.0, True, "3", None):
        with pytest.raises(ValueError, match="f: n must be a whole number of at least 1; found"):
            at_least("f", "n", wrong)


def test_progress_is_shown_on_a_terminal_once_it_lasts(monkeypatch, capsys):
    assert list(progress([3, 4], "work", patience=0.0)) == [3, 4]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(progress([3, 4], "work", patience=0.0)) == [3, 4]
    assert capsys.readouterr().err.startswith("\rwork 1/2")
    assert list(progress([3, 4], "work")) == [3, 4]
    assert capsys.readouterr().err == ""


def test_a_subclass_says_how_it_is_drawn():
    @dataclass(frozen=True, repr=False)
    class Bare(Experiment):
        n: int = 1

    with pytest.raises(NotImplementedError):
        Bare().draw()
    assert Bare().to_dict() == {"n": 1}
