"""The client before a real registry: conditions, pages, tokens, settings."""

from __future__ import annotations

import itertools
import subprocess
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import httpx2
import pytest
from relay import Harm, relay

from plugin_registry import (
    UNSET,
    Invalid,
    Plugin,
    PluginMetadata,
    PreconditionFailed,
    Registry,
    RemoteResourceInfo,
    Unauthorized,
    Unreachable,
    local_server,
)

ARGUMENTS = ["--probe-own-host=false"]
PLUGIN = {"name": "a", "category": "c", "title": "A", "config_schema": {}}


def test_a_write_on_what_was_read_is_refused_if_it_has_changed(registry: Registry) -> None:
    mine, theirs = registry.register(PLUGIN), registry.get("c_a")
    theirs.title = "theirs"
    registry.update(theirs)
    mine.title = "mine"
    with pytest.raises(PreconditionFailed):
        registry.update(mine)
    mine.refresh()
    assert mine.title == "theirs"
    registry.update(mine, title="mine", description=UNSET)
    assert registry.get("c_a").title == "mine"
    with pytest.raises(PreconditionFailed):
        registry.register(PLUGIN, create_only=True)


def test_none_clears_and_unset_keeps(registry: Registry) -> None:
    registry.register({**PLUGIN, "description": "d", "version": "1"})
    plugin = registry.update("c_a", description=None, version=UNSET)
    assert (plugin.description, plugin.version) == (None, "1")


def test_fields_of_a_later_registry_survive(registry: Registry) -> None:
    plugin = registry.register(PLUGIN)
    plugin.load({**plugin.document, "of_tomorrow": {"a": [1]}}, registry.session.store)
    assert plugin.extra == {"of_tomorrow": {"a": [1]}} and plugin.to_document()["of_tomorrow"] == {"a": [1]}
    assert plugin.changes() == {}


def test_exact_numbers_are_decimals_to_the_digit(registry_server: str) -> None:
    with Registry(registry_server, exact_numbers=True) as registry:
        registry.register({**PLUGIN, "name": "exact", "config_schema": {"type": "object", "default": {"x": Decimal("0.10")}}})
        plugin = registry.remote("c_exact").set({"provider": "aws", "estimated_cost_per_hour": Decimal("1.25")})
        assert plugin.estimated_cost_per_hour == Decimal("1.25")
        assert isinstance(registry.get("c_exact").config_schema["default"]["x"], Decimal)


def test_pages_are_followed_to_the_end(registry: Registry) -> None:
    results = list(registry.register_many({**PLUGIN, "name": f"n{number}"} for number in range(25)))
    assert [result.line for result in results] == list(range(1, 26)) and all(result.ok for result in results)
    names = [f"n{number}" for number in range(25)]
    assert sorted(plugin.name for plugin in registry.iter(limit=4)) == sorted(names)
    assert sorted(plugin.name for plugin in registry.stream()) == sorted(names)
    page = registry.list(limit=10)
    assert (page.total, len(page), len(registry.list(limit=10, cursor=page.next_cursor))) == (25, 10, 10)
    assert len(list(registry.events(limit=7))) == 25


def test_a_wrong_line_does_not_stop_the_others(registry: Registry) -> None:
    results = list(registry.register_many([PLUGIN, {"name": "b"}, {**PLUGIN, "name": "c"}]))
    assert [result.ok for result in results] == [True, False, True]
    assert isinstance(results[1].error, Invalid) and results[0].error is None


def test_many_are_registered_without_holding_all(registry: Registry) -> None:
    endless = ({**PLUGIN, "name": f"n{number}"} for number in itertools.count())
    assert [result.line for result in itertools.islice(registry.register_many(endless), 1500)] == list(range(1, 1501))
    assert registry.list(limit=1).total == 2000


class Mode(Enum):
    """An enum of another package."""

    SUBPROCESS = "subprocess"


