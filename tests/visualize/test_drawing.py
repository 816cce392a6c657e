"""What a graph shows, in each of its forms."""

import re

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_array_equal

from tests.visualize.examples import CHOSEN, chain, classifier, leaf, perceptron, programs
from tinyllm import Tensor, layers, models, ops
from tinyllm.visualize import graph


@given(programs())
@np.errstate(all="ignore")
def test_the_gradients_shown_equal_those_of_backward(program):
    tensor, leaves = program
    if tensor.is_leaf:
        return
    drawn = graph(tensor, names={str(i): each for i, each in enumerate(leaves)})
    assert all(each.grad is None for each in leaves)
    tensor.backward(np.ones_like(tensor.data))
    for box in drawn.boxes:
        if box.kind == "leaf":
            shown, computed = box.gradient, leaves[int(box.label)].grad
            assert (shown is None) == (computed is None)
            if shown is not None:
                assert_array_equal(shown, computed)


def test_a_node_in_the_middle_shows_its_own_gradient():
    x = Tensor([1.0, 2.0], requires_grad=True)
    h = x * 3.0
    (box,) = (box for box in graph(np.sum(h * h), names=locals()).boxes if box.label == "h")
    assert_array_equal(box.gradient, 2 * h.data)


def test_the_text_form_lists_every_node_with_its_rule():
    x = Tensor(3.0, requires_grad=True)
    assert str(graph(np.sin(x) / x, rules=True)) == (
        "%1 = leaf            ()  value 3  grad -0.3457\n"
        "%2 = sin(%1)         ()  value 0.1411  grad 0.3333\n"
        "    to %1, as x: g * np.cos(x)\n"
        "%3 = divide(%2, %1)  ()  value 0.04704  grad 1\n"
        "    to %2, as a: g / b\n"
        "    to %1, as b: -g * y / b"
    )


def test_values_and_gradients_are_left_out_on_request():
    loss, names = perceptron()
    assert "value" in str(graph(loss)) and "grad" in str(graph(loss))
    bare = graph(loss, gradients=False, values=False, names=names)
    assert "value" not in str(bare) and "grad" not in str(bare)


def test_array_constants_are_boxes_on_request_and_numbers_stand_in_the_call():
    loss, _ = perceptron()
    assert [box.label for box in graph(loss).boxes if box.kind == "constant"] == ["c1"]
    assert "matmul(array(4, 3), %1)" in str(graph(loss, constants=False))
    assert "subtract(%5, 1)" in str(graph(loss))


def test_a_constant_used_twice_is_drawn_once():
    c = np.arange(3.0)
    drawn = graph(leaf(3) * c + c, names={"c": c})
    assert [box.label for box in drawn.boxes] == ["%1", "c", "%2", "%3"]
    assert len(drawn.edges) == 4


def test_an_argument_used_twice_is_two_edges():
    x = leaf(2)
    assert graph(x * x).edges == [(0, 1), (0, 1)]


def test_a_models_weights_bear_their_names_whatever_hands_them_over():
    embedding = layers.Embedding(10, 4, input_length=5)
    model = models.Sequential([embedding, layers.LSTM(3)])
    unbuilt = models.Sequential([layers.Dense(1)])
    loss = np.sum(model(np.zeros((1, 5))))
    for names in (model, dict(model.named_weights)):
        leaves = {box.label for box in graph(loss, names=names).boxes if box.kind == "leaf"}
        assert leaves == set(model.named_weights)
    labels = {box.label for box in graph(loss, names=locals()).boxes}
    assert {"loss", "model/lstm/kernel"} <= labels
    assert "embeddings" in {box.label for box in graph(loss, names=embedding).boxes}
    assert unbuilt.layers


def test_names_that_name_nothing_are_refused():
    with pytest.raises(TypeError, match=r"a dict such as {'w': w}, or a model that has weights, is needed; found list"):
        graph(perceptron()[0], names=["w"])


def test_a_kernel_and_the_outputs_used_of_it():
    x = leaf(2, 3, 4)
    y, last, _ = ops.lstm(x, np.zeros((2, 2)), np.zeros((2, 2)), leaf(4, 8), leaf(2, 8), None)
    text = str(graph(np.sum(y) + np.sum(last), rules=True))
    assert re.search(r"%4 = lstm\(%1, c1, c2, %2, %3, None, None\) +outputs \(2, 3, 2\), \(2, 2\), \(2, 2\)", text)
    assert "by hand, equal to lstm_from_rules" in text
    assert re.search(r"%5 = %4\[0\] ", text) and re.search(r"%\d = %4\[1\] ", text)


