# Made by tools/unasync.py from _async/reads.py. Do not edit it.
"""What is held, what it costs, what has changed: the reads that are not about one plugin."""

from __future__ import annotations

from collections.abc import Iterator, Callable
from datetime import datetime
from typing import Any, TypeVar

from .._core import calls, query
from .._core.account_documents import Caller, Category, Costs, Host, Readiness, Stats
from .._core.document import Document
from .._core.documents import FINDINGS, Event, LeaseInfo, Resource
from .._core.http import Request
from .plugins import Plugins

Doc = TypeVar("Doc", bound=Document)


class Reads(Plugins):
    """The part of the client that reads what all plugins hold."""

    def _rows(self, path: str, cls: Callable[[Any], Doc], filters: dict[str, Any]) -> Iterator[Doc]:
        """The items of all pages, a page at a time."""
        cursor: str | None = filters.pop("cursor", None)
        while True:
            page = self.session.json(calls.get(path, query.filters({**filters, "cursor": cursor})))
            for item in page["items"]:
                yield cls(item)
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def resources(self, **filters: Any) -> Iterator[Resource]:
        """What plugins hold, and what they left behind: processes, containers, remote resources.

        >>> registry.pids("transcription_whisper").set([4711])
        [4711]
        >>> [(row.plugin, row.id) for row in registry.resources(kind="process")]
        [('transcription_whisper', '4711')]
        """
        for row in self._rows("/resources", Resource, filters):
            yield row

    def findings(self, **filters: Any) -> Iterator[Resource]:
        """What needs an operator: orphans, ghosts, what is overdue. Each has its evidence and the next safe step.

        >>> registry.pids("transcription_whisper").set([4711])
        [4711]
        >>> [(row.finding, row.evidence.next_step != "") for row in registry.findings()]
        [('unverified', True)]
        """
        for row in self._rows("/resources", Resource, {"finding": FINDINGS, **filters}):
            yield row

    def whois(
        self,
        *,
        pid: int | None = None,
        container_id: str | None = None,
        instance_id: str | None = None,
        endpoint: str | None = None,
        host: str | None = None,
    ) -> list[Resource]:
        """Who holds a resource: every candidate, with how certain it is.

        >>> registry.pids("transcription_whisper").set([4711])
        [4711]
        >>> [(row.plugin, row.certainty) for row in registry.whois(pid=4711)]
        [('transcription_whisper', 'claimed')]
        """
        named = {"pid": pid, "container_id": container_id, "instance_id": instance_id, "endpoint": endpoint}
        if all(value is None for value in named.values()):
            raise TypeError("whois() needs pid, container_id, instance_id or endpoint")
        return [row for row in self._rows("/resources", Resource, {**named, "host": host})]

    def events(self, **filters: Any) -> Iterator[Event]:
        """The changes of the journal: ``after=``, ``until=``, ``from_=``, ``to=``, ``plugin=``, ``kind=``, ``order=``.

        >>> [event.type for event in registry.events(after=0)]
        ['plugin.registered']
        """
        for event in self._rows("/events", Event, filters):
            yield event

    def history(self, unique_id: str, **options: Any) -> Iterator[Event]:
        """The changes of a plugin, the newest first, also after its removal.

        >>> [event.revision for event in registry.history("transcription_whisper")]
        [1]
        """
        for event in self._rows(calls.plugin(unique_id, "history"), Event, options):
            yield event

    def stats(self, **options: Any) -> Stats:
        """Numbers of plugins by property.

        >>> (registry.stats()).total
        1
        """
        return Stats(self.session.json(calls.get("/stats", query.parameters(options))))

    def costs(
        self, *, group_by: str | None = None, hours: float | None = None, from_: datetime | str | None = None, **filters: Any
    ) -> Costs:
        """What plugins cost by their declared prices, and what they have cost.

        >>> (registry.costs(group_by="provider")).burn_usd_per_hour
        0
        """
        options = query.filters({**filters, "group_by": group_by, "hours": hours, "from_": from_})
        return Costs(self.session.json(calls.get("/costs", options)))

    def categories(self) -> list[Category]:
        """The categories that are in use, or that have a display name.

        >>> [category.name for category in registry.categories()]
        ['transcription']
        """
        return [Category(each) for each in (self.session.json(calls.get("/categories")))["items"]]

    def name_category(self, name: str, display_name: str | None) -> Category:
        """Sets the display name of a category; None restores the one that the registry makes.

        >>> (registry.name_category("transcription", "Speech to text")).display_name
        'Speech to text'
        """
        path = f"/categories/{calls.segment(name)}"
        return Category(self.session.json(calls.put(path, {"display_name": display_name})))

    def leases(self, **filters: Any) -> Iterator[LeaseInfo]:
        """The leases: ``state=``, ``host=``.

        >>> [lease.holder for lease in registry.leases(state="active")]
        []
        """
        for lease in self._rows("/leases", LeaseInfo, filters):
            yield lease

    def lease_info(self, lease_id: str) -> LeaseInfo:
        """A lease as the registry shows it.

        >>> from plugin_registry import NotFound
        >>> try:
        ...     registry.lease_info("no_such")
        ... except NotFound as error:
        ...     print(error.status)
        404
        """
        return LeaseInfo(self.session.json(calls.get(f"/leases/{calls.segment(lease_id)}")))

    def hosts(self, **filters: Any) -> Iterator[Host]:
        """The hosts that plugins name, or that something looks at; those that need an agent come first.

        >>> _ = registry.update("transcription_whisper", host="gpu-1")
        >>> [host.host for host in registry.hosts(looked_at=False)]
        ['gpu-1']
        """
        for host in self._rows("/hosts", Host, filters):
            yield host

    def whoami(self) -> Caller:
        """Who the registry takes this client for, and what it may do. It answers without a token, too.

        >>> (registry.whoami()).name
        'anonymous'
        """
        return Caller(self.session.json(calls.get("/whoami")))

    def ready(self) -> Readiness:
        """Whether the registry answers reads; its ``status`` tells whether it takes writes, too.

        >>> (registry.ready()).status
        'ready'
        """
        return Readiness(self.session.json(calls.get("/readyz")))

    def request(self, method: str, path: str, *, json: Any = None, params: dict[str, Any] | None = None) -> Any:
        """Any operation of the API, with the client's token and repeats. Returns the document, or None.

        >>> (registry.request("GET", "/plugins/transcription_whisper"))["title"]
        'Whisper'
        """
        safe = method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")
        request = Request(method, path, query.filters(params or {}), repeatable=safe)
        if json is not None:
            request = calls.json_request(method, path, json, query=request.query, takes_key=False, repeatable=safe)
        answer = self.session.answer(request)
        return answer.json(exact=self.session.exact_numbers) if answer.body else None
