//! A server with a token for each role, and a client for each token.

use serde_json::{Value, json};

use super::{Client, Server, minimal};

/// Clients of one server, by the roles of their tokens.
pub(crate) struct Bearers {
    pub(crate) admin: Client,
    pub(crate) viewer: Client,
    /// A token without a scope.
    pub(crate) reporter: Client,
    pub(crate) agent: Client,
    /// A client without a token.
    pub(crate) anonymous: Client,
}

impl Bearers {
    /// Creates the tokens, the admin's first.
    pub(crate) async fn of(server: &Server) -> Bearers {
        let anonymous = server.client();
        let admin = anonymous.with_token(&token(&anonymous, json!({"name": "admin", "role": "admin"})).await);
        let bearer = async |role: &str| anonymous.with_token(&token(&admin, json!({"name": role, "role": role})).await);
        let (viewer, reporter, agent) = (bearer("viewer").await, bearer("reporter").await, bearer("agent").await);
        Bearers { admin, viewer, reporter, agent, anonymous }
    }

    /// A client with a new token of these terms.
    pub(crate) async fn bearer(&self, terms: Value) -> Client {
        self.anonymous.with_token(&token(&self.admin, terms).await)
    }

    /// The client of a role.
    pub(crate) fn role(&self, role: &str) -> &Client {
        match role {
            "viewer" => &self.viewer,
            "reporter" => &self.reporter,
            "agent" => &self.agent,
            "admin" => &self.admin,
            _ => panic!("there is no role {role}"),
        }
    }
}

/// Creates a token; returns its text.
pub(crate) async fn token(maker: &Client, terms: Value) -> String {
    let made = maker.post("/tokens", &terms).answers(201).await.json();
    made["token"].as_str().expect("the answer has the token").to_owned()
}

/// A plugin of a category and a name, with additional fields.
pub(crate) fn plugin(category: &str, name: &str, more: Value) -> Value {
    let mut plugin = minimal();
    (plugin["category"], plugin["name"]) = (category.into(), name.into());
    for (field, value) in more.as_object().expect("fields") {
        plugin[field] = value.clone();
    }
    plugin
}
