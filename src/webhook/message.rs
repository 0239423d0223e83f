//! The message of a delivery: an event with its id and its signature (Standard Webhooks).

use bytes::Bytes;
use hyper::Request;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use jiff::Timestamp;
use serde_json::json;
use url::Url;

use super::format::Formatted;
use super::hook::Webhook;
use crate::telemetry::{ActiveSpan, SpanKind, Trace, context};
use domain::StoreId;
use domain::change::Transition;
use domain::change::cloud_event::{CLOUD_EVENT, source};

/// The `type` of a test event.
pub const TEST_EVENT: &str = "webhook.test";

/// A message to a target. All attempts have the same id and the same payload.
#[derive(Debug, Clone)]
pub struct WebhookMessage {
    id: String,
    media_type: HeaderValue,
    payload: Bytes,
    /// The trace of the request that made the change.
    trace: Option<Trace>,
}

impl WebhookMessage {
    /// The message of a change.
    pub fn of(transition: &Transition, store: &StoreId, trace: Option<Trace>) -> WebhookMessage {
        let id = format!("{store}-{}", transition.change.revision);
        let media_type = HeaderValue::from_static(CLOUD_EVENT);
        WebhookMessage { id, media_type, payload: transition.json(store).clone(), trace }
    }

    /// The message of several changes, as a text for people; `None` if there are none, or if the webhook takes events.
    pub fn for_people(
        webhook: &Webhook,
        changes: &[&Transition],
        store: &StoreId,
        public_url: Option<&Url>,
    ) -> Option<WebhookMessage> {
        let id = format!("{store}-{}", changes.last()?.change.revision);
        let Formatted { media_type, body } = webhook.format.of_changes(changes, public_url)?;
        Some(WebhookMessage { id, media_type, payload: body.into(), trace: None })
    }

    /// The message of a test event.
    pub fn test(webhook: &Webhook, store: &StoreId, id: &str, now: Timestamp) -> WebhookMessage {
        let event = json!({
            "specversion": "1.0", "id": id, "source": source(store), "type": TEST_EVENT, "subject": webhook.id,
            "time": now, "datacontenttype": "application/json", "data": {},
        });
        let id = format!("{store}-test-{id}");
        let standard = || Formatted { media_type: HeaderValue::from_static(CLOUD_EVENT), body: event.to_string() };
        let Formatted { media_type, body } = webhook.format.of_test().unwrap_or_else(standard);
        WebhookMessage { id, media_type, payload: body.into(), trace: Trace::current() }
    }

    /// The value of `webhook-id`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Begins the span of an attempt, if an exporter receives spans.
    pub fn span(&self) -> Option<ActiveSpan> {
        self.trace.as_ref()?.span("webhook.deliver", SpanKind::Client)
    }

    /// The request of an attempt, signed with the time of the attempt, as a part of `span`.
    ///
    /// # Errors
    ///
    /// When the request is malformed, which would be a bug.
    pub fn request(
        &self,
        webhook: &Webhook,
        now: Timestamp,
        span: Option<&ActiveSpan>,
    ) -> Result<Request<Bytes>, hyper::http::Error> {
        let mut request = Request::post(webhook.url.as_str())
            .header(CONTENT_TYPE, &self.media_type)
            .header(standardwebhooks::HEADER_WEBHOOK_ID, &self.id)
            .header(standardwebhooks::HEADER_WEBHOOK_TIMESTAMP, now.as_second())
            .header(
                standardwebhooks::HEADER_WEBHOOK_SIGNATURE,
                webhook.secret.sign(&self.id, now, &self.payload).unwrap_or_default(),
            )
            .body(self.payload.clone())?;
        let context = span.map(ActiveSpan::context).or(self.trace.as_ref().map(Trace::context));
        if let Some(context) = context {
            context::write_to(request.headers_mut(), context);
        }
        Ok(request)
    }
}
