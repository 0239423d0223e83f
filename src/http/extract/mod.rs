//! What handlers take from a request.
//!
//! | file | idea |
//! |---|---|
//! | [`body`] | JSON bodies and merge patches |
//! | [`path`], [`params`] | ids in paths; the query |
//! | [`conditional`] | If-Match and If-None-Match |
//! | [`idempotency`] | Idempotency-Key |
//! | [`negotiate`] | Accept |
//! | [`principal`] | who asks |
//! | [`snapshot`] | the state that the request sees |
//! | [`mod@write`] | what all writes have in common |

pub mod body;
pub mod conditional;
pub mod idempotency;
pub mod negotiate;
pub mod params;
pub mod path;
pub mod principal;
pub mod snapshot;
pub mod write;
