"""The source model's own stack on this registry, for one argument each.

| upstream takes | give it |
|---|---|
| `BaseJobManager(plugin_registry=…)` | the `Registry` itself |
| `BaseJobManager(resource_manager=…)` | `ResourceManager(registry)` |
| `UnifiedPluginRegistry()` | `UnifiedPluginRegistry(registry)` |
| `CapabilityManager(journal_store=…)` | `JournalMirror(registry)` |
| `CapabilityManager(config_store=…)` | `ConfigStore(registry)` |
| any `EventBroadcasterProtocol` | `bridge(async_registry, broadcaster)` |

Nothing here imports upstream's packages until a method needs one, so a program can use what it has installed.
"""

from .config_store import ConfigRecord, ConfigStore
from .events import EventBroadcaster, bridge
from .gpu import ResourceConflict, ResourceStatus, ResourceType
from .journal import JournalMirror
from .unified import UnifiedPluginRegistry
from .worker_state import WorkerState
from .workers import ResourceManager

__all__ = [
    "ConfigRecord",
    "ConfigStore",
    "EventBroadcaster",
    "JournalMirror",
    "ResourceConflict",
    "ResourceManager",
    "ResourceStatus",
    "ResourceType",
    "UnifiedPluginRegistry",
    "WorkerState",
    "bridge",
]
