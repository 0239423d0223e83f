# Made by tools/unasync.py from _async/parts.py. Do not edit it.
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
    from .plugin import Plugin
    from .plugins import Plugins


class Part:
    """A part of a plugin."""

    def __init__(self, registry: Plugins, unique_id: str, plugin: Plugin | None = None) -> None:
        self._registry = registry
        self._id = unique_id
        self._plugin = plugin

    def _write(self, request: Request) -> Plugin:
        """Sends a write. Its answer is the whole plugin, which the object takes over."""
        answer = self._registry.session.answer(request)
        if self._plugin is not None:
            self._plugin.load(answer.json(exact=self._registry.session.exact_numbers), answer.headers.get("registry-store"))
            return self._plugin
        return self._registry.plugin_of(answer)


class Pids(Part):
    """The processes that a plugin names. Each call returns the ids that it names afterwards.

    >>> registry.pids("transcription_whisper").add(700, 701)
    [700, 701]
    >>> registry.pids("transcription_whisper").remove(700)
    [701]
    """

    def set(self, pids: Iterable[int]) -> list[int]:
        """Replaces the ids. A process that is no longer named, and was seen alive, is left behind.

        >>> registry.pids("transcription_whisper").set([700])
        [700]
        """
        body = {"spawned_pids": list(pids)}
        return (self._write(calls.put(calls.plugin(self._id, "spawned_pids"), body))).spawned_pids

    def add(self, *pids: int) -> list[int]:
        """Adds ids.

        >>> registry.pids("transcription_whisper").add(700)
        [700]
        """
        body = {"spawned_pids": list(pids)}
        return (self._write(calls.post(calls.plugin(self._id, "spawned_pids"), body))).spawned_pids

    def remove(self, *pids: int) -> list[int]:
        """Releases processes, also those that were left behind.

        >>> registry.pids("transcription_whisper").remove(700)
        []
        """
        left: list[int] = []
        for pid in pids:
            left = (self._write(calls.remove(calls.plugin(self._id, "spawned_pids", pid)))).spawned_pids
        return left

    def clear(self) -> list[int]:
        """Releases all processes that the plugin names.

        >>> registry.pids("transcription_whisper").clear()
        []
        """
        return (self._write(calls.remove(calls.plugin(self._id, "spawned_pids")))).spawned_pids


class Container(Part):
    """The container that a plugin names.

    >>> registry.container("transcription_whisper").set("4c01db0b339c")
    '4c01db0b339c'
    """

    def set(self, container_id: str) -> str | None:
        """Names the container.

        >>> registry.container("transcription_whisper").set("web")
        'web'
        """
        request = calls.put(calls.plugin(self._id, "container_id"), {"container_id": container_id})
        return (self._write(request)).container_id

    def clear(self) -> None:
        """Releases the container.

        >>> registry.container("transcription_whisper").clear()
        """
        self._write(calls.remove(calls.plugin(self._id, "container_id")))


class Remote(Part):
    """The remote resource of a plugin.

    >>> from plugin_registry import CloudProviderType, RemoteResourceInfo
    >>> machine = RemoteResourceInfo(CloudProviderType.LAMBDA_LABS, instance_id="0x1a2b", status="running")
    >>> (registry.remote("transcription_whisper").set(machine)).status
    'running'
    >>> (registry.remote("transcription_whisper").patch(status="stopping")).status
    'stopping'
    >>> registry.remote("transcription_whisper").clear()
    """

    def set(self, resource: RemoteResourceInfo | Mapping[str, Any]) -> RemoteResourceInfo:
        """Replaces the remote resource. Another one that may bill is left behind.

        >>> (registry.remote("transcription_whisper").set({"provider": "aws"})).provider.name
        'AWS'
        """
        body = resource.to_document() if isinstance(resource, RemoteResourceInfo) else dict(resource)
        return _present(self._write(calls.put(calls.plugin(self._id, "remote_resource"), body)))

    def patch(self, **fields: Any) -> RemoteResourceInfo:
        """Changes some fields; None clears a field, and fields that are not named keep their values.

        >>> _ = registry.remote("transcription_whisper").set({"provider": "aws", "region": "us-west-2"})
        >>> (registry.remote("transcription_whisper").patch(region=None)).region
        """
        named = {name: value for name, value in fields.items() if value is not UNSET}
        return _present(self._write(calls.patch(calls.plugin(self._id, "remote_resource"), named)))

    def clear(self) -> None:
        """Releases the remote resource.

        >>> registry.remote("transcription_whisper").clear()
        """
        self._write(calls.remove(calls.plugin(self._id, "remote_resource")))


def _present(plugin: Plugin) -> RemoteResourceInfo:
    assert plugin.remote_resource is not None  # The answer to a write of it has it.
    return plugin.remote_resource


class Labels(Part):
    """The labels of a plugin, changed one by one.

    >>> registry.labels("transcription_whisper").set(team="speech")
    {'team': 'speech'}
    """

    def set(self, labels: Mapping[str, str] | None = None, /, **more: str) -> dict[str, str]:
        """Sets labels; others keep their values.

        >>> registry.labels("transcription_whisper").set({"exec.exit": "code 0"}, team="speech")
        {'exec.exit': 'code 0', 'team': 'speech'}
        """
        patch = {"labels": {**(labels or {}), **more}}
        return (self._write(calls.patch(calls.plugin(self._id), patch))).labels

    def remove(self, *names: str) -> dict[str, str]:
        """Removes labels.

        >>> registry.labels("transcription_whisper").remove("team")
        {}
        """
        patch = {"labels": dict.fromkeys(names)}
        return (self._write(calls.patch(calls.plugin(self._id), patch))).labels


class Config(Part):
    """The saved configuration of a plugin.

    >>> _ = registry.config("transcription_whisper").save({"port": 8000})
    >>> registry.config("transcription_whisper").get()
    {'port': 8000}
    """

    def _path(self) -> str:
        return calls.plugin(self._id, "config")

    def get(self, default: Any = UNSET) -> Any:
        """The saved configuration; a secret that this token may not read is a :class:`Masked`.

        >>> registry.config("transcription_whisper").get(default=None)
        """
        try:
            return mark(self._registry.session.json(calls.get(self._path())))
        except NotFound:
            if default is UNSET:
                raise
            return default

    def save(self, config: Any, *, if_match: str | None = None) -> Plugin:
        """Checks the configuration against the plugin's schema, and saves it.

        >>> (registry.config("transcription_whisper").save({"port": 8000})).is_configured
        True
        """
        refuse_masks(config)
        return self._write(calls.put(self._path(), config).with_headers(If_Match=if_match))

    def delete(self) -> Plugin:
        """Deletes the configuration.

        >>> (registry.config("transcription_whisper").delete()).is_configured
        False
        """
        return self._write(calls.remove(self._path()))

    def validate(self, config: Any) -> Verdict:
        """Checks a configuration without saving it.

        >>> (registry.config("transcription_whisper").validate({"port": 1})).valid
        True
        """
        request = calls.post(calls.plugin(self._id, "config", "validate"), config, takes_key=False)
        return Verdict(self._registry.session.json(request))
