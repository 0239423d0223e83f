"""Leases: whether the application behind plugins is still alive."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from .._core import calls, retry
from .._core.errors import NotFound, RegistryError, Unavailable, Unreachable
from .._core.here import holder_name, host_name
from .._core.http import Request
from .._keeper import Keeper, Kind
from .aio import Background, Stop, in_thread
from .delivery import PATIENCE

if TYPE_CHECKING:
    from .holding import AsyncHolding

log = logging.getLogger("plugin_registry")
LONGEST_PAUSE = 30.0


class AsyncLease:
    """A lease for the time of a block; plugins that are registered inside carry it.

    ``plugin-registry hold-lease`` renews it, in a process of its own: a computation that holds the interpreter does not
    lose it. Where the program is missing, a thread renews. When this process dies, nothing gives the lease back: it runs
    out, and the registry finds what was left behind. A child that was forked has no part in its parent's lease.

    If the registry is away, the block is entered all the same, and the lease is taken as soon as it answers.

    >>> async with registry.lease("trainer", ttl=30) as lease:
    ...     plugin = await registry.register({"name": "a", "category": "b", "title": "A", "config_schema": {}})
    ...     plugin.lease_id == lease.lease_id, lease.lost
    (True, False)
    >>> (await registry.lease_info(lease.lease_id)).state
    'released'
    """

    def __init__(
        self,
        registry: AsyncHolding,
        holder: str | None,
        ttl: int,
        host: str | None,
        keeper: Kind,
        on_lost: Callable[[str], object] | None,
        on_gone: str | None,
    ) -> None:
        self._registry = registry
        self._kind: Kind = keeper
        self._notify = on_lost
        where = host_name() if host is None else host
        document = {"holder": holder or holder_name(where), "host": where, "ttl_seconds": ttl, "on_gone": on_gone}
        self._request = retry.with_key(calls.post("/leases", {name: value for name, value in document.items() if value}))
        self._pid = os.getpid()
        self._keeper: Keeper | None = None
        self._later: Background | None = None
        self._stop = Stop()
        self._without: list[str] = []
        self._id: str | None = None
        self.lost = False
        """Whether the registry refuses to renew the lease."""

    @property
    def lease_id(self) -> str | None:
        """The id; None until the registry has granted the lease, and in a forked child."""
        return self._id if os.getpid() == self._pid else None

    @property
    def keeper(self) -> str | None:
        """What renews the lease: ``process``, ``thread``, or nothing yet."""
        return self._keeper.kind if self._keeper is not None else None

    async def __aenter__(self) -> AsyncLease:
        if not await self._take():
            log.warning("the registry cannot be reached; the lease is taken as soon as it answers")
            self._later = Background(self._take_later, "plugin-registry lease")
        self._registry.held_leases.append(self)
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.release()

    async def release(self) -> None:
        """Gives the lease back: a clean end. Doing so again does nothing."""
        if self in self._registry.held_leases:
            self._registry.held_leases.remove(self)
        if os.getpid() != self._pid or self._stop.is_set():
            return
        self._stop.set()
        if self._later is not None:
            await self._later.stop()
        if self._keeper is not None:
            await in_thread(self._keeper.stop)
        if self._id is not None:
            try:
                await self._registry.quiet().session.answer(calls.remove(f"/leases/{calls.segment(self._id)}"))
            except NotFound:
                pass  # The registry has forgotten it.

    def miss(self, unique_id: str) -> None:
        """Remembers a plugin that was registered before the lease was granted."""
        if unique_id not in self._without:
            self._without.append(unique_id)

    async def _take(self) -> bool:
        """Takes the lease; False if the registry cannot be reached."""
        session = self._registry.session
        try:
            flow = retry.attempts(self._request, retry.Policy(1, PATIENCE), session.settings.url)
            granted = (await session.drive(flow)).json()
        except (Unreachable, Unavailable):
            return False
        self._id = granted["lease_id"]
        make = partial(Keeper, session.settings, granted["lease_id"], granted["renew_after_seconds"], self._kind, self._lose)
        self._keeper = await in_thread(make)
        return True

    async def _take_later(self) -> None:
        pause = 1.0
        while not await self._stop.wait(pause):
            pause = min(pause * 2, LONGEST_PAUSE)
            try:
                if not await self._take():
                    continue
                for unique_id in self._without:
                    await self._registry.quiet().session.answer(self._carry(unique_id))
            except RegistryError as error:
                self._lose(str(error))
            return

    def _carry(self, unique_id: str) -> Request:
        return calls.patch(calls.plugin(unique_id), {"lease_id": self._id})

    def _lose(self, reason: str) -> None:
        self.lost = True
        log.warning("the lease %s is lost: %s", self._id, reason)
        if self._notify is not None:
            self._notify(reason)

    def __repr__(self) -> str:
        state = "lost" if self.lost else "released" if self._stop.is_set() else "held"
        return f"{type(self).__name__}({self._id!r}, {state})"
