//! Facts about every operation, a row for each route and method. Code that needs a fact about a route reads it here.
//!
//! The routes themselves are in [`router`](mod@super::router), and each handler says what its operation does. A test
//! compares this table with the API's description: an operation without a row fails it, and so does a row without an
//! operation.

use std::collections::HashMap;
use std::sync::LazyLock;

use fnv::FnvBuildHasher;
use hyper::Method;

use super::media_type::{CSV, EVENT_STREAM, JSON, NDJSON, OPEN_METRICS, PLAIN_TEXT};
use super::query::list_params::{
    COST_LIST, EVENT_COUNTS, EVENT_LIST, HELD_ON, HOST_LIST, LEASE_LIST, PLUGIN_FILTERS, PLUGIN_LIST, READ_OPTIONS,
    READ_OPTIONS_WITHOUT_SINCE, RELEASE, REMOVAL, SPANS, VERSION_LIST,
};
use super::query::parameter::Parameter;
use super::query::resource_params::{RESOURCE_FILTERS, RESOURCE_LIST};
use domain::access::Permission;

/// What is known of one method of one route.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// The method; HEAD is answered as GET.
    pub method: &'static str,
    /// The route, with the names of its parameters in braces.
    pub path: &'static str,
    /// The permission that a caller needs.
    pub permission: Permission,
    /// The query parameters that it takes, in tables; [`CONSISTENCY`](super::query::parameter::CONSISTENCY) comes to all
    /// reads of the registry.
    pub query: &'static [&'static [Parameter]],
    /// The media types that it answers with, the usual one first; none where any will do.
    pub media_types: &'static [&'static str],
    /// Whether it looks at If-Match and If-None-Match.
    pub is_conditional: bool,
    /// What becomes of an Idempotency-Key.
    pub idempotency: Idempotency,
    /// The body that it takes.
    pub body: Body,
    /// Whether its answers have secrets, and no cache may keep them.
    pub holds_secrets: bool,
    /// Whether it is about the service: it is answered before the store has been read, too.
    pub is_of_service: bool,
    /// Whether it is always let in: an overloaded service that is taken for dead, and restarted, is no better for it.
    pub is_always_admitted: bool,
    /// Whether it comes every few seconds and is worth a line in the log only when it fails.
    pub is_routine: bool,
}

/// What becomes of an Idempotency-Key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idempotency {
    /// A repeat is answered as the first request was.
    Honoured,
    /// A request with a key is refused for this reason, which says what to do instead.
    Refused(&'static str),
    /// The key is not looked at: the operation changes nothing.
    Ignored,
}

/// The answer has a secret.
const HAS_SECRET: Idempotency = Idempotency::Refused(
    "the reply has a secret, which is not stored; if no reply arrives, check whether the change was made",
);

/// The change is not part of the history, so the reply is not stored with it.
const IS_REPEATABLE: Idempotency = Idempotency::Refused(
    "the registry stores no reply of this operation; send the request again as it is, which changes nothing more",
);

/// As before, and a repetition has an effect of its own.
const SENDS_AGAIN: Idempotency = Idempotency::Refused(
    "the registry stores no reply of this operation; each request sends a message, also a repeated one",
);

