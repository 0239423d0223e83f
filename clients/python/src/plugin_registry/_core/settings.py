"""Which registry, and how: arguments, then the environment, then the command line's configuration file, then the loopback."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

DEFAULT_URL = "http://127.0.0.1:8080"
TokenSource: TypeAlias = "str | Callable[[], str | None] | None"


@dataclass(frozen=True)
class Settings:
    """Where the registry is, and what the client shows it."""

    url: str
    token: TokenSource = None
    ca_file: str | None = None
    client_cert: str | tuple[str, str] | None = None
    token_file: str | None = None
    """Where the token is, for programs that the client starts."""

    def current_token(self) -> str | None:
        """The token, read anew: a callable and a file may have another one by now."""
        token = self.token() if callable(self.token) else self.token
        if token is None and self.token_file is not None:
            token = Path(self.token_file).expanduser().read_text()
        return (token or "").strip() or None


def config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """The command line's configuration file (XDG Base Directory Specification)."""
    named = environ.get("XDG_CONFIG_HOME", "")
    base = Path(named) if os.path.isabs(named) else Path(environ.get("HOME", "~")).expanduser() / ".config"
    return base / "plugin-registry" / "config.toml"


def find(
    url: str | None = None,
    token: TokenSource = None,
    context: str | None = None,
    ca_file: str | os.PathLike[str] | None = None,
    client_cert: str | os.PathLike[str] | tuple[str, str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """The settings of a client."""
    named = context or environ.get("PLUGIN_REGISTRY_CONTEXT") or None
    # A named context is an argument of its own; the file's current one is only the last resort.
    entry = _context(config_path(environ), named)
    server = url or (None if context else environ.get("PLUGIN_REGISTRY_SERVER")) or entry.get("server") or DEFAULT_URL
    # The token of a context belongs to the context's server; another server never gets it.
    of_context: Mapping[str, Any] = entry if entry.get("server") == server else {}
    token_file = None
    if token is None:
        token, token_file = _token(environ, of_context)
    certificate = client_cert or _pair(environ.get("PLUGIN_REGISTRY_CLIENT_CERT"), environ.get("PLUGIN_REGISTRY_CLIENT_KEY"))
    certificate = certificate or _pair(of_context.get("client_cert"), of_context.get("client_key"))
    authorities: str | os.PathLike[str] | None = ca_file or environ.get("PLUGIN_REGISTRY_CA_FILE") or of_context.get("ca_file")
    return Settings(
        url=server.rstrip("/"),
        token=token,
        ca_file=os.fspath(authorities) if authorities else None,
        client_cert=certificate if isinstance(certificate, tuple) or certificate is None else os.fspath(certificate),
        token_file=token_file,
    )


def _token(environ: Mapping[str, str], entry: Mapping[str, Any]) -> tuple[TokenSource, str | None]:
    if environ.get("PLUGIN_REGISTRY_TOKEN"):
        return environ["PLUGIN_REGISTRY_TOKEN"], None
    if environ.get("PLUGIN_REGISTRY_TOKEN_FILE"):
        return None, environ["PLUGIN_REGISTRY_TOKEN_FILE"]
    if entry.get("token_file"):
        return None, str(entry["token_file"])
    command = entry.get("token_command")
    return (lambda: _output(command)) if command else None, None


def _output(command: str | list[str]) -> str:
    import subprocess

    shell = isinstance(command, str)
    return subprocess.run(command, shell=shell, check=True, capture_output=True, text=True, timeout=30).stdout


def _pair(certificate: str | None, key: str | None) -> str | tuple[str, str] | None:
    return (certificate, key) if certificate and key else certificate


def _context(path: Path, named: str | None) -> Mapping[str, Any]:
    """The named context of the file, or its current one."""
    try:
        text = path.read_text()
    except OSError:
        text = ""
    import tomllib

    try:
        file = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {error}") from None
    contexts = cast("Mapping[str, Mapping[str, Any]]", file.get("contexts") or file.get("context") or {})
    name = named or file.get("current")
    if name is None:
        return {}
    if name not in contexts:
        known = ", ".join(contexts) or "none"
        raise ValueError(f"{path} has no context {name!r}; it has {known}")
    return contexts[name]
