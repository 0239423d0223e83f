"""The load of a soak: everybody who uses a registry, each a thread, at a pace that leaves the machine to others."""

import collections
import http.client
import http.server
import json
import random
import subprocess
import threading
import urllib.parse

# Names come again: a registry that knows ever more plugins would rightly grow.
PLUGINS = 300
# Answers to writes with a key are kept for a day, and so keys come again, too.
KEYS = 100


class Load:
    """All threads, and what they have seen."""

    def __init__(self, address, binary, store, folder):
        self.host, self.port = address.rsplit(":", 1)
        self.binary, self.store, self.folder = binary, store, folder
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.done = collections.Counter()
        self.wrong = []
        self.threads = []

    def start(self):
        receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), receiver_of(self))
        self.receiver = receiver
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        client = Client(self)
        client.ask("POST", "/webhooks", {"url": f"http://127.0.0.1:{receiver.server_port}/hook"}, "webhook")
        budget = {"name": "all", "limit_usd": 1_000_000, "period": "total", "filters": {}}
        client.ask("POST", "/budgets", budget, "budget")
        users = [(writer, 3), (importer, 1), (reader, 2), (watcher, 8), (poller, 2), (holder, 2), (rude, 1)]
        users += [(keeper_by_http, 1), (keeper_by_store, 1)]
        for user, number in users:
            for index in range(number):
                thread = threading.Thread(target=self.run, args=(user, index), daemon=True)
                thread.start()
                self.threads.append(thread)

    def run(self, user, index):
        try:
            user(self, index)
        except Exception as error:  # noqa: BLE001 - whatever it was, the soak has failed
            if not self.over.is_set():
                self.note(f"{user.__name__}: {error!r}")

    def note(self, what):
        with self.lock:
            self.wrong.append(what)

    def count(self, what):
        with self.lock:
            self.done[what] += 1

    def pause(self, seconds):
        """Returns true as long as the load goes on."""
        return not self.over.wait(seconds)

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(timeout=30)
        self.receiver.shutdown()


class Client:
    """One connection, which is kept."""

    def __init__(self, load):
        self.load = load
        self.connection = http.client.HTTPConnection(load.host, int(load.port), timeout=60)

    def ask(self, method, path, body=None, what=None, headers=None, accept=()):
        """The body of the answer; whatever is neither 2xx nor expected is noted."""
        headers = dict(headers or {})
        if body is not None:
            text = body if isinstance(body, str) else json.dumps(body)
            media_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
            headers.setdefault("Content-Type", media_type)
            body = text.encode()
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status // 100 != 2 and answer.status not in accept:
            self.load.note(f"{method} {path}: {answer.status} {text[:300]!r}")
        self.load.count(what or f"{method} {path.split('?')[0].split('/')[1]}")
        return answer.status, text


def plugin(dice):
    number = dice.randrange(PLUGINS)
    remote = {"provider": "aws", "status": dice.choice(["running", "stopped"]), "estimated_cost_per_hour": 1.5}
    return {
        "category": f"c{number % 7}",
        "name": f"n{number}",
        "title": "T" * dice.randrange(1, 200),
        "config_schema": {"type": "object", "properties": {"n": {"type": "integer"}}},
        "host": f"h{number % 3}",
        "labels": {"team": f"t{number % 5}"},
        "spawned_pids": [dice.randrange(1, 1 << 20) for _ in range(number % 4)],
        "remote_resource": remote if number % 2 else None,
    }


def path_of(plugin):
    return "/plugins/" + urllib.parse.quote(f"{plugin['category']}_{plugin['name']}")


def writer(load, index):
    dice, client = random.Random(index), Client(load)
    while load.pause(0.03):
        one = plugin(dice)
        path = path_of(one)
        key = {"Idempotency-Key": f'"{index}-{dice.randrange(KEYS)}"'} if dice.random() < 0.1 else {}
        # The same key with another plugin is refused, as it should be.
        client.ask("POST", "/plugins", one, "register", key, accept=(422,))
        client.ask("PUT", path + "/spawned_pids", {"spawned_pids": [dice.randrange(1, 1 << 20)]}, "pids", accept=(404,))
        client.ask("PATCH", path, {"title": f"t{dice.random()}"}, "patch", accept=(404,))
        client.ask("PUT", path + "/config", {"n": dice.randrange(100)}, "config", accept=(404,))
        if dice.random() < 0.2:
            client.ask("DELETE", path + "?force=true", None, "remove", accept=(404,))


def importer(load, index):
    dice, client = random.Random(100 + index), Client(load)
    while load.pause(2):
        lines = "".join(json.dumps(plugin(dice)) + "\n" for _ in range(50))
        client.ask("POST", "/plugins", lines, "import", {"Content-Type": "application/x-ndjson"})


