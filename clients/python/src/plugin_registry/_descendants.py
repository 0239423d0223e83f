"""The descendants of a process, from Linux's `/proc`. Elsewhere none are found."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """Returns the pids of the children of a process, of their children, and so on."""
    children: dict[int, list[int]] = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name in parentheses may have spaces and parentheses itself: proc_pid_stat(5).
            state, parent = stat.read_bytes().rpartition(b")")[2].split()[:2]
        except (OSError, ValueError):
            continue  # The process has ended meanwhile.
        if state != b"Z":
            children[int(parent)].append(int(stat.parent.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found
