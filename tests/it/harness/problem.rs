//! An error response: a problem document (RFC 9457) with the API's additional fields.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// A valid problem document.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    /// The whole document.
    pub(crate) document: Value,
    /// The headers of the response.
    pub(crate) headers: HeaderMap,
}

impl Problem {
    /// Parses the error response to a request for `path`, or to bytes that never became a request.
    #[track_caller]
    pub(crate) fn read(asked: &str, status: u16, headers: &HeaderMap, body: &[u8], path: Option<&str>) -> Problem {
        let shown = String::from_utf8_lossy(body);
        assert_eq!(headers["content-type"], "application/problem+json", "{asked}: {shown}");
        assert_eq!(headers["cache-control"], "no-store", "{asked}: an error must not be kept by a cache");
        let document: Value = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{asked}: {error}: {shown}"));
        let kind = document["type"].as_str().unwrap_or_default();
        assert!(kind.starts_with("urn:plugin-registry:problem:"), "{asked}: type {kind:?}");
        assert_eq!(document["status"], status, "{asked}: {document}");
        for field in ["title", "detail"] {
            assert!(document[field].as_str().is_some_and(|text| !text.is_empty()), "{asked}: {field}: {document}");
        }
        assert_eq!(document["request_id"], headers["x-request-id"].to_str().unwrap(), "{asked}: {document}");
        if let Some(path) = path {
            assert_eq!(document["instance"], path, "{asked}: {document}");
        }
        if let Some(errors) = document.get("errors") {
            let errors = errors.as_array().unwrap_or_else(|| panic!("{asked}: {document}"));
            assert!(!errors.is_empty(), "{asked}: no errors are left out, not an empty list");
            for error in errors {
                let pointer = error["pointer"].as_str().unwrap_or_else(|| panic!("{asked}: {error}"));
                assert!(pointer.is_empty() || pointer.starts_with('/'), "{asked}: {pointer:?} is no JSON Pointer");
                assert!(error["detail"].as_str().is_some_and(|text| !text.is_empty()), "{asked}: {error}");
            }
        }
        Problem { document, headers: headers.clone() }
    }

    /// The last part of the type URI.
    pub(crate) fn kind(&self) -> &str {
        let uri = self.document["type"].as_str().expect("checked on arrival");
        uri.rsplit(':').next().expect("a split has a last part")
    }

    pub(crate) fn detail(&self) -> &str {
        self.document["detail"].as_str().expect("checked on arrival")
    }

    /// The JSON Pointers to the wrong fields.
    pub(crate) fn pointers(&self) -> Vec<&str> {
        let errors = self.document["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().map(|error| error["pointer"].as_str().expect("checked on arrival")).collect()
    }

    /// The detail about the field at `pointer`.
    #[track_caller]
    pub(crate) fn about(&self, pointer: &str) -> &str {
        let errors = self.document["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let found = errors.iter().find(|error| error["pointer"] == pointer);
        found.unwrap_or_else(|| panic!("nothing is said about {pointer:?}: {}", self.document))["detail"]
            .as_str()
            .expect("checked on arrival")
    }
}
