//! `/webhooks`: who is told of changes, of which, and how far they have come.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION};
use jiff::Timestamp;
use serde::Serialize;
use tracing::warn;
use utoipa::ToSchema;

use crate::http::extract::body::{JsonBody, PatchBody};
use crate::http::extract::idempotency::NoIdempotencyKey;
use crate::http::extract::path::WebhookPath;
use crate::http::problem::{Kind, Problem};
use crate::http::query::params::Params;
use crate::http::reply::json;
use crate::http::state::Shared;
use crate::webhook::deliveries::WebhookView;
use crate::webhook::{Secret, WebhookError};
use domain::Revision;
use domain::change::ChangeKind;
use domain::query::Filters;

/// When to ask again after the store did not take something.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A webhook, with how far it has come.
#[derive(Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(crate) struct WebhookDocument<'a> {
    /// Names it.
    id: &'a str,
    /// Where deliveries go.
    url: &'a str,
    /// What it is for.
    #[schema(required)]
    description: Option<&'a str>,
    /// Of which plugins changes are told: of those that fulfil all of these before or after the change.
    #[schema(value_type = Object)]
    filters: &'a Filters,
    /// Which kinds of changes are told; all when there are none.
    kinds: &'a [ChangeKind],
    /// Whether deliveries are made.
    enabled: bool,
    /// What it is doing.
    state: WebhookState,
    /// Every change up to this revision was delivered, or is of no concern to it.
    #[schema(value_type = u64)]
    position: Revision,
    /// How many changes there are after that.
    lag: u64,
    /// How often the next delivery has failed.
    failures: u32,
    /// When it failed first.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    first_failed_at: Option<Timestamp>,
    /// When it is tried again.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    next_attempt_at: Option<Timestamp>,
    /// Why the newest attempt that failed has failed.
    #[schema(required)]
    last_error: Option<&'a str>,
    /// The HTTP status of the newest attempt; null when it was not answered, or there was none.
    #[schema(required)]
    last_status: Option<u16>,
    /// When something was delivered last.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    last_delivered_at: Option<Timestamp>,
    /// When it was given up.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    parked_at: Option<Timestamp>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When its owner changed it last.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// What deliveries are signed with. Only in the answer to `POST /webhooks`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret: Option<&'a str>,
}

/// What a webhook is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WebhookState {
    /// It delivers, or has nothing to deliver.
    Delivering,
    /// The newest attempt has failed; it waits until `next_attempt_at`.
    Waiting,
    /// It was given up: after a day of failures, or because the target has answered 410. `{"enabled": true}` resumes it.
    Parked,
    /// Its owner has switched it off.
    Disabled,
}

/// Every webhook.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookList<'a> {
    /// The webhooks, the oldest first.
    items: Vec<WebhookDocument<'a>>,
    /// The newest revision, from which the lags are counted.
    #[schema(value_type = u64)]
    revision: Revision,
}

/// What came of a test.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookTest<'a> {
    /// Whether the target has taken it.
    delivered: bool,
    /// The HTTP status that the target has answered; null when it has not.
    #[schema(required)]
    status: Option<u16>,
    /// Why it was not delivered.
    #[schema(required)]
    error: Option<&'a str>,
    /// The `webhook-id` that the message had.
    webhook_id: &'a str,
}

impl<'a> WebhookDocument<'a> {
    fn of(view: &'a WebhookView, lag: u64) -> WebhookDocument<'a> {
        let (webhook, progress) = (&view.webhook, &view.progress);
        WebhookDocument {
            id: &webhook.id,
            url: webhook.url.as_str(),
            description: webhook.description.as_deref(),
            filters: &webhook.filters,
            kinds: &webhook.kinds,
            enabled: webhook.enabled,
            state: WebhookState::of(view),
            position: progress.position,
            lag,
            failures: progress.failures,
            first_failed_at: progress.first_failed_at,
            next_attempt_at: progress.next_attempt_at,
            last_error: progress.last_error.as_deref(),
            last_status: progress.last_status,
            last_delivered_at: progress.last_delivered_at,
            parked_at: progress.parked_at,
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
            secret: None,
        }
    }
}

impl WebhookState {
    /// Every state, with its name in metrics, which is that of the wire.
    pub const ALL: [(WebhookState, &'static str); 4] = [
        (WebhookState::Delivering, "delivering"),
        (WebhookState::Waiting, "waiting"),
        (WebhookState::Parked, "parked"),
        (WebhookState::Disabled, "disabled"),
    ];

    pub fn of(view: &WebhookView) -> WebhookState {
        match &view.progress {
            _ if !view.webhook.enabled => WebhookState::Disabled,
            progress if progress.parked_at.is_some() => WebhookState::Parked,
            progress if progress.next_attempt_at.is_some() => WebhookState::Waiting,
            _ => WebhookState::Delivering,
        }
    }
}

/// Make a webhook.
///
/// Deliveries follow Standard Webhooks. The answer, and no other, has the secret.
#[utoipa::path(post, path = "/webhooks", tag = "webhooks", responses(
    (status = CREATED, description = "The webhook, with its secret", body = WebhookDocument, headers(("Location" = String, description = "Its path"))),
    (status = CONFLICT, description = "There are as many webhooks as there can be"),
))]
pub(crate) async fn create_webhook(
    State(api): State<Shared>,
    _: NoIdempotencyKey,
    params: Params,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let view = api.webhooks.create(body).await?;
    let secret: &Secret = &view.webhook.secret;
    let document =
        WebhookDocument { secret: Some(secret.as_str()), ..WebhookDocument::of(&view, api.webhooks.lag(&view)) };
    let mut response = (StatusCode::CREATED, json::json(&document)).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/webhooks/{}", view.webhook.id)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// List the webhooks.
#[utoipa::path(get, path = "/webhooks", tag = "webhooks", responses(
    (status = OK, description = "The webhooks", body = WebhookList),
))]
pub(crate) async fn list_webhooks(State(api): State<Shared>, params: Params) -> Result<Response, Problem> {
    params.only(&[])?;
    let views = api.webhooks.list().await?;
    let items = views.iter().map(|view| WebhookDocument::of(view, api.webhooks.lag(view))).collect();
    Ok(json::json(&WebhookList { items, revision: api.registry.snapshot().state.revision() }))
}

