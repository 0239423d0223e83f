//! One request to a target: to an address that was checked, within its time, following nobody.
//!
//! The client is hyper's own: it knows no redirects and no proxies, so that there are none to be
//! switched off. An answer's body is of no interest, and at most its beginning is read.

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::StatusCode;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::Instant;
use tracing::warn;

use super::hook::Webhook;
use super::measures::Measures;
use super::message::WebhookMessage;
use super::target::{self, GuardedResolver, Reach};
use crate::telemetry::{ActiveSpan, KeyValue};

/// How long the connection to a target may take to be made.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// How long a connection is kept for the next delivery.
const IDLE_TIME: Duration = Duration::from_secs(30);

/// How long an answer's body is waited for.
const BODY_TIME: Duration = Duration::from_secs(1);

/// How much of an answer's body is read, in bytes, so that its connection can be used again.
const MAX_ANSWER: usize = 1024;

/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 500;

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// The target has taken the message.
    Delivered {
        /// Its answer, a 2xx.
        status: u16,
    },
    /// The target wants no more messages, ever: 410.
    Gone,
    /// It may be tried again.
    Failed {
        /// The answer, when there was one.
        status: Option<u16>,
        /// Why it counts as failed, for people.
        reason: String,
    },
}

impl Attempt {
    /// The HTTP status, when the target has answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Attempt::Delivered { status } => Some(*status),
            Attempt::Gone => Some(StatusCode::GONE.as_u16()),
            Attempt::Failed { status, .. } => *status,
        }
    }

    /// Why it was not delivered.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Attempt::Delivered { .. } => None,
            Attempt::Gone => Some("the target has answered 410: it wants no more deliveries"),
            Attempt::Failed { reason, .. } => Some(reason),
        }
    }
}

/// Sends messages to targets.
pub struct Courier {
    /// Made for the first message: most registries have no webhook, and reading the certificates takes a while.
    client: OnceLock<Result<HttpClient, rustls::Error>>,
    reach: Reach,
    time: Duration,
    measures: Measures,
}

/// An HTTP client that connects to nothing beyond its [`Reach`]; for all that others can make this service ask.
pub(crate) type HttpClient = Client<HttpsConnector<HttpConnector<GuardedResolver>>, Full<Bytes>>;

impl Courier {
    /// A courier that goes nowhere beyond `reach`, and gives an attempt so much time.
    pub fn new(reach: Reach, time: Duration) -> Courier {
        Courier { client: OnceLock::new(), reach, time, measures: Measures::default() }
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
        // An address that is written as such is never resolved, and the setting may have changed since.
        if let Err(forbidden) = target::check(&webhook.url, self.reach) {
            return failed(forbidden.to_string());
        }
        let client = match self.client.get_or_init(|| client(self.reach)) {
            Ok(client) => client,
            Err(error) => return failed(format!("TLS cannot be set up: {error}")),
        };
        let request = match message.request(webhook, now, span) {
            Ok(request) => request,
            Err(error) => return failed(error.to_string()),
        };
        match tokio::time::timeout(self.time, client.request(request)).await {
            Ok(Ok(response)) => {
                let status = response.status();
                // Those that are longer, slower, or break off have said what matters.
                let body = Limited::new(response.into_body(), MAX_ANSWER).collect();
                drop(tokio::time::timeout(BODY_TIME, body).await);
                judge(status)
            }
            Ok(Err(error)) => failed(reason_of(&error)),
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

/// An error with its causes, each told once.
pub(crate) fn reason_of(error: &hyper_util::client::legacy::Error) -> String {
    let mut parts: Vec<String> = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        if parts.last().is_none_or(|last| *last != told) {
            parts.push(told);
        }
        cause = error.source();
    }
    parts.join(": ").chars().take(MAX_REASON).collect()
}

/// Makes such a client.
pub(crate) fn client(reach: Reach) -> Result<HttpClient, rustls::Error> {
    let mut connector = HttpConnector::new_with_resolver(GuardedResolver::new(reach));
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_TIME));
    let https =
        HttpsConnectorBuilder::new().with_tls_config(tls()?).https_or_http().enable_http1().wrap_connector(connector);
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIME)
        .pool_max_idle_per_host(1)
        .build(https);
    Ok(client)
}

/// TLS with the certificates that the system trusts; where there are none, no https target can be
/// reached, and http is not touched by that.
fn tls() -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if taken == 0 {
        warn!("the system trusts no certificate authority; nothing can be sent by https");
    }
    // The provider is named: another one in the same program would leave no default.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
