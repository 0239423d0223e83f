"""Upstream's `UnifiedPluginRegistry` and `PluginRegistryProtocol`, each method called as upstream calls it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import pytest

from plugin_registry import Registry
from plugin_registry._server import LocalServer
from plugin_registry.upstream import UnifiedPluginRegistry

SCHEMA = {
    "type": "object",
    "title": "Whisper",
    "description": "Speech to text",
    "properties": {"device": {"type": "string"}},
}


@dataclass
class Found:
    """What a manager discovers."""

    name: str
    version: str


@dataclass
class Config:
    device: str = "cpu"


class Manager:
    """A manager of plugins: the two methods that upstream's class calls."""

    def discover_plugins(self) -> list[Found]:
        return [Found("whisper", "1.0.0")]

    def get_plugin_config_dataclass(self, name: str) -> type:
        assert name == "whisper"
        return Config


def schema_of(cls: type) -> dict[str, Any]:
    assert cls is Config
    return SCHEMA


@pytest.fixture
def plugins(registry: Registry) -> UnifiedPluginRegistry:
    return UnifiedPluginRegistry(registry, schema_of=schema_of)


def test_discovered_plugins_are_registered(plugins: UnifiedPluginRegistry) -> None:
    manager = Manager()
    [found] = plugins.register_plugin_manager(category="transcription", manager=manager, display_name="Speech")
    assert (found.name, found.category, found.title) == ("whisper", "transcription", "Whisper")
    assert (found.version, found.description, found.config_dataclass) == ("1.0.0", "Speech to text", Config)
    assert found.is_configured is False
    assert plugins.get_manager("transcription", manager_type=Manager) is manager
    assert plugins.get_manager("llm") is None
    assert plugins.get_categories() == ["transcription"]
    assert plugins.get_category_display_name("transcription") == "Speech"
    assert plugins.get_category_display_name("text_to_image") == "Text_To_Image"
    assert plugins.get_categories_with_plugins() == ["transcription"]
    assert [plugin.get_unique_id() for plugin in plugins.get_all_plugins()] == ["transcription_whisper"]


def test_without_discovery_nothing_is_registered(plugins: UnifiedPluginRegistry) -> None:
    assert plugins.register_plugin_manager("llm", Manager(), auto_discover=False) == []
    assert plugins.get_categories() == ["llm"]
    assert plugins.get_categories_with_plugins() == []
    assert plugins.get_plugin("transcription_whisper") is None
    assert plugins.get_plugins_by_category("llm") == []


def test_a_second_discovery_keeps_what_is_held_and_the_configuration(
    plugins: UnifiedPluginRegistry, registry: Registry
) -> None:
    plugins.register_plugin_manager("transcription", Manager())
    registry.pids("transcription_whisper").add(4711)
    assert plugins.save_plugin_config("transcription_whisper", {"device": "cuda"})
    [found] = plugins.register_plugin_manager("transcription", Manager())
    assert (found.spawned_pids, found.is_configured) == ([4711], True)


def test_configurations_are_saved_checked_and_deleted(
    plugins: UnifiedPluginRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    plugins.register_plugin_manager("transcription", Manager())
    assert plugins.load_plugin_config("transcription_whisper") == {}
    assert plugins.save_plugin_config("transcription_whisper", {"device": "cuda"})
    assert plugins.load_plugin_config("transcription_whisper") == {"device": "cuda"}
    [plugin] = plugins.get_plugins_by_category("transcription")
    assert (plugin.name, plugin.is_configured, plugin.config_dataclass) == ("whisper", True, Config)
    with caplog.at_level(logging.WARNING):
        assert not plugins.save_plugin_config("transcription_whisper", {"device": 1})
    assert "the configuration of transcription_whisper is not saved" in caplog.text
    assert plugins.delete_plugin_config("transcription_whisper")
    assert plugins.delete_plugin_config("transcription_whisper")
    assert plugins.load_plugin_config("transcription_whisper") == {}


def test_the_application_starts_while_the_registry_is_away(caplog: pytest.LogCaptureFixture) -> None:
    server = LocalServer()
    server.start()
    with Registry(server.url, retries=0) as registry:
        plugins = UnifiedPluginRegistry(registry, schema_of=schema_of)
        server.stop()
        with caplog.at_level(logging.WARNING):
            [found] = plugins.register_plugin_manager("transcription", Manager())
        assert (found.get_unique_id(), found.config_dataclass) == ("transcription_whisper", Config)
        assert "transcription_whisper is not registered" in caplog.text


def test_the_client_itself_is_the_registry_that_a_job_manager_takes(registry: Registry) -> None:
    registry.register({"category": "transcription", "name": "whisper", "title": "Whisper", "config_schema": SCHEMA})
    registry.config("transcription_whisper").save({"device": "cpu"})
    [plugin] = registry.get_plugins_by_category("transcription")
    assert (plugin.name, plugin.is_configured, plugin.config_schema) == ("whisper", True, SCHEMA)
    assert plugin.get_unique_id() == "transcription_whisper"
    assert registry.get_plugin("transcription_whisper") == registry.get("transcription_whisper")
    assert registry.get_plugin("no_such") is None
    assert registry.load_plugin_config("transcription_whisper") == {"device": "cpu"}
    assert registry.load_plugin_config("no_such") == {}
