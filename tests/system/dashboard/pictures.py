#!/usr/bin/env python3
"""Makes the pictures of docs/images: each page, light and dark, wide and narrow, and the first page of an empty registry.

    ./check.py BINARY --collect-only        installs what this needs
    ../../../target/dashboard/venv/bin/python pictures.py BINARY [FOLDER]
"""

import os
import shutil
import sys
from pathlib import Path

os.environ["DASHBOARD_BINARY"] = sys.argv[1]
from playwright.sync_api import sync_playwright  # noqa: E402

from conftest import until  # noqa: E402
from registry import Registry, example  # noqa: E402

FOLDER = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).resolve().parents[3] / "docs/images"
PAGES = {
    "now": "/", "holdings": "/resources", "plugins": "/plugins", "plugin": "/plugins/ocr_tesseract", "timeline": "/plugins/demo_llama?tab=timeline",
    "configuration": "/plugins/ocr_tesseract?tab=configuration", "hosts": "/hosts", "costs": "/costs", "events": "/events", "leases": "/leases", "admin": "/admin",
}
SIZES = {"wide": {"width": 1280, "height": 800}, "narrow": {"width": 360, "height": 740}}
# These stand in the documents; the others are looked at and not kept.
KEPT = {"now-light-wide", "now-dark-wide", "costs-light-wide", "configuration-light-wide", "now-light-narrow"}


def shoot(browser, registry, name, route, theme, size):
    context = browser.new_context(color_scheme=theme, viewport=SIZES[size], reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{registry.url}/#{route}")
    page.locator("main h1").first.wait_for()
    until(page, "!document.querySelector('main .loading') && !document.querySelector('.live.soft')")
    page.wait_for_timeout(400)
    page.screenshot(path=FOLDER / f"{name}-{theme}-{size}.png")
    context.close()


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    keep_all = len(sys.argv) > 2
    filled, empty = Registry(), Registry()
    example(filled)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, route in PAGES.items():
            for theme in ("light", "dark"):
                for size in SIZES:
                    if keep_all or f"{name}-{theme}-{size}" in KEPT:
                        shoot(browser, filled, name, route, theme, size)
        if keep_all:
            for name in ("now", "costs", "admin", "events"):
                shoot(browser, empty, f"{name}-empty", PAGES[name], "light", "wide")
        browser.close()
    filled.stop()
    empty.stop()


main()
