"""Fixtures for pytest: a real registry for tests. pytest loads this module by itself once the package is installed.

| fixture | scope | gives |
|---|---|---|
| `registry_server` | session | the URL of a registry that the tests of a session share |
| `registry` | function | a `Registry` on a server and a store of its own |
| `async_registry` | function | an `AsyncRegistry` on a server and a store of its own |

The servers do not probe this host, because tests invent process ids. A test that needs probes starts its own with
`local_server`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from plugin_registry import AsyncRegistry, Registry

WITHOUT_PROBES = ("--probe-own-host=false",)

# The package is imported inside the fixtures: pytest loads this module in every project of the environment.


@pytest.fixture(scope="session")
def registry_server() -> Iterator[str]:
    """The URL of a registry in memory that all tests of the session share."""
    from plugin_registry import local_server

    with local_server(arguments=WITHOUT_PROBES) as url:
        yield url


@pytest.fixture
def registry() -> Iterator[Registry]:
    """A `Registry` whose server and store are of this test alone."""
    from plugin_registry import Registry, local_server

    with local_server(arguments=WITHOUT_PROBES) as url, Registry(url) as client:
        yield client


@pytest.fixture
def async_registry() -> Iterator[AsyncRegistry]:
    """An `AsyncRegistry` whose server and store are of this test alone.

    It opens its connections in the test's own event loop. Use it with `async with`, which closes them there.
    """
    from plugin_registry import AsyncRegistry, local_server

    with local_server(arguments=WITHOUT_PROBES) as url:
        yield AsyncRegistry(url)
