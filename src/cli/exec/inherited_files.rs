//! The open files that this process inherited. They belong to the command.
//!
//! The reader of a pipe waits for its end until the last process that could write to it closes it. A wrapper that kept
//! its copies would delay that end after the command closes its own. It would also keep a port in use that the command
//! has closed.

use std::fs::{self, File, OpenOptions};
use std::os::fd::RawFd;

use nix::unistd::close;
use rustix::stdio::{dup2_stdin, dup2_stdout};

/// The files beyond standard input, output and error.
#[derive(Debug)]
pub struct InheritedFiles(Vec<RawFd>);

impl InheritedFiles {
    /// Finds the files. The caller does this before the process opens any of its own.
    pub fn find() -> InheritedFiles {
        let Ok(folder) = fs::read_dir("/proc/self/fd") else { return InheritedFiles(Vec::new()) };
        let numbers = folder.filter_map(|entry| {
            let entry = entry.ok()?;
            // This folder itself is open, too.
            let is_the_folder =
                fs::read_link(entry.path()).is_ok_and(|file| file.starts_with("/proc") && file.ends_with("fd"));
            let number = entry.file_name().to_str()?.parse().ok()?;
            (number > 2 && !is_the_folder).then_some(number)
        });
        InheritedFiles(numbers.collect())
    }

    /// Closes the copies of this process, standard input and output included. The caller does this once the command, or
    /// the process that starts it, has its own. Standard error stays open, for the log.
    pub fn release(self) {
        for file in self.0 {
            let _ignored = close(file);
        }
        let nothing: std::io::Result<File> = OpenOptions::new().read(true).write(true).open("/dev/null");
        if let Ok(nothing) = nothing {
            let _ignored = dup2_stdin(&nothing);
            let _ignored = dup2_stdout(&nothing);
        }
    }
}
