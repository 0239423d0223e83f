//! `ls`: plugins.

use clap::Args;

use super::filters::PluginFilters;
use super::follow;
use crate::cli::output::kind::PLUGIN;
use crate::cli::session::{Session, SessionArgs};
use crate::client::Call;

/// The flags of `ls`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry ls                             all plugins, those that hold something first
  plugin-registry ls --active category=inference
  plugin-registry ls label.team=speech -o wide
  plugin-registry ls --finding orphan -o name    ids only, for other commands

Next: plugin-registry get ID, plugin-registry resources")]
pub struct LsArgs {
    /// Which plugins.
    #[command(flatten)]
    filters: PluginFilters,
    /// Show all columns.
    #[arg(short, long)]
    all: bool,
    /// Go on, and print each plugin that changes.
    #[arg(short, long)]
    watch: bool,
    /// Sort by this field; `-updated_at` sorts in descending order. Default: active plugins first.
    #[arg(long, value_name = "FIELD", default_value = "-has_active_resources", hide_short_help = true)]
    sort: String,
    /// Print at most this many plugins.
    #[arg(long, value_name = "N", hide_short_help = true)]
    limit: Option<u32>,
    /// Show the plugins as they were at this revision or time (RFC 3339).
    #[arg(long, value_name = "REVISION|TIME", hide_short_help = true)]
    as_of: Option<String>,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// Lists plugins.
///
/// # Errors
///
/// If the registry is unreachable or refuses the request.
pub async fn run(mut session: Session, args: &LsArgs) -> anyhow::Result<u8> {
    session.printer = session.printer.widened(args.all);
    let mut call = Call::get(&["plugins"]).with_all(&args.filters.parameters()).with("sort", args.sort.clone());
    if let Some(moment) = &args.as_of {
        call = call.with("as_of", moment.clone());
    }
    if args.watch {
        follow::list(&session, &PLUGIN, &call).await?;
    } else {
        session.print_list(&PLUGIN, &call, args.limit).await?;
    }
    Ok(0)
}
