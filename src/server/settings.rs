//! The limits of connections.

use std::time::Duration;

/// Limits of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerSettings {
    /// How many connections may be open. A higher limit costs a file descriptor and about 20 KiB for each connection; a
    /// lower limit refuses more clients with 503.
    pub max_connections: usize,
    /// How many connections may be open from each address (IPv6: each /64). A higher limit lets a client crowd out the
    /// others.
    pub max_connections_per_address: usize,
    /// How long a new connection may stay silent.
    pub first_byte_time: Duration,
    /// How long a TLS handshake may take after its first byte.
    pub handshake_time: Duration,
    /// How many concurrent requests an HTTP/2 connection may have.
    pub max_streams: u32,
    /// How long a request's header may take after its first byte.
    pub header_time: Duration,
    /// How long a connection may stay idle between requests.
    pub idle_time: Duration,
    /// How long a client may read nothing of a pending reply.
    pub write_time: Duration,
    /// How long running requests may continue after the signal to stop.
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

/// The largest header of a request, in bytes.
pub(super) const MAX_HEADER_BYTES: u32 = 32 * 1024;
