//! The HTTP/1.1 client: sends requests to permitted addresses, with a given TLS configuration.
//!
//! The client follows no redirects, uses no proxy, and never retries a request that a server may have received. The
//! caller provides the TLS configuration, so a client for http works on systems without certificates.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::{Request, Response};
use rustls::ClientConfig;
use url::Url;

use super::address_policy::AddressPolicy;
use super::cause::Cause;
use super::error::RequestError;
use super::tls::{self, Security};
pub use reqwest::Body;

/// The `User-Agent` of this service.
const USER_AGENT: &str = concat!("plugin-registry/", env!("CARGO_PKG_VERSION"));

/// Connection settings of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpSettings {
    /// The addresses that the client may connect to.
    pub address_policy: AddressPolicy,
    /// How long connecting may take, including DNS, TCP and TLS.
    pub connect_time: Duration,
    /// How long an idle connection stays open.
    pub idle_time: Duration,
    /// How many idle connections to a host stay open.
    pub idle_connections: usize,
}

impl HttpSettings {
    /// Settings for rare requests to many hosts.
    pub fn for_many_hosts(address_policy: AddressPolicy) -> HttpSettings {
        HttpSettings {
            address_policy,
            connect_time: Duration::from_secs(5),
            idle_time: Duration::from_secs(30),
            idle_connections: 1,
        }
    }

    /// Settings for frequent requests to a plugin registry. Idle connections are closed before the server closes them.
    pub fn for_one_server() -> HttpSettings {
        HttpSettings {
            address_policy: AddressPolicy::Everything,
            connect_time: Duration::from_secs(3),
            idle_time: Duration::from_mins(1),
            idle_connections: usize::MAX,
        }
    }
}

/// An HTTP client. Clones are cheap.
#[derive(Debug, Clone)]
pub struct HttpClient {
    http: reqwest::Client,
    address_policy: AddressPolicy,
}

impl HttpClient {
    /// A client that uses `tls` for https.
    ///
    /// # Errors
    ///
    /// When reqwest refuses the settings.
    pub fn new(settings: HttpSettings, tls: ClientConfig) -> Result<HttpClient, String> {
        HttpClient::of(settings, HttpClient::builder(settings, tls))
    }

    fn builder(settings: HttpSettings, tls: ClientConfig) -> reqwest::ClientBuilder {
        let HttpSettings { address_policy, connect_time, idle_time, idle_connections } = settings;
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(address_policy))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .retry(reqwest::retry::never())
            .user_agent(USER_AGENT)
            .connect_timeout(connect_time)
            .pool_idle_timeout(idle_time)
            .pool_max_idle_per_host(idle_connections)
    }

    fn of(settings: HttpSettings, builder: reqwest::ClientBuilder) -> Result<HttpClient, String> {
        let failed = |error| format!("cannot set up the HTTP client: {}", Cause::of(error));
        Ok(HttpClient { http: builder.build().map_err(failed)?, address_policy: settings.address_policy })
    }

    /// A client for http requests to the server of a Unix socket. The host in URLs has no meaning.
    ///
    /// # Errors
    ///
    /// When the client cannot be set up.
    pub fn for_socket(path: &Path) -> Result<HttpClient, String> {
        let settings = HttpSettings::for_one_server();
        let tls = tls::trusting_no_server().map_err(|error| error.to_string())?;
        HttpClient::of(settings, HttpClient::builder(settings, tls).unix_socket(path))
    }

    /// A client for http requests to one server, without TLS.
    ///
    /// # Errors
    ///
    /// When the client cannot be set up.
    pub fn for_plain_http() -> Result<HttpClient, String> {
        let tls = tls::trusting_no_server().map_err(|error| error.to_string())?;
        HttpClient::new(HttpSettings::for_one_server(), tls)
    }

    /// A client for requests to many hosts, which trusts the system's certificate authorities.
    ///
    /// # Errors
    ///
    /// When TLS or the client cannot be set up.
    pub fn for_many_hosts(address_policy: AddressPolicy) -> Result<HttpClient, String> {
        let tls = tls::trusting_the_system().map_err(|error| format!("cannot set up TLS: {error}"))?;
        HttpClient::new(HttpSettings::for_many_hosts(address_policy), tls)
    }

    /// A client for requests to `server`, which uses the files of `security` for https.
    ///
    /// # Errors
    ///
    /// When the URL is https and a file is invalid.
    pub fn for_one_server(server: &Url, security: &Security) -> Result<HttpClient, String> {
        let tls = match server.scheme() {
            "https" => security.configure()?,
            _ => tls::trusting_no_server().map_err(|error| error.to_string())?,
        };
        HttpClient::new(HttpSettings::for_one_server(), tls)
    }

    /// Sends a request, and returns the response once its header has arrived.
    ///
    /// # Errors
    ///
    /// When there is no response, or the policy forbids the address.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Body>, RequestError> {
        let request: reqwest::Request = request.try_into().map_err(|error| RequestError::Invalid(Cause::of(error)))?;
        // The resolver never sees literal addresses.
        self.address_policy.check_url(request.url())?;
        let response = self.http.execute(request).await.map_err(RequestError::of_sending)?;
        Ok(response.into())
    }

    /// Sends a request, and returns the complete response: within `time`, and with a body of at most `max_body` bytes.
    ///
    /// # Errors
    ///
    /// Like [`HttpClient::send`], and when the response is late, incomplete or too large.
    pub async fn fetch(
        &self,
        request: Request<Bytes>,
        time: Duration,
        max_body: usize,
    ) -> Result<Response<Bytes>, RequestError> {
        let fetched = async { whole(self.send(request).await?, max_body).await };
        tokio::time::timeout(time, fetched).await.map_err(|_| RequestError::Late(time))?
    }
}

