#!/usr/bin/env python3
"""What each unit costs in memory, measured on a real server, and compared with the table of
docs/guide/limits-and-promises.md.

    tests/system/memory/check.py BINARY            fails if a row of the table is wrong by more than a fifth
    tests/system/memory/check.py --write BINARY    writes the measured figures into the table

The cost of a unit is the growth of the resident memory from some units to many, divided by their number. The allocator
returns what is free at once (`MALLOC_CONF`), so the growth is what the units take.
"""

import http.client
import json
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TABLE = ROOT / "docs" / "guide" / "limits-and-promises.md"
TOLERANCE = 0.2


class Server:
    """A server of the binary, on a store of its own."""

    def __init__(self, process: subprocess.Popen[str], port: int, folder: Path) -> None:
        self.process, self.port, self.folder = process, port, folder
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def send(self, method: str, path: str, body: object, **headers: str) -> dict[str, object]:
        text = body if isinstance(body, str) else json.dumps(body)
        fields = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, text.encode(), fields)
        response = self.connection.getresponse()
        content = response.read().decode()
        if response.status >= 300:
            sys.exit(f"{method} {path}: {response.status} {content[:300]}")
        return json.loads(content) if response.headers.get("Content-Type") == "application/json" else {}

    def register(self, plugins: Iterator[dict[str, object]]) -> None:
        """Registers plugins, some at a time, so that the bodies leave no trace."""
        lines = [json.dumps(plugin) for plugin in plugins]
        size = max(1, 200_000 // len(lines[0]))
        for start in range(0, len(lines), size):
            self.send("POST", "/plugins", "\n".join(lines[start : start + size]), Content_Type="application/x-ndjson")

    def memory(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024

    def disk(self) -> int:
        return sum(file.stat().st_size for file in self.folder.iterdir())


@contextmanager
def server(binary: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"MALLOC_CONF": "dirty_decay_ms:0,muzzy_decay_ms:0"}
        command = [binary, "serve", "--listen", "127.0.0.1:0", "--store", f"sqlite:{folder}/registry.db"]
        flags = ["--probe-own-host", "false", "--log-level", "warn", "--max-memory", "0"]
        process = subprocess.Popen(command + flags, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            port = int(re.search(r":(\d+)\s*$", process.stdout.readline()).group(1))
            yield Server(process, port, Path(folder))
        finally:
            process.terminate()
            process.wait()


def plugin(number: int, **more: object) -> dict[str, object]:
    return {"name": f"plugin-{number:07}", "category": "c", "title": "A plugin", "config_schema": {}} | more


# Each function makes the units from one number to another.


def plugins(at: Server, begin: int, end: int) -> None:
    at.register(plugin(n) for n in range(begin, end))


def process_ids(at: Server, begin: int, end: int) -> None:
    of_each = 5_000
    for n in range(begin // of_each, end // of_each):
        at.register(iter([plugin(n, spawned_pids=list(range(n * of_each + 1, (n + 1) * of_each + 1)))]))


def labels(at: Server, begin: int, end: int) -> None:
    named = lambda n: {f"label-{n:05}-{m:02}": f"value-{m:02}" for m in range(100)}
    at.register(plugin(n, labels=named(n)) for n in range(begin // 100, end // 100))


def leases(at: Server, begin: int, end: int) -> None:
    for n in range(begin, end):
        at.send("POST", "/leases", {"holder": f"application-{n:06}", "host": "a-host", "ttl_seconds": 3600})


def observations(at: Server, begin: int, end: int) -> None:
    of_each = 500
    for n in range(begin // of_each, end // of_each):
        name, pids = f"plugin-{n:07}", list(range(1, of_each + 1))
        at.register(iter([plugin(n, host="a-host", spawned_pids=pids)]))
        identity = {"machine": "8d2e6d2a7f1b4c7e", "boot": "0c9d5c51-2f3c", "namespace": 4026531836, "start": 12345678}
        seen = [
            {"kind": "process", "plugin": f"c_{name}", "id": str(pid), "state": "alive", "identity": identity} for pid in pids
        ]
        at.send("POST", "/observations", {"by": "an-agent", "host": "a-host", "observations": seen})


def agents(at: Server, begin: int, end: int) -> None:
    if begin == 0:
        at.register(iter([plugin(0)]))
    for n in range(begin, end):
        at.send("POST", "/observations", {"by": f"agent-{n:06}", "host": f"host-{n:06}", "observations": []})


def readers(at: Server, begin: int, end: int) -> None:
    for _ in range(begin, end):
        reader = socket.create_connection(("127.0.0.1", at.port))
        reader.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
        while b"hello" not in reader.recv(65_536):
            pass
        OPEN.append(reader)


def connections(at: Server, begin: int, end: int) -> None:
    for _ in range(begin, end):
        connection = socket.create_connection(("127.0.0.1", at.port))
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while b"\r\n\r\n" not in connection.recv(65_536):
            pass
        OPEN.append(connection)


def responses(at: Server, begin: int, end: int) -> None:
    document = plugin(0, description="x" * 1_000)
    if begin == 0:
        at.register(iter([document]))
    for n in range(begin, end):
        at.send("POST", "/plugins", document, Idempotency_Key=f"8e03978e-40d5-43e8-bc93-{n:012}")


OPEN: list[socket.socket] = []

UNITS: dict[str, tuple[Callable[[Server, int, int], None], int, int, Callable[[Server], int]]] = {
    "a plugin": (plugins, 6_000, 14_000, Server.memory),
    "a process id": (process_ids, 25_000, 150_000, Server.memory),
    "a label": (labels, 5_000, 30_000, Server.memory),
    "a lease": (leases, 500, 4_500, Server.memory),
    "an observed process": (observations, 2_000, 12_000, Server.memory),
    "a reporting agent": (agents, 500, 4_500, Server.memory),
    "a reader of a live stream": (readers, 100, 900, Server.memory),
    "an idle connection": (connections, 100, 900, Server.memory),
    "a response kept for a key": (responses, 1_000, 5_000, Server.disk),
}


def measured(binary: str, name: str) -> int:
    make, few, many, size = UNITS[name]
    with server(binary) as at:
        make(at, 0, few)
        before = size(at)
        make(at, few, many)
        cost = (size(at) - before) // (many - few)
    for held in OPEN:
        held.close()
    OPEN.clear()
    return cost


def row(name: str) -> re.Pattern[str]:
    return re.compile(rf"^(\| {re.escape(name)}\b[^|]*\| )([\d,]+)( bytes)", re.MULTILINE)


def main() -> None:
    arguments = sys.argv[1:]
    is_writing = "--write" in arguments
    binary = next(argument for argument in arguments if not argument.startswith("-"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (4_096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    text, wrong = TABLE.read_text(), []
    for name in UNITS:
        found = row(name).search(text)
        if not found:
            sys.exit(f"{TABLE.name} has no row for {name}")
        told, cost = int(found.group(2).replace(",", "")), measured(binary, name)
        print(f"{name}: {cost} bytes; the table has {told}", flush=True)
        if is_writing:
            text = row(name).sub(lambda line: f"{line.group(1)}{round_off(cost):,}{line.group(3)}", text)
        elif abs(cost - told) > TOLERANCE * told:
            wrong.append(name)
    if is_writing:
        TABLE.write_text(text)
    if wrong:
        sys.exit(f"wrong by more than {TOLERANCE:.0%}: {', '.join(wrong)}")


def round_off(cost: int) -> int:
    """To two figures."""
    unit = 10 ** max(0, len(str(cost)) - 2)
    return round(cost / unit) * unit


if __name__ == "__main__":
    main()
