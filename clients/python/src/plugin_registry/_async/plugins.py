"""Plugins: register, read, list, change, remove."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Generator, Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias, TypeVar, overload

from .._core import calls, json_codec, query
from .._core.documents import Result
from .._core.errors import NotFound, refused
from .._core.http import NDJSON, Response
from .._core.metadata import PluginMetadata
from .._core.pages import Page
from .._core.record import PluginRecord, registration
from .._core.unset import UNSET, UnsetType
from .parts import AsyncConfig, AsyncContainer, AsyncLabels, AsyncPids, AsyncRemote
from .plugin import AsyncPlugin
from .session import AsyncSession

D = TypeVar("D")
Consistency: TypeAlias = Literal["local", "strong"]
BATCH = 1000


class AsyncPlugins:
    """The part of the client that is about plugins."""

    session: AsyncSession

    def lease_to_carry(self) -> str | None:
        """The lease that plugins registered now carry."""
        return None

    def registered(self, unique_id: str, lease_id: str | None) -> None:
        """Hears of each plugin that was registered, and of the lease that it carries."""

    def plugin_of(self, answer: Response) -> AsyncPlugin:
        """The plugin of a response."""
        store = answer.headers.get("registry-store")
        return self.plugin_from(answer.json(exact=self.session.exact_numbers), store)

    def plugin_from(self, document: Mapping[str, Any], store: str | None = None) -> AsyncPlugin:
        """The plugin of a document of this registry.

        >>> event = [event async for event in registry.events(plugin="transcription_whisper")][0]
        >>> registry.plugin_from(event.plugin).title
        'Whisper'
        """
        # With `fields`, a document may lack what the model requires.
        plugin = AsyncPlugin("", "", "", {})
        plugin.bind(self)
        plugin.load(document, store or self.session.store)
        return plugin

    async def register(
        self, plugin: PluginMetadata | Mapping[str, Any] | object, *, create_only: bool = False
    ) -> AsyncPlugin:
        """Registers a plugin: ours, the source model's own dataclass, or a mapping.

        Registering again replaces the description, and keeps what the plugin holds. Within ``lease()`` the plugin
        carries the lease. ``create_only`` refuses a plugin that exists (:class:`PreconditionFailed`).

        >>> from plugin_registry import PluginMetadata
        >>> plugin = await registry.register(PluginMetadata("llama", "finetuning", "Llama fine-tuning", {}))
        >>> plugin.unique_id, plugin.is_configured
        ('finetuning_llama', False)
        """
        document = self._registration(plugin)
        answer = await self.session.answer(calls.register(document, create_only=create_only))
        registered = self.plugin_of(answer)
        self.registered(registered.unique_id, document.get("lease_id"))
        registered.config_dataclass = getattr(plugin, "config_dataclass", None)
        return registered

    def _registration(self, plugin: object) -> dict[str, Any]:
        document = registration(plugin)
        lease = self.lease_to_carry()
        if lease is not None and document.get("lease_id") is None:
            document["lease_id"] = lease
        return document

    async def register_many(self, plugins: Iterable[PluginMetadata | Mapping[str, Any] | object]) -> AsyncIterator[Result]:
        """Registers many plugins, a thousand a request, and yields a result for each.

        >>> many = [{"name": f"n{i}", "category": "c", "title": "N", "config_schema": {}} for i in range(3)]
        >>> [result.status async for result in registry.register_many(many)]
        [201, 201, 201]
        """
        for first, lines in self._batches(plugins):
            answer = await self.session.answer(calls.register_many(lines))
            for index, line in enumerate(filter(None, answer.body.split(b"\n"))):
                # Each request counts its own lines.
                yield Result({**json_codec.loads(line), "line": first + index})

    def _batches(self, plugins: Iterable[object]) -> Generator[tuple[int, bytes], None, None]:
        lines: list[bytes] = []
        first = 1
        for plugin in plugins:
            lines.append(json_codec.dumps(self._registration(plugin)) + b"\n")
            if len(lines) == BATCH:
                yield first, b"".join(lines)
                first, lines = first + len(lines), []
        if lines:
            yield first, b"".join(lines)

    @overload
    async def get(
        self,
        unique_id: str,
        /,
        *,
        as_of: int | str | datetime | None = None,
        min_revision: int | None = None,
        consistency: Consistency | None = None,
    ) -> AsyncPlugin: ...
    @overload
    async def get(
        self,
        unique_id: str,
        /,
        *,
        default: D,
        as_of: int | str | datetime | None = None,
        min_revision: int | None = None,
        consistency: Consistency | None = None,
    ) -> AsyncPlugin | D: ...
    async def get(
        self,
        unique_id: str,
        /,
        *,
        default: Any = UNSET,
        as_of: int | str | datetime | None = None,
        min_revision: int | None = None,
        consistency: Consistency | None = None,
    ) -> Any:
        """Reads a plugin, as it is or as it was at a revision or time.

        ``min_revision`` and ``consistency="strong"`` read what another replica has acknowledged.

        >>> (await registry.get("transcription_whisper")).title
        'Whisper'
        >>> await registry.get("no_such", default=None)
        >>> (await registry.get("transcription_whisper", as_of=1)).revision
        1
        """
        parameters = query.parameters({"as_of": as_of, "min_revision": min_revision, "consistency": consistency})
        try:
            return self.plugin_of(await self.session.answer(calls.get(calls.plugin(unique_id), parameters)))
        except NotFound:
            if default is UNSET:
                raise
            return default

    async def list(self, **filters: Any) -> Page[AsyncPlugin]:
        """A page of plugins. Filters are those of ``GET /plugins``; a list means any of its values.

        >>> page = await registry.list(category=["transcription", "speech"], active=False, limit=10)
        >>> [plugin.unique_id for plugin in page]
        ['transcription_whisper']
        >>> (await registry.list(labels={"team": "speech"})).total
        0
        """
        answer = await self.session.answer(calls.get("/plugins", query.filters(filters)))
        page = answer.json(exact=self.session.exact_numbers)
        store = answer.headers.get("registry-store")
        items = [self.plugin_from(each, store) for each in page["items"]]
        return Page(items, page["total"], page["next_cursor"], page["revision"])

    async def iter(self, **filters: Any) -> AsyncIterator[AsyncPlugin]:
        """All plugins that match, in constant memory: a page of 1,000 at a time.

        Pages show the registry as it is when each is read. ``as_of=`` a page's revision makes them show one moment.

        >>> [plugin.name async for plugin in registry.iter(category="transcription")]
        ['whisper']
        """
        cursor: str | None = filters.pop("cursor", None)
        while True:
            page = await self.list(**filters, cursor=cursor)
            for plugin in page.items:
                yield plugin
            cursor = page.next_cursor
            if cursor is None:
                return

    async def update(self, plugin: PluginRecord | str, /, *, if_match: str | None | UnsetType = UNSET, **fields: Any) -> AsyncPlugin:
        """Changes fields of a plugin: None clears a field, ``UNSET`` and fields that are not named keep their values.

        With a plugin that was read, what was changed on the object is sent, too, and only if no other client has
        changed the plugin since (``If-Match``; :class:`PreconditionFailed` otherwise). The object is then up to date.

        >>> plugin = await registry.get("transcription_whisper")
        >>> plugin.labels["team"] = "speech"
        >>> plugin = await registry.update(plugin, title="Whisper v3", description=None)
        >>> plugin.title, plugin.labels
        ('Whisper v3', {'team': 'speech'})
        """
        named = {name: value for name, value in fields.items() if value is not UNSET}
        if isinstance(plugin, str):
            return await self._patch(plugin, named, None if if_match is UNSET else if_match)
        condition = plugin.etag if if_match is UNSET else if_match
        answer = await self._patch(plugin.unique_id, {**plugin.changes(), **named}, condition)
        if not isinstance(plugin, AsyncPlugin):
            return answer
        plugin.load(answer.document, self.session.store)
        return plugin

    async def patch(self, unique_id: str, patch: Mapping[str, Any], *, if_match: str | None = None) -> AsyncPlugin:
        """Sends a JSON Merge Patch (RFC 7396).

        >>> (await registry.patch("transcription_whisper", {"labels": {"team": "speech"}})).labels
        {'team': 'speech'}
        """
        return await self._patch(unique_id, patch, if_match)

    async def _patch(self, unique_id: str, patch: Mapping[str, Any], if_match: str | None) -> AsyncPlugin:
        request = calls.patch(calls.plugin(unique_id), _document(patch)).with_headers(If_Match=if_match)
        return self.plugin_of(await self.session.answer(request))

    async def delete(self, plugin: PluginRecord | str, /, *, force: bool = False, if_match: str | None = None) -> None:
        """Removes a plugin. It must hold nothing that may run or bill (:class:`StillHeld`), or ``force`` it.

        >>> await registry.delete("transcription_whisper")
        >>> (await registry.list()).total
        0
        """
        unique_id = plugin if isinstance(plugin, str) else plugin.unique_id
        options = query.parameters({"force": True if force else None})
        await self.session.answer(calls.remove(calls.plugin(unique_id), options).with_headers(If_Match=if_match))

    async def stream(self, **filters: Any) -> AsyncIterator[AsyncPlugin]:
        """All plugins that match, as one stream of one revision (NDJSON), in constant memory.

        >>> [plugin.name async for plugin in registry.stream(category="transcription")]
        ['whisper']
        """
        request = calls.get("/plugins", query.filters(filters), Accept=NDJSON)
        async with self.session.stream(request, read_timeout=self.session.timeout) as answer:
            if answer.status_code >= 400:
                raise refused(answer.status_code, answer.headers, await answer.aread())
            async for line in answer.aiter_lines():
                if line:
                    document = json_codec.loads(line, exact=self.session.exact_numbers)
                    yield self.plugin_from(document, answer.headers.get("registry-store"))

    def pids(self, unique_id: str) -> AsyncPids:
        """The processes of a plugin.

        >>> await registry.pids("transcription_whisper").add(4711)
        [4711]
        """
        return AsyncPids(self, unique_id)

    def container(self, unique_id: str) -> AsyncContainer:
        """The container of a plugin.

        >>> await registry.container("transcription_whisper").set("web")
        'web'
        """
        return AsyncContainer(self, unique_id)

    def remote(self, unique_id: str) -> AsyncRemote:
        """The remote resource of a plugin.

        >>> (await registry.remote("transcription_whisper").set({"provider": "aws"})).status
        'unknown'
        """
        return AsyncRemote(self, unique_id)

    def labels(self, unique_id: str) -> AsyncLabels:
        """The labels of a plugin.

        >>> await registry.labels("transcription_whisper").set(team="speech")
        {'team': 'speech'}
        """
        return AsyncLabels(self, unique_id)

    def config(self, unique_id: str) -> AsyncConfig:
        """The configuration of a plugin.

        >>> await registry.config("transcription_whisper").get(default={})
        {}
        """
        return AsyncConfig(self, unique_id)

    async def get_plugin(self, plugin_id: str) -> AsyncPlugin | None:
        """A plugin, or None: with the next two methods, `PluginRegistryProtocol` of the source model's job manager.

        >>> (await registry.get_plugin("transcription_whisper")).get_unique_id()
        'transcription_whisper'
        >>> await registry.get_plugin("no_such")
        """
        return await self.get(plugin_id, default=None)

    async def get_plugins_by_category(self, category: str) -> builtins.list[AsyncPlugin]:
        """The plugins of a category.

        >>> [plugin.name for plugin in await registry.get_plugins_by_category("transcription")]
        ['whisper']
        """
        return [plugin async for plugin in self.iter(category=category)]

    async def load_plugin_config(self, plugin_id: str) -> dict[str, Any]:
        """The saved configuration of a plugin, or an empty one.

        >>> await registry.load_plugin_config("transcription_whisper")
        {}
        """
        return dict(await self.config(plugin_id).get(default={}))


def _document(fields: Mapping[str, Any]) -> dict[str, Any]:
    documents = ((name, value.to_document() if hasattr(value, "to_document") else value) for name, value in fields.items())
    return {name: getattr(value, "value", value) for name, value in documents}
