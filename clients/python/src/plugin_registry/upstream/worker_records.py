"""Keeps the workers of a `ResourceManager` in the registry. Only the thread of its outbox uses this."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plugin_registry._core.errors import NotFound

from .outbox import LOG
from .worker_state import WorkerState

if TYPE_CHECKING:
    from plugin_registry import Registry

# The category of the plugins that hold workers without a plugin of their own.
CATEGORY = "worker"
STATUS, JOB, RESOURCE = "worker.status", "worker.job", "worker.resource"
# The status of a plugin with several workers is the first of these that one of them has.
BUSIEST = ("running", "busy")


class WorkerRecords:
    """The workers as the registry knows them. Each call may be repeated after a failure."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._workers: dict[int, WorkerState] = {}
        # Where each worker is held.
        self._holders: dict[int, str] = {}

    def put(self, worker: WorkerState) -> None:
        """Registers a worker, or changes it."""
        before = self._holders.get(worker.pid)
        after = self._hold(worker)
        self._workers[worker.pid], self._holders[worker.pid] = worker, after
        if before is not None and before != after:
            # Released there only now, so that some plugin holds it at any moment.
            self._release(before, [worker.pid, *worker.child_pids])
            self._label(before)
        self._label(after)

    def remove(self, pid: int) -> None:
        """Releases a worker and its children."""
        worker, holder = self._workers.get(pid), self._holders.get(pid)
        if worker is None or holder is None:
            return
        self._release(holder, [pid, *worker.child_pids])
        del self._workers[pid], self._holders[pid]
        self._label(holder)

    def _hold(self, worker: WorkerState) -> str:
        pids = [worker.pid, *worker.child_pids]
        if worker.plugin_id is not None:
            try:
                self._registry.pids(worker.plugin_id).add(*pids)
                self._describe(worker.plugin_id, worker)
                return worker.plugin_id
            except NotFound:
                LOG.warning("the plugin %s is not registered, so its worker stays under its type", worker.plugin_id)
        holder = f"{CATEGORY}_{worker.worker_type}"
        if holder not in self._holders.values():
            self._registry.register(
                {
                    "category": CATEGORY,
                    "name": worker.worker_type,
                    "title": f"Worker: {worker.worker_type}",
                    "config_schema": {},
                    "execution_mode": "subprocess",
                    "manages_child_processes": True,
                }
            )
        self._registry.pids(holder).add(*pids)
        self._describe(holder, worker)
        return holder

    def _describe(self, holder: str, worker: WorkerState) -> None:
        """Tells what upstream's lifecycle and cloud protocols know."""
        if self._workers.get(worker.pid) is not None and self._holders.get(worker.pid) == holder:
            return
        fields: dict[str, Any] = {
            "execution_mode": worker.execution_mode,
            "container_id": worker.container_id,
            "conda_env_name": worker.conda_env,
            "remote_resource": worker.remote_resource,
        }
        known = {name: value for name, value in fields.items() if value is not None}
        if known:
            self._registry.patch(holder, known)

    def _release(self, holder: str, pids: list[int]) -> None:
        try:
            self._registry.pids(holder).remove(*pids)
        except NotFound:
            # The plugin was removed meanwhile, or an earlier try has released it.
            pass

    def _label(self, holder: str) -> None:
        workers = [self._workers[pid] for pid, place in self._holders.items() if place == holder]
        statuses = {worker.status for worker in workers}
        status = next((each for each in BUSIEST if each in statuses), min(statuses, default=None))
        jobs = [worker.job_id for worker in workers if worker.job_id]
        resources = [worker.loaded_plugin_resource for worker in workers if worker.loaded_plugin_resource]
        labels = {STATUS: status, JOB: ",".join(jobs) or None, RESOURCE: ",".join(resources) or None}
        try:
            self._registry.patch(holder, {"labels": labels})
        except NotFound:
            pass
