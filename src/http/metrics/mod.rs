//! What `/metrics` tells.
//!
//! | file | idea |
//! |---|---|
//! | [`requests`] | requests that were answered |
//! | [`process`] | what this process takes |
//! | [`gauges`] | what stands in the registry |
//! | [`prometheus_text`] | the older text format |

pub mod requests;

pub mod gauges;
pub mod process;
pub mod prometheus_text;
