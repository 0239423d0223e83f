# Made by tools/unasync.py from _async/plugin.py. Do not edit it.
"""A plugin that was read from a registry, and can change there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._core.record import PluginRecord
from .parts import Config, Container, Pids, Remote

if TYPE_CHECKING:
    from .plugins import Plugins


@dataclass(repr=False)
class Plugin(PluginRecord):
    """A plugin of a registry. Its parts write at once; its fields do with ``registry.update(plugin)``.

    >>> plugin = registry.get("transcription_whisper")
    >>> plugin.pids.add(4711)
    [4711]
    >>> plugin.has_active_resources(), plugin.revision
    (True, 2)
    """

    def bind(self, registry: Plugins) -> None:
        """Names the registry that the object writes to."""
        self._registry = registry

    @property
    def pids(self) -> Pids:
        """The processes: ``add``, ``remove``, ``set``, ``clear``.

        >>> (registry.get("transcription_whisper")).pids.set([1, 2])
        [1, 2]
        """
        return Pids(self._registry, self.unique_id, self)

    @property
    def remote(self) -> Remote:
        """The remote resource: ``set``, ``patch``, ``clear``.

        >>> plugin = registry.get("transcription_whisper")
        >>> (plugin.remote.set({"provider": "aws", "status": "running"})).status
        'running'
        """
        return Remote(self._registry, self.unique_id, self)

    @property
    def config(self) -> Config:
        """The saved configuration: ``get``, ``save``, ``delete``, ``validate``.

        >>> (registry.get("transcription_whisper")).config.get(default={})
        {}
        """
        return Config(self._registry, self.unique_id, self)

    @property
    def container(self) -> Container:
        """The container: ``set``, ``clear``. Its id is ``container_id``.

        >>> plugin = registry.get("transcription_whisper")
        >>> plugin.container.set("web")
        'web'
        >>> plugin.container_id
        'web'
        """
        return Container(self._registry, self.unique_id, self)

    def refresh(self) -> None:
        """Reads the plugin again.

        >>> plugin = registry.get("transcription_whisper")
        >>> plugin.refresh()
        """
        read = self._registry.get(self.unique_id)
        self.load(read.document, self._registry.session.store)

    def load(self, document: Mapping[str, Any], store: str | None) -> None:
        """Takes over a document of the registry."""
        super().load(document, store)
        self.document = document
        """The document as the registry sent it."""
