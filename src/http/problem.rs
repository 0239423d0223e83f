//! Errors, as problem documents (RFC 9457).

use std::borrow::Cow;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use hyper::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{HeaderMap, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::middleware::security_headers;
use crate::registry::journal_error::JournalReadError;
use crate::registry::submit_error::SubmitError;
use domain::command::Refusal;
use domain::plugin::json::JsonError;
use domain::plugin::{FieldError, Invalid};

/// The media type of a problem document.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The most wrong places that one answer names.
const MAX_ERRORS: usize = 100;

/// What went wrong, before the request that it belongs to is known.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: Kind,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    challenge: Option<&'static str>,
    close: bool,
}

/// Declares the kinds of problem: name, status, slug of the type URI, title.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $status:ident, $slug:literal, $title:literal;)+) => {
        /// The kinds of problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind { $($(#[$doc])* $kind),+ }

        impl Kind {
            fn status(self) -> StatusCode {
                match self { $(Kind::$kind => StatusCode::$status),+ }
            }

            fn slug(self) -> &'static str {
                match self { $(Kind::$kind => $slug),+ }
            }

            fn title(self) -> &'static str {
                match self { $(Kind::$kind => $title),+ }
            }
        }
    };
}

kinds! {
    /// 400: the request cannot be understood.
    BadRequest = BAD_REQUEST, "bad-request", "The request cannot be understood";
    /// 400: the body is no JSON, or not of the strict kind.
    BadJson = BAD_REQUEST, "bad-json", "The body is not acceptable JSON";
    /// 400: a query parameter or its value is not known.
    BadParameter = BAD_REQUEST, "bad-parameter", "A query parameter is not acceptable";
    /// 401: no token, or none that is in force.
    Unauthorized = UNAUTHORIZED, "unauthorized", "A token is needed";
    /// 403: not for whoever asks: for another role, or another scope.
    Forbidden = FORBIDDEN, "forbidden", "This is not for whoever asks";
    /// 403: a page of somebody else's asks by somebody's browser.
    ForeignOrigin = FORBIDDEN, "foreign-origin", "Pages of that origin may not ask here";
    /// 421: the name by which the service is asked for is none of its own.
    Misdirected = MISDIRECTED_REQUEST, "misdirected", "The service does not go by that name";
    /// 404
    NotFound = NOT_FOUND, "not-found", "There is no such thing here";
    /// 405
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed", "The method is not allowed here";
    /// 406
    NotAcceptable = NOT_ACCEPTABLE, "not-acceptable", "No acceptable media type can be made";
    /// 408
    Timeout = REQUEST_TIMEOUT, "request-timeout", "The request did not arrive in time";
    /// 409: the unique_id belongs to another plugin.
    IdTaken = CONFLICT, "unique-id-taken", "The unique_id belongs to another plugin";
    /// 409: the identity of a plugin cannot be changed.
    IdentityFixed = CONFLICT, "identity-fixed", "The identity of a plugin is fixed";
    /// 409: the plugin holds what may still run or bill.
    StillHeld = CONFLICT, "still-held", "The plugin still holds resources";
    /// 409: there are as many webhooks as there can be.
    TooManyWebhooks = CONFLICT, "too-many-webhooks", "There are too many webhooks";
    /// 409: another token has the name.
    TokenNameTaken = CONFLICT, "token-name-taken", "The name belongs to another token";
    /// 409: there are as many tokens as there can be.
    TooManyTokens = CONFLICT, "too-many-tokens", "There are too many tokens";
    /// 409: the token stands in a file.
    TokenInFile = CONFLICT, "token-in-file", "The token stands in a file";
    /// 409: there are as many budgets as there can be.
    TooManyBudgets = CONFLICT, "too-many-budgets", "There are too many budgets";
    /// 409: the lease was given back.
    LeaseReleased = CONFLICT, "lease-released", "The lease was released";
    /// 409: there are as many leases as there can be.
    TooManyLeases = CONFLICT, "too-many-leases", "There are too many leases";
    /// 409: another agent reports for the same host.
    AnotherAgent = CONFLICT, "another-agent", "Another agent reports for this host";
    /// 410: the cursor belongs to a history that this store does not continue.
    Gone = GONE, "other-store", "The cursor belongs to another store";
    /// 410: the journal does not go back so far.
    Compacted = GONE, "compacted", "The past that is asked for is no longer kept";
    /// 412
    PreconditionFailed = PRECONDITION_FAILED, "precondition-failed", "The precondition does not hold";
    /// 413
    TooLarge = PAYLOAD_TOO_LARGE, "too-large", "The body is too large";
    /// 415
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body's media type is not supported";
    /// 422: the document breaks the rules.
    Invalid = UNPROCESSABLE_ENTITY, "invalid-document", "The document breaks the rules";
    /// 422: the Idempotency-Key belongs to another request.
    KeyReused = UNPROCESSABLE_ENTITY, "idempotency-key-reused", "The Idempotency-Key belongs to another request";
    /// 429
    TooManyRequests = TOO_MANY_REQUESTS, "too-many-requests", "Too many requests were made";
    /// 431
    HeadersTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE, "headers-too-large", "The request's header is too large";
    /// 414
    UriTooLong = URI_TOO_LONG, "uri-too-long", "The request's target is too long";
    /// 500
    Internal = INTERNAL_SERVER_ERROR, "internal", "The service has a fault";
    /// 501: a method or a transfer coding that is not known.
    NotImplemented = NOT_IMPLEMENTED, "not-implemented", "The request asks for what is not implemented";
    /// 503
    Unavailable = SERVICE_UNAVAILABLE, "unavailable", "The service cannot do this at the moment";
    /// 507: the registry holds as much as it may.
    Full = INSUFFICIENT_STORAGE, "registry-full", "The registry holds as much as it may";
    /// 504: a revision was not reached in time.
    Behind = GATEWAY_TIMEOUT, "behind", "The revision that is asked for was not reached in time";
}

