"""The live stream, over a restart and over the end of a token."""

from datetime import datetime, timedelta, timezone

from conftest import until
from test_pages import settled
from test_token import closed, log_in  # noqa: F401 (a fixture)

# Playwright evaluates functions of its own; a page's module is the same object for whoever imports its address.
COLLECT = """async () => {
    const live = await import(document.querySelector('link[href$="app/live.js"]').href);
    window.collected = [];
    live.onEvents((events) => window.collected.push(...events.map((one) => one.id)));
}"""


def rows(names, title):
    return [{"category": "many", "name": name, "title": title} for name in names]


def test_two_thousand_events_over_a_restart_come_once_each(registry, visit):
    registry.register("first")
    page = visit(registry, "/plugins")
    page.watched.expected = ["net::ERR", "Failed to load resource"]
    page.locator(".live.ok").wait_for()
    begin = registry.send("GET", "/plugins")["revision"]
    page.evaluate(COLLECT)
    for start in range(0, 1000, 100):
        registry.register_many(rows([f"a{start + n}" for n in range(100)], "Before"))
    # Some of them are on their way to the page, and some have not been sent to it.
    registry.kill()
    registry.start(registry.url.removeprefix("http://"))
    for start in range(0, 1000, 100):
        registry.register_many(rows([f"b{start + n}" for n in range(100)], "After"))
    expected = [event["id"] for event in registry.send("GET", f"/events?after={begin}&limit=10000")["items"]]
    assert len(expected) >= 2000, len(expected)
    until(page, f"window.collected.length >= {len(expected)}", seconds=60)
    assert page.evaluate("window.collected") == expected


def test_a_token_that_ends_during_a_stream_loses_nothing(closed, visit):  # noqa: F811
    registry, texts = closed
    ends = (datetime.now(timezone.utc) + timedelta(seconds=15)).isoformat().replace("+00:00", "Z")
    short = registry.send("POST", "/tokens", {"name": "short", "role": "viewer", "expires_at": ends})["token"]
    page = visit(registry, "/nothing")
    page.watched.expected = ["401"]
    page.evaluate("token => sessionStorage.setItem('plugin-registry.token', token)", short)
    page.goto(f"{registry.url}/#/plugins?q=a")
    page.reload()
    settled(page)
    page.locator(".live.ok").wait_for()
    page.evaluate("window.same = true")
    # The dialog opens by itself, above the page: its address, its rows and its filter stay.
    page.locator("dialog input[type=password]").wait_for(timeout=40_000)
    assert page.locator("main").get_by_text("Llama").count()
    registry.register("alpaca", spawned_pids=[4712])
    log_in(page, texts["admin"])
    page.get_by_text("Alpaca").first.wait_for()
    page.locator(".live.ok").wait_for()
    assert page.evaluate("window.same"), "the page was loaded anew"
    assert page.evaluate("location.hash") == "#/plugins?q=a"
    assert short not in page.content()
