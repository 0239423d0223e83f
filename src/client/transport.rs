//! How a request travels: over HTTP/1.1, with TLS where the address says so, within a time.
//!
//! The client is hyper's own: it follows no redirects and uses no proxies, so that there are none to be switched off.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use url::Url;

use super::security::Security;

/// How long a connection may take to be made.
const CONNECT_TIME: Duration = Duration::from_secs(3);

/// How long a connection is kept for the next request: less than the service keeps it.
const IDLE_TIME: Duration = Duration::from_mins(1);

/// Who asks.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("plugin-registry/", env!("CARGO_PKG_VERSION")));

/// Sends requests.
#[derive(Debug, Clone)]
pub struct Transport {
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    time: Duration,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its header.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The server cannot be connected to, or has broken off.
    #[error("no connection")]
    Connection(#[from] hyper_util::client::legacy::Error),
    /// The answer broke off.
    #[error("the answer broke off")]
    Body(#[from] hyper::Error),
    /// It did not come in time.
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
}

impl Transport {
    /// A way to a server, on which an answer may take so long.
    ///
    /// # Errors
    ///
    /// When it needs TLS, and a file of `security` cannot be used.
    pub fn new(server: &Url, security: &Security, time: Duration) -> Result<Transport, String> {
        let tls = if server.scheme() == "https" { security.configure()? } else { none()? };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIME));
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(connector);
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .build(connector);
        Ok(Transport { http, time })
    }

    /// Sends a request, and returns its answer when it is complete.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, TransportError> {
        let answered = tokio::time::timeout(self.time, async { whole(self.request(request).await?).await });
        answered.await.map_err(|_| TransportError::Late(self.time))?
    }

    /// Sends a request, and returns its answer when it begins.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn open(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, TransportError> {
        let begun = tokio::time::timeout(self.time, self.request(request));
        begun.await.map_err(|_| TransportError::Late(self.time))?
    }

    async fn request(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Incoming>, TransportError> {
        request.headers_mut().insert(USER_AGENT, AGENT);
        Ok(self.http.request(request).await?)
    }
}

/// An answer that has begun, when it is complete.
///
/// # Errors
///
/// When it breaks off.
pub async fn whole(answer: Response<Incoming>) -> Result<Answer, TransportError> {
    let (parts, body) = answer.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Answer { status: parts.status, headers: parts.headers, body })
}

/// TLS with nobody, for a server that does not speak it: the system's certificates need not be read.
fn none() -> Result<ClientConfig, String> {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}
