"""A page of a list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar, overload

P = TypeVar("P")


class Page(Sequence[P], Generic[P]):
    """A page of a list: a sequence of its items.

    >>> page = registry.list(category="transcription")
    >>> page.total, len(page), page[0].name, page.next_cursor
    (1, 1, 'whisper', None)
    """

    def __init__(self, items: list[P], total: int | None, next_cursor: str | None, revision: int) -> None:
        self.items = items
        self.total = total
        """How many items match, on all pages; None where the registry does not count them."""
        self.next_cursor = next_cursor
        """The ``cursor`` of the next page; None on the last page."""
        self.revision = revision
        """The revision that the page was made from: watch after it."""

    @overload
    def __getitem__(self, index: int) -> P: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[P]: ...
    def __getitem__(self, index: int | slice) -> P | Sequence[P]:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[P]:
        return iter(self.items)

    def __repr__(self) -> str:
        return f"Page({len(self.items)} of {self.total}, revision={self.revision})"
