//! `ack` and `extend`: answers to findings.

use clap::Args;
use hyper::Method;
use serde_json::{Value, json};

use super::filters::{future, resource};
use crate::cli::output::kind::PLUGIN;
use crate::cli::session::{Session, SessionArgs};
use crate::client::Call;

/// A resource of a plugin.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// The plugin's unique_id.
    #[arg(value_name = "ID", add = super::complete::plugins())]
    id: String,
    /// The resource, as `plugin-registry resources` lists it, such as process:4711.
    #[arg(value_name = "KIND:X", value_parser = resource)]
    resource: (String, String),
    /// The host of the resource, if its plugin left it behind on a former host.
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    host: Option<String>,
}

/// The flags of `ack`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry ack inference_llm remote:i-0abcd1234 --reason 'kept for the night' --for 12h
  plugin-registry ack inference_llm remote:i-0abcd1234 --end

The finding stays listed; until then, no count, exit code or webhook has it.")]
pub struct AckArgs {
    /// Which resource.
    #[command(flatten)]
    target: Target,
    /// The reason, for people.
    #[arg(long, value_name = "TEXT", required_unless_present = "end")]
    reason: Option<String>,
    /// Until when: 12h, 7d, or RFC 3339.
    #[arg(long = "for", value_name = "TIME", default_value = "1d")]
    until: String,
    /// End the acknowledgement.
    #[arg(long, conflicts_with = "reason")]
    end: bool,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// The flags of `extend`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry extend inference_llm process:4711 --for 2h
  plugin-registry extend inference_llm process:4711 --never

After that time, the registry raises the finding `overdue`. It stops nothing.")]
pub struct ExtendArgs {
    /// Which resource.
    #[command(flatten)]
    target: Target,
    /// Until when it is meant to be held: 2h, 7d, or RFC 3339.
    #[arg(long = "for", value_name = "TIME", required_unless_present = "never")]
    until: Option<String>,
    /// Without an end.
    #[arg(long, conflicts_with = "until")]
    never: bool,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

impl Target {
    fn call(&self, method: Method, what: &str) -> Call {
        let (kind, id) = &self.resource;
        let call = Call::new(method, &["resources", &self.id, kind, id, what]);
        match &self.host {
            Some(host) => call.with("host", host.clone()),
            None => call,
        }
    }
}

/// Acknowledges a finding.
///
/// # Errors
///
/// If the registry is unreachable or refuses the request.
pub async fn acknowledge(session: Session, args: &AckArgs) -> anyhow::Result<u8> {
    let until = future(&args.until, session.printer.moments().now())?.to_string();
    let call = if args.end {
        args.target.call(Method::DELETE, "acknowledgement")
    } else {
        let body = json!({ "reason": args.reason, "until": until });
        args.target.call(Method::PUT, "acknowledgement").json(&body)
    };
    print(&session, &call).await
}

/// Sets until when a resource is meant to be held.
///
/// # Errors
///
/// If the registry is unreachable or refuses the request.
pub async fn extend(session: Session, args: &ExtendArgs) -> anyhow::Result<u8> {
    let call = match &args.until {
        Some(until) => {
            let until = future(until, session.printer.moments().now())?.to_string();
            args.target.call(Method::PUT, "expires_at").json(&json!({ "expires_at": until }))
        }
        None => args.target.call(Method::DELETE, "expires_at"),
    };
    print(&session, &call).await
}

async fn print(session: &Session, call: &Call) -> anyhow::Result<u8> {
    let plugin: Value = session.json(call).await?;
    session.printer.one(&PLUGIN, &plugin)?;
    Ok(0)
}
