//! Path parameters: a plugin's unique_id, a process id, a category.

use axum::extract::{FromRequestParts, RawPathParams};
use hyper::http::request::Parts;
use percent_encoding::percent_decode_str;

use crate::http::problem::{Kind, Problem};
use crate::http::query::list_params::named;
use crate::http::state::{Api, Shared};
use domain::LeaseId;
use domain::access::TokenId;
use domain::plugin::{Name, Pid, UniqueId};
use domain::record::{ResourceKind, Slot};

/// The plugin in the path; the registry checks whether the plugin exists.
pub struct PluginPath(pub UniqueId);

/// The process of a plugin in the path.
pub struct PidPath {
    /// The plugin.
    pub id: UniqueId,
    /// The process.
    pub pid: Pid,
}

/// A held resource in the path; the registry checks whether the plugin holds it.
pub struct ResourcePath {
    /// The plugin.
    pub plugin: UniqueId,
    /// The resource, on the plugin's present host.
    pub slot: Slot,
}

/// The webhook in the path; the handler checks whether the webhook exists.
pub struct WebhookPath(pub String);

/// The token in the path; the handler checks whether the token exists.
pub struct TokenPath(pub TokenId);

/// The budget in the path; the registry checks whether the budget exists.
pub struct BudgetPath(pub Box<str>);

/// The lease in the path; the registry checks whether the lease exists.
pub struct LeasePath(pub LeaseId);

/// The category in the path.
pub struct CategoryPath(pub Name);

impl FromRequestParts<Shared> for PluginPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Problem> {
        Ok(PluginPath(UniqueId::from_client(&segment(parts, api, "id").await?)))
    }
}

impl FromRequestParts<Shared> for PidPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Problem> {
        let id = UniqueId::from_client(&segment(parts, api, "id").await?);
        let pid = segment(parts, api, "pid").await?;
        let wrong = || Problem::new(Kind::BadRequest, "a process id is an integer from 1 to 4294967295");
        let digits = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
        let pid = pid.parse().ok().filter(|pid| digits && *pid > 0).ok_or_else(wrong)?;
        Ok(PidPath { id, pid })
    }
}

impl FromRequestParts<Shared> for ResourcePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Problem> {
        let plugin = UniqueId::from_client(&segment(parts, api, "plugin").await?);
        let kind = segment(parts, api, "kind").await?;
        let kind = named("kind", &kind, ResourceKind::NAMES, ResourceKind::from_name)?;
        Ok(ResourcePath { plugin, slot: Slot::new(kind, segment(parts, api, "resource_id").await?) })
    }
}

impl FromRequestParts<Shared> for WebhookPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Problem> {
        Ok(WebhookPath(segment(parts, api, "webhook_id").await?))
    }
}

impl FromRequestParts<Shared> for TokenPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Problem> {
        Ok(TokenPath(TokenId::named(&segment(parts, api, "token_id").await?)))
    }
}

impl FromRequestParts<Shared> for BudgetPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Problem> {
        Ok(BudgetPath(segment(parts, api, "budget_id").await?.into()))
    }
}

impl FromRequestParts<Shared> for LeasePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Problem> {
        Ok(LeasePath(LeaseId::named(&segment(parts, api, "lease_id").await?)))
    }
}

impl FromRequestParts<Shared> for CategoryPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Problem> {
        let name = segment(parts, api, "name").await?;
        let wrong = |detail| Problem::new(Kind::BadRequest, format!("the category's name {detail}"));
        Ok(CategoryPath(Name::new(&name).map_err(wrong)?))
    }
}

/// A decoded segment of the path, by its name in the route.
async fn segment(parts: &mut Parts, api: &Api, name: &str) -> Result<String, Problem> {
    let params = RawPathParams::from_request_parts(parts, api).await.map_err(|_| bad_path())?;
    let raw = params.iter().find(|(key, _)| *key == name).map(|(_, value)| value).ok_or_else(bad_path)?;
    // axum has decoded the UTF-8 escapes, and the middleware has refused all other escapes.
    let text = raw.to_owned();
    if text.chars().any(char::is_control) {
        return Err(Problem::new(Kind::BadRequest, "the path contains control characters; remove them"));
    }
    Ok(text)
}

fn bad_path() -> Problem {
    Problem::new(Kind::BadRequest, "the path cannot be decoded; encode it as UTF-8 with percent-encoding")
}

/// Encodes a path segment for a `Location` or a link: RFC 3986's unreserved characters stay, all others are encoded.
pub fn encode_segment(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    let encoded = utf8_percent_encode(text, SEGMENT).to_string();
    debug_assert_eq!(percent_decode_str(&encoded).decode_utf8().ok().as_deref(), Some(text));
    encoded
}
