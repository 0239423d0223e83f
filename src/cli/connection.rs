//! The flags of commands that connect to a registry.
//!
//! A flag goes before its environment variable, the variable before the context, and the context before the default. The
//! token and the certificates of a context are for the server of that context, and for no other.

use std::path::PathBuf;

use clap::Args;

use super::config_file::{ConfigFolder, Entry, at_home};
use super::credential::CredentialArgs;
use crate::client::{Client, Security, Trust};

/// The registry of a machine without settings.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";

/// The registry to connect to, and how.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// The URL of the registry. Default: that of the context, or http://127.0.0.1:8080.
    #[arg(long, env = "PLUGIN_REGISTRY_SERVER", value_name = "URL")]
    server: Option<String>,
    /// The context of the configuration file to use, instead of the current one.
    #[arg(
        long,
        env = "PLUGIN_REGISTRY_CONTEXT",
        value_name = "NAME",
        conflicts_with = "server",
        hide_short_help = true
    )]
    context: Option<String>,
    /// How to connect.
    #[command(flatten)]
    manner: ClientArgs,
}

/// How to connect to a registry.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection")]
pub struct ClientArgs {
    /// For https: the authorities to trust instead of the system's (PEM).
    #[arg(long, env = "PLUGIN_REGISTRY_CA_FILE", value_name = "FILE", hide_short_help = true)]
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
    #[arg(
        long,
        env = "PLUGIN_REGISTRY_CLIENT_CERT",
        value_name = "FILE",
        requires = "client_key",
        hide_short_help = true
    )]
    client_cert: Option<PathBuf>,
    /// The private key of the client's certificate (PEM).
    #[arg(
        long,
        env = "PLUGIN_REGISTRY_CLIENT_KEY",
        value_name = "FILE",
        requires = "client_cert",
        hide_short_help = true
    )]
    client_key: Option<PathBuf>,
}

impl IdentityArgs {
    /// The TLS settings of a client that trusts `trust`.
    pub fn trusting(&self, trust: Trust) -> Security {
        Security { trust, identity: self.client_cert.clone().zip(self.client_key.clone()) }
    }
}

/// A setting, and where it comes from.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// Its value; a token is not shown.
    pub value: String,
    /// The flag, the variable, the context, or the default.
    pub from: String,
}

/// What the flags, the environment and the configuration file amount to.
#[derive(Debug, Clone)]
pub struct Target {
    server: String,
    server_from: String,
    /// The context in use, even if its server is not.
    context: Option<String>,
    /// The context, if the server is the context's.
    entry: Entry,
}

impl ConnectionArgs {
    /// The connection that the environment asks for: for completion, which sees no flags.
    pub fn of_environment() -> Option<ConnectionArgs> {
        #[derive(Debug, clap::Parser)]
        struct Alone {
            #[command(flatten)]
            connection: ConnectionArgs,
        }
        clap::Parser::try_parse_from(["plugin-registry"]).ok().map(|alone: Alone| alone.connection)
    }

    /// A client of the registry.
    ///
    /// # Errors
    ///
    /// As [`ClientArgs::client`], or if the configuration file is unusable.
    pub fn client(&self) -> anyhow::Result<Client> {
        let target = self.target()?;
        self.manner.client_in(&target.server, &target.entry)
    }

    /// The registry that is meant.
    ///
    /// # Errors
    ///
    /// If the configuration file is unusable, or has no such context.
    pub fn target(&self) -> anyhow::Result<Target> {
        let file = ConfigFolder::find().map(|folder| folder.read()).transpose()?.unwrap_or_default();
        let found = file.entry(self.context.as_deref())?;
        let (context, entry) = found.map(|(name, entry)| (name.to_owned(), entry.clone())).unzip();
        let entry: Entry = entry.unwrap_or_default();
        let of_context = entry.server.clone();
        let (server, server_from) = match (&self.server, &of_context) {
            (Some(server), _) => (server.clone(), origin("server", "PLUGIN_REGISTRY_SERVER", server)),
            (None, Some(server)) => (server.clone(), format!("context {}", context.as_deref().unwrap_or_default())),
            (None, None) => (DEFAULT_SERVER.to_owned(), "default".to_owned()),
        };
        let is_its_own =
            of_context.as_deref().is_none_or(|own| own.trim_end_matches('/') == server.trim_end_matches('/'));
        // A context without a server is for the default one.
        let is_its_own = is_its_own && (of_context.is_some() || self.server.is_none());
        let entry = if is_its_own { entry } else { Entry::default() };
        Ok(Target { server, server_from, context, entry })
    }

