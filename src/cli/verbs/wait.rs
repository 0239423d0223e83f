//! `wait`: until a plugin is as wanted.

use std::time::Duration;

use clap::Args;
use serde_json::Value;
use serde_json_path::JsonPath;
use tokio::time::Instant;

use super::filters::length;
use crate::cli::exit_code;
use crate::cli::failure::{Failure, Usage};
use crate::cli::output::kind::PLUGIN;
use crate::cli::output::path;
use crate::cli::session::{Session, SessionArgs};
use crate::client::{Call, ClientError};

/// The longest single request: findings arise with time, and not only with a revision.
const TURN: Duration = Duration::from_secs(10);

/// The flags of `wait`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry wait inference_llm --for active --timeout 5m
  plugin-registry wait inference_llm --for status=running
  plugin-registry wait inference_llm --while status=provisioning
  plugin-registry wait inference_llm --for jsonpath='$.labels.stage'=ready
  plugin-registry wait inference_llm --for deleted     0 also if there is none

Conditions: active, released, deleted, configured, verified, no-finding, status=WORD, jsonpath=EXPR=VALUE.
Exit codes: 0 it is so; 3 there is no such plugin; 7 not within --timeout.")]
pub struct WaitArgs {
    /// The plugin's unique_id.
    #[arg(value_name = "ID", add = super::complete::plugins())]
    id: String,
    /// Wait until this is so.
    #[arg(long = "for", value_name = "CONDITION", required_unless_present = "while_", conflicts_with = "while_")]
    for_: Option<String>,
    /// Wait until this is no longer so.
    #[arg(long = "while", value_name = "CONDITION")]
    while_: Option<String>,
    /// Give up after this time.
    #[arg(long, default_value = "5m", value_name = "TIME")]
    timeout: String,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

enum Condition {
    Active,
    Released,
    Deleted,
    Configured,
    Verified,
    NoFinding,
    Status(String),
    Path(JsonPath, String),
}

impl Condition {
    fn parse(text: &str) -> Result<Condition, Usage> {
        if let Some(status) = text.strip_prefix("status=") {
            return Ok(Condition::Status(status.to_owned()));
        }
        if let Some(rest) = text.strip_prefix("jsonpath=") {
            let (expression, value) =
                rest.rsplit_once('=').ok_or_else(|| Usage("a condition is jsonpath=EXPR=VALUE".into()))?;
            return Ok(Condition::Path(path::parse(expression).map_err(Usage)?, value.to_owned()));
        }
        Ok(match text {
            "active" => Condition::Active,
            "released" => Condition::Released,
            "deleted" => Condition::Deleted,
            "configured" => Condition::Configured,
            "verified" => Condition::Verified,
            "no-finding" => Condition::NoFinding,
            _ => {
                return Err(Usage(format!(
                    "`{text}` is no condition: active, released, deleted, configured, verified, no-finding, status=WORD or jsonpath=EXPR=VALUE"
                )));
            }
        })
    }

