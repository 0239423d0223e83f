//! What stands in a path: a plugin's unique_id, a process id, a category.

use axum::extract::{FromRequestParts, RawPathParams};
use hyper::http::request::Parts;
use percent_encoding::percent_decode_str;

use crate::http::problem::{Kind, Problem};
use crate::http::state::{Api, Shared};
use domain::LeaseId;
use domain::access::TokenId;
use domain::plugin::{Name, Pid, UniqueId};

/// The plugin that a path addresses; whether there is one is for the registry to say.
pub struct PluginPath(pub UniqueId);

/// The process of a plugin that a path addresses.
pub struct PidPath {
    /// The plugin.
    pub id: UniqueId,
    /// The process.
    pub pid: Pid,
}

/// The webhook that a path addresses; whether there is one is not known yet.
pub struct WebhookPath(pub String);

/// The token that a path addresses; whether there is one is not known yet.
pub struct TokenPath(pub TokenId);

/// The budget that a path addresses; whether there is one is for the registry to say.
pub struct BudgetPath(pub Box<str>);

/// The lease that a path addresses; whether there is one is for the registry to say.
pub struct LeasePath(pub LeaseId);

/// The category that a path addresses.
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

/// A segment of the path by its name in the route, decoded.
async fn segment(parts: &mut Parts, api: &Api, name: &str) -> Result<String, Problem> {
    let params = RawPathParams::from_request_parts(parts, api).await.map_err(|_| bad_path())?;
    let raw = params.iter().find(|(key, _)| *key == name).map(|(_, value)| value).ok_or_else(bad_path)?;
    // axum has decoded the escapes of UTF-8 already; `context` has refused all others.
    let text = raw.to_owned();
    if text.chars().any(char::is_control) {
        return Err(Problem::new(Kind::BadRequest, "the path contains control characters"));
    }
    Ok(text)
}

fn bad_path() -> Problem {
    Problem::new(Kind::BadRequest, "the path cannot be decoded")
}

/// A path segment for a `Location` or a link: RFC 3986's unreserved characters as they are, all others encoded.
pub fn encode_segment(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    let encoded = utf8_percent_encode(text, SEGMENT).to_string();
    debug_assert_eq!(percent_decode_str(&encoded).decode_utf8().ok().as_deref(), Some(text));
    encoded
}
