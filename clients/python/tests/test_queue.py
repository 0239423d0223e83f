"""A registry that is away never stops the application: writes are kept on disk, and told later, once, in order."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from relay import Harm, relay

from plugin_registry import LocalServer, Registry, Unreachable
from plugin_registry._core import doubt
from plugin_registry._core import outbox as kept
from plugin_registry._core.calls import post, register
from plugin_registry._core.http import Request
from plugin_registry._core.retry import Policy, attempts, with_key

ARGUMENTS = ["--probe-own-host=false"]
PLUGIN = {"name": "a", "category": "c", "title": "A", "config_schema": {}}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The queue of this test alone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    # The first pause before a kept write is tried again; no test waits for it.
    monkeypatch.setattr("plugin_registry._sync.delivery.FIRST_TRY", 0.05)
    return tmp_path / "state"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    """A registry on a disk, which is away at first."""
    made = LocalServer(f"sqlite:{tmp_path}/registry.db", arguments=ARGUMENTS)
    made.start()
    made.kill()
    yield made
    made.stop()


def test_writes_are_told_later_once_and_in_order(server: LocalServer, caplog: pytest.LogCaptureFixture) -> None:
    with Registry(server.url, on_unreachable="queue") as registry:
        plugin = registry.register(PLUGIN)
        assert (plugin.unique_id, plugin.revision) == ("c_a", 0)
        for pid in (1, 2, 3):
            registry.pids("c_a").add(pid)
        registry.pids("c_a").remove(2)
        with pytest.raises(Unreachable):
            registry.get("c_a")
        server.start()
        with Registry(server.url) as reader:
            reader.wait("c_a", lambda plugin: plugin.spawned_pids == [1, 3], timeout=60)
            changed = [event.type for event in reader.events(kind=["plugin.registered", "plugin.pids_changed"])]
            assert changed == ["plugin.registered", *["plugin.pids_changed"] * 4]
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1


def test_what_was_told_but_not_answered_is_not_done_twice(server: LocalServer) -> None:
    server.start()
    # The registry does the first request, and the client does not hear of it: neither now nor at its repeat.
    with relay(server.url, lambda number, request: Harm(keep=0) if number <= 2 else None) as between:
        with Registry(between.url, on_unreachable="queue") as registry:
            assert registry.register(PLUGIN, create_only=True).revision == 0
            while not registry.flush():
                pass
    with Registry(server.url) as reader:
        assert [event.type for event in reader.events()] == ["plugin.registered"]


def test_what_is_kept_outlives_the_process_and_has_no_token(server: LocalServer, state: Path) -> None:
    code = (
        "import sys; from plugin_registry import Registry;"
        f"Registry(sys.argv[1], on_unreachable='queue', token='secret').register({PLUGIN!r})"
    )
    subprocess.run([sys.executable, "-c", code, server.url], check=True, stderr=subprocess.DEVNULL)
    [file] = state.rglob("*.json")
    assert file.stat().st_mode & 0o077 == 0 and "secret" not in file.read_text()
    assert json.loads(file.read_text())["headers"]["Idempotency-Key"]
    server.start()
    with Registry(server.url) as registry:
        assert registry.flush() and registry.get("c_a").title == "A"
    assert not list(state.rglob("*.json"))


def test_a_kept_write_that_is_refused_is_set_aside(server: LocalServer, state: Path) -> None:
    with Registry(server.url, on_unreachable="queue") as registry:
        registry.register({**PLUGIN, "title": 1})
        registry.register(PLUGIN)
        server.start()
        while not registry.flush():
            pass
        assert registry.get("c_a").title == "A"
    assert len(list(state.rglob("*.refused"))) == 1


def test_the_queue_is_bounded(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(kept, "MOST", 3)
    box = kept.Outbox("http://registry.test")
    for _ in range(5):
        box.put(with_key(register(PLUGIN)))
    assert len(box.waiting()) == 3
    assert sum("is lost" in record.message for record in caplog.records) == 2


def test_a_full_disk_or_a_read_only_home_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "file"
    file.write_text("")
    kept.Outbox("http://registry.test", file / "folder").put(with_key(register(PLUGIN)))
    assert "is lost" in caplog.text


def test_one_process_at_a_time_tells(state: Path) -> None:
    box = kept.Outbox("http://registry.test")
    box.put(with_key(register(PLUGIN)))
    with box.delivery() as first, box.delivery() as second:
        assert first and not second


def test_a_tracked_process_is_released_although_the_registry_was_away(server: LocalServer) -> None:
    server.start()
    with Registry(server.url) as registry, subprocess.Popen(["sleep", "600"]) as process:
        tracked = registry.track(process, PLUGIN)
        assert registry.get("c_a").spawned_pids == [process.pid]
        server.kill()
        process.kill()
        process.wait()
        assert tracked.wait(120)
        server.start()
        while not registry.flush():
            pass
        assert registry.get("c_a").spawned_pids == []
        assert os.getpid() != process.pid


def keep_a_budget_in_doubt(server: LocalServer) -> None:
    """The registry makes a budget, and the client hears neither of it nor of its repeat."""
    server.start()
    with relay(server.url, lambda number, request: Harm(keep=0)) as between:
        kept.Outbox(server.url).put(a_budget(between.url), in_doubt=True)


def a_budget(url: str) -> Request:
    """Sends the request of a new budget, whose answer is lost."""
    request = with_key(post("/budgets", {"name": "b", "limit_usd": 5, "period": "day"}))
    with Registry(url, retries=0) as registry, pytest.raises(Unreachable) as raised:
        registry.session.drive(attempts(request, Policy(0), url))
    assert raised.value.in_doubt
    return request


def test_a_budget_in_doubt_is_repeated_while_the_registry_knows_its_key(server: LocalServer, state: Path) -> None:
    keep_a_budget_in_doubt(server)
    assert list(state.rglob("*.sent"))
    with Registry(server.url) as registry:
        assert registry.flush() and len(registry.budgets.list()) == 1
    assert not list(state.rglob("*.json")) and not list(state.rglob("*.sent"))


def test_a_budget_in_doubt_is_set_aside_once_its_key_is_forgotten(
    server: LocalServer, state: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keep_a_budget_in_doubt(server)
    kept.Outbox(server.url).put(with_key(register(PLUGIN)))
    monkeypatch.setattr("plugin_registry._core.doubt.KEY_SECONDS", 0)
    with Registry(server.url) as registry:
        assert registry.flush() and len(registry.budgets.list()) == 1
        # What is behind it is told.
        assert registry.get("c_a").title == "A"
    assert len(list(state.rglob("*.doubtful"))) == 1 and not list(state.rglob("*.sent"))
    assert "do it again if it is missing" in caplog.text


def test_a_write_that_never_left_is_told_however_old_it_is(
    server: LocalServer, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Registry(server.url, on_unreachable="queue") as registry:
        registry.session.answer(post("/budgets", {"name": "b", "limit_usd": 5, "period": "day"}))
        assert not registry.flush() and not list(state.rglob("*.sent"))
        monkeypatch.setattr("plugin_registry._core.doubt.KEY_SECONDS", 0)
        server.start()
        while not registry.flush():
            pass
        assert len(registry.budgets.list()) == 1


def test_a_clock_that_was_set_back_does_not_make_a_doubt_young(monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = {**doubt.moment(), "boot": "another boot of this machine"}
    assert doubt.key_is_known(earlier)
    assert not doubt.key_is_known({**earlier, "wall": earlier["wall"] - 24 * 3600})
    assert not doubt.key_is_known({**earlier, "wall": earlier["wall"] + 3600})
    # In the same boot, the clock does not matter.
    assert doubt.key_is_known({**doubt.moment(), "wall": 0})
