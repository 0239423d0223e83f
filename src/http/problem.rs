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
use crate::registry::fair_pool::WorkError;
use crate::registry::journal_error::JournalReadError;
use crate::registry::submit_error::SubmitError;
use domain::command::Refusal;
use domain::plugin::json::JsonError;
use domain::plugin::{FieldError, Invalid};

/// The media type of a problem document.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The most field errors in one problem document.
const MAX_ERRORS: usize = 100;

/// An error, before the request's path and id are known.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: Kind,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    challenge: Option<&'static str>,
    close: bool,
}

/// Declares the kinds of problem: name, status, slug of the type URI, title. The documentation of each says when it
/// happens and what a client does then; the reference shows it.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $status:ident, $slug:literal, $title:literal;)+) => {
        /// The kinds of problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind { $($(#[doc = $doc])+ $kind),+ }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Kind] = &[$(Kind::$kind),+];

            /// The HTTP status code.
            pub fn status(self) -> StatusCode {
                match self { $(Kind::$kind => StatusCode::$status),+ }
            }

            /// What its type URI ends in.
            pub fn slug(self) -> &'static str {
                match self { $(Kind::$kind => $slug),+ }
            }

            /// The kind in words.
            pub fn title(self) -> &'static str {
                match self { $(Kind::$kind => $title),+ }
            }

            /// When it happens, and what a client does then.
            pub fn help(self) -> &'static str {
                match self { $(Kind::$kind => concat!($($doc),+).trim()),+ }
            }
        }
    };
}

kinds! {
    /// The path, a header field or the framing of the request is not valid. Send what `detail` asks for.
    BadRequest = BAD_REQUEST, "bad-request", "The request is malformed";
    /// The body is not strict JSON: it is cut off, repeats a key, has U+0000 in a string or nests too deeply. Mend it
    /// at the place that `detail` or `errors` names.
    BadJson = BAD_REQUEST, "bad-json", "The body is not acceptable JSON";
    /// The operation does not have the query parameter, or not that value. `detail` lists what it takes.
    BadParameter = BAD_REQUEST, "bad-parameter", "A query parameter is invalid";
    /// Tokens are configured, and the request has none in force. Send `Authorization: Bearer` with a token that has not
    /// ended.
    Unauthorized = UNAUTHORIZED, "unauthorized", "A valid token is required";
    /// The token's role or scope does not allow the request. Use a token with the role and the scope that `detail`
    /// names.
    Forbidden = FORBIDDEN, "forbidden", "The token's role or scope does not allow this";
    /// A browser sent the request for a page of another origin. Name the origin in `--cors-origins`, or ask without a
    /// browser.
    ForeignOrigin = FORBIDDEN, "foreign-origin", "Pages of this origin may not send requests";
    /// `Host` is not a name of this registry, and no tokens are configured. Name it in `--allowed-hosts`, or make a
    /// token.
    Misdirected = MISDIRECTED_REQUEST, "misdirected", "The request's host is not allowed";
    /// The path has no operation, or what it names does not exist or was removed. Check the path and the id.
    NotFound = NOT_FOUND, "not-found", "Not found";
    /// The path does not have the method. `Allow` lists those that it has.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed";
    /// `Accept` excludes every media type of the operation. Accept one that it offers.
    NotAcceptable = NOT_ACCEPTABLE, "not-acceptable", "No offered media type is acceptable";
    /// The body, or a line of it, did not arrive within 10 seconds. Send it again.
    Timeout = REQUEST_TIMEOUT, "request-timeout", "The request did not arrive in time";
    /// Another category and name make the same `unique_id`. Choose another name or category, or remove that plugin.
    IdTaken = CONFLICT, "unique-id-taken", "The unique_id belongs to another plugin";
    /// The document changes the name, the category or the `unique_id` of a plugin. Register a new plugin instead.
    IdentityFixed = CONFLICT, "identity-fixed", "A plugin's identity cannot change";
    /// The plugin holds what may still run or bill. Release it first, or say `force=true`.
    StillHeld = CONFLICT, "still-held", "The plugin still holds resources";
    /// The resource has no finding. There is nothing to acknowledge.
    NoFinding = CONFLICT, "no-finding", "The resource has no finding";
    /// The plugin holds nothing that may still run or bill. There is nothing to stop.
    NothingToStop = CONFLICT, "nothing-to-stop", "The plugin holds nothing that could stop";
    /// There is no request to stop that could be answered: there was none, or what the plugin held is gone.
    NoStopRequest = CONFLICT, "no-stop-request", "There is no request to stop";
    /// The registry has as many webhooks as it may. Remove one first.
    TooManyWebhooks = CONFLICT, "too-many-webhooks", "Too many webhooks";
    /// A token in force has the name. Choose another, or revoke that token.
    TokenNameTaken = CONFLICT, "token-name-taken", "The name belongs to another token";
    /// The registry has as many tokens in force as it may. Revoke one first.
    TooManyTokens = CONFLICT, "too-many-tokens", "Too many tokens";
    /// The token is in the file of `--tokens-file`. The operator removes it there.
    TokenInFile = CONFLICT, "token-in-file", "The token is defined in a file";
    /// The registry has as many budgets as it may. Remove one first.
    TooManyBudgets = CONFLICT, "too-many-budgets", "Too many budgets";
    /// The holder gave the lease back. Take a new one.
    LeaseReleased = CONFLICT, "lease-released", "The lease was released";
    /// The registry, or the token, has as many active leases as it may. Release leases that are not used; an admin may
    /// release those of others.
    TooManyLeases = CONFLICT, "too-many-leases", "Too many leases";
    /// Another agent has reported for the host. Stop one of the two; one agent a host is enough.
    AnotherAgent = CONFLICT, "another-agent", "Another agent reports for this host";
    /// The cursor or event id belongs to the history of another store. Read the list from its beginning.
    Gone = GONE, "other-store", "The cursor belongs to another store";
    /// The journal was compacted beyond the revision. Read the present state, then follow the events from its revision.
    Compacted = GONE, "compacted", "The requested revision was compacted";
    /// `If-Match` or `If-None-Match` does not hold: another client has changed it. Read it again and decide anew.
    PreconditionFailed = PRECONDITION_FAILED, "precondition-failed", "The precondition does not hold";
    /// The body or a line of it is larger than its limit. Send less, or several requests.
    TooLarge = PAYLOAD_TOO_LARGE, "too-large", "The body is too large";
    /// `Content-Type` is missing or not one that the operation takes. Send one that it takes.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body's media type is not supported";
    /// The body is JSON, and breaks a rule of its document. `errors` lists every wrong place; mend all of them.
    Invalid = UNPROCESSABLE_ENTITY, "invalid-document", "The document is invalid";
    /// The token sent another request with the same key within 24 hours. Choose a new key.
    KeyReused = UNPROCESSABLE_ENTITY, "idempotency-key-reused", "The Idempotency-Key belongs to another request";
    /// The caller is over its rate (`--rate-limit`). Wait as long as `Retry-After` says.
    TooManyRequests = TOO_MANY_REQUESTS, "too-many-requests", "Too many requests";
    /// The header has more than 32 KiB or 100 fields. Send less of it.
    HeadersTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE, "headers-too-large", "The request's header is too large";
    /// The path with its query is too long. Ask for less at a time.
    UriTooLong = URI_TOO_LONG, "uri-too-long", "The request's target is too long";
    /// The registry has a fault and has logged it. Report it with the `request_id`.
    Internal = INTERNAL_SERVER_ERROR, "internal", "Internal server error";
    /// The method or the transfer coding is not known. Use a method that the path has.
    NotImplemented = NOT_IMPLEMENTED, "not-implemented", "Not implemented";
    /// The store cannot be used, the registry is full of requests, or it is starting. Send the request again after
    /// `Retry-After`.
    Unavailable = SERVICE_UNAVAILABLE, "unavailable", "Temporarily unavailable";
    /// The change would exceed `--max-plugins` or `--max-bytes`. Remove plugins, or let the operator raise the quota.
    Full = INSUFFICIENT_STORAGE, "registry-full", "The registry is full";
    /// The replica did not reach `min_revision` within `wait`. Ask again, or ask another replica.
    Behind = GATEWAY_TIMEOUT, "behind", "The requested revision was not reached in time";
}

