"""Times of the registry (RFC 3339)."""

from __future__ import annotations

from datetime import datetime, timezone


def moment(text: str) -> datetime:
    """The time, in UTC."""
    return datetime.fromisoformat(text)


def rfc3339(time: datetime | str) -> str:
    """The text of a time. A time without a zone is one of this machine's zone."""
    if isinstance(time, str):
        return time
    return time.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
