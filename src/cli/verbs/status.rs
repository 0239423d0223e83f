//! `status`: one screen.

use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value, json};

use super::complete::FINDINGS;
use crate::cli::exit_code;
use crate::cli::output::kind::{Kind, PLUGIN};
use crate::cli::output::{path, text};
use crate::cli::session::{Session, SessionArgs};
use crate::client::{Call, ClientError};

/// The whole screen is one document.
const STATUS: Kind = Kind { plural: "states", columns: PLUGIN.columns, name: &["server"] };

/// The flags of `status`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry status
  plugin-registry status --exit-code             8 if something needs you: findings, a spent budget, a store that rejects writes
  plugin-registry status -o json

Next: plugin-registry findings, plugin-registry ls --active")]
pub struct StatusArgs {
    /// End with 8 if something needs you.
    #[arg(long)]
    exit_code: bool,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// Shows the state of the registry.
///
/// # Errors
///
/// If the registry is unreachable or refuses the request.
pub async fn run(session: Session, args: &StatusArgs) -> anyhow::Result<u8> {
    let stats = session.json(&Call::get(&["stats"])).await?;
    let ready = session.json(&Call::get(&["readyz"])).await?;
    let costs = session.json(&Call::get(&["costs"]).with("from", "1970-01-01T00:00:00Z")).await?;
    let findings =
        session.whole_list(&Call::get(&["resources"]).with("finding", FINDINGS).with("acknowledged", "false")).await?;
    let budgets = session.json(&Call::get(&["budgets"])).await?;
    let hosts = match session.whole_list(&Call::get(&["hosts"])).await {
        Ok(hosts) => hosts,
        // A registry of an earlier version.
        Err(error) if error.downcast_ref::<ClientError>().and_then(ClientError::status) == Some(404) => Value::Null,
        Err(error) => return Err(error),
    };
    let document = json!({
        "server": session.client.server().as_str(),
        "ready": ready, "stats": stats, "costs": costs, "findings": findings.get("items"), "budgets": budgets.get("items"),
        "hosts": hosts.get("items"),
    });
    let needs = needs(&document);
    if session.printer.is_for_people() {
        session.printer.text(&screen(&document, &needs))?;
    } else {
        session.printer.one(&STATUS, &document)?;
    }
    Ok(if args.exit_code && !needs.is_empty() { exit_code::FOUND } else { 0 })
}

fn items<'a>(document: &'a Value, name: &str) -> &'a [Value] {
    document.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// What needs the operator, and the command that shows it.
fn needs(document: &Value) -> Vec<String> {
    let mut needs = Vec::new();
    let findings = items(document, "findings").len();
    if findings > 0 {
        needs.push(format!("{}: plugin-registry findings", counted(findings, "finding")));
    }
    let is_spent = |budget: &&Value| budget.get("spent_percent").and_then(Value::as_u64).unwrap_or(0) >= 100;
    let spent = items(document, "budgets").iter().filter(is_spent).count();
    if spent > 0 {
        needs.push(format!("{} spent: plugin-registry budget ls", counted(spent, "budget")));
    }
    let is_over = |budget: &&Value| budget.get("over_limit_per_hour") == Some(&Value::Bool(true));
    let over = items(document, "budgets").iter().filter(is_over).count();
    if over > 0 {
        needs.push(format!("{} above the limit of an hour: plugin-registry budget ls", counted(over, "budget")));
    }
    if path::raw(path::at(document, "ready.status")) == "read_only" {
        needs.push(format!("the store rejects writes: {}", path::raw(path::at(document, "ready.reason"))));
    }
    let is_blind = |host: &&Value| {
        let count = |name: &str| host.get(name).and_then(Value::as_u64).unwrap_or(0);
        host.get("looked_at") == Some(&Value::Bool(false)) && count("processes") + count("containers") > 0
    };
    let blind = items(document, "hosts").iter().filter(is_blind).count();
    if blind > 0 {
        needs.push(format!("{} without an agent: plugin-registry hosts", counted(blind, "host")));
    }
    needs
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn screen(document: &Value, needs: &[String]) -> String {
    let at = |field: &str| text::one_line(&path::raw(path::at(document, field))).into_owned();
    let usd = |field: &str| path::at(document, field).and_then(Value::as_f64).unwrap_or(0.0);
    let hosts = items(document, "hosts");
    let watched = hosts.iter().filter(|host| host.get("looked_at") == Some(&Value::Bool(true))).count();
    let mut lines = vec![
        ("server", format!("{} ({}, revision {})", at("server"), at("ready.status"), at("stats.revision"))),
        ("plugins", format!("{}, {} active", at("stats.total"), at("stats.with_active_resources"))),
        ("burn", format!("{:.2} USD/h for {} billable", usd("costs.burn_usd_per_hour"), at("costs.billable"))),
        ("spent", format!("{:.2} to {:.2} USD in all", usd("costs.accrued.low_usd"), usd("costs.accrued.high_usd"))),
        ("findings", items(document, "findings").len().to_string()),
        ("budgets", items(document, "budgets").len().to_string()),
    ];
    if document.get("hosts").is_some_and(|hosts| !hosts.is_null()) {
        lines.push(("hosts", format!("{}, {watched} looked at", hosts.len())));
    }
    let mut screen = String::new();
    for (name, value) in lines {
        // Writing to a String cannot fail.
        let _written = writeln!(screen, "{name:<10}{value}");
    }
    for need in needs {
        let _written = writeln!(screen, "! {}", text::one_line(need));
    }
    screen
}
