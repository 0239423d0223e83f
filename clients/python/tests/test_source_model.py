"""The source model's names, order and defaults. test_vectors.py has its methods and documents."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import Any

import pytest

from plugin_registry import CloudProviderType, PluginExecutionMode, PluginMetadata, Registry, RemoteResourceInfo

# The source model's two dataclasses: each field with its default, in their order.
REQUIRED = object()
METADATA: dict[str, Any] = {
    "name": REQUIRED,
    "category": REQUIRED,
    "title": REQUIRED,
    "config_schema": REQUIRED,
    "config_dataclass": None,
    "description": None,
    "version": None,
    "is_configured": False,
    "execution_mode": PluginExecutionMode.IN_PROCESS,
    "manages_child_processes": False,
    "manages_external_resources": False,
    "spawned_pids": [],
    "container_id": None,
    "conda_env_name": None,
    "remote_resource": None,
}
REMOTE: dict[str, Any] = {
    "provider": REQUIRED,
    "region": None,
    "instance_id": None,
    "job_id": None,
    "endpoint_url": None,
    "ssh_host": None,
    "ssh_port": 22,
    "status": "unknown",
    "resource_type": None,
    "gpu_count": 0,
    "gpu_type": None,
    "estimated_cost_per_hour": None,
    "metadata": {},
}
MODES = {
    "IN_PROCESS": "in_process",
    "SUBPROCESS": "subprocess",
    "DOCKER": "docker",
    "CONDA_ENV": "conda_env",
    "EXTERNAL_SERVICE": "external",
    "REMOTE_SSH": "remote_ssh",
    "CLOUD_VM": "cloud_vm",
    "CLOUD_CONTAINER": "cloud_container",
    "CLOUD_SERVERLESS": "cloud_serverless",
    "CLOUD_GPU": "cloud_gpu",
    "CLOUD_CPU": "cloud_cpu",
    "KUBERNETES": "kubernetes",
}
PROVIDERS = ["aws", "gcp", "azure", "lambda_labs", "runpod", "vast_ai", "paperspace", "together_ai", "custom"]


def defaults(cls: type[Any]) -> dict[str, Any]:
    """The fields of a dataclass with their defaults."""
    found: dict[str, Any] = {}
    for each in fields(cls):
        made = REQUIRED if each.default_factory is MISSING else each.default_factory()
        found[each.name] = made if each.default is MISSING else each.default
    return found


@pytest.mark.parametrize(("cls", "expected"), [(PluginMetadata, METADATA), (RemoteResourceInfo, REMOTE)])
def test_fields_their_order_and_their_defaults_are_upstreams(cls: type[Any], expected: dict[str, Any]) -> None:
    assert list(defaults(cls).items()) == list(expected.items())


def test_the_enums_are_upstreams() -> None:
    assert {mode.name: mode.value for mode in PluginExecutionMode} == MODES
    assert [provider.value for provider in CloudProviderType] == PROVIDERS
    assert all(provider.name == provider.value.upper() for provider in CloudProviderType)


def test_the_configuration_class_stays_in_memory(registry: Registry) -> None:
    @dataclass
    class Config:
        device: str = "cpu"

    plugin = PluginMetadata("whisper", "transcription", "Whisper", {}, Config)
    assert "config_dataclass" not in plugin.to_document()
    assert registry.register(plugin).config_dataclass is Config
    assert registry.get("transcription_whisper").config_dataclass is None
    # The registry takes what the dataclass has without a class, too.
    assert registry.register({**plugin.to_document(), "config_dataclass": None}).unique_id == "transcription_whisper"
