"""The registry's answers about counts, costs, access and itself: docs/reference/fields.md lists their fields."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from .document import Document


class Stats(Document):
    """Numbers of plugins by property.

    >>> registry.stats().by_category
    {'transcription': 1}
    """

    total: int
    configured: int
    unconfigured: int
    local: int
    cloud: int
    with_active_resources: int
    by_category: Mapping[str, int]
    by_execution_mode: Mapping[str, int]
    by_provider: Mapping[str, int]
    revision: int


class Category(Document):
    """A category that is in use, or that has a display name.

    >>> registry.categories()[0].display_name
    'Transcription'
    """

    name: str
    display_name: str
    plugins: int


class Costs(Document):
    """The costs of plugins, by their declared prices.

    >>> registry.costs(hours=24).estimate
    {'hours': 24, 'usd': 0}
    """

    note: str
    at: datetime
    burn_usd_per_hour: float
    billable: int
    unpriced: int
    estimate: Mapping[str, float] | None
    accrued: Mapping[str, Any] | None
    groups: list[Mapping[str, Any]]
    revision: int
    _times: ClassVar = frozenset({"at"})


class Budget(Document):
    """A budget, and how much of it is spent.

    >>> budget = registry.budgets.create("speech", limit_usd=100, period="month")
    >>> budget.spent_percent
    0
    """

    id: str
    name: str
    filters: Mapping[str, Any]
    limit_usd: float
    limit_usd_per_hour: float | None
    period: str
    threshold_percent: list[int]
    counted_from: datetime
    period_start: datetime | None
    period_end: datetime | None
    spent: Mapping[str, float]
    spent_percent: int
    burn_usd_per_hour: float
    over_limit_per_hour: bool
    projected_breach_at: datetime | None
    reached_percent: list[int]
    revision: int
    created_at: datetime
    updated_at: datetime
    _times: ClassVar = frozenset(
        {"counted_from", "period_start", "period_end", "projected_breach_at", "created_at", "updated_at"}
    )


class Webhook(Document):
    """A webhook and its progress. Only the answer to ``create`` has the ``secret``.

    >>> webhook = registry.webhooks.create("http://127.0.0.1:9/hook")
    >>> webhook.state, webhook.secret.startswith("whsec_")
    ('delivering', True)
    """

    id: str
    url: str
    description: str | None
    filters: Mapping[str, Any]
    kinds: list[str]
    enabled: bool
    state: str
    position: int
    lag: int
    failures: int
    first_failed_at: datetime | None
    next_attempt_at: datetime | None
    last_error: str | None
    last_status: int | None
    last_delivered_at: datetime | None
    parked_at: datetime | None
    created_at: datetime
    updated_at: datetime
    secret: str | None
    _times: ClassVar = frozenset(
        {"first_failed_at", "next_attempt_at", "last_delivered_at", "parked_at", "created_at", "updated_at"}
    )


class WebhookTest(Document):
    """The outcome of a test delivery.

    >>> from plugin_registry import WebhookTest
    >>> WebhookTest({"delivered": True, "status": 200}).delivered
    True
    """

    delivered: bool
    status: int | None
    error: str | None
    webhook_id: str


class Token(Document):
    """A token. Only the answer to ``create`` has its text, in ``token``.

    >>> from plugin_registry import Token
    >>> Token({"name": "trainer", "role": "reporter"}).role
    'reporter'
    """

    id: str
    name: str
    role: str
    scope: Mapping[str, Any] | None
    expires_at: datetime | None
    source: str
    created_at: datetime | None
    created_by: str | None
    last_used_at: datetime | None
    token: str | None
    _times: ClassVar = frozenset({"expires_at", "created_at", "last_used_at"})

    def __repr__(self) -> str:
        shown = {name: "…" if name == "token" else value for name, value in self.items()}
        return f"Token({shown})"


class Readiness(Document):
    """Whether the registry is ready.

    >>> registry.ready().status
    'ready'
    """

    status: str
    version: str | None
    revision: int | None
    plugins: int | None
    reason: str | None
    since: datetime | None
    age_seconds: int | None
    sight: list[Mapping[str, Any]] | None
    _times: ClassVar = frozenset({"since"})


class Caller(Document):
    """Who the registry takes this client for, and what it may do.

    >>> registry.whoami().may
    ['read', 'write', 'observe', 'administer']
    """

    name: str
    authenticated: bool
    role: str | None
    scope: Mapping[str, Any] | None
    expires_at: datetime | None
    may: list[str]
    tokens_configured: bool
    refused: str | None
    _times: ClassVar = frozenset({"expires_at"})


class Host(Document):
    """A host: what looks at it, and what is held there.

    >>> registry.update("transcription_whisper", host="gpu-1").host
    'gpu-1'
    >>> [(host.host, host.looked_at, host.plugins) for host in registry.hosts()][-1]
    ('gpu-1', False, 1)
    """

    host: str | None
    is_own: bool
    names: list[str]
    looked_at: bool
    probe: str | None
    agent: str | None
    heard_at: datetime | None
    sight: list[Mapping[str, Any]]
    plugins: int
    processes: int
    containers: int
    remotes: int
    findings: int
    findings_by_kind: Mapping[str, int]
    usd_per_hour: float
    _times: ClassVar = frozenset({"heard_at"})
