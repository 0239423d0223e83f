"""The base of the registry's answers: a mapping whose fields are attributes, too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from .times import moment


class Document(Mapping[str, Any]):
    """An answer of the registry: its fields are attributes and keys.

    A field that this version of the client does not know is there under both, too. Attributes have times as
    ``datetime`` and inner documents as objects; keys have what was sent.

    >>> stats = registry.stats()
    >>> stats.total == stats["total"]
    True
    """

    __slots__ = ("_fields",)
    _times: ClassVar[frozenset[str]] = frozenset()
    _inner: ClassVar[Mapping[str, type[Document]]] = {}

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_fields":
            raise AttributeError(name)
        if name not in self._fields:
            if name in type(self).__annotations__:
                return None  # An older registry does not send the field, or this answer does not have it.
            raise AttributeError(f"{type(self).__name__} has no field {name!r}; it has {', '.join(self._fields)}")
        value = self._fields[name]
        if value is None:
            return None
        if name in self._times:
            return moment(value)
        cls = self._inner.get(name)
        if cls is None:
            return value
        return [cls(each) for each in value] if isinstance(value, list) else cls(value)  # pyright: ignore

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self._fields.items())
        return f"{type(self).__name__}({fields})"

    def __getstate__(self) -> object:
        return self._fields

    def __setstate__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def to_document(self) -> dict[str, Any]:
        """The document as it was sent."""
        return dict(self._fields)
