"""What is checked: the user's function with its shapes, every layer by its name, a saved model with a batch."""

import json

import numpy as np
import pytest

from tinyllm.cli import main
from tinyllm.layers import LAYERS, Dense, Dropout, Embedding, GlobalAveragePooling1D
from tinyllm.models import LanguageModel, Sequential

MINE = """\
import numpy as np
from tinyllm.layers import Dense

def loss(x, w):
    return np.sum(np.tanh(x @ w))

def loss_gradient(g, x, w):
    d = g * (1 - np.tanh(x @ w) ** 2)
    return d @ w.T, x.T @ d

def wrong_gradient(g, x, w):
    d = g * (1 - np.tanh(x @ w))
    return d @ w.T, x.T @ d

def look_up(table, ids):
    return table[ids]

def several(*xs):
    return xs[0] * xs[1]

def scaled(x, k=2.0):
    return x * k

def keyword(x, *, k):
    return x * k

def nothing():
    return 1.0

def text(x):
    return "abc"

def none(x):
    return None

dense = Dense(3)
"""
ARGUMENTS = {
    "Activation": ["--activation", "tanh"],
    "Bidirectional": ["LSTM", "--units", "2", "--merge_mode", "sum"],
    "Conv1D": ["--filters", "2", "--kernel-size", "3", "--padding", "same"],
    "Dense": ["--units", "3", "--activation", "relu", "--use_bias", "false"],
    "Dropout": ["--rate", "0.5"],
    "Embedding": ["--input_dim", "7", "--output_dim", "3"],
    "GRU": ["--units", "2", "--return-sequences"],
    "InputLayer": ["--shape", "[4]"],
    "LSTM": ["--units", "2", "--return_state", "true"],
    "MultiHeadAttention": ["--num_heads", "2", "--key_dim", "2"],
    "RepeatVector": ["--n", "2"],
    "Reshape": ["--target_shape", "2,6"],
    "SimpleRNN": ["--units", "2", "--go_backwards", "True"],
    "SpatialDropout1D": ["--rate", "0.5"],
    "TimeDistributed": ["Embedding", "--input_dim", "7", "--output_dim", "3"],
}


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def run(*arguments):
    return main(["gradcheck", *arguments])


def found(capsys):
    return json.loads(capsys.readouterr().out)


# -- a function -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["loss", "--shapes", "3,4", "4,5"],
        ["loss", "--shapes", "3,4", "4,5", "--order", "2", "--seed", "7", "--elements", "directions", "--rtol", "1e-4"],
        ["loss", "--shapes", "3,4", "4,5", "--gradient", "loss_gradient", "--method", "central", "--elements", "3"],
        ["loss", "--shapes", "3,4", "4,5", "--gradient", "mine.py:loss_gradient", "--method", "complex"],
        ["look_up", "--shapes", "6,2", "4:int6"],
        ["several", "--shapes", "3", "3"],
        ["scaled", "--shapes", ""],
        ["scaled", "--shapes", "()", "2,3"],
        ["dense", "--shapes", "3,4"],
    ],
)
def test_a_right_gradient_ends_with_0(arguments, mine):
    assert run(f"mine.py:{arguments[0]}", *arguments[1:]) == 0


def test_a_wrong_gradient_ends_with_1_and_the_verdict(mine, capsys):
    assert run("mine.py:loss", "--gradient", "wrong_gradient", "--shapes", "3,4", "4,5") == 1
    assert "gradcheck of loss, order 1: WRONG" in capsys.readouterr().out


def test_options_may_stand_before_the_function(mine):
    assert run("--order", "2", "--seed", "3", "mine.py:loss", "--shapes", "3,4", "4,5") == 0


def test_logarithms_get_positive_numbers():
    assert run("numpy:log", "--positive", "--shapes", "3,4") == 0


