//! The progress of long commands, on standard error: a bar on a terminal, otherwise a line every ten seconds.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::exit_code::INTERRUPTED;

/// How often a line is written where there is no terminal.
const RHYTHM: Duration = Duration::from_secs(10);

/// Ends the process with 130 when Ctrl-C is pressed, and says what that means.
///
/// The commands that use it change their store in one transaction, and replace a file when it is complete.
pub fn say_when_interrupted(what: &'static str) {
    std::thread::spawn(move || {
        // Without a runtime, Ctrl-C ends the process silently.
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            drop(writeln!(std::io::stderr(), "\ninterrupted: {what}"));
            std::process::exit(i32::from(INTERRUPTED));
        }
    });
}

/// How far a command is.
#[derive(Debug)]
pub struct Progress {
    noun: &'static str,
    bar: Option<ProgressBar>,
    is_quiet: bool,
    done: u64,
    said_at: Instant,
}

impl Progress {
    /// Nothing is done yet. `total` is missing if it is not known.
    pub fn new(noun: &'static str, total: Option<u64>, is_quiet: bool) -> Progress {
        let is_shown = !is_quiet && std::io::stderr().is_terminal();
        let bar = is_shown.then(|| {
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
            let template = match total {
                Some(_) => "{bar:30} {human_pos}/{human_len} {prefix} {per_sec} {eta} {msg}",
                None => "{spinner} {human_pos} {prefix} {per_sec} {msg}",
            };
            // A template that is wrong shows the default one.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.with_prefix(noun)
        });
        Progress { noun, bar, is_quiet, done: 0, said_at: Instant::now() }
    }

    /// So much more is done.
    pub fn add(&mut self, count: u64, message: &str) {
        self.done += count;
        if let Some(bar) = &self.bar {
            bar.set_message(message.to_owned());
            bar.inc(count);
            return;
        }
        if !self.is_quiet && self.said_at.elapsed() >= RHYTHM {
            self.said_at = Instant::now();
            let separator = if message.is_empty() { "" } else { ": " };
            // A command goes on if its progress cannot be written.
            drop(writeln!(std::io::stderr(), "{} {}{separator}{message}", self.done, self.noun));
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
