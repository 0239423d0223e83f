# Made by tools/unasync.py from _async/watch.py. Do not edit it.
"""Live changes: a watch that goes on over restarts, replicas and cuts."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Generator, Iterator, Mapping
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

    from .plugins import Plugins

Item = TypeVar("Item", bound="Event | Resync")
SILENCE = 45.0
"""The registry sends something every 15 s. After this time without anything, the connection is dead."""


class Watch(Generic[Item]):
    """An iterator of changes that ends only when it is closed. ``watch()`` of the client makes one.

    >>> with registry.watch(after=0) as watch:
    ...     for event in watch:
    ...         print(event.type, event.subject)
    ...         break
    plugin.registered transcription_whisper
    >>> watch.revision
    1
    """

    def __init__(self, registry: Plugins, filters: Mapping[str, Any], after: int | None, relist: bool) -> None:
        self._registry = registry
        self._filters = dict(filters)
        self._position = Position(filters, after)
        self._relist = relist
        self._stop = Stop()
        self._answer: httpx2.Response | None = None
        self._items: Generator[Item, None] = self._run()

    @property
    def revision(self) -> int:
        """The newest revision that the watch has seen: a later watch may go on ``after`` it."""
        return self._position.revision

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        return next(self._items)

    def __enter__(self) -> Watch[Item]:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the watch, also one that waits for the next change elsewhere."""
        self._stop.set()
        if self._answer is not None:
            hang_up(self._answer)
        # An iteration that is under way elsewhere ends by itself now.
        with contextlib.suppress(RuntimeError, ValueError):
            self._items.close()

    def _run(self) -> Generator[Any, None]:
        position = self._position
        reason = None if self._relist and position.after is None else ""
        while not self._stop.is_set():
            pause: float | None = None
            try:
                if reason != "":
                    listed = self._list(reason)
                    position.restart(listed.revision)
                    reason = ""
                    yield listed
                with contextlib.closing(self._stream()) as events:
                    for event in events:
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
            self._stop.wait(max(position.pause(random.random()), pause or 0.0))

    def _patience(self, error: Refused) -> float:
        """How long the registry asks to wait; raises what no repeat mends."""
        position, retries = self._position, self._registry.session.policy.retries
        if error.status not in RETRIED or (not position.begun and position.failures >= retries):
            raise error
        return min(error.retry_after or 0.0, LONGEST_RETRY_AFTER)

    def _stream(self) -> Generator[Event, None]:
        import httpx2

        session, parser = self._registry.session, Parser()
        with session.stream(self._position.request(), read_timeout=SILENCE) as answer:
            self._answer = answer
            try:
                if answer.status_code >= 400:
                    raise refused(answer.status_code, answer.headers, answer.read())
                for piece in answer.iter_bytes():
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

    def _list(self, reason: str | None) -> Resync:
        """All plugins that match, at one revision."""
        session = self._registry.session
        listed = {name: value for name, value in self._filters.items() if name not in EVENT_FILTERS}
        answer = session.answer(get("/plugins", query.filters(listed), Accept=NDJSON))
        plugins = [
            self._registry.plugin_from(json_codec.loads(line, exact=session.exact_numbers), session.store)
            for line in answer.body.split(b"\n")
            if line
        ]
        only = self._filters.get("plugin")
        plugins = [plugin for plugin in plugins if only is None or plugin.unique_id == only]
        return Resync({"revision": int(answer.headers["registry-revision"]), "plugins": plugins, "reason": reason})
