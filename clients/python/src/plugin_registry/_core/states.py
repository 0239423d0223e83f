"""The states that a caller can wait for, as `plugin-registry wait` has them."""

from __future__ import annotations

from typing import Literal, TypeAlias

from .record import PluginRecord

State: TypeAlias = Literal["active", "released", "deleted", "configured", "verified", "no-finding"]
STATES = ("active", "released", "deleted", "configured", "verified", "no-finding")


def words(goal: str) -> str:
    """The goal in an error; raises ValueError for one that does not exist."""
    if goal not in STATES and not goal.startswith("status="):
        raise ValueError(f"cannot wait for {goal!r}: it must be {', '.join(STATES)}, status=WORD, or a function")
    return {"no-finding": "without a finding"}.get(goal, goal.replace("status=", "in status "))


def holds(plugin: PluginRecord, goal: str) -> bool:
    """Whether a plugin that exists is in the state."""
    words(goal)
    resources = plugin.observed.resources if plugin.observed is not None else []
    if goal == "active":
        return plugin.has_active_resources()
    if goal == "released":
        left = any(resource.claim == "left_behind" for resource in resources)
        return not (plugin.has_active_resources() or plugin.billable or left)
    if goal == "configured":
        return plugin.is_configured
    if goal == "verified":
        return bool(resources) and all(resource.state == "alive" for resource in resources)
    if goal == "no-finding":
        return not any(resource.finding for resource in resources)
    return goal != "deleted" and plugin.remote_resource is not None and plugin.remote_resource.status == goal[7:]
