"""Keras's descriptions of models, there and back, beside one that Keras wrote."""

import copy
import json
from pathlib import Path

import pytest

from tinyllm.models import Model
from tinyllm.saving.keras_config import from_keras, in_keras_order, to_keras

GRAPH = json.loads((Path(__file__).parents[1] / "golden" / "graph_keras3.json").read_text())
DESCRIBED = {"class_name": "Functional", "config": GRAPH["config"]}
DENSE = {"class_name": "Dense", "config": {"name": "d", "units": 2, "activation": "relu"}}


def histories(x):
    """Where each tensor comes from, in the order of the text."""
    if isinstance(x, list):
        return [each for one in x for each in histories(one)]
    if not isinstance(x, dict):
        return []
    return [x["keras_history"]] if "keras_history" in x else [each for one in x.values() for each in histories(one)]


def nodes(described):
    """What every layer is called on; what only makes masks, and masks, left out."""
    found = {}
    for each in described["config"]["layers"]:
        calls = each["inbound_nodes"]
        calls = [
            {k: {n: v for n, v in c[k].items() if n != "mask"} if k == "kwargs" else c[k] for k in c} for c in calls
        ]
        if each["class_name"] not in ("NotEqual", "Any"):
            found[each["config"]["name"]] = [histories(c) for c in calls]
    return found


def test_a_graph_that_keras_wrote_comes_back_with_its_layers_in_order_and_every_call():
    ours = from_keras(DESCRIBED)
    assert ours["class_name"] == "Model"
    again = to_keras("Model", Model.from_config(ours["config"]).get_config())
    assert list(nodes(again)) == list(nodes(DESCRIBED))
    assert nodes(again) == nodes(DESCRIBED)
    for key in ("input_layers", "output_layers", "name"):
        assert again["config"][key] == GRAPH["config"][key]


def test_attention_is_called_on_a_list_here_and_on_its_members_there():
    ours = {each["config"]["name"]: each for each in from_keras(DESCRIBED)["config"]["layers"]}
    assert ours["attention"]["calls"] == [
        {"args": [[{"tensor": ["inside", 0, 0]}, {"tensor": ["inside", 1, 0]}]], "kwargs": {}}
    ]
    states = [{"tensor": ["first", 0, 1]}, {"tensor": ["first", 0, 2]}]
    assert ours["second"]["calls"] == [{"args": [{"tensor": ["inside", 1, 0]}], "kwargs": {"initial_state": states}}]


def test_the_order_does_not_hang_on_the_order_in_which_layers_are_listed():
    config = from_keras(DESCRIBED)["config"]
    expected = [each["config"]["name"] for each in in_keras_order(config)]
    config["layers"].reverse()
    assert [each["config"]["name"] for each in in_keras_order(config)] == expected


def test_an_inner_graph_s_outputs_are_counted_from_one_among_the_ends_only():
    inner = {"class_name": "Functional", "config": copy.deepcopy(GRAPH["config"]), "inbound_nodes": []}
    outer = {"name": "outer", "layers": [inner], "input_layers": [], "output_layers": ["graph", 1, 0]}
    assert from_keras({"class_name": "Functional", "config": outer})["config"]["outputs"] == {"tensor": ["graph", 0, 0]}


def test_the_graphs_of_keras_2_are_read_too():
    layers = [
        {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 3], "name": "in"}, "inbound_nodes": []},
        {**DENSE, "inbound_nodes": [[["in", 0, 0, {}]]]},
        {"class_name": "Add", "config": {"name": "sum"}, "inbound_nodes": [[["d", 0, 0, {}], ["d", 0, 0, {}]]]},
    ]
    config = {"name": "m", "layers": layers, "input_layers": [["in", 0, 0]], "output_layers": [["sum", 0, 0]]}
    made = Model.from_config(from_keras({"class_name": "Functional", "config": config}, old=True)["config"])
    assert made.layers[-1].name == "sum" and made.count_params() == 8


@pytest.mark.parametrize(
    "change, message",
    [
        ({"kernel_constraint": {"class_name": "MaxNorm"}}, "Dense 'd' has kernel_constraint=.*which tinyllm does not"),
        ({"activation": "mish"}, "unknown activation 'mish'; known: "),
        ({"activation": "hard_sigmoid"}, "Dense 'd': hard_sigmoid is "),
    ],
)
def test_what_we_lack_or_compute_otherwise_is_an_error_that_names_it(change, message):
    with pytest.raises(ValueError, match=message):
        from_keras({"class_name": "Dense", "config": DENSE["config"] | change})


@pytest.mark.parametrize("activation", ["hard_sigmoid"])
def test_what_keras_computes_otherwise_is_not_written_even_inside_a_wrapper(activation):
    around = {
        "name": "t",
        "layer": {"class_name": "Dense", "config": {"name": "d", "units": 2, "activation": activation}},
    }
    with pytest.raises(ValueError, match=f"save: {activation} .*save to a folder"):
        to_keras("TimeDistributed", around)


def test_the_hard_sigmoid_of_keras_2_is_ours():
    assert from_keras(
        {"class_name": "Dense", "config": {"name": "d", "units": 1, "activation": "hard_sigmoid"}}, old=True
    )
