//! The holder of a plugin, and whether it is alive.

use jiff::Timestamp;

use crate::lease::Lease;

/// The holder of a plugin.
#[derive(Debug, Clone, Copy)]
pub enum Holder<'a> {
    /// The plugin names no lease.
    None,
    /// The plugin names an unknown lease.
    Unknown,
    /// The holder has this lease, and last renewed it at this time.
    Lease(&'a Lease, Timestamp),
}
