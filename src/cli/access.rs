//! The flags of `serve` that are about who is let in.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tracing::{info, warn};

use crate::access::{Tokens, TokensError};
use crate::http::middleware::host_check::AllowedHosts;
use crate::http::state::Access;
use crate::registry::Registry;

/// Who is let in.
#[derive(Debug, Clone, Args)]
pub struct AccessArgs {
    /// A file (TOML or JSON) with tokens, beside those of the store. It is read again when it changes.
    #[arg(long, env = "PLUGIN_REGISTRY_TOKENS_FILE", value_name = "FILE")]
    tokens_file: Option<PathBuf>,
    /// Names by which the service may be asked for while no tokens are configured, beside addresses and `localhost`;
    /// separated by commas, without ports; `*` for any.
    #[arg(long, env = "PLUGIN_REGISTRY_ALLOWED_HOSTS", value_name = "NAME,…", value_delimiter = ',')]
    allowed_hosts: Vec<String>,
}

impl AccessArgs {
    /// Checks the file of tokens, before anything is opened or made.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is wrong.
    pub fn check(&self) -> Result<(), TokensError> {
        self.tokens_file.as_deref().map_or(Ok(()), Tokens::check_file)
    }

    /// Reads the tokens, and says who is let in by a service that listens on `addresses`.
    ///
    /// # Errors
    ///
    /// When the file of tokens cannot be read, or is wrong.
    pub async fn open(&self, registry: &Registry, addresses: &[SocketAddr]) -> Result<Access, TokensError> {
        let tokens = Tokens::new(Arc::clone(registry.tokens()), self.tokens_file.clone());
        let others = addresses.iter().find(|address| !address.ip().is_loopback());
        match (tokens.refresh().await, others) {
            (Ok(ring), _) if !ring.is_open() => info!(tokens = ring.keys().count(), "tokens are needed"),
            (Ok(_), None) => info!("no tokens are configured: whoever can use this machine may do everything"),
            (Ok(_), Some(address)) => warn!(
                %address,
                "NO TOKENS ARE CONFIGURED: WHOEVER CAN REACH THIS ADDRESS MAY DO EVERYTHING. Make one by \
                 `plugin-registry token create --name admin --role admin`, also while this runs"
            ),
            // They are read again, and until then nobody is let in.
            (Err(TokensError::Store(failure)), _) => warn!(error = failure.chain(), "the tokens cannot be read yet"),
            (Err(error), _) => return Err(error),
        }
        let names = AllowedHosts::new(self.allowed_hosts.iter().cloned());
        Ok(Access { tokens, names: Arc::new(names) })
    }
}
