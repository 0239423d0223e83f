"""What the synchronous client needs of threads: the names of the asynchronous client's file."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")


def sleep(seconds: float) -> None:
    """Waits."""
    time.sleep(seconds)


def in_thread(function: Callable[[], T]) -> T:
    """Calls a function that blocks."""
    return function()


class Background:
    """Work beside the caller's: a thread that does not keep the process alive."""

    def __init__(self, work: Callable[[], None], name: str) -> None:
        self._thread = threading.Thread(target=work, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Waits for the end of the work, which its owner has told to end."""
        if self._thread is not threading.current_thread():
            self._thread.join(5)


class Signal:
    """Tells waiting callers that something has changed."""

    def __init__(self) -> None:
        self._condition = threading.Condition()

    def notify(self) -> None:
        """Wakes every caller that waits."""
        with self._condition:
            self._condition.notify_all()

    def wait_for(self, predicate: Callable[[], object], timeout: float | None) -> bool:
        """Waits until the predicate holds; False if it does not in time."""
        with self._condition:
            return bool(self._condition.wait_for(lambda: bool(predicate()), timeout))


def resolved(value: T) -> T:
    """The value of a callback."""
    return value


class Stop:
    """Ends waits, for good."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Ends all waits."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether waits have ended."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Waits; True as soon as waits have ended."""
        return self._event.wait(seconds)


Lock = threading.Lock
Process: TypeAlias = "subprocess.Popen[Any]"


def spawn(command: list[str], **options: Any) -> Process:
    """Starts a process; the options are those of ``subprocess.Popen``."""
    return subprocess.Popen(command, **options)
