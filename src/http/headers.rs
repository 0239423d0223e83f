//! Header fields of our own.

use hyper::header::{HeaderName, HeaderValue};

use domain::{Revision, StoreId};

/// The revision that a reply was made from, or that a write has led to.
pub const REGISTRY_REVISION: HeaderName = HeaderName::from_static("registry-revision");

/// Whose history that revision belongs to.
pub const REGISTRY_STORE: HeaderName = HeaderName::from_static("registry-store");

pub(crate) fn store_header(store: &StoreId) -> HeaderValue {
    HeaderValue::from_str(store.as_str()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The header that says which revision a reply was made from.
pub fn revision_header(revision: Revision) -> (HeaderName, HeaderValue) {
    (REGISTRY_REVISION, HeaderValue::from(revision.0))
}

/// For how many seconds nobody has known whether the answer is from the newest revision. Absent as long as that is
/// known, or was a moment ago.
pub const REGISTRY_AGE: HeaderName = HeaderName::from_static("registry-age");
