"""What changes is seen without a reload, and what does not come is seen, too."""

import re
import time

from conftest import until
from registry import Holder


def first_finding(page):
    return page.locator(".findings .f").first


def test_a_killed_holder_is_seen_without_a_reload(registry, visit):
    registry.register("quiet")
    holder = Holder(registry, "llama")
    page = visit(registry)
    page.get_by_text("Nothing needs you.").wait_for()
    page.evaluate("window.same = true")
    holder.kill()
    registry.wait_for("/resources?finding=orphan")
    raised = time.monotonic()
    first_finding(page).wait_for(timeout=5000)
    took = time.monotonic() - raised
    assert "Orphan" in first_finding(page).inner_text() and "24.50" in first_finding(page).inner_text()
    assert page.evaluate("window.same"), "the page was loaded anew"
    until(page, "document.title.startsWith('(1) $24.50/h orphan')")
    assert page.locator("#icon").get_attribute("href").endswith("icon-bad.svg")
    print(f"seen {took:.2f} s after the event")


def test_one_orphan_among_ten_thousand_plugins_is_the_first_row(registry, visit):
    for start in range(0, 10_000, 1000):
        registry.register_many([{"category": f"c{n % 10}", "name": f"n{n}", "title": f"Plugin {n}"} for n in range(start, start + 1000)])
    registry.lose("llama")
    registry.wait_for("/resources?finding=orphan")
    page = visit(registry, "/plugins")
    page.locator("tbody tr").first.wait_for()
    took = page.evaluate("""async () => {
        const start = performance.now();
        location.hash = "#/";
        while (!document.querySelector(".findings .f")) await new Promise(requestAnimationFrame);
        return performance.now() - start;
    }""")
    assert "Orphan" in first_finding(page).inner_text()
    page.reload()
    first_finding(page).wait_for()
    seen = page.evaluate("performance.now()")
    print(f"visible {took:.0f} ms after navigation, {seen:.0f} ms after a reload")


def test_a_server_that_is_away_makes_the_page_say_so(registry, visit):
    registry.register("one")
    page = visit(registry, "/plugins")
    page.watched.expected = ["net::ERR", "Failed to load resource"]
    page.locator(".live.ok").wait_for()
    registry.kill()
    page.get_by_text(re.compile("reconnecting|offline")).first.wait_for(timeout=20_000)
    page.locator("body.stale").wait_for(state="attached", timeout=40_000)
    registry.start(registry.url.removeprefix("http://"))
    page.locator(".live.ok").wait_for(timeout=40_000)
    registry.register("two", title="After the return")
    page.get_by_text("After the return").first.wait_for()
