//! The exit codes of commands that ask a registry.
//!
//! `exec` has its own, because it ends as its command does; the commands on a store end with 0 or 1.

use crate::client::ClientError;

/// The registry refused the request, or the command failed.
pub const FAILED: u8 = 1;
/// What the user wrote is invalid.
pub const USAGE: u8 = 2;
/// There is no such plugin, lease, budget …
pub const NOT_FOUND: u8 = 3;
/// The request needs a token, or another one.
pub const NOT_ALLOWED: u8 = 4;
/// The request conflicts with the registry's state, or a precondition does not hold.
pub const CONFLICT: u8 = 5;
/// No registry answers.
pub const UNREACHABLE: u8 = 6;
/// `wait` gave up.
pub const TIMED_OUT: u8 = 7;
/// With `--exit-code`: something was found.
pub const FOUND: u8 = 8;
/// Interrupted by Ctrl-C, as in a shell.
pub const INTERRUPTED: u8 = 130;

/// The exit code after a failed call.
pub fn of(error: &ClientError) -> u8 {
    match error {
        ClientError::Refused { status, .. } => match status {
            401 | 403 => NOT_ALLOWED,
            404 | 410 => NOT_FOUND,
            409 | 412 => CONFLICT,
            502..=504 => UNREACHABLE,
            _ => FAILED,
        },
        ClientError::Unreachable { .. } | ClientError::NotARegistry { .. } => UNREACHABLE,
        ClientError::Address { .. } | ClientError::Security(_) | ClientError::Answer(_) => FAILED,
    }
}
