//! The flags of commands that speak to a registry.

use std::path::PathBuf;

use clap::Args;

use super::credential::CredentialArgs;
use crate::client::{Client, Security, Trust};

/// Which registry, and how it is spoken to.
#[derive(Debug, Clone, Args)]
pub struct ConnectionArgs {
    /// The address of the registry.
    #[arg(long, env = "PLUGIN_REGISTRY_SERVER", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    pub server: String,
    /// How it is spoken to.
    #[command(flatten)]
    manner: ClientArgs,
}

/// How a registry is spoken to.
#[derive(Debug, Clone, Args)]
pub struct ClientArgs {
    /// For https: trust certificates of the authorities in this file (PEM), and not those that the system trusts.
    #[arg(long, env = "PLUGIN_REGISTRY_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Who this client is.
    #[command(flatten)]
    identity: IdentityArgs,
    /// What it shows.
    #[command(flatten)]
    credential: CredentialArgs,
}

/// Who a client is, for a registry that asks for a certificate.
#[derive(Debug, Clone, Args)]
pub struct IdentityArgs {
    /// For a registry with --tls-client-ca: the client's certificate (PEM).
    #[arg(long, env = "PLUGIN_REGISTRY_CLIENT_CERT", value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(long, env = "PLUGIN_REGISTRY_CLIENT_KEY", value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
}

impl IdentityArgs {
    /// What TLS is spoken with, to whom is trusted.
    pub fn trusting(&self, trust: Trust) -> Security {
        Security { trust, identity: self.client_cert.clone().zip(self.client_key.clone()) }
    }
}

impl ConnectionArgs {
    /// A client of that registry.
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
    /// When the address is none, a file cannot be used, or what is given is no token.
    pub fn client(&self, server: &str) -> anyhow::Result<Client> {
        let trust = self.ca_file.clone().map_or(Trust::System, Trust::Authorities);
        self.credential.shown_by(Client::secured(server, &self.identity.trusting(trust))?)
    }
}
