//! Where deliveries may go: to public addresses alone, unless a setting allows the others.
//!
//! Whoever may register a webhook may make this service send requests. Without a guard they would
//! reach what only this host can reach: its own ports, its network, a cloud's metadata service
//! (server-side request forgery). Names are therefore resolved here, every address is checked, and the
//! connection is made to the very address that was checked: a name that resolves to something else a
//! moment later gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use url::{Host, Url};

/// The longest address of a target, in bytes.
pub const MAX_URL: usize = 2048;

/// Which addresses may be connected to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// Public ones.
    #[default]
    Public,
    /// All: private, loopback, link-local and metadata addresses, too.
    Everything,
}

/// An address that may not be connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} is {what}, where webhooks are not allowed to go (--webhooks-allow-private)")]
pub struct Forbidden {
    host: String,
    what: &'static str,
}

impl Forbidden {
    /// What it is, instead of public.
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// The refusal among an error and its causes, if that is what it comes from.
    pub fn among<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Forbidden> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            // An I/O error counts what is in it not among its sources.
            let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            if let Some(forbidden) = inner.and_then(|inner| inner.downcast_ref::<Forbidden>()) {
                return Some(forbidden);
            }
            cause = error.source();
        }
        None
    }
}

/// Reads the address of a target.
///
/// # Errors
///
/// What is wrong with it, for the one who has sent it.
pub fn read(text: &str, reach: Reach) -> Result<Url, String> {
    if text.len() > MAX_URL {
        return Err(format!("must not be longer than {MAX_URL} bytes"));
    }
    // The reader of URLs would strip some of these, and overlook others.
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("must not contain white space, control characters or backslashes".into());
    }
    if !(text.starts_with("http://") || text.starts_with("https://")) {
        return Err("must begin with `http://` or `https://`".into());
    }
    let url = Url::parse(text).map_err(|error| format!("must be an absolute URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user name or a password; deliveries are signed".into());
    }
    if url.fragment().is_some() {
        return Err("must not contain a fragment (`#`); it is never sent".into());
    }
    if url.as_str().len() > MAX_URL {
        return Err(format!("must not be longer than {MAX_URL} bytes when it is encoded"));
    }
    check(&url, reach).map_err(|forbidden| forbidden.to_string())?;
    Ok(url)
}

/// Checks what can be told without resolving a name: addresses written as such, in whatever
/// spelling, and names that always mean this host (RFC 6761 section 6.3).
///
/// # Errors
///
/// When it may not be connected to.
pub fn check(url: &Url, reach: Reach) -> Result<(), Forbidden> {
    let what = match url.host() {
        Some(Host::Ipv4(address)) => not_public(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => not_public(IpAddr::V6(address)),
        Some(Host::Domain(name)) => is_localhost(name).then_some("a loopback name"),
        None => Some("no host"),
    };
    match what {
        Some(what) if reach == Reach::Public => {
            Err(Forbidden { host: url.host_str().unwrap_or_default().to_owned(), what })
        }
        _ => Ok(()),
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// What an address is, when it is not a public one.
pub fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => not_public_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(address) => not_public_v4(address),
            None => not_public_v6(address),
        },
    }
}

/// By IANA's registry of special-purpose addresses (RFC 6890 and its successors).
fn not_public_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [0, ..] => Some("an unspecified address"),
        [127, ..] => Some("a loopback address"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some("a private address"),
        [100, 64..=127, ..] => Some("a shared address (RFC 6598)"),
        // The metadata service of most clouds is 169.254.169.254.
        [169, 254, ..] => Some("a link-local address"),
        // The metadata service of one cloud has an address that is otherwise public.
        [168, 63, 129, 16] => Some("a metadata address"),
        [192, 0, 0, _] | [192, 88, 99, _] | [198, 18..=19, ..] => Some("a special-purpose address"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Some("an address for documentation"),
        [224..=239, ..] => Some("a multicast address"),
        [240..=255, ..] => Some("a reserved address"),
        _ => None,
    }
}

