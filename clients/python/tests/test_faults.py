"""What a registry and a network can do to a request: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from relay import Harm, relay

from plugin_registry import LocalServer, Registry, RegistryError, TooManyRequests, Unavailable, Unreachable, local_server

ARGUMENTS = ["--probe-own-host=false"]
SCRIPT = 60


def plugin(name: str) -> dict[str, Any]:
    return {"name": name, "category": "c", "title": name, "config_schema": {}}


def script(registry: Registry) -> Iterator[object]:
    """Sixty requests, most of which would do harm if the registry did them twice."""
    for turn in range(6):
        name, unique_id = f"n{turn}", f"c_n{turn}"
        yield registry.register(plugin(name), create_only=True)
        yield registry.pids(unique_id).add(1, 2)
        yield registry.pids(unique_id).remove(2)
        yield registry.labels(unique_id).set(team="speech")
        yield registry.config(unique_id).save({"turn": turn})
        yield registry.remote(unique_id).set({"provider": "aws", "status": "running", "instance_id": f"i-{turn}"})
        yield registry.remote(unique_id).patch(status="stopping")
        yield registry.budgets.create(name, limit_usd=5, period="day")
        yield registry.remote(unique_id).clear()
        yield registry.delete(unique_id, force=True) if turn % 2 else registry.get(unique_id)


def summary(registry: Registry) -> Any:
    # The ids of budgets are random.
    subjects = {event.revision: event.subject for event in registry.events() if not event.type.startswith("budget.")}
    events = [(event.revision, event.type, subjects.get(event.revision)) for event in registry.events()]
    plugins = [(each.unique_id, each.spawned_pids, each.labels, each.is_configured) for each in registry.iter()]
    return events, plugins, len(registry.budgets.list())


@pytest.fixture(scope="module")
def undisturbed() -> Any:
    with local_server(arguments=ARGUMENTS) as url, Registry(url) as registry:
        assert len(list(script(registry))) == SCRIPT
        return summary(registry)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    """A registry on a disk."""
    made = LocalServer(f"sqlite:{tmp_path}/registry.db", arguments=ARGUMENTS)
    made.start()
    yield made
    made.stop()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_server_that_is_killed_at_every_request_loses_and_doubles_nothing(
    server: LocalServer, undisturbed: Any, moment: str, waits: list[float]
) -> None:
    def crash() -> None:
        server.kill()
        server.start()

    def fault(number: int, request: bytes) -> Harm | None:
        # Every second request is a repeat, and gets through.
        if number % 2 == 0:
            return None
        return Harm(before=crash, answer=b"") if moment == "before" else Harm(after=crash)

    with relay(server.url, fault) as between, Registry(between.url, retries=8) as registry:
        assert len(list(script(registry))) == SCRIPT
        assert len(between.requests) == 2 * SCRIPT and len(waits) == SCRIPT
    with Registry(server.url) as registry:
        assert summary(registry) == undisturbed


@pytest.mark.parametrize("kept", [1, 20, 300])
def test_half_an_answer_is_no_answer(kept: int) -> None:
    def fault(number: int, request: bytes) -> Harm | None:
        return Harm(keep=kept) if number % 2 else None

    with local_server(arguments=ARGUMENTS) as url, relay(url, fault) as between, Registry(between.url) as registry:
        assert registry.register(plugin("a"), create_only=True).revision == 1
        assert registry.pids("c_a").add(7) == [7]
        assert registry.get("c_a").revision == 2


def answer(status: int, *headers: str) -> bytes:
    fields = "".join(f"{header}\r\n" for header in headers)
    return f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n{fields}Connection: close\r\n\r\n".encode()


@pytest.mark.parametrize("status", [429, 503])
def test_the_client_waits_as_long_as_the_registry_says(status: int, waits: list[float]) -> None:
    def fault(number: int, request: bytes) -> Harm | None:
        return Harm(answer=answer(status, "Retry-After: 9")) if number == 1 else None

    with local_server(arguments=ARGUMENTS) as url, relay(url, fault) as between, Registry(between.url) as registry:
        registry.register(plugin("a"))
    assert waits == [9]


@pytest.mark.parametrize(("status", "error"), [(429, TooManyRequests), (503, Unavailable)])
def test_a_registry_that_never_recovers_is_an_error(status: int, error: type[RegistryError], waits: list[float]) -> None:
    def fault(number: int, request: bytes) -> Harm | None:
        return Harm(answer=answer(status))

    with relay("http://127.0.0.1:1", fault) as between, Registry(between.url) as registry:
        with pytest.raises(error):
            registry.stats()
        assert len(between.requests) == 5 and len(waits) == 4


def test_a_name_that_does_not_resolve_is_unreachable(waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object, **more: object) -> None:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    with Registry("http://registry.invalid") as registry, pytest.raises(Unreachable, match="name resolution"):
        registry.stats()
    assert len(waits) == 4


def test_a_page_of_a_proxy_instead_of_json_is_an_error() -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>"
    with relay("http://127.0.0.1:1", lambda number, request: Harm(answer=page)) as between:
        with Registry(between.url) as registry, pytest.raises(RegistryError, match="not JSON"):
            registry.stats()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client waited; it does not wait here."""
    waited: list[float] = []
    sleep: Callable[[float], None] = waited.append
    monkeypatch.setattr("plugin_registry._sync.session.sleep", sleep)
    return waited