def test_indices_are_written_as_in_numpy():
    x = leaf(3, 4)
    written = {"0": 0, "1:, ::2": np.s_[1:, ::2], "..., None": np.s_[..., None], "[0, 1]": [0, 1], "(0, 1)": ((0, 1),)}
    for text, index in written.items():
        assert f"%2 = %1[{text}]" in str(graph(x[index]))


def test_more_nodes_than_allowed_are_refused_with_a_summary():
    y, _ = chain(300)
    summary = r"graph: 301 nodes were recorded \(most: 150 add, 150 sin, 1 leaf\); .* max_nodes=301"
    with pytest.raises(ValueError, match=summary):
        graph(y)
    assert len(graph(y, max_nodes=301).boxes) == 301


def test_a_chain_of_20_000_operations_is_listed_and_laid_out():
    drawn = graph(chain(20_000)[0], max_nodes=30_000)
    assert str(drawn).count("\n") == 20_000
    assert drawn.to_svg().count('class="edge"') == 20_000


def test_a_freed_graph_is_refused_with_advice():
    loss, _ = perceptron()
    loss.backward()
    with pytest.raises(RuntimeError, match=r"freed this graph at 'sum'; call graph\(\) before it, or backward\(retain"):
        graph(loss)


def test_the_picture_stays_as_it_was_when_a_weight_is_updated():
    loss, names = perceptron()
    drawn = graph(loss, names=names)
    before = str(drawn)
    names["w"].data[...] = 0
    assert str(drawn) == before


def unquoted(text):
    return re.sub(r'"(?:[^"\\]|\\.)*"', "", text)


NASTY = '隐藏 "q" [a](b){c} <b> & \\n | # ; ` --> %%\nend'


@pytest.mark.parametrize("name", CHOSEN)
def test_dot_is_well_formed(name):
    tensor, names = CHOSEN[name]()
    drawn = graph(tensor, rules=True, names={**names, NASTY: tensor})
    lines = drawn.to_dot().splitlines()
    assert (lines[0], lines[-1]) == ("digraph computation {", "}")
    for line in lines[2:-1]:
        assert re.fullmatch(r"  n\d+ (\[shape=box, [\w=]+, label=\];|-> n\d+;)", unquoted(line)), line
    assert [tuple(map(int, e)) for e in re.findall(r"^  n(\d+) -> n(\d+);$", drawn.to_dot(), re.M)] == drawn.edges


@pytest.mark.parametrize("name", CHOSEN)
def test_mermaid_is_well_formed(name):
    tensor, names = CHOSEN[name]()
    drawn = graph(tensor, rules=True, names={**names, NASTY: tensor})
    lines = drawn.to_mermaid().splitlines()
    assert lines[0] == "flowchart TD"
    for line in lines[1:]:
        assert re.fullmatch(r'  n\d+(\[\[".*"\]\]|\[".*"\]|\(".*"\)| --> n\d+)', line), line
        inside = re.sub(r"<br/>|#\d+;", "", line[line.find('"') + 1 : line.rfind('"')])
        assert not set(inside) & set('"<>&#;`{}|\\') or " --> " in line
    assert [tuple(map(int, e)) for e in re.findall(r"^  n(\d+) --> n(\d+)$", drawn.to_mermaid(), re.M)] == drawn.edges


def test_a_notebook_is_shown_the_picture_and_a_console_the_text():
    drawn = graph(classifier()[0])
    bundle = drawn._repr_mimebundle_()
    assert bundle == {"image/svg+xml": drawn.to_svg(), "text/plain": str(drawn)}


def test_the_suffix_says_in_which_form_a_graph_is_saved(tmp_path):
    drawn = graph(perceptron()[0], names={"损失": perceptron()[0]})
    forms = {".svg": drawn.to_svg(), ".dot": drawn.to_dot(), ".mmd": drawn.to_mermaid(), ".txt": f"{drawn}\n"}
    for suffix, text in forms.items():
        drawn.save(tmp_path / f"graph{suffix}")
        assert (tmp_path / f"graph{suffix}").read_text(encoding="utf-8") == text
    with pytest.raises(ValueError, match=r"written as .svg, .dot, .mmd, .txt; found 'graph.png'"):
        drawn.save("graph.png")
