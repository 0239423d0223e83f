//! `plugin-registry health`: for containers, where there is no curl.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;

/// The flags of `health`.
#[derive(Debug, Clone, Args)]
pub struct HealthArgs {
    /// The address on which the registry listens: the same setting as for `serve`.
    #[arg(long, env = "PLUGIN_REGISTRY_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// How long to wait for an answer, in seconds.
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Never by a proxy that the environment names: this is about this host.
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(args.timeout)).build()?;
        let answer = client.get(format!("http://{address}/healthz")).send().await;
        let status = answer.with_context(|| format!("no answer from {address}"))?.status();
        if status != reqwest::StatusCode::OK {
            bail!("{address} answered {status}");
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
