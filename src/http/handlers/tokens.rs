//! `/tokens`: access tokens. Requires the role `admin`.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderValue, LOCATION};
use jiff::Timestamp;
use serde::Serialize;
use tracing::{info, warn};
use utoipa::ToSchema;

use crate::access::TokensError;
use crate::access::keyring::KeyringEntry;
use crate::http::extract::body::JsonBody;
use crate::http::extract::path::TokenPath;
use crate::http::extract::principal::RequestPrincipal;
use crate::http::problem::{Kind, Problem};
use crate::http::query::params::Params;
use crate::http::reply::json;
use crate::http::state::Shared;
use domain::access::{Role, Scope, Token, TokenTerms};
use domain::plugin::Invalid;
use domain::wire_names;

/// When a client should retry after the store has refused a write.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A token without its secret text.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
pub(crate) struct TokenDocument<'a> {
    /// The id of the token.
    id: &'a str,
    /// The name of the token's bearer in events.
    name: &'a str,
    /// The role of the token.
    role: Role,
    /// The plugins that the token may be used with; null for all.
    #[schema(value_type = Option<Scope>, required)]
    scope: Option<&'a Scope>,
    /// When the token expires; null for never.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    expires_at: Option<Timestamp>,
    /// Where the token is defined: `store`, or `file` for a token in the token file.
    source: TokenSource,
    /// When the token was created; null for a token in a file.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    created_at: Option<Timestamp>,
    /// The name of the caller that created the token.
    #[schema(required)]
    created_by: Option<&'a str>,
    /// When the token was last used, as far as this process knows. Other replicas report their use within a minute.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    last_used_at: Option<Timestamp>,
    /// The text of the token. Only in the reply to `POST /tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    token: Option<String>,
}

wire_names! {
    /// Where a token is defined.
    TokenSource {
        /// In the registry's store.
        Store = "store",
        /// In the token file.
        File = "file",
    }
}

/// A list of all tokens, including expired tokens.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenList<'a> {
    /// The tokens, sorted by name.
    items: Vec<TokenDocument<'a>>,
}

impl<'a> TokenDocument<'a> {
    fn new(token: &'a Token) -> TokenDocument<'a> {
        TokenDocument {
            id: token.id.as_str(),
            name: token.terms.name.as_str(),
            role: token.terms.role,
            scope: token.terms.scope.as_deref(),
            expires_at: token.terms.expires_at,
            source: TokenSource::Store,
            created_at: token.created_at,
            created_by: token.created_by.as_deref(),
            last_used_at: token.last_used_at,
            token: None,
        }
    }

    fn of(key: &'a KeyringEntry) -> TokenDocument<'a> {
        let source = if key.is_of_file { TokenSource::File } else { TokenSource::Store };
        TokenDocument { source, last_used_at: key.last_used(), ..TokenDocument::new(&key.token) }
    }
}

/// Create a token.
///
/// Only this reply has the text of the token. The first token must have the role `admin`, because every request needs a
/// token from then on.
#[utoipa::path(post, path = "/tokens", tag = "access", responses(
    (status = CREATED, description = "The token, with its text", body = TokenDocument, headers(("Location" = String, description = "Its path"))),
    (status = CONFLICT, description = "The name belongs to another token, or the registry has the maximum number of tokens"),
))]
pub(crate) async fn create_token(
    State(api): State<Shared>,
    RequestPrincipal(principal): RequestPrincipal,
    params: Params,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let terms = TokenTerms::read(body, "")?;
    if principal.token.is_none() && terms.role != Role::Admin {
        let detail = "the first token must have the role admin, because every request needs a token from then on";
        return Err(Invalid::at("/role", detail).into());
    }
    let now = api.registry.clock().now();
    let (token, text) = api.access.tokens.create(terms, &principal.name, now).await?;
    info!(token.id = %token.id, token.name = %token.terms.name, principal = &*principal.name, "token created");
    let document = TokenDocument { token: Some(text.reveal()), ..TokenDocument::new(&token) };
    let mut response = (StatusCode::CREATED, json::json(&document)).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(location) = HeaderValue::from_str(&format!("/tokens/{}", token.id)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// List the tokens.
#[utoipa::path(get, path = "/tokens", tag = "access", responses(
    (status = OK, description = "The tokens", body = TokenList),
))]
pub(crate) async fn list_tokens(State(api): State<Shared>, params: Params) -> Result<Response, Problem> {
    params.only(&[])?;
    let ring = api.access.tokens.ready().await?;
    let mut keys: Vec<_> = ring.keys().collect();
    keys.sort_by(|a, b| a.token.terms.name.cmp(&b.token.terms.name));
    let items = keys.into_iter().map(|key| TokenDocument::of(key)).collect();
    Ok(json::json(&TokenList { items }))
}

/// Read a token.
#[utoipa::path(get, path = "/tokens/{token_id}", tag = "access", responses(
    (status = OK, description = "The token", body = TokenDocument),
    (status = NOT_FOUND, description = "No token has this id"),
))]
pub(crate) async fn read_token(
    State(api): State<Shared>,
    TokenPath(id): TokenPath,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let ring = api.access.tokens.ready().await?;
    let missing = || TokensError::NotFound(id.as_str().chars().take(64).collect());
    let key = ring.key(id.as_str()).ok_or_else(missing)?;
    Ok(json::json(&TokenDocument::of(key)))
}

/// Revoke a token.
///
/// The registry refuses the token at once; other replicas refuse it within two seconds. Live streams of the token end.
#[utoipa::path(delete, path = "/tokens/{token_id}", tag = "access", responses(
    (status = NO_CONTENT, description = "The token was revoked"),
    (status = NOT_FOUND, description = "No token has this id"),
    (status = CONFLICT, description = "The token is defined in the token file"),
))]
pub(crate) async fn revoke_token(
    State(api): State<Shared>,
    RequestPrincipal(principal): RequestPrincipal,
    TokenPath(id): TokenPath,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    api.access.tokens.revoke(&id, api.registry.clock().now()).await?;
    info!(token.id = %id, principal = &*principal.name, "token revoked");
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl From<TokensError> for Problem {
    fn from(error: TokensError) -> Problem {
        let detail = error.to_string();
        match error {
            TokensError::NotFound(_) => Problem::new(Kind::NotFound, detail),
            TokensError::NameTaken => Problem::new(Kind::TokenNameTaken, detail),
            TokensError::TooMany => Problem::new(Kind::TooManyTokens, detail),
            TokensError::InFile => Problem::new(Kind::TokenInFile, detail),
            TokensError::Invalid(invalid) => invalid.into(),
            error @ (TokensError::File { .. } | TokensError::Store(_)) => {
                warn!(error = &error as &dyn std::error::Error, "cannot read or write the tokens");
                Problem::new(
                    Kind::Unavailable,
                    "the registry cannot read or write its tokens now; send the request again",
                )
                .with_retry_after(RETRY_AFTER)
            }
        }
    }
}
