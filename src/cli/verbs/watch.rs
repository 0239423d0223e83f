//! `watch`: live events as lines.

use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;

use super::event_line::line;
use super::filters::PluginFilters;
use crate::cli::output::kind::EVENT;
use crate::cli::output::path;
use crate::cli::session::Session;
use crate::cli::session::SessionArgs;
use crate::client::{Call, ClientError, LiveEvent};

/// The flags of `watch`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry watch                          changes as they happen, until Ctrl-C
  plugin-registry watch --kind finding.raised --exec 'jq -r .subject'
  plugin-registry watch --since 41 -o ndjson     from revision 41 on, without a gap

If the connection breaks, it connects again and goes on where it was.")]
pub struct WatchArgs {
    /// Whose changes.
    #[command(flatten)]
    filters: PluginFilters,
    /// Begin after this revision. Default: with the next change.
    #[arg(long, value_name = "REVISION")]
    since: Option<u64>,
    /// Changes of these kinds, such as `finding.raised`.
    #[arg(long, add = super::complete::changes())]
    kind: Vec<String>,
    /// Run this command line for each change, with the change as JSON on its standard input.
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// Follows changes.
///
/// # Errors
///
/// If the registry refuses the request, or standard output is closed.
pub async fn run(session: Session, args: &WatchArgs) -> anyhow::Result<u8> {
    let mut parameters = args.filters.parameters();
    if !args.kind.is_empty() {
        parameters.push(("kind".into(), args.kind.join(",")));
    }
    let since = args.since.map(|revision| revision.to_string());
    follow(&session, &parameters, since, args.exec.as_deref()).await
}

/// Prints events until Ctrl-C; connects again when the connection breaks.
///
/// # Errors
///
/// If the registry refuses the request, or standard output is closed.
pub async fn follow(
    session: &Session,
    parameters: &[(String, String)],
    since: Option<String>,
    exec: Option<&str>,
) -> anyhow::Result<u8> {
    let mut is_first = true;
    // The id of an event names the history, too: a stream never goes on in another one.
    let mut last_event = None;
    loop {
        let mut call = Call::get(&["events"]).with_all(parameters);
        if let Some(id) = &last_event {
            call = call.with("lastEventId", String::clone(id));
        } else if let Some(revision) = &since {
            call = call.with("after", revision.clone());
        }
        match session.follow(call).await {
            Ok(mut live) => loop {
                match live.next().await {
                    Ok(Some(event)) if event.name == "cut_off" => break,
                    Ok(Some(event)) => {
                        one(session, &event, exec)?;
                        if !event.id.is_empty() {
                            last_event = Some(event.id);
                        }
                    }
                    Ok(None) | Err(_) => break,
                }
            },
            Err(error) if is_first || !may_pass(&error) => return Err(error),
            Err(_) => {}
        }
        if is_first {
            session.printer.say("the connection is lost; connecting again");
        }
        is_first = false;
        tokio::time::sleep(super::RETRY).await;
    }
}

fn may_pass(error: &anyhow::Error) -> bool {
    error.downcast_ref::<ClientError>().is_some_and(ClientError::may_pass)
}

fn one(session: &Session, event: &LiveEvent, exec: Option<&str>) -> anyhow::Result<()> {
    if !matches!(event.name.as_str(), "change" | "removal") {
        return Ok(());
    }
    let document: Value = serde_json::from_str(&event.data).context("the registry has sent a malformed event")?;
    if let Some(command) = exec {
        return hand_over(command, &event.data);
    }
    let printer = session.printer.clone().continued();
    if !printer.is_for_people() {
        return Ok(printer.one(&EVENT, &document)?);
    }
    let mut text = line(&document, &printer.moments());
    let changed = path::at(&document, "data.changed").and_then(Value::as_object);
    let fields: Vec<&str> = changed.into_iter().flatten().map(|(field, _)| field.as_str()).collect();
    if !fields.is_empty() {
        text = format!("{}  {}\n", text.trim_end(), crate::cli::output::text::one_line(&fields.join(",")));
    }
    Ok(printer.text(&text)?)
}

/// Runs a command line, with the event on its standard input.
fn hand_over(command: &str, event: &str) -> anyhow::Result<()> {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .spawn()
        .with_context(|| format!("`{command}` cannot be run"))?;
    if let Some(mut input) = child.stdin.take() {
        let written = input.write_all(event.as_bytes()).and_then(|()| input.write_all(b"\n"));
        // A command need not read what it is given.
        if let Err(error) = written
            && error.kind() != ErrorKind::BrokenPipe
        {
            return Err(error.into());
        }
    }
    child.wait()?;
    Ok(())
}
