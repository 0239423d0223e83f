//! Sends a request to a target, at a checked address and within a time limit.
//!
//! The response body does not matter, so at most its beginning is read.

use std::sync::OnceLock;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{HeaderMap, RETRY_AFTER};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::attempt::Attempt;
use super::hook::Webhook;
use super::measures::Measures;
use super::message::WebhookMessage;
use super::target;
use crate::net::http_client::whole;
use crate::net::{AddressPolicy, HttpClient, RequestError};
use crate::telemetry::{ActiveSpan, KeyValue};

/// How long to wait for the response body.
const BODY_TIME: Duration = Duration::from_secs(1);

/// How many bytes of the response body are read, so that the connection can be reused.
const MAX_ANSWER: usize = 1024;

/// Sends messages to targets.
pub struct WebhookSender {
    /// Built for the first message, because reading the system's certificates is slow and most registries have no
    /// webhooks.
    client: OnceLock<Result<HttpClient, String>>,
    address_policy: AddressPolicy,
    time: Duration,
    measures: Measures,
}

impl WebhookSender {
    /// A sender that connects only to addresses that `address_policy` permits. Each attempt may take up to `time`.
    pub fn new(address_policy: AddressPolicy, time: Duration) -> WebhookSender {
        WebhookSender { client: OnceLock::new(), address_policy, time, measures: Measures::default() }
    }

    /// The metrics of this sender.
    pub fn measures(&self) -> &Measures {
        &self.measures
    }

    /// Makes an attempt.
    pub async fn send(&self, webhook: &Webhook, message: &WebhookMessage, now: Timestamp) -> Attempt {
        let (began, mut span) = (Instant::now(), message.span());
        let attempt = self.attempt(webhook, message, now, span.as_ref()).await;
        self.measures.count(&attempt, began.elapsed());
        if let Some(span) = &mut span {
            // The URL is left out, because a URL may have a secret.
            span.add([KeyValue::new("http.request.method", "POST"), KeyValue::new("webhook.id", webhook.id.clone())]);
            span.add(attempt.status().map(|status| KeyValue::new("http.response.status_code", i64::from(status))));
            if let Some(reason) = attempt.reason() {
                span.fail(reason);
            }
        }
        attempt
    }

    async fn attempt(
        &self,
        webhook: &Webhook,
        message: &WebhookMessage,
        now: Timestamp,
        span: Option<&ActiveSpan>,
    ) -> Attempt {
        let failed = |reason: String| Attempt::Failed { status: None, reason, retry_after: None };
        let client = match self.client.get_or_init(|| HttpClient::for_many_hosts(self.address_policy)) {
            Ok(client) => client,
            Err(error) => return failed(error.clone()),
        };
        let request = match message.request(webhook, now, span) {
            Ok(request) => request,
            Err(error) => return failed(error.to_string()),
        };
        match tokio::time::timeout(self.time, client.send(request)).await {
            Ok(Ok(response)) => {
                let (status, wait) = (response.status(), retry_after(response.headers()));
                // The status is enough; a body that is too long, slow or incomplete does not change the outcome.
                drop(tokio::time::timeout(BODY_TIME, whole(response, MAX_ANSWER)).await);
                judge(status, wait)
            }
            Ok(Err(error)) => failed(match error {
                RequestError::Forbidden(forbidden) => target::refusal(&forbidden),
                error => error.reason(),
            }),
            Err(_) => failed(format!("no answer within {} s", self.time.as_secs())),
        }
    }
}

/// How long a target asks to wait: a number of seconds (RFC 9110 section 10.2.3), at most an hour. Some services send
/// fractions.
fn retry_after(headers: &HeaderMap) -> Option<SignedDuration> {
    let seconds: f64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    SignedDuration::try_from_secs_f64(seconds.ceil().clamp(0.0, 3_600.0)).ok()
}

fn judge(status: StatusCode, retry_after: Option<SignedDuration>) -> Attempt {
    let code = status.as_u16();
    if status.is_success() {
        return Attempt::Delivered { status: code };
    }
    if status == StatusCode::GONE {
        return Attempt::Gone;
    }
    let reason = if status.is_redirection() {
        format!("the target answered {code}; redirects are not followed, so set the final URL")
    } else {
        format!("the target answered {code}")
    };
    let retry_after = retry_after.filter(|_| matches!(code, 429 | 503));
    Attempt::Failed { status: Some(code), reason, retry_after }
}
