//! `config get`, `set`, `edit`, `validate` and `rm`: a plugin's saved configuration.

use std::io::{Read as _, Seek as _, Write as _};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use hyper::Method;
use hyper::header::IF_MATCH;
use serde_json::{Map, Value, json};
use tempfile::NamedTempFile;

use super::document::read;
use super::filters::pair;
use crate::cli::exit_code;
use crate::cli::output::cell::Show;
use crate::cli::output::json::pretty;
use crate::cli::output::kind::{Column, Kind, PLUGIN};
use crate::cli::session::{Session, SessionArgs};
use crate::client::{Answer, Call, ClientError};

/// What is wrong with a configuration.
const MISTAKE: Kind = Kind {
    plural: "mistakes",
    columns: &[
        Column { title: "PLACE", field: "pointer", show: Show::Text, is_wide: false },
        Column { title: "MISTAKE", field: "detail", show: Show::Wrong, is_wide: false },
    ],
    name: &["pointer"],
};

/// The commands of `config`.
#[derive(Debug, Clone, Subcommand)]
pub enum ConfigCommand {
    /// Print the configuration; secrets are masked for viewers.
    Get(ConfigIdArgs),
    /// Set some values, or replace the whole.
    Set(ConfigSetArgs),
    /// Edit it in $VISUAL or $EDITOR; the editor opens again with the mistakes on top.
    Edit(ConfigIdArgs),
    /// Check a configuration without saving it.
    Validate(ConfigFileArgs),
    /// Delete it; the plugin is then not configured.
    Rm(ConfigIdArgs),
}

/// The flags of `config get`, `edit` and `rm`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry config get transcription_whisper_tiny -o yaml
  plugin-registry config edit transcription_whisper_tiny
  plugin-registry config rm transcription_whisper_tiny")]
