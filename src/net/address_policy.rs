//! Which addresses may be connected to: public ones alone, unless a setting allows the others.
//!
//! A user who may register a webhook can make this service send requests. Without a policy these would
//! reach what only this host can reach: its own ports, its network, a cloud's metadata service
//! (server-side request forgery). The policy therefore is the resolver of the HTTP client: it checks
//! every address of a name, and the client connects to the very address that was checked. A name that
//! resolves to another address a moment later gains nothing.
//!
//! A host that is written as an address is never resolved, so [`HttpClient`](super::HttpClient) checks
//! the URL before each request, too.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::special_addresses::not_public;

/// Which addresses may be connected to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AddressPolicy {
    /// Public ones.
    #[default]
    Public,
    /// All: private, loopback, link-local and metadata addresses, too.
    Everything,
}

/// An address that may not be connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} is {what}")]
pub struct Forbidden {
    host: String,
    what: &'static str,
}

/// Why a host has no address.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// It has addresses, and the policy forbids all of them.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The system cannot resolve its name.
    #[error(transparent)]
    System(#[from] std::io::Error),
}

impl Forbidden {
    /// What the address is, instead of public.
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// The refusal among an error and its causes, if that is what it comes from.
    pub fn among<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Forbidden> {
        std::iter::successors(Some(error), |&error| error.source()).find_map(|error| error.downcast_ref())
    }
}

impl AddressPolicy {
    /// Checks a URL as far as that is possible without resolving a name: addresses written as such, in
    /// whatever spelling, and names that always mean this host (RFC 6761 section 6.3).
    ///
    /// # Errors
    ///
    /// When it may not be connected to.
    pub fn check_url(self, url: &Url) -> Result<(), Forbidden> {
        let what = match url.host() {
            Some(Host::Ipv4(address)) => not_public(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => not_public(IpAddr::V6(address)),
            Some(Host::Domain(name)) => is_localhost(name).then_some("a loopback name"),
            None => Some("no host"),
        };
        match what {
            Some(what) if self == AddressPolicy::Public => {
                Err(Forbidden { host: url.host_str().unwrap_or_default().to_owned(), what })
            }
            _ => Ok(()),
        }
    }

    /// The addresses of a host that may be connected to: of a name, or of an address written as such.
    ///
    /// # Errors
    ///
    /// When there are none, or none of them is allowed.
    pub async fn addresses(self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Ok(self.resolve_host(bare).await?.iter().map(SocketAddr::ip).collect())
    }

    /// As sockets' addresses, because the scope of a link-local address is in these.
    async fn resolve_host(self, host: &str) -> Result<Vec<SocketAddr>, ResolveError> {
        let found = tokio::net::lookup_host((host, 0)).await?.map(|mut address| {
            // An IPv4 address in disguise: the one that is checked is the one that is connected to.
            if let IpAddr::V4(unmapped) = address.ip().to_canonical() {
                address.set_ip(unmapped.into());
            }
            address
        });
        Ok(self.permitted(host, found.collect())?)
    }

    /// Those addresses of a host that may be connected to.
    fn permitted(self, host: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Forbidden> {
        if self == AddressPolicy::Everything {
            return Ok(found);
        }
        let (forbidden, allowed): (Vec<_>, Vec<_>) =
            found.into_iter().map(|address| (not_public(address.ip()), address)).partition(|(what, _)| what.is_some());
        match forbidden.into_iter().find_map(|(what, _)| what) {
            // Not the address: it would tell an outsider what the names of this network stand for.
            Some(what) if allowed.is_empty() => Err(Forbidden { host: host.to_owned(), what }),
            _ => Ok(allowed.into_iter().map(|(_, address)| address).collect()),
        }
    }
}

impl Resolve for AddressPolicy {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = *self;
        Box::pin(async move {
            match policy.resolve_host(name.as_str()).await {
                Ok(found) => Ok(Box::new(found.into_iter()) as Addrs),
                // Each by itself, so that `Forbidden::among` finds the one.
                Err(ResolveError::Forbidden(forbidden)) => Err(forbidden.into()),
                Err(ResolveError::System(error)) => Err(error.into()),
            }
        })
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[tokio::test]
    async fn a_name_of_this_host_resolves_to_nothing() {
        let refused = AddressPolicy::Public.addresses("localhost").await.unwrap_err();
        assert!(refused.to_string().contains("loopback"), "{refused}");
        assert!(AddressPolicy::Everything.addresses("localhost").await.unwrap().iter().all(IpAddr::is_loopback));
    }

    #[test]
    fn a_name_that_changes_its_mind_is_judged_each_time_and_keeps_what_is_public() {
        let found = |addresses: &[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect::<Vec<_>>();
        let permitted = |addresses: &[&str]| AddressPolicy::Public.permitted("rebind.example", found(addresses));
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
        let refused = AddressPolicy::Public.addresses(host).await.unwrap_err();
        assert!(matches!(refused, ResolveError::Forbidden(_)), "{host}: {refused}");
    }
}
