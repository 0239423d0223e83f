"""What was left behind is stopped, and nothing else."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from plugin_registry import Registry, Resource, local_server
from plugin_registry.leftovers import start_ticks, stop_process

PLUGIN = {"category": "transcription", "name": "whisper", "title": "Whisper", "config_schema": {}}
# A process that says when it is ready, and ignores SIGTERM.
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.1; done"


@pytest.fixture(scope="module")
def probing() -> Iterator[Registry]:
    """A registry that looks at the processes of this machine."""
    with local_server(arguments=["--probe-interval=1"]) as url, Registry(url) as registry:
        registry.register(PLUGIN)
        yield registry


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def observed(registry: Registry, pid: int) -> Resource:
    """The row of a process, once the registry has seen it alive."""
    registry.pids("transcription_whisper").set([pid])
    revision = 0
    while True:
        rows = [row for row in registry.resources(verified=True) if row.id == str(pid)]
        if rows:
            return rows[0]
        page = registry.request("GET", "/resources", params={"since": revision, "wait": "10s"})
        revision = page["revision"] if page else revision


def test_the_observed_process_is_stopped(probing: Registry, process: subprocess.Popen[bytes]) -> None:
    row = observed(probing, process.pid)
    assert stop_process(row)
    assert process.wait() == -signal.SIGTERM
    assert stop_process(row)
    assert [each.released for each in probing.release(row)] == [True]


def test_a_process_that_ignores_sigterm_is_killed(probing: Registry) -> None:
    with subprocess.Popen(["sh", "-c", STUBBORN], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        assert stop_process(observed(probing, process.pid), grace=0.2)
        assert process.wait() == -signal.SIGKILL


def changed(row: Resource, **identity: Any) -> dict[str, Any]:
    """The row, observed of a process with another identity."""
    document = row.to_document()
    return {**document, "observed": {**document["observed"], "identity": {**document["observed"]["identity"], **identity}}}


def test_another_process_with_the_same_number_is_left_alone(
    probing: Registry, process: subprocess.Popen[bytes]
) -> None:
    row = observed(probing, process.pid)
    ticks = start_ticks(process.pid)
    assert ticks is not None
    # The observed process has ended: its number belongs to this one by now.
    assert stop_process(changed(row, start_ticks=ticks - 1))
    assert process.poll() is None


@pytest.mark.parametrize("identity", [{"boot_id": "another"}, {"pid_namespace": 1}])
def test_a_process_of_another_machine_or_container_is_left_alone(
    probing: Registry, process: subprocess.Popen[bytes], identity: dict[str, Any]
) -> None:
    assert not stop_process(changed(observed(probing, process.pid), **identity))
    assert process.poll() is None


def test_what_no_probe_has_seen_is_left_alone(registry: Registry, process: subprocess.Popen[bytes]) -> None:
    registry.register(PLUGIN)
    registry.pids("transcription_whisper").add(process.pid)
    registry.container("transcription_whisper").set("web")
    assert not any(stop_process(row) for row in registry.resources())
    assert process.poll() is None
