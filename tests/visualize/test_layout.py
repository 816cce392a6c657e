"""Layers, places, trunks: nothing lies on anything else."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyllm.visualize.layout import layered


@st.composite
def drawings(draw):
    n = draw(st.integers(1, 14))
    sizes = [(draw(st.integers(40, 300)), draw(st.integers(20, 120))) for _ in range(n)]
    edges = [(draw(st.integers(0, j - 1)), j) for j in range(1, n) for _ in range(draw(st.integers(0, 3)))]
    return sizes, edges


def overlap(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def rectangles(sizes, layout):
    return [(x, y, x + w, y + h) for (x, y), (w, h) in zip(layout.corners, sizes)]


def along(path):
    """Points of a path: straight lines and curves in turn."""
    for k, ((x, y), (u, v)) in enumerate(pairwise(path)):
        for t in (0.0, 0.25, 0.5, 0.75, 1.0):
            bend = t if k % 2 == 0 else t * t * (3 - 2 * t)  # of x; both control points are half way down
            fall = t if k % 2 == 0 else 1.5 * t * (1 - t) + t**3
            yield x + (u - x) * bend, y + (v - y) * fall


@given(drawings())
def test_no_two_boxes_overlap_and_all_are_inside(drawing):
    sizes, edges = drawing
    layout = layered(sizes, edges)
    boxes = rectangles(sizes, layout)
    assert not any(overlap(a, b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(a[0] >= 0 and a[1] >= 0 and a[2] <= layout.width and a[3] <= layout.height for a in boxes)


@given(drawings())
def test_every_edge_goes_down_from_its_box_to_the_upper_side_of_the_other(drawing):
    sizes, edges = drawing
    layout = layered(sizes, edges)
    boxes = rectangles(sizes, layout)
    for (i, j), path in zip(edges, layout.paths):
        trunk = layout.trunks.get(i, [])
        start = ((boxes[i][0] + boxes[i][2]) / 2, boxes[i][3])
        assert path[0] == pytest.approx(start) or path[0] in trunk
        assert not trunk or trunk[0] == pytest.approx(start)
        assert boxes[j][0] < path[-1][0] < boxes[j][2]
        assert path[-1][1] == pytest.approx(boxes[j][1])
        assert all(a[1] <= b[1] + 1e-6 for points in (path, trunk) for a, b in pairwise(points))


@given(drawings())
@settings(max_examples=50)
def test_no_edge_passes_through_a_box(drawing):
    sizes, edges = drawing
    layout = layered(sizes, edges)
    boxes = rectangles(sizes, layout)
    for path in [*layout.paths, *layout.trunks.values()]:
        for x, y in along(path):
            assert not any(a < x < c and b + 0.01 < y < d - 0.01 for a, b, c, d in boxes)


def test_the_gradient_flows_up_a_straight_line_whatever_feeds_into_it():
    sizes = [(200, 50)] * 12
    spine = [(i, i + 2) for i in range(0, 10, 2)]
    layout = layered(sizes, sorted([*spine, *[(i - 1, i) for i in range(2, 12, 2)]], key=lambda e: e[1]))
    x = [layout.corners[i][0] for i in range(0, 12, 2)]
    assert max(x[1:]) - min(x[1:]) < 20


def test_edges_that_could_be_parallel_do_not_cross():
    edges = [(0, 4), (1, 3), (2, 5)]
    layout = layered([(50, 20)] * 6, sorted(edges, key=lambda e: e[1]))
    x = [corner[0] for corner in layout.corners]
    assert sorted(range(3), key=x.__getitem__) == sorted(range(3), key=lambda i: x[dict(edges)[i]])


def test_a_source_that_all_of_2000_layers_use_is_one_trunk():
    n = 2000
    edges = [e for j in range(2, n) for e in ((0, j), (j - 1, j))]
    layout = layered([(50, 20)] * n, edges)
    assert len(layout.trunks) == 1
    assert sum(map(len, layout.paths)) == 4 * len(edges)
