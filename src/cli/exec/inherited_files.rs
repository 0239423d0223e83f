//! The open files that this process was started with. They are the command's.
//!
//! The reader of a pipe waits for its end until the last process that could write to it has closed it. A wrapper that kept
//! its copies would hold up that end when the command closes its own, and keep a port in use that the command has given up.

use std::fs::{self, File, OpenOptions};
use std::os::fd::RawFd;

use nix::unistd::close;
use rustix::stdio::{dup2_stdin, dup2_stdout};

/// The files beyond standard input, output and error.
#[derive(Debug)]
pub struct InheritedFiles(Vec<RawFd>);

impl InheritedFiles {
    /// Finds them: before this process opens any of its own.
    pub fn find() -> InheritedFiles {
        let Ok(folder) = fs::read_dir("/proc/self/fd") else { return InheritedFiles(Vec::new()) };
        let numbers = folder.filter_map(|entry| {
            let entry = entry.ok()?;
            // The folder that is being read is open, too.
            let is_the_folder =
                fs::read_link(entry.path()).is_ok_and(|file| file.starts_with("/proc") && file.ends_with("fd"));
            let number = entry.file_name().to_str()?.parse().ok()?;
            (number > 2 && !is_the_folder).then_some(number)
        });
        InheritedFiles(numbers.collect())
    }

    /// Closes the copies of this process, when the command or the process that starts it has its own: standard input and
    /// output, too. Standard error stays, for the log.
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
