"""Writes that could not be told yet, a file each, in their order. They outlive the process.

The folder belongs to the account: bodies may have secrets. A token is never kept; each delivery takes the current one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import time
from collections.abc import Generator, Mapping
from pathlib import Path

from .doubt import KEY_SECONDS, adds_another, key_is_known, moment
from .http import Request, Response

log = logging.getLogger("plugin_registry")
MOST = 10_000
"""How many writes are kept at most, as `exec` does."""
WARNING_SECONDS = 60.0
SENT = ".sent"
"""The note beside a write that must not be repeated for ever: when it was first sent."""


def folder_of(server: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Where the writes for a registry are kept (XDG Base Directory Specification)."""
    named = environ.get("XDG_STATE_HOME", "")
    state = Path(named) if os.path.isabs(named) else Path(environ.get("HOME", "~")).expanduser() / ".local" / "state"
    return state / "plugin-registry" / "queue" / hashlib.sha256(server.encode()).hexdigest()[:16]


class Outbox:
    """The kept writes for a registry. Several processes may share them."""

    def __init__(self, server: str, folder: Path | None = None) -> None:
        self._server = server
        self._folder = folder or folder_of(server)
        self._warned: float | None = None

    def waiting(self) -> list[Path]:
        """The kept writes, the oldest first."""
        try:
            return sorted(path for path in self._folder.iterdir() if path.suffix == ".json")
        except FileNotFoundError:
            return []

    def put(self, request: Request, *, in_doubt: bool = False) -> None:
        """Keeps a write behind all others. Without room for it, the write is lost, and the log says so.

        A write in doubt was sent already, and its answer did not arrive.
        """
        try:
            self._put(request, in_doubt)
        except OSError as error:
            log.error("%s %s is lost: the registry cannot be reached, and it cannot be kept: %s", request.method, request.path, error)
            return
        now = time.monotonic()
        if self._warned is None or now - self._warned >= WARNING_SECONDS:
            self._warned = now
            log.warning("the registry at %s cannot be reached; writes are kept in %s and told later", self._server, self._folder)

    def _put(self, request: Request, in_doubt: bool) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = {
            "server": self._server,
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "headers": dict(request.headers),
            "body": None if request.body is None else request.body.decode(),
        }
        with self._lock("put.lock", wait=True):
            waiting = self.waiting()
            if len(waiting) >= MOST:
                raise OSError(f"{self._folder} has {MOST} writes already")
            last = int(waiting[-1].stem) if waiting else time.time_ns()
            path = self._folder / f"{last + 1:020d}.json"
            if in_doubt and adds_another(request):
                _write(path.with_suffix(SENT), moment())
            _write(path, kept)

    def read(self, path: Path) -> Request | None:
        """A kept write; None if another process has told it meanwhile, or the file is torn."""
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            query = tuple((name, value) for name, value in kept["query"])
            body = None if kept["body"] is None else kept["body"].encode()
            return Request(kept["method"], kept["path"], query, headers=kept["headers"], body=body, takes_key=True)
        except (OSError, ValueError, KeyError):
            return None

    def begins(self, path: Path, request: Request) -> bool:
        """Notes that a write is about to be sent. False if it may have been done so long ago that the registry has forgotten it.

        Such a write is set aside, because a repeat would add one more.
        """
        if not adds_another(request):
            return True
        note = path.with_suffix(SENT)
        try:
            known = key_is_known(json.loads(note.read_text(encoding="utf-8")))
        except FileNotFoundError:
            # On disk before the request leaves: this process may end before the answer. A full disk stops nothing.
            with contextlib.suppress(OSError):
                _write(note, moment())
            return True
        except (OSError, ValueError, KeyError, TypeError):
            known = False
        if not known:
            aside = path.with_suffix(".doubtful")
            log.error(
                "%s %s was sent more than %.0f hours ago, and its answer did not arrive: the registry may have done it. "
                "It is not repeated; see %s, and do it again if it is missing",
                request.method, request.path, KEY_SECONDS / 3600, aside,
            )
            _set_aside(path, aside)
        return known

    def not_sent(self, path: Path) -> None:
        """Takes the note of `begins` back: the request did not reach the registry."""
        path.with_suffix(SENT).unlink(missing_ok=True)

    def was_sent(self, path: Path) -> bool:
        """Whether a write was sent before."""
        return path.with_suffix(SENT).exists()

    def told(self, path: Path) -> None:
        """Forgets a write that the registry has."""
        path.unlink(missing_ok=True)
        path.with_suffix(SENT).unlink(missing_ok=True)

    def refused(self, path: Path, error: Exception) -> None:
        """Sets a write aside that the registry refuses, for people to look at."""
        log.error("the registry refused a kept write, see %s: %s", path.with_suffix(".refused"), error)
        _set_aside(path, path.with_suffix(".refused"))

    @contextlib.contextmanager
    def delivery(self) -> Generator[bool, None, None]:
        """Lets one process at a time tell the kept writes; False while another one does."""
        with self._lock("deliver.lock", wait=False) as mine:
            yield mine

    @contextlib.contextmanager
    def _lock(self, name: str, *, wait: bool) -> Generator[bool, None, None]:
        try:
            import fcntl
        except ImportError:
            yield True  # Windows: a second delivery does no harm, because its key is the same.
            return
        with (self._folder / name).open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True


def _write(path: Path, document: object) -> None:
    """Writes a file of this account: whole and on disk, or not at all."""
    part = path.with_name(f"{path.name}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(document, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _set_aside(path: Path, aside: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.replace(aside)
    path.with_suffix(SENT).unlink(missing_ok=True)


def stand_in(request: Request) -> Response:
    """What a write that is kept returns: the document that was sent, as far as it is a plugin's."""
    body = b"{}"
    if request.method == "POST" and request.path == "/plugins" and request.body is not None:
        document = json.loads(request.body)
        body = json.dumps({"unique_id": f"{document.get('category')}_{document.get('name')}", **document}).encode()
    return Response(202, {}, body)
