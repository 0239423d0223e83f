//! `events` and `history`: the journal.

use clap::Args;
use serde_json::{Value, json};

use super::event_line::line;
use super::filters::{PluginFilters, past};
use crate::cli::output::kind::EVENT;
use crate::cli::output::{path, text};
use crate::cli::session::{Session, SessionArgs};
use crate::client::Call;

/// The flags of `events`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry events --from 2h
  plugin-registry events --kind finding.raised,lease.expired -o wide
  plugin-registry events --plugin transcription_whisper_tiny -o ndjson

Next: plugin-registry watch, plugin-registry history ID")]
pub struct EventsArgs {
    /// Whose changes.
    #[command(flatten)]
    filters: PluginFilters,
    /// Changes since then: 2h, 7d, day, week, month, or RFC 3339.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Changes before then.
    #[arg(long, value_name = "TIME", hide_short_help = true)]
    to: Option<String>,
    /// Changes after this revision.
    #[arg(long, value_name = "REVISION", hide_short_help = true)]
    after: Option<u64>,
    /// Changes of these kinds, such as `plugin.registered`.
    #[arg(long, add = super::complete::changes())]
    kind: Vec<String>,
    /// Changes of this plugin.
    #[arg(long, value_name = "ID", add = super::complete::plugins())]
    plugin: Option<String>,
    /// Print the newest change first.
    #[arg(long)]
    newest_first: bool,
    /// Print at most this many changes.
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Go on, and print changes as they happen.
    #[arg(short, long)]
    watch: bool,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// Lists changes.
///
/// # Errors
///
/// If the registry is unreachable or refuses the request.
pub async fn run(session: Session, args: &EventsArgs) -> anyhow::Result<u8> {
    let now = session.printer.moments().now();
    let mut parameters = args.filters.parameters();
    let mut add = |name: &str, value: Option<String>| {
        parameters.extend(value.map(|value| (name.to_owned(), value)));
    };
    add("from", args.from.as_deref().map(|text| past(text, now)).transpose()?.map(|at| at.to_string()));
    add("to", args.to.as_deref().map(|text| past(text, now)).transpose()?.map(|at| at.to_string()));
    add("after", args.after.map(|revision| revision.to_string()));
    add("plugin", args.plugin.clone());
    add("kind", (!args.kind.is_empty()).then(|| args.kind.join(",")));
    add("order", args.newest_first.then(|| "desc".to_owned()));
    let call = Call::get(&["events"]).with_all(&parameters);
    if args.watch {
        parameters.retain(|(name, _)| !matches!(name.as_str(), "from" | "to" | "order"));
        // What follows the list begins at the list's revision.
        let list = session.whole_list(&call).await?;
        let revision = list.get("revision").map(Value::to_string);
        session.printer.whole_list(&EVENT, list)?;
        parameters.retain(|(name, _)| name != "after");
        return super::watch::follow(&session, &parameters, revision, None).await;
    }
    session.print_list(&EVENT, &call, args.limit).await?;
    Ok(0)
}

/// The flags of `history`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry history transcription_whisper_tiny
  plugin-registry history transcription_whisper_tiny --limit 5 -o json

Next: plugin-registry get ID --as-of REVISION")]
pub struct HistoryArgs {
    /// The plugin's unique_id. It may have been removed.
    #[arg(value_name = "ID", add = super::complete::plugins())]
    id: String,
    /// Print at most this many changes.
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// Shows the changes of a plugin, the newest first.
///
/// # Errors
///
/// If the registry is unreachable or refuses the request.
pub async fn history(session: Session, args: &HistoryArgs) -> anyhow::Result<u8> {
    of_plugin(&session, &args.id, args.limit).await?;
    Ok(0)
}

/// Prints the changes of a plugin; for people, with what each has changed.
///
/// # Errors
///
/// If the registry is unreachable or refuses the request.
pub async fn of_plugin(session: &Session, id: &str, limit: Option<u32>) -> anyhow::Result<()> {
    let call = Call::get(&["plugins", id, "history"]);
    if !session.printer.is_for_people() {
        return session.print_list(&EVENT, &call, limit).await;
    }
    let call = call.with("limit", limit.unwrap_or(1000).to_string());
    let page = session.json(&call).await?;
    let moments = session.printer.moments();
    let mut lines = String::new();
    for event in page.get("items").and_then(Value::as_array).into_iter().flatten() {
        lines.push_str(&line(event, &moments));
        for (field, change) in path::at(event, "data.changed").and_then(Value::as_object).into_iter().flatten() {
            let shown = |name: &str| short(change.get(name));
            lines.extend(["    ", &text::one_line(field), ": ", &shown("before"), " -> ", &shown("after"), "\n"]);
        }
    }
    if page.get("next_cursor").is_some_and(|cursor| !cursor.is_null()) {
        session.printer.say("older changes exist: -o ndjson prints all");
    }
    Ok(session.printer.text(&lines)?)
}

/// A value, cut after 100 characters.
fn short(value: Option<&Value>) -> String {
    let value = value.cloned().unwrap_or(json!(null));
    text::fitted(&text::one_line(&value.to_string()), 100).into_owned()
}