pub struct ConfigIdArgs {
    /// The plugin's unique_id.
    #[arg(value_name = "ID", add = super::complete::plugins())]
    id: String,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// The flags of `config set`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry config set transcription_whisper_tiny language=en threads=4
  plugin-registry config set transcription_whisper_tiny -f config.yaml    replaces the whole")]
pub struct ConfigSetArgs {
    /// The plugin's unique_id.
    #[arg(value_name = "ID", add = super::complete::plugins())]
    id: String,
    /// Values to set; the others stay. A value is JSON, or else a string.
    #[arg(value_name = "KEY=VALUE", value_parser = pair, required_unless_present = "file")]
    values: Vec<(String, String)>,
    /// A file with the whole configuration, in JSON or YAML; `-` is standard input.
    #[arg(short, long, value_name = "FILE", conflicts_with = "values")]
    file: Option<PathBuf>,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// The flags of `config validate`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry config validate transcription_whisper_tiny -f config.yaml

Exit code 1: it is invalid.")]
pub struct ConfigFileArgs {
    /// The plugin's unique_id.
    #[arg(value_name = "ID", add = super::complete::plugins())]
    id: String,
    /// The file, in JSON or YAML; `-` is standard input.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

impl ConfigCommand {
    /// How it connects and prints.
    pub fn session(&self) -> &SessionArgs {
        match self {
            ConfigCommand::Get(args) | ConfigCommand::Edit(args) | ConfigCommand::Rm(args) => &args.session,
            ConfigCommand::Set(args) => &args.session,
            ConfigCommand::Validate(args) => &args.session,
        }
    }
}

/// Runs a command of `config`.
///
/// # Errors
///
/// If the registry is unreachable or refuses the request.
pub async fn run(session: Session, command: &ConfigCommand) -> anyhow::Result<u8> {
    match command {
        ConfigCommand::Get(args) => {
            let config = session.json(&of(Method::GET, &args.id)).await?;
            session.printer.one(&PLUGIN, &config)?;
        }
        ConfigCommand::Set(args) => {
            let call = match &args.file {
                Some(file) => of(Method::PUT, &args.id).json(&read(file)?),
                None => merged(&session, args).await?,
            };
            save(&session, &call, &args.id).await?;
        }
        ConfigCommand::Edit(args) => edit(&session, &args.id).await?,
        ConfigCommand::Validate(args) => {
            let call = Call::new(Method::POST, &["plugins", &args.id, "config", "validate"]).json(&read(&args.file)?);
            let verdict = session.json(&call).await?;
            let is_valid = verdict.get("valid") == Some(&json!(true));
            let mistakes = verdict.get("errors").cloned().unwrap_or(json!([]));
            session.printer.whole_list(&MISTAKE, json!({ "items": mistakes, "valid": is_valid }))?;
            return Ok(if is_valid { 0 } else { exit_code::FAILED });
        }
        ConfigCommand::Rm(args) => {
            session.call(&of(Method::DELETE, &args.id)).await?;
            session.printer.say(&format!("{} has no configuration now", args.id));
        }
    }
    Ok(0)
}

fn of(method: Method, id: &str) -> Call {
    Call::new(method, &["plugins", id, "config"])
}

async fn save(session: &Session, call: &Call, id: &str) -> anyhow::Result<()> {
    session.call(call).await?;
    session.printer.say(&format!("saved the configuration of {id}"));
    Ok(())
}

/// The saved configuration; an empty one if there is none.
async fn saved(session: &Session, id: &str) -> anyhow::Result<(Map<String, Value>, Option<String>)> {
    let answer: Answer = match session.call(&of(Method::GET, id)).await {
        Ok(answer) => answer,
        Err(error) if error.downcast_ref::<ClientError>().and_then(ClientError::status) == Some(404) => {
            // The plugin may be without a configuration, or missing.
            let plugin = session.call(&Call::get(&["plugins", id])).await?;
            return Ok((Map::new(), plugin.tag()));
        }
        Err(error) => return Err(error),
    };
    match answer.json()? {
        Value::Object(config) => Ok((config, answer.tag())),
        Value::Null => Ok((Map::new(), answer.tag())),
        _ => bail!("the configuration is no object: use -f"),
    }
}

fn unless_changed(call: Call, tag: Option<String>) -> Call {
    match tag {
        Some(tag) => call.header(IF_MATCH, tag),
        None => call,
    }
}

async fn merged(session: &Session, args: &ConfigSetArgs) -> anyhow::Result<Call> {
    let (mut config, tag) = saved(session, &args.id).await?;
    for (key, text) in &args.values {
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
        config.insert(key.clone(), value);
    }
    Ok(unless_changed(of(Method::PUT, &args.id).json(&Value::Object(config)), tag))
}

async fn edit(session: &Session, id: &str) -> anyhow::Result<()> {
    let (config, tag) = saved(session, id).await?;
    let before = format!("{}\n", pretty(&Value::Object(config)));
    // Temporary files are the owner's alone: a configuration may have secrets.
    let mut file = tempfile::Builder::new().prefix("config-").suffix(".json").tempfile()?;
    let (mut text, mut mistakes) = (before.clone(), String::new());
    loop {
        text = edited(&mut file, &format!("{mistakes}{text}"))?;
        if text == before {
            session.printer.say("nothing was changed");
            return Ok(());
        }
        let config: Value = match serde_json::from_str(&text) {
            Ok(config) => config,
            Err(error) => {
                mistakes = format!("# This is no JSON: {error}\n");
                continue;
            }
        };
        match save(session, &unless_changed(of(Method::PUT, id).json(&config), tag.clone()), id).await {
            Ok(()) => return Ok(()),
            Err(error) => mistakes = mistakes_of(error)?,
        }
    }
}

/// What the registry found wrong, as lines for the top of the file.
fn mistakes_of(error: anyhow::Error) -> anyhow::Result<String> {
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::Refused { status: 400 | 422, problem, .. }) => {
            let mut lines = format!("# {}\n", problem.detail.replace('\n', " "));
            for field in &problem.errors {
                lines.extend(["# ", &field.pointer, ": ", &field.detail.replace('\n', " "), "\n"]);
            }
            Ok(lines)
        }
        _ => Err(error),
    }
}

/// Lets the user edit the text; returns it without the lines on top that begin with `#`.
fn edited(file: &mut NamedTempFile, text: &str) -> anyhow::Result<String> {
    std::fs::write(file.path(), text)?;
    let variable = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let editor = variable("VISUAL").or_else(|| variable("EDITOR")).unwrap_or_else(|| "vi".into());
    let words = shell_words::split(&editor).with_context(|| format!("`{editor}` cannot be read as a command"))?;
    let (program, arguments) = words.split_first().context("the editor has no name")?;
    let status = Command::new(program)
        .args(arguments)
        .arg(file.path())
        .status()
        .with_context(|| format!("the editor `{program}` cannot be run; set VISUAL or EDITOR"))?;
    if !status.success() {
        bail!("the editor has failed ({status}): nothing was changed");
    }
    let mut written = String::new();
    // Some editors replace the file.
    std::fs::File::open(file.path())?.read_to_string(&mut written)?;
    file.rewind()?;
    file.flush()?;
    Ok(written.lines().skip_while(|line| line.starts_with('#')).flat_map(|line| [line, "\n"]).collect())
}
