"""The requests of the API's operations, without I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from . import query
from .http import JSON, MERGE_PATCH, NDJSON, Request
from .http import json_request as json_request
from .http import segment as segment

LONGEST_WAIT = 300.0


def plugin(unique_id: str, *parts: object) -> str:
    """The path of a plugin, or of a part of it."""
    return "/".join(["/plugins", segment(unique_id), *map(segment, parts)])


def get(path: str, options: query.Query = (), **headers: str) -> Request:
    """A read."""
    wait = next((seconds(value) for name, value in options if name == "wait"), 0.0)
    return Request("GET", path, options, headers=headers, wait=wait * 17 / 16)


def remove(path: str, options: query.Query = (), *, takes_key: bool = True) -> Request:
    """A removal."""
    return Request("DELETE", path, options, takes_key=takes_key)


def register(document: Mapping[str, Any], *, create_only: bool = False) -> Request:
    """Registers a plugin."""
    request = json_request("POST", "/plugins", document)
    return request.with_headers(If_None_Match="*") if create_only else request


def register_many(lines: bytes) -> Request:
    """Registers a plugin with each line."""
    return Request("POST", "/plugins", headers={"Content-Type": NDJSON, "Accept": NDJSON}, body=lines, takes_key=True)


def patch(path: str, document: Mapping[str, Any], *, takes_key: bool = True) -> Request:
    """A merge patch."""
    return json_request("PATCH", path, document, media_type=MERGE_PATCH, takes_key=takes_key)


def put(path: str, document: object, options: query.Query = (), *, takes_key: bool = True) -> Request:
    """Replaces a document."""
    return json_request("PUT", path, document, query=options, takes_key=takes_key)


def post(path: str, document: object, options: query.Query = (), *, takes_key: bool = True, repeatable: bool = True) -> Request:
    """Creates or adds."""
    return json_request("POST", path, document, query=options, takes_key=takes_key, repeatable=repeatable)


def renew(lease_id: str) -> Request:
    """Renews a lease: may be repeated as it is, and takes no key."""
    return Request("PUT", f"/leases/{segment(lease_id)}", headers={"Content-Type": JSON}, body=b"{}")


def seconds(duration: str) -> float:
    """The seconds of a duration of the API: ``30s``, ``5m``, ``500ms``."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", duration.strip())
    return float(found[1]) * units[found[2]] if found else 0.0
