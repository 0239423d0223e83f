//! The command line.
//!
//! | file | command |
//! |---|---|
//! | [`serve`] | `serve`, and no command at all |
//! | [`access`] | the flags of `serve` that are about who is let in |
//! | [`probes`], [`tls`], [`limits`] | the flags of `serve` that are about probes, TLS, and what clients may take |
//! | [`token`] | `token create`, `list`, `revoke`, `generate` |
//! | [`agent`] | `agent` |
//! | [`doctor`] | `doctor` |
//! | [`exec`] | `exec` |
//! | [`health`] | `health` |
//! | [`export`], [`import`] | `export`, `import`: a registry moved from one store to another |
//! | [`backup`], [`restore`] | `backup`, `restore`: all that a restart would find again |
//! | [`verify`] | `store verify` |
//! | [`connection`] | the flags of commands that speak to a registry |
//! | [`credential`] | the token that a command shows to the registry |
//! | [`settings`] | which counts: flag, environment, default; slips in the environment |
//! | [`listen`] | the addresses that are listened on |
//! | [`metrics`], [`otlp`] | the flags that are about metrics and traces |
//! | [`logging`], [`log_fields`], [`log_writer`] | how the log is written |
//! | [`signals`] | how a process is asked to end |
//! | [`sd_notify`] | telling systemd when requests are answered |
//! | [`atomic_file`] | files that are there whole or not at all; devices and pipes that are written to |

pub mod access;
pub mod agent;
pub mod atomic_file;
pub mod backup;
pub mod connection;
pub mod credential;
pub mod doctor;
pub mod exec;
pub mod export;
pub mod health;
pub mod import;
pub mod limits;
pub mod listen;
pub mod log_fields;
pub mod log_writer;
pub mod logging;
pub mod metrics;
pub mod otlp;
pub mod probes;
pub mod restore;
pub mod sd_notify;
pub mod serve;
pub mod settings;
pub mod signals;
pub mod tls;
pub mod token;
pub mod verify;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// Knows what every plugin of an application is, what it holds right now, and whether that is
/// still true.
///
/// Without a command, it serves.
#[derive(Debug, Parser)]
#[command(name = "plugin-registry", version, max_term_width = 100, args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  plugin-registry                                       serve on 127.0.0.1:8080, keep plugin-registry.db here
  plugin-registry serve --listen 0.0.0.0:8080 --store sqlite:/data/plugin-registry.db
  plugin-registry serve --store memory                  keep nothing
  plugin-registry serve --store postgres://registry@db.example/registry
                                                        be one of several replicas
  plugin-registry backup registry.backup                all that a restart would find again; `restore` reads it
  plugin-registry export --output registry.ndjson       what can be moved to another store; `import` reads it
  curl 'localhost:8080/plugins?active=true'             what holds resources right now

Every flag can be given as an environment variable, too: PLUGIN_REGISTRY_LISTEN and so on. A flag counts before its
variable; a variable that is empty counts as not set.")]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the registry over HTTP.
    Serve(serve::ServeArgs),
    /// Look at what a host holds, and report it to the registry. One on each host.
    Agent(agent::AgentArgs),
    /// Run a command as a plugin: registered, with its process ids, for as long as it runs.
    Exec(exec::ExecArgs),
    #[command(hide = true)]
    ExecMonitor(exec::monitor::MonitorArgs),
    #[command(hide = true)]
    ExecSupervisor(exec::supervisor::SupervisorArgs),
    #[command(hide = true)]
    ExecStart(exec::start::StartArgs),
    /// Tell what can be seen from here, and what to do about what cannot.
    Doctor(doctor::DoctorArgs),
    /// Ask a running registry whether it is alive; the exit code tells. For containers.
    Health(health::HealthArgs),
    /// Write all that a restart would find again to a file, secrets included, as of one moment, also while servers use it.
    Backup(backup::BackupArgs),
    /// Fill an empty store with a backup.
    Restore(restore::RestoreArgs),
    /// Write the registry to a file that any other store can import, as of one moment, also while servers use it.
    Export(export::ExportArgs),
    /// Fill an empty store with what was exported from any other.
    Import(import::ImportArgs),
    /// Say who may use the registry, and for what.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Look after a store.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Print the description of the API (OpenAPI 3.1).
    Openapi,
}

impl Command {
    /// Whether the command writes a log, where its warnings stand.
    fn has_log(&self) -> bool {
        matches!(self, Command::Serve(_) | Command::Agent(_) | Command::Exec(_))
    }
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Replay the journal and compare what it leads to with what is kept; print digests of both.
    Verify(verify::VerifyArgs),
}

/// The commands that `exec` starts.
const PARTS_OF_EXEC: [&str; 3] = ["exec-monitor", "exec-supervisor", "exec-start"];

/// Runs the command line of this process.
///
/// # Errors
///
/// What went wrong, for people, with its causes.
pub fn run() -> anyhow::Result<ExitCode> {
    let command = Cli::command();
    let args: Vec<_> = std::env::args_os().collect();
    // The parts of `exec` inherit its environment, of which it has warned itself.
    if !args.get(1).is_some_and(|command| PARTS_OF_EXEC.iter().any(|part| command == part)) {
        settings::check(&command);
    }
    let matches = settings::settled(&command, &args).try_get_matches_from(&args);
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            // It is its own exit code that tells a mistake in the flags of `exec` from an end of the command.
            let is_of_exec = args.get(1).is_some_and(|command| command == "exec");
            if is_of_exec && error.use_stderr() {
                error.print()?;
                return Ok(ExitCode::from(exec::OWN_FAILURE));
            }
            error.exit()
        }
    };
    match cli.command {
        Some(Command::Exec(args)) => return Ok(exec::run(&args)),
        Some(Command::ExecMonitor(args)) => return exec::monitor::run(&args),
        Some(Command::ExecStart(args)) => return Ok(exec::start::become_command(&args)),
        command => run_command(command, cli.serve)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn run_command(command: Option<Command>, serve: serve::ServeArgs) -> anyhow::Result<()> {
    if command.as_ref().is_some_and(|command| !command.has_log()) {
        for warning in settings::warnings() {
            // A warning that cannot be written is no reason to do nothing.
            drop(writeln!(std::io::stderr(), "plugin-registry: {warning}"));
        }
    }
    match command {
        None => serve::serve(serve),
        Some(Command::Serve(args)) => serve::serve(args),
        Some(Command::Agent(args)) => agent::run(&args),
        Some(Command::Doctor(args)) => doctor::run(&args),
        Some(Command::Health(args)) => health::check(&args),
        Some(Command::Backup(args)) => backup::backup(&args),
        Some(Command::Restore(args)) => restore::restore(&args),
        Some(Command::Export(args)) => export::export(&args),
        Some(Command::Import(args)) => import::import(&args),
        Some(Command::Token(command)) => token::run(&command),
        Some(Command::Store(StoreCommand::Verify(args))) => verify::verify(&args),
        Some(Command::ExecSupervisor(args)) => exec::supervisor::run(&args),
        Some(Command::Openapi) => print_openapi(),
        // Those that have an exit code of their own.
        Some(Command::Exec(_) | Command::ExecMonitor(_) | Command::ExecStart(_)) => Ok(()),
    }
}

fn print_openapi() -> anyhow::Result<()> {
    let mut text = serde_json::to_vec_pretty(&crate::http::router::description())?;
    text.push(b'\n');
    std::io::stdout().write_all(&text).context("the description could not be written")
}
