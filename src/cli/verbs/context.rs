//! `login`, `logout`, `whoami` and `context`: choose a registry and its token, and show whose token it is.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::{Value, json};
use url::Url;

use crate::cli::config_file::{ConfigFile, ConfigFolder, Entry, TokenCommand};
use crate::cli::connection::{ClientArgs, DEFAULT_SERVER};
use crate::cli::exit_code;
use crate::cli::failure::Failure;
use crate::cli::output::format::OutputArgs;
use crate::cli::output::kind::{CONTEXT, Kind, PLUGIN, SETTING};
use crate::cli::output::printer::Printer;
use crate::cli::session::{Session, SessionArgs};
use crate::client::{Call, Client};

/// The caller.
const CALLER: Kind = Kind { plural: "callers", columns: PLUGIN.columns, name: &["name"] };

/// The flags of `login`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry login https://registry.example      asks for the token
  plugin-registry login https://registry.example --name prod < token.txt
  plugin-registry login                               a registry on this machine

It checks the token, keeps it in a file that only you can read, and makes the context the current one.
Next: plugin-registry status, plugin-registry context ls")]
pub struct LoginArgs {
    /// The URL of the registry. Default: http://127.0.0.1:8080.
    #[arg(value_name = "URL")]
    server: Option<String>,
    /// The name of the context. Default: the host of the URL.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// How to connect.
    #[command(flatten)]
    manner: ClientArgs,
    /// How it prints.
    #[command(flatten)]
    output: OutputArgs,
}

/// The flags of `logout`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry logout
  plugin-registry logout prod

The token stays valid: an admin revokes it by `plugin-registry token revoke`.")]
pub struct LogoutArgs {
    /// The context. Default: the current one.
    #[arg(value_name = "CONTEXT")]
    context: Option<String>,
}

/// The flags of `whoami`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry whoami
  plugin-registry whoami -o jsonpath=$.role

