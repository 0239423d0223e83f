"""A plugin that was read from a registry, and can change there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._core.record import PluginRecord
from .parts import AsyncConfig, AsyncContainer, AsyncPids, AsyncRemote

if TYPE_CHECKING:
    from .plugins import AsyncPlugins


@dataclass(repr=False)
class AsyncPlugin(PluginRecord):
    """A plugin of a registry. Its parts write at once; its fields do with ``registry.update(plugin)``.

    >>> plugin = await registry.get("transcription_whisper")
    >>> await plugin.pids.add(4711)
    [4711]
    >>> plugin.has_active_resources(), plugin.revision
    (True, 2)
    """

    def bind(self, registry: AsyncPlugins) -> None:
        """Names the registry that the object writes to."""
        self._registry = registry

    @property
    def pids(self) -> AsyncPids:
        """The processes: ``add``, ``remove``, ``set``, ``clear``.

        >>> await (await registry.get("transcription_whisper")).pids.set([1, 2])
        [1, 2]
        """
        return AsyncPids(self._registry, self.unique_id, self)

    @property
    def remote(self) -> AsyncRemote:
        """The remote resource: ``set``, ``patch``, ``clear``.

        >>> plugin = await registry.get("transcription_whisper")
        >>> (await plugin.remote.set({"provider": "aws", "status": "running"})).status
        'running'
        """
        return AsyncRemote(self._registry, self.unique_id, self)

    @property
    def config(self) -> AsyncConfig:
        """The saved configuration: ``get``, ``save``, ``delete``, ``validate``.

        >>> await (await registry.get("transcription_whisper")).config.get(default={})
        {}
        """
        return AsyncConfig(self._registry, self.unique_id, self)

    @property
    def container(self) -> AsyncContainer:
        """The container: ``set``, ``clear``. Its id is ``container_id``.

        >>> plugin = await registry.get("transcription_whisper")
        >>> await plugin.container.set("web")
        'web'
        >>> plugin.container_id
        'web'
        """
        return AsyncContainer(self._registry, self.unique_id, self)

    async def refresh(self) -> None:
        """Reads the plugin again.

        >>> plugin = await registry.get("transcription_whisper")
        >>> await plugin.refresh()
        """
        read = await self._registry.get(self.unique_id)
        self.load(read.document, self._registry.session.store)

    def load(self, document: Mapping[str, Any], store: str | None) -> None:
        """Takes over a document of the registry."""
        super().load(document, store)
        self.document = document
        """The document as the registry sent it."""
