//! What is sent of webhooks.

use serde_json::json;

use super::{PatchDocument, RequestDocument, reference};
use crate::net::AddressPolicy;
use crate::webhook::hook::{Draft, FIELDS, MAX_DESCRIPTION, READ_ONLY};
use crate::webhook::target::MAX_URL;

/// What the filters of a webhook are.
const FILTERS: &str = "The webhook gets a change when the plugin fulfils all of these before it or after it. With any \
                       filter, it gets no changes of categories.";

pub(super) const WEBHOOK: RequestDocument = RequestDocument {
    name: "WebhookRequest",
    help: "A webhook as it is sent: all but `url` may be left out.",
    fields: FIELDS,
    ignored: READ_ONLY,
    required: &["url"],
    properties: || {
        json!({
            "url": {
                "type": "string", "maxLength": MAX_URL, "pattern": r"^https?://[^\s\x00-\x1f\x7f-\x9f\\]+$",
                "examples": ["https://example.com/hooks/registry"],
                "description": "Where deliveries go: http or https, without user name and fragment. Private, loopback, \
                                link-local and metadata addresses are refused unless a setting allows them.",
            },
            "format": reference("WebhookFormat", "The format of its messages (default: `standard`)."),
            "description": {
                "type": ["string", "null"], "maxLength": MAX_DESCRIPTION, "description": "What it is for.",
            },
            "filters": reference("PluginFilters", FILTERS),
            "kinds": {
                "type": "array", "items": {"$ref": "#/components/schemas/ChangeKind"},
                "description": "Which kinds of changes it gets. When the list is empty: all, or in the formats for people those that need a person.",
            },
            "enabled": {"type": "boolean", "description": "Whether deliveries are made (default: true)."},
            "secret": {
                "type": "string", "pattern": "^whsec_[A-Za-z0-9+/]+=*$",
                "examples": ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
                "description": "What deliveries are signed with: `whsec_` and 24 to 64 bytes in base64. Made here when it is absent.",
            },
            "after": {
                "type": "integer", "format": "int64", "minimum": 0,
                "description": "Deliveries begin with the change after this revision; when it is absent, with the next one.",
            },
        })
    },
    is_closed: true,
    read: |body| Draft::read(body, AddressPolicy::Public).map(drop),
    patch: Some(PatchDocument {
        name: "WebhookPatch",
        help: "A merge patch (RFC 7396) of a webhook: null clears, what is absent is kept.",
        kept: &["secret"],
        properties: || json!({"filters": reference("PluginFiltersPatch", FILTERS)}),
    }),
};
