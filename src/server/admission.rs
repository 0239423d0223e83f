//! Limits how many connections are open, in total and from each address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts open connections.
#[derive(Debug, Clone)]
pub struct Admission(Arc<ConnectionCounts>);

#[derive(Debug)]
struct ConnectionCounts {
    most: usize,
    most_per_address: usize,
    now: Mutex<Occupied>,
}

#[derive(Debug, Default)]
struct Occupied {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The permit of a connection, returned on drop.
#[derive(Debug)]
pub struct ConnectionPermit {
    admission: Admission,
    /// `None` for a proxy, which has no limit of its own.
    address: Option<IpAddr>,
}

impl Admission {
    /// Admits `most` connections in total, and `most_per_address` from each address.
    pub fn new(most: usize, most_per_address: usize) -> Admission {
        Admission(Arc::new(ConnectionCounts { most, most_per_address, now: Mutex::default() }))
    }

    /// A permit for a connection from `address`, if the limits allow one.
    pub fn admit(&self, address: IpAddr) -> Option<ConnectionPermit> {
        let address = counted_as(address);
        let mut now = self.0.now.lock().unwrap_or_else(PoisonError::into_inner);
        let here = now.by_address.get(&address).copied().unwrap_or(0);
        if now.all >= self.0.most || here >= self.0.most_per_address {
            return None;
        }
        now.all += 1;
        now.by_address.insert(address, here + 1);
        Some(ConnectionPermit { admission: self.clone(), address: Some(address) })
    }

    /// A permit for a connection from a proxy. Only the total counts, because many clients share the proxy's address.
    pub fn admit_proxy(&self) -> Option<ConnectionPermit> {
        let mut now = self.0.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.all >= self.0.most {
            return None;
        }
        now.all += 1;
        Some(ConnectionPermit { admission: self.clone(), address: None })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut now = self.admission.0.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.all = now.all.saturating_sub(1);
        let Some(address) = self.address else { return };
        if let Some(here) = now.by_address.get_mut(&address) {
            *here -= 1;
            if *here == 0 {
                now.by_address.remove(&address);
            }
        }
    }
}

/// All addresses of an IPv6 /64 count together, because a subscriber has a whole /64 (RFC 6177).
fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        IpAddr::V4(address) => IpAddr::V4(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let admission = Admission::new(3, 2);
        let (a, b): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let first = admission.admit(a);
        let second = admission.admit(a);
        assert!(first.is_some() && second.is_some() && admission.admit(a).is_none());
        let third = admission.admit(b);
        assert!(third.is_some() && admission.admit(b).is_none());
        drop(first);
        assert!(admission.admit(a).is_some());
    }

    #[test]
    fn a_proxy_counts_only_in_all() {
        let admission = Admission::new(3, 1);
        let (first, second, third) = (admission.admit_proxy(), admission.admit_proxy(), admission.admit_proxy());
        assert!(first.is_some() && second.is_some() && third.is_some() && admission.admit_proxy().is_none());
        drop(second);
        assert!(admission.admit("10.0.0.1".parse().unwrap()).is_some());
    }

    #[test]
    fn a_64_counts_once() {
        let admission = Admission::new(9, 1);
        let _first = admission.admit("2001:db8::1".parse().unwrap());
        assert!(admission.admit("2001:db8::2".parse().unwrap()).is_none());
        assert!(admission.admit("2001:db8:0:1::1".parse().unwrap()).is_some());
    }
}