    /// The settings with their sources.
    ///
    /// # Errors
    ///
    /// As [`ConnectionArgs::target`].
    pub fn settings(&self) -> anyhow::Result<Vec<Setting>> {
        let target = self.target()?;
        let context = target.context.clone().unwrap_or_default();
        let from_context = || format!("context {context}");
        let mut settings = Vec::new();
        let mut add = |name, value: Option<String>, from: String| {
            settings.push(match value {
                Some(value) => Setting { name, value, from },
                None => Setting { name, value: String::new(), from: "not set".into() },
            });
        };
        let from = match &self.context {
            Some(name) => origin("context", "PLUGIN_REGISTRY_CONTEXT", name),
            None => "configuration file".into(),
        };
        add("context", target.context.clone(), from);
        add("server", Some(target.server.clone()), target.server_from.clone());
        let own = self.manner.credential.source();
        let from_entry = match (&target.entry.token_file, &target.entry.token_command) {
            (Some(path), _) => Some(format!("in {}", path.display())),
            (None, Some(_)) => Some("printed by token_command".to_owned()),
            (None, None) => None,
        };
        match own {
            Some((value, from)) => add("token", Some(value), from),
            None => add("token", from_entry, from_context()),
        }
        let ClientArgs { ca_file, identity, .. } = &self.manner;
        let entry = &target.entry;
        for (name, variable, given, kept) in [
            ("ca_file", "PLUGIN_REGISTRY_CA_FILE", ca_file, &entry.ca_file),
            ("client_cert", "PLUGIN_REGISTRY_CLIENT_CERT", &identity.client_cert, &entry.client_cert),
            ("client_key", "PLUGIN_REGISTRY_CLIENT_KEY", &identity.client_key, &entry.client_key),
        ] {
            let shown = |path: &PathBuf| path.display().to_string();
            match given {
                Some(path) => add(name, Some(shown(path)), origin(name, variable, &shown(path))),
                None => add(name, kept.as_ref().map(shown), from_context()),
            }
        }
        Ok(settings)
    }
}

/// Where a value comes from, which the flag or the variable has set.
fn origin(flag: &str, variable: &str, value: &str) -> String {
    if std::env::var_os(variable).is_some_and(|set| set == value) {
        return variable.to_owned();
    }
    format!("--{}", flag.replace('_', "-"))
}

impl Target {
    /// The URL of the registry.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The name of the context, if one is in use.
    pub fn context(&self) -> Option<&str> {
        self.context.as_deref()
    }
}

impl ClientArgs {
    /// A client of the registry at `server`.
    ///
    /// # Errors
    ///
    /// If the address or the token is invalid, or a file is unusable.
    pub fn client(&self, server: &str) -> anyhow::Result<Client> {
        self.client_in(server, &Entry::default())
    }

    /// The same; what no flag sets is as in the context.
    fn client_in(&self, server: &str, entry: &Entry) -> anyhow::Result<Client> {
        let authorities = self.ca_file.clone().or_else(|| entry.ca_file.as_deref().map(at_home));
        let own = self.identity.client_cert.clone().zip(self.identity.client_key.clone());
        let kept = || Some((at_home(entry.client_cert.as_deref()?), at_home(entry.client_key.as_deref()?)));
        let security =
            Security { trust: authorities.map_or(Trust::System, Trust::Authorities), identity: own.or_else(kept) };
        let client = Client::secured(server, &security)?;
        match self.credential.token()? {
            Some(token) => CredentialArgs::shown(client, &token),
            None => match entry.token()? {
                Some(token) => CredentialArgs::shown(client, &token),
                None => Ok(client),
            },
        }
    }

    /// The token that a flag or a variable sets.
    ///
    /// # Errors
    ///
    /// If its file is unreadable.
    pub fn token(&self) -> anyhow::Result<Option<String>> {
        self.credential.token()
    }

    /// The client's certificate and key, as they were given.
    pub fn identity(&self) -> (Option<&PathBuf>, Option<&PathBuf>) {
        (self.identity.client_cert.as_ref(), self.identity.client_key.as_ref())
    }

    /// The authorities, as they were given.
    pub fn ca_file(&self) -> Option<&PathBuf> {
        self.ca_file.as_ref()
    }
}
