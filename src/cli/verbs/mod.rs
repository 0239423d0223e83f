//! Commands for people: each asks a registry over HTTP.
//!
//! | file | command |
//! |---|---|
//! | [`status`] | `status` |
//! | [`ls`], [`get`] | `ls`, `get` |
//! | [`resources`] | `resources`, `findings`, `hosts` |
//! | [`whois`] | `whois` |
//! | [`events`], [`watch`] | `events`, `history`, `watch` |
//! | [`costs`], [`budget`] | `costs`, `budget` |
//! | [`lease`] | `lease` |
//! | [`wait`] | `wait` |
//! | [`register`], [`change`] | `register`, `update`, `label`, `rm` |
//! | [`stop`] | `stop` |
//! | [`hold`], [`attention`] | `hold`, `release`, `ack`, `extend` |
//! | [`config`], [`webhook`] | `config`, `webhook` |
//! | [`api`] | `api`, `ui` |
//! | [`context`] | `login`, `logout`, `whoami`, `context` |
//! | [`filters`] | filters and times, as people write them |
//! | [`document`] | documents in files |
//! | [`event_line`] | an event on a line |
//! | [`difference`] | what differs between two documents |
//! | [`follow`] | `-w` |
//! | [`complete`] | values for the completion in shells |

pub mod api;
pub mod attention;
pub mod budget;
pub mod change;
pub mod complete;
pub mod config;
pub mod context;
pub mod costs;
pub mod difference;
pub mod document;
pub mod event_line;
pub mod events;
pub mod filters;
pub mod follow;
pub mod get;
pub mod hold;
pub mod lease;
pub mod ls;
pub mod register;
pub mod resources;
pub mod status;
pub mod stop;
pub mod wait;
pub mod watch;
pub mod webhook;
pub mod whois;

use std::future::Future;
use std::time::Duration;

use clap::Subcommand;

use super::session::{Session, SessionArgs};

/// The pause before a connection that broke is made again.
const RETRY: Duration = Duration::from_secs(1);

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show the registry on one screen: server, plugins, burn, findings, budgets, hosts.
    Status(Box<status::StatusArgs>),
    /// List plugins.
    Ls(Box<ls::LsArgs>),
    /// Show one plugin, or several.
    Get(Box<get::GetArgs>),
    /// Register a plugin, or many from a file.
    Register(Box<register::RegisterArgs>),
    /// Change fields of a plugin.
    Update(Box<change::UpdateArgs>),
    /// Set and remove labels of a plugin.
    Label(Box<change::LabelArgs>),
    /// Remove plugins.
    Rm(Box<change::RmArgs>),
    /// Add a process, a container or a remote resource to what a plugin holds.
    Hold(Box<hold::HoldArgs>),
    /// Release resources that are over, by name or all that were seen gone.
    Release(Box<hold::ReleaseArgs>),
    /// Ask to stop what a plugin holds.
    Stop(Box<stop::StopArgs>),
    /// Acknowledge a finding for a time.
    Ack(Box<attention::AckArgs>),
    /// Set until when a resource is meant to be held.
    Extend(Box<attention::ExtendArgs>),
    /// List what plugins hold: processes, containers, remote resources.
    Resources(Box<resources::ResourcesArgs>),
    /// List what is wrong, with the evidence and the next step.
    Findings(Box<resources::FindingsArgs>),
    /// List the hosts, and what looks at each.
    Hosts(Box<resources::HostsArgs>),
    /// Find the plugin that holds a process, a container, an instance, a URL or a port.
    Whois(Box<whois::WhoisArgs>),
    /// Print changes as they happen.
    Watch(Box<watch::WatchArgs>),
    /// List past changes.
    Events(Box<events::EventsArgs>),
    /// Show the changes of one plugin.
    History(Box<events::HistoryArgs>),
    /// Show what plugins cost.
    Costs(Box<costs::CostsArgs>),
    /// List, set and remove budgets.
    #[command(subcommand)]
    Budget(budget::BudgetCommand),
    /// List, take, renew and release leases.
    #[command(subcommand)]
    Lease(lease::LeaseCommand),
    /// Read, save, edit and check the configuration of a plugin.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// List, create, test, switch and remove webhooks.
    #[command(subcommand)]
    Webhook(webhook::WebhookCommand),
    /// Wait until a plugin is as wanted.
    Wait(Box<wait::WaitArgs>),
    /// Check a token, and keep it for later commands.
    Login(Box<context::LoginArgs>),
    /// Forget the token of a context.
    Logout(context::LogoutArgs),
    /// Show who the registry takes you for.
    Whoami(Box<context::WhoamiArgs>),
    /// List, choose, add and remove contexts: registries by name.
    #[command(subcommand)]
    Context(context::ContextCommand),
    /// Open the dashboard.
    Ui(Box<api::UiArgs>),
    /// Send any request, with the token of the context.
    Api(Box<api::ApiArgs>),
}

