//! One request to a target: to an address that was checked, within its time.
//!
//! An answer's body is of no interest, and at most its beginning is read.

use std::sync::OnceLock;
use std::time::Duration;

use hyper::StatusCode;
use jiff::Timestamp;
use tokio::time::Instant;

use super::attempt::Attempt;
use super::hook::Webhook;
use super::measures::Measures;
use super::message::WebhookMessage;
use super::target;
use crate::net::http_client::whole;
use crate::net::{AddressPolicy, HttpClient, RequestError};
use crate::telemetry::{ActiveSpan, KeyValue};

/// How long an answer's body is waited for.
const BODY_TIME: Duration = Duration::from_secs(1);

/// How much of an answer's body is read, in bytes, so that its connection can be used again.
const MAX_ANSWER: usize = 1024;

/// Sends messages to targets.
pub struct WebhookSender {
    /// Made for the first message: most registries have no webhook, and reading the certificates takes a while.
    client: OnceLock<Result<HttpClient, String>>,
    address_policy: AddressPolicy,
    time: Duration,
    measures: Measures,
}

impl WebhookSender {
    /// A sender that connects only to what `address_policy` allows, and gives an attempt so much time.
    pub fn new(address_policy: AddressPolicy, time: Duration) -> WebhookSender {
        WebhookSender { client: OnceLock::new(), address_policy, time, measures: Measures::default() }
    }

    /// What it counts and times.
    pub fn measures(&self) -> &Measures {
        &self.measures
    }

    /// Makes one attempt.
    pub async fn send(&self, webhook: &Webhook, message: &WebhookMessage, now: Timestamp) -> Attempt {
        let (began, mut span) = (Instant::now(), message.span());
        let attempt = self.attempt(webhook, message, now, span.as_ref()).await;
        self.measures.count(&attempt, began.elapsed());
        if let Some(span) = &mut span {
            // Not where it went: an address may have a secret in it.
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
        let failed = |reason: String| Attempt::Failed { status: None, reason };
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
                let status = response.status();
                // Those that are longer, slower, or break off have said what matters.
                drop(tokio::time::timeout(BODY_TIME, whole(response, MAX_ANSWER)).await);
                judge(status)
            }
            Ok(Err(error)) => failed(match error {
                RequestError::Forbidden(forbidden) => target::refusal(&forbidden),
                error => error.reason(),
            }),
            Err(_) => failed(format!("no answer within {} s", self.time.as_secs())),
        }
    }
}

fn judge(status: StatusCode) -> Attempt {
    let code = status.as_u16();
    if status.is_success() {
        return Attempt::Delivered { status: code };
    }
    if status == StatusCode::GONE {
        return Attempt::Gone;
    }
    let reason = if status.is_redirection() {
        format!("the target has answered {code}; redirects are not followed")
    } else {
        format!("the target has answered {code}")
    };
    Attempt::Failed { status: Some(code), reason }
}
