//! `stop`: ask to stop what a plugin holds.

use std::time::Duration;

use clap::Args;
use hyper::Method;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::filters::{future, length};
use super::wait::changed;
use crate::cli::exit_code;
use crate::cli::failure::Failure;
use crate::cli::output::kind::PLUGIN;
use crate::cli::output::path;
use crate::cli::session::{Session, SessionArgs};
use crate::client::Call;

/// The flags of `stop`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry stop inference_llm --reason 'the demo is over'
  plugin-registry stop inference_llm --deadline 10m --wait

The registry stops nothing. `plugin-registry exec` obeys: its command gets SIGTERM. An application may obey, too.
Exit codes: 0 asked, or stopped with --wait; 1 refused; 3 there is no such plugin; 5 nothing to stop; 7 not in time.")]
pub struct StopArgs {
    /// The plugin's unique_id.
    #[arg(value_name = "ID", add = super::complete::plugins())]
    id: String,
    /// The reason, for people.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Until when it should have stopped: 10m, 2h, or RFC 3339.
    #[arg(long, value_name = "TIME")]
    deadline: Option<String>,
    /// Wait until nothing that it holds may still run or bill, or until the request is refused.
    #[arg(long)]
    wait: bool,
    /// Give up waiting after this time.
    #[arg(long, default_value = "5m", value_name = "TIME", requires = "wait")]
    timeout: String,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// Asks to stop a plugin.
///
/// # Errors
///
/// If the registry is unreachable or refuses the request, or the plugin does not stop.
pub async fn run(session: Session, args: &StopArgs) -> anyhow::Result<u8> {
    let mut request = Map::new();
    if let Some(reason) = &args.reason {
        request.insert("reason".to_owned(), json!(reason));
    }
    if let Some(deadline) = &args.deadline {
        request.insert("deadline".to_owned(), json!(future(deadline, session.printer.moments().now())?.to_string()));
    }
    let timeout = Duration::try_from(length(&args.timeout)?)?;
    let call = Call::new(Method::POST, &["plugins", &args.id, "stop_request"]).json(&Value::Object(request));
    let mut plugin: Value = session.json(&call).await?;
    let end = Instant::now() + timeout;
    while args.wait && !is_over(&plugin) {
        if Instant::now() >= end {
            let what = format!("{}: not stopped within {}", args.id, args.timeout);
            let advice = Some(format!("plugin-registry get {}", args.id));
            return Err(Failure { what, advice, code: exit_code::TIMED_OUT }.into());
        }
        let since = path::raw(plugin.get("revision"));
        match changed(&session, &args.id, Some(&since), end).await? {
            Some(after) => plugin = after,
            // A removed plugin holds nothing.
            None => return Ok(0),
        }
    }
    if args.wait && path::at(&plugin, "stop_answer.answer").and_then(Value::as_str) == Some("refused") {
        let detail = path::at(&plugin, "stop_answer.detail").and_then(Value::as_str).unwrap_or("no reason given");
        let what = format!("{}: the request to stop was refused: {detail}", args.id);
        return Err(Failure { what, advice: None, code: exit_code::FAILED }.into());
    }
    session.printer.one(&PLUGIN, &plugin)?;
    Ok(0)
}

/// Returns true if and only if the request was refused, or nothing is left to stop: then the registry shows neither a
/// request nor an answer.
fn is_over(plugin: &Value) -> bool {
    let is_null = |field| plugin.get(field).is_none_or(Value::is_null);
    let refused = path::at(plugin, "stop_answer.answer").and_then(Value::as_str) == Some("refused");
    refused || (is_null("stop_requested") && is_null("stop_answer"))
}
