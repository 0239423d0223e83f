"""Tells the kept writes as soon as the registry can be reached again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .._core import retry
from .._core.errors import Refused, Unavailable, Unreachable
from .._core.http import Request, Response
from .._core.outbox import Outbox, stand_in
from .aio import Background, Stop, in_thread

if TYPE_CHECKING:
    from .session import AsyncSession

PATIENCE = 5.0
"""How long a write may delay the application before it is kept."""
FIRST_TRY, LONGEST_PAUSE = 1.0, 30.0


class AsyncDelivery:
    """Sends writes, or keeps those that cannot be told yet."""

    def __init__(self, session: AsyncSession, outbox: Outbox) -> None:
        self._session = session
        self._outbox = outbox
        self._background: Background | None = None
        self._stop = Stop()

    async def answer(self, request: Request) -> Response:
        """Sends a write after all that are kept, or keeps it behind them."""
        request, in_doubt = retry.with_key(request), False
        if await self.flush():
            try:
                return await self._send(request, 1)
            except (Unreachable, Unavailable) as error:
                in_doubt = error.in_doubt
        await in_thread(partial(self._outbox.put, request, in_doubt=in_doubt))
        if self._background is None:
            self._background = Background(self._deliver, "plugin-registry queue")
        return stand_in(request)

    async def flush(self) -> bool:
        """Tells what is kept, in its order. Whether nothing is left."""
        if not self._outbox.waiting():
            return True
        with self._outbox.delivery() as mine:
            return mine and await self._tell_all()

    async def _tell_all(self) -> bool:
        for path in self._outbox.waiting():
            request = self._outbox.read(path)
            if request is None:
                continue
            first = not self._outbox.was_sent(path)
            if not self._outbox.begins(path, request):
                continue
            try:
                await self._send(request, 0)
            except (Unreachable, Unavailable) as error:
                if first and not error.in_doubt:
                    self._outbox.not_sent(path)
                return False
            except Refused as error:
                if error.status in retry.RETRIED:
                    return False
                # What no longer exists needs no release.
                if request.method != "DELETE" or error.status != 404:
                    self._outbox.refused(path, error)
                    continue
            self._outbox.told(path)
        return True

    async def _send(self, request: Request, retries: int) -> Response:
        policy = retry.Policy(min(retries, self._session.policy.retries), PATIENCE)
        return await self._session.drive(retry.attempts(request, policy, self._session.settings.url))

    async def _deliver(self) -> None:
        pause = FIRST_TRY
        while not await self._stop.wait(pause):
            pause = FIRST_TRY if await self.flush() else min(pause * 2, LONGEST_PAUSE)

    def after_fork(self) -> None:
        """In a child process: the thread that tells is the parent's."""
        self._background = None

    async def aclose(self) -> None:
        """Ends; what is kept stays for the next client of this registry."""
        self._stop.set()
        if self._background is not None:
            await self._background.stop()