/// Read one webhook.
#[utoipa::path(get, path = "/webhooks/{webhook_id}", tag = "webhooks", responses(
    (status = OK, description = "The webhook", body = WebhookDocument),
    (status = NOT_FOUND, description = "There is no such webhook"),
))]
pub(crate) async fn read_webhook(
    State(api): State<Shared>,
    WebhookPath(id): WebhookPath,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let view = api.webhooks.get(&id).await?;
    Ok(json::json(&WebhookDocument::of(&view, api.webhooks.lag(&view))))
}

/// Change a part of a webhook.
///
/// A JSON Merge Patch (RFC 7396): null clears, what is absent is kept. `{"enabled": false}` pauses it,
/// `{"enabled": true}` resumes it at once, also when it was parked; `after` moves it to another position.
#[utoipa::path(patch, path = "/webhooks/{webhook_id}", tag = "webhooks",
    responses(
        (status = OK, description = "The webhook after the change", body = WebhookDocument),
        (status = NOT_FOUND, description = "There is no such webhook"),
))]
pub(crate) async fn patch_webhook(
    State(api): State<Shared>,
    WebhookPath(id): WebhookPath,
    params: Params,
    PatchBody(patch): PatchBody,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let view = api.webhooks.change(id, patch).await?;
    Ok(json::json(&WebhookDocument::of(&view, api.webhooks.lag(&view))))
}

/// Remove a webhook. After the answer nothing is sent to it any more.
#[utoipa::path(delete, path = "/webhooks/{webhook_id}", tag = "webhooks", responses(
    (status = NO_CONTENT, description = "It is no more"),
    (status = NOT_FOUND, description = "There is no such webhook"),
))]
pub(crate) async fn remove_webhook(
    State(api): State<Shared>,
    WebhookPath(id): WebhookPath,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    api.webhooks.remove(id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Send a test event to a webhook, and tell what came of it.
///
/// Its type is `webhook.test`. It is sent at once, beside all others, also when the webhook is switched off or parked.
#[utoipa::path(post, path = "/webhooks/{webhook_id}/test", tag = "webhooks", responses(
    (status = OK, description = "What the target has answered, or why it has not", body = WebhookTest),
    (status = NOT_FOUND, description = "There is no such webhook"),
))]
pub(crate) async fn test_webhook(
    State(api): State<Shared>,
    WebhookPath(id): WebhookPath,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let (message, attempt) = api.webhooks.test(&id).await?;
    let error = attempt.reason();
    let (delivered, status) = (error.is_none(), attempt.status());
    Ok(json::json(&WebhookTest { delivered, status, error, webhook_id: message.id() }))
}

impl From<WebhookError> for Problem {
    fn from(error: WebhookError) -> Problem {
        let detail = error.to_string();
        match error {
            WebhookError::NotFound(_) => Problem::new(Kind::NotFound, detail),
            WebhookError::TooMany => Problem::new(Kind::TooManyWebhooks, detail),
            WebhookError::Invalid(invalid) => Problem::from(invalid),
            WebhookError::Past(past) => Problem::from(past),
            WebhookError::Store(error) => {
                warn!(error = error.chain(), "a webhook could not be written or read");
                let detail =
                    format!("{}; the webhook was not changed and the request may be sent again", error.reason());
                Problem::new(Kind::Unavailable, detail).with_retry_after(RETRY_AFTER)
            }
            WebhookError::Stopped => Problem::new(Kind::Unavailable, detail).with_retry_after(RETRY_AFTER),
        }
    }
}
