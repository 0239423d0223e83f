"""``UNSET`` stands for a value that the caller did not name. ``None`` is a value: it clears a field (RFC 7396)."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal, TypeAlias


class Unset(Enum):
    """The type of :data:`UNSET`."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> Literal[False]:
        return False


UNSET: Final = Unset.UNSET
"""The value of an argument that the caller did not name.

>>> from plugin_registry import UNSET
>>> UNSET is None
False
>>> bool(UNSET)
False
"""

UnsetType: TypeAlias = Literal[Unset.UNSET]
