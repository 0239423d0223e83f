"""Runs the examples of docstrings against a real registry; those of the asynchronous client may `await`."""

from __future__ import annotations

import ast
import asyncio
import doctest
import importlib
import inspect
import io
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from types import CodeType
from typing import Any

import plugin_registry

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
# It parses arguments when it is imported.
PROGRAMS = {"plugin_registry.pytest_plugin"}


def modules() -> Iterator[str]:
    """The modules of the package."""
    yield "plugin_registry"
    for module in pkgutil.walk_packages(plugin_registry.__path__, "plugin_registry."):
        if module.name not in PROGRAMS:
            yield module.name


def examples() -> list[doctest.DocTest]:
    """The docstrings that have examples."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for name in modules() for test in finder.find(importlib.import_module(name))]
    return [test for test in found if test.examples]


def run(test: doctest.DocTest, names: dict[str, Any], loop: asyncio.AbstractEventLoop) -> list[str]:
    """The differences between what a docstring says and what happens."""
    checker, wrong = doctest.OutputChecker(), list[str]()
    space: dict[str, Any] = {"__name__": "__main__", **names}
    for example in test.examples:
        code = compile(
            example.source, f"<{test.name}>", "single", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
        )
        got = _output(code, space, loop)
        if not checker.check_output(example.want, got, FLAGS):
            difference = checker.output_difference(example, got, FLAGS)
            wrong.append(f"{test.filename}:{(test.lineno or 0) + example.lineno + 1}\n{example.source}{difference}")
    return wrong




def _output(code: CodeType, space: dict[str, Any], loop: asyncio.AbstractEventLoop) -> str:
    output, hook = io.StringIO(), sys.displayhook
    sys.displayhook = sys.__displayhook__
    try:
        with redirect_stdout(output):
            if code.co_flags & inspect.CO_COROUTINE:
                loop.run_until_complete(eval(code, space))
            else:
                exec(code, space)
    except Exception as error:
        output.write(f"{type(error).__module__}.{type(error).__name__}: {error}\n")
    finally:
        sys.displayhook = hook
    return output.getvalue()