fn not_public_v6(address: Ipv6Addr) -> Option<&'static str> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("an unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("a loopback address"),
        [0xfc00..=0xfdff, ..] => Some("a private address"),
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        // Protocol assignments, among them Teredo, which carries addresses in disguise (RFC 4380).
        [0x2001, 0..=0x01ff, ..] => Some("a special-purpose address"),
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Some("an address for documentation"),
        // All that IANA has given out so far.
        [0x2000..=0x3fff, ..] => None,
        _ => Some("a reserved address"),
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped (RFC 4291), compatible (the same),
/// translated (RFC 6052) or 6to4 (RFC 3056).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            Some(from(high, low))
        }
        _ => None,
    }
}

/// Resolves names to addresses that may be connected to.
#[derive(Debug, Clone, Copy)]
pub struct GuardedResolver {
    reach: Reach,
}

impl GuardedResolver {
    /// A resolver that gives nothing beyond `reach`.
    pub fn new(reach: Reach) -> GuardedResolver {
        GuardedResolver { reach }
    }

    /// The addresses of a host that may be connected to: of a name, or of an address written as such.
    ///
    /// # Errors
    ///
    /// When there are none, or none of them is allowed.
    pub async fn addresses(self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return match not_public(address).filter(|_| self.reach == Reach::Public) {
                Some(what) => {
                    let forbidden = Forbidden { host: host.to_owned(), what };
                    Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, forbidden))
                }
                None => Ok(vec![address]),
            };
        }
        let name = host.parse::<Name>().map_err(std::io::Error::other)?;
        Ok(self.resolve(name).await?.map(|address| address.ip()).collect())
    }

    async fn resolve(self, name: Name) -> std::io::Result<std::vec::IntoIter<SocketAddr>> {
        let found = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
        permitted(name.as_str(), found, self.reach).map(Vec::into_iter)
    }
}

/// Those addresses of a name that may be connected to.
fn permitted(name: &str, found: Vec<SocketAddr>, reach: Reach) -> std::io::Result<Vec<SocketAddr>> {
    if reach == Reach::Everything {
        return Ok(found);
    }
    let (forbidden, allowed): (Vec<_>, Vec<_>) =
        found.into_iter().map(|address| (not_public(address.ip()), address)).partition(|(what, _)| what.is_some());
    match forbidden.into_iter().find_map(|(what, _)| what) {
        // Not the address: it would tell an outsider what the names of this network stand for.
        Some(what) if allowed.is_empty() => {
            Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, Forbidden { host: name.to_owned(), what }))
        }
        _ => Ok(allowed.into_iter().map(|(_, address)| address).collect()),
    }
}