/// A problem document (RFC 9457): what is wrong, and how to correct it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument<'a> {
    /// A URI that identifies the kind of problem. It never changes.
    #[serde(rename = "type")]
    #[schema(examples("urn:plugin-registry:problem:invalid-document"))]
    type_uri: String,
    /// A summary of the kind of problem.
    title: &'a str,
    /// The HTTP status code.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong with this request, and how to correct it.
    detail: &'a str,
    /// The path of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    instance: Option<&'a str>,
    /// The request's `X-Request-Id`, as in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    request_id: Option<&'a str>,
    /// The invalid fields of the document in the request.
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [FieldError],
}

impl Problem {
    /// Makes a problem of a kind.
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem { kind, detail: detail.into(), errors: Vec::new(), retry_after: None, challenge: None, close: false }
    }

    /// The problem for a bare status code.
    pub fn of_status(status: StatusCode) -> Problem {
        let (kind, detail) = match status {
            StatusCode::BAD_REQUEST => (Kind::BadRequest, "the request is not valid HTTP"),
            StatusCode::NOT_FOUND => (Kind::NotFound, "no route has this path; /openapi.json lists all routes"),
            StatusCode::METHOD_NOT_ALLOWED => {
                (Kind::MethodNotAllowed, "the header field Allow lists the methods of this path")
            }
            StatusCode::NOT_ACCEPTABLE => {
                (Kind::NotAcceptable, "Accept excludes every media type of this path; send */* or leave it out")
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
            StatusCode::NOT_IMPLEMENTED => {
                (Kind::NotImplemented, "the service does not implement the method or the transfer coding")
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                (Kind::Unavailable, "the service cannot answer now; send the request again")
            }
            status if status.is_client_error() => (Kind::BadRequest, "the request is malformed"),
            _ => (Kind::Internal, "an internal error; the log has the cause"),
        };
        Problem::new(kind, detail)
    }

    /// Adds a challenge: `WWW-Authenticate` (RFC 9110 section 11.6.1).
    #[must_use]
    pub fn with_challenge(mut self, challenge: &'static str) -> Problem {
        self.challenge = Some(challenge);
        self
    }

    /// Adds the invalid fields.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Problem {
        self.errors = errors;
        self
    }

    /// Appends advice to the detail if the detail meets a condition.
    #[must_use]
    pub fn advise(mut self, applies: impl Fn(&str) -> bool, advice: &str) -> Problem {
        if applies(&self.detail) {
            self.detail = format!("{}; {advice}", self.detail).into();
        }
        self
    }

    /// Adds `Retry-After`.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Problem {
        self.retry_after = Some(wait);
        self
    }

    /// Closes the connection after the reply, because the rest of the request was not read.
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

    /// The whole reply to the request with this path and id.
    pub fn reply(&self, instance: Option<&str>, request_id: Option<&str>) -> Response {
        let text = self.text(instance, request_id);
        let mut response = (self.status(), text).into_response();
        *response.headers_mut() = self.headers();
        response
    }

    /// The document, serialised.
    pub fn text(&self, instance: Option<&str>, request_id: Option<&str>) -> Vec<u8> {
        // Serialising this type to memory cannot fail.
        serde_json::to_vec(&self.document(instance, request_id)).unwrap_or_default()
    }

    /// The header fields of the reply.
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
    /// Returns a bare status with the problem as an extension. [`super::middleware::stack`] writes the document,
    /// because only the middleware knows the request.
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
            SubmitError::WriterFailed => {
                Problem::new(Kind::Internal, "the writer failed and did not make the change; the log has the cause")
            }
            unavailable @ (SubmitError::StoreUnavailable { .. } | SubmitError::Overloaded | SubmitError::Closed) => {
                let detail = format!("{unavailable}; the change was not acknowledged; send it again");
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
            JournalReadError::Work(error) => return error.into(),
        };
        Problem::new(kind, error.to_string())
    }
}

