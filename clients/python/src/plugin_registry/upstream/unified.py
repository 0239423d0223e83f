"""Upstream's `UnifiedPluginRegistry`, kept in the registry instead of in files."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from plugin_registry._core.errors import NotFound, RegistryError, Unavailable, Unreachable
from plugin_registry._core.metadata import PluginMetadata

from .packages import runtime_module

if TYPE_CHECKING:
    from plugin_registry import Plugin, Registry

LOG = logging.getLogger("plugin_registry.upstream")
T = TypeVar("T")
SchemaOf = Callable[[type], Mapping[str, Any]]


class UnifiedPluginRegistry:
    """Upstream's `UnifiedPluginRegistry`, whose plugins and configurations the registry keeps.

    Upstream's own class starts with empty metadata at each discovery. Here a plugin that is discovered again keeps its
    processes, container, machine and configuration.

    Args:
        registry: Where the plugins are.
        schema_of: Makes a JSON Schema from a configuration dataclass. By default upstream's `dataclass_to_jsonschema`.

    Examples:
        >>> from plugin_registry.upstream import UnifiedPluginRegistry
        >>> plugins = UnifiedPluginRegistry(registry)
        >>> plugins.save_plugin_config("transcription_whisper", {"device": "cpu"})
        True
        >>> plugins.load_plugin_config("transcription_whisper")
        {'device': 'cpu'}
        >>> plugins.get_categories_with_plugins()
        ['transcription']
    """

    def __init__(self, registry: Registry, *, schema_of: SchemaOf | None = None) -> None:
        self._registry = registry
        self._schema_of = schema_of
        self._managers: dict[str, Any] = {}
        self._categories: dict[str, str] = {}
        self._dataclasses: dict[str, type] = {}

    def register_plugin_manager(
        self, category: str, manager: Any, display_name: str | None = None, auto_discover: bool = True
    ) -> list[PluginMetadata]:
        """Adds a manager, and registers the plugins that it discovers."""
        self._managers[category] = manager
        self._categories[category] = display_name or category.title()
        return self._discover(category, manager) if auto_discover else []

    def register_plugin_system(
        self, category: str, plugin_interface: type, display_name: str | None = None, auto_discover: bool = True
    ) -> list[PluginMetadata]:
        """Makes a manager for a plugin interface, and adds it."""
        manager = runtime_module("core.manager").PluginManager(plugin_interface=plugin_interface)
        return self.register_plugin_manager(category, manager, display_name, auto_discover)

    def get_manager(self, category: str, manager_type: type[T] | None = None) -> T | None:
        """Returns the manager of a category. `manager_type` is for type checkers."""
        return self._managers.get(category)

    def get_categories(self) -> list[str]:
        """Returns the categories that have a manager."""
        return sorted(self._categories)

    def get_category_display_name(self, category: str) -> str:
        """Returns the name of a category for people."""
        return self._categories.get(category, category.title())

    def get_plugin(self, unique_id: str) -> Plugin | None:
        """Returns a plugin, or None if there is none."""
        plugin = self._registry.get(unique_id, default=None)
        return None if plugin is None else self._with_dataclass(plugin)

    def get_plugins_by_category(self, category: str) -> list[Plugin]:
        """Returns the plugins of a category."""
        return [self._with_dataclass(plugin) for plugin in self._registry.iter(category=category)]

    def get_all_plugins(self) -> list[Plugin]:
        """Returns all plugins."""
        return [self._with_dataclass(plugin) for plugin in self._registry.iter()]

    def get_categories_with_plugins(self) -> list[str]:
        """Returns the categories that have plugins."""
        return sorted(self._registry.stats().by_category)

    def load_plugin_config(self, unique_id: str) -> dict[str, Any]:
        """Returns the saved configuration of a plugin, or an empty one."""
        try:
            return dict(self._registry.config(unique_id).get())
        except NotFound:
            return {}

    def save_plugin_config(self, unique_id: str, config: dict[str, Any]) -> bool:
        """Saves the configuration of a plugin. Returns false if that failed; the log tells why."""
        try:
            self._registry.config(unique_id).save(config)
        except RegistryError as error:
            LOG.warning("the configuration of %s is not saved: %s", unique_id, error)
            return False
        return True

    def delete_plugin_config(self, unique_id: str) -> bool:
        """Deletes the saved configuration of a plugin. Returns false if that failed; the log tells why."""
        try:
            self._registry.config(unique_id).delete()
        except NotFound:
            # As upstream: there is no configuration afterwards.
            return True
        except RegistryError as error:
            LOG.warning("the configuration of %s is not deleted: %s", unique_id, error)
            return False
        return True

    def _discover(self, category: str, manager: Any) -> list[PluginMetadata]:
        return [self._register(self._describe(category, manager, found)) for found in manager.discover_plugins()]

    def _describe(self, category: str, manager: Any, found: Any) -> PluginMetadata:
        config_dataclass = manager.get_plugin_config_dataclass(found.name)
        schema = dict((self._schema_of or _upstream_schema())(config_dataclass))
        return PluginMetadata(
            name=found.name,
            category=category,
            title=schema.get("title", found.name),
            config_schema=schema,
            config_dataclass=config_dataclass,
            version=found.version,
            description=schema.get("description"),
        )

    def _register(self, metadata: PluginMetadata) -> PluginMetadata:
        if metadata.config_dataclass is not None:
            self._dataclasses[metadata.get_unique_id()] = metadata.config_dataclass
        try:
            return self._with_dataclass(self._registry.register(metadata))
        except (Unreachable, Unavailable) as error:
            # The application starts without the registry, as it did with upstream's class.
            LOG.warning("%s is not registered: %s", metadata.get_unique_id(), error)
            return metadata

    def _with_dataclass(self, plugin: Plugin) -> Plugin:
        plugin.config_dataclass = self._dataclasses.get(plugin.unique_id)
        return plugin


def _upstream_schema() -> SchemaOf:
    try:
        module: Any = importlib.import_module("cjm_fasthtml_jsonschema.core.dataclass")
    except ImportError:
        module = runtime_module("utils.validation")
    schema_of: SchemaOf = module.dataclass_to_jsonschema
    return schema_of
