"""The asynchronous client where its event loop makes a difference."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from plugin_registry import AsyncRegistry, LocalServer

PLUGIN = {"name": "a", "category": "c", "title": "A", "config_schema": {}}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue of this test alone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("plugin_registry._async.delivery.FIRST_TRY", 0.05)


def test_writes_are_told_later_and_a_lease_is_taken_then(tmp_path: Path) -> None:
    server = LocalServer(f"sqlite:{tmp_path}/registry.db", arguments=["--probe-own-host=false"])
    server.start()
    server.kill()

    async def main() -> None:
        async with AsyncRegistry(server.url, on_unreachable="queue") as registry, registry.lease("trainer") as lease:
            assert (await registry.register(PLUGIN)).revision == 0 and lease.lease_id is None
            for pid in (1, 2):
                await registry.pids("c_a").add(pid)
            await asyncio.to_thread(server.start)
            plugin = await registry.wait("c_a", lambda each: each.spawned_pids == [1, 2] and each.lease_id, timeout=120)
            assert plugin is not None and plugin.lease_id == lease.lease_id
        async with AsyncRegistry(server.url) as registry:
            assert [each.state async for each in registry.leases()] == ["released"]

    asyncio.run(main())
    server.stop()


def test_the_calls_of_a_coroutine_function_overlap(registry_server: str) -> None:
    async def main() -> None:
        async with AsyncRegistry(registry_server) as registry:
            both, leave = asyncio.Barrier(3), asyncio.Event()

            @registry.plugin(category="c", name="coroutine")
            async def work(number: int) -> int:
                await both.wait()
                await leave.wait()
                return number

            calls = [asyncio.create_task(work(number)) for number in range(2)]
            await both.wait()
            assert (await registry.get("c_coroutine")).spawned_pids == [os.getpid()]
            leave.set()
            assert await asyncio.gather(*calls) == [0, 1]
            assert (await registry.get("c_coroutine")).spawned_pids == []

    asyncio.run(main())


def test_a_cancelled_call_holds_nothing_afterwards(registry_server: str) -> None:
    async def main() -> None:
        async with AsyncRegistry(registry_server) as registry:
            begun = asyncio.Event()

            @registry.plugin(category="c", name="cancelled")
            async def work() -> None:
                begun.set()
                await asyncio.Event().wait()

            call = asyncio.create_task(work())
            await begun.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert (await registry.get("c_cancelled")).spawned_pids == []

    asyncio.run(main())


def test_a_hundred_tasks_share_a_client(registry_server: str) -> None:
    async def main() -> None:
        async with AsyncRegistry(registry_server) as registry:
            await registry.register({**PLUGIN, "name": "tasks"})
            await asyncio.gather(*(registry.pids("c_tasks").add(pid) for pid in range(1, 101)))
            assert sorted((await registry.get("c_tasks")).spawned_pids) == list(range(1, 101))

    asyncio.run(main())


def test_a_mirror_survives_a_restart(tmp_path: Path) -> None:
    server = LocalServer(f"sqlite:{tmp_path}/registry.db", arguments=["--probe-own-host=false"])
    server.start()

    async def main() -> None:
        async with AsyncRegistry(server.url) as registry, registry.mirror() as mirror:
            await registry.register(PLUGIN)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            await registry.register({**PLUGIN, "name": "b"})
            await mirror.wait(lambda plugins: sorted(plugins) == ["c_a", "c_b"], 60)

    asyncio.run(main())
    server.stop()


def test_a_client_serves_one_event_loop_after_another(registry_server: str) -> None:
    async def once() -> Any:
        async with AsyncRegistry(registry_server) as registry:
            return (await registry.ready()).status

    assert [asyncio.run(once()) for _ in range(2)] == ["ready", "ready"]
