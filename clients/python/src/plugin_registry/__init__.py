"""The client of plugin-registry: what each plugin is, which resources it holds, and whether they still run.

>>> from plugin_registry import PluginMetadata, Registry
>>> with Registry(url) as registry:
...     plugin = registry.register(PluginMetadata("llama", "finetuning", "Llama fine-tuning", {}))
>>> plugin.unique_id
'finetuning_llama'
"""

from typing import TYPE_CHECKING

from ._binary import BinaryNotFound, find_binary
from ._core.account_documents import (
    Budget,
    Caller,
    Category,
    Costs,
    Host,
    Readiness,
    Stats,
    Token,
    Webhook,
    WebhookTest,
)
from ._core.document import Document
from ._core.documents import (
    Event,
    Evidence,
    LeaseInfo,
    NextRequest,
    ObservedResource,
    PluginObserved,
    Released,
    Resource,
    ResourceLease,
    ResourceObserved,
    Result,
    Resync,
    Verdict,
)
from ._core.enums import CloudProviderType, PluginExecutionMode
from ._core.errors import (
    AnotherAgent,
    BadRequest,
    Conflict,
    FieldError,
    Forbidden,
    Full,
    HistoryGone,
    IdentityFixed,
    IdTaken,
    Invalid,
    LeaseReleased,
    NameTaken,
    NoFinding,
    NotFound,
    PreconditionFailed,
    Refused,
    RegistryError,
    SecretMasked,
    StillHeld,
    TimedOut,
    TooMany,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from ._core.masked import Masked
from ._core.metadata import PluginMetadata, RemoteResourceInfo
from ._core.pages import Page
from ._core.record import PluginRecord
from ._core.sending import VERSION as __version__
from ._core.unset import UNSET
from ._core.webhook_signature import InvalidSignature, verify_webhook
from ._server import LocalServer, local_server
from ._sync.holding import Tracked
from ._sync.lease import Lease
from ._sync.mirror import Mirror
from ._sync.plugin import Plugin
from ._sync.registry import Registry
from ._sync.watch import Watch

if TYPE_CHECKING:
    from ._async.holding import AsyncTracked
    from ._async.lease import AsyncLease
    from ._async.mirror import AsyncMirror
    from ._async.plugin import AsyncPlugin
    from ._async.registry import AsyncRegistry
    from ._async.watch import AsyncWatch

_LAZY = {
    "AsyncLease": "_async.lease",
    "AsyncMirror": "_async.mirror",
    "AsyncPlugin": "_async.plugin",
    "AsyncRegistry": "_async.registry",
    "AsyncTracked": "_async.holding",
    "AsyncWatch": "_async.watch",
}
"""Names whose modules import asyncio, which takes longer than the rest of the package: only those who use them pay."""


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


__all__ = [
    "UNSET",
    "AnotherAgent",
    "AsyncLease",
    "AsyncMirror",
    "AsyncPlugin",
    "AsyncRegistry",
    "AsyncTracked",
    "AsyncWatch",
    "BadRequest",
    "BinaryNotFound",
    "Budget",
    "Caller",
    "Category",
    "CloudProviderType",
    "Conflict",
    "Costs",
    "Document",
    "Event",
    "Evidence",
    "FieldError",
    "Forbidden",
    "Full",
    "HistoryGone",
    "Host",
    "IdTaken",
    "IdentityFixed",
    "Invalid",
    "InvalidSignature",
    "Lease",
    "LeaseInfo",
    "LeaseReleased",
    "LocalServer",
    "Masked",
    "Mirror",
    "NameTaken",
    "NextRequest",
    "NoFinding",
    "NotFound",
    "ObservedResource",
    "Page",
    "Plugin",
    "PluginExecutionMode",
    "PluginMetadata",
    "PluginObserved",
    "PluginRecord",
    "PreconditionFailed",
    "Readiness",
    "Refused",
    "Registry",
    "RegistryError",
    "Released",
    "RemoteResourceInfo",
    "Resource",
    "ResourceLease",
    "ResourceObserved",
    "Result",
    "Resync",
    "SecretMasked",
    "Stats",
    "StillHeld",
    "TimedOut",
    "Token",
    "TooMany",
    "TooManyRequests",
    "Tracked",
    "Unauthorized",
    "Unavailable",
    "Unreachable",
    "Verdict",
    "Watch",
    "Webhook",
    "WebhookTest",
    "__version__",
    "find_binary",
    "local_server",
    "verify_webhook",
]
