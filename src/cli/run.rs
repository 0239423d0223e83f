//! `plugin-registry run`: `exec` with a guessed name.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use clap::Args;

use super::connection::ConnectionArgs;

/// The category of commands that are run without one.
const CATEGORY: &str = "command";

/// The flags of `run`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry run -- python train.py         as the plugin command_python
  plugin-registry run --name trainer -- python train.py

`plugin-registry exec` has more flags. Next: plugin-registry ls --active")]
pub struct RunArgs {
    /// The plugin's category. Default: command.
    #[arg(long)]
    category: Option<String>,
    /// The plugin's name. Default: the name of the program.
    #[arg(long)]
    name: Option<String>,
    /// A label; can be given many times.
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// Which registry.
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The command, after `--`.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Becomes `exec`, which passes its own command line on to its parts.
///
/// # Errors
///
/// If this program cannot be started again.
pub fn run(args: &RunArgs) -> anyhow::Result<u8> {
    let program = args.command.first().context("a command is missing")?;
    let mut exec = Command::new("/proc/self/exe");
    exec.arg0("plugin-registry").arg("exec");
    if args.category.is_none() {
        exec.args(["--category", CATEGORY]);
    }
    if args.name.is_none() {
        exec.arg("--name").arg(Path::new(program).file_name().unwrap_or(program));
    }
    Err(exec.args(std::env::args_os().skip(2)).exec()).context("cannot start exec")
}
