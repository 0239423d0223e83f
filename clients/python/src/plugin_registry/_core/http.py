"""Requests, responses, and the effects that a flow asks its driver for."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import quote

from . import json_codec
from .errors import RegistryError

T = TypeVar("T")

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
NDJSON = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"
KEY = "Idempotency-Key"


@dataclass(frozen=True)
class Request:
    """A request, before the address of the registry and the token are known."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())
    body: bytes | None = None
    takes_key: bool = False
    """Whether the operation takes an Idempotency-Key."""
    repeatable: bool = True
    """Whether a repeat does no harm, after a failure that leaves open whether the registry did it."""
    keeps: bool = True
    """Whether a write may be told later: its caller needs nothing of the answer."""
    wait: float = 0
    """How many seconds the registry may take before it answers, beside the usual time."""

    def with_headers(self, **headers: str | None) -> Request:
        """The same request with more header fields; ``_`` stands for ``-``."""
        more = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
        return replace(self, headers={**self.headers, **more})


@dataclass(frozen=True)
class Response:
    """A whole response. The names of header fields are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self, *, exact: bool = False) -> Any:
        """The document of the body."""
        try:
            return json_codec.loads(self.body, exact=exact)
        except ValueError as error:
            start = self.body[:40].decode("utf-8", "replace")
            raise RegistryError(f"the answer is not JSON; is this a registry? It begins with {start!r}") from error


@dataclass(frozen=True)
class Failure:
    """There is no whole response."""

    reason: str
    sent: bool
    """Whether the registry may have received the request."""
    timed_out: bool = False
    cause: BaseException | None = None


@dataclass(frozen=True)
class Send:
    """The driver sends the request once, and replies with the response or the failure."""

    request: Request


@dataclass(frozen=True)
class Sleep:
    """The driver waits."""

    seconds: float


Effect: TypeAlias = Send | Sleep
Reply: TypeAlias = "Response | Failure | None"
Flow: TypeAlias = Generator[Effect, Reply, T]


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and how to read its response."""

    request: Request
    read: Callable[[Response], T]


def segment(text: object) -> str:
    """A segment of a path, percent-encoded."""
    return quote(str(text), safe="")


def json_request(method: str, path: str, document: object, *, media_type: str = JSON, **options: Any) -> Request:
    """A request with a document."""
    headers = {"Content-Type": media_type, **options.pop("headers", {})}
    options.setdefault("takes_key", True)
    return Request(method, path, headers=headers, body=json_codec.dumps(document), **options)
