"""Renews a lease beside the application: in a process of its own, or in a thread where that is not possible."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
from collections.abc import Callable
from typing import Literal, TypeAlias

from ._binary import BinaryNotFound, find_binary
from ._core import calls
from ._core.errors import Refused, Unavailable, Unreachable
from ._core.settings import Settings
from ._sync.session import Session
from .leftovers import start_ticks

log = logging.getLogger("plugin_registry")
Kind: TypeAlias = Literal["process", "thread"]
LOST = {3: "the registry has no such lease", 4: "the token may not renew the lease", 5: "the lease was released"}
"""The exit codes of `hold-lease` that tell that the lease cannot be renewed any more."""


def client_flags(settings: Settings) -> list[str]:
    """The flags by which the program reaches the same registry."""
    flags = ["--server", settings.url]
    if settings.ca_file:
        flags += ["--ca-file", settings.ca_file]
    certificate = settings.client_cert
    if certificate:
        pair = certificate if isinstance(certificate, tuple) else (certificate, certificate)
        flags += ["--client-cert", pair[0], "--client-key", pair[1]]
    # A file may have another token later, which a copy in the environment would not have.
    return [*flags, "--token-file", settings.token_file] if settings.token_file and settings.token is None else flags


def client_environment(settings: Settings) -> dict[str, str]:
    """The environment of the program: with the token, which a command line would show to every user."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PLUGIN_REGISTRY_TOKEN")}
    token = None if settings.token is None else settings.current_token()
    return environment if token is None else {**environment, "PLUGIN_REGISTRY_TOKEN": token}


class Keeper:
    """Renews one lease until it is stopped, this process dies, or the registry refuses it."""

    def __init__(
        self, settings: Settings, lease_id: str, renew_after: float, kind: Kind, on_lost: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._lease_id = lease_id
        self._renew_after = renew_after
        self._on_lost = on_lost
        self._stop = threading.Event()
        self._process = self._start_process() if kind == "process" else None
        self.kind: Kind = "process" if self._process is not None else "thread"
        self._thread = threading.Thread(target=self._keep, name="plugin-registry lease", daemon=True)
        self._thread.start()

    def _start_process(self) -> subprocess.Popen[bytes] | None:
        ticks = start_ticks(os.getpid())
        try:
            command = [find_binary(), "hold-lease", *client_flags(self._settings), "--lease", self._lease_id]
            command += ["--for-pid", str(os.getpid()), *(["--start-ticks", str(ticks)] if ticks is not None else [])]
            quiet = subprocess.DEVNULL
            return subprocess.Popen(
                command,
                stdin=quiet,
                stdout=quiet,
                stderr=quiet,
                env=client_environment(self._settings),
                # Ctrl-C is for the application, which gives the lease back at its own end.
                start_new_session=True,
            )
        except (BinaryNotFound, OSError) as error:
            log.debug("a thread renews the lease %s: %s", self._lease_id, error)
            return None

    def _keep(self) -> None:
        if self._process is not None:
            code = self._process.wait()
            if self._stop.is_set():
                return
            if code in LOST:
                self._on_lost(LOST[code])
                return
            log.warning("hold-lease has ended (%s); a thread renews the lease %s from now on", code, self._lease_id)
        self._renew_until_stopped()

    def _renew_until_stopped(self) -> None:
        session = Session(settings=self._settings, retries=0, timeout=max(1.0, self._renew_after))
        pause = 0.0
        while not self._stop.wait(pause):
            pause = self._renew_after
            try:
                session.answer(calls.renew(self._lease_id))
            except (Unreachable, Unavailable) as error:
                # An outage of the registry makes no lease lost.
                log.debug("the lease %s is not renewed yet: %s", self._lease_id, error)
            except Refused as error:
                if error.status in (401, 403, 404, 409):
                    self._on_lost(str(error))
                    break
        session.close()

    def stop(self) -> None:
        """Renews no more. The lease runs out, unless it is given back."""
        self._stop.set()
        if self._process is not None:
            self._process.terminate()
        if threading.current_thread() is not self._thread:
            self._thread.join(5)
