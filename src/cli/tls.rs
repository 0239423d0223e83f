//! The flags of `serve` for TLS, and the reload of certificates.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::clock::{Clock as _, SystemClock};
use crate::server::{Tls, TlsFiles};

/// How often the files are compared. The contents are, not the modification times, because Kubernetes replaces secrets
/// by turning a symbolic link above them.
const LOOK: Duration = Duration::from_secs(5);

/// The TLS settings.
#[derive(Debug, Clone, Args)]
pub struct TlsArgs {
    /// TLS certificate chain (PEM, leaf first). Without it, the registry serves plain HTTP. Reloaded within 5 seconds
    /// of a change, and at SIGHUP.
    #[arg(
        id = "tls_cert",
        long = "tls-cert",
        env = "PLUGIN_REGISTRY_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    certificate: Option<PathBuf>,
    /// TLS private key (PEM). Reloaded together with the certificate.
    #[arg(
        id = "tls_key",
        long = "tls-key",
        env = "PLUGIN_REGISTRY_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    key: Option<PathBuf>,
    /// Mutual TLS: accept only clients with a certificate of these authorities (PEM). Reloaded like --tls-cert.
    #[arg(
        id = "tls_client_ca",
        long = "tls-client-ca",
        env = "PLUGIN_REGISTRY_TLS_CLIENT_CA",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    client_authorities: Option<PathBuf>,
}

impl TlsArgs {
    /// The TLS settings, if TLS is on.
    ///
    /// # Errors
    ///
    /// If the certificate or its key is unusable.
    pub fn load(&self) -> anyhow::Result<Option<Tls>> {
        let (Some(certificate), Some(key)) = (self.certificate.clone(), self.key.clone()) else { return Ok(None) };
        let files = TlsFiles { certificate, key, client_authorities: self.client_authorities.clone() };
        let tls = Tls::load(files).context("cannot enable TLS")?;
        warn_of(&tls);
        Ok(Some(tls))
    }
}

/// Logs why clients will refuse the certificate. The server serves it all the same.
fn warn_of(tls: &Tls) {
    let now = SystemClock.now().as_duration();
    if let Some(complaint) = tls.complaint(Duration::try_from(now).unwrap_or_default()) {
        warn!("clients will refuse the TLS certificate: {complaint}");
    }
}

/// Reloads changed certificates until `stop`.
///
/// # Errors
///
/// If the process cannot listen for SIGHUP.
pub fn keep_fresh(tls: Tls, stop: CancellationToken) -> anyhow::Result<()> {
    let hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    drop(tokio::spawn(async move { stop.run_until_cancelled(look_out(tls, hangup)).await }));
    Ok(())
}

async fn look_out(tls: Tls, mut hangup: Signal) {
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = hangup.recv() => info!("SIGHUP: reloading the TLS certificate"),
        }
        let refreshed = tls.clone();
        match tokio::task::spawn_blocking(move || refreshed.refresh()).await {
            Ok(Ok(true)) => {
                info!("the TLS certificate was replaced");
                warn_of(&tls);
            }
            Ok(Ok(false)) => {}
            Ok(Err(why)) => {
                let why = format!("{:#}", anyhow::Error::from(why));
                error!(error = why, "the new TLS certificate is unusable; the old one stays in use");
            }
            Err(panic) => error!(error = %panic, "the reload of the TLS certificate failed"),
        }
    }
}
