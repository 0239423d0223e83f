"""Tokens: asked for after a 401, forgotten on demand, never in an address that is sent; viewers are offered no action."""

import json
import subprocess

import pytest

from registry import BINARY
from test_pages import settled


@pytest.fixture
def closed(start, tmp_path):
    """A registry with tokens, by role."""
    texts, entries = {}, []
    for role in ("admin", "viewer"):
        made = subprocess.run([BINARY, "token", "generate", "--name", role, "--role", role], check=True, stdout=subprocess.PIPE, text=True).stdout.strip().splitlines()
        texts[role] = made[0]
        entries += json.loads(made[-1])["token"]
    (tmp_path / "tokens.json").write_text(json.dumps({"token": entries}))
    registry = start("--tokens-file", str(tmp_path / "tokens.json"), token=texts["admin"])
    registry.register("llama", spawned_pids=[4711])
    return registry, texts


def log_in(page, text):
    page.locator("input[type=password]").fill(text)
    page.locator("input[type=password]").press("Enter")


def test_a_401_asks_for_a_token_and_forgetting_it_asks_again(closed, visit):
    registry, texts = closed
    page = visit(registry, "/plugins")
    page.watched.expected = ["401"]
    log_in(page, "plr_wrong")
    page.locator("input[type=password]").wait_for()
    log_in(page, texts["admin"])
    page.get_by_text("Llama").first.wait_for()
    assert texts["admin"] not in page.content()
    page.get_by_role("button", name="Forget token").first.click()
    page.reload()
    page.locator("input[type=password]").wait_for()


def test_a_token_in_the_fragment_is_not_sent_and_is_removed(closed, visit):
    registry, texts = closed
    sent = []
    page = visit(registry, "/nothing")
    page.watched.expected = ["401"]
    page.context.on("request", lambda asked: sent.append(asked.url))
    page.goto("about:blank")
    page.goto(f"{registry.url}/#token={texts['viewer']}")
    settled(page)
    assert texts["viewer"] not in page.evaluate("location.href")
    assert not [url for url in sent if texts["viewer"] in url.split("#")[0]]


def test_a_viewer_is_offered_no_action(closed, visit):
    registry, texts = closed
    page = visit(registry, "/nothing")
    page.watched.expected = ["401", "403"]
    page.evaluate(f"sessionStorage.setItem('plugin-registry.token', {json.dumps(texts['viewer'])})")
    for route in ("/", "/resources", "/plugins/demo_llama", "/plugins/demo_llama?tab=configuration", "/admin"):
        page.goto(f"{registry.url}/#{route}")
        page.reload()
        settled(page)
        for name in ("Release", "Delete", "Save", "Set status", "New budget", "New webhook", "New token", "Set level"):
            assert page.locator("main").get_by_role("button", name=name).count() == 0, f"{route}: {name}"