impl tower::Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin((*self).resolve(name))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("http://127.0.0.1/")]
    #[case("http://127.1/")]
    #[case("http://2130706433/")]
    #[case("http://0x7f000001/")]
    #[case("http://0x7f.1/")]
    #[case("http://0177.0.0.1/")]
    #[case("http://%31%32%37.0.0.1/")]
    #[case("http://１２７.0.0.1/")]
    #[case("http://127.0.0.1./")]
    #[case("http://0.0.0.0/")]
    #[case("http://0/")]
    #[case("http://localhost/")]
    #[case("http://LOCALHOST./")]
    #[case("http://a.localhost:8080/")]
    #[case("http://10.1.2.3/")]
    #[case("http://172.16.0.1/")]
    #[case("http://172.31.255.255/")]
    #[case("https://192.168.1.1:443/")]
    #[case("http://100.64.0.1/")]
    #[case("http://100.100.100.200/latest/meta-data/")]
    #[case("http://169.254.169.254/latest/meta-data/")]
    #[case("http://2852039166/")]
    #[case("http://168.63.129.16/")]
    #[case("http://192.0.0.192/")]
    #[case("http://198.18.0.1/")]
    #[case("http://224.0.0.1/")]
    #[case("http://255.255.255.255/")]
    #[case("http://[::]/")]
    #[case("http://[::1]/")]
    #[case("http://[::ffff:127.0.0.1]/")]
    #[case("http://[::ffff:a9fe:a9fe]/")]
    #[case("http://[::127.0.0.1]/")]
    #[case("http://[64:ff9b::10.0.0.1]/")]
    #[case("http://[64:ff9b:1::1]/")]
    #[case("http://[2002:7f00:1::]/")]
    #[case("http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/")]
    #[case("http://[fe80::1]/")]
    #[case("http://[fd00:ec2::254]/")]
    #[case("http://[fec0::1]/")]
    #[case("http://[ff02::1]/")]
    #[case("http://[2001:db8::1]/")]
    fn what_is_not_public_is_refused_in_every_spelling(#[case] url: &str) {
        let refused = read(url, Reach::Public).expect_err(url);
        assert!(refused.contains("--webhooks-allow-private"), "{url}: {refused}");
        assert!(read(url, Reach::Everything).is_ok(), "{url}");
    }

    #[rstest]
    #[case("http://93.184.215.14/")]
    #[case("https://example.com/hooks?x=1")]
    #[case("https://xn--bcher-kva.example/")]
    #[case("https://bücher.example:8443/a%20b")]
    #[case("http://[2606:2800:220:1::1]/")]
    #[case("http://[64:ff9b::5db8:d70e]/")]
    #[case("http://172.32.0.1/")]
    #[case("http://localhost.example.com/")]
    fn what_is_public_is_taken(#[case] url: &str) {
        assert!(read(url, Reach::Public).is_ok(), "{:?}", read(url, Reach::Public));
    }

    #[rstest]
    #[case("")]
    #[case("example.com")]
    #[case("ftp://example.com/")]
    #[case("HTTP://example.com/")]
    #[case("file:///etc/passwd")]
    #[case("gopher://example.com/")]
    #[case("http:example.com")]
    #[case("http://")]
    #[case("http://user@example.com/")]
    #[case("http://user:password@example.com/")]
    #[case("http://example.com/#here")]
    #[case(" http://example.com/")]
    #[case("http://exa\tmple.com/")]
    #[case("http://example.com\\@127.0.0.1/")]
    #[case("http://example.com:99999/")]
    #[case("http://[::1/")]
    fn what_is_no_target_is_refused_whatever_the_setting(#[case] url: &str) {
        assert!(read(url, Reach::Everything).is_err(), "{url}");
    }

    #[test]
    fn a_target_that_is_too_long_is_refused() {
        assert!(read(&format!("http://example.com/{}", "x".repeat(MAX_URL)), Reach::Everything).is_err());
        assert!(read(&format!("http://example.com/{}", "ü".repeat(MAX_URL / 3)), Reach::Everything).is_err());
    }

    #[tokio::test]
    async fn a_name_of_this_host_resolves_to_nothing() {
        let name = || "localhost".parse::<Name>().unwrap();
        let refused = GuardedResolver::new(Reach::Public).resolve(name()).await.unwrap_err();
        assert!(refused.to_string().contains("loopback"), "{refused}");
        assert!(GuardedResolver::new(Reach::Everything).resolve(name()).await.unwrap().all(|a| a.ip().is_loopback()));
    }

    #[test]
    fn a_name_that_changes_its_mind_is_judged_each_time_and_keeps_what_is_public() {
        let found = |addresses: &[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect::<Vec<_>>();
        let permitted = |addresses: &[&str]| permitted("rebind.example", found(addresses), Reach::Public);
        let public = "93.184.215.14:80";
        assert_eq!(permitted(&[public]).unwrap(), found(&[public]));
        assert_eq!(permitted(&["127.0.0.1:80", public, "[::1]:80", "169.254.169.254:80"]).unwrap(), found(&[public]));
        for private in
            ["127.0.0.1:80", "10.0.0.1:80", "[::ffff:10.0.0.1]:80", "[64:ff9b::a9fe:a9fe]:80", "[fd00::1]:80"]
        {
            let refused = permitted(&[private]).unwrap_err();
            assert!(refused.to_string().contains("rebind.example"), "{refused}");
            assert!(!refused.to_string().contains(private), "it does not tell what the name stands for: {refused}");
        }
    }

    #[rstest]
    #[case("127.0.0.1")]
    #[case("127.1")]
    #[case("2130706433")]
    #[case("0x7f000001")]
    #[case("0177.0.0.1")]
    #[case("0")]
    #[case("169.254.169.254")]
    #[case("localhost")]
    #[case("[::1]")]
    #[case("::1")]
    #[case("::ffff:127.0.0.1")]
    #[case("[::ffff:7f00:1]")]
    #[tokio::test]
    async fn a_host_that_is_no_url_is_judged_in_every_spelling_that_the_system_takes(#[case] host: &str) {
        let refused = GuardedResolver::new(Reach::Public).addresses(host).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied, "{host}: {refused}");
    }
}
