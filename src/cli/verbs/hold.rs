//! `hold` and `release`: what a plugin holds.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use hyper::Method;
use serde_json::{Value, json};

use super::document::read;
use super::filters::resource;
use crate::cli::exit_code;
use crate::cli::output::kind::{PLUGIN, RELEASED};
use crate::cli::output::path;
use crate::cli::session::{Session, SessionArgs};
use crate::client::Call;

/// The most resources of a request.
const BATCH: usize = 1000;

/// The flags of `hold`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry hold inference_llm --pid 4711 --pid 4712
  plugin-registry hold inference_llm --container 4c01db0b339c
  plugin-registry hold inference_llm --remote-file machine.json

Next: plugin-registry release ID KIND:X; `plugin-registry exec` does both for a command")]
pub struct HoldArgs {
    /// The plugin's unique_id.
    #[arg(value_name = "ID", add = super::complete::plugins())]
    id: String,
    /// Processes to add.
    #[arg(long, value_name = "PID")]
    pid: Vec<u32>,
    /// The container.
    #[arg(long, value_name = "ID")]
    container: Option<String>,
    /// A file that describes the remote resource, in JSON or YAML; `-` is standard input.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["pid", "container"])]
    remote_file: Option<PathBuf>,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// The flags of `release`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry release inference_llm process:4711
  plugin-registry release inference_llm remote:i-0abcd1234
  plugin-registry release --ghosts --dry-run     everything that was seen gone

The registry stops nothing: stop the resource first. It shows the plan, and asks on a terminal.")]
pub struct ReleaseArgs {
    /// The plugin's unique_id.
    #[arg(value_name = "ID", required_unless_present = "ghosts", add = super::complete::plugins())]
    id: Option<String>,
    /// Resources, as `plugin-registry resources` lists them.
    #[arg(value_name = "KIND:X", value_parser = resource, required_unless_present = "ghosts")]
    resources: Vec<(String, String)>,
    /// Release what was seen gone, of one plugin or of all.
    #[arg(long, conflicts_with = "resources")]
    ghosts: bool,
    /// Only show the plan.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// Adds to what a plugin holds.
///
/// # Errors
///
/// If the registry is unreachable or refuses the request.
pub async fn hold(session: Session, args: &HoldArgs) -> anyhow::Result<u8> {
    let mut calls = Vec::new();
    if !args.pid.is_empty() {
        let body = json!({ "spawned_pids": args.pid });
        calls.push(Call::new(Method::POST, &["plugins", &args.id, "spawned_pids"]).json(&body));
    }
    if let Some(container) = &args.container {
        let body = json!({ "container_id": container });
        calls.push(Call::new(Method::PUT, &["plugins", &args.id, "container_id"]).json(&body));
    }
    if let Some(file) = &args.remote_file {
        calls.push(Call::new(Method::PUT, &["plugins", &args.id, "remote_resource"]).json(&read(file)?));
    }
    let mut plugin = Value::Null;
    for call in calls {
        plugin = session.json(&call).await?;
    }
    session.printer.one(&PLUGIN, &plugin)?;
    Ok(0)
}

/// Releases resources by name.
///
/// # Errors
///
/// If the registry is unreachable or refuses the request, or the user does not want it.
pub async fn release(session: Session, args: &ReleaseArgs) -> anyhow::Result<u8> {
    let named = if args.ghosts { ghosts(&session, args.id.as_deref()).await? } else { wanted(args)? };
    if named.is_empty() {
        session.printer.whole_list(&RELEASED, json!({ "dry_run": args.dry_run, "items": [] }))?;
        return Ok(0);
    }
    if !args.dry_run && session.may_ask() && !args.yes {
        let names = named.iter().map(|one| {
            let field = |name: &str| path::raw(one.get(name));
            format!("  {} {}:{}", field("plugin"), field("kind"), field("id"))
        });
        session.printer.say(&names.collect::<Vec<_>>().join("\n"));
        session.confirm(&format!("Release {} of them?", named.len()), false)?;
    }
    let mut items = Vec::new();
    for batch in named.chunks(BATCH) {
        let mut call = Call::new(Method::POST, &["resources", "release"]).json(&json!({ "resources": batch }));
        if args.dry_run {
            call = call.with("dry_run", "true");
        }
        let mut answer = session.json(&call).await?;
        items.append(answer.get_mut("items").and_then(Value::as_array_mut).context("the response has no items")?);
    }
    let has_failed = items.iter().any(|item| item.get("problem").is_some_and(|problem| !problem.is_null()));
    session.printer.whole_list(&RELEASED, json!({ "dry_run": args.dry_run, "items": items }))?;
    Ok(if has_failed { exit_code::FAILED } else { 0 })
}

fn wanted(args: &ReleaseArgs) -> anyhow::Result<Vec<Value>> {
    let plugin = args.id.as_deref().context("a plugin is missing")?;
    let name = |(kind, id): &(String, String)| json!({ "plugin": plugin, "kind": kind, "id": id });
    Ok(args.resources.iter().map(name).collect())
}

/// What was seen gone.
async fn ghosts(session: &Session, plugin: Option<&str>) -> anyhow::Result<Vec<Value>> {
    let mut call = Call::get(&["resources"]).with("finding", "ghost,reused");
    if let Some(plugin) = plugin {
        call = call.with("plugin", plugin);
    }
    let found = session.whole_list(&call).await?;
    let rows = found.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    Ok(rows.iter().map(|row| json!({ "plugin": row["plugin"], "kind": row["kind"], "id": row["id"] })).collect())
}
