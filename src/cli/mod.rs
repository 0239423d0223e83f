//! The command line.
//!
//! | file | command |
//! |---|---|
//! | [`serve`] | `serve`, and no command at all |
//! | [`access`] | the flags of `serve` for tokens and allowed hosts |
//! | [`probes`], [`tls`], [`limits`] | the flags of `serve` for probes, TLS and limits |
//! | [`token`] | `token create`, `list`, `revoke`, `generate` |
//! | [`agent`] | `agent` |
//! | [`doctor`] | `doctor` |
//! | [`exec`] | `exec` |
//! | [`mod@run`] | `run` |
//! | [`health`] | `health` |
//! | [`hold_lease`] | `hold-lease` |
//! | [`mcp`] | `mcp` |
//! | [`export`], [`import`] | `export`, `import`: move a registry from one kind of store to another |
//! | [`backup`], [`restore`] | `backup`, `restore`: a copy of everything that a restart would find |
//! | [`verify`] | `store verify` |
//! | [`verbs`] | the commands that ask a registry for people |
//! | [`session`], [`failure`] | what such a command works with, and how it fails |
//! | [`completion`] | `completion`, `man` |
//! | [`progress`] | how far a long command is |
//! | [`config_file`] | named contexts: registries and how to reach them |
//! | [`connection`] | the flags of commands that connect to a registry |
//! | [`credential`] | the flags for the token that a command sends |
//! | [`exit_code`] | the exit codes of commands that ask a registry |
//! | [`settings`] | the precedence of flag, environment and default; misspelt variables |
//! | [`listen`] | the addresses to listen on |
//! | [`metrics`], [`otlp`] | the flags for metrics and traces |
//! | [`output`] | the formats of `-o` |
//! | [`logging`], [`log_fields`], [`log_writer`] | how the log is written |
//! | [`signals`] | the signals that stop a process or change its log level |
//! | [`sd_notify`] | notifies systemd that the service is ready or stopping |
//! | [`atomic_file`] | replaces a file atomically, and writes to devices and pipes |

pub mod access;
pub mod agent;
pub mod atomic_file;
pub mod backup;
pub mod completion;
pub mod config_file;
pub mod connection;
pub mod credential;
pub mod doctor;
pub mod exec;
pub mod exit_code;
pub mod export;
pub mod failure;
pub mod health;
pub mod hold_lease;
pub mod import;
pub mod limits;
pub mod listen;
pub mod log_fields;
pub mod log_writer;
pub mod logging;
pub mod mcp;
pub mod metrics;
pub mod otlp;
pub mod output;
pub mod probes;
pub mod progress;
pub mod restore;
pub mod run;
pub mod sd_notify;
pub mod serve;
pub mod session;
pub mod settings;
pub mod signals;
pub mod tls;
pub mod token;
pub mod verbs;
pub mod verify;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// Registry of an application's plugins: what each plugin is, which resources it holds, and whether they still run.
///
/// Without a command, it serves.
#[derive(Debug, Parser)]
#[command(name = "plugin-registry", version, max_term_width = 100, args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  plugin-registry                                       serve on 127.0.0.1:8080, keep plugin-registry.db here
  plugin-registry serve --listen 0.0.0.0:8080 --store sqlite:/data/plugin-registry.db
  plugin-registry serve --store memory                  keep the registry in memory only
  plugin-registry serve --store postgres://registry@db.example/registry
                                                        run one of several replicas
  plugin-registry backup registry.backup                all that a restart would find
  plugin-registry export --output registry.ndjson       for `import` elsewhere
  plugin-registry status                                the registry on one screen
  plugin-registry ls --active                           plugins that hold resources right now
  plugin-registry findings                              what is wrong, and the next step

Every flag can also be set by an environment variable: PLUGIN_REGISTRY_LISTEN and so on.
A flag overrides its variable; an empty variable counts as not set.")]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Commands for people.
    #[command(flatten)]
    Verb(verbs::Verb),
    /// Serve the registry over HTTP.
    Serve(serve::ServeArgs),
    /// Run the agent of a host: probe its processes and containers, and report them to the registry. One agent a host.
    Agent(agent::AgentArgs),
    /// Run a command as a plugin, registered with its process ids while it runs.
    Exec(exec::ExecArgs),
    /// Run a command as a plugin with a guessed name: `exec` in short.
    Run(run::RunArgs),
    #[command(hide = true)]
    ExecMonitor(exec::monitor::MonitorArgs),
    #[command(hide = true)]
    ExecSupervisor(exec::supervisor::SupervisorArgs),
    #[command(hide = true)]
    ExecStart(exec::start::StartArgs),
    /// Serve the tools for AI agents over standard input and output, for clients that start their servers (MCP).
    Mcp(mcp::McpArgs),
    /// Renew a lease as long as a process lives.
    HoldLease(hold_lease::HoldLeaseArgs),
    /// Show which resources probes can see from here, and how to make the others visible.
    Doctor(doctor::DoctorArgs),
    /// Check that a running registry answers; exits with 0 if it does. For health checks of containers.
    Health(health::HealthArgs),
    /// Back up everything that a restart would find, secrets included, to a file. Servers may run meanwhile.
    Backup(backup::BackupArgs),
    /// Restore a backup into an empty store.
    Restore(restore::RestoreArgs),
    /// Export the registry to a file that every kind of store can import. Servers may run meanwhile.
    Export(export::ExportArgs),
    /// Import an export into an empty store.
    Import(import::ImportArgs),
    /// Create, list and revoke tokens.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Check a store.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Print the API description (OpenAPI 3.1).
    Openapi,
    /// Print the script that completes commands, flags and ids in a shell.
    Completion(completion::CompletionArgs),
    /// Print the manual, or write a page for each command.
    Man(completion::ManArgs),
}

