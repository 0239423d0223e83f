"""The browser, and pages that fail their test when something is wrong in them."""

import os
import shutil
import time
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

from registry import Registry, example

SIZES = {"wide": {"width": 1280, "height": 900}, "narrow": {"width": 320, "height": 640}}


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def start():
    """Starts registries, which end with the test."""
    started = []

    def start_one(*flags, **settings):
        started.append(Registry(*flags, **settings))
        return started[-1]

    yield start_one
    for registry in started:
        registry.stop()


@pytest.fixture
def registry(start):
    return start()


@pytest.fixture(scope="session")
def filled():
    """A registry with something on each page. Tests only read it."""
    registry = Registry()
    example(registry)
    yield registry
    registry.stop()


class Watched:
    """What a page does wrong: errors, violations of its policy, and requests to others."""

    def __init__(self, context, origin):
        self.context, self.origin = context, origin
        self.wrong = []
        self.is_paused = False
        # Answers that a test asks for, such as 401, are logged by the browser as errors.
        self.expected = []

    def watch(self, page):
        page.on("console", lambda message: self.hear(message.type, message.text))
        page.on("pageerror", lambda error: self.hear("error", str(error)))
        page.on("request", lambda asked: self.ask(asked.url))
        page.add_init_script("addEventListener('securitypolicyviolation', e => console.error('violates ' + e.violatedDirective + ': ' + e.blockedURI + e.sample))")
        return page

    def hear(self, kind, text):
        if kind in ("error", "warning") and not self.is_paused and not any(part in text for part in self.expected):
            self.wrong.append(f"{kind}: {text}")

    def ask(self, url):
        if not url.startswith(("data:", "blob:")) and urlsplit(url).netloc != urlsplit(self.origin).netloc:
            self.wrong.append(f"asks {url}")


@pytest.fixture
def visit(browser):
    """Opens a page of a registry; the test fails if anything goes wrong in it."""
    opened = []

    def open_page(registry, route="/", theme="light", size="wide", **settings):
        context = browser.new_context(color_scheme=theme, viewport=SIZES[size], reduced_motion="reduce", **settings)
        context.set_default_timeout(30_000)
        watched = Watched(context, registry.url)
        page = watched.watch(context.new_page())
        opened.append(watched)
        page.watched = watched
        page.goto(f"{registry.url}/#{route}")
        return page

    yield open_page
    for watched in opened:
        watched.context.close()
    wrong = [one for watched in opened for one in watched.wrong]
    assert not wrong, "\n".join(wrong)


def until(page, expression, seconds=30):
    """Waits until an expression is true. Playwright's own way needs eval, which the policy of the page refuses."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"never true: {expression}"
        page.wait_for_timeout(50)


@pytest.fixture(scope="session")
def axe():
    """Finds what is against WCAG in a page."""
    with open(os.environ["DASHBOARD_AXE"]) as file:
        source = file.read()

    def run(page):
        # The rules try styles, which the policy of the page refuses.
        page.watched.is_paused = True
        page.evaluate(source)
        found = page.evaluate("axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })")
        page.watched.is_paused = False
        return [f"{one['id']}: {one['help']}: {node['html'][:200]} {node.get('failureSummary', '')[:200]}" for one in found["violations"] for node in one["nodes"][:3]]

    return run
