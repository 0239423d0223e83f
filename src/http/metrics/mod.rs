//! The metrics that `/metrics` exports.
//!
//! | file | idea |
//! |---|---|
//! | [`requests`] | counts and durations of requests |
//! | [`process`] | CPU, memory and files of this process |
//! | [`gauges`] | gauges of the registry's state |
//! | [`prometheus_text`] | the older text format |

pub mod requests;

pub mod gauges;
pub mod process;
pub mod prometheus_text;
