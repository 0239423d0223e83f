//! What the service tells of its own work, beside metrics: traces, and the log's level.
//!
//! Traces are OpenTelemetry's. A span is begun and ended by hand, where the work begins and ends, and only for work that
//! is sampled: nothing here lies on the way of a request that nobody traces.
//!
//! | file | idea |
//! |---|---|
//! | [`context`] | [`Trace`]: which trace work belongs to (W3C Trace Context), and how it is handed on |
//! | [`traces`] | [`Traces`]: beginning spans, if they are to be told anybody |
//! | [`export`] | spans on their way to a collector: a bounded queue, and the task that empties it |
//! | [`log_level`] | [`LogLevel`]: which lines are logged, changed while the service runs |

pub mod context;
pub mod export;
pub mod log_level;
pub mod traces;

pub use context::{Origin, Trace};
pub use log_level::LogLevel;
pub use opentelemetry::KeyValue;
pub use opentelemetry::trace::SpanKind;
pub use traces::{ActiveSpan, Traces};
