"""Upstream's `CapabilityConfigStore`: configurations of capabilities, kept in the registry."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from plugin_registry._core.errors import NotFound

from .packages import default_category, runtime_module

if TYPE_CHECKING:
    from plugin_registry import Plugin, Registry

ENABLED, WORKER_ENV, SAVED_AT = "config.enabled", "config.worker_env", "config.saved_at"


@dataclass
class ConfigRecord:
    """What is kept of a capability: upstream's dataclass, for programs without upstream's packages."""

    config: dict[str, Any] = field(default_factory=lambda: dict[str, Any]())
    enabled: bool = True
    worker_env: dict[str, str] = field(default_factory=lambda: dict[str, str]())
    updated_at: float = 0.0


class ConfigStore:
    """Upstream's `CapabilityConfigStore` (`PluginConfigStore` of the older runtime).

    The record of an instance belongs to the plugin `capability_{instance_id}`: `config` is its saved configuration, and
    `enabled`, `worker_env` and the time are labels, so that `label.config.enabled=false` finds what is switched off.
    The methods raise what the client raises; upstream's manager logs that and goes on.

    Args:
        registry: Where the records are.
        category: The category of the plugins; by default `capability`, or `plugin` beside the older runtime.

    Examples:
        >>> from plugin_registry.upstream import ConfigRecord, ConfigStore
        >>> store = ConfigStore(registry, category="capability")
        >>> store.set("whisper", ConfigRecord({"device": "cpu"}, enabled=False))
        >>> store.get("whisper").enabled, store.get("whisper").config
        (False, {'device': 'cpu'})
        >>> store.delete("whisper"), store.get("whisper")
        (True, None)
    """

    def __init__(self, registry: Registry, *, category: str | None = None) -> None:
        self._registry = registry
        self._category = category

    def get(self, instance_id: str) -> Any:
        """Returns the record of an instance, or None if there is none."""
        plugin = self._registry.get(self._id(instance_id), default=None)
        return None if plugin is None else self._read(plugin)

    def set(self, instance_id: str, record: Any) -> None:
        """Keeps a record, and sets its `updated_at`."""
        record.updated_at = time.time()
        labels = {
            ENABLED: "true" if record.enabled else "false",
            WORKER_ENV: json.dumps(getattr(record, "worker_env", {})),
            SAVED_AT: repr(record.updated_at),
        }
        unique_id = self._id(instance_id)
        try:
            self._registry.patch(unique_id, {"labels": labels})
        except NotFound:
            self._registry.register(
                {
                    "category": self._category or default_category(),
                    "name": instance_id,
                    "title": instance_id,
                    "config_schema": {},
                    "labels": labels,
                }
            )
        self._registry.config(unique_id).save(record.config)

    def delete(self, instance_id: str) -> bool:
        """Removes a record. Returns whether there was one. The plugin and what it holds stay."""
        if self.get(instance_id) is None:
            return False
        unique_id = self._id(instance_id)
        try:
            self._registry.config(unique_id).delete()
        except NotFound:
            pass
        self._registry.patch(unique_id, {"labels": {ENABLED: None, WORKER_ENV: None, SAVED_AT: None}})
        return True

    def list_all(self) -> dict[str, Any]:
        """Returns all records by their instance."""
        plugins = self._registry.iter(category=self._category or default_category())
        records = {plugin.name: self._read(plugin) for plugin in plugins}
        return {name: record for name, record in records.items() if record is not None}

    def _id(self, instance_id: str) -> str:
        return f"{self._category or default_category()}_{instance_id}"

    def _read(self, plugin: Plugin) -> Any:
        if SAVED_AT not in plugin.labels:
            return None
        try:
            config = dict(self._registry.config(plugin.unique_id).get())
        except NotFound:
            config = {}
        fields: dict[str, Any] = {
            "config": config,
            "enabled": plugin.labels.get(ENABLED) != "false",
            "worker_env": json.loads(plugin.labels.get(WORKER_ENV, "{}")),
            "updated_at": float(plugin.labels[SAVED_AT]),
        }
        record = _record_class()
        known = record.__dataclass_fields__
        return record(**{name: value for name, value in fields.items() if name in known})


def _record_class() -> type[Any]:
    try:
        module = runtime_module("core.config_store")
    except ImportError:
        return ConfigRecord
    record: type[Any] = getattr(module, "CapabilityConfigRecord", None) or module.PluginConfigRecord
    return record
