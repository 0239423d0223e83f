//! `completion` and `man`: scripts for shells, and manual pages.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Command};
use clap_complete::env::Shells;

/// The variable that makes this program complete a command line.
pub const VARIABLE: &str = "COMPLETE";

/// The flags of `completion`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  source <(plugin-registry completion bash)            in ~/.bashrc
  source <(plugin-registry completion zsh)             in ~/.zshrc
  plugin-registry completion fish | source             in ~/.config/fish/config.fish

Printing the script asks no registry. Completing an id does, for at most 300 ms.")]
pub struct CompletionArgs {
    /// The shell: bash, zsh, fish, elvish or powershell.
    #[arg(value_name = "SHELL", value_parser = ["bash", "zsh", "fish", "elvish", "powershell"])]
    shell: String,
}

/// The flags of `man`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry man | man -l -
  plugin-registry man --out /usr/local/share/man/man1")]
pub struct ManArgs {
    /// Write a page for each command into this folder, instead of printing the page of the program.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Prints the script of a shell.
///
/// # Errors
///
/// If standard output is closed.
pub fn completion(args: &CompletionArgs) -> anyhow::Result<u8> {
    let shells = Shells::builtins();
    let shell = shells.completer(&args.shell).context("there is no such shell")?;
    let mut script = Vec::new();
    for name in ["plugin-registry", "plr"] {
        shell.write_registration(VARIABLE, name, name, name, &mut script)?;
    }
    std::io::stdout().write_all(&script)?;
    Ok(0)
}

/// Prints or writes the manual.
///
/// # Errors
///
/// If it cannot be written.
pub fn man(args: &ManArgs, command: Command) -> anyhow::Result<u8> {
    match &args.out {
        Some(folder) => {
            std::fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(command, folder))
                .with_context(|| format!("cannot write the pages to {}", folder.display()))?;
        }
        None => clap_mangen::Man::new(command).render(&mut std::io::stdout())?,
    }
    Ok(0)
}
