"""Where a watch is, and what each message of its stream means: without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import calls, json_codec, query
from .documents import Event
from .http import EVENT_STREAM, Request
from .sse import Message

EVENT_FILTERS = ("kind", "from_", "to", "plugin")
"""Filters of events that lists of plugins do not have."""
AT_ONCE = 0.05
"""How long to wait before the first try after a stream that had begun: a restarted registry answers soon."""


class Position:
    """The newest change that the watcher knows."""

    def __init__(self, filters: Mapping[str, Any], after: int | None) -> None:
        self._filters = query.filters(filters)
        self.after = after
        """The revision that the caller has begun after."""
        self.id: str | None = None
        """The newest id, ``{store}-{revision}``."""
        self.failures = 0
        self.begun = False
        """Whether the registry has answered at least once."""

    @property
    def revision(self) -> int:
        """The newest revision."""
        return int(self.id.rpartition("-")[2]) if self.id else self.after or 0

    def request(self) -> Request:
        """The request that goes on after the newest change."""
        options = self._filters
        if self.id is None and self.after is not None:
            options += (("after", str(self.after)),)
        request = calls.get("/events", options, Accept=EVENT_STREAM)
        return request.with_headers(Last_Event_ID=self.id)

    def accept(self, message: Message, *, exact: bool) -> Event | None:
        """The event of a message; None if it is not one for the caller."""
        self.id = message.id or self.id
        if message.name == "hello":
            self.failures, self.begun = 0, True
        elif message.name in ("change", "removal"):
            return Event(json_codec.loads(message.data, exact=exact), message.name)
        # A bookmark has moved the id; after `cut_off` the stream ends, and the next one goes on from the id.
        return None

    def restart(self, revision: int) -> None:
        """Goes on after a list that was read anew."""
        self.id, self.after = None, revision

    def pause(self, chance: float) -> float:
        """How long to wait before the next try."""
        self.failures += 1
        if self.failures == 1 and self.begun:
            return AT_ONCE * (1 + chance)
        return min(0.5 * 2.0 ** min(self.failures - 1, 10), 8.0) * (1 - 0.25 * chance)
