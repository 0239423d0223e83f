"""Leases, tracked processes, commands and decorated functions: what an application holds."""

from __future__ import annotations

import functools
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, ParamSpec, TypeVar

from .._core.here import host_name
from .._core.metadata import PluginMetadata
from .._core.outbox import Outbox
from .._core.record import registration
from .._keeper import Kind
from .._running import command_of, sibling
from .._tracking import Tracker
from .aio import Lock, Process, in_thread, spawn
from .delivery import AsyncDelivery
from .lease import AsyncLease
from .waiting import AsyncWaiting

P = ParamSpec("P")
R = TypeVar("R")


class AsyncTracked:
    """What ``track()`` follows. It is released when it ends, or at the end of a ``with`` block.

    >>> import subprocess
    >>> process = subprocess.Popen(["sleep", "60"])
    >>> tracked = await registry.track(process, "transcription_whisper")
    >>> (await registry.get("transcription_whisper")).spawned_pids == [process.pid]
    True
    >>> process.kill(); _ = process.wait()
    >>> await tracked.wait(60)
    True
    >>> (await registry.get("transcription_whisper")).spawned_pids
    []
    """

    def __init__(self, unique_id: str, tracker: Tracker) -> None:
        self.unique_id = unique_id
        self._tracker = tracker

    @property
    def done(self) -> bool:
        """Whether it has ended, and was released."""
        return self._tracker.done

    async def wait(self, timeout: float | None = None) -> bool:
        """Waits until it has ended and was released; False if it does not in time."""
        return await in_thread(partial(self._tracker.wait, timeout))

    async def stop(self) -> None:
        """Releases it now, whether it runs or not."""
        await in_thread(self._tracker.stop)

    async def __aenter__(self) -> AsyncTracked:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()