/// Reads a response to its end.
///
/// # Errors
///
/// When the response is incomplete, or its body has more than `max_body` bytes.
pub async fn whole(response: Response<Body>, max_body: usize) -> Result<Response<Bytes>, RequestError> {
    let (parts, body) = response.into_parts();
    match Limited::new(body, max_body).collect().await {
        Ok(body) => Ok(Response::from_parts(parts, body.to_bytes())),
        Err(error) => Err(match error.downcast::<reqwest::Error>() {
            Ok(error) => RequestError::Body(Cause::of(*error)),
            Err(_) => RequestError::TooLong(max_body),
        }),
    }
}

/// The next piece of a body; `None` after the last piece. Trailers are skipped.
///
/// # Errors
///
/// When the response is incomplete.
pub async fn next_piece(body: &mut Body) -> Result<Option<Bytes>, RequestError> {
    while let Some(frame) = body.frame().await {
        if let Ok(piece) = frame.map_err(|error| RequestError::Body(Cause::of(error)))?.into_data() {
            return Ok(Some(piece));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use futures_util::FutureExt as _;
    use hyper::StatusCode;
    use rstest::rstest;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn client(address_policy: AddressPolicy) -> HttpClient {
        HttpClient::new(HttpSettings::for_many_hosts(address_policy), tls::trusting_no_server().unwrap()).unwrap()
    }

    fn get(url: &str) -> Request<Bytes> {
        Request::get(url).body(Bytes::new()).unwrap()
    }

    /// A server that answers a request with this text and closes the connection. With an empty text, the server never
    /// answers.
    async fn answering(text: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            assert_ne!(stream.read(&mut request).await.unwrap(), 0);
            if text.is_empty() {
                std::future::pending::<()>().await;
            }
            stream.write_all(text.as_bytes()).await.unwrap();
        });
        address
    }

    async fn fetched(text: &'static str) -> Result<Response<Bytes>, RequestError> {
        let url = format!("http://{}/", answering(text).await);
        client(AddressPolicy::Everything).fetch(get(&url), Duration::from_millis(500), 4).await
    }

    #[rstest]
    #[case("127.0.0.1")]
    #[case("127.1")]
    #[case("2130706433")]
    #[case("0x7f.1")]
    #[case("[::ffff:127.0.0.1]")]
    #[case("[::ffff:7f00:1]")]
    #[case("localhost")]
    #[tokio::test]
    async fn a_host_that_is_written_as_an_address_is_checked_before_any_connection(#[case] host: &str) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{host}:{}/", listener.local_addr().unwrap().port());
        let refused = client(AddressPolicy::Public).fetch(get(&url), Duration::from_secs(1), 4).await.unwrap_err();
        assert!(matches!(refused, RequestError::Forbidden(_)), "{refused:?}");
        assert!(listener.accept().now_or_never().is_none(), "a connection was made");
    }

    #[tokio::test]
    async fn the_resolver_refuses_what_a_name_stands_for_and_the_reason_is_found() {
        // `http` bypasses the check of the URL, which recognises this name.
        let answer = "HTTP/1.1 204 No Content\r\n\r\n";
        let url = format!("http://localhost:{}/", answering(answer).await.port());
        let refused = client(AddressPolicy::Public).http.get(url).send().await.unwrap_err();
        let refused = RequestError::of_sending(refused);
        assert!(matches!(refused, RequestError::Forbidden(_)), "{refused:?}");
        assert_eq!(refused.reason(), "localhost is a loopback address");
    }

    #[tokio::test]
    async fn a_redirect_is_a_response_like_any_other() {
        let moved = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(fetched(moved).await.unwrap().status(), StatusCode::FOUND);
    }

    #[tokio::test]
    async fn a_response_is_whole_or_there_is_none() {
        let whole = fetched("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabcd").await.unwrap();
        assert_eq!(whole.body(), "abcd");
        let long = fetched("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabcde").await.unwrap_err();
        assert!(matches!(long, RequestError::TooLong(4)), "{long:?}");
        let cut = fetched("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabc").await.unwrap_err();
        assert!(matches!(cut, RequestError::Body(_)), "{cut:?}");
        let silent = fetched("").await.unwrap_err();
        assert!(matches!(silent, RequestError::Late(_)), "{silent:?}");
        let gone = fetched("HTTP/1.1 ").await.unwrap_err();
        assert!(matches!(gone, RequestError::Connection(_)), "{gone:?}");
    }

    #[tokio::test]
    async fn a_reason_names_the_causes_and_never_the_url() {
        // Nothing listens on port 1 of the loopback.
        let request = get("http://127.0.0.1:1/hook?token=secret");
        let error = client(AddressPolicy::Everything).send(request).await.unwrap_err();
        let reason = error.reason();
        assert!(reason.starts_with("Connection refused"), "{reason}");
        assert!(!format!("{reason} {error} {error:?}").contains("secret"), "{error:?}");
    }
}
