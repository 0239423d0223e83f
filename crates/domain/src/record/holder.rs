//! Who holds a plugin, and whether the holder lives.

use jiff::Timestamp;

use crate::lease::Lease;

/// What is known of the holder of a plugin.
#[derive(Debug, Clone, Copy)]
pub enum Holder<'a> {
    /// It has named no lease.
    None,
    /// It has named one that is not known.
    Unknown,
    /// It has this lease, which it has renewed last at this time.
    Lease(&'a Lease, Timestamp),
}
