//! The addresses to listen on: parses the setting, and creates the sockets.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

use anyhow::{Context as _, bail};
use tokio::net::{TcpListener, TcpSocket};
use tracing::info;

use crate::server::Listeners;

/// How many connections may wait to be accepted; the kernel lowers it to net.core.somaxconn.
const BACKLOG: u32 = 4096;

/// How often to try another free port, if the first address has a free port that a later address has in use.
const FREE_PORTS: usize = 16;

/// The value of a setting such as `--listen`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// One address.
    One(SocketAddr),
    /// All addresses of this machine, of both families: `:8080`.
    All(u16),
    /// All addresses of a host name.
    Named(String, u16),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::One(address) => address.fmt(f),
            ListenAddress::All(port) => write!(f, ":{port}"),
            ListenAddress::Named(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    /// Parses `ADDRESS:PORT`, `NAME:PORT`, `:PORT` for all addresses, or `PORT` on the loopback.
    fn from_str(text: &str) -> Result<ListenAddress, String> {
        if let Ok(address) = text.parse() {
            return Ok(ListenAddress::One(address));
        }
        if let Some((_, rest)) = text.split_once("://") {
            return Err(format!("a URL is not supported; write `{}`", rest.trim_end_matches('/')));
        }
        if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Err(format!("the port is missing; write `{}`", SocketAddr::new(address, 8080)));
        }
        let Some((name, port)) = text.rsplit_once(':') else {
            return match port_of(text) {
                Some(port) => Ok(ListenAddress::One((Ipv4Addr::LOCALHOST, port).into())),
                None if is_name(text) && !is_number(text) => Err(format!("the port is missing; write `{text}:8080`")),
                None => Err("a port is a number from 0 to 65535".into()),
            };
        };
        let port = port_of(port).ok_or("a port is a number from 0 to 65535")?;
        match name {
            "" => Ok(ListenAddress::All(port)),
            name if is_name(name) => Ok(ListenAddress::Named(name.to_owned(), port)),
            name if name.contains(':') => Err(format!("an IPv6 address needs brackets; write `[{name}]:{port}`")),
            _ => Err("it must be ADDRESS:PORT, NAME:PORT, :PORT or PORT".into()),
        }
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn port_of(text: &str) -> Option<u16> {
    if is_number(text) { text.parse().ok() } else { None }
}

/// Whether a text can be a host name (RFC 1123 section 2.1). Digits and dots alone are an invalid address.
fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty() && text.bytes().all(is_part) && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

impl ListenAddress {
    /// The addresses. `localhost` has both loopback addresses, regardless of the system's resolver (RFC 6761 section
    /// 6.3).
    ///
    /// # Errors
    ///
    /// If a name cannot be resolved.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let both = |four: Ipv4Addr, six: Ipv6Addr, port: u16| vec![(four, port).into(), (six, port).into()];
        match self {
            ListenAddress::One(address) => Ok(vec![*address]),
            ListenAddress::All(port) => Ok(both(Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED, *port)),
            ListenAddress::Named(name, port) if name.trim_end_matches('.').eq_ignore_ascii_case("localhost") => {
                Ok(both(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST, *port))
            }
            ListenAddress::Named(name, port) => {
                let mut addresses = Vec::new();
                for address in (name.as_str(), *port).to_socket_addrs()? {
                    if !addresses.contains(&address) {
                        addresses.push(address);
                    }
                }
                Ok(addresses)
            }
        }
    }

    /// The addresses at which a client on this machine reaches the server: the loopback for all addresses.
    ///
    /// # Errors
    ///
    /// As [`ListenAddress::resolve`].
    pub fn reached_at(&self) -> io::Result<Vec<SocketAddr>> {
        let mut addresses = self.resolve()?;
        for address in &mut addresses {
            if address.ip().is_unspecified() {
                address.set_ip(match address.ip() {
                    IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                    IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
                });
            }
        }
        Ok(addresses)
    }

    fn port(&self) -> u16 {
        match self {
            ListenAddress::One(address) => address.port(),
            ListenAddress::All(port) | ListenAddress::Named(_, port) => *port,
        }
    }

    fn with_port(&self, port: u16) -> ListenAddress {
        match self {
            ListenAddress::One(address) => ListenAddress::One(SocketAddr::new(address.ip(), port)),
            ListenAddress::All(_) => ListenAddress::All(port),
            ListenAddress::Named(name, _) => ListenAddress::Named(name.clone(), port),
        }
    }

    /// Binds the addresses of the setting `flag`. Clients cannot connect before [`Bound::listen`]. Requires a runtime.
    ///
    /// # Errors
    ///
    /// If a name cannot be resolved, or an address cannot be bound. The message contains a remedy.
    pub fn bind(&self, flag: &str) -> anyhow::Result<Bound> {
        let addresses = self.resolve().with_context(|| {
            format!(
                "cannot resolve the name in {flag} {self}; choose an address of this machine, or `:{}` for all",
                self.port()
            )
        })?;
        let mut last = None;
        for _ in 0..FREE_PORTS {
            match bind_all(&addresses) {
                Ok(sockets) => return Ok(Bound { sockets, wanted: self.clone(), flag: flag.to_owned() }),
                // A port that is free on one address is in use on another.
                Err(failed) if self.port() == 0 && failed.error.kind() == io::ErrorKind::AddrInUse => {
                    last = Some(failed);
                }
                Err(failed) => {
                    last = Some(failed);
                    break;
                }
            }
        }
        match last {
            Some(failed) => Err(self.refused(flag, failed.address, failed.error)),
            None => bail!("{flag} {self} names no address"),
        }
    }

    /// Why an address cannot be bound, with a remedy.
    fn refused(&self, flag: &str, address: SocketAddr, error: io::Error) -> anyhow::Error {
        let (ip, port) = (address.ip(), address.port());
        let next = |port: u16| self.with_port(port);
        match error.kind() {
            io::ErrorKind::AddrInUse => {
                let other = next(port.checked_add(1).unwrap_or(8080));
                anyhow::anyhow!(
                    "port {port} on {ip} is already in use; stop the other process, or choose another port with {flag} {other}"
                )
            }
            io::ErrorKind::PermissionDenied => anyhow::anyhow!(
                "this user may not use port {port} on {ip}; choose a port of 1024 or more with {flag} {}",
                next(8080)
            ),
            io::ErrorKind::AddrNotAvailable => anyhow::anyhow!(
                "{ip} is no address of this machine; choose one of its own with {flag}, or all of them with {flag} :{port}"
            ),
            _ => anyhow::Error::new(error).context(format!("cannot listen on {address} ({flag} {self})")),
        }
    }
}

