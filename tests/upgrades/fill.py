#!/usr/bin/env python3
"""Fills a store with everything that a version of plugin-registry knows, and ends it by SIGKILL.

    tests/upgrades/fill.py BINARY STORE-URL ANSWERS.json

What the version answers about it goes to ANSWERS.json: a later version must answer the same, or more. Which features there
are is asked of its own description, so that this script drives every version there was. tests/upgrades/make calls it.
"""

import datetime
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Service:
    """The version, serving."""

    def __init__(self, binary, store):
        environment = {
            "PATH": os.environ["PATH"],
            "PLUGIN_REGISTRY_STORE": store,
            # What it is told is made up.
            "PLUGIN_REGISTRY_PROBE_OWN_HOST": "false",
            "PLUGIN_REGISTRY_LOG_LEVEL": "warn",
        }
        command = [binary, "serve", "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().split()[-1]
        if self.url.startswith("http"):
            while self.ask("GET", "/readyz", wanted=(200, 503))[0] == 503:
                pass

    def ask(self, method, path, body=None, wanted=(200, 201, 204), headers=None):
        headers = dict(headers or {})
        data = None
        if body is not None:
            data = (body if isinstance(body, str) else json.dumps(body)).encode()
            headers.setdefault("Content-Type", "application/merge-patch+json" if method == "PATCH" else "application/json")
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            answer = urllib.request.urlopen(request, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        text = answer.read().decode()
        if answer.status not in wanted:
            sys.exit(f"{method} {path}: {answer.status} {text}")
        return answer.status, text, answer.headers

    def json(self, method, path, body=None, **more):
        return json.loads(self.ask(method, path, body, **more)[1])

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def plugin(category, name, **more):
    return {"category": category, "name": name, "title": name.title(), "config_schema": {"type": "object"}, **more}


# As text: numbers and the order of keys are to come back as they were sent.
EVERYTHING = """{"name":"trainer","category":"finetuning","title":"Trainer \\u97f3\\u58f0","description":"a \\"quoted\\" one",
    "version":"1.2.3","config_schema":{"type":"object","properties":{"z":{"type":"number","default":24.50},
    "a":{"type":"integer","maximum":123456789012345678901234567890}},"required":["z"]},"execution_mode":"cloud_gpu",
    "manages_child_processes":true,"manages_external_resources":true,"spawned_pids":[9,1,4294967295],
    "container_id":"4c01db0b339c","conda_env_name":"env","remote_resource":{"provider":"lambda_labs","region":"us-1",
    "instance_id":"0x1a2b","job_id":"j-1","endpoint_url":"https://example.com/v1","ssh_host":"10.0.0.1","ssh_port":2222,
    "status":"running","resource_type":"vm","gpu_count":8,"gpu_type":"A100","estimated_cost_per_hour":24.50,
    "metadata":{"b":0.10,"a":[1e400,null,{"deep":true}]}}}"""


def fill_plugins(service):
    service.ask("POST", "/plugins", EVERYTHING, headers={"X-Request-Id": "the-first"})
    service.ask("POST", "/plugins", plugin("transcription", "whisper", spawned_pids=[54321]))
    service.ask("POST", "/plugins", plugin("音声", "認識/🎙", labels={"team": "speech"}, host="gpu-1"))
    service.ask("POST", "/plugins", plugin("c", "short-lived"))
    service.ask("POST", "/plugins", plugin("c", "comes back", spawned_pids=[5]))
    service.ask("PUT", "/plugins/transcription_whisper/spawned_pids", {"spawned_pids": [54322, 7]})
    service.ask("POST", "/plugins/transcription_whisper/spawned_pids", {"spawned_pids": [54323]})
    service.ask("DELETE", "/plugins/transcription_whisper/spawned_pids/7")
    service.ask("PUT", "/plugins/transcription_whisper/container_id", {"container_id": "0123456789ab"})
    service.ask("PATCH", "/plugins/finetuning_trainer/remote_resource", {"status": "stopping"})
    service.ask("PATCH", "/plugins/finetuning_trainer", {"title": "New", "description": None})
    service.ask("PUT", "/plugins/finetuning_trainer/config", '{"z":1.50,"a":7}')
    service.ask("PUT", "/plugins/transcription_whisper/config", {"token": "t"})
    service.ask("DELETE", "/plugins/transcription_whisper/config")
    service.ask("DELETE", "/plugins/c_short-lived")
    service.ask("DELETE", "/plugins/c_comes%20back?force=true")
    service.ask("POST", "/plugins", plugin("c", "comes back"))
    service.ask("PUT", "/categories/finetuning", {"display_name": "Fine-tuning"})
    service.ask("PUT", "/categories/c", {"display_name": "C"})
    service.ask("PUT", "/categories/c", {"display_name": None})
    lines = "".join(json.dumps(plugin("many", f"n{n:02}")) + "\n" for n in range(8))
    service.ask("POST", "/plugins", lines, headers={"Content-Type": "application/x-ndjson"})


def fill_others(service, paths):
    if "/webhooks" in paths:
        hook = {"url": "https://hooks.example.com/x", "secret": SECRET, "enabled": False, "filters": {"active": True}}
        service.ask("POST", "/webhooks", hook)
    if "/leases" in paths:
        lease = service.json("POST", "/leases", {"holder": "app", "host": "h", "ttl_seconds": 3600})["lease_id"]
        service.ask("PATCH", "/plugins/transcription_whisper", {"host": "h", "lease_id": lease})
        ended = service.json("POST", "/leases", {"holder": "ended", "host": "h", "ttl_seconds": 3600})["lease_id"]
        service.ask("DELETE", f"/leases/{ended}")
    if "/observations" in paths:
        identity = {"machine_id": "m", "boot_id": "b", "pid_namespace": 1, "pid": 54322, "start_ticks": 100}
        seen = [
            {"kind": "process", "plugin": "transcription_whisper", "id": "54322", "state": "alive", "identity": identity},
            {"kind": "process", "plugin": "transcription_whisper", "id": "54323", "state": "gone", "detail": "exit code 1"},
        ]
        service.ask("POST", "/observations", {"by": "agent@h", "host": "h", "observations": seen})
    if "/budgets" in paths:
        budget = {"name": "speech", "filters": {"label.team": "speech"}, "limit_usd": 500, "period": "month"}
        service.ask("POST", "/budgets", budget)
    parameters = json.dumps(service.json("GET", "/openapi.json"))
    if "Idempotency-Key" in parameters:
        key = {"Idempotency-Key": '"upgrade"'}
        service.ask("POST", "/plugins", plugin("c", "with a key"), headers=key)


def answers(service, paths):
    """What is answered about it, by path; what differs from one moment to the next is left out by the test."""
    head = int(service.ask("GET", "/plugins?limit=1")[2]["Registry-Revision"])
    asked = ["/plugins", "/plugins?active=true", "/stats", "/categories", "/resources"]
    ids = [item["unique_id"] for item in service.json("GET", "/plugins")["items"]]
    asked += [f"/plugins/{urllib.parse.quote(id, safe='')}" for id in ids if not id.startswith("many_")]
    asked += ["/plugins/finetuning_trainer/config"]
    if "/events" in paths:
        asked += ["/events?limit=1000", "/plugins/c_comes%20back/history"]
        asked += [f"/plugins?as_of={revision}" for revision in range(1, 21)]
    asked += [path for path in ("/webhooks", "/leases", "/budgets") if path in paths]
    store = service.ask("GET", "/plugins?limit=1")[2]["Registry-Store"]
    tag = service.ask("GET", "/plugins/finetuning_trainer")[2]["ETag"]
    texts = {path: service.ask("GET", path)[1] for path in asked}
    at = datetime.datetime.now(datetime.timezone.utc).isoformat()
    return {"store": store, "revision": head, "etag": tag, "at": at, "answers": texts}


def main():
    binary, store, output = sys.argv[1:]
    service = Service(binary, store)
    try:
        paths = service.json("GET", "/openapi.json")["paths"]
        fill_plugins(service)
        fill_others(service, paths)
        told = answers(service, paths)
    finally:
        service.kill()
    with open(output, "w") as file:
        json.dump(told, file, indent=1, ensure_ascii=False)
        file.write("\n")


if __name__ == "__main__":
    main()
