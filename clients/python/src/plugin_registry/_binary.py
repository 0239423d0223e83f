"""Finds the program that the Linux wheel ships, and starts it under its other names.

The wheel puts the program into the scripts folder of the environment. Where that is depends on how pip was called
(`--user`, `--target`, `--prefix`), so several folders are looked at. ruff and uv find their programs in the same way.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

NAME = "plugin-registry.exe" if os.name == "nt" else "plugin-registry"
VARIABLE = "PLUGIN_REGISTRY_BINARY"


class BinaryNotFound(FileNotFoundError):
    """The program `plugin-registry` is not on this machine. `looked_at` names every place that was looked at.

    Examples:
        >>> from pathlib import Path
        >>> from plugin_registry import BinaryNotFound
        >>> str(BinaryNotFound([Path("/usr/bin/plugin-registry")])).splitlines()[1]
        '  /usr/bin/plugin-registry'
    """

    def __init__(self, looked_at: list[Path]) -> None:
        self.looked_at = looked_at
        places = "\n".join(f"  {place}" for place in looked_at)
        super().__init__(
            f"the program {NAME} was not found. Looked at:\n{places}\n"
            "This installation has the Python client alone: the wheel with the program is for Linux on x86-64. "
            "Elsewhere run the registry in a container or on another machine, and name it with PLUGIN_REGISTRY_SERVER. "
            f"If the program is somewhere else on this machine, name it with {VARIABLE}."
        )


def find_binary() -> str:
    """Returns the path of the program `plugin-registry`.

    It looks at `PLUGIN_REGISTRY_BINARY`, the scripts folders of this environment, and `PATH`.

    Raises:
        BinaryNotFound: The program is in none of these places.

    Examples:
        >>> import os
        >>> from plugin_registry import find_binary
        >>> os.path.basename(find_binary())
        'plugin-registry'
    """
    looked_at: list[Path] = []
    for place in dict.fromkeys(_places()):
        looked_at.append(place)
        if _is_program(place):
            return str(place)
    raise BinaryNotFound(looked_at)


def _places() -> Iterator[Path]:
    named = os.environ.get(VARIABLE)
    if named:
        # A wrong name is a mistake to report, so nothing else is looked at.
        yield Path(named)
        return
    yield Path(sysconfig.get_path("scripts"), NAME)
    # Of a virtual environment: the interpreter on which it is built.
    yield Path(sysconfig.get_path("scripts", vars={"base": sys.base_prefix}), NAME)
    package = Path(__file__).resolve().parent
    # `pip install --prefix`: PREFIX/lib/python3.X/site-packages/plugin_registry.
    if len(package.parents) > 3:
        yield package.parents[3] / "bin" / NAME
    # `pip install --target`: FOLDER/plugin_registry and FOLDER/bin.
    yield package.parent / "bin" / NAME
    yield Path(sysconfig.get_path("scripts", scheme=sysconfig.get_preferred_scheme("user")), NAME)
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        found = shutil.which(NAME, path=folder) if folder else None
        if found:
            yield Path(found)


def _is_program(path: Path) -> bool:
    """Returns true if `path` is a program, and not the script of this package that has the same name."""
    if not os.access(path, os.X_OK) or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(2) != b"#!"


def main() -> None:
    """Becomes the program `plugin-registry`. The commands `plr` and `plugin-registryd` are this function."""
    try:
        program = find_binary()
    except BinaryNotFound as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {error}")
    command = [program, *sys.argv[1:]]
    if os.name == "nt":
        import subprocess

        sys.exit(subprocess.call(command))
    os.execv(program, command)
