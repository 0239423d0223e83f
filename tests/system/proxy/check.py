#!/usr/bin/env python3
"""Watches through nginx as it is by default: with buffers and compression between the service and its client.

An event must arrive soon after its change, and not when a buffer is full or the stream ends.
Starts the binary that is named on the command line, and an nginx of its own.
"""

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from ports import free_port, wait_for

# How long an event may take, in seconds: far less than a buffer that waits, far more than a busy machine.
PATIENCE = 10

CONFIG = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
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


def request(port, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    fields = {"Content-Type": "application/json", "Accept-Encoding": "gzip", **headers}
    connection.request(method, path, json.dumps(body) if body else None, fields)
    return connection.getresponse()


def next_event(stream):
    while not (line := stream.readline()).startswith(b"data: "):
        assert line, "the stream has ended"
    return json.loads(line[6:])


def check(port):
    plugin = {"category": "c", "name": "n", "title": "T", "config_schema": {}}
    assert request(port, "POST", "/plugins", plugin).status == 201
    stream = request(port, "GET", "/events?after=1", Accept="text/event-stream")
    assert stream.status == 200 and stream.getheader("Content-Encoding") is None, stream.headers
    assert next_event(stream).keys() == {"store", "revision", "version"}
    for pid in (1, 2, 3):
        path = "/plugins/c_n/spawned_pids"
        assert request(port, "PUT", path, {"spawned_pids": [pid]}).status == 200
        event = next_event(stream)
        assert event["data"]["plugin"]["spawned_pids"] == [pid], event
    poll = request(port, "GET", "/plugins?active=true&since=4&wait=0s")
    assert poll.status == 304, poll.status
    print("events arrive through nginx as they happen")


def main():
    binary = Path(sys.argv[1]).resolve()
    upstream, port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "nginx.conf")
        config.write_text(CONFIG.format(folder=folder, port=port, upstream=upstream))
        service = [binary, "--listen", f"127.0.0.1:{upstream}", "--store", "memory", "--log-level", "warn"]
        # The process ids that it is told are made up.
        settings = {**os.environ, "PLUGIN_REGISTRY_PROBE_OWN_HOST": "false"}
        processes = [
            subprocess.Popen(service, env=settings, stdout=subprocess.DEVNULL),
            subprocess.Popen(["nginx", "-c", config]),
        ]
        try:
            wait_for(upstream)
            wait_for(port)
            check(port)
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            codes = [process.wait(timeout=20) for process in processes]
    sys.exit(0 if codes[0] == 0 else 1)


main()
