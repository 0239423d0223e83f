#!/usr/bin/env python3
"""Measures what ten open dashboards cost a server to which nothing happens.

    ../../../target/dashboard/venv/bin/python idle.py BINARY [SECONDS]
"""

import os
import shutil
import sys
import time
from pathlib import Path

os.environ["DASHBOARD_BINARY"] = sys.argv[1]
from playwright.sync_api import sync_playwright  # noqa: E402

from registry import Registry, example  # noqa: E402

PAGES = ["/", "/resources", "/plugins", "/plugins/ocr_tesseract", "/hosts", "/costs", "/events", "/leases", "/admin", "/"]


def ticks(registry):
    """The processor time of the server until now, in ticks."""
    fields = Path(f"/proc/{registry.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def measure(registry, seconds):
    before, start = ticks(registry), time.monotonic()
    time.sleep(seconds)
    return (ticks(registry) - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - start) * 100


def main():
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    registry = Registry()
    example(registry)
    alone = measure(registry, seconds)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for route in PAGES:
            # A context has its own shared worker: ten streams, as of ten people.
            page = browser.new_context().new_page()
            page.goto(f"{registry.url}/#{route}")
            page.locator(".live.ok").wait_for(timeout=60_000)
        page.wait_for_timeout(5_000)
        print(f"over {seconds} s: {alone:.2f} % of a core without a dashboard, {measure(registry, seconds):.2f} % with {len(PAGES)}")
        browser.close()
    registry.stop()


main()
