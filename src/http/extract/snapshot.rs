//! The snapshot that a request reads from its beginning to its end.

use std::sync::Arc;

use axum::extract::Extension;

use domain::Snapshot;

/// The snapshot that a request reads. A handler never sees two revisions.
pub type Now = Extension<Arc<Snapshot>>;
