//! What handlers answer with.
//!
//! | file | idea |
//! |---|---|
//! | [`json`] | JSON, with its headers |
//! | [`list`] | pages of a list |
//! | [`read`] | what a read is answered from, and when |
//! | [`refusal`] | refusals of the registry as problems |

pub mod json;
pub mod list;
pub mod read;
pub mod refusal;
