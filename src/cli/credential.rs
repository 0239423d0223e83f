//! The flags for the token that a command sends to the registry.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::access::token_text;
use crate::client::Client;

/// The token of a command.
#[derive(Clone, Args)]
pub struct CredentialArgs {
    /// The token to send to the registry. Every user of the machine can read command lines: prefer the environment or a
    /// file.
    #[arg(long, env = "PLUGIN_REGISTRY_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    /// A file that holds the token. This flag overrides PLUGIN_REGISTRY_TOKEN, which overrides the variable of this
    /// flag.
    #[arg(long, env = "PLUGIN_REGISTRY_TOKEN_FILE", value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
}

impl CredentialArgs {
    /// The same client, which sends the token, if one is set.
    ///
    /// # Errors
    ///
    /// If the file is unreadable, or the token is malformed.
    pub fn shown_by(&self, client: Client) -> anyhow::Result<Client> {
        let token = match (&self.token, &self.token_file) {
            (Some(token), _) => Some(token.clone()),
            (None, Some(file)) => {
                let place = || format!("cannot read the token in {}", file.display());
                Some(std::fs::read_to_string(file).with_context(place)?)
            }
            (None, None) => None,
        };
        let Some(token) = token.as_deref().map(str::trim).filter(|token| !token.is_empty()) else {
            return Ok(client);
        };
        if token_text::parts(token).is_none() {
            bail!("the token is malformed: a token begins with `{}`", token_text::PREFIX);
        }
        Ok(client.with_token(token)?)
    }
}

impl fmt::Debug for CredentialArgs {
    /// Hides the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialArgs").field("token_file", &self.token_file).finish_non_exhaustive()
    }
}
