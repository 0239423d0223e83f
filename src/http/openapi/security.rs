//! Who may do what, for the description: from the same function that decides it.

use serde_json::{Value, json};

use crate::http::operations::Operation;
use domain::access::{Permission, Role};

/// The ways to prove who one is, for the components of the description.
pub(crate) fn schemes() -> Value {
    json!({"token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "plr_<id>_<secret>",
        "description": "A token that an admin has made. Not needed while no tokens are configured.",
    }})
}

/// Says who may use an operation, and what everybody else is answered.
pub(crate) fn complete(operation: &Operation, described: &mut Value) {
    let permission = operation.permission;
    if permission == Permission::Public {
        described["security"] = json!([]);
        return;
    }
    let roles: Vec<_> = Role::that_may(permission).map(Role::as_str).collect();
    // The empty one: while no tokens are configured, none is needed.
    described["security"] = json!([{"token": []}, {}]);
    described["x-roles"] = json!(roles);
    let responses = &mut described["responses"];
    responses["401"] = refusal("Tokens are configured, and the request has none that is in force");
    responses["401"]["headers"]["WWW-Authenticate"] = json!({
        "description": "The challenge of RFC 6750", "required": true, "schema": {"type": "string"},
    });
    responses["403"] = refusal(&format!(
        "The token is not for this: it takes the role {}{}",
        roles.join(" or "),
        if matches!(permission, Permission::Write | Permission::Observe | Permission::AnswerStop) {
            ", and a scope that the plugin is in"
        } else {
            ""
        },
    ));
}

fn refusal(help: &str) -> Value {
    let content = json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}});
    json!({"description": help, "content": content})
}