def reader(load, index):
    dice, client = random.Random(200 + index), Client(load)
    paths = [
        "/plugins", "/plugins?active=true", "/plugins?label.team=t1&sort=-updated_at&limit=20", "/resources", "/stats",
        "/categories", "/costs?hours=24&group_by=label.team", "/leases", "/budgets", "/webhooks", "/events?limit=200",
        "/metrics", "/readyz", "/openapi.json", "/plugins?q=n1&fields=unique_id",
    ]
    while load.pause(0.05):
        client.ask("GET", dice.choice(paths), what="read", headers={"Accept-Encoding": dice.choice(["gzip", "identity"])})
        if dice.random() < 0.2:
            head = json.loads(client.ask("GET", "/stats")[1])["revision"]
            # The past may be forgotten by then.
            client.ask("GET", f"/plugins?as_of={max(1, head - dice.randrange(500))}", what="as_of", accept=(410,))


def watcher(load, index):
    """Reads some events, goes away without a word, comes back where it was."""
    dice, last = random.Random(300 + index), None
    while load.pause(0.2):
        connection = http.client.HTTPConnection(load.host, int(load.port), timeout=60)
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
        connection.request("GET", "/events" + dice.choice(["", "?active=true", "?category=c1"]), headers=headers)
        answer = connection.getresponse()
        if answer.status == 410:
            # It was away for too long for what is kept.
            last = None
        elif answer.status != 200:
            load.note(f"GET /events: {answer.status} {answer.read(300)!r}")
        for _ in range(dice.randrange(50, 2000) if answer.status == 200 else 0):
            line = answer.readline()
            if not line or load.over.is_set():
                break
            if line.startswith(b"id: "):
                last = line[4:].strip().decode()
                load.count("event")
        connection.close()


def poller(load, index):
    client = Client(load)
    since = 0
    while load.pause(0.2):
        _, text = client.ask("GET", f"/plugins?category=c{index}&since={since}&wait=2s", what="long poll", accept=(304,))
        since = json.loads(text)["revision"] if text else since


def holder(load, index):
    """An application with a lease, and the agent of its host."""
    dice, client = random.Random(400 + index), Client(load)
    host, lease, age = f"h{index}", None, 0
    while load.pause(0.5):
        if lease is None or age > 60:
            if lease and dice.random() < 0.5:
                client.ask("DELETE", f"/leases/{lease}", what="lease released")
            terms = {"holder": f"app{index}", "host": host, "ttl_seconds": 5}
            lease, age = json.loads(client.ask("POST", "/leases", terms, "lease")[1])["lease_id"], 0
        age += 1
        client.ask("PUT", f"/leases/{lease}", what="lease renewed")
        one = plugin(dice) | {"lease_id": lease, "host": host, "spawned_pids": [index + 1], "remote_resource": None}
        client.ask("POST", "/plugins", one, "register with a lease")
        identity = {"machine_id": "m", "boot_id": "b", "pid_namespace": 1, "pid": index + 1, "start_ticks": 1}
        seen = {"kind": "process", "plugin": f"{one['category']}_{one['name']}", "id": str(index + 1)}
        seen |= {"state": dice.choice(["alive", "gone"]), "identity": identity}
        report = {"by": f"agent{index}@{host}", "host": host, "observations": [seen]}
        client.ask("POST", "/observations", report, "observed")


def rude(load, index):
    """Sends what is wrong, and goes away in the middle of it."""
    client = Client(load)
    while load.pause(0.5):
        client.ask("POST", "/plugins", '{"name": ', "bad request", accept=(400,))
        client.ask("GET", "/plugins?nope=1", what="bad request", accept=(400,))
        broken = http.client.HTTPConnection(load.host, int(load.port), timeout=10)
        broken.putrequest("POST", "/plugins")
        broken.putheader("Content-Length", "1000")
        broken.endheaders(b"{")
        broken.close()


def keeper_by_http(load, index):
    client = Client(load)
    while load.pause(5):
        _, text = client.ask("GET", "/backup", what="backup by HTTP")
        if b'{"end":' not in text[-200:]:
            load.note("a backup has no end")


def keeper_by_store(load, index):
    path = f"{load.folder}/soak.backup"
    while load.pause(15):
        made = subprocess.run([load.binary, "backup", path, "--store", load.store], capture_output=True, text=True)
        if made.returncode != 0:
            load.note(f"backup: {made.stderr}")
        load.count("backup of the store")


def receiver_of(load):
    class Receiver(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            load.count("delivery")
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    return Receiver
