//! The vocabulary: plugins and their parts.
//!
//! Everything here is pure: no clock, no I/O, no HTTP and no store. A value of one of these types is valid by
//! construction, so that other layers need not check it again.
//!
//! | file | idea |
//! |---|---|
//! | [`json`] | strict JSON: exact numbers, no duplicate key, no U+0000, bounded depth |
//! | [`read`] | reading a JSON object field by field; every mistake has its JSON Pointer |
//! | [`identity`] | [`Name`], [`PluginKey`], [`UniqueId`] |
//! | [`execution_mode`], [`remote`], [`remote_status`], [`pids`], [`labels`] | the parts of a plugin |
//! | [`container_id`] | the forms in which applications write the id of a container |
//! | [`metadata`] | [`Plugin`]: the whole, with derived properties |
//! | [`registration`] | [`Registration`]: the document that a client sends |
//! | [`schema`] | JSON Schema: checking schemas and configurations |
//! | [`secrets`] | the secret values of a configuration |
//! | [`merge_patch`] | RFC 7396 |
//! | [`time`] | times as clients write them |

pub mod container_id;
pub mod execution_mode;
pub mod identity;
pub mod json;
pub mod labels;
pub mod merge_patch;
pub mod metadata;
pub mod pids;
pub mod read;
pub mod registration;
pub mod remote;
pub mod remote_status;
pub mod schema;
pub mod secrets;
pub mod time;

pub(crate) mod wire_names;

pub use self::execution_mode::ExecutionMode;
pub use self::identity::{Name, PluginKey, UniqueId};
pub use self::json::FreeJson;
pub use self::labels::Labels;
pub use self::metadata::{Plugin, READ_ONLY_FIELDS};
pub use self::pids::{Pid, Pids};
pub use self::read::{FieldError, Invalid};
pub use self::registration::Registration;
pub use self::remote::{Provider, RemoteResource};
pub use self::remote_status::StatusClass;