/// Runs a command to its end, or until Ctrl-C.
///
/// # Errors
///
/// Why it failed.
pub fn run(verb: &Verb) -> anyhow::Result<u8> {
    match verb {
        Verb::Status(args) => asking(&args.session, |session| status::run(session, args)),
        Verb::Ls(args) => asking(&args.session, |session| ls::run(session, args)),
        Verb::Get(args) => asking(&args.session, |session| get::run(session, args)),
        Verb::Resources(args) => asking(&args.session, |session| resources::run(session, args)),
        Verb::Findings(args) => asking(&args.session, |session| resources::findings(session, args)),
        Verb::Hosts(args) => asking(&args.session, |session| resources::hosts(session, args)),
        Verb::Whois(args) => asking(&args.session, |session| whois::run(session, args)),
        Verb::Watch(args) => asking(&args.session, |session| watch::run(session, args)),
        Verb::Events(args) => asking(&args.session, |session| events::run(session, args)),
        Verb::History(args) => asking(&args.session, |session| events::history(session, args)),
        Verb::Costs(args) => asking(&args.session, |session| costs::run(session, args)),
        Verb::Budget(command) => asking(command.session(), |session| budget::run(session, command)),
        Verb::Lease(command) => asking(command.session(), |session| lease::run(session, command)),
        Verb::Wait(args) => asking(&args.session, |session| wait::run(session, args)),
        Verb::Login(args) => within_runtime(context::login(args)),
        Verb::Logout(args) => context::logout(args),
        Verb::Whoami(args) => asking(&args.session, |session| context::whoami(session, args)),
        Verb::Context(command) => context::run(command),
        Verb::Register(args) => asking(&args.session, |session| register::run(session, args)),
        Verb::Update(args) => asking(&args.session, |session| change::update(session, args)),
        Verb::Label(args) => asking(&args.session, |session| change::label(session, args)),
        Verb::Rm(args) => asking(&args.session, |session| change::remove(session, args)),
        Verb::Hold(args) => asking(&args.session, |session| hold::hold(session, args)),
        Verb::Release(args) => asking(&args.session, |session| hold::release(session, args)),
        Verb::Stop(args) => asking(&args.session, |session| stop::run(session, args)),
        Verb::Ack(args) => asking(&args.session, |session| attention::acknowledge(session, args)),
        Verb::Extend(args) => asking(&args.session, |session| attention::extend(session, args)),
        Verb::Config(command) => asking(command.session(), |session| config::run(session, command)),
        Verb::Webhook(command) => asking(command.session(), |session| webhook::run(session, command)),
        Verb::Ui(args) => api::ui(&args.session.open()?, args),
        Verb::Api(args) => asking(&args.session, |session| api::run(session, args)),
    }
}

fn asking<F: Future<Output = anyhow::Result<u8>>>(
    args: &SessionArgs,
    command: impl FnOnce(Session) -> F,
) -> anyhow::Result<u8> {
    let session = args.open()?;
    within_runtime(command(session))
}

fn within_runtime(command: impl Future<Output = anyhow::Result<u8>>) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(command)
}
