"""Whether a GPU is free, in upstream's words. The measurements are those of cjm-fasthtml-sysmon, if it is installed."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class ResourceType(Enum):
    """A resource that upstream measures."""

    GPU_MEMORY = "gpu_memory"
    SYSTEM_MEMORY = "system_memory"


class ResourceStatus(Enum):
    """Who uses a resource."""

    AVAILABLE = "available"
    APP_BUSY = "app_busy"
    EXTERNAL_BUSY = "external_busy"


@dataclass
class ResourceConflict:
    """Which processes use a resource: those of the application, and others."""

    resource_type: ResourceType
    status: ResourceStatus
    app_pids: list[int]
    external_pids: list[int]
    app_processes: list[dict[str, Any]]
    external_processes: list[dict[str, Any]]


def check_gpu(workers: Mapping[int, tuple[int, str]], threshold_percent: float) -> ResourceConflict:
    """Compares the processes on the GPU with those of the application.

    Args:
        workers: Each process of the application, with the pid and the type of its worker.
        threshold_percent: From this share of the GPU's memory on, a process of others is a conflict.
    """
    measured = _measure("gpu", "get_gpu_info")
    processes: list[dict[str, Any]] = measured.get("processes", []) if measured.get("available") else []
    details: Mapping[str, Mapping[str, Any]] = measured.get("details") or {}
    total: float = next((each.get("memory_total", 0) for each in details.values()), 0)

    def is_large(process: dict[str, Any]) -> bool:
        used: float = process.get("gpu_memory_mb", 0)
        return total > 0 and used / total * 100 >= threshold_percent

    own = [_with_parent(process, workers) for process in processes if process.get("pid") in workers]
    others = [process for process in processes if process.get("pid") not in workers and is_large(process)]
    return _conflict(ResourceType.GPU_MEMORY, own, others, others)


def check_memory(workers: Mapping[int, tuple[int, str]]) -> ResourceConflict:
    """Compares the processes with the most memory with those of the application. As upstream, others are never a conflict."""
    processes: list[dict[str, Any]] = _measure("processes", "get_process_info", top_n=20).get("top_memory", [])
    own = [process for process in processes if process.get("pid") in workers]
    others = [process for process in processes if process.get("pid") not in workers]
    return _conflict(ResourceType.SYSTEM_MEMORY, own, others, [])


def _conflict(
    kind: ResourceType, own: list[dict[str, Any]], others: list[dict[str, Any]], blocking: list[dict[str, Any]]
) -> ResourceConflict:
    # Upstream's order: a process of others counts more than one of the application.
    status = ResourceStatus.EXTERNAL_BUSY if blocking else ResourceStatus.APP_BUSY if own else ResourceStatus.AVAILABLE
    return ResourceConflict(kind, status, [each["pid"] for each in own], [each["pid"] for each in others], own, others)


def _with_parent(process: dict[str, Any], workers: Mapping[int, tuple[int, str]]) -> dict[str, Any]:
    worker, kind = workers[process["pid"]]
    if worker == process["pid"]:
        return dict(process)
    return {**process, "parent_pid": worker, "parent_worker_type": kind}


def _measure(module: str, function: str, **arguments: Any) -> Mapping[str, Any]:
    try:
        monitors = importlib.import_module(f"cjm_fasthtml_sysmon.monitors.{module}")
    except ImportError:
        # As upstream: without measurements every resource is free.
        return {}
    measured: Mapping[str, Any] = getattr(monitors, function)(**arguments)
    return measured
