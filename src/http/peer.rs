//! Whose request it is, as far as the network tells.

use std::net::IpAddr;

/// The address that a request comes from: an extension of every request that came over a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);