/// A problem document (RFC 9457): what went wrong, and what to mend.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument<'a> {
    /// What kind of problem it is; stable.
    #[serde(rename = "type")]
    #[schema(examples("urn:plugin-registry:problem:invalid-document"))]
    type_uri: String,
    /// The kind in words.
    title: &'a str,
    /// The HTTP status code.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong in this case, and what would be right.
    detail: &'a str,
    /// The path of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    instance: Option<&'a str>,
    /// `X-Request-Id`, to find the request in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    request_id: Option<&'a str>,
    /// The wrong places in the document that was sent.
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [FieldError],
}

impl Problem {
    /// A problem of a kind.
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem { kind, detail: detail.into(), errors: Vec::new(), retry_after: None, challenge: None, close: false }
    }

    /// The kind that fits a bare status code.
    pub fn of_status(status: StatusCode) -> Problem {
        let (kind, detail) = match status {
            StatusCode::BAD_REQUEST => (Kind::BadRequest, "the request is not valid HTTP"),
            StatusCode::NOT_FOUND => {
                (Kind::NotFound, "there is nothing at this path; /openapi.json lists what there is")
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                (Kind::MethodNotAllowed, "the header field Allow lists the methods of this path")
            }
            StatusCode::NOT_ACCEPTABLE => {
                (Kind::NotAcceptable, "the header field Accept leaves nothing that can be made")
            }
            StatusCode::REQUEST_TIMEOUT => (Kind::Timeout, "the request did not arrive in time"),
            StatusCode::PAYLOAD_TOO_LARGE => (Kind::TooLarge, "the body is too large"),
            StatusCode::URI_TOO_LONG => (Kind::UriTooLong, "the request's target is too long"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                (Kind::UnsupportedMediaType, "the body's media type is not supported")
            }
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
                (Kind::HeadersTooLarge, "the header is larger than 32 KiB or has more than 100 fields")
            }
            StatusCode::NOT_IMPLEMENTED => (Kind::NotImplemented, "the request asks for what is not implemented"),
            StatusCode::SERVICE_UNAVAILABLE => (Kind::Unavailable, "the service cannot do this at the moment"),
            status if status.is_client_error() => (Kind::BadRequest, "the request cannot be understood"),
            _ => (Kind::Internal, "the fault was logged"),
        };
        Problem::new(kind, detail)
    }

    /// Says how one is let in: `WWW-Authenticate` (RFC 9110 section 11.6.1).
    #[must_use]
    pub fn with_challenge(mut self, challenge: &'static str) -> Problem {
        self.challenge = Some(challenge);
        self
    }

    /// Names the wrong places.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Problem {
        self.errors = errors;
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Problem {
        self.retry_after = Some(wait);
        self
    }

    /// Ends the connection with this answer, because the rest of the request was not read.
    #[must_use]
    pub fn closing(mut self) -> Problem {
        self.close = true;
        self
    }

    /// The HTTP status code.
    pub fn status(&self) -> StatusCode {
        self.kind.status()
    }

    /// The document for the request with this path and id.
    pub fn document<'a>(&'a self, instance: Option<&'a str>, request_id: Option<&'a str>) -> ProblemDocument<'a> {
        ProblemDocument {
            type_uri: format!("urn:plugin-registry:problem:{}", self.kind.slug()),
            title: self.kind.title(),
            status: self.status().as_u16(),
            detail: &self.detail,
            instance,
            request_id,
            errors: &self.errors,
        }
    }

    /// The whole reply for the request with this path and id.
    pub fn reply(&self, instance: Option<&str>, request_id: Option<&str>) -> Response {
        let text = self.text(instance, request_id);
        let mut response = (self.status(), text).into_response();
        *response.headers_mut() = self.headers();
        response
    }

    /// The document, serialised.
    pub fn text(&self, instance: Option<&str>, request_id: Option<&str>) -> Vec<u8> {
        // Serialising to memory fails for no value of this type.
        serde_json::to_vec(&self.document(instance, request_id)).unwrap_or_default()
    }

    /// The header fields that go with it.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, security_headers::NOSNIFF);
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        // RFC 6750 section 3.1.
        let forbidden = r#"Bearer realm="plugin-registry", error="insufficient_scope""#;
        if let Some(challenge) = self.challenge.or((self.kind == Kind::Forbidden).then_some(forbidden)) {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if self.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        headers
    }
}

