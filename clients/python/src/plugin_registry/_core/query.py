"""Query parameters from Python values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, cast

from .times import rfc3339
from .unset import UNSET

Query = tuple[tuple[str, str], ...]


def text(value: object) -> str:
    """A value as a parameter has it."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return rfc3339(value)
    return str(value)


def escaped(value: object) -> str:
    """A value of a filter: a comma within it does not separate values."""
    return text(value).replace(",", "\\,")


def parameters(values: Mapping[str, Any]) -> Query:
    """Parameters that take one value each; unset ones and None are left out."""
    return tuple((name.rstrip("_"), text(value)) for name, value in values.items() if value is not None and value is not UNSET)


def filters(values: Mapping[str, Any]) -> Query:
    """Filters: a list means any of its values, ``labels={"team": "speech"}`` means ``label.team=speech``."""
    query: list[tuple[str, str]] = []
    for name, value in values.items():
        if value is None or value is UNSET:
            continue
        if name in ("labels", "label") and isinstance(value, Mapping):
            labels = cast("Mapping[str, object]", value)
            query += [(f"label.{key}", escaped(each)) for key, each in labels.items()]
        elif name in ("sort", "fields", "cursor", "as_of"):
            query.append((name, ",".join(map(text, _many(value)))))
        else:
            query += [(name.rstrip("_"), escaped(each)) for each in _many(value)]
    return tuple(query)


def _many(value: object) -> Iterable[object]:
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return cast("Iterable[object]", value)
    return (value,)
