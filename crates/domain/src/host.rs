//! The names of hosts, and when two of them mean the same host. Pure.
//!
//! The registry keeps the name that a client sent. It compares the normal form: without case, without surrounding white
//! space, and with one name for all names of the loopback.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The normal form of `localhost`, `127.0.0.1`, `::1` and their like: the registry's own host.
pub const LOCALHOST: &str = "localhost";

/// Names of the loopback in the hosts files of distributions.
const LOOPBACK: &[&str] =
    &["localhost", "localhost.localdomain", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"];

/// The normal form of a host's name: two names mean the same host if their normal forms are equal.
pub fn normal(name: &str) -> Cow<'_, str> {
    let name = name.trim();
    // A name in the DNS may end with the dot of the root.
    let name = name.strip_suffix('.').filter(|name| !name.is_empty()).unwrap_or(name);
    let lower = if name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.')) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(name.to_lowercase())
    };
    if is_loopback(&lower) { Cow::Borrowed(LOCALHOST) } else { lower }
}

/// Returns true if and only if two names have the same normal form.
pub fn is_same(one: &str, other: &str) -> bool {
    one == other || normal(one) == normal(other)
}

/// The normal form of a host that a client may not have named.
pub fn normal_of(name: Option<&str>) -> Option<Box<str>> {
    name.map(|name| normal(name).into())
}

fn is_loopback(lower: &str) -> bool {
    if LOOPBACK.contains(&lower) {
        return true;
    }
    if !lower.starts_with(|first: char| first.is_ascii_digit() || matches!(first, ':' | '[')) {
        return false;
    }
    let address = lower.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(lower);
    address.parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
}

/// All names of one host, in normal form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostNames(BTreeSet<Box<str>>);

impl HostNames {
    /// The names of a host.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> HostNames {
        HostNames(names.into_iter().map(|name| normal(name).into()).collect())
    }

    /// Returns true if and only if a name means this host.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(&*normal(name))
    }

    /// The names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }

    /// These names, and all names of the host `own` if one of these means it.
    #[must_use]
    pub fn with_names_of(self, own: &HostNames) -> HostNames {
        if self.0.is_disjoint(&own.0) { self } else { HostNames(&self.0 | &own.0) }
    }

    /// Returns true if and only if two names mean the same host, of which these are names or not.
    pub fn are_same(&self, one: &str, other: &str) -> bool {
        is_same(one, other) || (self.contains(one) && self.contains(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_host_have_one_normal_form() {
        for (sent, expected) in [
            ("gpu-1", "gpu-1"),
            ("GPU-1", "gpu-1"),
            (" gpu-1\n", "gpu-1"),
            ("GPU-1.Example.COM.", "gpu-1.example.com"),
            ("Ärger", "ärger"),
            ("localhost", "localhost"),
            ("LocalHost.", "localhost"),
            ("127.0.0.1", "localhost"),
            ("127.8.9.1", "localhost"),
            ("::1", "localhost"),
            ("[::1]", "localhost"),
            ("::ffff:127.0.0.1", "localhost"),
            ("ip6-localhost", "localhost"),
            ("10.0.0.1", "10.0.0.1"),
            ("127.0.0.1.example.com", "127.0.0.1.example.com"),
            (".", "."),
            ("", ""),
        ] {
            assert_eq!(normal(sent), expected);
            assert_eq!(normal(expected), expected, "it is a normal form");
        }
    }

    #[test]
    fn a_host_has_all_its_names() {
        let own = HostNames::of(["GPU-1", "gpu-1.example.com", LOCALHOST]);
        assert!(own.contains("127.0.0.1") && own.contains(" gpu-1") && !own.contains("gpu-2"));
        assert_eq!(HostNames::of(["::1"]).with_names_of(&own), own);
        assert_eq!(HostNames::of(["GPU-2"]).with_names_of(&own).iter().collect::<Vec<_>>(), ["gpu-2"]);
        assert!(own.are_same("127.0.0.1", "gpu-1.example.com") && own.are_same("x", "X") && !own.are_same("x", "::1"));
    }
}
