#!/usr/bin/env python3
"""Tries compose.yaml without an engine; tests/system/container/run starts it whole.

Compose itself reads it; every setting in it is one of the binary's; and examples/nginx.conf spreads requests over two
processes, here on one SQLite file, tells events as they happen, and goes on when one of the two is killed.
"""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "proxy"))
from ports import free_port, wait_for  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
# How long an answer or an event may take, in seconds.
PATIENCE = 10


def check_file(binary):
    compose = ["docker-compose", "--file", ROOT / "compose.yaml", "config"]
    without = {name: value for name, value in os.environ.items() if name != "POSTGRES_PASSWORD"}
    refused = subprocess.run(compose, env=without, capture_output=True, text=True)
    assert refused.returncode and "POSTGRES_PASSWORD" in refused.stderr, "it starts without a password"
    read = subprocess.run(compose, env={**without, "POSTGRES_PASSWORD": "secret"}, capture_output=True, text=True)
    assert read.returncode == 0, read.stderr
    services = yaml.safe_load(read.stdout)["services"]
    help_text = subprocess.run([binary, "serve", "--help-all"], capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"\[env: (\w+)=", help_text))
    replicas = [service for name, service in services.items() if name.startswith("registry-")]
    assert len(replicas) == 2 and replicas[0] == replicas[1]
    for service in replicas:
        unknown = set(service["environment"]) - known
        assert not unknown, f"no settings: {unknown}"
        words = " ".join(service.get("command") or []).split()
        unknown = [word for word in words if word.startswith("--") and word.split("=")[0] not in help_text]
        assert not unknown, f"no flags: {unknown}"
        store = service["environment"]["PLUGIN_REGISTRY_STORE"]
        host, database = re.fullmatch(r"postgres://registry:secret@(\w+)/(\w+)\?sslmode=disable", store).groups()
        assert database == services[host]["environment"]["POSTGRES_DB"]
    for name, service in services.items():
        assert service["restart"] == "unless-stopped", name
        assert "healthcheck" in service or service in replicas, name
    # What the binary itself makes of the settings, but for the address of the database.
    settings = {**replicas[0]["environment"], "PLUGIN_REGISTRY_STORE": "memory", "PLUGIN_REGISTRY_LISTEN": "127.0.0.1:0"}
    with subprocess.Popen([binary], env=settings, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as service:
        said = service.stdout.readline()
        service.send_signal(signal.SIGTERM)
        assert "is listening" in said, "the settings are refused"


def request(port, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json", **headers})
    return connection.getresponse()


def plugin(name):
    return {"category": "c", "name": name, "title": "T", "config_schema": {}}


def next_event(stream):
    while not (line := stream.readline()).startswith(b"data: "):
        assert line, "the stream has ended"
    return json.loads(line[6:])


def check_proxy(port, processes):
    # A request's id begins with its process.
    seen = set()
    for n in range(20):
        answer = request(port, "POST", "/plugins", plugin(f"n{n}"))
        assert answer.status == 201, answer.status
        seen.add(answer.getheader("X-Request-Id").split("-")[0])
    assert len(seen) == 2, f"requests are not spread: {seen}"
    stream = request(port, "GET", "/events?after=20", Accept="text/event-stream")
    assert stream.status == 200 and "revision" in next_event(stream)
    assert request(port, "POST", "/plugins", plugin("seen")).status == 201
    assert next_event(stream)["data"]["plugin"]["name"] == "seen"
    processes[0].kill()
    processes[0].wait()
    for n in range(40):
        answer = request(port, "GET", f"/plugins/c_n{n % 20}?min_revision=21")
        assert answer.status == 200, answer.status
        assert request(port, "PUT", f"/plugins/c_n{n % 20}/spawned_pids", {"spawned_pids": [n + 1]}).status == 200


def main():
    binary = Path(sys.argv[1]).resolve()
    check_file(binary)
    ports, port = [free_port(), free_port()], free_port()
    with tempfile.TemporaryDirectory() as folder:
        site = (ROOT / "examples/nginx.conf").read_text().replace("listen 8080", f"listen 127.0.0.1:{port}")
        for number, upstream in enumerate(ports, 1):
            assert f"registry-{number}:8080" in site
            site = site.replace(f"registry-{number}:8080", f"127.0.0.1:{upstream}")
        temporary = "".join(
            f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config = Path(folder, "nginx.conf")
        config.write_text(
            f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;"
            f"events {{ worker_connections 256; }} http {{ access_log off; {temporary} {site} }}"
        )
        serve = [binary, "--store", f"sqlite:{folder}/registry.db", "--log-level", "error", "--listen"]
        # The process ids that they are told are made up.
        settings = {**os.environ, "PLUGIN_REGISTRY_PROBE_OWN_HOST": "false"}
        processes = [
            subprocess.Popen([*serve, f"127.0.0.1:{each}"], env=settings, stdout=subprocess.DEVNULL) for each in ports
        ]
        try:
            for each in ports:
                wait_for(each)
            processes.append(subprocess.Popen(["nginx", "-c", config]))
            wait_for(port)
            check_proxy(port, processes)
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            codes = [process.wait(timeout=20) for process in processes]
    print("compose.yaml and its proxy do what they should")
    sys.exit(0 if codes[1] == 0 else 1)


main()
