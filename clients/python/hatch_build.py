"""Makes the two kinds of wheel from one source.

With `PLUGIN_REGISTRY_BINARY=PATH`, a wheel for Linux that has this static program as a script. Without it, a wheel for any
machine, where the command `plugin-registry` looks for the program elsewhere and says so if there is none.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

VARIABLE = "PLUGIN_REGISTRY_BINARY"
# The machines of ELF headers (e_machine, see elf(5)), as pip names them.
MACHINES = {62: "x86_64", 183: "aarch64"}
# The program header that a dynamically linked program has (PT_INTERP), see elf(5).
INTERPRETER = 3
COMMANDS = ("plr", "plugin-registryd")


def tag_of(program: Path) -> str:
    """Returns the tag of a wheel with this program: for any Linux if it is static, else for machines like this one alone."""
    with program.open("rb") as file:
        header = file.read(64)
        if header[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{program} is not a program for 64-bit Linux")
        machine = MACHINES.get(struct.unpack_from("<H", header, 18)[0])
        if machine is None:
            raise ValueError(f"{program} is for a machine that this build does not know")
        table, size, count = struct.unpack_from("<Q14xHH", header, 32)
        file.seek(table)
        segments = [file.read(size) for _ in range(count)]
    if any(struct.unpack_from("<I", segment)[0] == INTERPRETER for segment in segments):
        # It loads the libraries of the machine where it was built. Package indexes refuse this tag.
        return f"py3-none-linux_{machine}"
    return f"py3-none-manylinux2014_{machine}.manylinux_2_17_{machine}.musllinux_1_1_{machine}"


class Commands(MetadataHookInterface):
    """Names the console commands. A wheel with the program has `plugin-registry` as a file instead of a Python script."""

    def update(self, metadata: dict[str, Any]) -> None:
        commands = COMMANDS if os.environ.get(VARIABLE) else ("plugin-registry", *COMMANDS)
        metadata["scripts"] = {name: "plugin_registry._binary:main" for name in commands}


class Program(BuildHookInterface[Any]):
    """Puts the program into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        named = os.environ.get(VARIABLE)
        if self.target_name != "wheel" or version == "editable" or not named:
            return
        program = Path(named).resolve(strict=True)
        build_data["shared_scripts"] = {str(program): "plugin-registry"}
        build_data["pure_python"] = False
        build_data["tag"] = tag_of(program)