def test_a_function_that_is_not_defined_everywhere_gets_a_note_and_no_warning(capsys):
    assert run("numpy:log", "--shapes", "9") == 0
    captured = capsys.readouterr()
    assert "note: f is not finite everywhere" in captured.out and captured.err == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("loss", "it takes 2 arguments (x, w): give the shape of each, for example --shapes 3,4 4,5"),
        ("scaled", "it takes 1 argument (x): give the shape of each, for example --shapes 3,4"),
        ("several", "it takes 1 argument (*args): give the shape"),
        ("loss --shapes 3,4", "it takes 2 arguments (x, w); --shapes gives 1"),
        ("loss --shapes 3 3 3", "it takes 2 arguments (x, w); --shapes gives 3"),
        ("keyword --shapes 3", "missing a required"),
        ("nothing", "it takes no arguments: there is nothing to differentiate"),
        ("nothing --shapes 3", "it takes no arguments: there is nothing to differentiate"),
        ("text --shapes 3", "f must return real numbers"),
        ("none --shapes 3", "f must return real numbers"),
        ("loss --shapes 100000,100000 3", "10,000,000,003 numbers are 80 GB"),
        ("look_up --shapes 3:int4 2:int3", "no input is a floating-point array"),
        ("loss --shapes 3,4 4,5 --gradient los_gradient", "near ones: loss_gradient"),
        ("loss --shapes 3,4 4,5 --order 2 --gradient loss_gradient", "order=2 needs a gradient that can be"),
    ],
)
def test_what_cannot_be_checked_is_said_in_one_line(arguments, said, mine, capsys):
    name, *rest = arguments.split()
    assert run(f"mine.py:{name}", *rest) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith(f"tinyllm gradcheck: mine.py:{name}: ")
    assert said in captured.err and captured.err.count("\n") == 1


# -- a layer --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_every_layer_is_checked_by_its_name(name, capsys):
    assert run("--layer", name, *ARGUMENTS.get(name, []), "--json") == 0
    report = found(capsys)
    assert report["subject"].startswith(name) and report["arguments"]


def test_a_layers_arguments_reach_it(capsys):
    assert run("--layer", "LSTM", "--units", "8", "--use-bias", "false", "--name", "mine", "--json") == 0
    report = found(capsys)
    assert report["subject"] == "LSTM 'mine'"
    assert {a["name"]: a["shape"] for a in report["arguments"]} == {
        "x": [3, 5, 4],
        "kernel": [4, 32],
        "recurrent_kernel": [8, 32],
    }


def test_a_layer_around_a_layer_around_a_layer_hands_arguments_in(capsys):
    shapes = ["--shapes", "2,3,4,5"]
    assert run("--layer", "TimeDistributed", "Bidirectional", "GRU", "--units", "2", *shapes, "--json") == 0
    assert found(capsys)["arguments"][0]["shape"] == [2, 3, 4, 5]


def test_a_layer_takes_the_shapes_and_ids_that_are_given(capsys):
    assert run("--layer", "Embedding", "--input_dim", "4", "--output_dim", "2", "--shapes", "2,9", "--json") == 0
    assert [a["name"] for a in found(capsys)["arguments"]] == ["embeddings"]
    assert run("--layer", "Concatenate", "--shapes", "2,3", "2,4", "2,5", "--json") == 0
    assert len(found(capsys)["arguments"]) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("LSTN --units 8", "unknown layer 'LSTN'; near ones: LSTM"),
        ("lstm --units 8", "unknown layer 'lstm'; near ones: LSTM"),
        ("qqqqqq", "unknown layer 'qqqqqq'; known: Activation, Add, "),
        ("Dense --units abc", "Dense: units must be a positive whole number; found 'abc'"),
        ("Dense --units 3 --activation curvy", "curvy"),
        ("Dense --units 10000000000", "weight 'kernel' (4, 10000000000): 40,000,000,000 numbers are 320 GB"),
        ("LSTM --units 3 --shapes 3,4", "expected inputs (batch, time, features)"),
        ("Embedding --input_dim 3 --output_dim 2 --shapes 4:int9", "is outside 0..2"),
        ("Bidirectional", "Bidirectional goes around a layer: --layer Bidirectional LSTM --units 8"),
        ("Dense LSTM --units 3", "Dense goes around no other layer; found LSTM after it"),
    ],
)
def test_a_mistake_with_a_layer_is_one_line_and_exit_code_1(arguments, said, capsys):
    assert run("--layer", *arguments.split()) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and said in captured.err and captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("LSTM", "required: --units"),
        ("LSTM --units 8 --unit 3", "unrecognized arguments: --unit"),
        ("LSTM --units 8 --use_bias perhaps", "true or false; found 'perhaps'"),
        ("", "--layer: expected at least one argument"),
    ],
)
def test_a_wrong_argument_of_a_layer_exits_with_2(arguments, said, capsys):
    with pytest.raises(SystemExit) as exit_:
        run("--layer", *arguments.split())
    assert exit_.value.code == 2 and said in capsys.readouterr().err