@dataclass
class Theirs:
    """A dataclass of another package, with the source model's fields."""

    name: str
    category: str
    title: str
    config_schema: dict[str, Any]
    config_dataclass: type | None = None
    execution_mode: Mode = Mode.SUBPROCESS
    spawned_pids: list[int] = field(default_factory=lambda: [7])


def test_the_source_models_own_dataclass_is_registered(registry: Registry) -> None:
    plugin = registry.register(Theirs("a", "c", "A", {}, config_dataclass=Theirs))
    assert plugin.execution_mode == "subprocess" and plugin.spawned_pids == [7] and plugin.config_dataclass is Theirs
    assert isinstance(plugin, Plugin) and isinstance(plugin, PluginMetadata)
    plugin.remote.set(RemoteResourceInfo.from_document({"provider": "aws", "status": "running"}))
    assert plugin.has_active_resources() and registry.get("c_a").remote_resource == plugin.remote_resource


def test_the_token_is_read_at_every_attempt() -> None:
    tokens = iter(["first", "second"])
    with local_server(arguments=ARGUMENTS) as url:
        with relay(url, lambda number, request: Harm(answer=b"") if number == 1 else None) as between:
            with Registry(between.url, token=lambda: next(tokens)) as registry:
                registry.ready()
            sent = [line for request in between.requests for line in request.split(b"\r\n") if line.lower().startswith(b"authorization")]
    assert [line.split()[-1] for line in sent] == [b"first", b"second"]


def test_without_a_token_in_force_the_error_says_how_to_get_one(registry: Registry) -> None:
    registry.tokens.create("admin", "admin")
    with pytest.raises(Unauthorized, match=r"try: plugin-registry login, or Registry\(token="):
        registry.list()


CONFIG = """
current = "work"
[contexts.work]
server = "{url}/"
token_file = "{token}"
[contexts.other]
server = "http://127.0.0.1:1"
"""


def test_settings_come_from_arguments_then_the_environment_then_the_file(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, folder = tmp_path / "token", tmp_path / "plugin-registry"
    token.write_text(f"{registry.tokens.create('admin', 'admin').token}\n")
    folder.mkdir()
    (folder / "config.toml").write_text(CONFIG.format(url=registry.url, token=token))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with Registry() as client:
        assert client.url == registry.url and client.list().total == 0
    with Registry(context="other") as client:
        assert client.url == "http://127.0.0.1:1"
    monkeypatch.setenv("PLUGIN_REGISTRY_SERVER", "http://127.0.0.1:2")
    with Registry() as client:
        # The token of the context is the context's server's alone.
        assert client.url == "http://127.0.0.1:2" and client.session.settings.current_token() is None
    with pytest.raises(ValueError, match="no context 'nowhere'; it has work, other"):
        Registry(context="nowhere")


def test_a_proxy_of_the_environment_is_not_asked_about_the_loopback(registry_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with Registry(registry_server) as registry:
        assert registry.ready().status == "ready"


def test_a_client_of_the_caller_stays_open(registry_server: str) -> None:
    with httpx2.Client() as mine:
        with Registry(registry_server, http_client=mine) as registry:
            assert registry.ready().status == "ready"
        assert not mine.is_closed


def test_a_closed_client_says_so(registry_server: str) -> None:
    with Registry(registry_server) as registry:
        registry.ready()
    with pytest.raises(RuntimeError, match="closed"):
        registry.ready()


def test_tls_is_checked_against_the_named_authorities(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subject += ["-addext", "basicConstraints=critical,CA:FALSE"]
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subprocess.run([*make, *subject, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    with local_server(arguments=[*ARGUMENTS, "--tls-cert", str(certificate), "--tls-key", str(key)]) as url:
        with Registry(url, ca_file=certificate) as registry, registry.lease("trainer") as lease:
            assert registry.ready().status == "ready" and lease.keeper == "process"
        with Registry(url, retries=0) as registry, pytest.raises(Unreachable, match="(?i)certificate"):
            registry.ready()
