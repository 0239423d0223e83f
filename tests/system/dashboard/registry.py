"""A registry for one test, and what it holds."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

BINARY = os.environ["DASHBOARD_BINARY"]


class Registry:
    """The service as a process of its own, with a store of its own."""

    def __init__(self, *flags, token=None, listen="127.0.0.1:0", store=None):
        self.folder = tempfile.TemporaryDirectory()
        self.store = store or f"sqlite:{self.folder.name}/registry.db"
        self.token = token
        files = os.environ.get("DASHBOARD_FOLDER")
        self.flags = ["--store", self.store, "--probe-own-host=false", "--webhooks-allow-private", "--log-level", "error", *flags]
        self.flags += ["--dashboard", files] if files else []
        self.start(listen)

    def start(self, listen):
        command = [BINARY, "serve", "--listen", listen, *self.flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert "listening on" in line, line
        self.url = line.split()[-1]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)
        self.folder.cleanup()

    def send(self, method, path, body=None, **headers):
        """Sends a request, and returns its document; a refusal is an error."""
        fields = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if self.token:
            fields["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        asked = urllib.request.Request(self.url + path, data, fields, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=60) as reply:
                text = reply.read()
        except urllib.error.HTTPError as error:
            if error.code == 304:
                return None
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from None
        return json.loads(text) if text and not fields["Content-Type"].endswith("ndjson") else None

    def register(self, name, category="demo", **fields):
        plugin = {"category": category, "name": name, "title": name.title(), "config_schema": {}, **fields}
        return self.send("POST", "/plugins", plugin)

    def register_many(self, plugins):
        """Registers plugins by one request."""
        lines = "\n".join(json.dumps({"title": "T", "config_schema": {}, **plugin}) for plugin in plugins)
        self.send("POST", "/plugins", lines.encode(), Content_Type="application/x-ndjson")

    def lose(self, name, **fields):
        """Registers a plugin whose holder is lost at once: its machine is an orphan when the lease has run out."""
        lease = self.send("POST", "/leases", {"holder": "trainer", "host": "gpu-1", "ttl_seconds": 5})["lease_id"]
        return self.register(name, lease_id=lease, remote_resource=GPU, execution_mode="cloud_gpu", **fields)

    def wait_for(self, path, seconds=30):
        """Waits by long polls until a list has a row."""
        page = self.send("GET", path)
        for _ in range(seconds):
            if page["items"]:
                return page["items"]
            page = self.send("GET", f"{path}&since={page['revision']}&wait=1s") or page
        raise AssertionError(f"{path} stays empty")


GPU = {"provider": "lambda_labs", "instance_id": "i-0123456789abcdef0", "status": "running", "gpu_type": "A100", "gpu_count": 8,
       "estimated_cost_per_hour": 24.5, "endpoint_url": "https://10.0.0.7:8000"}

# An application that holds a lease for a plugin, and renews it until it is killed.
HOLDER = """
import json, sys, time, urllib.request
url, plugin = sys.argv[1], json.loads(sys.argv[2])
def send(method, path, body=None):
    asked = urllib.request.Request(url + path, body and json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method)
    return json.load(urllib.request.urlopen(asked))
lease = send("POST", "/leases", {"holder": "trainer", "host": "gpu-1", "ttl_seconds": 5})["lease_id"]
send("POST", "/plugins", {**plugin, "lease_id": lease})
print("holds", flush=True)
while True:
    send("PUT", "/leases/" + lease)
    time.sleep(0.5)
"""


class Holder:
    """An application that holds a machine."""

    def __init__(self, registry, name):
        plugin = {"category": "demo", "name": name, "title": "Llama fine-tuning", "config_schema": {}, "execution_mode": "cloud_gpu", "remote_resource": GPU}
        command = [sys.executable, "-c", HOLDER, registry.url, json.dumps(plugin)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "holds\n"

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def example(registry):
    """Fills a registry with something for each page."""
    schema = json.loads(Path(__file__).with_name("schema.json").read_text())
    registry.lose("llama", title="Llama fine-tuning", labels={"team": "text"}, host="gpu-1")
    registry.register("tesseract", "ocr", title="Tesseract OCR", spawned_pids=[4711, 4712], host="gpu-2", labels={"team": "docs"}, config_schema=schema)
    registry.register("whisper", "transcription", title="Whisper", container_id="3f4e5d6c7b8a", host="gpu-1", labels={"team": "speech"})
    registry.register("cheap", "finetuning", title="No price yet", remote_resource={"provider": "runpod", "instance_id": "pod-1", "status": "running"})
    registry.register("idle", "ocr", title="Nothing held")
    registry.send("PUT", "/plugins/ocr_tesseract/config", {"language": "deu", "dpi": 300, "api_key": "canary-of-a-secret"})
    registry.send("POST", "/budgets", {"name": "text, monthly", "filters": {"label.team": "text"}, "limit_usd": 500, "period": "month", "threshold_percent": [50, 100]})
    registry.send("POST", "/webhooks", {"url": "http://127.0.0.1:9/hook", "description": "to the chat", "kinds": ["finding.raised"]})
    registry.wait_for("/resources?finding=orphan")
