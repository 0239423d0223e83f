"""Every page, in both themes and at two widths: rules of accessibility, no scrolling sideways, nothing asked of other hosts."""

import json

import pytest

from conftest import until

PAGES = {
    "now": "/", "holdings": "/resources", "plugins": "/plugins", "overview": "/plugins/ocr_tesseract", "holds": "/plugins/ocr_tesseract?tab=holds",
    "timeline": "/plugins/ocr_tesseract?tab=timeline", "configuration": "/plugins/ocr_tesseract?tab=configuration", "cost": "/plugins/demo_llama?tab=cost",
    "json": "/plugins/ocr_tesseract?tab=json", "hosts": "/hosts", "costs": "/costs", "events": "/events", "leases": "/leases", "admin": "/admin",
    "past": "/plugins?as_of=3",
}


def settled(page):
    """Waits until the page has its heading, and nothing says that it is loading."""
    page.locator("main h1").first.wait_for()
    # A page that is shown when the route changes is gone a frame later.
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    until(page, "document.querySelector('main h1') && !document.querySelector('main .loading')")


def go(page, route):
    page.evaluate(f"location.hash = {json.dumps('#' + route)}")
    settled(page)


@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_every_page_follows_the_rules_of_accessibility(size, filled, visit, axe):
    page = visit(filled, "/nothing", size=size)
    wrong = []
    for name, route in PAGES.items():
        go(page, route)
        if page.locator("h1").count() != 1:
            wrong.append(f"{name}: {page.locator('h1').count()} headings of the first level")
        if (sideways := page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")) > 0:
            wrong.append(f"{name}: scrolls sideways by {sideways} pixels")
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            wrong += [f"{name}, {theme}: {one}" for one in axe(page)]
    assert not wrong, "\n".join(wrong)


def test_an_empty_registry_says_why_a_page_is_empty(start, visit, axe):
    page = visit(start(store="memory"), "/nothing")
    for name in ("now", "holdings", "plugins", "hosts", "costs", "events", "leases", "admin"):
        go(page, PAGES[name])
        assert page.locator(".trouble").count() == 0, f"{name}: {page.locator('.trouble').first.inner_text()}"
        assert not axe(page), name


def test_a_page_that_does_not_exist_says_so(filled, visit):
    page = visit(filled, "/nothing")
    page.get_by_role("heading", name="No such page").wait_for()