/// An address that cannot be bound.
struct Failed {
    address: SocketAddr,
    error: io::Error,
}

fn bind_all(addresses: &[SocketAddr]) -> Result<Vec<TcpSocket>, Failed> {
    let is_alone = addresses.len() < 2;
    let (mut sockets, mut port, mut unavailable) = (Vec::new(), None, None);
    for address in addresses {
        let address = port.map_or(*address, |port| SocketAddr::new(address.ip(), port));
        match bind_one(address, is_alone) {
            Ok(socket) => {
                // Port 0 selects a free port, which the other addresses use, too.
                port = port.or_else(|| socket.local_addr().ok().map(|bound| bound.port()));
                sockets.push(socket);
            }
            Err(error) if !is_alone && is_unavailable(&error) => {
                info!(%address, %error, "this machine lacks an address of the name; not listening on it");
                unavailable = Some(Failed { address, error });
            }
            Err(error) => return Err(Failed { address, error }),
        }
    }
    match unavailable {
        Some(failed) if sockets.is_empty() => Err(failed),
        _ => Ok(sockets),
    }
}

/// Whether the machine lacks the address, or its address family.
fn is_unavailable(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

fn bind_one(address: SocketAddr, is_alone: bool) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of a predecessor that linger in TIME_WAIT do not keep the port.
    socket.set_reuseaddr(true)?;
    if address.is_ipv6() && !is_alone {
        // IPv4 has its own socket.
        rustix::net::sockopt::set_ipv6_v6only(&socket, true)?;
    }
    socket.bind(address)?;
    Ok(socket)
}

