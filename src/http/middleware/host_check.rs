//! Protects a service without tokens against web pages in a local browser.
//!
//! While no tokens are configured, anyone who can reach the service may use it. A browser on this host can reach the
//! service, so the service must refuse the browser's web pages:
//!
//! - A page of another origin sends a request (a drive-by write). The browser adds the field `Origin`, which names that
//!   origin.
//! - The DNS name of a page is changed to this service's address after the page was loaded (DNS rebinding). The browser
//!   then sees the same origin, but the field `Host` still has the page's name. Addresses and `localhost` (RFC 6761
//!   section 6.3) are safe: no DNS record can change them.
//!
//! With tokens, no check is needed: pages have no token, and browsers do not add one.

use std::net::IpAddr;

use hyper::Uri;
use hyper::header::{HOST, HeaderMap, ORIGIN};

use super::cors::Cors;
use crate::http::problem::{Kind, Problem};

/// Allows every host.
const ANY: &str = "*";

/// The hosts that a request may name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedHosts(Vec<String>);

impl AllowedHosts {
    /// Allows these hosts, besides addresses and `localhost`.
    pub fn new(hosts: impl IntoIterator<Item = String>) -> AllowedHosts {
        AllowedHosts(hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect())
    }

    /// Refuses a request that names a host that is not allowed, or comes from a page of another origin.
    ///
    /// # Errors
    ///
    /// 421 and 403. The detail names the setting that would allow the request.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap, cors: &Cors) -> Result<(), Problem> {
        // RFC 9112 section 3.2.2: an authority in the target overrides the field. A request with neither is refused
        // elsewhere, except in HTTP/1.0, which no browser speaks.
        let field = || headers.get(HOST).map(|host| host.to_str().unwrap_or_default());
        let asked = uri.authority().map(hyper::http::uri::Authority::as_str).or_else(field);
        if let Some(asked) = asked.filter(|asked| !self.goes_by(host_of(asked))) {
            let host: String = host_of(asked).chars().take(256).collect();
            let detail = format!(
                "without tokens, the service answers only requests for an address, `localhost` or a host in \
                 --allowed-hosts, not for `{host}`"
            );
            return Err(Problem::new(Kind::Misdirected, detail));
        }
        // A page that may read replies may also send requests.
        for origin in headers.get_all(ORIGIN).iter().filter(|origin| !cors.allows(origin)) {
            let origin = origin.to_str().unwrap_or_default();
            if !is_own(origin, asked.unwrap_or_default()) {
                let origin: String = origin.chars().take(256).collect();
                let detail = format!(
                    "without tokens, the service answers only pages of this service and of origins in \
                     --cors-origins, not of `{origin}`"
                );
                return Err(Problem::new(Kind::ForeignOrigin, detail));
            }
        }
        Ok(())
    }

    fn goes_by(&self, host: &str) -> bool {
        let name = host.strip_suffix('.').unwrap_or(host);
        let is_localhost = name.eq_ignore_ascii_case("localhost") || ends_with(name, ".localhost");
        let known = |one: &String| one == ANY || one.eq_ignore_ascii_case(name);
        is_localhost || is_address(host) || self.0.iter().any(known)
    }
}

/// Whether an origin is the service's origin, as the request names the service.
fn is_own(origin: &str, asked: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let usual = match scheme {
        "http" => "80",
        "https" => "443",
        _ => return false,
    };
    let place = |authority: &str| {
        let host = host_of(authority);
        let port = authority.get(host.len()..).and_then(|rest| rest.strip_prefix(':')).unwrap_or(usual);
        (host.to_ascii_lowercase(), port.to_owned())
    };
    place(authority) == place(asked)
}

/// The host of an authority, without its port; an IPv6 address with its brackets.
fn host_of(authority: &str) -> &str {
    let end = if authority.starts_with('[') {
        // Text after the bracket is a port; any other text makes the address invalid.
        authority.find("]:").map_or(authority.len(), |bracket| bracket + 1)
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    authority.get(..end).unwrap_or(authority)
}

fn is_address(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().is_ok()
}

fn ends_with(text: &str, end: &str) -> bool {
    let start = text.len().saturating_sub(end.len());
    text.get(start..).is_some_and(|last| last.eq_ignore_ascii_case(end))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn names() -> AllowedHosts {
        AllowedHosts::new(["Registry.example".to_owned()])
    }

    fn ask(target: &str, host: &str, origin: Option<&str>) -> Result<(), u16> {
        let mut headers = HeaderMap::from_iter([(HOST, HeaderValue::from_str(host).unwrap())]);
        headers.extend(origin.map(|origin| (ORIGIN, HeaderValue::from_str(origin).unwrap())));
        let cors = Cors::allowing(["https://dash.example"]).unwrap();
        names().check(&target.parse().unwrap(), &headers, &cors).map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn addresses_localhost_and_what_is_allowed_are_its_names() {
        for good in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "10.1.2.3:80",
            "[::1]",
            "[::1]:8080",
            "localhost",
            "LOCALHOST:8080",
            "a.localhost:1",
            "localhost.",
            "registry.example",
            "REGISTRY.example:443",
            "registry.example.:80",
        ] {
            assert_eq!(ask("/", good, None), Ok(()), "{good}");
        }
        for bad in [
            "evil.example",
            "registry.example.evil",
            "xlocalhost",
            "localhost.evil",
            "registry",
            "",
            "127.0.0.1.evil",
            "127.1",
            "2130706433",
            "0x7f.1",
            "[::1].evil",
            "registry.example..",
        ] {
            assert_eq!(ask("/", bad, None), Err(421), "{bad}");
        }
        assert_eq!(ask("http://evil.example/", "localhost", None), Err(421), "the target counts");
        assert_eq!(ask("http://localhost/", "evil.example", None), Ok(()));
    }

    #[test]
    fn pages_of_its_own_and_of_those_allowed_may_ask() {
        for (host, good) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("localhost", "http://localhost"),
            ("localhost:80", "http://localhost"),
            ("registry.example", "https://registry.example"),
            ("registry.example", "https://registry.example:443"),
            ("[::1]:8080", "http://[::1]:8080"),
            ("localhost:8080", "https://dash.example"),
        ] {
            assert_eq!(ask("/", host, Some(good)), Ok(()), "{host} {good}");
        }
        for bad in [
            "null",
            "",
            "http://evil.example",
            "http://localhost",
            "http://localhost:9090",
            "https://dash.example.evil",
            "http://dash.example",
            "ftp://localhost:8080",
            "localhost:8080",
            "http://localhost:8080.evil",
        ] {
            assert_eq!(ask("/", "localhost:8080", Some(bad)), Err(403), "{bad}");
        }
    }

    #[test]
    fn a_star_is_every_name() {
        let (all, any) = (AllowedHosts::new(["*".to_owned()]), Cors::allowing(["*"]).unwrap());
        let headers = HeaderMap::from_iter([
            (HOST, HeaderValue::from_static("evil.example")),
            (ORIGIN, HeaderValue::from_static("http://other.example")),
        ]);
        assert!(all.check(&"/".parse().unwrap(), &headers, &any).is_ok());
    }
}
