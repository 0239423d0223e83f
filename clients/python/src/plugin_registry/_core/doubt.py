"""For how long the registry knows a key, and which writes must not be repeated after that.

The registry keeps the response for an Idempotency-Key for 24 hours. A later repeat is a new request. Most writes say what
is so (a registration, a process id, a removal), and saying it again changes nothing. A few add one more each time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .http import Request

KEY_SECONDS = 23 * 3600.0
"""For how long a repeat is safe: an hour less than the registry promises, because clocks differ."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def adds_another(request: Request) -> bool:
    """Whether a repeat without a key would add one more."""
    return request.method == "POST" and request.path == "/budgets"


def moment() -> dict[str, Any]:
    """This moment, by the wall clock and by the time since the machine was started, which no clock change touches."""
    return {"wall": time.time(), "boot": _boot(), "since_boot": _since_boot()}


def age(earlier: Mapping[str, Any]) -> float | None:
    """The seconds since a moment; None if the clock was set back in between, and nothing else can tell."""
    now = moment()
    if now["boot"] is not None and now["boot"] == earlier.get("boot"):
        return float(now["since_boot"] - earlier["since_boot"])
    seconds = float(now["wall"] - earlier["wall"])
    return seconds if seconds >= 0 else None


def key_is_known(earlier: Mapping[str, Any]) -> bool:
    """Whether the registry still knows the key of a write that was first sent at a moment."""
    seconds = age(earlier)
    return seconds is not None and seconds < KEY_SECONDS


def _boot() -> str | None:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return None


def _since_boot() -> float:
    # It counts the time that the machine sleeps; macOS and Windows have no such clock, and no id of the boot either.
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return 0.0 if clock is None else time.clock_gettime(clock)
