#!/usr/bin/env python3
"""Commands that people use on a terminal, tried on one: `check.py BINARY`.

| file | tries |
|---|---|
| `completion` | completion in bash, zsh and fish |
| `edit` | `config edit` |
| `watching` | `watch` |
"""

import http.client
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "proxy")]
import completion  # noqa: E402
import edit  # noqa: E402
import watching  # noqa: E402
from ports import free_port, wait_for  # noqa: E402


class Registry:
    """A server that can be stopped and started again."""

    def __init__(self, binary, home):
        self.port = free_port()
        listen = ["--listen", f"127.0.0.1:{self.port}", "--store", f"sqlite:{home}/registry.db"]
        self.command = [binary, "serve", *listen, "--log-level", "warn", "--probe-own-host", "false"]
        self.start()

    def start(self):
        self.server = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        wait_for(self.port)

    def stop(self):
        self.server.terminate()
        self.server.wait(30)

    def send(self, method, path, document=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        body = json.dumps(document) if document is not None else None
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status < 300, (answer.status, text)
        return json.loads(text) if text else None

    def register(self, name):
        schema = {"type": "object", "properties": {"threads": {"type": "integer", "minimum": 1}}}
        plugin = {"category": "c", "name": name, "title": "What was completed", "config_schema": schema}
        self.send("POST", "/plugins", plugin | {"spawned_pids": [os.getpid()]})


def main():
    binary = str(Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        registry = Registry(binary, home)
        try:
            registry.register("worker")
            completion.check(binary, home, registry.port)
            edit.check(binary, home, registry.port, registry.send)
            watching.check(binary, home, registry)
        finally:
            registry.stop()
    print("the terminal shows what it should")


main()
