//! A webhook subscription, and its strict parsing from a request.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::format::{NOTABLE, WebhookFormat};
use super::secret::Secret;
use super::target;
use crate::net::AddressPolicy;
use crate::store::webhooks::DeliveryProgress;
use crate::store::{KeptWebhook, StoreError};
use domain::Revision;
use domain::change::{ChangeKind, Transition};
use domain::plugin::read::{ObjectReader, boolean, both, kind_of, nullable, one_of, pointer_push, string};
use domain::plugin::{Invalid, merge_patch};
use domain::query::Filters;

/// The longest description, in characters.
pub const MAX_DESCRIPTION: usize = 1024;

/// The fields that a client may send.
pub const FIELDS: &[&str] = &["url", "format", "description", "filters", "kinds", "enabled", "secret", "after"];

/// The fields that only replies have. They are accepted and ignored, so that a client can send a reply back.
pub const READ_ONLY: &[&str] = &[
    "id",
    "state",
    "position",
    "lag",
    "failures",
    "first_failed_at",
    "next_attempt_at",
    "last_error",
    "last_status",
    "last_delivered_at",
    "parked_at",
    "created_at",
    "updated_at",
];

/// A webhook with the client's settings.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The id: 32 hexadecimal digits.
    pub id: String,
    /// The URL that receives deliveries.
    pub url: Url,
    /// The format of its messages.
    pub format: WebhookFormat,
    /// The purpose of the webhook, in the client's words.
    pub description: Option<String>,
    /// The plugins whose changes are delivered.
    pub filters: Filters,
    /// The kinds of changes that are delivered. When empty: all kinds, or the notable ones if the messages are for people.
    pub kinds: Vec<ChangeKind>,
    /// Whether the webhook is switched on.
    pub enabled: bool,
    /// The secret that signs deliveries.
    pub secret: Secret,
    /// When the webhook was created.
    pub created_at: Timestamp,
    /// When a client last changed the webhook.
    pub updated_at: Timestamp,
}

/// The settings that a client sends.
#[derive(Debug, Clone)]
pub struct Draft {
    /// See [`Webhook::url`].
    pub url: Url,
    /// See [`Webhook::format`].
    pub format: WebhookFormat,
    /// See [`Webhook::description`].
    pub description: Option<String>,
    /// See [`Webhook::filters`].
    pub filters: Filters,
    /// See [`Webhook::kinds`].
    pub kinds: Vec<ChangeKind>,
    /// See [`Webhook::enabled`].
    pub enabled: bool,
    /// The secret, if the client provides one.
    pub secret: Option<Secret>,
    /// Deliveries begin after this revision; `None` begins at the current revision.
    pub after: Option<Revision>,
}

/// The stored form of a webhook.
#[derive(Serialize)]
struct Document<'a> {
    url: &'a str,
    #[serde(skip_serializing_if = "is_standard")]
    format: WebhookFormat,
    description: Option<&'a str>,
    filters: &'a Filters,
    kinds: &'a [ChangeKind],
    enabled: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Deserialize)]
struct Times {
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl Draft {
    /// Parses the document of a client.
    ///
    /// # Errors
    ///
    /// All invalid and unknown fields.
    pub fn read(body: Value, address_policy: AddressPolicy) -> Result<Draft, Invalid> {
        let mut fields = ObjectReader::new(body, "", FIELDS, READ_ONLY)?;
        let url = fields.required("url", |value, pointer| {
            target::read(&string(value, pointer)?, address_policy).map_err(|detail| Invalid::at(pointer, detail))
        });
        let format = fields.optional("format", one_of(WebhookFormat::NAMES, WebhookFormat::from_name));
        let description = fields.optional("description", nullable(description)).flatten();
        let filters = fields.optional("filters", Filters::read).unwrap_or_default();
        let kinds = fields.optional("kinds", kinds).unwrap_or_default();
        let enabled = fields.optional("enabled", boolean).unwrap_or(true);
        let secret = fields.optional("secret", |value, pointer| {
            Secret::read(&string(value, pointer)?).map_err(|detail| Invalid::at(pointer, detail))
        });
        let after = fields.optional("after", |value, pointer| revision(&value, pointer));
        fields.finish()?;
        let url = url.ok_or_else(|| Invalid::at("/url", "is required"))?;
        let format = format.unwrap_or(WebhookFormat::Standard);
        Ok(Draft { url, format, description, filters, kinds, enabled, secret, after })
    }
}

impl Webhook {
    /// Creates a webhook.
    pub fn new(draft: Draft, id: String, now: Timestamp) -> Webhook {
        let Draft { url, format, description, filters, kinds, enabled, secret, after: _ } = draft;
        let secret = secret.unwrap_or_else(Secret::generate);
        Webhook { id, url, format, description, filters, kinds, enabled, secret, created_at: now, updated_at: now }
    }

