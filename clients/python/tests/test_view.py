"""What the client shows after any commands is what the registry has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugin_registry import Plugin, PluginMetadata, Registry, RegistryError

NAMES = st.sampled_from(["a", "b"])
PIDS = st.sets(st.integers(1, 5), max_size=3)
REMOTES = st.fixed_dictionaries(
    {"provider": st.sampled_from(["aws", "gcp"])},
    optional={"status": st.sampled_from(["running", "terminated"]), "instance_id": st.sampled_from(["i-1", "i-2"])},
)
Command = Callable[[Registry], Any]


def command(name: str, argument: Any, make: Callable[[Registry, str, Any], Any]) -> tuple[str, Command]:
    return name, lambda registry: make(registry, f"view_{name}", argument)


def commands(make: Callable[[Registry, str, Any], Any], arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, Command]]:
    return st.tuples(NAMES, arguments).map(lambda chosen: command(chosen[0], chosen[1], make))


def registered(registry: Registry, unique_id: str, fields: dict[str, Any]) -> Plugin:
    return registry.register({"name": unique_id[5:], "category": "view", "title": "T", "config_schema": {}, **fields})


def edited(registry: Registry, unique_id: str, title: str) -> Plugin:
    plugin = registry.get(unique_id)
    plugin.title, plugin.labels["edited"] = title, "yes"
    return registry.update(plugin)


ANY = st.one_of(
    commands(registered, st.fixed_dictionaries({}, optional={"spawned_pids": PIDS.map(sorted), "remote_resource": REMOTES})),
    commands(lambda registry, unique_id, pids: registry.pids(unique_id).set(sorted(pids)), PIDS),
    commands(lambda registry, unique_id, pids: registry.pids(unique_id).add(*sorted(pids)), PIDS.filter(bool)),
    commands(lambda registry, unique_id, pid: registry.pids(unique_id).remove(pid), st.integers(1, 5)),
    commands(lambda registry, unique_id, remote: registry.remote(unique_id).set(remote), REMOTES),
    commands(lambda registry, unique_id, status: registry.remote(unique_id).patch(status=status), st.sampled_from(["running", "off"])),
    commands(lambda registry, unique_id, _: registry.remote(unique_id).clear(), st.none()),
    commands(lambda registry, unique_id, value: registry.config(unique_id).save({"v": value}), st.integers()),
    commands(lambda registry, unique_id, _: registry.config(unique_id).delete(), st.none()),
    commands(edited, st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=5)),
    commands(lambda registry, unique_id, force: registry.delete(unique_id, force=force), st.booleans()),
)


@pytest.fixture(scope="module")
def shared(registry_server: str) -> Any:
    with Registry(registry_server) as registry, registry.mirror(category="view") as mirror:
        yield registry, mirror


@settings(max_examples=25)
@given(steps=st.lists(ANY, max_size=12))
def test_the_client_shows_what_the_registry_has(shared: Any, steps: list[tuple[str, Command]]) -> None:
    registry, mirror = shared
    for name in "ab":
        if registry.get(f"view_{name}", default=None) is not None:
            registry.delete(f"view_{name}", force=True)
    for name, do in steps:
        try:
            returned = do(registry)
        except RegistryError:
            continue  # The registry refuses what does not fit, for example what does not exist.
        read = registry.get(f"view_{name}", default=None)
        if isinstance(returned, Plugin):
            assert read is not None and same(returned, read)
    listed = {plugin.unique_id: plugin for plugin in registry.iter(category="view")}
    head = registry.stats().revision
    mirror.wait(lambda plugins: plugins.keys() == listed.keys() and all(same(plugins[each], listed[each]) for each in listed), 60)
    assert mirror.revision <= head
    for plugin in listed.values():
        assert PluginMetadata.from_document(plugin.to_document()) == PluginMetadata.from_document(plugin.document)


def same(one: Plugin, other: Plugin) -> bool:
    return one.to_document() == other.to_document() and one.revision == other.revision and one.etag == other.etag
