"""Commands under `plugin-registry exec`, and clients that keep what cannot be told."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ._binary import find_binary
from ._core.settings import Settings
from ._keeper import client_flags

if TYPE_CHECKING:
    from ._sync.registry import Registry


def sibling(settings: Settings) -> Registry:
    """A synchronous client of the same registry, for a thread of its own. It keeps writes that cannot be told."""
    from ._sync.registry import Registry

    return Registry(settings=settings, on_unreachable="queue")


def command_of(
    settings: Settings,
    command: Sequence[str | os.PathLike[str]],
    options: Mapping[str, Any],
    environment: Mapping[str, str] | None,
) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment that run a command as a plugin."""
    labels: Mapping[str, str] = options.get("labels") or {}
    flags = [f"--{name}={options[name]}" for name in ("category", "name", "title", "ttl", "grace") if options[name] is not None]
    flags += [f"--label={name}={value}" for name, value in labels.items()]
    line = [find_binary(), "exec", *client_flags(settings), *flags, "--", *(os.fspath(word) for word in command)]
    given = dict(os.environ if environment is None else environment)
    token = None if settings.token is None else settings.current_token()
    # `exec` takes the token off before the command starts.
    return line, {**given, "PLUGIN_REGISTRY_TOKEN": token} if token else given
