//! Answers that many operations have: errors, and the header fields of every reply.

use serde_json::{Value, json};

use crate::http::operations::{Idempotency, Operation};

/// Adds the answers of an operation that its handler does not name.
pub(crate) fn complete(operation: &Operation, described: &mut Value) {
    let has_body = described.get("requestBody").is_some();
    let about_plugin = operation.path.contains("{id}");
    let is_of_service = operation.is_of_service;
    let mut add = |applies: bool, status: &str, help: &str| {
        let responses = &mut described["responses"];
        if applies && responses.get(status).is_none() {
            responses[status] = problem(help);
        }
    };
    add(true, "400", "The request cannot be understood");
    add(about_plugin, "404", "There is no such plugin, or nothing is saved for it");
    add(true, "406", "The header field Accept leaves nothing that can be made");
    add(has_body, "408", "The body did not arrive in time");
    add(operation.is_conditional, "412", "The precondition of the request does not hold");
    add(has_body, "413", "The body is too large");
    add(has_body, "415", "The body's media type is not supported");
    add(has_body, "422", "The document breaks the rules: `errors` names every wrong place");
    add(operation.idempotency == Idempotency::Honoured, "422", "The Idempotency-Key was used for another request");
    add(!is_of_service, "429", "Too many requests were made; Retry-After says how long to wait");
    let has_view = operation.has_read_options();
    add(has_view, "410", "What is asked for is no longer kept, or the cursor belongs to another store");
    add(!is_of_service, "503", "The store cannot be read or written at the moment; ask again");
    add(has_body && !is_of_service, "507", "The registry holds as much as it may");
    add(has_view, "504", "The revision that is asked for was not reached in time");
    add(true, "default", "Any other error");
    for (status, response) in described["responses"].as_object_mut().into_iter().flatten() {
        if status.starts_with(['4', '5']) && response.get("content").is_none() {
            response["content"] = problem("")["content"].take();
        }
        let tagged = operation.is_conditional && matches!(status.as_str(), "200" | "201" | "304");
        add_headers(response, tagged);
    }
}

/// The header fields of replies, for the components of the description.
pub(crate) fn headers() -> Value {
    let header = |required: bool, help: &str, schema: Value| json!({"description": help, "required": required, "schema": schema});
    let text = || json!({"type": "string"});
    let revision = json!({"type": "integer", "format": "int64", "minimum": 0});
    json!({
        "Registry-Revision": header(false, "The revision that the answer was made from, or that a write has led to; absent before the store has been read", revision),
        "Registry-Store": header(false, "The store whose history that revision belongs to; absent before the store has been read", text()),
        "X-Request-Id": header(true, "Names the request in the log: as it was sent, or made here", text()),
        "Registry-Age": header(false, "For how many seconds it has not been known whether that is the newest revision; absent as long as it is", json!({"type": "integer", "minimum": 0})),
        "Registry-Tokens": header(false, "`not-configured` if the request sent a token to a registry without tokens: the registry ignores the token, and every client may do everything", json!({"type": "string", "enum": ["not-configured"]})),
        "ETag": header(false, "For If-Match and If-None-Match", text()),
    })
}

fn problem(help: &str) -> Value {
    let content = json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}});
    json!({"description": help, "content": content})
}

fn add_headers(response: &mut Value, tagged: bool) {
    let names = ["Registry-Revision", "Registry-Store", "Registry-Age", "Registry-Tokens", "X-Request-Id"];
    for name in names.into_iter().chain(tagged.then_some("ETag")) {
        response["headers"][name] = json!({"$ref": format!("#/components/headers/{name}")});
    }
}
