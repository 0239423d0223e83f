"""The source model's two dataclasses: names, order, defaults and methods are the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, cast

from .enums import LOCAL_MODES, CloudProviderType, PluginExecutionMode, execution_mode, provider

T = TypeVar("T")


@dataclass
class RemoteResourceInfo:
    """A resource that a plugin rents: a machine, a job, an endpoint.

    >>> from plugin_registry import CloudProviderType, RemoteResourceInfo
    >>> RemoteResourceInfo(CloudProviderType.AWS, instance_id="i-abcd1234", gpu_count=8).status
    'unknown'
    """

    provider: CloudProviderType
    region: str | None = None
    instance_id: str | None = None
    job_id: str | None = None
    endpoint_url: str | None = None
    ssh_host: str | None = None
    ssh_port: int = 22
    status: str = "unknown"
    resource_type: str | None = None
    gpu_count: int = 0
    gpu_type: str | None = None
    estimated_cost_per_hour: float | None = None
    metadata: dict[str, Any] = field(default_factory=lambda: dict[str, Any]())

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> RemoteResourceInfo:
        """Reads the registry's document."""
        names = _names(cls)
        resource = cls(**{name: value for name, value in document.items() if name in names})
        resource.provider = provider(resource.provider)
        return resource

    def to_document(self) -> dict[str, Any]:
        """The document that the registry takes."""
        return {name: _plain(getattr(self, name)) for name in _names(RemoteResourceInfo)}


@dataclass
class PluginMetadata:
    """What a plugin is and what it holds, as the source model describes it.

    ``config_dataclass`` stays in memory: the client never sends it.

    >>> from plugin_registry import PluginMetadata
    >>> plugin = PluginMetadata("whisper", "transcription", "Whisper", {}, spawned_pids=[4711])
    >>> plugin.get_unique_id(), plugin.is_local_execution(), plugin.has_active_resources()
    ('transcription_whisper', True, True)
    """

    name: str
    category: str
    title: str
    config_schema: dict[str, Any]
    config_dataclass: type | None = None
    description: str | None = None
    version: str | None = None
    is_configured: bool = False
    execution_mode: PluginExecutionMode = PluginExecutionMode.IN_PROCESS
    manages_child_processes: bool = False
    manages_external_resources: bool = False
    spawned_pids: list[int] = field(default_factory=lambda: list[int]())
    container_id: str | None = None
    conda_env_name: str | None = None
    remote_resource: RemoteResourceInfo | None = None

    def get_unique_id(self) -> str:
        """``{category}_{name}``: the plugin's address."""
        return f"{self.category}_{self.name}"

    def is_local_execution(self) -> bool:
        """Whether the plugin works on the application's host."""
        return self.execution_mode in LOCAL_MODES

    def is_cloud_execution(self) -> bool:
        """Whether the plugin works elsewhere."""
        return not self.is_local_execution()

    def has_active_resources(self) -> bool:
        """Whether it holds a process, a container, or a remote resource whose status is exactly ``running``."""
        remote = self.remote_resource
        return bool(self.spawned_pids or self.container_id or (remote and remote.status == "running"))

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> PluginMetadata:
        """Reads a document of the registry; fields that the model does not have are left out.

        >>> from plugin_registry import PluginMetadata
        >>> PluginMetadata.from_document({"name": "a", "category": "b", "title": "A", "config_schema": {}}).version
        """
        values = {name: document[name] for name in _names(PluginMetadata) if name in document}
        return PluginMetadata(**model_values(values))

    def to_document(self) -> dict[str, Any]:
        """The document that the registry takes: every field but ``config_dataclass``.

        >>> from plugin_registry import PluginMetadata
        >>> PluginMetadata("a", "b", "A", {}).to_document()["execution_mode"]
        'in_process'
        """
        names = (name for name in _names(PluginMetadata) if name != "config_dataclass")
        return {name: _plain(getattr(self, name)) for name in names}

    @classmethod
    def from_upstream(cls, plugin: object) -> PluginMetadata:
        """Reads the source model's own dataclass, or any object with the same attributes.

        >>> from types import SimpleNamespace
        >>> from plugin_registry import PluginMetadata
        >>> theirs = SimpleNamespace(name="a", category="b", title="A", config_schema={})
        >>> PluginMetadata.from_upstream(theirs).get_unique_id()
        'b_a'
        """
        values = {name: getattr(plugin, name) for name in _names(PluginMetadata) if hasattr(plugin, name)}
        values["execution_mode"] = _plain(values.get("execution_mode", PluginExecutionMode.IN_PROCESS))
        remote = values.get("remote_resource")
        if remote is not None and not isinstance(remote, Mapping):
            names = _names(RemoteResourceInfo)
            values["remote_resource"] = {name: _plain(getattr(remote, name)) for name in names if hasattr(remote, name)}
        return PluginMetadata(**model_values(values))

    def to_upstream(self, cls: type[T]) -> T:
        """The source model's own dataclass ``cls`` with these values, and its enums and remote resource.

        >>> from plugin_registry import PluginMetadata
        >>> PluginMetadata("a", "b", "A", {}).to_upstream(PluginMetadata).name
        'a'
        """
        # The module that declares the dataclass has its enums and its remote resource, imported or declared there.
        import sys

        module = vars(sys.modules[cls.__module__])
        values = {name: getattr(self, name) for name in _names(PluginMetadata)}
        mode = module.get("PluginExecutionMode", PluginExecutionMode)
        values["execution_mode"] = mode(_plain(self.execution_mode))
        if self.remote_resource is not None:
            remote = self.remote_resource.to_document()
            remote["provider"] = module.get("CloudProviderType", CloudProviderType)(remote["provider"])
            values["remote_resource"] = module.get("RemoteResourceInfo", RemoteResourceInfo)(**remote)
        return cls(**values)


def model_values(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document's values as the dataclass has them: enums, and the remote resource as an object."""
    values = dict(document)
    if "execution_mode" in values:
        values["execution_mode"] = execution_mode(values["execution_mode"])
    remote = values.get("remote_resource")
    if isinstance(remote, Mapping):
        values["remote_resource"] = RemoteResourceInfo.from_document(cast("Mapping[str, Any]", remote))
    return values


_NAMES: dict[type, tuple[str, ...]] = {}


def _names(cls: type) -> tuple[str, ...]:
    names = _NAMES.get(cls)
    if names is None:
        names = _NAMES[cls] = tuple(each.name for each in fields(cls))
    return names


def _plain(value: Any) -> Any:
    if isinstance(value, RemoteResourceInfo):
        return value.to_document()
    return getattr(value, "value", value) if not isinstance(value, (dict, list)) else cast("Any", value)
