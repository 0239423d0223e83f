//! `plugin-registry health`: for containers, where there is no curl.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use hyper::{Request, StatusCode};
use serde_json::Value;
use url::Url;

use super::connection::IdentityArgs;
use super::listen::ListenAddress;
use crate::net::tls_advice::{self, SetBy};
use crate::net::{HttpClient, Trust};

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// The flags of `health`.
#[derive(Debug, Clone, Args)]
pub struct HealthArgs {
    /// The address that the registry listens on: the same setting as for `serve`.
    #[arg(long, env = "PLUGIN_REGISTRY_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    listen: ListenAddress,
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
/// If it does not answer, or does not answer 200.
pub fn check(args: &HealthArgs) -> anyhow::Result<()> {
    let addresses = args.listen.reached_at().with_context(|| format!("cannot resolve `{}`", args.listen))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // One address that responds is enough, because the machine may lack IPv4 or IPv6.
        let mut failed = anyhow!("`{}` names no address", args.listen);
        for address in addresses {
            match ask(args, address).await {
                Ok(()) => return Ok(()),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    })
}

async fn ask(args: &HealthArgs, address: SocketAddr) -> anyhow::Result<()> {
    let scheme = if args.tls_cert.is_some() { "https" } else { "http" };
    let url = Url::parse(&format!("{scheme}://{address}/healthz"))?;
    let security = args.identity.trusting(args.tls_cert.clone().map_or(Trust::System, Trust::Exactly));
    let client = HttpClient::for_one_server(&url, &security).map_err(|why| anyhow!(why))?;
    let request = Request::get(url.as_str()).body(Bytes::new())?;
    let answer = match client.fetch(request, Duration::from_secs(args.timeout), MAX_ANSWER).await {
        Ok(answer) => answer,
        Err(error) if scheme == "http" && tls_advice::is_no_http(&error) => bail!(
            "{address} answers, but not in HTTP; if the registry serves TLS there, give its certificate with --tls-cert"
        ),
        Err(error) => {
            let advice = tls_advice::hint(&error, SetBy::Flags);
            return Err(error).with_context(|| format!("no answer from {address}{advice}"));
        }
    };
    if answer.status() == StatusCode::OK {
        return Ok(());
    }
    let problem: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let detail = problem.get("detail").and_then(Value::as_str).unwrap_or("without a problem document");
    if scheme == "http" && answer.status() == StatusCode::BAD_REQUEST && detail.contains("TLS") {
        bail!("{address} serves TLS; give the registry's certificate with --tls-cert, or in PLUGIN_REGISTRY_TLS_CERT");
    }
    bail!("{address} answered {}: {detail}", answer.status())
}
