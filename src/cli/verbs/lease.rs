//! `lease ls`, `take`, `renew` and `release`.

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::json;

use super::resources::simple;
use crate::cli::output::kind::LEASE;
use crate::cli::session::{Session, SessionArgs};
use crate::client::Call;
use crate::liveness::host::this_host;

/// The commands of `lease`.
#[derive(Debug, Clone, Subcommand)]
pub enum LeaseCommand {
    /// List the leases.
    Ls(LeaseLsArgs),
    /// Take a lease, and print it.
    Take(LeaseTakeArgs),
    /// Renew a lease once.
    Renew(LeaseIdArgs),
    /// Release a lease: a clean end.
    Release(LeaseIdArgs),
}

/// The flags of `lease ls`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry lease ls --state lost
  plugin-registry lease ls -o name

Next: plugin-registry findings --finding orphan")]
pub struct LeaseLsArgs {
    /// Leases in this state: active, lost or released.
    #[arg(long, add = super::complete::lease_states())]
    state: Option<String>,
    /// Leases of holders on this host.
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Go on, and print each lease that changes.
    #[arg(short, long)]
    watch: bool,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// The flags of `lease take`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  LEASE=$(plugin-registry lease take --holder trainer -o name)

Next: plugin-registry hold-lease --lease $LEASE --for-pid $$ &")]
pub struct LeaseTakeArgs {
    /// The application that holds it, for people.
    #[arg(long, value_name = "NAME")]
    holder: String,
    /// The host of the application. Default: this machine's name.
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// How long it lasts without a renewal, 5 to 3600 seconds.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    ttl: u32,
    /// What becomes of what was claimed under it and is gone, once it has ended: mark or prune.
    #[arg(long, value_name = "WORD")]
    on_gone: Option<String>,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// The flags of `lease renew` and `lease release`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry lease renew cec223e4f5a949c1bfd7fbe50f04712d
  plugin-registry lease release cec223e4f5a949c1bfd7fbe50f04712d")]
pub struct LeaseIdArgs {
    /// The id of the lease.
    #[arg(value_name = "ID")]
    id: String,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

impl LeaseCommand {
    /// How it connects and prints.
    pub fn session(&self) -> &SessionArgs {
        match self {
            LeaseCommand::Ls(args) => &args.session,
            LeaseCommand::Take(args) => &args.session,
            LeaseCommand::Renew(args) | LeaseCommand::Release(args) => &args.session,
        }
    }
}

/// Runs a command of `lease`.
///
/// # Errors
///
/// If the registry is unreachable or refuses the request.
pub async fn run(session: Session, command: &LeaseCommand) -> anyhow::Result<u8> {
    match command {
        LeaseCommand::Ls(args) => {
            let mut call = Call::get(&["leases"]);
            for (name, value) in [("state", &args.state), ("host", &args.host)] {
                if let Some(value) = value {
                    call = call.with(name, value.clone());
                }
            }
            return simple(&session, &LEASE, &call, args.watch).await;
        }
        LeaseCommand::Take(args) => {
            let host = args.host.clone().unwrap_or_else(this_host);
            let body = json!({
                "holder": args.holder, "host": host, "ttl_seconds": args.ttl, "on_gone": args.on_gone,
            });
            print(&session, &Call::new(Method::POST, &["leases"]).json(&body)).await?;
        }
        LeaseCommand::Renew(args) => {
            print(&session, &Call::new(Method::PUT, &["leases", &args.id]).json(&json!({}))).await?;
        }
        LeaseCommand::Release(args) => {
            session.call(&Call::new(Method::DELETE, &["leases", &args.id])).await?;
            session.printer.say(&format!("released lease {}", args.id));
        }
    }
    Ok(0)
}

async fn print(session: &Session, call: &Call) -> anyhow::Result<()> {
    let lease = session.json(call).await?;
    Ok(session.printer.one(&LEASE, &lease)?)
}
