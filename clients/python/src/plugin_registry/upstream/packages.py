"""Finds upstream's packages, which go by an older and a newer name."""

from __future__ import annotations

import importlib
import sys
from typing import Any

# The newer runtime first. Its predecessor says `plugin` where it says `capability`.
RUNTIMES = {"cjm_substrate": "capability", "cjm_plugin_system": "plugin"}


def runtime_module(name: str) -> Any:
    """Returns a module of the runtime that the program uses, or else of one that is installed.

    Raises:
        ImportError: No runtime is installed.
    """
    used = [package for package in RUNTIMES if package in sys.modules]
    for package in [*used, *RUNTIMES]:
        try:
            return importlib.import_module(f"{package}.{name}")
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] != package:
                raise
    raise ImportError(f"this needs {' or '.join(each.replace('_', '-') for each in RUNTIMES)}; install one of them")


def default_category() -> str:
    """Returns the word that the runtime has for what it runs: `capability`, or `plugin` for the older one."""
    for package, word in RUNTIMES.items():
        if package in sys.modules:
            return word
    return "capability"
