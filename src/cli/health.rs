//! `plugin-registry health`: for containers, where there is no curl.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use hyper::{Request, StatusCode};
use url::Url;

use super::connection::IdentityArgs;
use crate::net::{HttpClient, Trust};

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// The flags of `health`.
#[derive(Debug, Clone, Args)]
pub struct HealthArgs {
    /// The address that the registry listens on: the same setting as for `serve`.
    #[arg(long, env = "PLUGIN_REGISTRY_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// The registry's own certificate (PEM), if it serves TLS: the same setting as for `serve`. The registry must
    /// present exactly this certificate; its host name does not matter.
    #[arg(long, env = "PLUGIN_REGISTRY_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// Who asks.
    #[command(flatten)]
    identity: IdentityArgs,
    /// Seconds to wait for a response.
    #[arg(long, default_value_t = 3, value_name = "SECONDS")]
    timeout: u64,
}

/// Succeeds if and only if the registry answers `/healthz` with 200.
///
/// # Errors
///
/// When it does not answer, or answers anything else.
pub fn check(args: &HealthArgs) -> anyhow::Result<()> {
    let address = reachable(args.listen);
    let scheme = if args.tls_cert.is_some() { "https" } else { "http" };
    let url = Url::parse(&format!("{scheme}://{address}/healthz"))?;
    let security = args.identity.trusting(args.tls_cert.clone().map_or(Trust::System, Trust::Exactly));
    let time = Duration::from_secs(args.timeout);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = HttpClient::for_one_server(&url, &security).map_err(|why| anyhow!(why))?;
        let request = Request::get(url.as_str()).body(Bytes::new())?;
        let answer =
            client.fetch(request, time, MAX_ANSWER).await.with_context(|| format!("no answer from {address}"))?;
        if answer.status() != StatusCode::OK {
            bail!("{address} answered {}", answer.status());
        }
        Ok(())
    })
}

/// The address to connect to for one that is listened on: of "any", the loopback.
fn reachable(mut listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen.ip() {
            IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    listen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_address_is_reached_by_the_loopback() {
        for (listen, reached) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("10.1.2.3:80", "10.1.2.3:80")]
        {
            assert_eq!(reachable(listen.parse().unwrap()), reached.parse().unwrap());
        }
    }
}
