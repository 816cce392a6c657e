"""The picture: well-formed, readable, alike on every page."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.visualize.examples import CHOSEN, programs
from tinyllm.visualize import Box, Graph, graph
from tinyllm.visualize.svg import text_width

SVG = "{http://www.w3.org/2000/svg}"


def nodes(svg):
    """Of each box its rectangle and its rows, as x, y and text."""
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        if group.get("class") == "node":
            x, y, w, h = (float(group.find(f"{SVG}rect").get(k)) for k in ("x", "y", "width", "height"))
            rows = [(float(t.get("x")), float(t.get("y")), t.text or "") for t in group.iter(f"{SVG}text")]
            yield (x, y, x + w, y + h), rows


def check(drawn):
    svg = drawn.to_svg()
    places = list(nodes(svg))
    assert len(places) == len(drawn.boxes)
    for k, ((x0, y0, x1, y1), rows) in enumerate(places):
        for x, y, text in rows:
            assert x >= x0 + 6 and x + text_width(text) <= x1 - 6
            assert y - 10 >= y0 and y + 4 <= y1
        assert not any(x0 < c and a < x1 and y0 < d and b < y1 for (a, b, c, d), _ in places[:k])
    edges = [g for g in ElementTree.fromstring(svg).iter(f"{SVG}g") if g.get("class") == "edge"]
    assert [(int(e.get("data-from")), int(e.get("data-to"))) for e in edges] == drawn.edges
    for edge in edges:
        x, y = map(float, re.match(r"M(\S+) (\S+?)l", edge[1].get("d")).groups())
        x0, y0, x1, _ = places[int(edge.get("data-to"))][0]
        assert x0 < x < x1 and abs(y - y0) < 0.2
    return places


@pytest.mark.parametrize("name", CHOSEN)
@pytest.mark.parametrize("rules", [False, True])
def test_every_row_fits_its_box_no_boxes_overlap_and_edges_join_the_right_ones(name, rules):
    tensor, named = CHOSEN[name]()
    check(graph(tensor, rules=rules, names=named))


@given(programs())
@settings(max_examples=30)
@np.errstate(all="ignore")
def test_so_it_is_for_random_graphs(program):
    tensor, _ = program
    if not tensor.is_leaf:
        check(graph(tensor, rules=True))


@given(st.text(min_size=1, max_size=120))
def test_any_name_is_written_safely_and_fits(name):
    (_, rows), _ = check(
        Graph([Box(name, "constant", "constant", None), Box("y", "result", "f", None, details=[name], rules=[name])])
    )
    written = "".join(c for _, _, row in rows for c in row if not c.isspace())
    assert written == "".join(c for c in name if c.isprintable() and not c.isspace())


def test_the_card_has_its_own_background_and_nothing_that_reaches_beyond_it():
    svg = graph(CHOSEN["shared"]()[0]).to_svg()
    card = ElementTree.fromstring(svg).find(f"{SVG}rect")
    assert card.get("fill").startswith("#") and card.get("width") == card.get("height") == "100%"
    assert not re.search(r"<style| id=|currentColor|url\(|href|<script", svg)


def test_kinds_differ_in_outline_and_not_only_in_colour():
    loss, names = CHOSEN["perceptron"]()
    outlines = {}
    for group in ElementTree.fromstring(graph(loss, names=names).to_svg()).iter(f"{SVG}g"):
        if group.get("class") == "node":
            box = group.find(f"{SVG}rect")
            look = [box.get(k) for k in ("rx", "stroke-dasharray", "stroke-width")]
            outlines[group.get("data-kind")] = (*look, len(group.findall(f"{SVG}path")))
    assert len(outlines) == len(set(outlines.values())) == 4


def test_a_chinese_character_counts_as_two():
    assert text_width("隐藏") == text_width("wide")
