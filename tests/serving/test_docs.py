"""The pages on serving and deployment say what the service does."""

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.serving.helpers import LABELS, SENTENCES, chain, post
from tinyllm.cli import _parser
from tinyllm.models import load_model
from tinyllm.serving import create_app, running_server
from tinyllm.serving.app import MAX_BODY

ROOT = Path(__file__).parents[2]
SERVING = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
DEPLOYMENT = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def commands(page):
    """The `tinyllm ...` lines of a page, each as a list of words."""
    lines = re.findall(r"^ +(?:ExecStart=\S*/)?(tinyllm [a-z][a-z-]* .*)$", page, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def parsed(words):
    """What the command line makes of them; SystemExit if nothing."""
    return _parser(words).parse_args(words)


def test_the_table_names_every_route_and_no_other(article):
    table = SERVING.partition("## The routes")[2].partition("**POST /predict**")[0]
    told = set(re.findall(r"`(GET|POST) (/[a-z.]*)`", table))
    service = create_app(article).extensions["tinyllm"]
    assert told == {("POST", path) for path in service.posts} | {("GET", path) for path in service.gets}


def test_the_table_of_members_has_each_with_its_default_and_its_bound():
    schema = create_app(chain()).extensions["tinyllm"].live.now.schemas["/generate"]
    rows = re.findall(r"^\| `(\w+)` +\|(.+?)\| +(\S+) +\|", SERVING, re.MULTILINE)
    assert {name: json.loads(default.strip("`")) for name, _, default in rows} == schema().model_dump()
    allowed, members = {name: what for name, what, _ in rows}, schema.model_json_schema()["properties"]
    assert f"up to {members['prompt']['maxLength']:,} characters" in allowed["prompt"]
    assert f"1 to {members['max_tokens']['maximum']}" in allowed["max_tokens"]
    assert f"up to {members['stop']['maxItems']} strings" in allowed["stop"]


def test_the_articles_call_is_answered_as_the_page_says(article, tmp_path):
    article.save(tmp_path / "classifier")
    body = json.loads(re.search(r"^ +curl .* -d '(.*)'$", SERVING, re.MULTILINE)[1])
    shown = json.loads(re.search(r'^ +(\{"result".*\})$', SERVING, re.MULTILINE)[1])
    with running_server(load_model(tmp_path / "classifier")) as url:
        answer = post(url + "/predict", body)
        assert answer.keys() == shown.keys() and answer["result"] == shown["result"] == [1]
        assert [post(url + "/predict", {"text": text})["result"] for text in SENTENCES] == [[each] for each in LABELS]


def test_the_example_with_requests_runs(article, capsys):
    pytest.importorskip("requests")
    code = re.search(
        r"^    import requests\n.*?# a sentence that says what to do\n", SERVING, re.DOTALL | re.MULTILINE
    )[0]
    with running_server(article) as url:
        exec(re.sub(r"^    ", "", code, flags=re.MULTILINE).replace("http://127.0.0.1:5000", url), {})
    assert capsys.readouterr().out.startswith("[1] [0.")


@pytest.mark.parametrize("words", commands(SERVING) + commands(DEPLOYMENT), ids=" ".join)
def test_every_command_is_one_that_the_command_line_takes(words):
    assert words[0] == "tinyllm" and parsed(words[1:]).command == words[1]


def test_the_container_starts_the_service_and_asks_it_how_it_is():
    entry, usual = (
        json.loads(re.search(rf"^{name} (\[.*\])$", DOCKERFILE, re.MULTILINE)[1]) for name in ("ENTRYPOINT", "CMD")
    )
    options = parsed((entry + usual)[1:])
    assert (options.command, options.model, options.host) == ("serve", "/model", "0.0.0.0")
    assert f"EXPOSE {options.port}\n" in DOCKERFILE
    check = re.search(r'"-c", "(.*)"\]', DOCKERFILE)[1]
    here = f"http://127.0.0.1:{options.port}"
    assert here in check
    with running_server(chain()) as url:
        exec(check.replace(here, url), {})


def test_the_proxy_and_the_supervisor_leave_the_service_the_time_it_needs():
    options = parsed(["serve", "m"])
    assert f"client_max_body_size  {MAX_BODY // 1024}k;" in DEPLOYMENT
    assert all(int(each) > options.deadline for each in re.findall(r"proxy_read_timeout (\d+)s", DEPLOYMENT))
    assert int(re.search(r"TimeoutStopSec=(\d+)", DEPLOYMENT)[1]) > options.grace


def test_every_count_on_the_page_is_counted(article):
    text = create_app(article).test_client().get("/metrics").get_data(as_text=True)
    told = set(re.findall(r"`(tinyllm_[a-z_]+)`", DEPLOYMENT))
    assert len(told) >= 6
    for name in told:
        assert f"# TYPE {name} " in text, name
