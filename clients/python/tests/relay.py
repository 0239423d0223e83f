"""A relay before a registry, which harms chosen requests as networks and crashes do."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import TypeAlias

Fault: TypeAlias = "Callable[[int, bytes], Harm | None]"
"""Says for the number of a request, and the request, what becomes of it."""


class Harm:
    """What becomes of a request. `before` runs before the registry gets it, `after` when it has answered."""

    def __init__(
        self,
        *,
        before: Callable[[], None] | None = None,
        after: Callable[[], None] | None = None,
        answer: bytes | None = None,
        keep: int | None = None,
    ) -> None:
        self.before = before
        self.after = after
        self.answer = answer
        """What the client gets instead of the registry's answer."""
        self.keep = keep
        """How many bytes of the answer the client gets before the connection is cut."""


class Relay:
    """Passes on requests, one connection to the registry for each."""

    def __init__(self, target: str, fault: Fault) -> None:
        host, _, port = target.removeprefix("http://").partition(":")
        self._target = (host, int(port))
        self._fault = fault
        self._lock = threading.Lock()
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Takes no more connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            request = _request(client)
            if not request:
                return
            with self._lock:
                self.requests.append(request)
                harm = self._fault(len(self.requests), request) or Harm()
                if harm.before is not None:
                    harm.before()
            if harm.answer is not None:
                client.sendall(harm.answer)
                return
            self._pass_on(client, request, harm)

    def _pass_on(self, client: socket.socket, request: bytes, harm: Harm) -> None:
        sent = 0
        with socket.create_connection(self._target) as server:
            server.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
            if harm.after is not None:
                with self._lock:
                    server.recv(65536, socket.MSG_PEEK)
                    harm.after()
                return
            while piece := server.recv(65536):
                if harm.keep is not None and sent + len(piece) >= harm.keep:
                    client.sendall(piece[: harm.keep - sent])
                    return
                client.sendall(piece)
                sent += len(piece)


def _request(client: socket.socket) -> bytes:
    """The head and the body of a request."""
    read = b""
    while b"\r\n\r\n" not in read:
        piece = client.recv(65536)
        if not piece:
            return b""
        read += piece
    head, _, body = read.partition(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    length = int(lengths[0]) if lengths else 0
    while len(body) < length:
        body += client.recv(65536)
    return b"\r\n".join(line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")) + b"\r\n\r\n" + body


@contextlib.contextmanager
def relay(target: str, fault: Fault) -> Iterator[Relay]:
    """A relay for the time of a block."""
    made = Relay(target, fault)
    try:
        yield made
    finally:
        made.close()
