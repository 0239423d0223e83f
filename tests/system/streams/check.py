#!/usr/bin/env python3
"""Watches live streams with the clients that programs use: browsers, npm and PyPI packages, a crate, curl.

Over cut connections, restarts of the service and a proxy, every client must receive each change of its filter once and
in order, and no empty message. Starts the binary that is named on the command line, an nginx and a Chromium. The
packages are installed into target/streams, in the versions that package-lock.json, requirements.txt and
rust/Cargo.lock beside this file name.
"""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "proxy")]
from packages import install_npm, install_pypi, run  # noqa: E402
from ports import free_port, wait_for  # noqa: E402

from cutter import Cutter  # noqa: E402

WORK = HERE.parents[2] / "target/streams"
NODE, VENV, RUST = WORK / "node", WORK / "venv", WORK / "rust"
# How long all clients may take to see a change, in seconds: some reconnections, on a busy machine.
PATIENCE = 60
# Longer than the interval of heartbeats, in seconds.
QUIET = 17
BROWSER = ["EventSource of Chromium", "event-source-polyfill", "fetch-event-source"]

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off; gzip on;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://127.0.0.1:{upstream}; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
}}
"""


class Clients:
    """The client programs, and what they have received, by client."""

    def __init__(self, url):
        self.received = {name: [] for name in [*BROWSER, "eventsource", "httpx-sse", "sseclient-py", "eventsource-client", "curl"]}
        python = [VENV / "bin/python", HERE / "client.py"]
        commands = {
            "eventsource": ["node", NODE / "client.mjs", url],
            "httpx-sse": [*python, "httpx-sse", url],
            "sseclient-py": [*python, "sseclient-py", url],
            "eventsource-client": [RUST / "debug/stream-client", url],
            "curl": [*python, "curl", url],
            "chromium": [*python, "chromium", url, NODE],
        }
        self.processes = {}
        for name, command in commands.items():
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
            self.processes[name] = process
            threading.Thread(target=self._read, args=(name, process.stdout), daemon=True).start()

    def _read(self, name, lines):
        for line in lines:
            message = json.loads(line)
            self.received[message.get("client", name)].append(message)

    def changes(self, client):
        seen = [message for message in self.received[client] if message["event"] in ("change", "removal")]
        return [json.loads(message["data"])["data"]["revision"] for message in seen]

    def wait_until(self, what, holds):
        """Waits until `holds` is true of every client."""
        end = time.monotonic() + PATIENCE
        while late := [client for client in self.received if not holds(client)]:
            for name, process in self.processes.items():
                assert process.poll() is None, f"{name} has ended"
            assert time.monotonic() < end, f"{what}: {[(client, self.received[client][-3:]) for client in late]}"
            time.sleep(0.1)

    def stop(self):
        for process in self.processes.values():
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


class Service:
    """The registry, on one store and one port."""

    def __init__(self, binary, folder):
        self.port = free_port()
        self.command = [binary, "--listen", f"127.0.0.1:{self.port}", "--store", f"sqlite:{folder}/registry.db",
                        "--log-level", "warn"]
        self.expected = []
        self.written = 0
        self.start()

    def start(self):
        settings = {**os.environ, "PLUGIN_REGISTRY_PROBE_OWN_HOST": "false"}
        self.process = subprocess.Popen(self.command, env=settings, stdout=subprocess.DEVNULL)
        wait_for(self.port)

    def stop(self, how):
        self.process.send_signal(how)
        self.process.wait(timeout=20)

    def write(self, number, category="seen"):
        """Registers plugins; those of the category `seen` match the clients' filter."""
        for _ in range(number):
            self.written += 1
            plugin = {"category": category, "name": f"n{self.written}", "title": "T", "config_schema": {}}
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
            connection.request("POST", "/plugins", json.dumps(plugin), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            assert answer.status == 201, answer.read()
            if category == "seen":
                self.expected.append(int(answer.getheader("Registry-Revision")))
            connection.close()
            time.sleep(0.02)


def try_all(service, cutter, clients, nginx_port):
    def caught_up(what):
        clients.wait_until(what, lambda client: len(clients.changes(client)) >= len(service.expected))
        print(f"{what}: all clients have the {len(service.expected)} changes")

    service.write(20)
    caught_up("at the start")
    for _ in range(4):
        service.write(10)
        cutter.cut()
        service.write(10)
        time.sleep(1)
    caught_up("after cuts")

    # Changes that the filter hides move the clients' position by a bookmark, so they are not read again.
    service.write(10, category="hidden")
    time.sleep(QUIET)
    clients.wait_until("a bookmark", lambda client: any(m["event"] == "bookmark" for m in clients.received[client]))
    cutter.cut()
    service.write(5)
    caught_up("after a quiet time")

    for how in (signal.SIGTERM, signal.SIGKILL):
        service.write(10)
        service.stop(how)
        time.sleep(1)
        service.start()
        service.write(10)
        caught_up(f"after a restart by {how.name}")

    cutter.target = nginx_port
    cutter.cut()
    for _ in range(3):
        service.write(10)
        time.sleep(1)
        cutter.cut()
    time.sleep(QUIET)
    service.write(10)
    caught_up("behind nginx")
    # While its service is away, nginx answers 502, after which browsers give up. A load balancer holds requests back.
    cutter.hold()
    service.stop(signal.SIGTERM)
    service.start()
    service.write(10)
    cutter.release()
    service.write(10)
    caught_up("after a restart behind nginx")


def judge(service, cutter, clients):
    connections = cutter.cuts + 2
    for client, received in clients.received.items():
        empty = [message for message in received if not message["data"]]
        assert not empty, f"{client} has received empty messages: {empty[:3]}"
        hellos = [message for message in received if message["event"] == "hello"]
        assert received[0] is hellos[0] and len(hellos) >= connections // 2, f"{client}: {len(hellos)} times hello"
        for message in hellos:
            assert json.loads(message["data"]).keys() == {"store", "revision", "version"}, message
        unknown = {message["event"] for message in received} - {"hello", "change", "bookmark"}
        assert not unknown, f"{client}: {unknown}"
        assert clients.changes(client) == service.expected, f"{client}: {clients.changes(client)}"
        print(f"{client}: {len(service.expected)} changes once and in order, over {len(hellos)} connections")
    assert any("lastEventId=" in path for path in cutter.requested), cutter.requested


def main():
    binary = Path(sys.argv[1]).resolve()
    NODE.mkdir(parents=True, exist_ok=True)
    for file in ("package.json", "package-lock.json", "client.mjs"):
        shutil.copy(HERE / file, NODE)
    install_npm(NODE, HERE / "package-lock.json")
    install_pypi(VENV, HERE / "requirements.txt")
    run("cargo", "build", "--quiet", "--locked", "--manifest-path", HERE / "rust/Cargo.toml", "--target-dir", RUST)
    with tempfile.TemporaryDirectory() as folder:
        service, nginx_port = Service(binary, folder), free_port()
        config = Path(folder, "nginx.conf")
        config.write_text(NGINX.format(folder=folder, port=nginx_port, upstream=service.port))
        nginx = subprocess.Popen(["nginx", "-c", config])
        cutter = Cutter(service.port)
        clients = Clients(f"http://127.0.0.1:{cutter.port}/events?after=0&category=seen")
        try:
            wait_for(nginx_port)
            try_all(service, cutter, clients, nginx_port)
            judge(service, cutter, clients)
        finally:
            clients.stop()
            nginx.send_signal(signal.SIGTERM)
            nginx.wait(timeout=20)
            service.stop(signal.SIGTERM)


main()
