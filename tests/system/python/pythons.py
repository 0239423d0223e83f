"""The Pythons of this machine."""

import shutil
import subprocess
from pathlib import Path

# The versions that the client is tested with. pyproject.toml names these and later ones.
PYTHONS = ("3.11", "3.12", "3.13")


def find_pythons():
    """The Python of each version: on PATH, or one that pyenv has installed."""
    found = {}
    for version in PYTHONS:
        installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
        for candidate in [shutil.which(f"python{version}"), *map(str, reversed(installed))]:
            if candidate and works(candidate):
                found[version] = candidate
                break
    return found


def works(python):
    """True if it runs and can make virtual environments: pyenv has commands for versions that are not selected, and Debian leaves `venv` out."""
    return subprocess.run([python, "-c", "import venv, ensurepip"], capture_output=True).returncode == 0
