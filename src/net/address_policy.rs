//! Restricts the addresses that the service may connect to: only public addresses, unless the operator allows all.
//!
//! A user who may register a webhook can make this service send requests. Without a policy, these requests could reach
//! the host's own ports, its network, or a cloud's metadata service (server-side request forgery). So the policy is the
//! HTTP client's resolver: the client connects only to addresses that the policy has checked. A name that later
//! resolves to another address gains nothing.
//!
//! The client does not resolve literal addresses, so [`HttpClient`](super::HttpClient) also checks the URL before each
//! request.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use url::{Host, Url};

use super::special_addresses::not_public;

/// How many names the system looks up at a time.
///
/// A look-up that hangs keeps its blocking thread until the system gives up, also if the caller has gone. Other work on
/// such threads, such as reading the tokens, must find some that are free.
static LOOK_UPS: Semaphore = Semaphore::const_new(16);

/// The addresses of a host, which is a name or a literal address.
async fn look_up(host: &str) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![SocketAddr::new(address, 0)]);
    }
    let permit = LOOK_UPS.acquire().await.map_err(io::Error::other)?;
    let host = host.to_owned();
    let looking_up = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        (host.as_str(), 0).to_socket_addrs().map(Iterator::collect)
    });
    looking_up.await.map_err(io::Error::other)?
}

/// The addresses that the service may connect to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AddressPolicy {
    /// Public addresses only.
    #[default]
    Public,
    /// All addresses, including private, loopback, link-local and metadata addresses.
    Everything,
}

/// A host that the policy forbids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} is {what}")]
pub struct Forbidden {
    host: String,
    what: &'static str,
}

/// Why a host has no usable address.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The policy forbids all addresses of the host.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The system cannot resolve the name.
    #[error(transparent)]
    System(#[from] std::io::Error),
}

impl Forbidden {
    /// The kind of the forbidden address.
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// Finds a refusal by the policy among an error and its causes.
    pub fn among<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Forbidden> {
        std::iter::successors(Some(error), |&error| error.source()).find_map(|error| error.downcast_ref())
    }
}

impl AddressPolicy {
    /// Checks a URL without resolving names: literal addresses in any spelling, and names that always mean this host
    /// (RFC 6761 section 6.3).
    ///
    /// # Errors
    ///
    /// When the policy forbids the host.
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

    /// The permitted addresses of a host, which is a name or a literal address.
    ///
    /// # Errors
    ///
    /// When the host has no address, or the policy forbids all of them.
    pub async fn addresses(self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Ok(self.resolve_host(bare).await?.iter().map(SocketAddr::ip).collect())
    }

    /// Returns socket addresses, because they keep the scope of a link-local address.
    async fn resolve_host(self, host: &str) -> Result<Vec<SocketAddr>, ResolveError> {
        let found = look_up(host).await?.into_iter().map(|mut address| {
            // The client connects to the unmapped address, so the check must see the same address.
            if let IpAddr::V4(unmapped) = address.ip().to_canonical() {
                address.set_ip(unmapped.into());
            }
            address
        });
        Ok(self.permitted(host, found.collect())?)
    }

    /// The addresses that the policy permits.
    fn permitted(self, host: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Forbidden> {
        if self == AddressPolicy::Everything {
            return Ok(found);
        }
        let (forbidden, allowed): (Vec<_>, Vec<_>) =
            found.into_iter().map(|address| (not_public(address.ip()), address)).partition(|(what, _)| what.is_some());
        match forbidden.into_iter().find_map(|(what, _)| what) {
            // The error omits the address: otherwise outsiders could resolve the internal names of this network.
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
                // Each error is boxed directly, so that `Forbidden::among` finds it by its type.
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

    #[tokio::test]
    async fn look_ups_that_hang_took_every_blocking_thread() {
        let hanging = LOOK_UPS.acquire_many(16).await.unwrap();
        let waits = |host: &'static str| {
            tokio::time::timeout(std::time::Duration::from_millis(50), AddressPolicy::Everything.addresses(host))
        };
        assert!(waits("localhost").await.is_err(), "it waits for one of the others to end");
        assert_eq!(waits("127.0.0.1").await.unwrap().unwrap(), [IpAddr::from([127, 0, 0, 1])], "nothing is looked up");
        drop(hanging);
        assert!(!AddressPolicy::Everything.addresses("localhost").await.unwrap().is_empty());
    }
}
