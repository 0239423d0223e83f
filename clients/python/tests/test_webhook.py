"""Deliveries of a real registry, verified; and what is not one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from plugin_registry import InvalidSignature, Registry, local_server, verify_webhook

Delivery = tuple[dict[str, str], bytes]
ARGUMENTS = ["--probe-own-host=false", "--webhooks-allow-private"]
deliveries: queue.Queue[Delivery] = queue.Queue()


class Receiver(BaseHTTPRequestHandler):
    """Takes a delivery."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        deliveries.put((dict(self.headers.items()), body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
def target() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hook"
        server.shutdown()


def test_a_delivery_is_verified_and_a_forged_one_refused(target: str) -> None:
    with local_server(arguments=ARGUMENTS) as url, Registry(url) as registry:
        secret = registry.webhooks.create(target).secret
        assert secret is not None
        registry.register({"name": "a", "category": "c", "title": "A", "config_schema": {}})
        headers, body = deliveries.get(timeout=60)
    event = verify_webhook(headers, body, secret)
    assert (event.type, event.subject, event.revision) == ("plugin.registered", "c_a", 1)
    sent = int({name.lower(): value for name, value in headers.items()}["webhook-timestamp"])
    for harmed, text, key, now in [
        (headers, body + b" ", secret, None),
        (headers, body, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", None),
        (headers, body, secret, sent + 301.0),
        (headers, body, secret, sent - 301.0),
        ({**headers, "webhook-id": "another"}, body, secret, None),
    ]:
        with pytest.raises(InvalidSignature):
            verify_webhook(harmed, text, key, now=now)
