"""Tells the registry what happened, in order, on a thread of its own: upstream's calls neither wait nor fail."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable

from plugin_registry._core.errors import RegistryError, Unavailable, Unreachable

LOG = logging.getLogger("plugin_registry.upstream")
# At this many untold changes the oldest is dropped. Each takes a few hundred bytes.
BOUND = 10_000
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
# The seconds between two warnings that the registry is away.
SILENCE = 60.0
# The seconds that the end of the process waits for what is not told yet.
AT_EXIT = 5.0


class Outbox:
    """Runs calls one after the other. It repeats a call while the registry is away, and drops a call that it refuses."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], object]] = deque()
        self._changed = threading.Condition()
        self._busy = False
        self._thread: threading.Thread | None = None
        self._process = os.getpid()
        self._warned = -SILENCE
        atexit.register(_flush_at_exit, weakref.ref(self))

    def put(self, call: Callable[[], object]) -> None:
        """Adds a call. It returns at once."""
        if os.getpid() != self._process:
            # The thread stayed in the parent, and the parent tells what was waiting at the fork.
            self._waiting, self._changed, self._thread = deque(), threading.Condition(), None
            self._busy, self._process = False, os.getpid()
        with self._changed:
            if len(self._waiting) >= BOUND:
                self._waiting.popleft()
                self._warn(f"the registry is away and {BOUND} changes wait; the oldest is dropped")
            self._waiting.append(call)
            self._changed.notify_all()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="plugin-registry-outbox", daemon=True)
                self._thread.start()

    def flush(self, timeout: float = 30.0) -> bool:
        """Waits until the registry has everything. Returns false if that takes longer than `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting))
                call = self._waiting.popleft()
                self._busy = True
            self._tell(call)
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _tell(self, call: Callable[[], object]) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                call()
                return
            except (Unreachable, Unavailable) as error:
                self._warn(f"the registry is away, {len(self._waiting) + 1} changes wait: {error}")
                time.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            except RegistryError as error:
                LOG.warning("the registry refused a change: %s", error)
                return
            except Exception:
                # A mistake in this package must not end the thread, and never the application.
                LOG.exception("a change could not be told to the registry")
                return

    def _warn(self, text: str) -> None:
        if time.monotonic() - self._warned >= SILENCE:
            self._warned = time.monotonic()
            LOG.warning("%s", text)


def _flush_at_exit(reference: weakref.ref[Outbox]) -> None:
    outbox = reference()
    if outbox is not None and outbox._process == os.getpid():  # pyright: ignore[reportPrivateUsage]
        outbox.flush(AT_EXIT)
