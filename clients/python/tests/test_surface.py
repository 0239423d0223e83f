"""The two clients are the same, but for the waiting."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plugin_registry import AsyncPlugin, AsyncRegistry, Plugin, Registry

TOOL = Path(__file__).parent.parent / "tools" / "unasync.py"
SAME = {"aclose": "close", "__aenter__": "__enter__", "__aexit__": "__exit__"}


def surface(cls: type) -> dict[str, Any]:
    names = (name for name in dir(cls) if not name.startswith("_"))
    members = {SAME.get(name, name): inspect.getattr_static(cls, name) for name in names}
    return {name: _parameters(member) for name, member in members.items()}


def _parameters(member: Any) -> Any:
    if isinstance(member, property):
        return "property"
    if inspect.isfunction(member):
        return [(each.name, each.kind, repr(each.default)) for each in inspect.signature(member).parameters.values()]
    return type(member).__name__


@pytest.mark.parametrize(("asynchronous", "synchronous"), [(AsyncRegistry, Registry), (AsyncPlugin, Plugin)])
def test_both_clients_have_the_same_methods_and_parameters(asynchronous: type, synchronous: type) -> None:
    assert surface(asynchronous) == surface(synchronous)


def test_both_plugins_have_the_same_fields() -> None:
    names = [[field.name for field in dataclasses.fields(cls)] for cls in (AsyncPlugin, Plugin)]
    assert names[0] == names[1]


def test_the_synchronous_client_is_the_one_that_the_tool_makes() -> None:
    made = subprocess.run([sys.executable, TOOL, "--check"], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout


def test_the_package_does_not_import_what_only_some_need() -> None:
    code = "import sys, plugin_registry; print([m for m in ('asyncio', 'httpx2', 'ssl', 'pytest') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
