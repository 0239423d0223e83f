"""JSON with the numbers that were sent: exact on request, and never a silent infinity."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any

_LONGEST_INT = 4000
"""Python refuses to parse longer integers (``sys.set_int_max_str_digits``); they become a Decimal."""


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= _LONGEST_INT else Decimal(digits)


def _number(digits: str) -> float | Decimal:
    number = float(digits)
    return number if math.isfinite(number) else Decimal(digits)


# Made once: `json.loads` makes one for each document that has options.
_PLAIN = json.JSONDecoder(parse_float=_number)
_LONG = json.JSONDecoder(parse_float=_number, parse_int=_integer)
_EXACT = json.JSONDecoder(parse_float=Decimal, parse_int=_integer)


def loads(text: bytes | str, *, exact: bool = False) -> Any:
    """Parses a document. With ``exact``, a number with a point or an exponent is a Decimal with its digits."""
    if isinstance(text, bytes):
        text = text.decode()
    if exact:
        return _EXACT.decode(text)
    try:
        return _PLAIN.decode(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        return _LONG.decode(text)  # An integer beyond what Python parses by default.


class _Decimals:
    """Writes Decimals as numbers: ``json`` writes a marker, which is replaced afterwards."""

    def __init__(self) -> None:
        self.marker: str | None = None

    def default(self, value: object) -> object:
        if isinstance(value, Decimal):
            if not value.is_finite():
                raise ValueError(f"JSON has no number {value}")
            self.marker = self.marker or os.urandom(16).hex()
            return f"{self.marker}:{value}"
        if isinstance(value, Mapping):
            return dict(value)  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
        if isinstance(value, (set, frozenset, tuple)):
            return list(value)  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
        if isinstance(value, Enum):
            return value.value
        if hasattr(value, "isoformat"):
            return value.isoformat()  # pyright: ignore
        raise TypeError(f"a {type(value).__name__} cannot be sent as JSON")


def dumps(document: object) -> bytes:
    """Writes a document, in UTF-8.

    Raises ``ValueError`` for what JSON cannot express: NaN, infinities, lone surrogates.
    """
    decimals = _Decimals()
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=decimals.default)
    if decimals.marker:
        text = re.sub(f'"{decimals.marker}:([^"]*)"', r"\1", text)
    return text.encode()
