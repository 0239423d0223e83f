//! Extractors: the parts of a request that handlers use.
//!
//! | file | idea |
//! |---|---|
//! | [`body`] | JSON bodies and merge patches |
//! | [`path`], [`params`] | ids in paths; the query |
//! | [`conditional`] | If-Match and If-None-Match |
//! | [`idempotency`] | Idempotency-Key |
//! | [`negotiate`] | Accept |
//! | [`principal`], [`reason`] | the caller, and why it makes a change |
//! | [`snapshot`] | the snapshot that the request reads |
//! | [`work_caller`] | whose turn it is when the request takes long |
//! | [`mod@write`] | the parts that all writes share |

pub mod body;
pub mod conditional;
pub mod idempotency;
pub mod negotiate;
pub mod params;
pub mod path;
pub mod principal;
pub mod reason;
pub mod snapshot;
pub mod work_caller;
pub mod write;