impl IntoResponse for Problem {
    /// A bare status with the problem beside it: [`super::middleware::stack`] writes the document, because
    /// only there the request is known.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<JsonError> for Problem {
    fn from(error: JsonError) -> Problem {
        let errors = error.field().into_iter().collect();
        Problem::new(Kind::BadJson, error.detail).with_errors(errors)
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Problem {
        let detail = invalid.to_string();
        let mut errors = invalid.0;
        errors.truncate(MAX_ERRORS);
        Problem::new(Kind::Invalid, detail).with_errors(errors)
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Problem {
        let retry_after = error.retry_after();
        let problem = match error {
            SubmitError::Refused(refusal) => return Problem::from(refusal),
            SubmitError::WriterFailed => Problem::new(Kind::Internal, "the change was not made; the fault was logged"),
            unavailable @ (SubmitError::StoreUnavailable { .. } | SubmitError::Overloaded | SubmitError::Closed) => {
                let detail = format!("{unavailable}; the change was not acknowledged and may be sent again");
                Problem::new(Kind::Unavailable, detail)
            }
        };
        match retry_after {
            Some(wait) => problem.with_retry_after(wait),
            None => problem,
        }
    }
}

impl From<JournalReadError> for Problem {
    fn from(error: JournalReadError) -> Problem {
        let kind = match error {
            JournalReadError::Compacted { .. } => Kind::Compacted,
            JournalReadError::Unreadable => Kind::Unavailable,
        };
        Problem::new(kind, error.to_string())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let detail = refusal.to_string();
        match refusal {
            Refusal::NotFound(_) | Refusal::NoBudget(_) | Refusal::NoLease(_) => Problem::new(Kind::NotFound, detail),
            Refusal::Forbidden(_) => Problem::new(Kind::Forbidden, detail),
            Refusal::TooManyBudgets => Problem::new(Kind::TooManyBudgets, detail),
            Refusal::LeaseReleased(_) => Problem::new(Kind::LeaseReleased, detail),
            Refusal::TooManyLeases => Problem::new(Kind::TooManyLeases, detail),
            Refusal::TooManyPlugins { .. } | Refusal::TooManyBytes { .. } => Problem::new(Kind::Full, detail),
            Refusal::AnotherAgent { .. } => {
                Problem::new(Kind::AnotherAgent, format!("{detail}; one agent a host is enough"))
                    .with_retry_after(Duration::from_mins(1))
            }
            Refusal::IdTaken { .. } => {
                Problem::new(Kind::IdTaken, format!("{detail}; choose another category or name, or remove that plugin"))
            }
            Refusal::IdentityFixed { field, .. } => {
                let errors = field.map(|field| FieldError { pointer: format!("/{field}"), detail: detail.clone() });
                Problem::new(Kind::IdentityFixed, detail).with_errors(errors.into_iter().collect())
            }
            Refusal::StillHeld { .. } => {
                Problem::new(Kind::StillHeld, format!("{detail}; release it first, or say ?force=true"))
            }
            Refusal::PreconditionFailed { current: Some(revision) } => Problem::new(
                Kind::PreconditionFailed,
                format!("it stands at revision {revision}; read it again and decide anew"),
            ),
            Refusal::PreconditionFailed { current: None } => {
                Problem::new(Kind::PreconditionFailed, "it does not exist, so that no entity tag can match")
            }
            Refusal::Invalid(invalid) => Problem::from(invalid),
            Refusal::KeyReused => Problem::new(Kind::KeyReused, detail),
            Refusal::NotChecked(_) => Problem::new(Kind::Internal, "the schema could not be checked"),
        }
    }
}

/// The problem of a request that has taken too long.
pub(crate) fn out_of_time() -> Problem {
    Problem::new(Kind::Unavailable, "the request took too long and was given up; a change may still be made")
        .with_retry_after(Duration::from_secs(5))
}
