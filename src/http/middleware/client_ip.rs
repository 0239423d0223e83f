//! Finds the client's address behind proxies.
//!
//! Behind a proxy, every connection comes from the proxy. The proxy adds the client's address to a header field, but
//! any client can send the same field. So the field is read from its end, where the nearest proxy has written, and only
//! as far as trusted proxies wrote. There are two such fields, and a proxy that writes one passes on the client's value
//! of the other. So a setting decides which field counts, never the request.

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;
use hyper::HeaderMap;
use hyper::header::{FORWARDED, HeaderName};
use ipnet::IpNet;

/// The client's address, as an extension of every request. Behind a trusted proxy, this is the address of the proxy's
/// client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientIp(pub IpAddr);

/// The header field in which the proxies write the client's address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProxyField {
    /// `X-Forwarded-For`, which most proxies write.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// The proxies whose header fields are trusted.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    field: ProxyField,
}

impl TrustedProxies {
    /// Trusts proxies in these networks, which write this field.
    pub fn new(networks: Vec<IpNet>, field: ProxyField) -> TrustedProxies {
        TrustedProxies { networks, field }
    }

    /// Returns true if and only if an address belongs to a trusted proxy.
    pub fn is_trusted(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// Replaces the address of the connection by the client's address.
    pub fn trace_back(&self, request: &mut Request) {
        if self.networks.is_empty() {
            return;
        }
        let Some(ClientIp(peer)) = request.extensions().get::<ClientIp>().copied() else { return };
        let client = self.client_of(peer, request.headers());
        if client != peer {
            request.extensions_mut().insert(ClientIp(client));
        }
    }

    /// The nearest address that is not a trusted proxy.
    fn client_of(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut nearest = peer;
        let mut said = self.said(headers).into_iter().rev();
        while self.is_trusted(nearest) {
            match said.next() {
                Some(Some(before)) => nearest = before,
                // The client is hidden, unknown or malformed, so the proxy's address counts.
                Some(None) | None => break,
            }
        }
        nearest
    }

    /// The addresses that proxies have added; the nearest proxy wrote the last address.
    fn said(&self, headers: &HeaderMap) -> Vec<Option<IpAddr>> {
        let name = match self.field {
            ProxyField::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            ProxyField::Forwarded => FORWARDED,
        };
        let lines = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or_default());
        match self.field {
            ProxyField::XForwardedFor => lines.flat_map(|line| line.split(',')).map(address).collect(),
            ProxyField::Forwarded => lines.flat_map(elements).collect(),
        }
    }
}

/// Parses an address with or without a port, as in `X-Forwarded-For` and `Forwarded`.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let parsed = bare.parse::<IpAddr>().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    parsed.map(|address| address.to_canonical())
}

/// The parameter `for` of every element of a field `Forwarded`. A malformed field counts as empty: a client could have
/// shaped its end.
fn elements(line: &str) -> Vec<Option<IpAddr>> {
    let Some(elements) = split_unquoted(line, ',') else { return vec![None] };
    let element = |element: &str| {
        let pairs = split_unquoted(element, ';')?;
        let mut values = pairs.iter().filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim().eq_ignore_ascii_case("for").then_some(value.trim())
        });
        let value = values.next()?;
        address(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
    };
    elements.into_iter().map(element).collect()
}

/// Splits at a character outside quoted strings; `None` when a quoted string does not end.
fn split_unquoted(text: &str, at: char) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (place, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if c == at && !quoted => {
                parts.push(text.get(start..place)?);
                start = place + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text.get(start..)?);
    (!quoted).then_some(parts)
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;
    use rstest::rstest;

    use super::*;

    fn client(field: ProxyField, peer: &str, lines: &[&str]) -> String {
        let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).to_vec();
        let name = if field == ProxyField::Forwarded { "forwarded" } else { "x-forwarded-for" };
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_str(line).unwrap());
        }
        TrustedProxies::new(networks, field).client_of(peer.parse().unwrap(), &headers).to_string()
    }

    #[rstest]
    #[case("10.0.0.1", &["203.0.113.7"], "203.0.113.7")]
    #[case("10.0.0.1", &["203.0.113.7:4711"], "203.0.113.7")]
    #[case("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1")]
    #[case("10.0.0.1", &["2001:db8::1"], "2001:db8::1")]
    #[case("10.0.0.1", &["::ffff:203.0.113.7"], "203.0.113.7")]
    // Only trusted proxies wrote the text after the nearest client's address.
    #[case("10.0.0.1", &["6.6.6.6, 203.0.113.7"], "203.0.113.7")]
    #[case("10.0.0.1", &["6.6.6.6", "203.0.113.7"], "203.0.113.7")]
    #[case("10.0.0.1", &["203.0.113.7, 10.0.0.2, 10.0.0.3"], "203.0.113.7")]
    #[case("10.0.0.1", &["6.6.6.6, nonsense, 10.0.0.2"], "10.0.0.2")]
    #[case("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3")]
    #[case("10.0.0.1", &["unknown"], "10.0.0.1")]
    #[case("10.0.0.1", &[""], "10.0.0.1")]
    #[case("10.0.0.1", &[], "10.0.0.1")]
    #[case("203.0.113.9", &["6.6.6.6"], "203.0.113.9")]
    #[case("fd00::1", &["203.0.113.7"], "203.0.113.7")]
    fn the_nearest_who_is_no_proxy_is_the_client(#[case] peer: &str, #[case] lines: &[&str], #[case] found: &str) {
        assert_eq!(client(ProxyField::XForwardedFor, peer, lines), found);
    }

    #[rstest]
    #[case(&["for=203.0.113.7"], "203.0.113.7")]
    #[case(&["For=\"203.0.113.7:80\";proto=https;by=10.0.0.1"], "203.0.113.7")]
    #[case(&["proto=https; for=\"[2001:db8::1]:4711\""], "2001:db8::1")]
    #[case(&["for=6.6.6.6, for=203.0.113.7"], "203.0.113.7")]
    #[case(&["for=6.6.6.6;host=\"a,for=1.1.1.1\", for=203.0.113.7"], "203.0.113.7")]
    #[case(&["for=_hidden"], "10.0.0.1")]
    #[case(&["for=unknown"], "10.0.0.1")]
    #[case(&["proto=https"], "10.0.0.1")]
    // An open quote from a client must not swallow the element that the proxy added.
    #[case(&["for=\"6.6.6.6, for=203.0.113.7"], "10.0.0.1")]
    #[case(&["for=\"6.6.6.6", "for=203.0.113.7"], "203.0.113.7")]
    fn forwarded_is_read_as_rfc_7239_has_it(#[case] lines: &[&str], #[case] found: &str) {
        assert_eq!(client(ProxyField::Forwarded, "10.0.0.1", lines), found);
    }

    #[test]
    fn the_field_that_the_proxy_does_not_write_says_nothing() {
        let mut headers = HeaderMap::new();
        headers.insert("forwarded", HeaderValue::from_static("for=6.6.6.6"));
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()], ProxyField::XForwardedFor);
        let peer = "10.0.0.1".parse().unwrap();
        assert_eq!(proxies.client_of(peer, &headers), peer);
    }
}
