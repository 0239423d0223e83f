# Made by tools/unasync.py from _async/waiting.py. Do not edit it.
"""Watches, mirrors, and waiting until a plugin is as it should be."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, overload

from .._core import calls, query
from .._core.documents import Event, Resync
from .._core.errors import NotFound, TimedOut, Unavailable, Unreachable
from .._core.states import State, holds, words
from .._core.unset import UNSET, UnsetType
from .admin import Admin
from .mirror import Mirror
from .plugin import Plugin
from .watch import Watch

Goal: TypeAlias = "State | str | Callable[[Plugin], object]"
LONGEST_POLL = 30.0


class Waiting(Admin):
    """The part of the client that follows changes."""

    @overload
    def watch(self, *, after: int | None = None, relist: Literal[False] = False, **filters: Any) -> Watch[Event]: ...
    @overload
    def watch(self, *, after: int | None = None, relist: bool, **filters: Any) -> Watch[Event | Resync]: ...
    def watch(self, *, after: int | None = None, relist: bool = False, **filters: Any) -> Watch[Any]:
        """Yields changes as they happen, from now on or ``after`` a revision, none twice and none missing.

        It goes on by itself over restarts of the registry, cuts and slow readers, and ends only when it is closed. Once
        the registry has compacted what is next, it raises :class:`HistoryGone`. With ``relist`` it begins with a
        :class:`Resync`, which has the plugins themselves, and has another one in place of that error.

        >>> with registry.watch(after=0, category="transcription") as watch:
        ...     event = next(watch)
        >>> event.type, event.plugin["title"]
        ('plugin.registered', 'Whisper')
        """
        return Watch(self, filters, after, relist)

    def mirror(self, **filters: Any) -> Mirror:
        """A copy of the plugins that match, which follows every change in the background.

        >>> with registry.mirror() as mirror:
        ...     sorted(mirror)
        ['transcription_whisper']
        """
        return Mirror(self, filters)

    def wait(self, unique_id: str, for_: Goal = "released", *, timeout: float | None = None) -> Plugin | None:
        """Waits until a plugin is as it should be, and returns it; None if it was removed.

        The goal is ``active``, ``released`` (it holds nothing), ``deleted``, ``configured``, ``verified`` (a probe has
        seen all that it holds), ``no-finding``, ``status=running``, or a function of the plugin. A plugin that does not
        exist yet is waited for.

        >>> (registry.wait("transcription_whisper", "released", timeout=5)).title
        'Whisper'
        >>> (registry.wait("transcription_whisper", lambda plugin: plugin.title == "Whisper")).revision
        1
        """
        goal = "as the function asks" if callable(for_) else words(for_)
        end = None if timeout is None else time.monotonic() + timeout
        revision: int | None = None
        seen = False
        while True:
            try:
                plugin, revision = self._await_change(unique_id, revision, end)
            except (Unreachable, Unavailable):
                # A registry that restarts does not end a wait that has its own end.
                if end is None or time.monotonic() >= end:
                    raise
                continue
            if plugin is None and (for_ == "deleted" or (for_ == "released" and seen)):
                return None
            if isinstance(plugin, Plugin):
                seen = True
                if self._reached(plugin, for_):
                    return plugin
            if end is not None and time.monotonic() >= end:
                raise TimedOut(f"{unique_id} is not {goal} after {timeout:g} s")

    def _reached(self, plugin: Plugin, goal: Goal) -> bool:
        return bool(goal(plugin)) if callable(goal) else holds(plugin, goal)

    def _await_change(
        self, unique_id: str, revision: int | None, end: float | None
    ) -> tuple[Plugin | UnsetType | None, int | None]:
        """The plugin once it has changed since a revision; None if it does not exist, UNSET if nothing has changed."""
        options: dict[str, Any] = {}
        if revision is not None:
            left = LONGEST_POLL if end is None else max(0.0, min(LONGEST_POLL, end - time.monotonic()))
            options = {"since": revision, "wait": f"{int(left * 1000)}ms"}
        try:
            answer = self.session.answer(calls.get(calls.plugin(unique_id), query.parameters(options)))
        except NotFound as error:
            return None, int(error.headers.get("registry-revision", revision or 0))
        if answer.status == 304:
            return UNSET, revision
        return self.plugin_of(answer), int(answer.headers.get("registry-revision", revision or 0))
