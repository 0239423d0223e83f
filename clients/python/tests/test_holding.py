"""Tracked processes, commands and decorated functions."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import psutil
import pytest

from plugin_registry import AsyncRegistry, Registry

PLUGIN = {"name": "a", "category": "c", "title": "A", "config_schema": {}}
SLEEP = ["sleep", "600"]
PARENT = "import subprocess, sys; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); p.wait()"


def test_a_process_is_held_with_its_children_until_all_have_ended(registry: Registry) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        tracked = registry.track(parent, category="c", name="a")
        assert sorted(registry.get("c_a").spawned_pids) == sorted([parent.pid, child])
        parent.kill()
        parent.wait()
        registry.wait("c_a", lambda plugin: plugin.spawned_pids == [child], timeout=60)
        assert not tracked.done
        os.kill(child, signal.SIGKILL)
        assert tracked.wait(60) and registry.get("c_a").spawned_pids == []


def test_a_psutil_process_and_a_number_are_tracked_too(registry: Registry) -> None:
    with subprocess.Popen(SLEEP) as process:
        for thing in (psutil.Process(process.pid), process.pid):
            with registry.track(thing, PLUGIN):
                assert registry.get("c_a").spawned_pids == [process.pid]
            assert registry.get("c_a").spawned_pids == []
        process.kill()


def test_a_process_of_multiprocessing_is_tracked(registry: Registry) -> None:
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=signal.pause)
    with pytest.raises(TypeError, match="was it started"):
        registry.track(process, PLUGIN)
    process.start()
    tracked = registry.track(process, PLUGIN)
    process.terminate()
    process.join()
    assert tracked.wait(60) and registry.get("c_a").spawned_pids == []


def test_a_process_of_asyncio_is_tracked(registry_server: str) -> None:
    async def main() -> None:
        async with AsyncRegistry(registry_server) as registry:
            process = await asyncio.create_subprocess_exec(*SLEEP)
            tracked = await registry.track(process, category="c", name="of-asyncio")
            assert (await registry.get("c_of-asyncio")).spawned_pids == [process.pid]
            process.kill()
            await process.wait()
            assert await tracked.wait(60)
            assert (await registry.get("c_of-asyncio")).spawned_pids == []

    asyncio.run(main())


def test_a_container_is_held_until_its_engine_says_that_it_has_ended(registry: Registry) -> None:
    # docker-py's object, as far as it is used; tests/system/engine runs a real engine.
    container = SimpleNamespace(id="4c01db0b339c", status="running", reload=lambda: None)
    tracked = registry.track(container, PLUGIN)
    assert registry.get("c_a").container_id == "4c01db0b339c"
    container.status = "exited"
    assert tracked.wait(60) and registry.get("c_a").container_id is None


def test_what_cannot_be_tracked_is_refused(registry: Registry) -> None:
    with pytest.raises(TypeError, match="neither a pid"):
        registry.track(object(), PLUGIN)
    with pytest.raises(TypeError, match="category and a name"):
        registry.track(os.getpid(), name="a")


def test_a_command_runs_as_without_the_registry(registry: Registry) -> None:
    command = ["sh", "-c", "cat; echo $TEAM; exit 3"]
    environment = {**os.environ, "TEAM": "speech"}
    with registry.run(
        command,
        category="c",
        name="job",
        labels={"team": "speech"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.communicate("in\n") == ("in\nspeech\n", None)
    assert process.returncode == 3
    plugin = registry.wait("c_job", lambda plugin: "exec.exit" in plugin.labels, timeout=60)
    assert plugin is not None and plugin.labels == {"exec.exit": "code 3", "team": "speech"}


def test_the_calls_of_a_function_hold_this_process(registry: Registry) -> None:
    inside, leave = threading.Barrier(3), threading.Event()

    @registry.plugin(category="c", name="f", labels={"team": "speech"})
    def work(number: int) -> int:
        """Works."""
        inside.wait(60)
        leave.wait(60)
        return number

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    inside.wait(60)
    plugin = registry.get("c_f")
    assert plugin.spawned_pids == [os.getpid()] and plugin.lease_id is not None and plugin.labels == {"team": "speech"}
    leave.set()
    for thread in threads:
        thread.join()
    assert registry.get("c_f").spawned_pids == []
    assert [lease.state for lease in registry.leases()] == ["released"]
    assert work.__doc__ == "Works."


def test_a_function_that_fails_holds_nothing_afterwards(registry: Registry) -> None:
    @registry.plugin(category="c", name="f")
    def fails() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fails()
    assert registry.get("c_f").spawned_pids == []