/// The body of a request. A schema is named as in [`super::openapi::requests`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// The operation takes no body.
    Nothing,
    /// Any JSON.
    AnyJson,
    /// A JSON document of this schema.
    Json(&'static str),
    /// A JSON document of this schema, or no body.
    OptionalJson(&'static str),
    /// A JSON Merge Patch (RFC 7396) of this schema.
    MergePatch(&'static str),
    /// A JSON document of this schema, or one a line (NDJSON), which takes as long as lines keep coming.
    JsonOrLines(&'static str),
}

/// Every operation of the API, as in the router.
pub const OPERATIONS: &[Operation] = &[
    get("/plugins").query(&[PLUGIN_LIST, READ_OPTIONS]).answers(&[JSON, NDJSON]).conditional(),
    post("/plugins", Permission::Write).conditional().json_or_lines("PluginRegistration").answers(&[JSON, NDJSON]),
    get("/plugins/{id}").query(&[READ_OPTIONS]).conditional(),
    put("/plugins/{id}", Permission::Write).json("PluginRegistration").conditional(),
    patch("/plugins/{id}", Permission::Write).merge_patch("PluginPatch").conditional(),
    delete("/plugins/{id}", Permission::Write).query(&[REMOVAL]).conditional(),
    put("/plugins/{id}/spawned_pids", Permission::Write).json("SpawnedPids").conditional(),
    post("/plugins/{id}/spawned_pids", Permission::Write).json("SpawnedPids").conditional(),
    delete("/plugins/{id}/spawned_pids", Permission::Write).conditional(),
    delete("/plugins/{id}/spawned_pids/{pid}", Permission::Write).conditional(),
    put("/plugins/{id}/container_id", Permission::Write).json("ContainerId").conditional(),
    delete("/plugins/{id}/container_id", Permission::Write).conditional(),
    put("/plugins/{id}/remote_resource", Permission::Write).json("RemoteResourceRequest").conditional(),
    patch("/plugins/{id}/remote_resource", Permission::Write).merge_patch("RemoteResourcePatch").conditional(),
    delete("/plugins/{id}/remote_resource", Permission::Write).conditional(),
    get("/plugins/{id}/config").conditional().secret(),
    put("/plugins/{id}/config", Permission::Write).any_json().conditional().secret(),
    delete("/plugins/{id}/config", Permission::Write).conditional().secret(),
    post("/plugins/{id}/config/validate", Permission::Write).any_json().without_key().secret(),
    post("/plugins/{id}/notes", Permission::Write).json("NoteRequest").conditional(),
    post("/plugins/{id}/stop_request", Permission::Write).json("StopRequest").conditional(),
    put("/plugins/{id}/stop_request/answer", Permission::AnswerStop).json("StopAnswer").conditional(),
    get("/plugins/{id}/history").query(&[VERSION_LIST]),
    get("/events").query(&[PLUGIN_FILTERS, EVENT_LIST]).answers(&[JSON, EVENT_STREAM]),
    get("/events/counts").query(&[EVENT_COUNTS]),
    get("/categories").conditional(),
    put("/categories/{name}", Permission::Administer).json("CategoryName").conditional(),
    get("/resources").query(&[RESOURCE_LIST, READ_OPTIONS]).answers(&[JSON, NDJSON, CSV]).conditional(),
    post("/resources/release", Permission::Write).query(&[RELEASE, RESOURCE_FILTERS]).optional_json("ReleaseRequest"),
    put("/resources/{plugin}/{kind}/{resource_id}/expires_at", Permission::Write)
        .query(&[HELD_ON])
        .json("ExpiryRequest")
        .conditional(),
    delete("/resources/{plugin}/{kind}/{resource_id}/expires_at", Permission::Write).query(&[HELD_ON]).conditional(),
    put("/resources/{plugin}/{kind}/{resource_id}/acknowledgement", Permission::Write)
        .query(&[HELD_ON])
        .json("AcknowledgementRequest")
        .conditional(),
    delete("/resources/{plugin}/{kind}/{resource_id}/acknowledgement", Permission::Write)
        .query(&[HELD_ON])
        .conditional(),
    get("/costs").query(&[PLUGIN_FILTERS, COST_LIST, READ_OPTIONS_WITHOUT_SINCE]).answers(&[JSON, CSV]),
    get("/budgets"),
    post("/budgets", Permission::Administer).json("BudgetRequest"),
    get("/budgets/{budget_id}"),
    patch("/budgets/{budget_id}", Permission::Administer).merge_patch("BudgetPatch"),
    delete("/budgets/{budget_id}", Permission::Administer),
    get("/leases").query(&[LEASE_LIST]),
    post("/leases", Permission::Write).json("LeaseRequest"),
    get("/leases/{lease_id}"),
    put("/leases/{lease_id}", Permission::Write).optional_json("EmptyObject").refusing_key(IS_REPEATABLE).routine(),
    delete("/leases/{lease_id}", Permission::Write),
    post("/observations", Permission::Observe).json("ObservationReport").refusing_key(IS_REPEATABLE),
    // The URLs of webhooks may be secrets.
    get("/webhooks").allows(Permission::Administer).secret(),
    post("/webhooks", Permission::Administer).json("WebhookRequest").refusing_key(HAS_SECRET).secret(),
    get("/webhooks/{webhook_id}").allows(Permission::Administer).secret(),
    patch("/webhooks/{webhook_id}", Permission::Administer)
        .merge_patch("WebhookPatch")
        .refusing_key(IS_REPEATABLE)
        .secret(),
    delete("/webhooks/{webhook_id}", Permission::Administer).refusing_key(IS_REPEATABLE).secret(),
    post("/webhooks/{webhook_id}/test", Permission::Administer).refusing_key(SENDS_AGAIN).secret(),
    get("/tokens").allows(Permission::Administer).secret(),
    post("/tokens", Permission::Administer).json("TokenRequest").refusing_key(HAS_SECRET).secret(),
    get("/tokens/{token_id}").allows(Permission::Administer).secret(),
    delete("/tokens/{token_id}", Permission::Administer).refusing_key(IS_REPEATABLE).secret(),
    get("/resources/spans").query(&[SPANS]),
    get("/hosts").query(&[HOST_LIST]),
    get("/whoami").allows(Permission::Public).of_service().secret(),
    get("/stats").query(&[READ_OPTIONS]).conditional(),
    get("/backup").allows(Permission::Administer).answers(&[NDJSON]),
    get("/healthz").allows(Permission::Public).of_service().routine().always_admitted(),
    get("/readyz").allows(Permission::Public).of_service().routine().always_admitted(),
    get("/metrics").of_service().routine().answers(&[OPEN_METRICS, PLAIN_TEXT]),
    get("/log-level").allows(Permission::Administer).of_service(),
    put("/log-level", Permission::Administer).json("LevelRequest").of_service().refusing_key(IS_REPEATABLE),
    get("/openapi.json").allows(Permission::Public).of_service(),
];

/// The pages, scripts and styles of the API browser; they are no part of the API.
const DOCUMENTATION: Operation = get("/docs").allows(Permission::Public).of_service().answers(&[]);

/// The page, scripts and styles of the dashboard. They are no part of the API, and the page loads dozens of them.
const DASHBOARD: Operation = get("/").allows(Permission::Public).of_service().routine().answers(&[]);

/// The Model Context Protocol, which describes itself. Each question of a tool is an operation of its own.
const MCP: Operation = post("/mcp", Permission::Read).any_json().without_key().answers(&[]);

impl Operation {
    /// The operation of a method and a route; `None` where there is none.
    pub fn find(method: &Method, route: &str) -> Option<&'static Operation> {
        static BY_PATH: LazyLock<HashMap<&str, Vec<&Operation>, FnvBuildHasher>> = LazyLock::new(|| {
            let mut by_path: HashMap<&str, Vec<&Operation>, _> = HashMap::default();
            for operation in OPERATIONS {
                by_path.entry(operation.path).or_default().push(operation);
            }
            by_path
        });
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        if let Some(operations) = BY_PATH.get(route) {
            return operations.iter().find(|operation| operation.method == method.as_str()).copied();
        }
        let is_within =
            |folder| route.strip_prefix(folder).is_some_and(|rest: &str| rest.is_empty() || rest.starts_with('/'));
        match route {
            "/mcp" if *method == Method::POST => Some(&MCP),
            _ if *method != Method::GET => None,
            _ if is_within("/docs") => Some(&DOCUMENTATION),
            "/" => Some(&DASHBOARD),
            _ if is_within("/ui") => Some(&DASHBOARD),
            _ => None,
        }
    }

    /// The permission that a method of a route needs. What has no row is for admins if it changes anything.
    pub fn permission_of(method: &Method, operation: Option<&Operation>) -> Permission {
        match operation {
            // A browser asks so, without a token, whether it may ask at all; nothing is done.
            _ if *method == Method::OPTIONS => Permission::Public,
            Some(operation) => operation.permission,
            None if matches!(*method, Method::GET | Method::HEAD) => Permission::Read,
            None => Permission::Administer,
        }
    }

    /// Whether it can be told to wait, or to look back.
    pub fn has_read_options(&self) -> bool {
        self.parameters().any(|parameter| parameter.name == "as_of")
    }

    /// The query parameters that it takes.
    pub fn parameters(&self) -> impl Iterator<Item = &'static Parameter> + use<> {
        self.query.iter().copied().flatten()
    }

    /// Whether a body of many lines may come.
    pub fn takes_lines(&self) -> bool {
        matches!(self.body, Body::JsonOrLines(_))
    }

    const fn query(self, query: &'static [&'static [Parameter]]) -> Operation {
        Operation { query, ..self }
    }

    const fn answers(self, media_types: &'static [&'static str]) -> Operation {
        Operation { media_types, ..self }
    }

    const fn allows(self, permission: Permission) -> Operation {
        Operation { permission, ..self }
    }

    const fn conditional(self) -> Operation {
        Operation { is_conditional: true, ..self }
    }

    const fn without_key(self) -> Operation {
        Operation { idempotency: Idempotency::Ignored, ..self }
    }

    const fn refusing_key(self, idempotency: Idempotency) -> Operation {
        Operation { idempotency, ..self }
    }

    const fn any_json(self) -> Operation {
        Operation { body: Body::AnyJson, ..self }
    }

    const fn json(self, schema: &'static str) -> Operation {
        Operation { body: Body::Json(schema), ..self }
    }

    const fn optional_json(self, schema: &'static str) -> Operation {
        Operation { body: Body::OptionalJson(schema), ..self }
    }

    const fn merge_patch(self, schema: &'static str) -> Operation {
        Operation { body: Body::MergePatch(schema), ..self }
    }

    const fn json_or_lines(self, schema: &'static str) -> Operation {
        Operation { body: Body::JsonOrLines(schema), ..self }
    }

    const fn secret(self) -> Operation {
        Operation { holds_secrets: true, ..self }
    }

    const fn of_service(self) -> Operation {
        Operation { is_of_service: true, ..self }
    }

    const fn always_admitted(self) -> Operation {
        Operation { is_always_admitted: true, ..self }
    }

    const fn routine(self) -> Operation {
        Operation { is_routine: true, ..self }
    }
}

