"""Upstream's `ResourceManager`: the workers of an application, also in the registry."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from . import gpu
from .outbox import Outbox
from .worker_records import WorkerRecords
from .worker_state import WorkerState

if TYPE_CHECKING:
    from plugin_registry import Registry

# The fields of a remote resource that upstream's `WorkerState` keeps.
REMOTE_FIELDS = (
    *("provider", "region", "instance_id", "status", "ssh_host", "gpu_count", "gpu_type"),
    "estimated_cost_per_hour",
)


class ResourceManager:
    """Upstream's `ResourceManager`, whose workers the registry knows, too.

    A worker's process is held by the plugin `worker_{worker_type}`, and by the worker's own plugin once `plugin_id` is known.
    Status, job and resource are labels of that plugin. `config` never leaves this process, because it may hold secrets.

    The methods answer from memory, as upstream's do, and tell the registry in the background. A registry that is away delays
    nothing and fails nothing.

    Examples:
        >>> from plugin_registry.upstream import ResourceManager
        >>> manager = ResourceManager(registry)
        >>> manager.register_worker(pid=4711, worker_type="transcription")
        >>> manager.update_worker_state(4711, job_id="job-1", plugin_id="transcription_whisper", status="running")
        >>> manager.flush()
        True
        >>> registry.get("transcription_whisper").spawned_pids
        [4711]
        >>> manager.get_worker_by_job("job-1").status
        'running'
    """

    def __init__(self, registry: Registry, gpu_memory_threshold_percent: float = 45.0) -> None:
        self.gpu_memory_threshold_percent = gpu_memory_threshold_percent
        self._workers: dict[int, WorkerState] = {}
        self._jobs: dict[str, int] = {}
        self._outbox = Outbox()
        self._records = WorkerRecords(registry)

    def register_worker(
        self,
        pid: int,
        worker_type: str,
        job_id: str | None = None,
        plugin_id: str | None = None,
        plugin_name: str | None = None,
        loaded_plugin_resource: str | None = None,
        config: dict[str, Any] | None = None,
        plugin_instance: Any = None,
    ) -> None:
        """Adds a worker. What `plugin_instance` says of its children, container and machine is read from it."""
        worker = WorkerState(pid, worker_type, job_id, plugin_id, plugin_name, loaded_plugin_resource, config)
        if plugin_instance is not None:
            _read_lifecycle(worker, plugin_instance)
            _read_remote(worker, plugin_instance)
        self._workers[pid] = worker
        if job_id:
            self._jobs[job_id] = pid
        self._tell(worker)

    def update_worker_state(
        self,
        pid: int,
        job_id: str | None = None,
        plugin_id: str | None = None,
        plugin_name: str | None = None,
        loaded_plugin_resource: str | None = None,
        config: dict[str, Any] | None = None,
        status: str | None = None,
    ) -> None:
        """Changes what is known of a worker. `None` changes nothing; the status `idle` ends the job. An unknown pid is ignored."""
        worker = self._workers.get(pid)
        if worker is None:
            return
        if status == "idle" and job_id is None:
            self._end_job(worker)
        if job_id is not None:
            worker.job_id = job_id
            self._jobs[job_id] = pid
        for name, value in (
            ("plugin_id", plugin_id),
            ("plugin_name", plugin_name),
            ("loaded_plugin_resource", loaded_plugin_resource),
            ("config", config),
            ("status", status),
        ):
            if value is not None:
                setattr(worker, name, value)
        self._tell(worker)

    def unregister_worker(self, pid: int) -> None:
        """Releases the worker and its children. An unknown pid is ignored, so it may be called twice."""
        worker = self._workers.pop(pid, None)
        if worker is None:
            return
        self._end_job(worker)
        self._outbox.put(lambda: self._records.remove(pid))

    def get_worker_by_pid(self, pid: int) -> WorkerState | None:
        """Returns the worker with this pid."""
        return self._workers.get(pid)

    def get_worker_by_job(self, job_id: str) -> WorkerState | None:
        """Returns the worker that runs the job."""
        pid = self._jobs.get(job_id)
        return None if pid is None else self._workers.get(pid)

    def get_all_workers(self) -> list[WorkerState]:
        """Returns all workers."""
        return list(self._workers.values())

    def get_workers_by_type(self, worker_type: str) -> list[WorkerState]:
        """Returns the workers of a type."""
        return [worker for worker in self._workers.values() if worker.worker_type == worker_type]

    def get_active_worker_types(self) -> set[str]:
        """Returns the types that have a worker."""
        return {worker.worker_type for worker in self._workers.values()}

    def has_worker_type(self, worker_type: str) -> bool:
        """Returns whether a type has a worker."""
        return worker_type in self.get_active_worker_types()

    def get_app_pids(self) -> set[int]:
        """Returns the pids of all workers, without their children."""
        return set(self._workers)

    def get_all_related_pids(self, parent_pid: int) -> list[int]:
        """Returns the pid of a worker and those of its children."""
        worker = self._workers.get(parent_pid)
        return [parent_pid, *(worker.child_pids if worker else [])]

    def get_all_app_pids_including_children(self) -> set[int]:
        """Returns the pids of all workers and of their children."""
        return set(self._processes())

    def get_cloud_workers(self) -> list[WorkerState]:
        """Returns the workers with a remote resource."""
        return [worker for worker in self._workers.values() if worker.is_remote]

    def estimate_total_cloud_cost(self, duration_hours: float = 1.0) -> float:
        """Returns what the remote resources cost in that time, in USD."""
        remotes = [worker.remote_resource or {} for worker in self.get_cloud_workers()]
        return sum((remote.get("estimated_cost_per_hour") or 0.0) * duration_hours for remote in remotes)

    def check_gpu_availability(self) -> gpu.ResourceConflict:
        """Returns who uses the GPU, as cjm-fasthtml-sysmon sees it."""
        return gpu.check_gpu(self._processes(), self.gpu_memory_threshold_percent)

    def check_memory_availability(self, threshold_percent: float = 90.0) -> gpu.ResourceConflict:
        """Returns who uses the memory, as cjm-fasthtml-sysmon sees it. As upstream, the threshold changes nothing."""
        return gpu.check_memory(self._processes())

    def flush(self, timeout: float = 30.0) -> bool:
        """Waits until the registry knows everything. Returns false if that takes longer than `timeout` seconds."""
        return self._outbox.flush(timeout)

    def _processes(self) -> Mapping[int, tuple[int, str]]:
        workers = self._workers.values()
        own = {worker.pid: (worker.pid, worker.worker_type) for worker in workers}
        return {**{child: own[worker.pid] for worker in workers for child in worker.child_pids}, **own}

    def _end_job(self, worker: WorkerState) -> None:
        if worker.job_id is not None:
            self._jobs.pop(worker.job_id, None)
            worker.job_id = None

    def _tell(self, worker: WorkerState) -> None:
        # A copy, because the outbox tells it later; and without the configuration.
        told = deepcopy(replace(worker, config=None))
        self._outbox.put(lambda: self._records.put(told))


def _read_lifecycle(worker: WorkerState, plugin: Any) -> None:
    """Reads upstream's `LifecycleAwarePlugin` by its methods."""
    if not all(hasattr(plugin, name) for name in ("get_execution_mode", "get_child_pids", "get_managed_resources")):
        return
    mode = plugin.get_execution_mode()
    worker.execution_mode = str(getattr(mode, "value", mode))
    worker.child_pids = list(plugin.get_child_pids())
    resources: Mapping[str, Any] = plugin.get_managed_resources()
    worker.container_id = resources.get("container_id")
    worker.conda_env = resources.get("conda_env")


def _read_remote(worker: WorkerState, plugin: Any) -> None:
    """Reads upstream's `CloudAwarePlugin` by its methods."""
    resource = plugin.get_remote_resource_info() if hasattr(plugin, "get_remote_resource_info") else None
    if resource is None:
        return
    worker.is_remote = True
    worker.remote_resource = {name: _plain(getattr(resource, name, None)) for name in REMOTE_FIELDS}


def _plain(value: Any) -> Any:
    return getattr(value, "value", value)
