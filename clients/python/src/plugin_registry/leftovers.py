"""Stops processes that an application left behind, and only those."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PID_NAMESPACE = Path("/proc/self/ns/pid")


def stop_process(resource: Mapping[str, Any], *, grace: float = 10.0) -> bool:
    """Stops the process of a row of `findings()` or `resources()`: with SIGTERM, and after `grace` seconds with SIGKILL.

    It stops the very process that the registry has observed: the start time must be the same, so that a later process with
    the same number is left alone. The registry itself stops nothing; `release` tells it that nothing is left.

    Returns:
        True if that process has ended, now or before. False if this cannot be known from here: it was never observed, or on
        another machine, before a restart of this one, or in another container; or this user may not stop it.

    Examples:
        >>> from plugin_registry.leftovers import stop_process
        >>> _ = registry.pids("transcription_whisper").add(4711)
        >>> [stop_process(row) for row in registry.resources()]  # A made-up pid, which no probe has observed.
        [False]
    """
    observed: Mapping[str, Any] = resource.get("observed") or {}
    identity: Mapping[str, Any] | None = observed.get("identity")
    if resource.get("kind") != "process" or not identity or not _is_of_this_machine(identity):
        return False
    pid = int(identity["pid"])
    try:
        # A descriptor of the process: what is signalled is what was compared, also if the number is given to another.
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    try:
        if start_ticks(pid) != identity["start_ticks"]:
            return True
        return _end(descriptor, signal.SIGTERM, grace) or _end(descriptor, signal.SIGKILL, grace)
    finally:
        os.close(descriptor)


def start_ticks(pid: int) -> int | None:
    """Returns when a process started, in clock ticks since the start of the machine; None if there is none, or it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The name in parentheses may have spaces and parentheses itself: proc_pid_stat(5). The state is field 3, the start 22.
    fields = stat.rpartition(b")")[2].split()
    # A zombie has ended; its parent has not asked how.
    return None if fields[0] == b"Z" else int(fields[19])


def _is_of_this_machine(identity: Mapping[str, Any]) -> bool:
    try:
        boot, namespace = BOOT_ID.read_text().strip(), PID_NAMESPACE.stat().st_ino
    except OSError:
        # Not on Linux.
        return False
    return bool(identity.get("boot_id") == boot and identity.get("pid_namespace") == namespace)


def _end(descriptor: int, number: signal.Signals, grace: float) -> bool:
    try:
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(grace * 1000))
