"""A plugin as the registry shows it: the source model's fields, and what the registry adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, cast

from .documents import PluginObserved
from .metadata import PluginMetadata, model_values
from .times import moment

RUNTIME: dict[str, Any] = {"spawned_pids": [], "container_id": None, "remote_resource": None, "is_configured": False}
"""Fields that the registry keeps if a registration does not name them, and their defaults."""
ADDED = ("host", "labels", "lease_id")
READ_ONLY = (
    "unique_id",
    "revision",
    "billable",
    "status_class",
    "created_at",
    "updated_at",
    "observed",
    "stop_requested",
    "stop_answer",
)
DERIVED = ("is_local_execution", "is_cloud_execution", "has_active_resources")


@dataclass(repr=False)
class PluginRecord(PluginMetadata):
    """What :class:`Plugin` and :class:`AsyncPlugin` share: the fields.

    >>> from plugin_registry import PluginRecord
    >>> isinstance(registry.get("transcription_whisper"), PluginRecord)
    True
    """

    host: str | None = None
    labels: dict[str, str] = field(default_factory=lambda: dict[str, str]())
    lease_id: str | None = None
    unique_id: str = ""
    revision: int = 0
    etag: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    observed: PluginObserved | None = None
    billable: bool = False
    status_class: str | None = None
    stop_requested: dict[str, Any] | None = None
    """The request to stop the plugin that has no answer yet: ``reason``, ``deadline``, ``at``, ``by``."""
    stop_answer: dict[str, Any] | None = None
    """The answer to the last request to stop: ``answer``, ``detail``, ``at``, ``by``, ``request``."""
    extra: dict[str, Any] = field(default_factory=lambda: dict[str, Any]())
    """Fields that this version of the client does not know; they survive a round trip."""

    def __post_init__(self) -> None:
        self._read: dict[str, Any] = {}

    def load(self, document: Mapping[str, Any], store: str | None) -> None:
        """Takes over a document of the registry; ``config_dataclass`` stays."""
        for name, value in record_values(document).items():
            setattr(self, name, value)
        self.etag = f'"{store}-{self.revision}"' if store and "revision" in document else None
        self._read = _copy(self.to_document())

    def to_document(self) -> dict[str, Any]:
        """The document that the registry takes, with the fields that the client does not know."""
        document = super().to_document()
        document.update(host=self.host, labels=dict(self.labels), lease_id=self.lease_id)
        return {**document, **self.extra}

    def changes(self) -> dict[str, Any]:
        """The merge patch from what was read to what the object says now."""
        return merge_patch(self._read, self.to_document())

    def __repr__(self) -> str:
        held = [f"pids {self.spawned_pids}"] if self.spawned_pids else []
        held += [f"container {self.container_id}"] if self.container_id else []
        held += [f"{self.remote_resource.provider} {self.remote_resource.status}"] if self.remote_resource else []
        name = self.unique_id or self.get_unique_id()
        return f"Plugin({name!r}, revision={self.revision}, holds {', '.join(held) or 'nothing'})"


_FIELDS = frozenset(each.name for each in fields(PluginRecord)) - {"config_dataclass", "etag", "extra"}


def record_values(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document's values as the dataclass has them."""
    values = model_values({name: value for name, value in document.items() if name in _FIELDS})
    for name in ("created_at", "updated_at"):
        if values.get(name):
            values[name] = moment(values[name])
    if values.get("observed") is not None:
        values["observed"] = PluginObserved(values["observed"])
    known = _FIELDS.union(DERIVED)
    values["extra"] = {name: value for name, value in document.items() if name not in known}
    return values


def registration(plugin: object) -> dict[str, Any]:
    """The document to register: ours, the source model's dataclass, or a mapping as it is.

    A dataclass cannot tell whether a field was named. Runtime fields with their defaults are left out, so that
    registering again never makes the registry forget what may still run.
    """
    if isinstance(plugin, Mapping):
        return dict(cast("Mapping[str, Any]", plugin))
    model = plugin if isinstance(plugin, PluginMetadata) else PluginMetadata.from_upstream(plugin)
    document = model.to_document()
    read: Mapping[str, Any] = model._read if isinstance(model, PluginRecord) else {}  # pyright: ignore
    for name, default in {**RUNTIME, **dict.fromkeys(ADDED)}.items():
        empty = document.get(name) == default or (name == "labels" and not document.get(name))
        if empty and document.get(name) == read.get(name, document.get(name)):
            document.pop(name, None)
    return document


def merge_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch (RFC 7396) from one document to another."""
    patch: dict[str, Any] = {name: None for name in before if name not in after}
    for name, value in after.items():
        old = before.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            inner = merge_patch(cast("Mapping[str, Any]", old), cast("Mapping[str, Any]", value))
            if inner:
                patch[name] = inner
        elif name not in before or old != value:
            patch[name] = value
    return patch


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(each) for name, each in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_copy(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
    return value
