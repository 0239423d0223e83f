"""Deliveries of webhooks: whether the registry sent them (Standard Webhooks)."""

from __future__ import annotations

import time
from collections.abc import Mapping

from . import json_codec
from .documents import Event
from .errors import RegistryError

TOLERANCE = 300.0
"""How many seconds a delivery may be old, or young, by this machine's clock: a copy is refused later."""


class InvalidSignature(RegistryError):
    """The registry did not send the delivery, or it is too old.

    >>> from plugin_registry import InvalidSignature, verify_webhook
    >>> try:
    ...     verify_webhook({}, b"{}", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
    ... except InvalidSignature as error:
    ...     print(error)
    the delivery has no webhook-id
    """


def verify_webhook(headers: Mapping[str, str], body: bytes | str, secret: str, *, now: float | None = None) -> Event:
    """Returns the event of a webhook's delivery, if the registry sent it.

    Give it the body as it came, before anything parses it. The ``webhook-id`` stays the same over all attempts of a
    delivery, so a receiver can tell a repeat by it.

    >>> from plugin_registry import verify_webhook
    >>> headers = {
    ...     "webhook-id": "msg_1",
    ...     "webhook-timestamp": "1767225600",
    ...     "webhook-signature": "v1,2OEtmxw/6ObvBOWQ3u4Rwwo9W3/9hdJmGX8KNGqyaOQ=",
    ... }
    >>> secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
    >>> verify_webhook(headers, b'{"type":"webhook.test"}', secret, now=1767225600).type
    'webhook.test'
    """
    import base64
    import hmac

    given = {name.lower(): value for name, value in headers.items()}
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        if name not in given:
            raise InvalidSignature(f"the delivery has no {name}")
    try:
        sent = int(given["webhook-timestamp"])
    except ValueError:
        raise InvalidSignature("the webhook-timestamp is not a number") from None
    if abs((time.time() if now is None else now) - sent) > TOLERANCE:
        raise InvalidSignature("the webhook-timestamp is too far from this machine's time")
    raw = body.encode() if isinstance(body, str) else body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{given['webhook-id']}.{sent}.".encode() + raw
    expected = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    signatures = (each.partition(",") for each in given["webhook-signature"].split())
    if not any(version == "v1" and hmac.compare_digest(value, expected) for version, _, value in signatures):
        raise InvalidSignature("the webhook-signature is not of this secret")
    return Event(json_codec.loads(raw))
