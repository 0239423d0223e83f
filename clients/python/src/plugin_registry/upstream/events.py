"""Feeds the registry's events into an application's own stream of Server-Sent Events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from plugin_registry import AsyncRegistry, AsyncWatch, Event


class EventBroadcaster(Protocol):
    """Upstream's `EventBroadcasterProtocol`."""

    async def broadcast(self, event_type: str, data: dict[str, Any]) -> None:
        """Sends an event to all clients of the application."""
        ...


async def bridge(
    registry: AsyncRegistry, broadcaster: EventBroadcaster, *, after: int | None = None, **filters: Any
) -> None:
    """Broadcasts every change of the registry until the task is cancelled.

    The event's type, such as `plugin.registered`, is upstream's `event_type`; `data` is the event's data, with the plugin's
    id as `subject` and the revision as `id`.

    Args:
        registry: An `AsyncRegistry`.
        broadcaster: Whatever has `async broadcast(event_type, data)`.
        after: The revision after which the changes begin; by default those from now on.
        filters: Those of `watch`, for example `category=`.

    Examples:
        >>> import asyncio
        >>> from plugin_registry import AsyncRegistry
        >>> from plugin_registry.upstream import bridge
        >>> class FirstEvent:
        ...     async def broadcast(self, event_type, data):
        ...         print(event_type, data["subject"])
        ...         task.cancel()
        >>> async def follow():
        ...     global task
        ...     async with AsyncRegistry(registry.url) as client:
        ...         task = asyncio.ensure_future(bridge(client, FirstEvent(), after=0))
        ...         await asyncio.wait([task])
        >>> asyncio.run(follow())
        plugin.registered transcription_whisper
    """
    watch: AsyncWatch[Event] = registry.watch(after=after, relist=False, **filters)
    async with watch:
        async for event in watch:
            await broadcaster.broadcast(event.type, {**event.data, "subject": event.subject, "id": event.id})
