"""The registry's answers about what plugins hold: docs/reference/fields.md lists their fields."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from .document import Document
from .errors import Refused, of_problem

FINDINGS = ("orphan", "ghost", "reused", "unverified", "overdue")
"""The kinds of findings."""


class ObservedResource(Document):
    """A resource of a plugin with its observation.

    >>> from plugin_registry import ObservedResource
    >>> ObservedResource({"kind": "process", "id": "7", "state": "alive"}).state
    'alive'
    """

    kind: str
    id: str
    claim: str
    state: str | None
    since: datetime | None
    by: str | None
    detail: str | None
    finding: Mapping[str, Any] | None
    _times: ClassVar = frozenset({"since"})


class PluginObserved(Document):
    """The observations of a plugin's resources.

    >>> from plugin_registry import PluginObserved
    >>> PluginObserved({"alive": 2}).alive
    2
    """

    alive: int
    gone: int
    reused: int
    unreachable: int
    unknown: int
    left_behind: int
    resources: list[ObservedResource]
    _inner: ClassVar = {"resources": ObservedResource}


class NextRequest(Document):
    """A request to the registry that ends the next safe step.

    >>> from plugin_registry import NextRequest
    >>> NextRequest({"method": "DELETE", "path": "/plugins/a_b", "body": None}).method
    'DELETE'
    """

    method: str
    path: str
    body: Any


class Evidence(Document):
    """The evidence of a finding, and the next safe step for the operator.

    >>> from plugin_registry import Evidence
    >>> Evidence({"text": "seen gone", "next_step": "release it"}).next_step
    'release it'
    """

    since: datetime | None
    text: str
    next_step: str
    next_request: NextRequest | None
    cost: list[float] | None
    _times: ClassVar = frozenset({"since"})
    _inner: ClassVar = {"next_request": NextRequest}


class ResourceObserved(Document):
    """The last observation of a resource.

    >>> from plugin_registry import ResourceObserved
    >>> ResourceObserved({"state": "gone", "by": "agent@gpu-1"}).by
    'agent@gpu-1'
    """

    state: str
    at: datetime
    since: datetime
    by: str
    detail: str | None
    identity: Mapping[str, Any] | None
    parent: Mapping[str, Any] | None
    abandoned: Mapping[str, Any] | None
    _times: ClassVar = frozenset({"at", "since"})


class ResourceLease(Document):
    """The lease under which a resource was claimed.

    >>> from plugin_registry import ResourceLease
    >>> ResourceLease({"lease_id": "x", "state": "lost"}).state
    'lost'
    """

    lease_id: str
    state: str


class Resource(Document):
    """A process, a container or a remote resource that a plugin holds: one row of ``GET /resources``.

    >>> registry.pids("transcription_whisper").set([4711])
    [4711]
    >>> row = next(registry.resources(plugin="transcription_whisper"))
    >>> row.kind, row.id, row.claimed, row.finding
    ('process', '4711', 'running', 'unverified')
    """

    plugin: str
    kind: str
    host: str | None
    id: str | None
    claim: str
    claimed: str
    billable: bool
    held_since: datetime
    claimed_by: Mapping[str, Any] | None
    left_at: datetime | None
    left_by: Mapping[str, Any] | None
    expires_at: datetime | None
    observed: ResourceObserved | None
    finding: str | None
    acknowledged: Mapping[str, Any] | None
    lease_id: str | None
    lease: ResourceLease | None
    certainty: str
    evidence: Evidence | None
    _times: ClassVar = frozenset({"held_since", "left_at", "expires_at"})
    _inner: ClassVar = {"observed": ResourceObserved, "lease": ResourceLease, "evidence": Evidence}


class Released(Document):
    """The result of releasing a resource by name.

    >>> registry.pids("transcription_whisper").set([4711])
    [4711]
    >>> registry.release(("transcription_whisper", "process", "4711"))[0].released
    True
    """

    plugin: str
    kind: str
    id: str
    released: bool
    revision: int | None
    problem: Mapping[str, Any] | None


class Event(Document):
    """A change (CloudEvents 1.0). ``data`` has the plugin after the change, and what differs.

    >>> event = next(registry.events(plugin="transcription_whisper"))
    >>> event.type, event.subject, event.revision
    ('plugin.registered', 'transcription_whisper', 1)
    """

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    principal: str | None
    datacontenttype: str
    data: Mapping[str, Any]
    name: str
    """``change`` or ``removal``: whether the plugin matches the filters of the watch. Events of a list are ``change``."""
    _times: ClassVar = frozenset({"time"})
    __slots__ = ("name",)

    def __init__(self, fields: Mapping[str, Any], name: str = "change") -> None:
        super().__init__(fields)
        self.name = name

    def __getstate__(self) -> object:
        return self._fields, self.name

    def __setstate__(self, fields: Any) -> None:
        self._fields, self.name = fields

    @property
    def revision(self) -> int:
        """The revision of the change."""
        return int(self["id"])

    @property
    def plugin(self) -> Mapping[str, Any] | None:
        """The plugin's document after the change; None if it was removed, or if the event is not about a plugin."""
        plugin: Mapping[str, Any] | None = self["data"].get("plugin")
        return plugin

    @property
    def changed(self) -> Mapping[str, Any]:
        """The changed fields: ``{"before": ..., "after": ...}`` each."""
        changed: Mapping[str, Any] = self["data"].get("changed") or {}
        return changed


class Resync(Document):
    """The first item of ``watch(relist=True)``, and every item after which the caller must list again.

    >>> from plugin_registry import Resync
    >>> with registry.watch(relist=True) as watch:
    ...     first = next(watch)
    >>> isinstance(first, Resync), [plugin.unique_id for plugin in first.plugins]
    (True, ['transcription_whisper'])
    """

    revision: int
    plugins: list[Any]
    reason: str | None


class LeaseInfo(Document):
    """A lease as the registry shows it.

    >>> with registry.lease("trainer") as lease:
    ...     registry.lease_info(lease.lease_id).state
    'active'
    """

    lease_id: str
    holder: str
    host: str | None
    ttl_seconds: int
    on_gone: str | None
    principal: str | None
    state: str
    renew_after_seconds: int
    granted_at: datetime
    renewed_at: datetime
    expires_at: datetime
    brake: str | None
    plugins: list[str]
    _times: ClassVar = frozenset({"granted_at", "renewed_at", "expires_at"})


class Verdict(Document):
    """The result of validating a configuration.

    >>> bool(registry.config("transcription_whisper").validate({}))
    True
    """

    valid: bool
    errors: list[Mapping[str, str]]

    def __bool__(self) -> bool:
        return bool(self["valid"])


class Result(Document):
    """The result of one line of :meth:`Registry.register_many`.

    >>> [result] = registry.register_many([{"name": "x", "category": "y", "title": "X", "config_schema": {}}])
    >>> result.status, result.unique_id, result.error
    (201, 'y_x', None)
    """

    line: int
    status: int
    unique_id: str | None
    revision: int | None
    problem: Mapping[str, Any] | None

    @property
    def ok(self) -> bool:
        """Whether the plugin was registered."""
        return int(self["status"]) < 400

    @property
    def error(self) -> Refused | None:
        """Why it was not; None if it was."""
        if self.ok:
            return None
        problem: Mapping[str, Any] = self.get("problem") or self
        return of_problem({"status": self["status"], **problem})
