//! The flags of `serve` for tokens and allowed hosts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tracing::{info, warn};

use crate::access::{Tokens, TokensError};
use crate::http::middleware::host_check::AllowedHosts;
use crate::http::state::Access;
use crate::registry::Registry;

/// Access to the registry.
#[derive(Debug, Clone, Args)]
pub struct AccessArgs {
    /// A file of tokens (TOML or JSON), in addition to those in the store. Reloaded when it changes.
    #[arg(long, env = "PLUGIN_REGISTRY_TOKENS_FILE", value_name = "FILE")]
    tokens_file: Option<PathBuf>,
    /// Host names that requests may use while no tokens are configured, beside addresses and `localhost`:
    /// comma-separated, without ports. `*` allows any name, and DNS rebinding with it.
    #[arg(long, env = "PLUGIN_REGISTRY_ALLOWED_HOSTS", value_name = "NAME,…", value_delimiter = ',')]
    allowed_hosts: Vec<String>,
}

impl AccessArgs {
    /// Checks the file of tokens. This opens and creates nothing.
    ///
    /// # Errors
    ///
    /// If the file is unreadable or invalid.
    pub fn check(&self) -> Result<(), TokensError> {
        self.tokens_file.as_deref().map_or(Ok(()), Tokens::check_file)
    }

    /// Reads the tokens, and logs who may use a service that listens on `addresses`.
    ///
    /// # Errors
    ///
    /// If the file of tokens is unreadable or invalid.
    pub async fn open(&self, registry: &Registry, addresses: &[SocketAddr]) -> Result<Access, TokensError> {
        let tokens = Tokens::new(Arc::clone(registry.tokens()), self.tokens_file.clone());
        let others = addresses.iter().find(|address| !address.ip().is_loopback());
        match (tokens.refresh().await, others) {
            (Ok(ring), _) if !ring.is_open() => info!(tokens = ring.keys().count(), "tokens are required"),
            (Ok(_), None) => info!("no tokens are configured: every user of this machine may do everything"),
            (Ok(_), Some(address)) => warn!(
                %address,
                "NO TOKENS ARE CONFIGURED: EVERY CLIENT THAT REACHES THIS ADDRESS MAY DO EVERYTHING. Create one with \
                 `plugin-registry token create --name admin --role admin`, even while the registry runs"
            ),
            // The registry reads them again, and until then rejects every request.
            (Err(TokensError::Store(failure)), _) => warn!(error = failure.chain(), "cannot read the tokens yet"),
            (Err(error), _) => return Err(error),
        }
        let names = AllowedHosts::new(self.allowed_hosts.iter().cloned());
        Ok(Access { tokens, names: Arc::new(names) })
    }
}
