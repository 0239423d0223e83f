"""Keeps the workers of a runtime in the registry. Only the thread of an outbox uses this."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from plugin_registry._core.errors import NotFound
from plugin_registry._descendants import descendants
from plugin_registry.leftovers import start_ticks, stop_process

if TYPE_CHECKING:
    from plugin_registry import Registry, Resource

# What a dead host leaves: processes that still run, and claims of processes that do not.
FINDINGS = ["orphan", "ghost", "reused"]
# The holder of a host's lease: its pid, and when that process started.
HOLDER = re.compile(r"[a-z]+-host:(\d+):(\d+)")


@dataclass
class Session:
    """A worker from its start to its end."""

    plugin: str
    pid: int
    alive: bool = True
    # The processes that the registry was told of, and when each started.
    held: dict[int, int] = field(default_factory=lambda: dict[int, int]())


class WorkerSessions:
    """The workers by their session. Each call may be repeated after a failure."""

    def __init__(self, registry: Registry, ttl: int) -> None:
        self._registry = registry
        self._ttl = ttl
        self._lease: Any = None
        self._sessions: dict[str, Session] = {}

    def clean_up(self, category: str) -> None:
        """Ends what dead hosts left on this machine, as the findings say, and releases it."""
        ended: list[Resource] = []
        for finding in self._registry.findings(finding=FINDINGS, kind="process"):
            if not finding.plugin.startswith(f"{category}_") or self._has_living_host(finding):
                continue
            # What is gone, or is another process by now, needs no signal.
            if finding.finding != "orphan" or stop_process(finding):
                ended.append(finding)
        if ended:
            self._registry.release(*ended)

    def _has_living_host(self, finding: Resource) -> bool:
        """Returns true for a host that runs here but cannot reach the registry: it still uses its workers."""
        if finding.lease_id is None:
            return False
        try:
            holder = self._registry.lease_info(finding.lease_id).holder
        except NotFound:
            return False
        host = HOLDER.fullmatch(holder)
        return host is not None and start_ticks(int(host[1])) == int(host[2])

    def __bool__(self) -> bool:
        return bool(self._sessions)

    def spawned(self, session: str, pid: int, category: str, name: str) -> None:
        """Registers the plugin of a worker under the lease of this host, and holds the worker's process."""
        if self._lease is None:
            lease = self._registry.lease(f"{category}-host:{os.getpid()}:{start_ticks(os.getpid()) or 0}", ttl=self._ttl)
            lease.__enter__()
            self._lease = lease
        plugin = self._registry.register(
            {
                "category": category,
                "name": name,
                "title": name,
                "config_schema": {},
                "execution_mode": "subprocess",
                "manages_child_processes": True,
                "lease_id": self._lease.lease_id,
            }
        )
        self._sessions[session] = Session(plugin.unique_id, pid)
        self.look()

    def died(self, session: str) -> None:
        """Releases the worker and what has ended with it. What still runs is held until it ends."""
        if session in self._sessions:
            self._sessions[session].alive = False
            self.look()

    def look(self) -> None:
        """Holds the descendants that the workers have by now, and releases those that have ended."""
        for name, session in list(self._sessions.items()):
            roots = {session.pid} if session.alive else set(session.held)
            # A descendant whose parent has ended is no descendant any longer, but runs all the same.
            known = {*roots, *session.held, *(pid for root in roots for pid in descendants(root))}
            running = {pid: started for pid in known if (started := _started(pid)) is not None}
            new = sorted(running.keys() - session.held.keys())
            if new:
                self._registry.pids(session.plugin).add(*new)
            session.held.update({pid: running[pid] for pid in new})
            self._release(session, [pid for pid, started in session.held.items() if running.get(pid) != started])
            if not session.alive and not session.held:
                del self._sessions[name]

    def close(self) -> None:
        """Gives the lease back."""
        if self._lease is not None:
            self._lease.__exit__(None, None, None)
            self._lease = None

    def _release(self, session: Session, pids: list[int]) -> None:
        if not pids:
            return
        try:
            self._registry.pids(session.plugin).remove(*pids)
        except NotFound:
            # The plugin was removed, or an earlier try has released it.
            pass
        for pid in pids:
            del session.held[pid]


def _started(pid: int) -> int | None:
    """Returns when a process started, or None if it has ended. Outside Linux, 0 stands for the start."""
    if sys.platform == "linux":
        return start_ticks(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    return 0
