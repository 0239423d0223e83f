"""A registry for as long as a test, an example or a notebook needs one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from types import TracebackType
from typing import IO

from ._binary import find_binary

# The seconds that a starting server may take. A cold disk and a debug build take two or three.
START = 60.0
# The seconds that a stopping server may take before it is killed.
STOP = 20.0
# Ends the server when this process dies, however it dies: the pipe to `sh` is closed then.
WATCHER = 'read _ || kill -TERM "$0"'


class LocalServer:
    """A registry that this process started. `local_server` makes one.

    Attributes:
        url: Where the registry listens. A restarted server keeps its port.

    Examples:
        >>> from plugin_registry import LocalServer, Registry
        >>> server = LocalServer()
        >>> server.start()
        >>> with Registry(server.url) as registry:
        ...     registry.ready().status
        'ready'
        >>> server.stop()
    """

    def __init__(self, store: str = "memory", *, arguments: Sequence[str] = ()) -> None:
        self.url = ""
        self._store = store
        self._arguments = list(arguments)
        self._listen = "127.0.0.1:0"
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._logged = ""

    def __enter__(self) -> str:
        self.start()
        return self.url

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._process is None:
            raise RuntimeError("the server is not running; call start() first")
        return self._process.pid

    def start(self) -> None:
        """Starts the server and returns once it listens.

        Raises:
            BinaryNotFound: The program `plugin-registry` is not on this machine.
            RuntimeError: The server did not start. The message has its log.
        """
        if self._process is not None:
            return
        command = [
            *(find_binary(), "serve", "--listen", self._listen, "--store", self._store),
            *("--log-level", "warn", *self._arguments),
        ]
        # Settings of the developer's own registry must not reach this one.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PLUGIN_REGISTRY_")}
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
            # Ctrl-C is for the program that uses the registry; it stops the registry at its own end.
            start_new_session=True,
        )
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", WATCHER, str(self._process.pid)], stdin=subprocess.PIPE, start_new_session=True
        )
        self.url = self._await_address(self._process)
        self._listen = self.url.partition("://")[2]

    def stop(self) -> None:
        """Stops the server as an operator does (SIGTERM). Does nothing if it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kills the server as a crash does (SIGKILL). `start` starts it again on the same port and store."""
        self._end(signal.SIGKILL)

    def log(self) -> str:
        """Returns the warnings and errors that the server has logged since its last start."""
        if self._log is not None:
            self._log.seek(0)
            self._logged = self._log.read().decode(errors="replace")
        return self._logged

    def _await_address(self, process: subprocess.Popen[bytes]) -> str:
        output = process.stdout
        assert output is not None
        os.set_blocking(output.fileno(), False)
        said, deadline = b"", time.monotonic() + START
        while process.poll() is None and time.monotonic() < deadline:
            said += output.read() or b""
            found = re.search(rb"listening on (https?://\S+)\n", said)
            if found:
                os.set_blocking(output.fileno(), True)
                return found[1].decode()
            time.sleep(0.01)
        log = self.log()
        self.kill()
        raise RuntimeError(f"the local registry did not start: {log or said.decode(errors='replace')}")

    def _end(self, number: signal.Signals) -> None:
        process, watcher = self._process, self._watcher
        self._process = self._watcher = None
        if process is not None:
            process.send_signal(number)
            try:
                process.wait(STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
            self._close_log()
        if watcher is not None:
            # Killed before its pipe is closed, so that it signals nothing.
            watcher.kill()
            watcher.communicate()

    def _close_log(self) -> None:
        self.log()
        if self._log is not None:
            self._log.close()
            self._log = None


def local_server(store: str = "memory", *, arguments: Sequence[str] = ()) -> LocalServer:
    """Returns a registry that runs on this machine for the time of a `with` block, which gives its URL.

    It listens on a free port of the loopback, and ends with this process, also if that is killed.

    Args:
        store: `memory` keeps nothing; `sqlite:PATH` keeps the registry in a file.
        arguments: More flags of `plugin-registry serve`.

    Raises:
        BinaryNotFound: The program `plugin-registry` is not on this machine.

    Examples:
        >>> from plugin_registry import Registry, local_server
        >>> with local_server() as url, Registry(url) as registry:
        ...     registry.stats().total
        0
    """
    return LocalServer(store, arguments=arguments)
