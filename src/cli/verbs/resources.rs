//! `resources`, `findings` and `hosts`.

use clap::Args;
use serde_json::Value;

use super::complete::FINDINGS;
use super::filters::{Parameters, word};
use super::follow;
use crate::cli::exit_code;
use crate::cli::output::kind::{FINDING, HOST, Kind, RESOURCE};
use crate::cli::session::{Session, SessionArgs};
use crate::client::Call;

/// The flags of `resources`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry resources                      processes, containers and remote resources
  plugin-registry resources --kind remote billable=true
  plugin-registry resources --host gpu-1 -o csv

Next: plugin-registry findings, plugin-registry release ID KIND:X")]
pub struct ResourcesArgs {
    /// Which resources.
    #[command(flatten)]
    filters: ResourceFilters,
    /// Go on, and print each resource that changes.
    #[arg(short, long)]
    watch: bool,
    /// Print at most this many resources.
    #[arg(long, value_name = "N", hide_short_help = true)]
    limit: Option<u32>,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// Filters of resources.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Filters")]
pub struct ResourceFilters {
    /// Filters of the API, such as `billable=true` or `claim=left_behind`.
    #[arg(value_name = "FILTER", value_parser = word)]
    words: Vec<(String, String)>,
    /// Resources of this kind: process, container or remote.
    #[arg(long, add = super::complete::kinds())]
    kind: Option<String>,
    /// Resources on this host.
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Resources of this plugin.
    #[arg(long, value_name = "ID", add = super::complete::plugins())]
    plugin: Option<String>,
    /// Resources with this finding: orphan, ghost, reused, unverified or overdue.
    #[arg(long, add = super::complete::findings())]
    finding: Vec<String>,
}

impl ResourceFilters {
    fn parameters(&self) -> Parameters {
        let mut parameters = self.words.clone();
        for (name, value) in [("kind", &self.kind), ("host", &self.host), ("plugin", &self.plugin)] {
            parameters.extend(value.clone().map(|value| (name.to_owned(), value)));
        }
        if !self.finding.is_empty() {
            parameters.push(("finding".to_owned(), self.finding.join(",")));
        }
        parameters
    }
}

/// Lists resources.
///
/// # Errors
///
/// If the registry is unreachable or refuses the request.
pub async fn run(session: Session, args: &ResourcesArgs) -> anyhow::Result<u8> {
    let call = Call::get(&["resources"]).with_all(&args.filters.parameters());
    if args.watch {
        follow::list(&session, &RESOURCE, &call).await?;
    } else {
        session.print_list(&RESOURCE, &call, args.limit).await?;
    }
    Ok(0)
}

/// The flags of `findings`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry findings                       what is wrong, since when, and the next step
  plugin-registry findings --exit-code           for cron and CI: 8 if there are any
  plugin-registry findings --finding orphan -o name

Next: plugin-registry release ID KIND:X, plugin-registry ack ID KIND:X --reason …")]
pub struct FindingsArgs {
    /// Which resources.
    #[command(flatten)]
    filters: ResourceFilters,
    /// Also list findings that a client has acknowledged.
    #[arg(long)]
    acknowledged: bool,
    /// End with 8 if there are findings.
    #[arg(long)]
    exit_code: bool,
    /// Go on, and print each new finding.
    #[arg(short, long)]
    watch: bool,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// Lists findings.
///
/// # Errors
///
/// If the registry is unreachable or refuses the request.
pub async fn findings(session: Session, args: &FindingsArgs) -> anyhow::Result<u8> {
    let mut call = Call::get(&["resources"]).with_all(&args.filters.parameters());
    if args.filters.finding.is_empty() {
        call = call.with("finding", FINDINGS);
    }
    if !args.acknowledged {
        call = call.with("acknowledged", "false");
    }
    if args.watch {
        follow::list(&session, &FINDING, &call).await?;
    }
    let document = session.whole_list(&call).await?;
    let is_any = document.get("items").and_then(Value::as_array).is_some_and(|items| !items.is_empty());
    session.printer.whole_list(&FINDING, document)?;
    Ok(if args.exit_code && is_any { exit_code::FOUND } else { 0 })
}

/// The flags of `hosts`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry hosts                          hosts that nothing looks at come first
  plugin-registry hosts -o json

Next: plugin-registry agent, on a host that nothing looks at")]
pub struct HostsArgs {
    /// Go on, and print each host that changes.
    #[arg(short, long)]
    watch: bool,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// Lists hosts.
///
/// # Errors
///
/// If the registry is unreachable or refuses the request.
pub async fn hosts(session: Session, args: &HostsArgs) -> anyhow::Result<u8> {
    simple(&session, &HOST, &Call::get(&["hosts"]), args.watch).await
}

/// Lists, or follows.
///
/// # Errors
///
/// If the registry is unreachable or refuses the request.
pub async fn simple(session: &Session, kind: &'static Kind, call: &Call, watch: bool) -> anyhow::Result<u8> {
    if watch {
        follow::list(session, kind, call).await?;
    } else {
        session.print_list(kind, call, None).await?;
    }
    Ok(0)
}
