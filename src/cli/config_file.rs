//! The configuration file of the command line: named contexts, each of them a registry and how to reach it.
//!
//! `$XDG_CONFIG_HOME/plugin-registry/config.toml`. The Python client reads the same file.

use std::collections::BTreeMap;
use std::env;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

/// Access for the owner only.
const PRIVATE: u32 = 0o600;

/// The permission bits of everyone but the owner.
const OTHERS: u32 = 0o077;

/// The content of the file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// The context that counts if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// The contexts by their names.
    #[serde(default)]
    pub contexts: BTreeMap<String, Entry>,
}

/// A context.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The URL of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// A file that holds the token, which only its owner may read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// A command that prints the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_command: Option<TokenCommand>,
    /// For https: the authorities to trust instead of the system's (PEM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The client's certificate (PEM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<PathBuf>,
    /// The private key of the client's certificate (PEM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key: Option<PathBuf>,
}

/// A command that prints a token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TokenCommand {
    /// A line for the shell.
    Line(String),
    /// A program and its arguments.
    Words(Vec<String>),
}

/// Where the file and its tokens are.
#[derive(Debug, Clone)]
pub struct ConfigFolder(PathBuf);

impl ConfigFolder {
    /// The user's; `None` without a home.
    pub fn find() -> Option<ConfigFolder> {
        let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
        Some(ConfigFolder(base.join("plugin-registry")))
    }

    /// The user's.
    ///
    /// # Errors
    ///
    /// Without a home.
    pub fn required() -> anyhow::Result<ConfigFolder> {
        ConfigFolder::find().context("neither XDG_CONFIG_HOME nor HOME is set: there is no place for contexts")
    }

    /// The path of the file.
    pub fn file(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// Reads the file; it is empty if it is missing.
    ///
    /// # Errors
    ///
    /// If it is unreadable or malformed.
    pub fn read(&self) -> anyhow::Result<ConfigFile> {
        let path = self.file();
        match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).with_context(|| format!("{} is malformed", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(ConfigFile::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Replaces the file.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(&self, content: &ConfigFile) -> anyhow::Result<()> {
        self.replace(&self.file(), &toml::to_string_pretty(content)?)
    }

    /// Keeps a token in a file of its own, and returns the file's path.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn keep_token(&self, context: &str, token: &str) -> anyhow::Result<PathBuf> {
        let path = self.token_path(context);
        self.replace(&path, &format!("{token}\n"))?;
        Ok(path)
    }

    /// Deletes the token of a context, if this program has kept it. Returns true if and only if it was there.
    ///
    /// # Errors
    ///
    /// If it cannot be deleted.
    pub fn forget_token(&self, context: &str) -> anyhow::Result<bool> {
        let path = self.token_path(context);
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).with_context(|| format!("cannot delete {}", path.display())),
        }
    }

    fn token_path(&self, context: &str) -> PathBuf {
        let safe = |letter: char| if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '_' };
        self.0.join(format!("{}.token", context.chars().map(safe).collect::<String>()))
    }

    fn replace(&self, path: &Path, text: &str) -> anyhow::Result<()> {
        let cannot = || format!("cannot write {}", path.display());
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0).with_context(cannot)?;
        // Temporary files are the owner's alone.
        let mut file = tempfile::NamedTempFile::new_in(&self.0).with_context(cannot)?;
        file.write_all(text.as_bytes()).with_context(cannot)?;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(PRIVATE)).with_context(cannot)?;
        file.persist(path).with_context(cannot)?;
        Ok(())
    }
}

impl ConfigFile {
    /// The context with this name, or the current one; `None` if no name is given and none is current.
    ///
    /// # Errors
    ///
    /// If there is no such context.
    pub fn entry(&self, named: Option<&str>) -> anyhow::Result<Option<(&str, &Entry)>> {
        let Some(name) = named.or(self.current.as_deref()) else { return Ok(None) };
        match self.contexts.get_key_value(name) {
            Some((name, entry)) => Ok(Some((name, entry))),
            None => bail!("there is no context `{name}`; there are {}", self.names()),
        }
    }

    fn names(&self) -> String {
        if self.contexts.is_empty() {
            return "none: `plugin-registry login` adds one".into();
        }
        self.contexts.keys().cloned().collect::<Vec<_>>().join(", ")
    }
}

impl Entry {
    /// The token of the context.
    ///
    /// # Errors
    ///
    /// If others can read its file, or the file is unreadable, or the command fails.
    pub fn token(&self) -> anyhow::Result<Option<String>> {
        match (&self.token_file, &self.token_command) {
            (Some(path), _) => private_text(&at_home(path)).map(Some),
            (None, Some(command)) => command.output().map(Some),
            (None, None) => Ok(None),
        }
    }
}

impl TokenCommand {
    fn output(&self) -> anyhow::Result<String> {
        let (program, arguments) = match self {
            TokenCommand::Line(line) => ("sh", vec!["-c".to_owned(), line.clone()]),
            TokenCommand::Words(words) => {
                let (program, arguments) = words.split_first().context("token_command is empty")?;
                (program.as_str(), arguments.to_vec())
            }
        };
        let failed = || format!("token_command `{program}` cannot be run");
        let output = Command::new(program).args(arguments).stderr(Stdio::inherit()).output().with_context(failed)?;
        if !output.status.success() {
            bail!("token_command has failed: {}", output.status);
        }
        String::from_utf8(output.stdout).context("token_command has printed no text")
    }
}

/// The path, in which `~/` is the user's home.
pub fn at_home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), env::var_os("HOME")) {
        (Ok(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => path.to_owned(),
    }
}

/// Reads a file that only its owner may read.
fn private_text(path: &Path) -> anyhow::Result<String> {
    let cannot = || format!("cannot read the token in {}", path.display());
    let mode = std::fs::metadata(path).with_context(cannot)?.permissions().mode();
    if mode & OTHERS != 0 {
        bail!(
            "other users may read the token in {0}: run `chmod 600 {0}`, and revoke the token if they did",
            path.display()
        );
    }
    std::fs::read_to_string(path).with_context(cannot)
}
