//! `get`: one plugin, or several.

use clap::Args;
use serde_json::{Value, json};

use super::difference::{DIFFERENCE, between};
use super::events;
use crate::cli::output::kind::PLUGIN;
use crate::cli::session::{Session, SessionArgs};
use crate::client::Call;

/// The flags of `get`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry get transcription_whisper_tiny
  plugin-registry get transcription_whisper_tiny -o jsonpath='$.spawned_pids[*]'
  plugin-registry get transcription_whisper_tiny --as-of 2026-11-30T12:00:00Z
  plugin-registry get transcription_whisper_tiny --diff 41    what has changed since revision 41

Next: plugin-registry history ID, plugin-registry config get ID")]
pub struct GetArgs {
    /// The plugins' unique_ids.
    #[arg(required = true, value_name = "ID", add = super::complete::plugins())]
    ids: Vec<String>,
    /// Show the plugin as it was at this revision or time (RFC 3339).
    #[arg(long, value_name = "REVISION|TIME")]
    as_of: Option<String>,
    /// Show its changes instead.
    #[arg(long, conflicts_with_all = ["as_of", "diff"])]
    history: bool,
    /// Show what has changed since this revision or time.
    #[arg(long, value_name = "REVISION|TIME")]
    diff: Option<String>,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// Shows plugins.
///
/// # Errors
///
/// If one does not exist, or the registry is unreachable or refuses the request.
pub async fn run(session: Session, args: &GetArgs) -> anyhow::Result<u8> {
    if args.history {
        for id in &args.ids {
            events::of_plugin(&session, id, None).await?;
        }
        return Ok(0);
    }
    let mut found = Vec::new();
    for id in &args.ids {
        let now = session.json(&at(id, args.as_of.as_deref())).await?;
        match &args.diff {
            Some(moment) => {
                let before = session.json(&at(id, Some(moment))).await?;
                found.extend(between(&before, &now));
            }
            None => found.push(now),
        }
    }
    let kind = if args.diff.is_some() { &DIFFERENCE } else { &PLUGIN };
    match found.as_slice() {
        [only] if args.diff.is_none() => session.printer.one(kind, only)?,
        _ => session.printer.whole_list(kind, json!({ "items": found }))?,
    }
    Ok(0)
}

fn at(id: &str, moment: Option<&str>) -> Call {
    let call = Call::get(&["plugins", id]);
    match moment {
        Some(moment) => call.with("as_of", moment),
        None => call,
    }
}

/// One plugin.
///
/// # Errors
///
/// As [`run`].
pub async fn plugin(session: &Session, id: &str) -> anyhow::Result<Value> {
    session.json(&at(id, None)).await
}