    /// Whether it is so for the plugin; `None` stands for a missing plugin.
    fn holds(&self, plugin: Option<&Value>) -> bool {
        let Some(plugin) = plugin else { return matches!(self, Condition::Deleted) };
        let flag = |name: &str| plugin.get(name).and_then(Value::as_bool).unwrap_or(false);
        let is_nothing = |name: &str| match plugin.get(name) {
            Some(Value::Array(items)) => items.is_empty(),
            value => value.is_none_or(Value::is_null),
        };
        match self {
            Condition::Active => flag("has_active_resources"),
            Condition::Released => {
                is_nothing("spawned_pids")
                    && is_nothing("container_id")
                    && !flag("billable")
                    && left_behind(plugin) == 0
            }
            Condition::Deleted => false,
            Condition::Configured => flag("is_configured"),
            Condition::Verified => path::at(plugin, "observed.alive").and_then(Value::as_u64).unwrap_or(0) > 0,
            Condition::NoFinding => {
                let resources = path::at(plugin, "observed.resources").and_then(Value::as_array);
                !resources.into_iter().flatten().any(|one| one.get("finding").is_some_and(|finding| !finding.is_null()))
            }
            Condition::Status(word) => path::raw(path::at(plugin, "remote_resource.status")) == *word,
            Condition::Path(path, wanted) => {
                path.query(plugin).all().iter().any(|found| path::raw(Some(found)) == *wanted)
            }
        }
    }
}

fn left_behind(plugin: &Value) -> u64 {
    path::at(plugin, "observed.left_behind").and_then(Value::as_u64).unwrap_or(0)
}

/// Waits, and prints the plugin when it is as wanted.
///
/// # Errors
///
/// If there is no such plugin, or it is not so in time, or the registry refuses the request.
pub async fn run(session: Session, args: &WaitArgs) -> anyhow::Result<u8> {
    let text = args.for_.as_ref().or(args.while_.as_ref()).cloned().unwrap_or_default();
    let (condition, wanted) = (Condition::parse(&text)?, args.for_.is_some());
    let timeout = Duration::try_from(length(&args.timeout)?)?;
    let (end, mut since) = (Instant::now() + timeout, None::<String>);
    loop {
        let plugin = match changed(&session, &args.id, since.as_deref(), end).await {
            Ok(plugin) => plugin,
            Err(error) if is_away(&error) && since.is_some() && Instant::now() < end => {
                tokio::time::sleep(super::RETRY).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        if plugin.is_none() && !matches!(condition, Condition::Deleted) {
            let what = format!("there is no plugin `{}`", args.id);
            let advice = Some("plugin-registry ls".to_owned());
            return Err(Failure { what, advice, code: exit_code::NOT_FOUND }.into());
        }
        if condition.holds(plugin.as_ref()) == wanted {
            if let Some(plugin) = &plugin {
                session.printer.one(&PLUGIN, plugin)?;
            }
            return Ok(0);
        }
        if Instant::now() >= end {
            let what = format!("{}: not {text} within {}", args.id, args.timeout);
            let what = if wanted { what } else { format!("{}: still {text} after {}", args.id, args.timeout) };
            let advice = Some(format!("plugin-registry get {}", args.id));
            return Err(Failure { what, advice, code: exit_code::TIMED_OUT }.into());
        }
        since = plugin.map(|plugin| path::raw(plugin.get("revision"))).or(since);
    }
}

/// The plugin, after it changed or a turn has passed; `None` if there is none.
pub(super) async fn changed(
    session: &Session,
    id: &str,
    since: Option<&str>,
    end: Instant,
) -> anyhow::Result<Option<Value>> {
    let now = Call::get(&["plugins", id]);
    if let Some(since) = since {
        let turn = TURN.min(end.saturating_duration_since(Instant::now()));
        let wait = format!("{}ms", turn.as_millis());
        let call = now.clone().with("since", since).with("wait", wait).patient(turn);
        match session.call(&call).await {
            Ok(answer) if answer.status != 304 => return Ok(Some(answer.json()?)),
            Ok(_) => {}
            Err(error) => return missing(error),
        }
    }
    match session.json(&now).await {
        Ok(plugin) => Ok(Some(plugin)),
        Err(error) => missing(error),
    }
}

fn missing(error: anyhow::Error) -> anyhow::Result<Option<Value>> {
    match error.downcast_ref::<ClientError>().and_then(ClientError::status) {
        Some(404) => Ok(None),
        _ => Err(error),
    }
}

fn is_away(error: &anyhow::Error) -> bool {
    error.downcast_ref::<ClientError>().is_some_and(ClientError::may_pass)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("active", true)]
    #[case("released", false)]
    #[case("deleted", false)]
    #[case("configured", false)]
    #[case("verified", true)]
    #[case("no-finding", false)]
    #[case("status=running", true)]
    #[case("status=stopped", false)]
    #[case("jsonpath=$.labels.stage=ready", true)]
    #[case("jsonpath=.labels.stage=new", false)]
    fn conditions_read_the_plugin(#[case] text: &str, #[case] is_so: bool) {
        let plugin = json!({
            "has_active_resources": true, "billable": true, "is_configured": false, "labels": { "stage": "ready" },
            "spawned_pids": [], "container_id": null, "remote_resource": { "status": "running" },
            "observed": { "alive": 1, "left_behind": 0, "resources": [{ "finding": { "finding": "overdue" } }] },
        });
        assert_eq!(Condition::parse(text).unwrap().holds(Some(&plugin)), is_so);
        assert_eq!(Condition::parse(text).unwrap().holds(None), text == "deleted");
    }
}
