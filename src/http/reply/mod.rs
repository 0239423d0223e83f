//! Replies that handlers share.
//!
//! | file | idea |
//! |---|---|
//! | [`json`] | JSON replies with their header fields |
//! | [`list`] | bodies of lists |
//! | [`csv`] | tables |
//! | [`read`] | the snapshot that a read is answered from |
//! | [`refusal`] | replies to requests that never reach a handler |

pub mod csv;
pub mod json;
pub mod list;
pub mod read;
pub mod refusal;
