//! Telemetry of the service beside metrics: traces, and the log level.
//!
//! Traces use OpenTelemetry. Code begins and ends a span by hand, and only for sampled work: a request that is not
//! sampled pays nothing.
//!
//! | file | idea |
//! |---|---|
//! | [`context`] | [`Trace`]: the trace that work belongs to (W3C Trace Context), and its propagation |
//! | [`traces`] | [`Traces`]: begins spans, if they are exported |
//! | [`export`] | exports spans to a collector: a bounded queue, and the task that empties it |
//! | [`log_level`] | [`LogLevel`]: changes the log level while the service runs |

pub mod context;
pub mod export;
pub mod log_level;
pub mod traces;

pub use context::{Origin, Trace};
pub use log_level::LogLevel;
pub use opentelemetry::KeyValue;
pub use opentelemetry::trace::SpanKind;
pub use traces::{ActiveSpan, Traces};