/// When a client should retry after the queue of long reads was full.
const QUEUE_PAUSE: Duration = Duration::from_secs(2);

impl From<WorkError> for Problem {
    fn from(error: WorkError) -> Problem {
        match error {
            WorkError::Full => Problem::new(Kind::Unavailable, error.to_string()).with_retry_after(QUEUE_PAUSE),
            WorkError::Failed => {
                Problem::new(Kind::Internal, "the request failed with an internal error; the log has the cause")
            }
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let detail = refusal.to_string();
        match refusal {
            Refusal::NotFound(_) | Refusal::NoBudget(_) | Refusal::NoLease(_) | Refusal::NotHeld { .. } => {
                Problem::new(Kind::NotFound, detail)
            }
            Refusal::NothingToStop(_) => Problem::new(Kind::NothingToStop, detail),
            Refusal::NoStopRequest(_) => Problem::new(Kind::NoStopRequest, detail),
            Refusal::NoFinding { .. } => Problem::new(Kind::NoFinding, detail),
            Refusal::Forbidden(_) => Problem::new(Kind::Forbidden, detail),
            Refusal::TooManyBudgets => Problem::new(Kind::TooManyBudgets, detail),
            Refusal::LeaseReleased(_) => Problem::new(Kind::LeaseReleased, detail),
            Refusal::TooManyLeases | Refusal::TooManyLeasesOfOne { .. } => Problem::new(Kind::TooManyLeases, detail),
            Refusal::TooManyPlugins { .. } | Refusal::TooManyBytes { .. } => Problem::new(Kind::Full, detail),
            Refusal::AnotherAgent { .. } => {
                Problem::new(Kind::AnotherAgent, format!("{detail}; run one agent on each host"))
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
                Problem::new(Kind::StillHeld, format!("{detail}; release them first, or say `force=true` in the query"))
            }
            Refusal::PreconditionFailed { current: Some(revision) } => Problem::new(
                Kind::PreconditionFailed,
                format!("the current revision is {revision}; read it again, and send its entity tag"),
            ),
            Refusal::PreconditionFailed { current: None } => Problem::new(
                Kind::PreconditionFailed,
                "the resource does not exist, so no entity tag matches; leave If-Match out",
            ),
            Refusal::Invalid(invalid) => Problem::from(invalid),
            Refusal::KeyReused => Problem::new(Kind::KeyReused, detail),
            Refusal::NotChecked(_) => Problem::new(Kind::Internal, "the schema was not checked; the log has the cause"),
        }
    }
}

/// The problem of a request that has exceeded the time limit.
pub(crate) fn out_of_time() -> Problem {
    Problem::new(Kind::Unavailable, "the request timed out, and its change may still be made; read before you retry")
        .with_retry_after(Duration::from_secs(5))
}
