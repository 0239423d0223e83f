#!/usr/bin/env python3
"""Checks ops/ with Prometheus' own tools, and against a running service: what an alert or a panel asks for is there.

1. promtool: the configuration, the alerts, and their tests.
2. The service that is named on the command line is made to do a little of everything; promtool checks what it tells.
3. Every metric that ops/ or docs/reference/metrics.md names is told, and the page names every one that is.
4. A Prometheus scrapes it as OpenMetrics, with ops/prometheus.yaml, and is asked what the dashboard asks.
"""

import http.client
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
OPS = ROOT / "ops"
sys.path.insert(0, str(ROOT / "tests/system/proxy"))

from ports import free_port, wait_for  # noqa: E402

# How long anything may take, in seconds: much more than it ever takes.
PATIENCE = 30
NAME = re.compile(r"\b(?:plugin_registry|process)_[a-z_]+")
# What Prometheus makes of a histogram.
PARTS = re.compile(r"_(bucket|sum|count)$")


def promtool(*arguments, text=None):
    done = subprocess.run(["promtool", *arguments], input=text, cwd=OPS, capture_output=True, text=True)
    if done.returncode or "warning" in done.stderr.lower():
        sys.exit(f"promtool {' '.join(map(str, arguments))}:\n{done.stdout}{done.stderr}")


