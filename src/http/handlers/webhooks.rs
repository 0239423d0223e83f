//! `/webhooks`: endpoints that receive changes, and their progress.

use std::borrow::Cow;
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
use crate::http::extract::path::WebhookPath;
use crate::http::problem::{Kind, Problem};
use crate::http::query::params::Params;
use crate::http::reply::json;
use crate::http::state::Shared;
use crate::webhook::deliveries::WebhookView;
use crate::webhook::format::WebhookFormat;
use crate::webhook::{Secret, WebhookError};
use domain::Revision;
use domain::change::ChangeKind;
use domain::query::Filters;
use domain::wire_names;

/// When a client should retry after the store has refused a write.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A webhook and its progress.
#[derive(Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(crate) struct WebhookDocument<'a> {
    /// The id of the webhook.
    id: &'a str,
    /// The URL that receives deliveries. Of a URL of a chat, which is a secret, only the beginning.
    #[schema(value_type = String)]
    url: Cow<'a, str>,
    /// The format of its messages.
    format: WebhookFormat,
    /// The purpose of the webhook.
    #[schema(required)]
    description: Option<&'a str>,
    /// The webhook receives changes of plugins that match all filters before or after the change.
    #[schema(value_type = Object)]
    filters: &'a Filters,
    /// The kinds of changes to deliver. An empty list delivers all kinds, or to a chat what needs a person.
    kinds: &'a [ChangeKind],
    /// Whether the webhook is switched on.
    enabled: bool,
    /// The state of the webhook.
    state: WebhookState,
    /// The webhook has delivered or skipped every change up to this revision.
    #[schema(value_type = u64)]
    position: Revision,
    /// The number of changes after `position`.
    lag: u64,
    /// How often the next delivery has failed.
    failures: u32,
    /// When the next delivery first failed.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    first_failed_at: Option<Timestamp>,
    /// When the registry retries the delivery.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    next_attempt_at: Option<Timestamp>,
    /// Why the last failed attempt failed.
    #[schema(required)]
    last_error: Option<&'a str>,
    /// The HTTP status of the last attempt; null if the target did not answer, or before the first attempt.
    #[schema(required)]
    last_status: Option<u16>,
    /// When the last delivery succeeded.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    last_delivered_at: Option<Timestamp>,
    /// When the registry parked the webhook.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    parked_at: Option<Timestamp>,
    /// When the webhook was created.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When a client last changed the webhook.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// The secret that signs deliveries. Only in the reply to `POST /webhooks`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret: Option<&'a str>,
}

wire_names! {
    /// The state of a webhook.
    WebhookState {
        /// The webhook delivers changes, or has delivered all of them.
        Delivering = "delivering",
        /// The last attempt failed; the webhook waits until `next_attempt_at`.
        Waiting = "waiting",
        /// The registry stopped deliveries after a day of failures, or because the target answered 410. `{"enabled": true}`
        /// resumes deliveries.
        Parked = "parked",
        /// A client has switched the webhook off.
        Disabled = "disabled",
    }
}

/// A list of all webhooks.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookList<'a> {
    /// The webhooks, the oldest first.
    items: Vec<WebhookDocument<'a>>,
    /// The newest revision, which `lag` is counted from.
    #[schema(value_type = u64)]
    revision: Revision,
}

/// The outcome of a test delivery.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookTest<'a> {
    /// Whether the target accepted the message.
    delivered: bool,
    /// The HTTP status of the target; null if the target did not answer.
    #[schema(required)]
    status: Option<u16>,
    /// Why the delivery failed.
    #[schema(required)]
    error: Option<&'a str>,
    /// The `webhook-id` of the message.
    webhook_id: &'a str,
}

impl<'a> WebhookDocument<'a> {
    fn of(view: &'a WebhookView, lag: u64) -> WebhookDocument<'a> {
        let (webhook, progress) = (&view.webhook, &view.progress);
        WebhookDocument {
            id: &webhook.id,
            url: webhook.shown_url(),
            format: webhook.format,
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
    /// The state of a webhook.
    pub(crate) fn of(view: &WebhookView) -> WebhookState {
        match &view.progress {
            _ if !view.webhook.enabled => WebhookState::Disabled,
            progress if progress.parked_at.is_some() => WebhookState::Parked,
            progress if progress.next_attempt_at.is_some() => WebhookState::Waiting,
            _ => WebhookState::Delivering,
        }
    }
}

/// Create a webhook.
///
/// Deliveries follow Standard Webhooks. Only this reply has the secret.
#[utoipa::path(post, path = "/webhooks", tag = "webhooks", responses(
    (status = CREATED, description = "The webhook, with its secret", body = WebhookDocument, headers(("Location" = String, description = "Its path"))),
    (status = CONFLICT, description = "The registry has the maximum number of webhooks"),
))]
pub(crate) async fn create_webhook(
    State(api): State<Shared>,
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

/// Read a webhook.
#[utoipa::path(get, path = "/webhooks/{webhook_id}", tag = "webhooks", responses(
    (status = OK, description = "The webhook", body = WebhookDocument),
    (status = NOT_FOUND, description = "No webhook has this id"),
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

/// Change some fields of a webhook.
///
/// The body is a JSON Merge Patch (RFC 7396): null clears a field, and absent fields keep their values. `{"enabled":
/// false}` pauses the webhook. `{"enabled": true}` resumes the webhook at once, also if it was parked. `after` sets the
/// position.
#[utoipa::path(patch, path = "/webhooks/{webhook_id}", tag = "webhooks",
    responses(
        (status = OK, description = "The webhook after the change", body = WebhookDocument),
        (status = NOT_FOUND, description = "No webhook has this id"),
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

/// Remove a webhook. The registry sends nothing to the webhook after this reply.
#[utoipa::path(delete, path = "/webhooks/{webhook_id}", tag = "webhooks", responses(
    (status = NO_CONTENT, description = "The webhook was removed"),
    (status = NOT_FOUND, description = "No webhook has this id"),
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

/// Send a test event to a webhook, and return the outcome.
///
/// The event has the type `webhook.test`. The registry sends the event at once, also to a webhook that is switched off
/// or parked.
#[utoipa::path(post, path = "/webhooks/{webhook_id}/test", tag = "webhooks", responses(
    (status = OK, description = "The target's answer, or why there is none", body = WebhookTest),
    (status = NOT_FOUND, description = "No webhook has this id"),
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
                warn!(error = error.chain(), "cannot read or write a webhook");
                let detail = format!("{}; the webhook was not changed; send the request again", error.reason());
                Problem::new(Kind::Unavailable, detail).with_retry_after(RETRY_AFTER)
            }
            WebhookError::Stopped => Problem::new(Kind::Unavailable, detail).with_retry_after(RETRY_AFTER),
        }
    }
}
