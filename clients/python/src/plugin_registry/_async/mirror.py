"""A copy of the registry's plugins in memory, which follows every change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .._core.documents import Event, Resync
from .._core.errors import RegistryError, TimedOut
from .aio import Background, Signal
from .plugin import AsyncPlugin
from .watch import AsyncWatch

if TYPE_CHECKING:
    from .plugins import AsyncPlugins


class AsyncMirror(Mapping[str, AsyncPlugin]):
    """The plugins that match, by their id, as they are now. Reading it sends no request.

    It lists once, and follows the changes in the background. After a cut it goes on where it was; where that is no
    longer possible, it lists again.

    >>> async with registry.mirror(category="transcription") as mirror:
    ...     print(mirror["transcription_whisper"].title, len(mirror))
    ...     _ = await registry.update("transcription_whisper", title="Whisper v3")
    ...     await mirror.wait(lambda plugins: plugins["transcription_whisper"].title == "Whisper v3", timeout=60)
    Whisper 1
    """

    def __init__(self, registry: AsyncPlugins, filters: Mapping[str, Any]) -> None:
        self._registry = registry
        self._plugins: dict[str, AsyncPlugin] = {}
        self._signal = Signal()
        self._ended = False
        self._listed = False
        self._watch: AsyncWatch[Event | Resync] = AsyncWatch(registry, filters, None, True)
        self._background: Background | None = None
        self.error: RegistryError | None = None
        """Why the mirror no longer follows; None as long as it does."""

    @property
    def revision(self) -> int:
        """The revision that the mirror shows."""
        return self._watch.revision

    def __getitem__(self, unique_id: str) -> AsyncPlugin:
        return self._plugins[unique_id]

    def __iter__(self) -> Iterator[str]:
        # A copy: changes arrive while the caller iterates.
        return iter(list(self._plugins))

    def __len__(self) -> int:
        return len(self._plugins)

    async def __aenter__(self) -> AsyncMirror:
        self._background = Background(self._follow, "plugin-registry mirror")
        await self._signal.wait_for(lambda: self._listed or self._ended, None)
        if self.error is not None and not self._listed:
            raise self.error
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends the mirror; it keeps what it has."""
        await self._watch.aclose()
        if self._background is not None:
            await self._background.stop()

    async def wait(self, predicate: Callable[[AsyncMirror], object], timeout: float | None = None) -> None:
        """Waits until the predicate holds; raises :class:`TimedOut` if it does not in time."""
        holds = await self._signal.wait_for(lambda: predicate(self) or self._ended, timeout)
        if predicate(self):
            return
        if self.error is not None:
            raise self.error
        raise TimedOut("the mirror was closed" if holds else f"the mirror does not show it after {timeout:g} s")

    async def _follow(self) -> None:
        try:
            async for item in self._watch:
                self._take(item)
                await self._signal.notify()
        except RegistryError as error:
            self.error = error
        finally:
            self._ended = True
            await self._signal.notify()

    def _take(self, item: Event | Resync) -> None:
        if isinstance(item, Resync):
            self._plugins = {plugin.unique_id: plugin for plugin in item.plugins}
            self._listed = True
        elif item.name == "removal" or item.type == "plugin.removed":
            self._plugins.pop(item.subject, None)
        elif item.plugin is not None:
            self._plugins[item.subject] = self._registry.plugin_from(item.plugin)
