"""What both transports share: the HTTP client's arguments, whole requests, and failures from exceptions."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from .http import Failure, Request, Response
from .settings import Settings

if TYPE_CHECKING:
    import ssl

    import httpx2

VERSION = "0.1.0"
AGENT = f"plugin-registry-python/{VERSION} (Python {sys.version_info[0]}.{sys.version_info[1]}; {sys.platform})"
CONNECTIONS = 20


def client_arguments(settings: Settings, timeout: float) -> dict[str, Any]:
    """The arguments of ``httpx2.Client``."""
    import httpx2

    host = urlsplit(settings.url).hostname or ""
    return {
        "verify": _tls(settings),
        # A proxy of the environment cannot reach the loopback of this machine.
        "trust_env": host not in ("localhost", "127.0.0.1", "::1"),
        "timeout": timeout,
        "limits": httpx2.Limits(max_connections=None, max_keepalive_connections=CONNECTIONS, keepalive_expiry=30),
        "headers": {"User-Agent": AGENT, "Accept-Encoding": "identity"},
    }


def _tls(settings: Settings) -> ssl.SSLContext:
    import ssl

    if not settings.url.startswith("https:"):
        # Loading the system's authorities takes longer than everything else; this context trusts none.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = ssl.create_default_context(cafile=settings.ca_file)
    certificate = settings.client_cert
    if isinstance(certificate, tuple):
        context.load_cert_chain(*certificate)
    elif certificate:
        context.load_cert_chain(certificate)
    return context


def build(client: Any, settings: Settings, request: Request, timeout: float) -> httpx2.Request:
    """The request as it is sent: with the address, and with the token as it is now."""
    url = settings.url + request.path
    if request.query:
        url += "?" + urlencode(request.query)
    headers = dict(request.headers)
    token = settings.current_token()
    if token and "Authorization" not in headers:
        headers["Authorization"] = f"Bearer {token}"
    built: httpx2.Request = client.build_request(
        request.method, url, content=request.body, headers=headers, timeout=timeout + request.wait
    )
    return built


def failure(error: Exception) -> Failure:
    """Why there is no response, and whether the registry may have received the request."""
    import httpx2

    unsent = isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol))
    timed_out = isinstance(error, httpx2.TimeoutException)
    words = str(error) or type(error).__name__
    if timed_out:
        words = "it did not accept the connection in time" if unsent else "it did not answer in time"
    return Failure(words, sent=not unsent, timed_out=timed_out, cause=error)


def response(answer: httpx2.Response) -> Response:
    """The whole response."""
    return Response(answer.status_code, answer.headers, answer.content)


def hang_up(answer: httpx2.Response) -> None:
    """Ends a stream that another thread or task reads: its read ends at once."""
    import contextlib
    import socket

    stream = answer.extensions.get("network_stream")
    connection = stream.get_extra_info("socket") if stream is not None else None
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
