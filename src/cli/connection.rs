//! The flags of commands that connect to a registry.

use std::path::PathBuf;

use clap::Args;

use super::credential::CredentialArgs;
use crate::client::{Client, Security, Trust};

/// The registry to connect to, and how.
#[derive(Debug, Clone, Args)]
pub struct ConnectionArgs {
    /// The URL of the registry.
    #[arg(long, env = "PLUGIN_REGISTRY_SERVER", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    pub server: String,
    /// How to connect.
    #[command(flatten)]
    manner: ClientArgs,
}

/// How to connect to a registry.
#[derive(Debug, Clone, Args)]
pub struct ClientArgs {
    /// For https: the authorities to trust instead of the system's (PEM).
    #[arg(long, env = "PLUGIN_REGISTRY_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The client's certificate.
    #[command(flatten)]
    identity: IdentityArgs,
    /// The client's token.
    #[command(flatten)]
    credential: CredentialArgs,
}

/// The client's certificate, for a registry that requires one.
#[derive(Debug, Clone, Args)]
pub struct IdentityArgs {
    /// The client's certificate (PEM), for a registry with --tls-client-ca.
    #[arg(long, env = "PLUGIN_REGISTRY_CLIENT_CERT", value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// The private key of the client's certificate (PEM).
    #[arg(long, env = "PLUGIN_REGISTRY_CLIENT_KEY", value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
}

impl IdentityArgs {
    /// The TLS settings of a client that trusts `trust`.
    pub fn trusting(&self, trust: Trust) -> Security {
        Security { trust, identity: self.client_cert.clone().zip(self.client_key.clone()) }
    }
}

impl ConnectionArgs {
    /// A client of the registry.
    ///
    /// # Errors
    ///
    /// As [`ClientArgs::client`].
    pub fn client(&self) -> anyhow::Result<Client> {
        self.manner.client(&self.server)
    }
}

impl ClientArgs {
    /// A client of the registry at `server`.
    ///
    /// # Errors
    ///
    /// If the address or the token is invalid, or a file is unusable.
    pub fn client(&self, server: &str) -> anyhow::Result<Client> {
        let trust = self.ca_file.clone().map_or(Trust::System, Trust::Authorities);
        self.credential.shown_by(Client::secured(server, &self.identity.trusting(trust))?)
    }
}
