"""Watches, mirrors and waits, over restarts, cuts and compaction."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay import Harm, relay

from plugin_registry import AsyncRegistry, Event, HistoryGone, LocalServer, Registry, Resync, Unreachable, local_server
from plugin_registry._core.sse import Message, Parser

ARGUMENTS = ["--probe-own-host=false"]
RESUMES = 2000


def plugin(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "category": "c", "title": name, "config_schema": {}, **fields}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    """A registry on a disk, with a short journal."""
    made = LocalServer(f"sqlite:{tmp_path}/registry.db", arguments=ARGUMENTS)
    made.start()
    yield made
    made.stop()


STREAM = b": hi\n\nid: s-1\nevent: hello\ndata: {}\n\nevent: change\r\nid: s-2\r\ndata: a\r\ndata: b\r\n\r\nid: s-3\n\ndata:\xc3\xa4\n\n"
MESSAGES = [Message("hello", "s-1", "{}"), Message("change", "s-2", "a\nb"), Message("message", "s-3", "ä")]


@given(st.lists(st.integers(0, len(STREAM))))
def test_messages_are_the_same_wherever_the_stream_is_cut(cuts: list[int]) -> None:
    parser, places = Parser(), sorted({0, *cuts, len(STREAM)})
    pieces = [STREAM[start:end] for start, end in zip(places, places[1:], strict=False)]
    assert [message for piece in pieces for message in parser.feed(piece)] == MESSAGES


def test_a_watch_survives_two_thousand_cuts_without_a_gap_or_a_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugin_registry._core.watching.AT_ONCE", 0.0)
    monkeypatch.setattr("plugin_registry._core.watching.Position.pause", lambda position, chance: 0.0)
    lines = [plugin(f"n{number}") for number in range(RESUMES)]
    # Each stream is cut at another place; some before the first event, so that the position must not move.
    with local_server(arguments=ARGUMENTS) as url, Registry(url) as registry:
        assert all(result.ok for result in registry.register_many(lines))
        with relay(url, lambda number, request: Harm(keep=600 + 97 * (number % 23))) as between, Registry(between.url) as cut:
            with cut.watch(after=0) as watch:
                seen = [next(watch).revision for _ in range(RESUMES)]
            assert seen == list(range(1, RESUMES + 1))
            assert len(between.requests) >= RESUMES


def test_a_watch_goes_on_after_the_server_was_killed(server: LocalServer) -> None:
    with Registry(server.url) as registry, registry.watch(after=0) as watch:
        registry.register(plugin("a"))
        assert next(watch).subject == "c_a"
        for name in "bcd":
            server.kill()
            server.start()
            registry.register(plugin(name))
            event = next(watch)
            assert (event.subject, event.revision) == (f"c_{name}", watch.revision)


def test_a_watch_that_can_never_begin_is_an_error() -> None:
    with Registry("http://127.0.0.1:1", retries=0) as registry, registry.watch() as watch, pytest.raises(Unreachable):
        next(watch)


def test_another_store_ends_a_watch_or_lists_anew(server: LocalServer, tmp_path: Path) -> None:
    with Registry(server.url) as registry:
        registry.register(plugin("a"))
        plain, relisting = registry.watch(after=0), registry.watch(relist=True)
        assert next(plain).subject == "c_a"
        first = next(relisting)
        assert isinstance(first, Resync) and [each.unique_id for each in first.plugins] == ["c_a"]
        registry.register(plugin("b"))
        assert next(plain).subject == "c_b"
        assert isinstance(event := next(relisting), Event) and event.subject == "c_b"
        server.kill()
        for file in tmp_path.iterdir():
            file.unlink()
        server.start()
        registry.register(plugin("other"))
        with pytest.raises(HistoryGone):
            next(plain)
        again = next(relisting)
        assert isinstance(again, Resync) and again.reason and [each.unique_id for each in again.plugins] == ["c_other"]
        plain.close()
        relisting.close()


def test_a_watch_that_waits_in_one_thread_is_closed_by_another(registry: Registry) -> None:
    watch, begun = registry.watch(after=0), threading.Event()
    seen: list[str] = []

    def follow() -> None:
        for event in watch:
            seen.append(event.subject)
            begun.set()

    thread = threading.Thread(target=follow)
    thread.start()
    registry.register(plugin("a"))
    assert begun.wait(60)
    watch.close()
    thread.join(60)
    assert not thread.is_alive() and seen == ["c_a"]


def test_a_task_that_watches_is_cancelled_and_closed(registry_server: str) -> None:
    async def main() -> None:
        async with AsyncRegistry(registry_server) as registry:
            watch = registry.watch(after=0, category="of-tasks")
            task = asyncio.create_task(anext(watch))
            async with registry.watch(after=0, category="of-tasks") as other:
                await registry.register({**plugin("a"), "category": "of-tasks"})
                assert (await anext(other)).subject == "of-tasks_a"
            await task
            waiting = asyncio.create_task(anext(watch))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await watch.aclose()

    asyncio.run(main())


def test_a_mirror_follows_over_restarts_and_another_store(server: LocalServer, tmp_path: Path) -> None:
    with Registry(server.url) as registry, registry.mirror() as mirror:
        assert not mirror
        registry.register(plugin("a"))
        mirror.wait(lambda plugins: "c_a" in plugins, 60)
        server.kill()
        server.start()
        registry.register(plugin("b"))
        registry.delete("c_a")
        mirror.wait(lambda plugins: sorted(plugins) == ["c_b"], 60)
        server.kill()
        for file in tmp_path.iterdir():
            file.unlink()
        server.start()
        registry.register(plugin("other"))
        mirror.wait(lambda plugins: sorted(plugins) == ["c_other"], 60)


def test_a_mirror_shows_what_leaves_its_filter_no_more(registry: Registry) -> None:
    registry.register(plugin("a", labels={"team": "speech"}))
    with registry.mirror(labels={"team": "speech"}) as mirror:
        assert sorted(mirror) == ["c_a"]
        registry.labels("c_a").set(team="vision")
        mirror.wait(lambda plugins: not plugins, 60)


def test_waits_end_with_the_change(registry: Registry) -> None:
    stopping = {"provider": "aws", "status": "stopping"}
    changes: list[tuple[str, Callable[[], object]]] = [
        ("active", lambda: registry.register(plugin("a", spawned_pids=[4711]))),
        ("configured", lambda: registry.config("c_a").save({})),
        ("status=stopping", lambda: registry.remote("c_a").set(stopping)),
        ("released", lambda: (registry.pids("c_a").clear(), registry.remote("c_a").clear())),
        ("deleted", lambda: registry.delete("c_a")),
    ]
    for goal, change in changes:
        thread = threading.Thread(target=change)
        thread.start()
        waited = registry.wait("c_a", goal, timeout=60)
        assert (waited is None) == (goal == "deleted")
        thread.join()


def test_a_goal_that_does_not_exist_is_refused(registry: Registry) -> None:
    with pytest.raises(ValueError, match="relesed"):
        registry.wait("c_a", "relesed")
