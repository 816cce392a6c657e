"""The page in a real browser: `make service`."""

import os
import re
import shutil

import pytest

from tests.serving.helpers import SENTENCES, chain
from tinyllm.models import LanguageModel
from tinyllm.serving import running_server

pytestmark = [pytest.mark.service, pytest.mark.filterwarnings("default")]

sync_api = pytest.importorskip("playwright.sync_api", exc_type=ImportError)
expect = sync_api.expect
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    with sync_api.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def judge(article):
    with running_server(article) as url:
        yield url


@pytest.fixture(scope="module")
def writer():
    model = LanguageModel(SENTENCES, embedding_dim=8, units=32)
    model.fit_texts(SENTENCES, epochs=150, learning_rate=0.03, verbose=0)
    with running_server(model) as url:
        yield url


@pytest.fixture
def opened(browser):
    """Open an address in a window of its own: a page whose script may not fail."""
    contexts, errors = [], []
    refused = "Failed to load resource: the server responded with a status of 400"  # what the browser adds by itself

    def open_page(url, **options):
        contexts.append(
            browser.new_context(**({"locale": "en-US", "viewport": {"width": 1100, "height": 900}} | options))
        )
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(url)
        expect(page.locator("#about")).not_to_be_empty()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [error for error in errors if not error.startswith(refused)] == []


def test_a_text_is_judged_with_its_tokens_and_gates(opened, judge):
    page = opened(judge)
    page.fill("#words", SENTENCES[1])
    page.click("#ask button.main")
    page.wait_for_selector("#judged:not([hidden])")
    shares = page.locator("#classes td.number").all_inner_texts()
    assert len(shares) == 2 and float(shares[0].split()[0]) > 99
    assert page.locator("#tokens li").count() == 5 and page.locator("#tokens li.padding").count() == 4
    assert SENTENCES[1] in page.locator("#tokens li").first.inner_text()
    assert page.locator("#heat canvas").count() == 4
    page.fill("#words", "unknown")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#known")).not_to_be_empty()


def test_a_text_is_written_piece_by_piece(opened, writer):
    page = opened(writer)
    page.fill("#prompt", "我")
    page.check("#greedy")
    page.click("#start")
    expect(page.locator("#end")).not_to_be_empty()
    assert page.inner_text("#text") == "我爱中国。"
    assert page.inner_text("#end") == "4 tokens; the text is at its end."


def test_the_bars_move_with_the_settings(opened, writer):
    page = opened(writer)
    page.wait_for_selector("#candidates tbody tr")

    first = page.locator("#candidates tbody tr td:last-child").first
    before = first.inner_text()
    page.fill("#temperature", "5")
    expect(first).not_to_have_text(before)
    page.fill("#top_k", "1")
    expect(first).to_have_text("100 %")
    assert set(page.locator("#candidates tbody tr td:last-child").all_inner_texts()[1:]) == {"0.00 %"}


def test_writing_can_be_stopped(opened):
    import time

    with running_server(chain(lambda: time.sleep(0.02))) as url:
        page = opened(url)
        page.fill("#max_tokens", "1000")
        page.click("#start")
        expect(page.locator("#text")).to_have_text(re.compile(".{6}"))
        page.click("#stop")
        expect(page.locator("#end")).not_to_be_empty()
        assert re.fullmatch(r"\d+ tokens; stopped by you\.", page.inner_text("#end"))
        length = len(page.inner_text("#text"))
        page.wait_for_timeout(300)
        assert len(page.inner_text("#text")) == length
        assert page.is_enabled("#start") and page.is_disabled("#stop")


def test_a_refusal_is_told_in_the_servers_words(opened, writer):
    page = opened(writer)
    page.fill("#prompt", "Z")
    expect(page.locator("#error")).to_contain_text("vocabulary has no 'Z'")
    page.fill("#prompt", "我")
    expect(page.locator("#error")).to_be_empty()


def test_the_language_changes_and_nothing_is_lost(opened, judge, writer):
    page = opened(judge, locale="zh-CN")
    assert page.inner_text("#judge") == "判断一段文字" and page.get_attribute("html", "lang") == "zh-CN"
    page.click("#language")
    assert page.inner_text("#judge") == "Judge a text" and page.get_attribute("html", "lang") == "en"
    page = opened(writer)
    page.fill("#temperature", "1.5")
    page.fill("#prompt", "今")
    page.click("#language")
    assert page.input_value("#temperature") == "1.5" and page.input_value("#prompt") == "今"
    assert page.inner_text("#start") == "开始写"


def test_the_keyboard_alone_is_enough(opened, writer):
    page = opened(writer)
    seen = []
    for _ in range(15):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id"))
    wanted = [
        "language",
        "prompt",
        "max_tokens",
        "temperature",
        "top_k",
        "top_p",
        "min_p",
        "repetition_penalty",
        "seed",
        "greedy",
        "start",
    ]
    assert [each for each in seen if each in wanted][: len(wanted)] == wanted
    page.focus("#prompt")
    page.keyboard.type("今")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#end")).not_to_be_empty()
    page.focus("#language")
    page.keyboard.press("Enter")
    assert page.inner_text("#language") == "English"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_axe_finds_nothing_serious_and_a_telephone_is_wide_enough(opened, judge, writer, scheme, locale):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    for url in (judge, writer):
        page = opened(url, color_scheme=scheme, locale=locale, viewport={"width": 390, "height": 800})
        page.keyboard.press("Tab")
        page.focus("textarea:visible")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector("#gates:not([hidden])")
        page.wait_for_timeout(300)
        if folder := os.environ.get("TINYLLM_SCREENSHOTS"):
            page.screenshot(
                path=f"{folder}/{scheme}-{locale}-{'judge' if url == judge else 'writer'}.png", full_page=True
            )
        found = axe.Axe().run(page).response["violations"]
        assert [(each["id"], each["impact"]) for each in found if each["impact"] in ("serious", "critical")] == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
