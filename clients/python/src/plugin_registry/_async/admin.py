"""Budgets, webhooks, tokens and backups: what operators set up."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from .._core import calls
from .._core.account_documents import Budget, Token, Webhook, WebhookTest
from .._core.errors import RegistryError, refused
from .._core.http import NDJSON, Request
from .._core.times import rfc3339
from .._core.unset import UNSET, UnsetType
from .aio import in_thread
from .resources import AsyncResources
from .session import AsyncSession

QUIET = 120.0
"""How many seconds a backup may pause."""


class AsyncBudgets:
    """The budgets: ``create``, ``list``, ``get``, ``update``, ``delete``.

    >>> budget = await registry.budgets.create("speech", limit_usd=100, period="month", filters={"category": "speech"})
    >>> (await registry.budgets.update(budget.id, limit_usd=200)).limit_usd
    200
    >>> await registry.budgets.delete(budget.id)
    >>> await registry.budgets.list()
    []
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def create(
        self,
        name: str,
        *,
        limit_usd: float,
        period: str,
        limit_usd_per_hour: float | None = None,
        filters: Mapping[str, Any] | None = None,
        threshold_percent: Sequence[int] | None = None,
    ) -> Budget:
        """Creates a budget: a period is a ``day``, a ``week``, a ``month``, or ``total``."""
        document = _given(
            name=name,
            limit_usd=limit_usd,
            limit_usd_per_hour=limit_usd_per_hour,
            period=period,
            filters=filters,
            threshold_percent=threshold_percent,
        )
        return Budget(await self._session.json(calls.post("/budgets", document)))

    async def list(self) -> list[Budget]:
        """All budgets."""
        return [Budget(each) for each in (await self._session.json(calls.get("/budgets")))["items"]]

    async def get(self, budget_id: str) -> Budget:
        """A budget."""
        return Budget(await self._session.json(calls.get(_at("/budgets", budget_id))))

    async def update(self, budget_id: str, **fields: Any) -> Budget:
        """Changes fields of a budget."""
        return Budget(await self._session.json(calls.patch(_at("/budgets", budget_id), fields)))

    async def delete(self, budget_id: str) -> None:
        """Removes a budget."""
        await self._session.answer(calls.remove(_at("/budgets", budget_id)))


class AsyncWebhooks:
    """The webhooks: ``create``, ``list``, ``get``, ``update``, ``delete``, ``test``.

    >>> webhook = await registry.webhooks.create("http://127.0.0.1:9/hook", kinds=["finding.raised"])
    >>> (await registry.webhooks.update(webhook.id, enabled=False)).enabled
    False
    >>> (await registry.webhooks.test(webhook.id)).delivered
    False
    >>> await registry.webhooks.delete(webhook.id)
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def create(self, url: str, **fields: Any) -> Webhook:
        """Creates a webhook. Only this answer has the ``secret``, so it is never repeated on its own."""
        request = calls.post("/webhooks", {"url": url, **fields}, takes_key=False, repeatable=False)
        return Webhook(await self._session.json(request))

    async def list(self) -> list[Webhook]:
        """All webhooks."""
        return [Webhook(each) for each in (await self._session.json(calls.get("/webhooks")))["items"]]

    async def get(self, webhook_id: str) -> Webhook:
        """A webhook."""
        return Webhook(await self._session.json(calls.get(_at("/webhooks", webhook_id))))

    async def update(self, webhook_id: str, **fields: Any) -> Webhook:
        """Changes fields of a webhook: ``enabled=True`` resumes one that was parked."""
        return Webhook(await self._session.json(calls.patch(_at("/webhooks", webhook_id), fields, takes_key=False)))

    async def delete(self, webhook_id: str) -> None:
        """Removes a webhook."""
        await self._session.answer(calls.remove(_at("/webhooks", webhook_id), takes_key=False))

    async def test(self, webhook_id: str) -> WebhookTest:
        """Sends a test event, and returns the outcome."""
        path = f"{_at('/webhooks', webhook_id)}/test"
        return WebhookTest(await self._session.json(Request("POST", path, repeatable=False)))


class AsyncTokens:
    """The tokens: ``create``, ``list``, ``get``, ``revoke``.

    >>> admin = await registry.tokens.create("admin", "admin")
    >>> admin.token.startswith("plr_")
    True
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def create(
        self,
        name: str,
        role: str,
        *,
        scope: Mapping[str, Any] | None = None,
        expires_at: datetime | str | None | UnsetType = UNSET,
    ) -> Token:
        """Creates a token. Only this answer has its text, so it is never repeated on its own."""
        document = _given(name=name, role=role, scope=scope)
        if expires_at is not UNSET:
            document["expires_at"] = None if expires_at is None else rfc3339(expires_at)
        return Token(await self._session.json(calls.post("/tokens", document, takes_key=False, repeatable=False)))

    async def list(self) -> list[Token]:
        """All tokens, without their texts."""
        return [Token(each) for each in (await self._session.json(calls.get("/tokens")))["items"]]

    async def get(self, token_id: str) -> Token:
        """A token, without its text."""
        return Token(await self._session.json(calls.get(_at("/tokens", token_id))))

    async def revoke(self, token_id: str) -> None:
        """Revokes a token: the registry refuses it at once."""
        await self._session.answer(calls.remove(_at("/tokens", token_id), takes_key=False))


class AsyncAdmin(AsyncResources):
    """The part of the client that is for operators."""

    @property
    def budgets(self) -> AsyncBudgets:
        """The budgets.

        >>> await registry.budgets.list()
        []
        """
        return AsyncBudgets(self.session)

    @property
    def webhooks(self) -> AsyncWebhooks:
        """The webhooks.

        >>> await registry.webhooks.list()
        []
        """
        return AsyncWebhooks(self.session)

    @property
    def tokens(self) -> AsyncTokens:
        """The tokens.

        >>> await registry.tokens.list()
        []
        """
        return AsyncTokens(self.session)

    async def backup(self, path: str | os.PathLike[str]) -> int:
        """Writes a backup to a file, which ``plugin-registry restore`` reads, and returns its size.

        The file appears once it is whole, with access for its owner alone: it has secrets.

        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "backup.ndjson")
        ...     size = await registry.backup(path)
        ...     size == os.path.getsize(path)
        True
        """
        target = Path(path)
        part = target.with_name(f"{target.name}.part")
        file = os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        try:
            last = b""
            with file:
                async with self.session.stream(Request("GET", "/backup", headers={"Accept": NDJSON}), read_timeout=QUIET) as answer:
                    if answer.status_code >= 400:
                        raise refused(answer.status_code, answer.headers, await answer.aread())
                    async for piece in answer.aiter_bytes():
                        last = (last + piece)[-4096:]
                        file.write(piece)
                file.flush()
                await in_thread(partial(os.fsync, file.fileno()))
            if b'{"end"' not in last.rstrip().rpartition(b"\n")[2]:
                raise RegistryError("the backup is incomplete: its last line is missing")
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return target.stat().st_size


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _at(path: str, name: str) -> str:
    return f"{path}/{calls.segment(name)}"

