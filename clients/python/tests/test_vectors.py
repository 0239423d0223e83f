"""Golden vectors: what the source model says of each plugin is what the client and the registry say of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from plugin_registry import PluginMetadata, Registry

VECTORS = Path(__file__).parents[3] / "tests" / "vectors" / "examples.json"
PLUGINS = json.loads(VECTORS.read_text())["plugins"]


def derived(plugin: PluginMetadata) -> dict[str, Any]:
    return {
        "id": plugin.get_unique_id(),
        "is_local": plugin.is_local_execution(),
        "is_cloud": plugin.is_cloud_execution(),
        "has_active_resources": plugin.has_active_resources(),
    }


@pytest.mark.parametrize("vector", PLUGINS, ids=lambda vector: vector["derived"]["id"])
def test_the_dataclass_is_the_source_models(vector: dict[str, Any]) -> None:
    plugin = PluginMetadata.from_document(vector["request"])
    assert plugin.to_document() == vector["metadata"]
    said = derived(plugin)
    assert said == {name: vector["derived"][name] for name in said}
    assert PluginMetadata.from_document(plugin.to_document()) == plugin
    assert plugin.to_upstream(PluginMetadata) == plugin == PluginMetadata.from_upstream(plugin)


def test_the_registry_keeps_every_vector(registry: Registry) -> None:
    for vector in PLUGINS:
        kept = registry.register(vector["request"])
        assert {name: kept.document[name] for name in vector["metadata"]} == vector["metadata"]
        said = derived(kept)
        assert said == {name: vector["derived"][name] for name in said}
    assert registry.list().total == len(PLUGINS)
