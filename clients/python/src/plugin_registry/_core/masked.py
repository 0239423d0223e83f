"""Secrets that the registry does not show to this token."""

from __future__ import annotations

from typing import Any, cast

from .errors import SecretMasked

MASK = "********"


class Masked(str):
    """Stands for a secret of a configuration that the registry hides from this token.

    >>> from plugin_registry import Masked
    >>> Masked()
    Masked()
    """

    __slots__ = ()

    def __new__(cls) -> Masked:
        return super().__new__(cls, MASK)

    def __repr__(self) -> str:
        return "Masked()"

    def __reduce__(self) -> tuple[Any, ...]:
        return Masked, ()


def mark(config: Any) -> Any:
    """The configuration with :class:`Masked` in the place of each mask."""
    if isinstance(config, dict):
        return {name: mark(value) for name, value in cast("dict[str, Any]", config).items()}
    if isinstance(config, list):
        return [mark(value) for value in config]  # pyright: ignore[reportUnknownVariableType]
    return Masked() if config == MASK else config


def refuse_masks(config: Any, pointer: str = "") -> None:
    """Raises :class:`SecretMasked` if the configuration has a :class:`Masked` in it."""
    if isinstance(config, dict):
        for name, value in cast("dict[str, Any]", config).items():
            refuse_masks(value, f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}")
    elif isinstance(config, (list, tuple)):
        for index, value in enumerate(cast("list[Any]", config)):
            refuse_masks(value, f"{pointer}/{index}")
    elif isinstance(config, Masked):
        place = pointer or "the configuration"
        raise SecretMasked(f"{place} is the mask of a secret: save the secret itself, or leave the configuration as it is")
