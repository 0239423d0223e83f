#!/usr/bin/env python3
"""Completes in bash, zsh and fish, each on a terminal of its own, with the files of the package: `completion.py BINARY`.

A line is typed with a tab in it and then run, so what was completed shows in what the command does. Without a registry,
a shell shows nothing.
"""

import http.client
import json
import os
import pty
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/system/proxy"))
from ports import free_port, wait_for  # noqa: E402

# How long a shell may take for one line, in seconds.
PATIENCE = 30
FILES = ROOT / "packaging/completion"
# How each shell starts without settings of its own, and how it finds the files of the package.
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], f"source {FILES}/plugin-registry.bash"),
    "zsh": (["zsh", "-f", "-i"], f"autoload -Uz compinit; compinit -u -D; source {FILES}/_plugin-registry"),
    "fish": (["fish", "--no-config", "-i"], f"source {FILES}/plugin-registry.fish"),
}


class Terminal:
    """A shell on a terminal."""

    def __init__(self, command, environment):
        self.pid, self.screen = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, environment)
        self.seen = ""

    def types(self, keys):
        os.write(self.screen, keys.encode())

    def shows(self, text):
        """Waits for a text, and returns what came before it."""
        until = time.monotonic() + PATIENCE
        while text not in self.seen:
            ready, _, _ = select.select([self.screen], [], [], max(0, until - time.monotonic()))
            if not ready:
                sys.exit(f"`{text}` has not come:\n{self.seen}")
            self.seen += os.read(self.screen, 65536).decode(errors="replace")
        before, _, self.seen = self.seen.partition(text)
        return before

    def end(self):
        self.types("\x15exit\n")
        try:
            while os.read(self.screen, 65536):
                pass
        except OSError:
            pass
        os.waitpid(self.pid, 0)
        os.close(self.screen)


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


def main():
    binary = str(Path(sys.argv[1]).resolve())
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "bin").mkdir()
        (home / "bin/plugin-registry").symlink_to(binary)
        shutil.copy(ROOT / "packaging/debian/plr", home / "bin/plr")
        (home / "bin/plr").chmod(0o755)
        command = [binary, "serve", "--listen", f"127.0.0.1:{port}", "--store", "memory", "--log-level", "warn"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
            try:
                wait_for(port)
                plugin = {"category": "c", "name": "worker", "title": "What was completed", "config_schema": {}, "spawned_pids": [os.getpid()]}
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                connection.request("POST", "/plugins", json.dumps(plugin), {"Content-Type": "application/json"})
                assert connection.getresponse().status == 201
                for shell in SHELLS:
                    complete(shell, home, port)
            finally:
                server.terminate()


main()
