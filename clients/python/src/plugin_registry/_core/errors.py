"""Errors as a tree: what a caller can do about each decides its class, and the problem's type chooses the class."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

PREFIX = "urn:plugin-registry:problem:"


class RegistryError(Exception):
    """The root of all errors of this package.

    >>> from plugin_registry import RegistryError, NotFound
    >>> issubclass(NotFound, RegistryError)
    True
    """

    in_doubt = False
    """Whether the registry may have done the write, although its answer did not arrive."""


class Unreachable(RegistryError):
    """The registry gave no answer: it is down, or the network is.

    >>> from plugin_registry import Registry, Unreachable
    >>> try:
    ...     Registry("http://127.0.0.1:1", retries=0).stats()
    ... except Unreachable as error:
    ...     print(str(error).splitlines()[0])
    cannot reach the registry at http://127.0.0.1:1
    """


class TimedOut(RegistryError):
    """A wait ended without what it waited for.

    >>> from plugin_registry import TimedOut
    >>> try:
    ...     registry.wait("transcription_whisper", "deleted", timeout=0.1)
    ... except TimedOut as error:
    ...     print(error)
    transcription_whisper is not deleted after 0.1 s
    """


class SecretMasked(RegistryError):
    """The configuration has the mask of a secret in it; saving it would lose the secret. Nothing was sent.

    >>> from plugin_registry import Masked, SecretMasked
    >>> try:
    ...     registry.config("transcription_whisper").save({"token": Masked()})
    ... except SecretMasked as error:
    ...     print(error)
    /token is the mask of a secret: save the secret itself, or leave the configuration as it is
    """


@dataclass(frozen=True)
class FieldError:
    """One mistake in a document: where it is, and what would be right.

    >>> from plugin_registry import FieldError
    >>> print(FieldError("/title", "must be a string, not a number"))
    /title: must be a string, not a number
    """

    pointer: str
    detail: str

    def __str__(self) -> str:
        return f"{self.pointer or 'the document'}: {self.detail}"


class Refused(RegistryError):
    """The registry refused the request; the attributes are those of the problem document (RFC 9457).

    >>> from plugin_registry import Refused
    >>> try:
    ...     registry.register({"name": "x", "category": "y", "title": 1, "config_schema": {}})
    ... except Refused as error:
    ...     print(error.status, error.type.rpartition(":")[2], error.errors[0].pointer)
    422 invalid-document /title
    """

    def __init__(
        self,
        status: int,
        type: str = "about:blank",
        title: str = "",
        detail: str = "",
        errors: Sequence[FieldError] = (),
        request_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, type, title, detail)
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.errors = list(errors)
        self.request_id = request_id
        self.headers = dict(headers or {})

    @property
    def retry_after(self) -> float | None:
        """How many seconds to wait before a repeat, if the registry said so."""
        from .retry import retry_after

        return retry_after(self.headers)

    def __str__(self) -> str:
        head = f"{self.title}: {self.detail}" if self.title and self.detail else self.title or self.detail
        lines = [head or f"the registry answered {self.status}"]
        # The detail of a single mistake names it already.
        if len(self.errors) > 1 or not all(error.detail in self.detail for error in self.errors):
            lines += [f"  {error}" for error in self.errors]
        hint = _HINTS.get(self.status)
        lines += [f"  try: {hint}"] if hint else []
        lines += [f"  request: {self.request_id}"] if self.request_id else []
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        # The default would call the class with the four arguments of Exception.__init__.
        values = (self.status, self.type, self.title, self.detail, self.errors, self.request_id, self.headers)
        return type(self), values


_HINTS = {
    401: "plugin-registry login, or Registry(token=...)",
    403: "a token whose role and scope allow this",
}


class HistoryGone(Refused):
    """The history was compacted beyond the revision, or belongs to another store: begin with a list again.

    >>> from plugin_registry import HistoryGone
    >>> HistoryGone(410).status
    410
    """


class BadRequest(Refused):
    """The request is malformed (400, 404 of a path, 405, 406, 411–417, 421, 431).

    >>> from plugin_registry import BadRequest
    >>> try:
    ...     registry.list(limit=0)
    ... except BadRequest as error:
    ...     print(error.detail)
    `limit` must be an integer from 1 to 10000
    """


class Unauthorized(Refused):
    """Tokens are configured, and the request has none in force (401).

    >>> from plugin_registry import Unauthorized
    >>> print(Unauthorized(401, title="A valid token is required"))
    A valid token is required
      try: plugin-registry login, or Registry(token=...)
    """


class Forbidden(Refused):
    """The token's role or scope does not allow the request (403).

    >>> from plugin_registry import Forbidden
    >>> Forbidden(403).status
    403
    """


class NotFound(Refused):
    """What the request names does not exist, or was removed (404).

    >>> from plugin_registry import NotFound
    >>> try:
    ...     registry.get("no_such")
    ... except NotFound as error:
    ...     print(error.title)
    Not found
    """


class Conflict(Refused):
    """The present state contradicts the request (409): it is an answer, and never retried.

    >>> from plugin_registry import Conflict, StillHeld
    >>> issubclass(StillHeld, Conflict)
    True
    """


class StillHeld(Conflict):
    """The plugin holds what may still run or bill: release it first, or force the removal.

    >>> from plugin_registry import StillHeld
    >>> registry.pids("transcription_whisper").set([4711])
    [4711]
    >>> try:
    ...     registry.delete("transcription_whisper")
    ... except StillHeld as error:
    ...     print(error.title)
    The plugin still holds resources
    """


class IdTaken(Conflict):
    """Another category and name make the same ``unique_id``.

    >>> from plugin_registry import IdTaken, PluginMetadata
    >>> try:
    ...     registry.register(PluginMetadata("a_whisper", "b", "B", {}))
    ...     registry.register(PluginMetadata("whisper", "b_a", "B", {}))
    ... except IdTaken as error:
    ...     print(error.title)
    Plugin('b_a_whisper', revision=..., holds nothing)
    The unique_id belongs to another plugin
    """


class IdentityFixed(Conflict):
    """The document changes the name, the category or the ``unique_id`` of a plugin.

    >>> from plugin_registry import IdentityFixed
    >>> try:
    ...     registry.patch("transcription_whisper", {"name": "other"})
    ... except IdentityFixed as error:
    ...     print(error.title)
    A plugin's identity cannot change
    """


class NoFinding(Conflict):
    """The resource has no finding, so there is nothing to acknowledge.

    >>> from plugin_registry import NoFinding
    >>> NoFinding(409).status
    409
    """


class LeaseReleased(Conflict):
    """The holder gave the lease back: take a new one.

    >>> from plugin_registry import LeaseReleased
    >>> LeaseReleased(409).status
    409
    """


class AnotherAgent(Conflict):
    """Another agent has reported for the host.

    >>> from plugin_registry import AnotherAgent
    >>> AnotherAgent(409).status
    409
    """


class TooMany(Conflict):
    """The registry has as many of them as it may: leases, webhooks, tokens, budgets.

    >>> from plugin_registry import TooMany
    >>> TooMany(409).status
    409
    """


class NameTaken(Conflict):
    """A token in force has the name.

    >>> from plugin_registry import NameTaken
    >>> NameTaken(409).status
    409
    """


class PreconditionFailed(Refused):
    """Another client has changed it (412): read it again and decide anew.

    >>> from plugin_registry import PreconditionFailed
    >>> read_before = registry.get("transcription_whisper")
    >>> _ = registry.update("transcription_whisper", title="changed by another client")
    >>> try:
    ...     registry.update(read_before, title="mine")
    ... except PreconditionFailed as error:
    ...     print(error.title)
    The precondition does not hold
    """


class Invalid(Refused):
    """The document breaks a rule (422): ``errors`` names every wrong place.

    >>> from plugin_registry import Invalid
    >>> try:
    ...     registry.update("transcription_whisper", title=None)
    ... except Invalid as error:
    ...     print(error.errors[0].pointer)
    /title
    """


class TooManyRequests(Refused):
    """The caller is over its rate (429), and stayed so over all retries.

    >>> from plugin_registry import TooManyRequests
    >>> TooManyRequests(429, headers={"retry-after": "3"}).retry_after
    3.0
    """


class Full(Refused):
    """The registry holds as much as it may (507): remove plugins, or let the operator raise the quota.

    >>> from plugin_registry import Full
    >>> Full(507).status
    507
    """


class Unavailable(Refused):
    """The registry cannot do it at the moment (408, 500–504), and could not over all retries.

    >>> from plugin_registry import Unavailable
    >>> Unavailable(503, title="Temporarily unavailable").title
    'Temporarily unavailable'
    """


_BY_TYPE: dict[str, type[Refused]] = {
    "unique-id-taken": IdTaken,
    "identity-fixed": IdentityFixed,
    "still-held": StillHeld,
    "no-finding": NoFinding,
    "too-many-webhooks": TooMany,
    "too-many-tokens": TooMany,
    "too-many-budgets": TooMany,
    "too-many-leases": TooMany,
    "token-name-taken": NameTaken,
    "lease-released": LeaseReleased,
    "another-agent": AnotherAgent,
    "registry-full": Full,
}
_BY_STATUS: dict[int, type[Refused]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    410: HistoryGone,
    412: PreconditionFailed,
    422: Invalid,
    429: TooManyRequests,
    507: Full,
}


def refused(status: int, headers: Mapping[str, str], body: bytes) -> Refused:
    """The error of a response: by the type of its problem, and of an unknown type by its status."""
    problem: Mapping[str, Any] = {}
    try:
        document: object = json.loads(body)
        problem = cast("Mapping[str, Any]", document) if isinstance(document, dict) else {}
    except ValueError:
        pass  # A proxy's page, or a body that was cut off: the status says enough.
    return of_problem({"status": status, "request_id": headers.get("x-request-id"), **problem}, headers)


def of_problem(problem: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Refused:
    """The error of a problem document."""
    status, type_ = int(problem.get("status", 500)), str(problem.get("type", "about:blank"))
    cls = _BY_TYPE.get(type_.removeprefix(PREFIX)) or _BY_STATUS.get(status)
    cls = cls or (Unavailable if status >= 500 else BadRequest)
    errors = [FieldError(str(each.get("pointer", "")), str(each.get("detail", ""))) for each in problem.get("errors", ())]
    title, detail = str(problem.get("title", "")), str(problem.get("detail", ""))
    return cls(status, type_, title, detail, errors, problem.get("request_id"), headers)
