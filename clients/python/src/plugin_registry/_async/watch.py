"""Live changes: a watch that goes on over restarts, replicas and cuts."""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .._core import json_codec, query
from .._core.calls import get
from .._core.documents import Event, Resync
from .._core.errors import HistoryGone, Refused, Unreachable, refused
from .._core.http import NDJSON
from .._core.retry import LONGEST_RETRY_AFTER, RETRIED
from .._core.sending import hang_up
from .._core.sse import Parser
from .._core.watching import EVENT_FILTERS, Position
from .aio import Stop

if TYPE_CHECKING:
    import httpx2

    from .plugins import AsyncPlugins

Item = TypeVar("Item", bound="Event | Resync")
SILENCE = 45.0
"""The registry sends something every 15 s. After this time without anything, the connection is dead."""


class AsyncWatch(Generic[Item]):
    """An iterator of changes that ends only when it is closed. ``watch()`` of the client makes one.

    >>> async with registry.watch(after=0) as watch:
    ...     async for event in watch:
    ...         print(event.type, event.subject)
    ...         break
    plugin.registered transcription_whisper
    >>> watch.revision
    1
    """

    def __init__(self, registry: AsyncPlugins, filters: Mapping[str, Any], after: int | None, relist: bool) -> None:
        self._registry = registry
        self._filters = dict(filters)
        self._position = Position(filters, after)
        self._relist = relist
        self._stop = Stop()
        self._answer: httpx2.Response | None = None
        self._items: AsyncGenerator[Item, None] = self._run()

    @property
    def revision(self) -> int:
        """The newest revision that the watch has seen: a later watch may go on ``after`` it."""
        return self._position.revision

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        return await anext(self._items)

    async def __aenter__(self) -> AsyncWatch[Item]:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends the watch, also one that waits for the next change elsewhere."""
        self._stop.set()
        if self._answer is not None:
            hang_up(self._answer)
        # An iteration that is under way elsewhere ends by itself now.
        with contextlib.suppress(RuntimeError, ValueError):
            await self._items.aclose()

    async def _run(self) -> AsyncGenerator[Any, None]:
        position = self._position
        reason = None if self._relist and position.after is None else ""
        while not self._stop.is_set():
            pause: float | None = None
            try:
                if reason != "":
                    listed = await self._list(reason)
                    position.restart(listed.revision)
                    reason = ""
                    yield listed
                async with contextlib.aclosing(self._stream()) as events:
                    async for event in events:
                        yield event
            except HistoryGone as error:
                if not self._relist:
                    raise
                reason = error.detail
                continue
            except Refused as error:
                pause = self._patience(error)
            except Unreachable as error:
                if not position.begun and position.failures >= self._registry.session.policy.retries:
                    raise
                del error
            await self._stop.wait(max(position.pause(random.random()), pause or 0.0))

    def _patience(self, error: Refused) -> float:
        """How long the registry asks to wait; raises what no repeat mends."""
        position, retries = self._position, self._registry.session.policy.retries
        if error.status not in RETRIED or (not position.begun and position.failures >= retries):
            raise error
        return min(error.retry_after or 0.0, LONGEST_RETRY_AFTER)

    async def _stream(self) -> AsyncGenerator[Event, None]:
        import httpx2

        session, parser = self._registry.session, Parser()
        async with session.stream(self._position.request(), read_timeout=SILENCE) as answer:
            self._answer = answer
            try:
                if answer.status_code >= 400:
                    raise refused(answer.status_code, answer.headers, await answer.aread())
                async for piece in answer.aiter_bytes():
                    for message in parser.feed(piece):
                        event = self._position.accept(message, exact=session.exact_numbers)
                        if event is not None:
                            yield event
                    if self._stop.is_set():
                        return
            except httpx2.TransportError:
                return  # The next stream goes on after the newest id.
            finally:
                self._answer = None

    async def _list(self, reason: str | None) -> Resync:
        """All plugins that match, at one revision."""
        session = self._registry.session
        listed = {name: value for name, value in self._filters.items() if name not in EVENT_FILTERS}
        answer = await session.answer(get("/plugins", query.filters(listed), Accept=NDJSON))
        plugins = [
            self._registry.plugin_from(json_codec.loads(line, exact=session.exact_numbers), session.store)
            for line in answer.body.split(b"\n")
            if line
        ]
        only = self._filters.get("plugin")
        plugins = [plugin for plugin in plugins if only is None or plugin.unique_id == only]
        return Resync({"revision": int(answer.headers["registry-revision"]), "plugins": plugins, "reason": reason})
