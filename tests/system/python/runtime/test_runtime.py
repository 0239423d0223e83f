"""Upstream's runtime from the index, with a real worker and what that starts, on a real registry that probes this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cjm_substrate.core.config_store import CapabilityConfigRecord, CapabilityConfigStore
from cjm_substrate.core.journal_store import JournalEvent, JournalStore, LocalJournalStore
from sleeper import SCHEMA

from plugin_registry import Registry, local_server
from plugin_registry.leftovers import start_ticks
from plugin_registry.upstream import ConfigStore, JournalMirror

HERE = Path(__file__).resolve().parent
PLUGIN = "capability_sleeper"
# Seconds that the registry, its probes and a worker may take together on a busy machine.
PATIENCE = 90


@pytest.fixture
def registry(tmp_path):
    with local_server(f"sqlite:{tmp_path}/registry.db", arguments=["--probe-interval=1"]) as url, Registry(url) as registry:
        yield registry


@pytest.fixture
def hosts(registry, tmp_path):
    """Starts hosts, and ends what they have left when the test is over."""
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "sleeper.json").write_text(json.dumps({
        "format_version": "2.0",
        "install": {"python_path": sys.executable, "env_vars": {"PYTHONPATH": str(HERE)}},
        "code": {"name": "sleeper", "version": "1.0.0", "description": "Sleeps", "module": "sleeper", "class": "Sleeper",
                 "config_schema": SCHEMA},
    }))
    started, pids = [], []

    def start(*arguments, url=registry.url):
        environment = {**os.environ, "CJM_DATA_DIR": str(tmp_path / "data"), "PYTHONPATH": str(HERE)}
        host = subprocess.Popen(
            [sys.executable, HERE / "host.py", url, folder, *arguments], cwd=tmp_path, env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=(tmp_path / "host.log").open("a"), text=True,
        )
        started.append(host)
        line = host.stdout.readline()
        assert line, (tmp_path / "host.log").read_text()
        host.worker, host.grandchild = map(int, line.split())
        pids.extend((host.worker, host.grandchild))
        return host

    yield start
    for host in started:
        host.kill()
        host.wait()
        host.stdout.close()
    for pid in filter(start_ticks, pids):
        os.kill(pid, signal.SIGKILL)


def wait_for(what, holds):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"{what} does not happen"
        time.sleep(0.1)


def rows(registry, **filters):
    return {int(row.id): row for row in registry.resources(kind="process", **filters)}


def test_a_killed_host_leaves_orphans_and_the_next_start_is_clean(registry, hosts):
    first = hosts()
    wait_for("both are held", lambda: {first.worker, first.grandchild} <= rows(registry).keys())
    wait_for("both are seen alive", lambda: {first.worker, first.grandchild} <= rows(registry, verified=True).keys())
    assert not list(registry.findings(finding=["orphan", "ghost"]))

    first.kill()
    # Upstream's worker means to end with its host, but what it prints then goes to a closed pipe, and it runs on.
    wait_for("both are orphans", lambda: rows(registry, finding="orphan").keys() == {first.worker, first.grandchild})

    second = hosts("clean_up")
    wait_for("what is left is what runs", lambda: rows(registry).keys() == {second.worker, second.grandchild})
    assert start_ticks(first.worker) is None and start_ticks(first.grandchild) is None
    wait_for("it is seen alive", lambda: rows(registry, verified=True).keys() == {second.worker, second.grandchild})
    assert not list(registry.findings(finding=["orphan", "ghost", "reused"]))


def test_an_unloaded_worker_is_released_and_what_outlives_it_stays(registry, hosts):
    host = hosts()
    wait_for("both are held", lambda: {host.worker, host.grandchild} <= rows(registry).keys())
    host.stdin.close()
    assert host.wait(PATIENCE) == 0
    assert rows(registry).keys() == {host.grandchild}
    assert [lease.state for lease in registry.leases()] == ["released"]


def test_a_host_whose_registry_is_away_runs_its_worker_all_the_same(hosts):
    host = hosts(url="http://127.0.0.1:1")
    assert start_ticks(host.worker) and start_ticks(host.grandchild)
    host.stdin.close()
    assert host.wait(PATIENCE) == 0
    assert start_ticks(host.worker) is None


def test_the_journal_of_upstream_keeps_its_events(registry, tmp_path):
    inner = LocalJournalStore(tmp_path / "journal.db")
    mirror = JournalMirror(registry, inner)
    assert isinstance(mirror, JournalStore)
    number = mirror.append(JournalEvent(event_type="config_applied", capability_name="sleeper"))
    assert [event.seq for event in mirror.query(event_type="config_applied")] == [number]
    assert (mirror.count(), mirror.terminal_state_events()) == (1, [])
    mirror.close()


def test_the_store_of_configurations_is_upstreams(registry):
    store = ConfigStore(registry)
    assert isinstance(store, CapabilityConfigStore)
    store.set("sleeper", CapabilityConfigRecord(config={"seconds": 1}, enabled=False, worker_env={"CUDA": "0"}))
    read = store.get("sleeper")
    assert isinstance(read, CapabilityConfigRecord)
    assert (read.config, read.enabled, read.worker_env) == ({"seconds": 1}, False, {"CUDA": "0"})
    assert store.list_all().keys() == {"sleeper"}
    assert store.delete("sleeper")
    assert store.get("sleeper") is None
    assert not store.delete("sleeper")
