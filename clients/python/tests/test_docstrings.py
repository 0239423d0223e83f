"""Every example of a docstring is run against a real registry."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from doctest import DocTest

import docstrings
import pytest

import plugin_registry
from plugin_registry import AsyncRegistry, Registry, local_server

INNER = {"lease_to_carry", "plugin_of", "registered", "session", "quiet", "held_leases"}
EXAMPLES = docstrings.examples()
WHISPER = {"name": "whisper", "category": "transcription", "title": "Whisper", "config_schema": {}}


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    with asyncio.Runner() as runner:
        yield runner.get_loop()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_of_a_docstring_does_what_it_says(example: DocTest, loop: asyncio.AbstractEventLoop) -> None:
    with local_server(arguments=["--probe-own-host=false", "--webhooks-allow-private"]) as url, Registry(url) as registry:
        registry.register(WHISPER)
        if "._async." in example.name:
            asynchronous = AsyncRegistry(url)
            wrong = docstrings.run(example, {"registry": asynchronous, "url": url}, loop)
            loop.run_until_complete(asynchronous.aclose())
        else:
            wrong = docstrings.run(example, {"registry": registry, "url": url}, loop)
    assert not wrong, "\n\n".join(wrong)


def test_every_public_name_has_an_example() -> None:
    described = {example.name.rpartition(".")[2] for example in docstrings.examples()}
    missing = [name for name in plugin_registry.__all__ if name not in described and name not in ("UNSET", "__version__")]
    assert not missing


@pytest.mark.parametrize("cls", [Registry, AsyncRegistry])
def test_every_public_method_of_the_client_has_an_example(cls: type) -> None:
    methods = [name for name in dir(cls) if not name.startswith("_")]
    described = {example.name.rpartition(".")[2] for example in docstrings.examples()}
    assert not [name for name in methods if name not in described | INNER]


