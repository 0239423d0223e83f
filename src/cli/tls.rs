//! The flags of `serve` that are about TLS, and the look-out for new certificates.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::clock::{Clock as _, SystemClock};
use crate::server::{Tls, TlsFiles};

/// How often it is looked whether the files have changed. They are read whole: the time of a file's change says nothing
/// when a symbolic link above it is turned, as Kubernetes does with secrets.
const LOOK: Duration = Duration::from_secs(5);

/// What TLS is spoken with.
#[derive(Debug, Clone, Args)]
pub struct TlsArgs {
    /// Speak TLS, with the certificate in this file (PEM, the ones between it and its authority after it). Looked at
    /// again every 5 seconds and at SIGHUP.
    #[arg(
        id = "tls_cert",
        long = "tls-cert",
        env = "PLUGIN_REGISTRY_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    certificate: Option<PathBuf>,
    /// The certificate's private key (PEM).
    #[arg(
        id = "tls_key",
        long = "tls-key",
        env = "PLUGIN_REGISTRY_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    key: Option<PathBuf>,
    /// Take only clients that have a certificate of an authority in this file (PEM): mutual TLS.
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
    /// TLS, if it is to be spoken.
    ///
    /// # Errors
    ///
    /// When there is no certificate that could be used.
    pub fn load(&self) -> anyhow::Result<Option<Tls>> {
        let (Some(certificate), Some(key)) = (self.certificate.clone(), self.key.clone()) else { return Ok(None) };
        let files = TlsFiles { certificate, key, client_authorities: self.client_authorities.clone() };
        let tls = Tls::load(files).context("TLS cannot be spoken")?;
        warn_of(&tls);
        Ok(Some(tls))
    }
}

/// Logs what clients will not like about the certificate: it is served all the same.
fn warn_of(tls: &Tls) {
    let now = SystemClock.now().as_duration();
    if let Some(complaint) = tls.complaint(Duration::try_from(now).unwrap_or_default()) {
        warn!("clients will refuse the TLS certificate: {complaint}");
    }
}

/// Puts new certificates into use until `stop`.
///
/// # Errors
///
/// When the system does not let us wait for SIGHUP.
pub fn keep_fresh(tls: Tls, stop: CancellationToken) -> anyhow::Result<()> {
    let hangup = signal(SignalKind::hangup()).context("SIGHUP cannot be awaited")?;
    drop(tokio::spawn(async move { stop.run_until_cancelled(look_out(tls, hangup)).await }));
    Ok(())
}

async fn look_out(tls: Tls, mut hangup: Signal) {
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = hangup.recv() => info!("SIGHUP: looking for a new certificate"),
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
                error!(error = why, "the new TLS certificate cannot be used; the old one stays");
            }
            Err(panic) => error!(error = %panic, "looking for a new certificate has failed"),
        }
    }
}
