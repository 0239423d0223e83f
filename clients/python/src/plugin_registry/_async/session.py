"""Drives the flows of the core: sends their requests, and waits."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import weakref
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, TypeVar

from .._core import retry
from .._core.errors import Unreachable
from .._core.http import Call, Failure, Flow, Request, Response, Send, Sleep
from .._core.sending import build, client_arguments, failure, response
from .._core.settings import Settings, TokenSource, find
from .aio import sleep

if TYPE_CHECKING:
    import httpx2

    from .delivery import AsyncDelivery

T = TypeVar("T")
log = logging.getLogger("plugin_registry")


class AsyncSession:
    """A connection pool, and the rules for repeats."""

    def __init__(
        self,
        url: str | None = None,
        *,
        token: TokenSource = None,
        context: str | None = None,
        ca_file: str | os.PathLike[str] | None = None,
        client_cert: str | os.PathLike[str] | tuple[str, str] | None = None,
        timeout: float = 10,
        retries: int = 4,
        deadline: float = 60,
        http_client: httpx2.AsyncClient | None = None,
        exact_numbers: bool = False,
        settings: Settings | None = None,
    ) -> None:
        self.settings: Settings = settings or find(url, token, context, ca_file, client_cert)
        self.policy = retry.Policy(retries, deadline)
        self.timeout = timeout
        self.exact_numbers = exact_numbers
        self._client: httpx2.AsyncClient | None = http_client
        self._own_client = http_client is None
        self._closed = False
        self._lock = threading.Lock()
        self.delivery: AsyncDelivery | None = None
        """Keeps writes that the registry cannot be told, if the client does so."""
        self.store: str | None = None
        """The store that answered last."""
        _sessions.add(self)

    def client(self) -> httpx2.AsyncClient:
        """The HTTP client; its import and its pool are made when the first request needs them."""
        if self._closed:
            raise RuntimeError("the registry client is closed")
        client = self._client
        return client if client is not None else self._make_client()

    def _make_client(self) -> httpx2.AsyncClient:
        import httpx2

        with self._lock:
            if self._client is None:
                self._client = httpx2.AsyncClient(**client_arguments(self.settings, self.timeout))
            return self._client

    async def send_once(self, request: Request) -> Response | Failure:
        """Sends a request once."""
        import httpx2

        try:
            client = self.client()
            answer = await client.send(build(client, self.settings, request, self.timeout))
        except httpx2.TransportError as error:
            return failure(error)
        self.store = answer.headers.get("registry-store", self.store)
        return response(answer)

    async def drive(self, flow: Flow[T]) -> T:
        """Does what a flow asks for, until it returns."""
        reply: Response | Failure | None = None
        while True:
            try:
                effect = flow.send(reply)
            except StopIteration as end:
                value: T = end.value
                return value
            if isinstance(effect, Send):
                reply = await self.send_once(effect.request)
            else:
                assert isinstance(effect, Sleep)
                log.debug("the registry at %s is asked again in %.2f s", self.settings.url, effect.seconds)
                await sleep(effect.seconds)
                reply = None

    async def call(self, call: Call[T]) -> T:
        """Makes a call, with its repeats."""
        return await self.drive(retry.call(call, self.policy, self.settings.url))

    async def answer(self, request: Request) -> Response:
        """Sends a request, with its repeats, and returns the response."""
        if self.delivery is not None and request.takes_key and request.keeps:
            return await self.delivery.answer(request)
        return await self.drive(retry.attempts(request, self.policy, self.settings.url))

    async def json(self, request: Request, *, exact: bool | None = None) -> Any:
        """Sends a request, with its repeats, and returns the document of its response."""
        answer = await self.answer(request)
        return answer.json(exact=self.exact_numbers if exact is None else exact)

    @contextlib.asynccontextmanager
    async def stream(self, request: Request, *, read_timeout: float) -> AsyncGenerator[httpx2.Response, None]:
        """Sends a request once, and leaves the body of its response to the caller."""
        import httpx2

        client = self.client()
        built = build(client, self.settings, request, self.timeout)
        built.extensions["timeout"] = httpx2.Timeout(self.timeout, read=read_timeout).as_dict()
        try:
            answer = await client.send(built, stream=True)
        except httpx2.TransportError as error:
            reason = failure(error).reason
            raise Unreachable(f"cannot reach the registry at {self.settings.url}\n  {reason}") from error
        try:
            self.store = answer.headers.get("registry-store", self.store)
            yield answer
        finally:
            await answer.aclose()

    def sibling(self) -> AsyncSession:
        """Another session with the same settings; it shares an HTTP client that is the caller's."""
        client = None if self._own_client else self._client
        return AsyncSession(
            timeout=self.timeout,
            retries=self.policy.retries,
            deadline=self.policy.deadline,
            http_client=client,
            exact_numbers=self.exact_numbers,
            settings=self.settings,
        )

    async def aclose(self) -> None:
        """Closes the connections."""
        if self.delivery is not None:
            await self.delivery.aclose()
        self._closed = True
        if self._client is not None and self._own_client:
            await self._client.aclose()

    def after_fork(self) -> None:
        """In a child process: the parent's connections are not ours. The child makes its own."""
        self._lock = threading.Lock()  # A thread of the parent may hold the other one for ever.
        if self._own_client:
            self._client = None
        if self.delivery is not None:
            self.delivery.after_fork()


_sessions: weakref.WeakSet[AsyncSession] = weakref.WeakSet()


def _after_fork() -> None:
    for session in list(_sessions):
        session.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