impl Command {
    /// Whether the command writes a log, which then contains its warnings.
    fn has_log(&self) -> bool {
        matches!(self, Command::Serve(_) | Command::Agent(_) | Command::Exec(_))
    }
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Replay the journal, compare the result with the stored state, and print the digests of both.
    Verify(verify::VerifyArgs),
}

/// The commands that `exec` starts.
const PARTS_OF_EXEC: [&str; 3] = ["exec-monitor", "exec-supervisor", "exec-start"];

/// Help with the examples first.
const HELP: &str = "{about}{after-help}\n\n{usage-heading} {usage}\n\n{all-args}";

/// The command line, with the help of each command as people read it: `--help` on a screen, `--help-all` for the rest.
pub fn command() -> clap::Command {
    teaching(Cli::command())
}

fn teaching(command: clap::Command) -> clap::Command {
    let short = clap::Arg::new("help").short('h').long("help").action(clap::ArgAction::HelpShort).help("Print help.");
    let long = clap::Arg::new("help-all").long("help-all").action(clap::ArgAction::HelpLong).help("Print all flags.");
    let has_examples = command.get_after_help().is_some() && !command.has_subcommands();
    let command = command.disable_help_flag(true).arg(short).arg(long).mut_subcommands(teaching);
    if has_examples { command.help_template(HELP) } else { command }
}

/// Runs the command line of this process.
///
/// # Errors
///
/// The failure with its causes, for users.
pub fn run() -> anyhow::Result<ExitCode> {
    // A shell that completes a command line runs this program, too; then the process ends here.
    if std::env::var_os(completion::VARIABLE).is_some() {
        clap_complete::CompleteEnv::with_factory(command).var(completion::VARIABLE).complete();
    }
    let program = command();
    let args: Vec<_> = std::env::args_os().collect();
    // The parts of `exec` inherit its environment, and `exec` has already warned.
    if !args.get(1).is_some_and(|command| PARTS_OF_EXEC.iter().any(|part| command == part)) {
        settings::check(&program);
    }
    let matches = settings::settled(&program, &args).try_get_matches_from(&args);
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            // The exit code of `exec` itself distinguishes invalid flags from the end of the command.
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
        Some(Command::HoldLease(args)) => return hold_lease::run(&args),
        Some(Command::Mcp(args)) => {
            warn();
            return Ok(failure::report(mcp::run(&args)));
        }
        Some(Command::Run(args)) => return Ok(failure::report(run::run(&args))),
        Some(Command::Completion(args)) => return Ok(failure::report(completion::completion(&args))),
        Some(Command::Man(args)) => return Ok(failure::report(completion::man(&args, command()))),
        Some(Command::Verb(verb)) => {
            warn();
            return Ok(failure::report(verbs::run(&verb)));
        }
        command => run_command(command, cli.serve)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn run_command(command: Option<Command>, serve: serve::ServeArgs) -> anyhow::Result<()> {
    if command.as_ref().is_some_and(|command| !command.has_log()) {
        warn();
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
        // These commands set the exit code themselves.
        Some(
            Command::Exec(_)
            | Command::ExecMonitor(_)
            | Command::ExecStart(_)
            | Command::HoldLease(_)
            | Command::Mcp(_)
            | Command::Run(_)
            | Command::Completion(_)
            | Command::Man(_)
            | Command::Verb(_),
        ) => Ok(()),
    }
}

/// Warns of variables that have no effect.
fn warn() {
    for warning in settings::warnings() {
        // The command runs even if its warning cannot be written.
        drop(writeln!(std::io::stderr(), "plugin-registry: {warning}"));
    }
}

fn print_openapi() -> anyhow::Result<()> {
    let mut text = serde_json::to_vec_pretty(&crate::http::router::description())?;
    text.push(b'\n');
    std::io::stdout().write_all(&text).context("cannot write the API description")
}