/// Bound addresses, which do not accept connections yet.
#[derive(Debug)]
pub struct Bound {
    sockets: Vec<TcpSocket>,
    wanted: ListenAddress,
    flag: String,
}

impl Bound {
    /// Starts to accept connections.
    ///
    /// # Errors
    ///
    /// If another process has started to listen there meanwhile.
    pub fn listen(self) -> anyhow::Result<(Listeners, Vec<SocketAddr>)> {
        let (mut listeners, mut addresses) = (Vec::<TcpListener>::new(), Vec::new());
        for socket in self.sockets {
            let address = socket.local_addr().context("the listener has no address")?;
            listeners.push(socket.listen(BACKLOG).map_err(|error| self.wanted.refused(&self.flag, address, error))?);
            addresses.push(address);
        }
        Ok((Listeners::from(listeners), addresses))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("127.0.0.1:8080", &["127.0.0.1:8080"])]
    #[case("[::1]:8080", &["[::1]:8080"])]
    #[case("localhost:8080", &["127.0.0.1:8080", "[::1]:8080"])]
    #[case("LocalHost.:8080", &["127.0.0.1:8080", "[::1]:8080"])]
    #[case(":8080", &["0.0.0.0:8080", "[::]:8080"])]
    #[case("8080", &["127.0.0.1:8080"])]
    #[case("0", &["127.0.0.1:0"])]
    fn the_addresses_that_are_meant(#[case] text: &str, #[case] addresses: &[&str]) {
        let meant: Vec<SocketAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let read: ListenAddress = text.parse().unwrap();
        assert_eq!(read.resolve().unwrap(), meant, "{text}");
        assert_eq!(read.to_string().parse(), Ok(read), "{text}");
    }

    #[rstest]
    #[case("", "number from 0")]
    #[case("localhost", "`localhost:8080`")]
    #[case("127.0.0.1", "`127.0.0.1:8080`")]
    #[case("::1", "`[::1]:8080`")]
    #[case("[::1]", "`[::1]:8080`")]
    #[case("fe80::1::8080", "brackets")]
    #[case("http://localhost:8080/", "`localhost:8080`")]
    #[case("127.0.0.1:99999", "number from 0")]
    #[case("99999", "number from 0")]
    #[case("localhost:", "number from 0")]
    #[case("localhost:+80", "number from 0")]
    #[case("256.0.0.1:80", "ADDRESS:PORT")]
    #[case("a b:80", "ADDRESS:PORT")]
    fn what_is_no_address_is_refused_with_the_right_one(#[case] text: &str, #[case] told: &str) {
        let refused = text.parse::<ListenAddress>().unwrap_err();
        assert!(refused.contains(told), "{text}: {refused}");
    }

    #[test]
    fn any_address_is_reached_by_the_loopback() {
        for (listen, reached) in [
            ("0.0.0.0:80", vec!["127.0.0.1:80"]),
            ("[::]:80", vec!["[::1]:80"]),
            ("10.1.2.3:80", vec!["10.1.2.3:80"]),
            (":80", vec!["127.0.0.1:80", "[::1]:80"]),
        ] {
            let reached: Vec<SocketAddr> = reached.iter().map(|address| address.parse().unwrap()).collect();
            assert_eq!(listen.parse::<ListenAddress>().unwrap().reached_at().unwrap(), reached);
        }
    }
}
