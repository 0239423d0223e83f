"""How this process is named to others."""

from __future__ import annotations

import os
import socket
import sys


def host_name() -> str:
    """The name of this host for agents, as `exec` has it."""
    return os.environ.get("PLUGIN_REGISTRY_HOST") or socket.gethostname()


def holder_name(host: str) -> str:
    """A name of this application for operators."""
    program = os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] not in ("", "-c", "-m") else "python"
    return f"{program}@{host}:{os.getpid()}"
