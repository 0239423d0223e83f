"""Follows a process with its descendants, or a container, until it ends."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._core.errors import NotFound, RegistryError
from ._descendants import descendants
from .leftovers import start_ticks

if TYPE_CHECKING:
    from ._sync.registry import Registry

log = logging.getLogger("plugin_registry")
LOOK_SECONDS = 1.0
ENDED = ("exited", "dead", "removing")


def identity(pid: int) -> int | None:
    """When a process started; None if it has ended, also if its parent has not collected it yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return None
    return None if state in (b"Z", b"X") else start_ticks(pid)


class Processes:
    """A process and its descendants."""

    def __init__(self, registry: Registry, unique_id: str, thing: Any) -> None:
        self._part = registry.pids(unique_id)
        self._thing = thing
        self._pid: int = thing if isinstance(thing, int) else thing.pid
        self._held: dict[int, int] = {}
        self.look()
        if not self._held:
            # It has ended already, or this machine has no /proc: its name alone is held.
            self._part.add(self._pid)

    def look(self) -> bool:
        """Holds new descendants, and releases what has ended. Whether anything still runs."""
        if not Path("/proc/self/stat").exists():
            return self._thing_runs()
        # A descendant whose parent has ended has no ancestor here any longer, and still runs.
        known = {self._pid, *self._held, *(child for pid in (self._pid, *self._held) for child in descendants(pid))}
        running = {pid: started for pid in known if (started := identity(pid)) is not None}
        ended = [pid for pid, started in self._held.items() if running.get(pid) != started]
        new = [pid for pid in running if pid not in self._held]
        if new:
            self._part.add(*sorted(new))
        self._release(ended)
        # Another process with the number of one that has ended is not ours.
        self._held = {pid: started for pid, started in running.items() if pid not in ended}
        return bool(self._held)

    def _thing_runs(self) -> bool:
        for name in ("is_running", "is_alive"):
            if hasattr(self._thing, name):
                return bool(getattr(self._thing, name)())
        if hasattr(self._thing, "poll"):
            return self._thing.poll() is None
        return getattr(self._thing, "returncode", None) is None

    def _release(self, pids: Iterable[int]) -> None:
        for pid in pids:
            try:
                self._part.remove(pid)
            except NotFound:
                pass

    def release(self) -> None:
        """Releases everything."""
        self._release([*self._held, *([] if self._pid in self._held else [self._pid])])
        self._held = {}


class Container:
    """A container of docker-py, or anything with ``id``, ``status`` and ``reload``."""

    def __init__(self, registry: Registry, unique_id: str, thing: Any) -> None:
        self._part = registry.container(unique_id)
        self._thing = thing
        self._part.set(thing.id)

    def look(self) -> bool:
        """Whether the container runs."""
        try:
            reload = getattr(self._thing, "reload", None)
            if reload is not None:
                reload()
        except Exception as error:
            # docker-py is not a dependency: its NotFound is known by its name.
            return type(error).__name__ != "NotFound"
        return getattr(self._thing, "status", "running") not in ENDED

    def release(self) -> None:
        """Releases the container."""
        self._part.clear()


class Tracker:
    """Holds a thing for a plugin, in a thread, until it ends."""

    def __init__(self, registry: Registry, unique_id: str, thing: Any) -> None:
        if isinstance(thing, int) or getattr(thing, "pid", None) is not None:
            self._held: Processes | Container = Processes(registry, unique_id, thing)
        elif isinstance(getattr(thing, "id", None), str):
            self._held = Container(registry, unique_id, thing)
        else:
            raise TypeError(f"cannot track {thing!r}: it has neither a pid nor the id of a container; was it started?")
        self._registry = registry
        self._owner = os.getpid()
        self._stop = threading.Event()
        self._done = threading.Event()
        threading.Thread(target=self._follow, name=f"plugin-registry track {unique_id}", daemon=True).start()

    @property
    def done(self) -> bool:
        """Whether it has ended, and was released."""
        return self._done.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it has ended and was released; False if it does not in time."""
        return self._done.wait(timeout)

    def stop(self) -> None:
        """Releases it now, whether it runs or not."""
        self._stop.set()
        if os.getpid() == self._owner:
            self._done.wait(30)

    def _follow(self) -> None:
        try:
            while not self._stop.wait(LOOK_SECONDS):
                if not self._held.look():
                    break
            self._held.release()
        except NotFound:
            pass  # The plugin was removed meanwhile.
        except RegistryError as error:
            log.warning("what was tracked is no longer followed: %s", error)
        finally:
            self._registry.close()
            self._done.set()
