"""What is held, what it costs, what has changed: the reads that are not about one plugin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any, TypeVar

from .._core import calls, query
from .._core.account_documents import Caller, Category, Costs, Host, Readiness, Stats
from .._core.document import Document
from .._core.documents import FINDINGS, Event, LeaseInfo, Resource
from .._core.http import Request
from .plugins import AsyncPlugins

Doc = TypeVar("Doc", bound=Document)


class AsyncReads(AsyncPlugins):
    """The part of the client that reads what all plugins hold."""

    async def _rows(self, path: str, cls: Callable[[Any], Doc], filters: dict[str, Any]) -> AsyncIterator[Doc]:
        """The items of all pages, a page at a time."""
        cursor: str | None = filters.pop("cursor", None)
        while True:
            page = await self.session.json(calls.get(path, query.filters({**filters, "cursor": cursor})))
            for item in page["items"]:
                yield cls(item)
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    async def resources(self, **filters: Any) -> AsyncIterator[Resource]:
        """What plugins hold, and what they left behind: processes, containers, remote resources.

        >>> await registry.pids("transcription_whisper").set([4711])
        [4711]
        >>> [(row.plugin, row.id) async for row in registry.resources(kind="process")]
        [('transcription_whisper', '4711')]
        """
        async for row in self._rows("/resources", Resource, filters):
            yield row

    async def findings(self, **filters: Any) -> AsyncIterator[Resource]:
        """What needs an operator: orphans, ghosts, what is overdue. Each has its evidence and the next safe step.

        >>> await registry.pids("transcription_whisper").set([4711])
        [4711]
        >>> [(row.finding, row.evidence.next_step != "") async for row in registry.findings()]
        [('unverified', True)]
        """
        async for row in self._rows("/resources", Resource, {"finding": FINDINGS, **filters}):
            yield row

    async def whois(
        self,
        *,
        pid: int | None = None,
        container_id: str | None = None,
        instance_id: str | None = None,
        endpoint: str | None = None,
        host: str | None = None,
    ) -> list[Resource]:
        """Who holds a resource: every candidate, with how certain it is.

        >>> await registry.pids("transcription_whisper").set([4711])
        [4711]
        >>> [(row.plugin, row.certainty) for row in await registry.whois(pid=4711)]
        [('transcription_whisper', 'claimed')]
        """
        named = {"pid": pid, "container_id": container_id, "instance_id": instance_id, "endpoint": endpoint}
        if all(value is None for value in named.values()):
            raise TypeError("whois() needs pid, container_id, instance_id or endpoint")
        return [row async for row in self._rows("/resources", Resource, {**named, "host": host})]

    async def events(self, **filters: Any) -> AsyncIterator[Event]:
        """The changes of the journal: ``after=``, ``until=``, ``from_=``, ``to=``, ``plugin=``, ``kind=``, ``order=``.

        >>> [event.type async for event in registry.events(after=0)]
        ['plugin.registered']
        """
        async for event in self._rows("/events", Event, filters):
            yield event

    async def history(self, unique_id: str, **options: Any) -> AsyncIterator[Event]:
        """The changes of a plugin, the newest first, also after its removal.

        >>> [event.revision async for event in registry.history("transcription_whisper")]
        [1]
        """
        async for event in self._rows(calls.plugin(unique_id, "history"), Event, options):
            yield event

    async def stats(self, **options: Any) -> Stats:
        """Numbers of plugins by property.

        >>> (await registry.stats()).total
        1
        """
        return Stats(await self.session.json(calls.get("/stats", query.parameters(options))))

    async def costs(
        self, *, group_by: str | None = None, hours: float | None = None, from_: datetime | str | None = None, **filters: Any
    ) -> Costs:
        """What plugins cost by their declared prices, and what they have cost.

        >>> (await registry.costs(group_by="provider")).burn_usd_per_hour
        0
        """
        options = query.filters({**filters, "group_by": group_by, "hours": hours, "from_": from_})
        return Costs(await self.session.json(calls.get("/costs", options)))

    async def categories(self) -> list[Category]:
        """The categories that are in use, or that have a display name.

        >>> [category.name for category in await registry.categories()]
        ['transcription']
        """
        return [Category(each) for each in (await self.session.json(calls.get("/categories")))["items"]]

    async def name_category(self, name: str, display_name: str | None) -> Category:
        """Sets the display name of a category; None restores the one that the registry makes.

        >>> (await registry.name_category("transcription", "Speech to text")).display_name
        'Speech to text'
        """
        path = f"/categories/{calls.segment(name)}"
        return Category(await self.session.json(calls.put(path, {"display_name": display_name})))

    async def leases(self, **filters: Any) -> AsyncIterator[LeaseInfo]:
        """The leases: ``state=``, ``host=``.

        >>> [lease.holder async for lease in registry.leases(state="active")]
        []
        """
        async for lease in self._rows("/leases", LeaseInfo, filters):
            yield lease

    async def lease_info(self, lease_id: str) -> LeaseInfo:
        """A lease as the registry shows it.

        >>> from plugin_registry import NotFound
        >>> try:
        ...     await registry.lease_info("no_such")
        ... except NotFound as error:
        ...     print(error.status)
        404
        """
        return LeaseInfo(await self.session.json(calls.get(f"/leases/{calls.segment(lease_id)}")))

    async def hosts(self, **filters: Any) -> AsyncIterator[Host]:
        """The hosts that plugins name, or that something looks at; those that need an agent come first.

        >>> _ = await registry.update("transcription_whisper", host="gpu-1")
        >>> [host.host async for host in registry.hosts(looked_at=False)]
        ['gpu-1']
        """
        async for host in self._rows("/hosts", Host, filters):
            yield host

    async def whoami(self) -> Caller:
        """Who the registry takes this client for, and what it may do. It answers without a token, too.

        >>> (await registry.whoami()).name
        'anonymous'
        """
        return Caller(await self.session.json(calls.get("/whoami")))

    async def ready(self) -> Readiness:
        """Whether the registry answers reads; its ``status`` tells whether it takes writes, too.

        >>> (await registry.ready()).status
        'ready'
        """
        return Readiness(await self.session.json(calls.get("/readyz")))

    async def request(self, method: str, path: str, *, json: Any = None, params: dict[str, Any] | None = None) -> Any:
        """Any operation of the API, with the client's token and repeats. Returns the document, or None.

        >>> (await registry.request("GET", "/plugins/transcription_whisper"))["title"]
        'Whisper'
        """
        safe = method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")
        request = Request(method, path, query.filters(params or {}), repeatable=safe)
        if json is not None:
            request = calls.json_request(method, path, json, query=request.query, takes_key=False, repeatable=safe)
        answer = await self.session.answer(request)
        return answer.json(exact=self.session.exact_numbers) if answer.body else None
