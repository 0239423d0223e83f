"""Where plugins work, and who provides what they rent: names and order of the source model."""

from __future__ import annotations

from enum import Enum


class PluginExecutionMode(str, Enum):
    """Where a plugin does its work. The first five modes are local; all others are cloud.

    >>> from plugin_registry import PluginExecutionMode
    >>> PluginExecutionMode("external").name
    'EXTERNAL_SERVICE'
    >>> PluginExecutionMode.CLOUD_GPU == "cloud_gpu"
    True
    """

    IN_PROCESS = "in_process"
    SUBPROCESS = "subprocess"
    DOCKER = "docker"
    CONDA_ENV = "conda_env"
    EXTERNAL_SERVICE = "external"
    REMOTE_SSH = "remote_ssh"
    CLOUD_VM = "cloud_vm"
    CLOUD_CONTAINER = "cloud_container"
    CLOUD_SERVERLESS = "cloud_serverless"
    CLOUD_GPU = "cloud_gpu"
    CLOUD_CPU = "cloud_cpu"
    KUBERNETES = "kubernetes"


class CloudProviderType(str, Enum):
    """The provider of a remote resource.

    >>> from plugin_registry import CloudProviderType
    >>> CloudProviderType.AWS.value
    'aws'
    """

    AWS = "aws"
    GCP = "gcp"
    AZURE = "azure"
    LAMBDA_LABS = "lambda_labs"
    RUNPOD = "runpod"
    VAST_AI = "vast_ai"
    PAPERSPACE = "paperspace"
    TOGETHER_AI = "together_ai"
    CUSTOM = "custom"


LOCAL_MODES = frozenset(
    {
        PluginExecutionMode.IN_PROCESS,
        PluginExecutionMode.SUBPROCESS,
        PluginExecutionMode.DOCKER,
        PluginExecutionMode.CONDA_ENV,
        PluginExecutionMode.EXTERNAL_SERVICE,
    }
)


def execution_mode(value: object) -> PluginExecutionMode:
    """The mode of a document; a mode of a later registry stays the string that it is."""
    try:
        return PluginExecutionMode(value)
    except ValueError:
        return value  # type: ignore[return-value]


def provider(value: object) -> CloudProviderType:
    """The provider of a document; one of a later registry stays the string that it is."""
    try:
        return CloudProviderType(value)
    except ValueError:
        return value  # type: ignore[return-value]