const fn operation(method: &'static str, path: &'static str, permission: Permission) -> Operation {
    Operation {
        method,
        path,
        permission,
        query: &[],
        media_types: &[JSON],
        is_conditional: false,
        idempotency: Idempotency::Honoured,
        body: Body::Nothing,
        holds_secrets: false,
        is_of_service: false,
        is_always_admitted: false,
        is_routine: false,
    }
}

const fn get(path: &'static str) -> Operation {
    operation("GET", path, Permission::Read).without_key()
}

const fn post(path: &'static str, permission: Permission) -> Operation {
    operation("POST", path, permission)
}

const fn put(path: &'static str, permission: Permission) -> Operation {
    operation("PUT", path, permission)
}

const fn patch(path: &'static str, permission: Permission) -> Operation {
    operation("PATCH", path, permission)
}

const fn delete(path: &'static str, permission: Permission) -> Operation {
    operation("DELETE", path, permission)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_row_is_for_admins_when_it_changes_anything() {
        for (method, route, wanted) in [
            (Method::GET, "/healthz", Permission::Public),
            (Method::OPTIONS, "/tokens", Permission::Public),
            (Method::GET, "/docs/{*rest}", Permission::Public),
            (Method::POST, "/healthz", Permission::Administer),
            (Method::GET, "/docsx", Permission::Read),
            (Method::GET, "/", Permission::Public),
            (Method::HEAD, "/ui/{hash}/{*path}", Permission::Public),
            (Method::POST, "/", Permission::Administer),
            (Method::GET, "/uix", Permission::Read),
            (Method::HEAD, "/plugins/{id}", Permission::Read),
            (Method::PUT, "/plugins/{id}", Permission::Write),
            (Method::POST, "/observations", Permission::Observe),
            (Method::GET, "/webhooks", Permission::Administer),
            (Method::GET, "/tokens/{token_id}", Permission::Administer),
            (Method::PUT, "/categories/{name}", Permission::Administer),
            (Method::POST, "/anything/new", Permission::Administer),
            (Method::POST, "/pluginsx", Permission::Administer),
            (Method::from_bytes(b"BREW").unwrap(), "/stats", Permission::Administer),
        ] {
            let found = Operation::find(&method, route);
            assert_eq!(Operation::permission_of(&method, found), wanted, "{method} {route}");
        }
    }
}