class AsyncHolding(AsyncWaiting):
    """The part of the client for what an application holds. A registry that is away never stops it."""

    held_leases: list[AsyncLease]
    _quiet: AsyncHolding | None = None

    def quiet(self) -> AsyncHolding:
        """The same client, which keeps writes that cannot be told, and tells them later."""
        if self.session.delivery is not None:
            return self
        if self._quiet is None:
            made = AsyncHolding.__new__(type(self))
            made.session = self.session.sibling()
            made.session.delivery = AsyncDelivery(made.session, Outbox(self.session.settings.url))
            made.held_leases = self.held_leases
            self._quiet = made
        return self._quiet

    async def flush(self) -> bool:
        """Tells the registry what could not be told before, in its order. Whether nothing is left.

        >>> await registry.flush()
        True
        """
        delivery = self.quiet().session.delivery
        return delivery is not None and await delivery.flush()

    def lease_to_carry(self) -> str | None:
        """The lease that plugins registered now carry: the newest that is held."""
        return next((lease.lease_id for lease in reversed(self.held_leases)), None)

    def registered(self, unique_id: str, lease_id: str | None) -> None:
        """Lets a lease that is not granted yet know a plugin that should carry it."""
        if lease_id is None and self.held_leases:
            self.held_leases[-1].miss(unique_id)

    def lease(
        self,
        holder: str | None = None,
        *,
        ttl: int = 30,
        host: str | None = None,
        keeper: Kind = "process",
        on_lost: Callable[[str], object] | None = None,
        on_gone: str | None = None,
    ) -> AsyncLease:
        """A lease of this process for the time of a block; plugins registered inside carry it.

        ``on_lost`` is called with the reason if the registry refuses to renew it. ``keeper="thread"`` renews in this
        process. ``on_gone="prune"`` lets the registry release what was claimed under the lease and is seen gone.

        >>> async with registry.lease("trainer") as lease:
        ...     [each.holder async for each in registry.leases(state="active")]
        ['trainer']
        """
        return AsyncLease(self, holder, ttl, host, keeper, on_lost, on_gone)

    async def track(
        self, thing: Any, plugin: PluginMetadata | Mapping[str, Any] | str | None = None, /, **fields: Any
    ) -> AsyncTracked:
        """Holds a process or a container that runs already, with its descendants, until it ends.

        It takes whatever has a ``pid`` or a container's ``id``: ``subprocess.Popen``, ``multiprocessing.Process``,
        processes of asyncio and psutil, containers of docker-py; or a number. The plugin is registered, unless it is named
        by its id. ``fields`` are the plugin's, or more of them.

        >>> import subprocess
        >>> with subprocess.Popen(["sleep", "60"]) as process:
        ...     async with await registry.track(process, category="inference", name="worker") as tracked:
        ...         (await registry.get(tracked.unique_id)).spawned_pids == [process.pid]
        ...     process.kill()
        True
        >>> (await registry.get("inference_worker")).spawned_pids
        []
        """
        unique_id = plugin if isinstance(plugin, str) else await self._register_quietly(plugin, fields)
        registry = sibling(self.session.settings)
        return AsyncTracked(unique_id, await in_thread(partial(Tracker, registry, unique_id, thing)))

    async def _register_quietly(self, plugin: object, fields: Mapping[str, Any]) -> str:
        document = {**({} if plugin is None else registration(plugin)), **fields}
        if not document.get("name") or not document.get("category"):
            raise TypeError("a plugin needs a category and a name")
        defaults: dict[str, Any] = {"title": document["name"], "config_schema": {}, "host": host_name()}
        await self.quiet().register({**defaults, **document})
        return f"{document['category']}_{document['name']}"

    async def run(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        category: str,
        name: str,
        title: str | None = None,
        labels: Mapping[str, str] | None = None,
        ttl: int = 30,
        grace: int = 5,
        **popen: Any,
    ) -> Process:
        """Starts a command as a plugin, by ``plugin-registry exec``, with all that it promises.

        The command behaves as without it. Its end, also by ``kill -9`` of this program, ends all its descendants, and is
        reported, also if the registry is away. Returns the process: its exit code and its streams are the command's.

        >>> process = await registry.run(["sh", "-c", "exit 3"], category="inference", name="job")
        >>> _ = await registry.wait("inference_job", lambda plugin: "exec.exit" in plugin.labels, timeout=60)
        >>> (await registry.get("inference_job")).labels["exec.exit"]
        'code 3'
        >>> await process.wait() if hasattr(process, "_transport") else process.wait()
        3
        """
        options = {"category": category, "name": name, "title": title, "labels": labels, "ttl": ttl, "grace": grace}
        line, environment = command_of(self.session.settings, command, options, popen.pop("env", None))
        return await spawn(line, env=environment, **popen)

    def plugin(
        self, *, category: str, name: str, ttl: int = 30, **fields: Any
    ) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]:
        """Decorates a function: during its calls, a plugin holds this process under a lease.

        >>> @registry.plugin(category="inference", name="summary")
        ... async def summarise(text):
        ...     return (await registry.get("inference_summary")).has_active_resources()
        >>> await summarise("…")
        True
        >>> (await registry.get("inference_summary")).has_active_resources()
        False
        """
        document = {"category": category, "name": name, **fields}

        def decorate(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
            running = AsyncCalls(self, document, ttl)

            @functools.wraps(function)
            async def call(*arguments: P.args, **named: P.kwargs) -> R:
                async with running:
                    return await function(*arguments, **named)

            return call

        return decorate


class AsyncCalls:
    """The calls of a decorated function that are under way: the first one registers, the last one releases."""

    def __init__(self, registry: AsyncHolding, document: Mapping[str, Any], ttl: int) -> None:
        self._registry = registry
        self._document = document
        self._ttl = ttl
        self._lock = Lock()
        self._count = 0
        self._lease: AsyncLease | None = None

    async def __aenter__(self) -> None:
        async with self._lock:
            if self._count == 0:
                registry, document = self._registry.quiet(), self._document
                lease = registry.lease(f"{document['category']}_{document['name']}:{os.getpid()}", ttl=self._ttl)
                self._lease = await lease.__aenter__()
                unique_id = await registry._register_quietly(None, document)
                await registry.pids(unique_id).add(os.getpid())
            self._count += 1

    async def __aexit__(self, *exception: object) -> None:
        async with self._lock:
            self._count -= 1
            if self._count == 0 and self._lease is not None:
                unique_id = f"{self._document['category']}_{self._document['name']}"
                await self._registry.quiet().pids(unique_id).remove(os.getpid())
                await self._lease.release()
