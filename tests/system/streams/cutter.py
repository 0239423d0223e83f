"""A TCP proxy that can cut its connections, hold new ones back, and change its target."""

import socket
import threading


class Cutter:
    def __init__(self, target):
        self.target = target
        self.requested = set()
        self.cuts = 0
        self._open = threading.Event()
        self._open.set()
        self._lock = threading.Lock()
        self._sockets = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        """Breaks off all connections."""
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for each in sockets:
            _shut(each)
        self.cuts += 1

    def hold(self):
        """Breaks off all connections, and holds new ones back until `release`."""
        self._open.clear()
        self.cut()

    def release(self):
        self._open.set()

    def _accept(self):
        while True:
            near, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near):
        self._open.wait()
        try:
            far = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            near.close()
            return
        with self._lock:
            self._sockets |= {near, far}
        threading.Thread(target=self._pump, args=(far, near, None), daemon=True).start()
        self._pump(near, far, self.requested)
        with self._lock:
            self._sockets -= {near, far}

    @staticmethod
    def _pump(source, sink, requested):
        try:
            while data := source.recv(65536):
                if requested is not None and data.startswith(b"GET "):
                    requested.add(data.split(b" ", 2)[1].decode())
                sink.sendall(data)
        except OSError:
            pass
        _shut(sink)
        _shut(source)


def _shut(each):
    try:
        each.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
