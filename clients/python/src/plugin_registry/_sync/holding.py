# Made by tools/unasync.py from _async/holding.py. Do not edit it.
"""Leases, tracked processes, commands and decorated functions: what an application holds."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
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
from .delivery import Delivery
from .lease import Lease
from .waiting import Waiting

P = ParamSpec("P")
R = TypeVar("R")


class Tracked:
    """What ``track()`` follows. It is released when it ends, or at the end of a ``with`` block.

    >>> import subprocess
    >>> process = subprocess.Popen(["sleep", "60"])
    >>> tracked = registry.track(process, "transcription_whisper")
    >>> (registry.get("transcription_whisper")).spawned_pids == [process.pid]
    True
    >>> process.kill(); _ = process.wait()
    >>> tracked.wait(60)
    True
    >>> (registry.get("transcription_whisper")).spawned_pids
    []
    """

    def __init__(self, unique_id: str, tracker: Tracker) -> None:
        self.unique_id = unique_id
        self._tracker = tracker

    @property
    def done(self) -> bool:
        """Whether it has ended, and was released."""
        return self._tracker.done

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it has ended and was released; False if it does not in time."""
        return in_thread(partial(self._tracker.wait, timeout))

    def stop(self) -> None:
        """Releases it now, whether it runs or not."""
        in_thread(self._tracker.stop)

    def __enter__(self) -> Tracked:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


class Holding(Waiting):
    """The part of the client for what an application holds. A registry that is away never stops it."""

    held_leases: list[Lease]
    _quiet: Holding | None = None

    def quiet(self) -> Holding:
        """The same client, which keeps writes that cannot be told, and tells them later."""
        if self.session.delivery is not None:
            return self
        if self._quiet is None:
            made = Holding.__new__(type(self))
            made.session = self.session.sibling()
            made.session.delivery = Delivery(made.session, Outbox(self.session.settings.url))
            made.held_leases = self.held_leases
            self._quiet = made
        return self._quiet

    def flush(self) -> bool:
        """Tells the registry what could not be told before, in its order. Whether nothing is left.

        >>> registry.flush()
        True
        """
        delivery = self.quiet().session.delivery
        return delivery is not None and delivery.flush()

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
    ) -> Lease:
        """A lease of this process for the time of a block; plugins registered inside carry it.

        ``on_lost`` is called with the reason if the registry refuses to renew it. ``keeper="thread"`` renews in this
        process. ``on_gone="prune"`` lets the registry release what was claimed under the lease and is seen gone.

        >>> with registry.lease("trainer") as lease:
        ...     [each.holder for each in registry.leases(state="active")]
        ['trainer']
        """
        return Lease(self, holder, ttl, host, keeper, on_lost, on_gone)

    def track(
        self, thing: Any, plugin: PluginMetadata | Mapping[str, Any] | str | None = None, /, **fields: Any
    ) -> Tracked:
        """Holds a process or a container that runs already, with its descendants, until it ends.

        It takes whatever has a ``pid`` or a container's ``id``: ``subprocess.Popen``, ``multiprocessing.Process``,
        processes of asyncio and psutil, containers of docker-py; or a number. The plugin is registered, unless it is named
        by its id. ``fields`` are the plugin's, or more of them.

        >>> import subprocess
        >>> with subprocess.Popen(["sleep", "60"]) as process:
        ...     with registry.track(process, category="inference", name="worker") as tracked:
        ...         (registry.get(tracked.unique_id)).spawned_pids == [process.pid]
        ...     process.kill()
        True
        >>> (registry.get("inference_worker")).spawned_pids
        []
        """
        unique_id = plugin if isinstance(plugin, str) else self._register_quietly(plugin, fields)
        registry = sibling(self.session.settings)
        return Tracked(unique_id, in_thread(partial(Tracker, registry, unique_id, thing)))

    def _register_quietly(self, plugin: object, fields: Mapping[str, Any]) -> str:
        document = {**({} if plugin is None else registration(plugin)), **fields}
        if not document.get("name") or not document.get("category"):
            raise TypeError("a plugin needs a category and a name")
        defaults: dict[str, Any] = {"title": document["name"], "config_schema": {}, "host": host_name()}
        self.quiet().register({**defaults, **document})
        return f"{document['category']}_{document['name']}"

    def run(
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

        >>> process = registry.run(["sh", "-c", "exit 3"], category="inference", name="job")
        >>> _ = registry.wait("inference_job", lambda plugin: "exec.exit" in plugin.labels, timeout=60)
        >>> (registry.get("inference_job")).labels["exec.exit"]
        'code 3'
        >>> process.wait() if hasattr(process, "_transport") else process.wait()
        3
        """
        options = {"category": category, "name": name, "title": title, "labels": labels, "ttl": ttl, "grace": grace}
        line, environment = command_of(self.session.settings, command, options, popen.pop("env", None))
        return spawn(line, env=environment, **popen)

    def plugin(
        self, *, category: str, name: str, ttl: int = 30, **fields: Any
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Decorates a function: during its calls, a plugin holds this process under a lease.

        >>> @registry.plugin(category="inference", name="summary")
        ... def summarise(text):
        ...     return (registry.get("inference_summary")).has_active_resources()
        >>> summarise("…")
        True
        >>> (registry.get("inference_summary")).has_active_resources()
        False
        """
        document = {"category": category, "name": name, **fields}

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            running = Calls(self, document, ttl)

            @functools.wraps(function)
            def call(*arguments: P.args, **named: P.kwargs) -> R:
                with running:
                    return function(*arguments, **named)

            return call

        return decorate


class Calls:
    """The calls of a decorated function that are under way: the first one registers, the last one releases."""

    def __init__(self, registry: Holding, document: Mapping[str, Any], ttl: int) -> None:
        self._registry = registry
        self._document = document
        self._ttl = ttl
        self._lock = Lock()
        self._count = 0
        self._lease: Lease | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._count == 0:
                registry, document = self._registry.quiet(), self._document
                lease = registry.lease(f"{document['category']}_{document['name']}:{os.getpid()}", ttl=self._ttl)
                self._lease = lease.__enter__()
                unique_id = registry._register_quietly(None, document)
                registry.pids(unique_id).add(os.getpid())
            self._count += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._count -= 1
            if self._count == 0 and self._lease is not None:
                unique_id = f"{self._document['category']}_{self._document['name']}"
                self._registry.quiet().pids(unique_id).remove(os.getpid())
                self._lease.release()
