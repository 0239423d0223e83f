"""The clients: what they ask, and what they were answered."""

import http.client
import json
import random
import socket
import threading
import time
from dataclasses import dataclass, field

from cluster import Cluster

KEYS = 8
TTL = 30


@dataclass
class Write:
    """One write of a title, or one strong read."""

    key: int
    title: str
    begun: float
    ended: float
    revision: int | None
    is_read: bool = False


@dataclass
class Seen:
    """What the clients saw, for the judge."""

    writes: list[Write] = field(default_factory=list)
    # By lease: when it was renewed with success.
    renewals: dict[str, list[float]] = field(default_factory=dict)
    # The revisions of a watcher that resumes, in its order.
    watched: list[int] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


class Client:
    """Asks the replicas in turn, and goes on to another where one does not answer."""

    def __init__(self, cluster: Cluster, dice: random.Random) -> None:
        self.cluster, self.dice = cluster, dice

    def ask(self, method: str, path: str, body: object = None, timeout: float = 5, **headers: str) -> tuple[int, dict, dict]:
        """One attempt at one replica: status, header, body. Status 0 without an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.dice.choice(self.cluster.replicas).port, timeout=timeout)
        fields = {"Content-Type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), fields)
            response = connection.getresponse()
            text = response.read().decode()
            is_json = "json" in response.headers.get("Content-Type", "")
            return response.status, {name.lower(): text for name, text in response.headers.items()}, json.loads(text) if is_json and text else {}
        except (OSError, http.client.HTTPException, ValueError):
            return 0, {}, {}
        finally:
            connection.close()

    def must(self, method: str, path: str, body: object = None, **headers: str) -> dict:
        """Repeats until it succeeds. The key keeps a repeat from taking effect twice."""
        if method != "GET" and "renew" not in headers:
            headers.setdefault("Idempotency_Key", f"{self.dice.getrandbits(64):x}")
        headers.pop("renew", None)
        for _ in range(600):
            status, _, answer = self.ask(method, path, body, **headers)
            if 200 <= status < 300:
                return answer
            if status and status < 500 and status not in (408, 429):
                raise AssertionError(f"{method} {path}: {status} {answer}")
            time.sleep(0.1)
        raise AssertionError(f"{method} {path}: no success in a minute")


def plugin(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "category": "chaos", "title": "first", "config_schema": {}} | more


def write(client: Client, seen: Seen, stop: threading.Event, number: int) -> None:
    """Writes titles, and reads them strongly."""
    count = 0
    while not stop.is_set():
        key, count = client.dice.randrange(KEYS), count + 1
        title, begun = f"{number}-{count}", time.monotonic()
        path = f"/plugins/chaos_key{key}"
        if client.dice.random() < 0.3:
            status, header, answer = client.ask("GET", f"{path}?consistency=strong")
            if status == 200:
                revision = int(header["registry-revision"])
                seen.writes.append(Write(key, answer["title"], begun, time.monotonic(), revision, is_read=True))
            continue
        status, header, answer = client.ask("PATCH", path, {"title": title})
        if status == 200 and answer["title"] != title:
            seen.complaints.append(f"a write of {title} was answered with {answer['title']}")
        revision = int(header["etag"].strip('"').rsplit("-", 1)[-1]) if status == 200 else None
        seen.writes.append(Write(key, title, begun, time.monotonic(), revision))


def hold(client: Client, seen: Seen, stop: threading.Event, number: int) -> None:
    """Holds a lease and a process that an agent sees alive, and lets the plugin forget the process."""
    host, name = f"host-{number}", f"holder{number}"
    lease = client.must("POST", "/leases", {"holder": name, "host": host, "ttl_seconds": TTL})["lease_id"]
    seen.renewals[lease] = [time.monotonic()]
    client.must("POST", "/plugins", plugin(name, host=host, lease_id=lease, spawned_pids=[100 + number]))
    report = {"by": f"agent-{number}", "host": host}
    report["observations"] = [{"kind": "process", "plugin": f"chaos_{name}", "id": str(100 + number), "state": "alive"}]
    told = client.must("POST", "/observations", report, renew="")
    if told["accepted"] != 1:
        seen.complaints.append(f"what was seen of a plugin that was registered before was ignored: {told}")
    client.must("PATCH", f"/plugins/chaos_{name}", {"spawned_pids": []})
    while not stop.is_set():
        status, _, _ = client.ask("PUT", f"/leases/{lease}")
        if status == 200:
            seen.renewals[lease].append(time.monotonic())
        client.ask("POST", "/observations", report)
        stop.wait(1)


def watch(client: Client, seen: Seen, stop: threading.Event) -> None:
    """Follows all changes, and comes back at another replica with the last id."""
    last = ""
    while not stop.is_set():
        port = client.dice.choice(client.cluster.replicas).port
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=3) as connection:
                resume = f"Last-Event-ID: {last}\r\n" if last else ""
                query = "" if last else "?after=0"
                request = f"GET /events{query} HTTP/1.0\r\nHost: localhost\r\nAccept: text/event-stream\r\n{resume}\r\n"
                connection.sendall(request.encode())
                until = time.monotonic() + client.dice.uniform(1, 10)
                kind, identity = "", ""
                for line in connection.makefile("rb"):
                    text = line.decode().rstrip("\n")
                    if text.startswith("id: "):
                        identity = text[4:]
                    elif text.startswith("event: "):
                        kind = text[7:]
                    elif not text and identity:
                        if kind in ("change", "removal"):
                            seen.watched.append(int(identity.rsplit("-", 1)[-1]))
                        last, identity, kind = identity, "", ""
                    if stop.is_set() or time.monotonic() > until:
                        break
        except (OSError, ValueError):
            stop.wait(0.1)


def page(client: Client, seen: Seen, stop: threading.Event) -> None:
    """Reads pages of the history, each of which must be whole."""
    after = 0
    while not stop.is_set():
        status, _, answer = client.ask("GET", f"/events?after={after}&limit=500")
        if status == 200:
            revisions = [int(item["id"].rsplit("-", 1)[-1]) for item in answer["items"]]
            if revisions != list(range(after + 1, after + 1 + len(revisions))):
                seen.complaints.append(f"the page after {after} is not whole: {revisions[:5]} … {revisions[-5:]}")
            after = revisions[-1] if len(revisions) == 500 else 0
        stop.wait(0.2)


def be_greedy(client: Client, stop: threading.Event) -> None:
    """Sends scans, and leaves without reading the answers."""
    query = ",".join(f"what%20is%20nowhere%20{number}" for number in range(16))
    while not stop.is_set():
        opened = []
        for _ in range(20):
            try:
                connection = socket.create_connection(("127.0.0.1", client.dice.choice(client.cluster.replicas).port), 1)
                connection.sendall(f"GET /plugins?q={query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                opened.append(connection)
            except OSError:
                pass
        stop.wait(0.5)
        for connection in opened:
            connection.close()


def read_slowly(client: Client, stop: threading.Event) -> None:
    """Opens streams, and reads a byte a second."""
    while not stop.is_set():
        try:
            with socket.create_connection(("127.0.0.1", client.dice.choice(client.cluster.replicas).port), 1) as connection:
                connection.sendall(b"GET /events?after=0 HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
                while connection.recv(1) and not stop.wait(1):
                    pass
        except OSError:
            stop.wait(0.5)
