"""Upstream's `WorkerState`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class WorkerState:
    """What is known of a worker: upstream's dataclass."""

    pid: int
    worker_type: str
    job_id: str | None = None
    plugin_id: str | None = None
    plugin_name: str | None = None
    loaded_plugin_resource: str | None = None
    config: dict[str, Any] | None = None
    status: str = "idle"
    execution_mode: str | None = None
    child_pids: list[int] = field(default_factory=lambda: list[int]())
    container_id: str | None = None
    conda_env: str | None = None
    is_remote: bool = False
    remote_resource: dict[str, Any] | None = None
