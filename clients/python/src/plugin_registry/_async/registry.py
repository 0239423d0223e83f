"""The client."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from .._core.outbox import Outbox
from .._core.settings import Settings, TokenSource
from .delivery import AsyncDelivery
from .holding import AsyncHolding
from .session import AsyncSession

if TYPE_CHECKING:
    from typing import Self

    import httpx2


class AsyncRegistry(AsyncHolding):
    """A client of a registry.

    Arguments override the environment (``PLUGIN_REGISTRY_SERVER``, ``PLUGIN_REGISTRY_TOKEN`` …), which overrides the
    configuration file of the command line; without any of them, the registry is at http://127.0.0.1:8080.

    :param url: the address of the registry
    :param token: the token, or a function that returns it: it is called for every attempt
    :param context: a context of the command line's configuration file
    :param ca_file: for https: the authorities to trust instead of the system's (PEM)
    :param client_cert: a certificate (PEM) with its key, or a pair of files
    :param timeout: how long one attempt may take, in seconds
    :param retries: how often an attempt is repeated
    :param deadline: how long a call may take with all repeats, in seconds
    :param on_unreachable: ``"raise"``, or ``"queue"`` to keep writes on disk and send them later
    :param http_client: an ``httpx2`` client of yours; it stays open
    :param exact_numbers: numbers with a point are ``Decimal``, with the digits that were sent
    :param settings: the first five, as another client has found them

    >>> from plugin_registry import AsyncRegistry
    >>> async with AsyncRegistry(url) as mine:
    ...     (await mine.ready()).status
    'ready'
    """

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
        on_unreachable: Literal["raise", "queue"] = "raise",
        http_client: httpx2.AsyncClient | None = None,
        exact_numbers: bool = False,
        settings: Settings | None = None,
    ) -> None:
        self.held_leases = []
        self.session = AsyncSession(
            url,
            token=token,
            context=context,
            ca_file=ca_file,
            client_cert=client_cert,
            timeout=timeout,
            retries=retries,
            deadline=deadline,
            http_client=http_client,
            exact_numbers=exact_numbers,
            settings=settings,
        )
        if on_unreachable == "queue":
            self.session.delivery = AsyncDelivery(self.session, Outbox(self.url))

    @property
    def url(self) -> str:
        """The address of the registry.

        >>> registry.url == url
        True
        """
        return self.session.settings.url

    async def aclose(self) -> None:
        """Closes the connections.

        >>> from plugin_registry import AsyncRegistry
        >>> await AsyncRegistry(url).aclose()
        """
        await self.session.aclose()
        if self._quiet is not None:
            await self._quiet.session.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: Any) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"
