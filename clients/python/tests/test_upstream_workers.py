"""Upstream's `ResourceManager`, each method called as its job manager calls it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from plugin_registry import CloudProviderType, PluginExecutionMode, Registry, RemoteResourceInfo
from plugin_registry._server import LocalServer
from plugin_registry.upstream import ResourceManager, ResourceStatus

WHISPER = {"category": "transcription", "name": "whisper", "title": "Whisper", "config_schema": {}}


@dataclass
class LocalPlugin:
    """An object with the methods of upstream's `LifecycleAwarePlugin`."""

    children: list[int] = field(default_factory=lambda: [501, 502])

    def get_execution_mode(self) -> PluginExecutionMode:
        return PluginExecutionMode.DOCKER

    def get_child_pids(self) -> list[int]:
        return self.children

    def get_managed_resources(self) -> dict[str, Any]:
        return {"pid": 500, "container_id": "4c01db0b339c", "conda_env": "whisper"}


class CloudPlugin:
    """An object with the method of upstream's `CloudAwarePlugin`."""

    def get_remote_resource_info(self) -> RemoteResourceInfo:
        return RemoteResourceInfo(
            CloudProviderType.AWS, instance_id="i-1", status="running", gpu_count=8, estimated_cost_per_hour=24.5
        )


@pytest.fixture
def manager(registry: Registry) -> ResourceManager:
    return ResourceManager(registry)


def test_a_worker_moves_to_the_plugin_that_it_works_for(manager: ResourceManager, registry: Registry) -> None:
    registry.register(WHISPER)
    manager.register_worker(pid=500, worker_type="transcription")
    assert manager.flush()
    assert registry.get("worker_transcription").spawned_pids == [500]

    manager.update_worker_state(
        pid=500,
        status="running",
        job_id="job-1",
        plugin_name="whisper",
        plugin_id="transcription_whisper",
        loaded_plugin_resource="large-v3",
        config={"token": "secret"},
    )
    assert manager.flush()
    whisper = registry.get("transcription_whisper")
    assert registry.get("worker_transcription").spawned_pids == []
    assert whisper.spawned_pids == [500]
    assert whisper.labels == {"worker.status": "running", "worker.job": "job-1", "worker.resource": "large-v3"}
    assert "secret" not in str(registry.request("GET", "/events", params={"limit": 100}))
    assert [row.claim for row in registry.resources(pid=500)] == ["claimed"]

    manager.update_worker_state(pid=500, status="idle")
    assert manager.flush()
    assert registry.get("transcription_whisper").labels == {"worker.status": "idle", "worker.resource": "large-v3"}
    worker = manager.get_worker_by_pid(500)
    assert worker is not None
    assert (worker.job_id, worker.config) == (None, {"token": "secret"})

    manager.unregister_worker(pid=500)
    # Upstream calls it twice.
    manager.unregister_worker(pid=500)
    assert manager.flush()
    assert registry.get("transcription_whisper").spawned_pids == []
    assert registry.get("transcription_whisper").labels == {}
    assert list(registry.resources(pid=500)) == []


def test_an_unknown_worker_is_ignored(manager: ResourceManager, registry: Registry) -> None:
    manager.update_worker_state(pid=1234, status="running")
    manager.unregister_worker(pid=1234)
    assert manager.flush()
    assert manager.get_all_workers() == []
    assert registry.stats().total == 0


def test_a_plugin_that_is_not_registered_leaves_the_worker_with_its_type(
    manager: ResourceManager, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        manager.register_worker(pid=500, worker_type="transcription", plugin_id="transcription_whisper")
        assert manager.flush()
    assert registry.get("worker_transcription").spawned_pids == [500]
    assert "transcription_whisper is not registered" in caplog.text


def test_workers_are_answered_from_memory(manager: ResourceManager) -> None:
    manager.register_worker(500, "transcription", job_id="job-1")
    manager.register_worker(600, "llm")
    assert {worker.pid for worker in manager.get_all_workers()} == {500, 600}
    assert [worker.pid for worker in manager.get_workers_by_type("llm")] == [600]
    assert manager.get_active_worker_types() == {"transcription", "llm"}
    assert manager.has_worker_type("llm") and not manager.has_worker_type("video")
    assert manager.get_app_pids() == {500, 600}
    by_job = manager.get_worker_by_job("job-1")
    assert by_job is not None and by_job.pid == 500
    assert manager.get_worker_by_job("job-2") is None
    assert manager.get_worker_by_pid(700) is None
    assert manager.flush()


def test_what_a_plugin_says_of_its_children_and_its_machine_is_read(manager: ResourceManager, registry: Registry) -> None:
    manager.register_worker(500, "transcription", plugin_instance=LocalPlugin())
    manager.register_worker(600, "finetuning", plugin_instance=CloudPlugin())
    assert manager.flush()
    local, cloud = registry.get("worker_transcription"), registry.get("worker_finetuning")
    assert (local.spawned_pids, local.container_id, local.conda_env_name) == ([500, 501, 502], "4c01db0b339c", "whisper")
    assert local.execution_mode == PluginExecutionMode.DOCKER
    assert cloud.remote_resource is not None
    assert (cloud.remote_resource.instance_id, cloud.billable) == ("i-1", True)
    assert manager.get_all_related_pids(500) == [500, 501, 502]
    assert manager.get_all_app_pids_including_children() == {500, 501, 502, 600}
    assert [worker.pid for worker in manager.get_cloud_workers()] == [600]
    assert manager.estimate_total_cloud_cost(duration_hours=2) == 49.0
    # Without cjm-fasthtml-sysmon there are no measurements: as upstream, the resource is free then.
    assert manager.check_gpu_availability().status is ResourceStatus.AVAILABLE
    assert manager.check_memory_availability().status is ResourceStatus.AVAILABLE


def test_what_happens_while_the_registry_is_away_is_told_later(caplog: pytest.LogCaptureFixture, tmp_path: Any) -> None:
    server = LocalServer(f"sqlite:{tmp_path}/registry.db", arguments=["--probe-own-host=false"])
    server.start()
    with Registry(server.url, retries=0) as registry:
        registry.register(WHISPER)
        manager = ResourceManager(registry)
        server.kill()
        with caplog.at_level(logging.WARNING):
            manager.register_worker(500, "transcription")
            manager.update_worker_state(500, status="running", plugin_id="transcription_whisper")
            assert not manager.flush(timeout=0.5)
        assert [record.message for record in caplog.records if "is away" in record.message]
        server.start()
        assert manager.flush(timeout=60)
        assert registry.get("transcription_whisper").spawned_pids == [500]
        assert registry.get("worker_transcription").spawned_pids == []
    server.stop()