def ask(port, method, path, body=None, expected=(200, 201), **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    text = None if body is None else json.dumps(body)
    connection.request(method, path, text, {"Content-Type": "application/json", **headers})
    response = connection.getresponse()
    text = response.read().decode()
    assert response.status in expected, f"{method} {path}: {response.status} {text}"
    return text


def wait_until(what, is_true):
    end = time.monotonic() + PATIENCE
    while not (value := is_true()):
        if time.monotonic() > end:
            sys.exit(f"{what}: not within {PATIENCE} s")
        time.sleep(0.05)
    return value


class Sink(http.server.BaseHTTPRequestHandler):
    """Takes deliveries of webhooks, and traces."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def do_a_little_of_everything(port, metrics, sink):
    """Until every metric has something to tell."""
    plugin = {
        "category": "c", "name": "n", "title": "T", "config_schema": {}, "execution_mode": "cloud_gpu",
        "spawned_pids": [1],
        "remote_resource": {"provider": "aws", "status": "running", "estimated_cost_per_hour": 24.5},
    }
    ask(port, "POST", "/webhooks", {"url": f"http://127.0.0.1:{sink}/hook"})
    ask(port, "POST", "/plugins", plugin)
    ask(port, "GET", "/plugins/c_n")
    ask(port, "POST", "/leases", {"holder": "check", "ttl_seconds": 30})
    ask(port, "POST", "/budgets", {"name": "b", "limit_usd": 1000, "period": "month", "threshold_percent": [100]})
    sighting = {"kind": "process", "plugin": "c_n", "id": "1", "state": "alive"}
    ask(port, "POST", "/observations", {"by": "check", "host": "elsewhere", "observations": [sighting]})
    ask(port, "GET", "/metrics", expected=[404])

    def told():
        text = ask(metrics, "GET", "/metrics", Accept="text/plain")
        wanted = [
            'plugin_registry_webhook_attempts_total{outcome="delivered"} [1-9]',
            'plugin_registry_trace_spans_total{outcome="exported"} [1-9]',
            'plugin_registry_probe_duration_seconds_count{prober="own_host"} [1-9]',
        ]
        return text if all(re.search(sample.replace("{", r"\{"), text) for sample in wanted) else None

    return wait_until("every metric is told", told)


def families(text):
    """The names of the metrics that are told, as Prometheus knows them."""
    return set(re.findall(r"^# TYPE (\S+)", text, re.M))


def samples(text):
    return {re.split(r"[{ ]", line)[0] for line in text.splitlines() if line and not line.startswith("#")}


def check_names(text):
    told = samples(text) | families(text)
    for file in [OPS / "alerts.yaml", OPS / "alerts_test.yaml", OPS / "dashboard.json"]:
        unknown = set(NAME.findall(file.read_text())) - told
        assert not unknown, f"{file.name} names what is not told: {sorted(unknown)}"
    page = "docs/reference/metrics.md"
    named = {name for name in NAME.findall((ROOT / page).read_text())}
    wrong = {name for name in named - told if not name.endswith("_")}
    assert not wrong, f"{page} names what is not told: {sorted(wrong)}"
    missing = families(text) - {PARTS.sub("", name) for name in named}
    assert not missing, f"{page} does not name: {sorted(missing)}"


def questions():
    """What the dashboard asks, with its variables filled in."""
    board = json.loads((OPS / "dashboard.json").read_text())
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids)), "two panels have the same id"
    asked = [(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]
    asked += [("annotation", note["expr"]) for note in board["annotations"]["list"]]
    for title, text in asked:
        for name, value in (("$__rate_interval", "1m"), ("$job", "plugin-registry"), ("$instance", ".*")):
            text = text.replace(name, value)
        assert "$" not in text, f"{title}: {text}"
        yield title, text


def check_with_prometheus(metrics, folder):
    """Scrapes the service, and asks what the dashboard asks."""
    port = free_port()
    config = (OPS / "prometheus.yaml").read_text()
    config = config.replace("localhost:8080", f"127.0.0.1:{metrics}").replace("15s", "1s")
    config = config.replace("alerts.yaml", str(OPS / "alerts.yaml"))
    Path(folder, "prometheus.yaml").write_text(config)
    flags = [f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data"]
    flags += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    prometheus = subprocess.Popen(["prometheus", *flags], cwd=folder)

    def result(expression):
        query = urllib.parse.urlencode({"query": expression})
        return json.loads(ask(port, "GET", f"/api/v1/query?{query}"))["data"]["result"]

    try:
        wait_for(port)
        # It listens before it can be asked.
        wait_until("Prometheus is ready", lambda: "ready" in ask(port, "GET", "/-/ready", expected=(200, 503)).lower())
        wait_until("Prometheus has scraped twice", lambda: result(
            'up{job="plugin-registry"} == 1 and count_over_time(plugin_registry_revision[1m]) > 2'))
        asked = list(questions())
        # A quotient whose divisor is 0 is no number, and what compares may hold for nothing.
        empty = [title for title, text in asked if " > " not in text and " / " not in text and not result(text)]
        # Nobody has answered 5xx.
        assert not empty, f"the dashboard has panels without data: {empty}"
        firing = [alert["metric"]["alertname"] for alert in result('ALERTS{alertstate="firing"}')]
        assert not firing, f"a service that is well makes alerts: {firing}"
        return len(asked)
    finally:
        prometheus.send_signal(signal.SIGTERM)
        prometheus.wait(timeout=PATIENCE)


def main():
    binary = Path(sys.argv[1]).resolve()
    for arguments in (["check", "config", "prometheus.yaml"], ["check", "rules", "alerts.yaml"],
                      ["test", "rules", "alerts_test.yaml"]):
        promtool(*arguments)
    sink = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    port, metrics, sinks_port = free_port(), free_port(), sink.server_address[1]
    with tempfile.TemporaryDirectory() as folder:
        service = [
            binary, "serve", "--listen", f"127.0.0.1:{port}", "--metrics-listen", f"127.0.0.1:{metrics}",
            "--store", f"sqlite:{folder}/registry.db", "--log-level", "warn", "--webhooks-allow-private",
            "--probe-interval", "1", "--otlp-endpoint", f"http://127.0.0.1:{sinks_port}",
        ]
        server = subprocess.Popen(service, env={**os.environ, "OTEL_BSP_SCHEDULE_DELAY": "100"}, stdout=subprocess.DEVNULL)
        try:
            wait_for(port)
            wait_for(metrics)
            text = do_a_little_of_everything(port, metrics, sinks_port)
            promtool("check", "metrics", text=text)
            check_names(text)
            asked = check_with_prometheus(metrics, folder)
        finally:
            server.send_signal(signal.SIGTERM)
            code = server.wait(timeout=PATIENCE)
    print(f"{len(families(text))} metrics, {asked} questions of the dashboard")
    sys.exit(1 if code else 0)


main()
