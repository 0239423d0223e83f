"""What the asynchronous client needs of its event loop. The synchronous client has its own file of the same names."""

from __future__ import annotations

import asyncio
import asyncio.subprocess
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, cast

T = TypeVar("T")


async def sleep(seconds: float) -> None:
    """Waits."""
    await asyncio.sleep(seconds)


async def in_thread(function: Callable[[], T]) -> T:
    """Calls a function that blocks, beside the event loop."""
    return await asyncio.to_thread(function)


class Background:
    """Work beside the caller's: a task of the event loop."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        self._task = asyncio.create_task(work(), name=name)

    async def stop(self) -> None:
        """Ends the work, and waits for its end."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class Signal:
    """Tells waiting callers that something has changed."""

    def __init__(self) -> None:
        self._condition = asyncio.Condition()

    async def notify(self) -> None:
        """Wakes every caller that waits."""
        async with self._condition:
            self._condition.notify_all()

    async def wait_for(self, predicate: Callable[[], object], timeout: float | None) -> bool:
        """Waits until the predicate holds; False if it does not in time."""
        async with self._condition:
            try:
                await asyncio.wait_for(self._condition.wait_for(lambda: bool(predicate())), timeout)
            except asyncio.TimeoutError:
                return False
            return True


async def resolved(value: T | Awaitable[T]) -> T:
    """The value of a callback that may be a coroutine function."""
    if isinstance(value, Awaitable):
        return await cast("Awaitable[T]", value)
    return value


class Stop:
    """Ends waits, for good."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Ends all waits."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether waits have ended."""
        return self._event.is_set()

    async def wait(self, seconds: float) -> bool:
        """Waits; True as soon as waits have ended."""
        try:
            await asyncio.wait_for(self._event.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        return True


Lock = asyncio.Lock
Process = asyncio.subprocess.Process


async def spawn(command: list[str], **options: Any) -> Process:
    """Starts a process; the options are those of ``subprocess.Popen``."""
    return await asyncio.create_subprocess_exec(*command, **options)
