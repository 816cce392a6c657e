"""The heat map: one map for each argument, whatever its shape."""

import numpy as np
import pytest

from tinyllm import gradcheck

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure


def spoiled(*shapes):
    def f(*xs):
        return tuple(np.tanh(x) for x in xs)

    def gradient(g, *xs):
        gs = g if isinstance(g, tuple) else (g,)
        return tuple(1.01 * u * (1 - np.tanh(x) ** 2) for u, x in zip(gs, xs))

    rng = np.random.default_rng(0)
    return gradcheck(f, *(rng.standard_normal(shape) for shape in shapes), gradient=gradient)


@pytest.mark.parametrize(
    "shapes", [[()], [(7,)], [(3, 4)], [(2, 3, 4)], [(2, 2, 2, 2)], [(0, 3), (2,)], [(2, 3)] * 6, [(80, 80)]], ids=str
)
def test_every_shape_has_a_map_with_its_name_and_verdict(shapes):
    report = spoiled(*shapes)
    figure = report.plot()
    assert isinstance(figure, Figure)
    maps = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title(loc="left") for ax in maps] == [
        f"{a.name} {a.shape}: {a.grade if a.ok else a.grade.upper()}" for a in report.arguments
    ]
    figure.canvas.draw()


def test_the_worst_element_is_ringed():
    report = gradcheck(
        np.exp, np.zeros((2, 3, 4)), gradient=lambda g, x: g * (1 + (np.arange(24) == 17).reshape(2, 3, 4))
    )
    (ring,) = report.plot().axes[0].lines[-1:]
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (1, 4)


def test_axes_that_are_handed_in_are_used():
    axes = Figure().subplots(1, 2)
    assert spoiled((2, 3), (4,)).plot(axes) is axes[0].figure
    assert all(ax.images for ax in axes)


def test_a_check_that_ended_early_has_gray_maps():
    rng = np.random.default_rng(0)
    figure = gradcheck(lambda x: x * rng.random(3), np.ones(3)).plot()
    assert figure.axes[0].images[0].get_array().mask.all() or np.isnan(figure.axes[0].images[0].get_array()).all()
