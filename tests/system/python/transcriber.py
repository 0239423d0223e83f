#!/usr/bin/env python3
"""Runs examples/transcriber.py, kills it with -9, and starts it again: the findings must lead through the clean-up.

    transcriber.py        with a Python that has the client, the program and psutil
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from plugin_registry import Registry, local_server
from plugin_registry.leftovers import start_ticks

EXAMPLE = Path(__file__).resolve().parents[3] / "examples/transcriber.py"
# Seconds that probes, leases and a start may take on a busy machine.
PATIENCE = 90


def wait_for(what, holds):
    deadline = time.monotonic() + PATIENCE
    while not (found := holds()):
        if time.monotonic() > deadline:
            sys.exit(f"{what} does not happen")
        time.sleep(0.1)
    return found


def start(url):
    environment = {**os.environ, "PLUGIN_REGISTRY_SERVER": url}
    # A pipe would stay open for the processes that outlive the example.
    with Path("printed").open("w") as printed:
        return subprocess.Popen([sys.executable, EXAMPLE], env=environment, stdout=printed, stderr=printed)


def ids(registry, **filters):
    return {row.id for row in registry.resources(**filters)}


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try_example()
    print("examples/transcriber.py: its second run has cleaned up what its first one left")


def try_example():
    with local_server(arguments=["--probe-interval=1"]) as url, Registry(url) as registry:
        first = start(url)
        try:
            wait_for("the example holds a worker, two more and a GPU", lambda: len(ids(registry)) == 4)
            wait_for("all processes are seen", lambda: len(ids(registry, kind="process", verified=True)) == 3)
            before = ids(registry)
        finally:
            first.kill()
            first.wait()
        wait_for("all four are orphans", lambda: ids(registry, finding="orphan") == before)

        second = start(url)
        try:
            wait_for("the second run holds its own", lambda: len(ids(registry, kind="process") - before) == 3)
            printed = Path("printed").read_text()
            named = set(re.findall(r"^orphan \w+ (\S+): ", printed, re.MULTILINE))
            if named != before:
                sys.exit(f"the second run cleaned up {named}, and the first one had left {before}:\n{printed}")
            if any(start_ticks(int(pid)) for pid in before - {"0x1a2b"}):
                sys.exit("a process of the first run still runs")
            if list(registry.findings(finding=["orphan", "ghost", "reused"])):
                sys.exit("findings are left")
        finally:
            running = psutil.Process(second.pid).children(recursive=True)
            second.send_signal(signal.SIGINT)
            second.wait(PATIENCE)
            for process in running:
                if process.is_running():
                    process.kill()


main()
