//! Header fields that this service defines.

use hyper::header::{HeaderName, HeaderValue};

use domain::{Revision, StoreId};

/// The revision that the reply was made from, or that the write has committed.
pub const REGISTRY_REVISION: HeaderName = HeaderName::from_static("registry-revision");

/// The id of the store that the revision belongs to.
pub const REGISTRY_STORE: HeaderName = HeaderName::from_static("registry-store");

pub(crate) fn store_header(store: &StoreId) -> HeaderValue {
    HeaderValue::from_str(store.as_str()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The header field with the revision that the reply was made from.
pub fn revision_header(revision: Revision) -> (HeaderName, HeaderValue) {
    (REGISTRY_REVISION, HeaderValue::from(revision.0))
}

/// Why a client makes a change.
pub const REGISTRY_REASON: HeaderName = HeaderName::from_static("registry-reason");

/// For how many seconds the replica has not confirmed that the reply is from the newest revision. The field is absent
/// while the replica is current.
pub const REGISTRY_AGE: HeaderName = HeaderName::from_static("registry-age");
