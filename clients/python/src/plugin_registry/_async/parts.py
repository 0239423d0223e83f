"""Parts of a plugin: its processes, its container, its remote resource, its labels, its configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .._core import calls
from .._core.documents import Verdict
from .._core.errors import NotFound
from .._core.http import Request
from .._core.masked import mark, refuse_masks
from .._core.metadata import RemoteResourceInfo
from .._core.unset import UNSET

if TYPE_CHECKING:
    from .plugin import AsyncPlugin
    from .plugins import AsyncPlugins


class AsyncPart:
    """A part of a plugin."""

    def __init__(self, registry: AsyncPlugins, unique_id: str, plugin: AsyncPlugin | None = None) -> None:
        self._registry = registry
        self._id = unique_id
        self._plugin = plugin

    async def _write(self, request: Request) -> AsyncPlugin:
        """Sends a write. Its answer is the whole plugin, which the object takes over."""
        answer = await self._registry.session.answer(request)
        if self._plugin is not None:
            self._plugin.load(answer.json(exact=self._registry.session.exact_numbers), answer.headers.get("registry-store"))
            return self._plugin
        return self._registry.plugin_of(answer)


class AsyncPids(AsyncPart):
    """The processes that a plugin names. Each call returns the ids that it names afterwards.

    >>> await registry.pids("transcription_whisper").add(700, 701)
    [700, 701]
    >>> await registry.pids("transcription_whisper").remove(700)
    [701]
    """

    async def set(self, pids: Iterable[int]) -> list[int]:
        """Replaces the ids. A process that is no longer named, and was seen alive, is left behind.

        >>> await registry.pids("transcription_whisper").set([700])
        [700]
        """
        body = {"spawned_pids": list(pids)}
        return (await self._write(calls.put(calls.plugin(self._id, "spawned_pids"), body))).spawned_pids

    async def add(self, *pids: int) -> list[int]:
        """Adds ids.

        >>> await registry.pids("transcription_whisper").add(700)
        [700]
        """
        body = {"spawned_pids": list(pids)}
        return (await self._write(calls.post(calls.plugin(self._id, "spawned_pids"), body))).spawned_pids

    async def remove(self, *pids: int) -> list[int]:
        """Releases processes, also those that were left behind.

        >>> await registry.pids("transcription_whisper").remove(700)
        []
        """
        left: list[int] = []
        for pid in pids:
            left = (await self._write(calls.remove(calls.plugin(self._id, "spawned_pids", pid)))).spawned_pids
        return left

    async def clear(self) -> list[int]:
        """Releases all processes that the plugin names.

        >>> await registry.pids("transcription_whisper").clear()
        []
        """
        return (await self._write(calls.remove(calls.plugin(self._id, "spawned_pids")))).spawned_pids


class AsyncContainer(AsyncPart):
    """The container that a plugin names.

    >>> await registry.container("transcription_whisper").set("4c01db0b339c")
    '4c01db0b339c'
    """

    async def set(self, container_id: str) -> str | None:
        """Names the container.

        >>> await registry.container("transcription_whisper").set("web")
        'web'
        """
        request = calls.put(calls.plugin(self._id, "container_id"), {"container_id": container_id})
        return (await self._write(request)).container_id

    async def clear(self) -> None:
        """Releases the container.

        >>> await registry.container("transcription_whisper").clear()
        """
        await self._write(calls.remove(calls.plugin(self._id, "container_id")))


class AsyncRemote(AsyncPart):
    """The remote resource of a plugin.

    >>> from plugin_registry import CloudProviderType, RemoteResourceInfo
    >>> machine = RemoteResourceInfo(CloudProviderType.LAMBDA_LABS, instance_id="0x1a2b", status="running")
    >>> (await registry.remote("transcription_whisper").set(machine)).status
    'running'
    >>> (await registry.remote("transcription_whisper").patch(status="stopping")).status
    'stopping'
    >>> await registry.remote("transcription_whisper").clear()
    """

    async def set(self, resource: RemoteResourceInfo | Mapping[str, Any]) -> RemoteResourceInfo:
        """Replaces the remote resource. Another one that may bill is left behind.

        >>> (await registry.remote("transcription_whisper").set({"provider": "aws"})).provider.name
        'AWS'
        """
        body = resource.to_document() if isinstance(resource, RemoteResourceInfo) else dict(resource)
        return _present(await self._write(calls.put(calls.plugin(self._id, "remote_resource"), body)))

    async def patch(self, **fields: Any) -> RemoteResourceInfo:
        """Changes some fields; None clears a field, and fields that are not named keep their values.

        >>> _ = await registry.remote("transcription_whisper").set({"provider": "aws", "region": "us-west-2"})
        >>> (await registry.remote("transcription_whisper").patch(region=None)).region
        """
        named = {name: value for name, value in fields.items() if value is not UNSET}
        return _present(await self._write(calls.patch(calls.plugin(self._id, "remote_resource"), named)))

    async def clear(self) -> None:
        """Releases the remote resource.

        >>> await registry.remote("transcription_whisper").clear()
        """
        await self._write(calls.remove(calls.plugin(self._id, "remote_resource")))


def _present(plugin: AsyncPlugin) -> RemoteResourceInfo:
    assert plugin.remote_resource is not None  # The answer to a write of it has it.
    return plugin.remote_resource


class AsyncLabels(AsyncPart):
    """The labels of a plugin, changed one by one.

    >>> await registry.labels("transcription_whisper").set(team="speech")
    {'team': 'speech'}
    """

    async def set(self, labels: Mapping[str, str] | None = None, /, **more: str) -> dict[str, str]:
        """Sets labels; others keep their values.

        >>> await registry.labels("transcription_whisper").set({"exec.exit": "code 0"}, team="speech")
        {'exec.exit': 'code 0', 'team': 'speech'}
        """
        patch = {"labels": {**(labels or {}), **more}}
        return (await self._write(calls.patch(calls.plugin(self._id), patch))).labels

    async def remove(self, *names: str) -> dict[str, str]:
        """Removes labels.

        >>> await registry.labels("transcription_whisper").remove("team")
        {}
        """
        patch = {"labels": dict.fromkeys(names)}
        return (await self._write(calls.patch(calls.plugin(self._id), patch))).labels


class AsyncConfig(AsyncPart):
    """The saved configuration of a plugin.

    >>> _ = await registry.config("transcription_whisper").save({"port": 8000})
    >>> await registry.config("transcription_whisper").get()
    {'port': 8000}
    """

    def _path(self) -> str:
        return calls.plugin(self._id, "config")

    async def get(self, default: Any = UNSET) -> Any:
        """The saved configuration; a secret that this token may not read is a :class:`Masked`.

        >>> await registry.config("transcription_whisper").get(default=None)
        """
        try:
            return mark(await self._registry.session.json(calls.get(self._path())))
        except NotFound:
            if default is UNSET:
                raise
            return default

    async def save(self, config: Any, *, if_match: str | None = None) -> AsyncPlugin:
        """Checks the configuration against the plugin's schema, and saves it.

        >>> (await registry.config("transcription_whisper").save({"port": 8000})).is_configured
        True
        """
        refuse_masks(config)
        return await self._write(calls.put(self._path(), config).with_headers(If_Match=if_match))

    async def delete(self) -> AsyncPlugin:
        """Deletes the configuration.

        >>> (await registry.config("transcription_whisper").delete()).is_configured
        False
        """
        return await self._write(calls.remove(self._path()))

    async def validate(self, config: Any) -> Verdict:
        """Checks a configuration without saving it.

        >>> (await registry.config("transcription_whisper").validate({"port": 1})).valid
        True
        """
        request = calls.post(calls.plugin(self._id, "config", "validate"), config, takes_key=False)
        return Verdict(await self._registry.session.json(request))
