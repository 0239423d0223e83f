"""Leases: who renews them, and what ends them."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from plugin_registry import Lease, LocalServer, Registry, local_server

ARGUMENTS = ["--probe-own-host=false"]
PLUGIN = {"name": "a", "category": "c", "title": "A", "config_schema": {}}
# One call into C that does not let other threads of the interpreter run: a number of this size takes minutes.
BUSY = """
import sys
from plugin_registry import Registry
registry = Registry(sys.argv[1])
lease = registry.lease("busy", ttl=5, keeper=sys.argv[2]).__enter__()
registry.register({"name": "a", "category": "c", "title": "A", "config_schema": {}})
print(lease.lease_id, lease.keeper, flush=True)
sys.set_int_max_str_digits(0)
str(7 ** 40_000_000)
"""


def busy(url: str, keeper: str) -> tuple[subprocess.Popen[str], str, str]:
    process = subprocess.Popen([sys.executable, "-c", BUSY, url, keeper], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lease_id, kind = process.stdout.readline().split()
    return process, lease_id, kind


def moment(registry: Registry) -> None:
    """Lets some time pass: the registry answers once it has."""
    registry.request("GET", "/stats", params={"since": 1_000_000, "wait": "200ms"})


def renewals(registry: Registry, lease_id: str, count: int) -> None:
    """Waits until a lease was renewed so many times."""
    for _ in range(count):
        before = registry.lease_info(lease_id).renewed_at
        while registry.lease_info(lease_id).renewed_at == before:
            moment(registry)


def test_an_interpreter_that_computes_keeps_its_lease(registry: Registry) -> None:
    process, lease_id, kind = busy(registry.url, "process")
    with process, registry.watch(after=0, kind="lease.expired") as expiries:
        assert kind == "process"
        # More than the lease's time, in which no thread of that interpreter can have run.
        renewals(registry, lease_id, 6)
        assert registry.lease_info(lease_id).state == "active"
        process.kill()
        # Nothing gives it back: it runs out, and what its plugins hold is found.
        assert next(expiries).revision and registry.lease_info(lease_id).state == "lost"


def test_a_thread_of_an_interpreter_that_computes_would_lose_the_lease(registry: Registry) -> None:
    process, lease_id, kind = busy(registry.url, "thread")
    with process, registry.watch(after=0, kind="lease.expired") as expiries:
        assert kind == "thread"
        assert next(expiries).revision and registry.lease_info(lease_id).state == "lost"
        assert process.poll() is None
        process.kill()


def test_a_lease_is_given_back_at_the_end_of_its_block(registry: Registry) -> None:
    with registry.lease("trainer") as lease:
        assert lease.keeper == "process" and lease.lease_id is not None
        assert registry.register(PLUGIN).lease_id == lease.lease_id
        with registry.lease("inner", keeper="thread") as inner:
            assert registry.register({**PLUGIN, "name": "b"}).lease_id == inner.lease_id
        assert registry.register({**PLUGIN, "name": "c"}).lease_id == lease.lease_id
    assert {each.state for each in registry.leases()} == {"released"}
    assert registry.register({**PLUGIN, "name": "d"}).lease_id is None
    lease.release()


@pytest.mark.parametrize("keeper", ["process", "thread"])
def test_the_application_hears_that_its_lease_is_lost(registry: Registry, keeper: str) -> None:
    heard, reasons = threading.Event(), list[str]()

    def on_lost(reason: str) -> None:
        reasons.append(reason)
        heard.set()

    with registry.lease("trainer", ttl=5, keeper=keeper, on_lost=on_lost) as lease:  # type: ignore[arg-type]
        registry.request("DELETE", f"/leases/{lease.lease_id}")
        assert heard.wait(60) and lease.lost and len(reasons) == 1


def test_without_the_program_a_thread_renews(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUGIN_REGISTRY_BINARY", "/no/such/program")
    with registry.lease("trainer", ttl=5) as lease:
        assert lease.keeper == "thread" and lease.lease_id is not None
        renewals(registry, lease.lease_id, 1)


def test_a_lease_is_taken_as_soon_as_the_registry_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    server = LocalServer(f"sqlite:{tmp_path}/registry.db", arguments=ARGUMENTS)
    server.start()
    server.kill()
    with Registry(server.url, on_unreachable="queue") as registry, registry.lease("trainer") as lease:
        assert lease.lease_id is None
        assert registry.register(PLUGIN).unique_id == "c_a"
        server.start()
        with Registry(server.url) as reader:
            plugin = reader.wait("c_a", lambda plugin: plugin.lease_id is not None, timeout=120)
            assert plugin is not None and plugin.lease_id == lease.lease_id
    server.stop()


def in_child(lease: Lease, registry: Registry, said: "multiprocessing.Queue[object]") -> None:
    """What a child sees of its parent's lease and client."""
    plugin = registry.register({**PLUGIN, "name": "child"})
    lease.release()
    said.put((lease.lease_id, plugin.lease_id))


def test_a_forked_child_has_no_part_in_the_lease_of_its_parent(registry: Registry) -> None:
    with registry.lease("trainer") as lease:
        registry.register(PLUGIN)
        context = multiprocessing.get_context("fork")
        said: multiprocessing.Queue[object] = context.Queue()
        child = context.Process(target=in_child, args=(lease, registry, said))
        child.start()
        assert said.get(timeout=60) == (None, None)
        child.join()
        assert child.exitcode == 0
        assert lease.lease_id is not None and registry.lease_info(lease.lease_id).state == "active"
        assert registry.register(PLUGIN).lease_id == lease.lease_id


SPAWNED = """
import sys
from plugin_registry import Registry
with Registry(sys.argv[1]) as registry:
    print(registry.register({"name": "spawned", "category": "c", "title": "S", "config_schema": {}}).lease_id)
"""


def test_a_spawned_child_has_a_client_of_its_own(registry: Registry) -> None:
    with registry.lease("trainer"):
        said = subprocess.run([sys.executable, "-c", SPAWNED, registry.url], capture_output=True, text=True, check=True)
    assert said.stdout == "None\n"


def test_many_threads_share_a_client(registry: Registry) -> None:
    registry.register(PLUGIN)
    threads = [threading.Thread(target=registry.pids("c_a").add, args=(pid,)) for pid in range(1, 41)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(registry.get("c_a").spawned_pids) == list(range(1, 41))


def test_no_command_line_shows_the_token() -> None:
    with local_server(arguments=ARGUMENTS) as url, Registry(url) as open_registry:
        secret = open_registry.tokens.create("admin", "admin").token
        with Registry(url, token=lambda: secret) as registry, registry.lease("trainer", ttl=5) as lease:
            assert lease.keeper == "process" and lease.lease_id is not None
            renewals(registry, lease.lease_id, 1)
            assert not lease.lost
            lines = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in os.listdir("/proc") if pid.isdigit() and alive(pid)]
            assert not any(secret and secret.encode() in line for line in lines)


def alive(pid: str) -> bool:
    return Path(f"/proc/{pid}/cmdline").exists()


def test_a_callback_may_release_the_lease(registry: Registry) -> None:
    released = threading.Event()

    def on_lost(reason: str) -> None:
        lease.release()
        released.set()

    lease = registry.lease("trainer", ttl=5, keeper="thread", on_lost=on_lost)
    with lease:
        registry.request("DELETE", f"/leases/{lease.lease_id}")
        assert released.wait(60)
