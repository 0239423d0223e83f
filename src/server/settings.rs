//! The limits of connections.

use std::time::Duration;

/// What connections may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerSettings {
    /// How many connections in all. More cost a file descriptor and about 20 KiB each; fewer turn
    /// clients away with 503.
    pub max_connections: usize,
    /// How many from one address (IPv6: one /64). More let one client take the places of others.
    pub max_connections_per_address: usize,
    /// How long a new connection may be silent.
    pub first_byte_time: Duration,
    /// How long a TLS handshake may take, from its first byte.
    pub handshake_time: Duration,
    /// How many requests there may be at a time on one connection of HTTP/2.
    pub max_streams: u32,
    /// How long a request's header may take to arrive, from its first byte.
    pub header_time: Duration,
    /// How long a connection may be silent between two requests.
    pub idle_time: Duration,
    /// How long a client may take no byte of an answer.
    pub write_time: Duration,
    /// How long requests may run on after the signal to stop.
    pub shutdown_grace: Duration,
}

impl Default for ServerSettings {
    fn default() -> ServerSettings {
        ServerSettings {
            max_connections: 16_384,
            max_connections_per_address: 12_288,
            first_byte_time: Duration::from_secs(10),
            handshake_time: Duration::from_secs(10),
            max_streams: 100,
            header_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(75),
            write_time: Duration::from_secs(30),
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

/// The most bytes of a request's header.
pub(super) const MAX_HEADER_BYTES: u32 = 32 * 1024;
