"""Measures what the client costs, as ratios within one run: ``python tools/speed.py``. Ends with 1 if it costs too much."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx2

from plugin_registry import Registry, local_server

REGISTRATIONS = 300
ROUNDS = 7
PLUGINS = 100_000
EVENTS = 20_000
ARGUMENTS = ["--probe-own-host=false"]


def plugin(number: int) -> dict[str, Any]:
    """A plugin as a mapping."""
    return {"name": f"n{number}", "category": "c", "title": "N", "config_schema": {}}


def processor_time(work: Callable[[], object]) -> float:
    """How much processor time this process takes."""
    before = time.process_time()
    work()
    return time.process_time() - before


def registration(url: str) -> float:
    """A registration through the client, as a multiple of one by bare httpx2."""
    with Registry(url) as registry, httpx2.Client(base_url=url) as bare:
        documents = [plugin(number) for number in range(REGISTRATIONS)]

        def ours() -> None:
            for document in documents:
                registry.register(document)

        def theirs() -> None:
            for document in documents:
                bare.post("/plugins", json=document).raise_for_status().json()

        ours()
        theirs()
        # In turns, and the least of each: what else the machine does costs both the same.
        pairs = [(processor_time(ours), processor_time(theirs)) for _ in range(ROUNDS)]
    return min(each for each, _ in pairs) / min(each for _, each in pairs)


ITERATE = """
import resource, sys
from plugin_registry import Registry
with Registry(sys.argv[1]) as registry:
    for number, _ in enumerate(registry.iter(limit=1000), 1):
        if number in (10_000, 100_000):
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def memory(url: str) -> float:
    """The peak of memory of iterating over all plugins, as a multiple of that over the first tenth."""
    with Registry(url) as registry:
        for result in registry.register_many(plugin(number) for number in range(PLUGINS)):
            assert result.ok
    said = subprocess.run([sys.executable, "-c", ITERATE, url], capture_output=True, text=True, check=True).stdout
    tenth, whole = map(int, said.split())
    return whole / tenth


WRITE = """
import json, sys
from plugin_registry import Registry
for result in Registry(sys.argv[1]).register_many(map(json.loads, sys.stdin)):
    assert result.ok
"""


def watch(url: str) -> float:
    """How many events a second of processor time a watch takes in; none may be missing."""
    lines = "\n".join(json.dumps({**plugin(number), "category": "w"}) for number in range(EVENTS))

    def write() -> None:
        subprocess.run([sys.executable, "-c", WRITE, url], input=lines, text=True, check=True)

    with Registry(url) as registry:
        after = registry.stats().revision
        with registry.watch(after=after, category="w") as events:
            writer = threading.Thread(target=write)
            writer.start()
            first = next(events).revision
            before = time.process_time()
            seen = [first, *(next(events).revision for _ in range(EVENTS - 1))]
            took = time.process_time() - before
            writer.join()
    assert seen == list(range(first, first + EVENTS)), "events are missing"
    return EVENTS / took


def imports() -> float:
    """The milliseconds that the import takes beyond an interpreter's start, in processor time."""

    def start(code: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-I", "-c", code], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    start("import plugin_registry")
    return 1000 * (min(start("import plugin_registry") for _ in range(ROUNDS)) - min(start("pass") for _ in range(ROUNDS)))


def main() -> int:
    with local_server(arguments=ARGUMENTS) as url:
        found = [
            ("a registration, times bare httpx2", ratio := registration(url), ratio <= 1.5),
            ("a watch, events a second of processor time", rate := watch(url), rate >= 5000),
            ("iterating over 100,000, peak memory, times that of 10,000", peak := memory(url), peak <= 1.2),
            ("the import, ms of processor time", took := imports(), took <= 150),
        ]
    for name, value, good in found:
        print(f"{value:12.2f}  {name}{'' if good else '  TOO MUCH'}")
    return 0 if all(good for *_, good in found) else 1


if __name__ == "__main__":
    sys.exit(main())