def test_help_lists_the_arguments_of_the_layer(capsys):
    with pytest.raises(SystemExit) as exit_:
        run("--layer", "LSTM", "--help")
    assert exit_.value.code == 0
    out = capsys.readouterr().out
    assert "arguments of LSTM" in out and "--return_sequences" in out and "2,5:int10" in out


# -- a saved model --------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path):
    model = Sequential([Embedding(7, 3, input_length=5), GlobalAveragePooling1D(), Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    model.save(tmp_path / "model")
    return str(tmp_path / "model")


def test_a_compiled_model_is_checked_through_its_loss(saved, capsys):
    assert run("--model", saved, "--json") == 0
    report = found(capsys)
    assert report["ok"] and report["arguments"][0]["name"] == "embedding/embeddings"


def test_a_model_that_was_not_compiled_is_checked_through_its_output(tmp_path):
    Sequential([Dense(3, input_shape=(4,)), Dropout(0.5), Dense(2)]).save(tmp_path / "model")
    assert run("--model", str(tmp_path / "model")) == 0


def test_a_language_model_is_checked_at_any_length(tmp_path):
    model = LanguageModel(["abab"], embedding_dim=2, units=3)
    model.fit_texts(["abab"], epochs=1, verbose=0)
    model.save(tmp_path / "model")
    assert run("--model", str(tmp_path / "model")) == 0
    assert run("--model", str(tmp_path / "model"), "--shapes", "2,7", "--order", "2", "--elements", "2") == 0


def test_data_of_ones_own_is_used(saved, tmp_path, capsys):
    np.savez(tmp_path / "data.npz", x=np.ones((2, 5), int), y=np.ones((2, 1)))
    assert run("--model", saved, "--data", str(tmp_path / "data.npz"), "--json") == 0
    assert found(capsys)["ok"]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"z": 1.0}, "it holds no x; found z"),
        ({}, "it holds no x; found nothing"),
        ({"x": np.array([{}, 1], object)}, "x and y must be arrays of numbers"),
        ({"x": np.full((2, 5), 9)}, "token id 9 is outside 0..6"),
        (None, "does not exist; write one with np.savez"),
        (b"PK junk", "is no .npz file"),
    ],
)
def test_data_that_cannot_be_used_is_refused_in_one_line(arrays, said, saved, tmp_path, capsys):
    path = tmp_path / "data.npz"
    if isinstance(arrays, bytes):
        path.write_bytes(arrays)
    elif arrays is not None:
        np.savez(path, **arrays)
    assert run("--model", saved, "--data", str(path)) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--shapes", "2,5", "2,5"], "a model has one input; --shapes gives 2"),
        (["--shapes", "100000,100000"], "80 GB"),
        (["--shapes", "2,5:int9"], "is outside 0..6"),
    ],
)
def test_shapes_that_do_not_fit_a_model_are_refused(arguments, said, saved, capsys):
    assert run("--model", saved, *arguments) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_model_that_is_not_there_is_one_line(capsys):
    assert run("--model", "no/such/model") == 1
    assert capsys.readouterr().err == "tinyllm gradcheck: load_model: there is nothing at 'no/such/model'\n"
