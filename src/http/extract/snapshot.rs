//! The snapshot that a request sees, the same from its beginning to its end.

use std::sync::Arc;

use axum::extract::Extension;

use domain::Snapshot;

/// The view that a request has of the registry, the same from its beginning to its end.
pub type Now = Extension<Arc<Snapshot>>;