    /// Applies a merge patch (RFC 7396); returns the new webhook and its new position, if the patch sets one.
    ///
    /// # Errors
    ///
    /// All invalid and unknown fields.
    pub fn patched(
        &self,
        mut patch: Map<String, Value>,
        address_policy: AddressPolicy,
        now: Timestamp,
    ) -> Result<(Webhook, Option<Revision>), Invalid> {
        let kept = match patch.get("secret") {
            Some(Value::Null) => Err(Invalid::at("/secret", "cannot be removed; send another secret")),
            _ => Ok(()),
        };
        // A reply that is sent back has the masked URL.
        if patch.get("url").is_some_and(|sent| sent.as_str() == Some(&*self.shown_url())) {
            patch.remove("url");
        }
        let mut document = serde_json::to_value(self.document()).unwrap_or_default();
        merge_patch::merge(&mut document, Value::Object(patch));
        let Draft { url, format, description, filters, kinds, enabled, secret, after } =
            both(kept, Draft::read(document, address_policy))?;
        let secret = secret.unwrap_or_else(|| self.secret.clone());
        let (id, created_at) = (self.id.clone(), self.created_at);
        let webhook =
            Webhook { id, url, format, description, filters, kinds, enabled, secret, created_at, updated_at: now };
        Ok((webhook, after))
    }

    /// Returns true if and only if the webhook delivers a change.
    pub fn wants(&self, transition: &Transition) -> bool {
        let kinds = if self.kinds.is_empty() && self.format.is_for_people() { NOTABLE } else { &self.kinds };
        let is_of_kind = kinds.is_empty() || kinds.contains(&transition.change.event.kind());
        is_of_kind && self.filters.accept_any(transition.records())
    }

    /// The URL as replies show it. That of a chat is a secret in itself, so its path is left out.
    pub fn shown_url(&self) -> Cow<'_, str> {
        match self.format {
            WebhookFormat::Standard => self.url.as_str().into(),
            _ => format!("{}/…", self.url.origin().ascii_serialization()).into(),
        }
    }

    fn document(&self) -> Document<'_> {
        Document {
            url: self.url.as_str(),
            format: self.format,
            description: self.description.as_deref(),
            filters: &self.filters,
            kinds: &self.kinds,
            enabled: self.enabled,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }

    /// The webhook in its stored form.
    pub fn kept(&self, progress: DeliveryProgress) -> KeptWebhook {
        // Serialising this type to memory cannot fail.
        let document = serde_json::to_string(&self.document()).unwrap_or_default();
        KeptWebhook { id: self.id.clone(), document, secret: self.secret.as_str().to_owned(), progress }
    }