Next: plugin-registry context show")]
pub struct WhoamiArgs {
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// The commands of `context`.
#[derive(Debug, Clone, Subcommand)]
pub enum ContextCommand {
    /// List the contexts.
    Ls(ContextLsArgs),
    /// Make a context the current one.
    Use(ContextNameArgs),
    /// Add a context, or replace it.
    Add(ContextAddArgs),
    /// Remove a context, and the token that `login` has kept for it.
    Rm(ContextNameArgs),
    /// Show each setting and where it comes from.
    Show(Box<ContextShowArgs>),
}

/// The flags of `context ls`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry context ls -o wide")]
pub struct ContextLsArgs {
    /// How it prints.
    #[command(flatten)]
    output: OutputArgs,
}

/// The flags of `context use` and `context rm`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry context use prod
  plugin-registry context rm test")]
pub struct ContextNameArgs {
    /// The name of the context.
    #[arg(value_name = "NAME", add = super::complete::contexts())]
    name: String,
}

/// The flags of `context add`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry context add prod https://registry.example --token-command 'pass show registry'
  plugin-registry context add prod https://registry.example --token-file ~/registry.token --ca-file ca.pem")]
pub struct ContextAddArgs {
    /// The name of the context.
    #[arg(value_name = "NAME")]
    name: String,
    /// The URL of the registry.
    #[arg(value_name = "URL")]
    server: String,
    /// A file that holds the token, which only you may read.
    #[arg(long, value_name = "FILE", conflicts_with = "token_command")]
    token_file: Option<PathBuf>,
    /// A command line that prints the token.
    #[arg(long, value_name = "COMMAND")]
    token_command: Option<String>,
    /// The authorities to trust instead of the system's (PEM).
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The client's certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// The private key of the client's certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
}

/// The flags of `context show`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry context show
  plugin-registry context show --context prod")]
pub struct ContextShowArgs {
    /// The settings to show.
    #[command(flatten)]
    session: SessionArgs,
}

/// Shows the caller.
///
/// # Errors
///
/// If the registry is unreachable.
pub async fn whoami(session: Session, _args: &WhoamiArgs) -> anyhow::Result<u8> {
    let caller = session.json(&Call::get(&["whoami"])).await?;
    session.printer.one(&CALLER, &caller)?;
    match caller.get("refused").and_then(Value::as_str) {
        Some(why) => {
            let advice = Some("plugin-registry login".to_owned());
            Err(Failure { what: why.to_owned(), advice, code: exit_code::NOT_ALLOWED }.into())
        }
        None => Ok(0),
    }
}

/// Checks a token and keeps it.
///
/// # Errors
///
/// If the registry is unreachable or refuses the token, or the files cannot be written.
pub async fn login(args: &LoginArgs) -> anyhow::Result<u8> {
    let printer = Printer::new(&args.output);
    let server = args.server.clone().unwrap_or_else(|| DEFAULT_SERVER.to_owned());
    let name = args.name.clone().map_or_else(|| name_of(&server), Ok)?;
    let token = match args.manner.token()? {
        Some(token) => token,
        None => asked(&format!("Token for {server} (empty for none): "))?,
    };
    let client = args.manner.client(&server)?;
    let client = if token.trim().is_empty() { client } else { client.with_token(token.trim())? };
    let caller = checked(&client).await?;
    let folder = ConfigFolder::required()?;
    let mut file = folder.read()?;
    let (client_cert, client_key) = args.manner.identity();
    let token = token.trim();
    let token_file = if token.is_empty() { None } else { Some(folder.keep_token(&name, token)?) };
    let entry = Entry {
        server: Some(server.clone()),
        token_file,
        token_command: None,
        ca_file: absolute(args.manner.ca_file())?,
        client_cert: absolute(client_cert)?,
        client_key: absolute(client_key)?,
    };
    file.contexts.insert(name.clone(), entry);
    file.current = Some(name.clone());
    folder.write(&file)?;
    printer.say(&format!("logged in at {server} as {caller}; the current context is {name}"));
    Ok(0)
}

/// The name of the caller, if the registry accepts the token.
async fn checked(client: &Client) -> anyhow::Result<String> {
    let caller = client.call(&Call::get(&["whoami"])).await?.json()?;
    let field = |name: &str| caller.get(name).and_then(Value::as_str).map(str::to_owned);
    if let Some(why) = field("refused") {
        return Err(Failure { what: why, advice: None, code: exit_code::NOT_ALLOWED }.into());
    }
    let role = field("role").context("the registry requires a token");
    let role = role.map_err(|why| Failure { what: why.to_string(), advice: None, code: exit_code::NOT_ALLOWED })?;
    Ok(format!("{} ({role})", field("name").unwrap_or_default()))
}

fn absolute(path: Option<&PathBuf>) -> anyhow::Result<Option<PathBuf>> {
    Ok(path.map(std::path::absolute).transpose()?)
}

fn name_of(server: &str) -> anyhow::Result<String> {
    let url = Url::parse(server).with_context(|| format!("`{server}` is not a registry address"))?;
    let host = url.host_str().context("the address has no host")?;
    Ok(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// A line that the user types, without showing it; from a pipe, all of it.
fn asked(question: &str) -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    let mut line = String::new();
    if !stdin.is_terminal() {
        std::io::Read::read_to_string(&mut stdin.lock(), &mut line)?;
        return Ok(line);
    }
    let mut stderr = std::io::stderr();
    write!(stderr, "{question}")?;
    stderr.flush()?;
    let shown = tcgetattr(&stdin)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    let read = stdin.lock().read_line(&mut line);
    tcsetattr(&stdin, OptionalActions::Flush, &shown)?;
    writeln!(stderr)?;
    read?;
    Ok(line)
}

/// Forgets the token of a context.
///
/// # Errors
///
/// If there is no such context, or the files cannot be written.
pub fn logout(args: &LogoutArgs) -> anyhow::Result<u8> {
    let folder = ConfigFolder::required()?;
    let mut file = folder.read()?;
    let Some(name) = file.entry(args.context.as_deref())?.map(|(name, _)| name.to_owned()) else {
        say("no context is current: there is no token to forget");
        return Ok(0);
    };
    if let Some(entry) = file.contexts.get_mut(&name) {
        entry.token_file = None;
        entry.token_command = None;
    }
    folder.write(&file)?;
    let is_kept = folder.forget_token(&name)?;
    say(&format!("{name}: {}", if is_kept { "the token is forgotten" } else { "there was no token" }));
    Ok(0)
}

/// Runs a command of `context`.
///
/// # Errors
///
/// If there is no such context, or the files cannot be read or written.
pub fn run(command: &ContextCommand) -> anyhow::Result<u8> {
    let folder = ConfigFolder::required()?;
    match command {
        ContextCommand::Ls(args) => Printer::new(&args.output).whole_list(&CONTEXT, listed(&folder.read()?))?,
        ContextCommand::Use(args) => {
            let mut file = folder.read()?;
            file.entry(Some(&args.name))?;
            file.current = Some(args.name.clone());
            folder.write(&file)?;
            say(&format!("the current context is {}", args.name));
        }
        ContextCommand::Add(args) => add(&folder, args)?,
        ContextCommand::Rm(args) => {
            let mut file = folder.read()?;
            file.entry(Some(&args.name))?;
            file.contexts.remove(&args.name);
            file.current = file.current.filter(|current| *current != args.name);
            folder.write(&file)?;
            folder.forget_token(&args.name)?;
            say(&format!("removed the context {}", args.name));
        }
        ContextCommand::Show(args) => {
            let settings = args.session.connection.settings()?;
            let rows: Vec<Value> = settings
                .into_iter()
                .map(|setting| json!({ "setting": setting.name, "value": setting.value, "from": setting.from }))
                .collect();
            Printer::new(&args.session.output).whole_list(&SETTING, json!({ "items": rows }))?;
        }
    }
    Ok(0)
}

fn add(folder: &ConfigFolder, args: &ContextAddArgs) -> anyhow::Result<()> {
    Client::new(&args.server)?;
    let mut file = folder.read()?;
    let entry = Entry {
        server: Some(args.server.clone()),
        token_file: absolute(args.token_file.as_ref())?,
        token_command: args.token_command.clone().map(TokenCommand::Line),
        ca_file: absolute(args.ca_file.as_ref())?,
        client_cert: absolute(args.client_cert.as_ref())?,
        client_key: absolute(args.client_key.as_ref())?,
    };
    file.contexts.insert(args.name.clone(), entry);
    let is_first = file.current.is_none();
    file.current.get_or_insert_with(|| args.name.clone());
    folder.write(&file)?;
    let next =
        if is_first { "it is the current one" } else { "`plugin-registry context use` makes it the current one" };
    say(&format!("added the context {}; {next}", args.name));
    Ok(())
}

fn listed(file: &ConfigFile) -> Value {
    let row = |(name, entry): (&String, &Entry)| {
        let token = match (&entry.token_file, &entry.token_command) {
            (Some(path), _) => Some(path.display().to_string()),
            (None, Some(_)) => Some("token_command".into()),
            (None, None) => None,
        };
        let is_current = file.current.as_ref() == Some(name);
        json!({ "name": name, "current": is_current, "server": entry.server, "token": token, "ca_file": entry.ca_file })
    };
    json!({ "items": file.contexts.iter().map(row).collect::<Vec<_>>() })
}

fn say(message: &str) {
    // The command is done, whether its message is read or not.
    drop(writeln!(std::io::stderr(), "{}", crate::cli::output::text::lines(message)));
}
