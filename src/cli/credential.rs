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
    #[arg(long, env = "PLUGIN_REGISTRY_TOKEN", hide_env_values = true, value_name = "TOKEN", hide_short_help = true)]
    token: Option<String>,
    /// A file that holds the token. This flag overrides PLUGIN_REGISTRY_TOKEN, which overrides the variable of this
    /// flag.
    #[arg(
        long,
        env = "PLUGIN_REGISTRY_TOKEN_FILE",
        value_name = "FILE",
        conflicts_with = "token",
        hide_short_help = true
    )]
    token_file: Option<PathBuf>,
}

impl CredentialArgs {
    /// The token that is set, if one is.
    ///
    /// # Errors
    ///
    /// If the file is unreadable.
    pub fn token(&self) -> anyhow::Result<Option<String>> {
        match (&self.token, &self.token_file) {
            (Some(token), _) => Ok(Some(token.clone())),
            (None, Some(file)) => {
                let place = || format!("cannot read the token in {}", file.display());
                Ok(Some(std::fs::read_to_string(file).with_context(place)?))
            }
            (None, None) => Ok(None),
        }
    }

    /// What `context show` tells: the place of the token, and where that is set.
    pub fn source(&self) -> Option<(String, String)> {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let from = |flag: &str, variable: &str| if is_set(variable) { variable.to_owned() } else { flag.to_owned() };
        match (&self.token, &self.token_file) {
            (Some(_), _) => Some(("set".into(), from("--token", "PLUGIN_REGISTRY_TOKEN"))),
            (None, Some(file)) => {
                Some((format!("in {}", file.display()), from("--token-file", "PLUGIN_REGISTRY_TOKEN_FILE")))
            }
            (None, None) => None,
        }
    }

    /// The same client, which sends the token, unless it is empty.
    ///
    /// # Errors
    ///
    /// If the token is malformed.
    pub fn shown(client: Client, token: &str) -> anyhow::Result<Client> {
        let token = token.trim();
        if token.is_empty() {
            return Ok(client);
        }
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
