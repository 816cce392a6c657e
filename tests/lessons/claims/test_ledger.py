"""The ledger: 95 claims, in two languages, and a computation behind every verdict."""

import numpy as np
import pytest

from tinyllm.lessons.claims import LEDGER, VERDICTS, Claim, claim, finding, tally
from tinyllm.lessons.claims.environment import SENTENCES
from tinyllm.lessons.claims.outlook import gpt_parameters
from tinyllm.lessons.claims.program import program
from tinyllm.lessons.claims.server import answer, app_alone, comes_back
from tinyllm.lessons.readings import AFTER, READINGS
from tinyllm.models import GPT

EVERY = pytest.mark.parametrize("entry", LEDGER.values(), ids=list(LEDGER))
COUNTS = {"S3": 6, "S4": 50, "S5": 32, "S7": 2, "S8": 1, "S9": 4}


def test_it_holds_every_claim_once_in_the_order_of_the_article():
    wanted = [f"{section}-{i:02}" for section, count in COUNTS.items() for i in range(1, count + 1)]
    assert list(LEDGER) == wanted
    assert all(id == entry.id for id, entry in LEDGER.items())


def test_half_of_the_claims_are_wrong():
    assert tally() == {
        "right": 22,
        "wrong": 50,
        "imprecise": 12,
        "right given a wrong input": 10,
        "unverifiable": 1,
    }


@EVERY
def test_an_entry_is_complete_in_both_languages(entry):
    english, chinese = (entry.says, entry.says) if isinstance(entry.says, str) else entry.says
    assert entry.verdict in VERDICTS
    assert english and chinese and entry.line > 0
    assert entry.why.isascii() and english.isascii()
    assert any("\u4e00" <= letter <= "\u9fff" for letter in entry.why_zh)
    assert entry.why.endswith(".") and entry.why_zh.endswith("。")


@EVERY
def test_its_own_computation_decides_every_claim(entry):
    """claim() raises if verdict or truth are contradicted; here it must also be able to tell."""
    found = claim(entry.id)
    wanted = {"right": True, "right given a wrong input": True, "wrong": False}.get(entry.verdict)
    if wanted is not None:
        assert found.holds() is wanted
    assert found.computed is not None


@EVERY
def test_a_statement_that_is_imprecise_is_not_true_in_every_part(entry):
    if entry.verdict == "imprecise" and not entry.claimed and not entry.formula:
        parts = entry.compute()
        assert True in parts and False in parts


@pytest.mark.parametrize("verdict", ["right", "wrong"])
def test_a_verdict_that_its_computation_contradicts_is_refused(verdict, monkeypatch):
    entry = Claim("S0-01", 1, "1 + 1", "2", verdict, "", "Why.", "因为。", lambda: 3 if verdict == "right" else 2)
    monkeypatch.setitem(finding.LEDGER, "S0-01", entry)
    with pytest.raises(AssertionError, match="out of date"):
        claim("S0-01")


def test_a_model_is_saved_and_read_without_h5py_too(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert comes_back() is True


def test_no_reading_of_the_network_arrives_at_the_articles_weights():
    for reading in READINGS.values():
        for sign in (1, -1):
            assert not np.allclose(reading.step(reading.start, sign), AFTER[: reading.size], atol=0.005)


def test_the_count_of_gpt_3_is_the_count_of_a_gpt():
    sizes = {"depth": 3, "width": 8, "context": 5}
    model = GPT(vocab_size=7, heads=2, bias=True, **sizes)
    model(np.zeros((1, 1), dtype=int))
    assert model.count_params() == gpt_parameters(vocabulary=7, **sizes)


def test_the_program_ends_where_44_runs_of_the_frameworks_end():
    first, second, third = program().predictions[:, 0]
    assert 0.999 < first < 1 and 0 < second < 0.001 and 0.999 < third < 1
    assert program() is program()


@pytest.fixture
def client():
    """The article's server under Flask's test client: its own lines, with or without tokenizer and model."""
    flask = pytest.importorskip("flask")

    def made(handle):
        app = flask.Flask("app")
        app.logger.disabled = True  # of the exceptions that are expected

        @app.route("/predict", methods=["POST"])
        def predict():
            return flask.jsonify(result=handle(flask.request.get_json()))

        return app.test_client()

    return made


def test_the_articles_server_alone_fails_at_the_first_request(client):
    assert client(app_alone).post("/predict", json={"text": SENTENCES[0]}).status_code == 500


def test_the_articles_server_answers_0_to_every_sentence_and_405_to_a_browser(client):
    server = client(answer)
    assert [server.post("/predict", json={"text": s}).json for s in SENTENCES] == [{"result": [0]}] * 3
    assert server.get("/predict").status_code == 405


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ("{}", "application/json", 500),
        ("null", "application/json", 500),
        ('{"text": 5}', "application/json", 500),
        ("{", "application/json", 400),
        ('{"text": "a"}', None, 415),
    ],
)
def test_the_articles_server_does_not_check_what_it_is_sent(client, body, kind, status):
    assert client(answer).post("/predict", data=body, content_type=kind).status_code == status
