"""Upstream's `JournalStore`, which shows the registry each worker of the runtime and its descendants."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from .outbox import Outbox
from .packages import default_category, runtime_module
from .worker_sessions import WorkerSessions

if TYPE_CHECKING:
    from plugin_registry import Registry

SPAWNED, DIED = "worker_spawned", "worker_died"
# Workers start processes at any time, for example when they load a model: their descendants are looked for this often.
LOOK_SECONDS = 1.0
# The lease of a dead host runs out some time after the next host has started.
LOOKS_BETWEEN_CLEAN_UPS = 5


class JournalMirror:
    """A `JournalStore` that writes to `inner`, and tells the registry which workers run.

    `CapabilityManager(journal_store=JournalMirror(registry))` is all that a host needs. Each worker is a process of the plugin
    `capability_{name}` (`plugin_{name}` of the older runtime), under one lease of this host, and so are its descendants. When
    the host dies, the lease runs out, and what the workers left is found as orphans.

    `append` fails as `inner` fails: upstream's journal is never silent. A thread sends it to the registry.

    Args:
        registry: Where the workers are shown.
        inner: The journal that keeps the events. By default upstream's `LocalJournalStore`, in its usual place.
        ttl: How many seconds after its death the host counts as lost.
        clean_up: Ends the processes that dead hosts of this machine left. It follows the registry's findings, now and while
            this host runs, and stops only the very processes that the registry has observed.

    Examples:
        >>> from plugin_registry.upstream import JournalMirror
        >>> class Events(list):
        ...     def append(self, event):
        ...         super().append(event)
        ...         return len(self)
        >>> mirror = JournalMirror(registry, Events())
        >>> mirror.close()
    """

    def __init__(self, registry: Registry, inner: Any = None, *, ttl: int = 30, clean_up: bool = False) -> None:
        self._inner = _default_journal() if inner is None else inner
        self._outbox = Outbox()
        self._sessions = WorkerSessions(registry, ttl)
        self._closed = threading.Event()
        self._looker: threading.Thread | None = None
        self._clean_up = clean_up
        if clean_up:
            self._start_looking()

    def append(self, event: Any) -> int:
        """Keeps an event, and returns its number."""
        number: int = self._inner.append(event)
        self._notice(event)
        return number

    def query(self, *arguments: Any, **filters: Any) -> list[Any]:
        """Reads events from `inner`."""
        events: list[Any] = self._inner.query(*arguments, **filters)
        return events

    def count(self, event_type: str | None = None) -> int:
        """Counts the events of `inner`."""
        number: int = self._inner.count(event_type)
        return number

    def terminal_state_events(self, limit: int | None = None) -> list[Any]:
        """Reads the ends of jobs from `inner`."""
        events: list[Any] = self._inner.terminal_state_events(limit)
        return events

    def flush(self, timeout: float = 30.0) -> bool:
        """Waits until the registry knows everything. Returns false if that takes longer than `timeout` seconds."""
        return self._outbox.flush(timeout)

    def close(self, timeout: float = 30.0) -> None:
        """Releases the lease: the host ends cleanly. Workers that still run are left to the next reader of the findings."""
        self._closed.set()
        self._outbox.put(self._sessions.close)
        self._outbox.flush(timeout)

    def _notice(self, event: Any) -> None:
        session = event.worker_session_id
        if session is None:
            return
        if event.event_type == SPAWNED:
            pid = event.payload.get("pid")
            if isinstance(pid, int):
                category, name = _plugin_of(event)
                self._outbox.put(lambda: self._sessions.spawned(session, pid, category, name))
                self._start_looking()
        elif event.event_type == DIED:
            # This event has no pid, so the session tells which worker it was.
            self._outbox.put(lambda: self._sessions.died(session))

    def _start_looking(self) -> None:
        if self._looker is None or not self._looker.is_alive():
            self._looker = threading.Thread(target=self._look, name="plugin-registry-journal", daemon=True)
            self._looker.start()

    def _look(self) -> None:
        category, looks = default_category(), 0
        while True:
            # Nothing is added while the registry is away: one look finds what several would have found.
            if self._outbox.flush(0):
                if self._clean_up and looks % LOOKS_BETWEEN_CLEAN_UPS == 0:
                    self._outbox.put(lambda: self._sessions.clean_up(category))
                if self._sessions:
                    self._outbox.put(self._sessions.look)
            looks += 1
            if self._closed.wait(LOOK_SECONDS):
                return


def _plugin_of(event: Any) -> tuple[str, str]:
    for category in ("capability", "plugin"):
        name = getattr(event, f"{category}_name", None)
        if name:
            return category, str(name)
    return "capability", f"host-{os.getpid()}"


def _default_journal() -> Any:
    path = runtime_module("core.config").get_config().journal_db_path
    return runtime_module("core.journal_store").LocalJournalStore(path)
