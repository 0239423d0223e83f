"""Completion in bash, zsh and fish, each on a terminal of its own, with the files of the package.

A line is typed with a tab in it and then run, so what was completed shows in what the command does. Without a registry,
a shell shows nothing.
"""

import os
import shutil
from pathlib import Path

from terminal import Terminal

ROOT = Path(__file__).resolve().parents[3]
FILES = ROOT / "packaging/completion"
# How each shell starts without settings of its own, and how it finds the files of the package.
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], f"source {FILES}/plugin-registry.bash"),
    "zsh": (["zsh", "-f", "-i"], f"fpath=({FILES} $fpath); autoload -Uz compinit; compinit -u -D"),
    "fish": (["fish", "--no-config", "-i"], f"source {FILES}/plugin-registry.fish"),
}


def complete(shell, home, port):
    command, ready = SHELLS[shell]
    (home / shell).mkdir()
    environment = os.environ | {
        "HOME": str(home / shell), "XDG_CACHE_HOME": str(home / shell), "XDG_CONFIG_HOME": str(home / shell),
        "XDG_DATA_HOME": str(home / shell), "PATH": f"{home / 'bin'}:{os.environ['PATH']}", "TERM": "xterm",
        "PLUGIN_REGISTRY_SERVER": f"http://127.0.0.1:{port}",
    }
    terminal = Terminal(command, environment)
    terminal.types(f" {ready}; echo re''ady\n")
    terminal.shows("ready")
    for line, result in [
        ("plugin-registry get c_wor\t\n", "What was completed"),
        ("plr get c_wor\t\n", "What was completed"),
        ("plugin-registry whoa\t\n", "anonymous"),
        ("plugin-registry ls --acti\t -o name\n", "c_worker"),
    ]:
        terminal.types(line)
        terminal.shows(result)
    terminal.types("export PLUGIN_REGISTRY_SERVER=http://127.0.0.1:1 XDG_CACHE_HOME=/nowhere; echo a''way\n")
    terminal.shows("away")
    terminal.types("plugin-registry get c_wor\t\x15echo qui''et\n")
    said = terminal.shows("quiet")
    assert "error" not in said and "cannot" not in said, said
    terminal.end()
    print(f"  {shell} completes verbs, flags and ids, and is silent without a registry", flush=True)


def check(binary, home, port):
    """Tries all shells, with the programs as the package installs them."""
    (home / "bin").mkdir()
    (home / "bin/plugin-registry").symlink_to(binary)
    shutil.copy(ROOT / "packaging/debian/plr", home / "bin/plr")
    (home / "bin/plr").chmod(0o755)
    for shell in SHELLS:
        complete(shell, home, port)
