"""`tinyllm shrink`: fewer bytes, and what they cost."""

import numpy as np
import pytest

from tinyllm.cli import main
from tinyllm.layers import LSTM, Dense, Embedding
from tinyllm.models import LanguageModel, RecurrentLM, Sequential, load_model
from tinyllm.preprocessing.text import TextToIds, Tokenizer
from tinyllm.preprocessing.tokenizers import CharacterTokenizer

TEXT = "spring rain\nautumn wind\n" * 5


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return str(path)


def test_a_language_model_has_a_loss_before_and_after(tmp_path, text, capsys):
    model = RecurrentLM(len(set(TEXT)), embedding=16, width=32, tokenizer=CharacterTokenizer(TEXT))
    model.ensure_ready()
    model.save(tmp_path / "run" / "model")  # as a run of tinyllm train has it
    assert main(["shrink", str(tmp_path / "run"), str(tmp_path / "s"), "--weights", "int8", "--text", text]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert " of weights, " in first and second.startswith("loss on the text: ")
    small = load_model(tmp_path / "s")
    nats = small.nats(small.encode(TEXT.removesuffix("\n")))
    assert f"{nats:.6f} after" in second


def test_a_model_of_lines_is_measured_by_lines(tmp_path, text, capsys):
    model = LanguageModel(["spring rain", "autumn wind"], embedding_dim=8, units=16)
    model.save(tmp_path / "m")
    assert main(["shrink", str(tmp_path / "m"), str(tmp_path / "s"), "--text", text]) == 0
    assert f"loss on the text: {model.nats(TEXT.split(chr(10))[:-1]):.6f} nats before" in capsys.readouterr().out


@pytest.mark.parametrize(("units", "activation"), [(1, "sigmoid"), (3, "softmax")])
def test_a_classifiers_answers_are_compared(tmp_path, capsys, units, activation):
    tokenizer = Tokenizer()
    tokenizer.fit_on_texts(["a b c d"])
    model = Sequential([Embedding(5, 16), LSTM(16), Dense(units, activation=activation)])
    model.preprocess = TextToIds(tokenizer, maxlen=3)
    model(np.zeros((1, 3), int))
    model.save(tmp_path / "m")
    assert main(["shrink", str(tmp_path / "m"), str(tmp_path / "s")]) == 0
    assert "probabilities of 4 texts: apart by " in capsys.readouterr().out


def test_what_cannot_be_is_one_line(tmp_path, capsys):
    model = RecurrentLM(3, embedding=4, width=4, tokenizer=CharacterTokenizer("abc"))
    model.ensure_ready()
    model.save(tmp_path / "m")
    for arguments, words in [
        ([tmp_path / "m", tmp_path / "m"], "is the model itself"),
        ([tmp_path / "m", tmp_path / "s", "--weights", "int4"], "found 'int4'"),
        ([tmp_path / "none", tmp_path / "s"], "there is nothing at"),
        ([tmp_path / "m", tmp_path / "s", "--text", tmp_path / "none.txt"], "no file"),
    ]:
        assert main(["shrink", *map(str, arguments)]) == 1
        err = capsys.readouterr().err
        assert words in err and err.count("\n") == 1