    /// Reads a stored webhook. The policy may no longer permit the target, but only a delivery checks the policy.
    ///
    /// # Errors
    ///
    /// When the stored form is damaged.
    pub fn of_kept(kept: &KeptWebhook) -> Result<Webhook, StoreError> {
        let damaged = |why: String| StoreError::unusable(format!("the webhook {} is damaged", kept.id), why);
        let value: Value = serde_json::from_str(&kept.document).map_err(|error| damaged(error.to_string()))?;
        let times: Times = serde_json::from_str(&kept.document).map_err(|error| damaged(error.to_string()))?;
        let draft = Draft::read(value, AddressPolicy::Everything).map_err(|error| damaged(error.to_string()))?;
        let secret = Secret::read(&kept.secret).map_err(|error| damaged(format!("its secret {error}")))?;
        let webhook = Webhook::new(Draft { secret: Some(secret), ..draft }, kept.id.clone(), times.created_at);
        Ok(Webhook { updated_at: times.updated_at, ..webhook })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_standard(format: &WebhookFormat) -> bool {
    *format == WebhookFormat::Standard
}

fn description(value: Value, pointer: &str) -> Result<String, Invalid> {
    let text = string(value, pointer)?;
    if text.chars().count() > MAX_DESCRIPTION {
        return Err(Invalid::at(pointer, format!("must not be longer than {MAX_DESCRIPTION} characters")));
    }
    Ok(text)
}

/// Parses the kinds, without duplicates, in the client's order.
fn kinds(value: Value, pointer: &str) -> Result<Vec<ChangeKind>, Invalid> {
    let Value::Array(values) = value else {
        return Err(Invalid::at(pointer, format!("must be an array, not {}", kind_of(&value))));
    };
    let (mut kinds, mut errors) = (Vec::new(), Vec::new());
    for (place, value) in values.into_iter().enumerate() {
        let mut pointer = pointer.to_owned();
        pointer_push(&mut pointer, &place.to_string());
        match one_of(ChangeKind::NAMES, ChangeKind::from_name)(value, &pointer) {
            Ok(kind) if kinds.contains(&kind) => {}
            Ok(kind) => kinds.push(kind),
            Err(Invalid(wrong)) => errors.extend(wrong),
        }
    }
    if errors.is_empty() { Ok(kinds) } else { Err(Invalid(errors)) }
}

fn revision(value: &Value, pointer: &str) -> Result<Revision, Invalid> {
    let number = match value {
        Value::Number(number) => number.as_str(),
        _ => "",
    };
    // In JSON Schema, `22.0` is the integer 22.
    let whole = number
        .split_once('.')
        .map_or(Some(number), |(whole, fraction)| fraction.bytes().all(|digit| digit == b'0').then_some(whole));
    let revision = whole.and_then(|whole| whole.parse::<u64>().ok());
    revision.map(Revision).ok_or_else(|| Invalid::at(pointer, "must be a revision: an integer from 0"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn webhook(body: Value) -> Webhook {
        Webhook::new(Draft::read(body, AddressPolicy::Public).unwrap(), "1".into(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn every_mistake_is_named() {
        let body = json!({
            "urll": "x", "description": 1, "filters": {"activ": true}, "kinds": ["plugin.registered", "plugin.eaten"],
            "enabled": "yes", "secret": "hush", "after": -1,
        });
        let Invalid(errors) = Draft::read(body, AddressPolicy::Public).unwrap_err();
        let told: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        let expected = ["/urll", "/url", "/description", "/filters/activ", "/kinds/1", "/enabled", "/secret", "/after"];
        assert_eq!(told, expected);
        assert!(!format!("{errors:?}").contains("hush"), "a secret is not repeated");
    }

    #[test]
    fn what_is_kept_is_read_back() {
        let body = json!({"url": "https://example.com/x", "filters": {"active": true}, "kinds": ["plugin.removed"]});
        let webhook = webhook(body);
        let kept = webhook.kept(DeliveryProgress::default());
        assert!(!kept.document.contains("whsec_") && !format!("{kept:?}").contains("whsec_"));
        let read = Webhook::of_kept(&kept).unwrap();
        assert_eq!(read.kept(DeliveryProgress::default()), kept);
        let damaged = KeptWebhook { document: "{}".into(), ..kept };
        assert!(Webhook::of_kept(&damaged).is_err());
    }

    #[test]
    fn a_patch_keeps_what_it_does_not_name() {
        let body = json!({"url": "https://example.com/", "description": "d", "filters": {"active": true, "host": "h"}});
        let before = webhook(body);
        let patch = json!({"description": null, "filters": {"host": null}, "enabled": false, "after": 7});
        let (after, position) = before.patched(object(&patch), AddressPolicy::Public, Timestamp::MAX).unwrap();
        assert_eq!((after.url.as_str(), after.description, after.enabled), ("https://example.com/", None, false));
        assert_eq!(Value::Object(after.filters.sent().clone()), json!({"active": true}));
        assert_eq!((position, &after.secret), (Some(Revision(7)), &before.secret));
        for wrong in [json!({"url": null}), json!({"secret": null}), json!({"x": 1})] {
            assert!(before.patched(object(&wrong), AddressPolicy::Public, Timestamp::MAX).is_err());
        }
    }
}
