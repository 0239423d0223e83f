"""Single resources: release, acknowledge, set until when they are meant to be held."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias

from .._core import calls, query
from .._core.documents import Released, Resource
from .._core.times import rfc3339
from .plugin import AsyncPlugin
from .reads import AsyncReads

Name: TypeAlias = "Resource | Mapping[str, Any] | tuple[str, str, str]"
"""A row of ``resources()``, or plugin, kind and id."""


class AsyncResources(AsyncReads):
    """The part of the client that changes single resources."""

    async def release(self, *resources: Name, dry_run: bool = False) -> list[Released]:
        """Releases resources by name, also those that were left behind. The registry stops nothing.

        >>> await registry.pids("transcription_whisper").set([4711])
        [4711]
        >>> [row.released for row in await registry.release(*[row async for row in registry.findings()])]
        [True]
        """
        named = {"resources": [_name(each) for each in resources]}
        options = query.parameters({"dry_run": True if dry_run else None})
        answer = await self.session.json(calls.post("/resources/release", named, options, takes_key=False))
        return [Released(each) for each in answer["items"]]

    async def acknowledge(self, resource: Name, *, reason: str, until: datetime | str) -> AsyncPlugin:
        """Acknowledges the finding of a resource: until then, no count and no exit code has it.

        >>> await registry.pids("transcription_whisper").set([4711])
        [4711]
        >>> row = ("transcription_whisper", "process", "4711")
        >>> plugin = await registry.acknowledge(row, reason="kept for the night", until="2999-01-01T00:00:00Z")
        >>> [row.acknowledged["reason"] async for row in registry.findings()]
        ['kept for the night']
        """
        path, options = _path(resource, "acknowledgement")
        document = {"reason": reason, "until": rfc3339(until)}
        return self.plugin_of(await self.session.answer(calls.put(path, document, options)))

    async def unacknowledge(self, resource: Name) -> AsyncPlugin:
        """Ends the acknowledgement of a finding.

        >>> await registry.pids("transcription_whisper").set([4711])
        [4711]
        >>> (await registry.unacknowledge(("transcription_whisper", "process", "4711"))).spawned_pids
        [4711]
        """
        path, options = _path(resource, "acknowledgement")
        return self.plugin_of(await self.session.answer(calls.remove(path, options)))

    async def expire(self, resource: Name, at: datetime | str | None) -> AsyncPlugin:
        """Sets until when a resource is meant to be held; None for no end. The registry stops nothing then: it tells.

        >>> await registry.pids("transcription_whisper").set([4711])
        [4711]
        >>> plugin = await registry.expire(("transcription_whisper", "process", "4711"), "2999-01-01T00:00:00Z")
        >>> [row.expires_at.year async for row in registry.resources()]
        [2999]
        """
        path, options = _path(resource, "expires_at")
        if at is None:
            return self.plugin_of(await self.session.answer(calls.remove(path, options)))
        document = {"expires_at": rfc3339(at)}
        return self.plugin_of(await self.session.answer(calls.put(path, document, options)))


def _name(resource: Name) -> dict[str, Any]:
    if isinstance(resource, tuple):
        return dict(zip(("plugin", "kind", "id"), resource, strict=True))
    names = ("plugin", "kind", "id", "host") if resource.get("claim") == "left_behind" else ("plugin", "kind", "id")
    return {name: resource[name] for name in names if name in resource}


def _path(resource: Name, part: str) -> tuple[str, query.Query]:
    name = _name(resource)
    path = "/".join(["/resources", *(calls.segment(name[each]) for each in ("plugin", "kind", "id")), part])
    return path, query.parameters({"host": name.get("host")})
