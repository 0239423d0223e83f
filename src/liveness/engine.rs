//! The Docker Engine API, as far as the probes need it: the list of containers, and how one ended.
//!
//! Podman and other engines speak it, too, each with words of its own for states, health and ports. The client reads
//! only what a probe needs, and keeps unknown words as texts, so that no word hides all containers of a host.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use hyper::{Request, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::net::HttpClient;

/// The timeout of one call. A busy engine takes seconds to list many containers.
const PATIENCE: Duration = Duration::from_secs(10);

/// The largest response: 10,000 containers with many labels and mounts.
const MAX_ANSWER: usize = 64 << 20;

/// The longest message of the engine that is repeated, in characters.
const MAX_MESSAGE: usize = 200;

/// A connected engine.
#[derive(Debug)]
pub struct Engine {
    http: HttpClient,
    address: String,
    /// The URL that precedes each path, with the version of the API: a path without one is deprecated.
    base: String,
    /// The version of the engine, for people.
    pub version: String,
}

/// One container of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedContainer {
    /// 64 hexadecimal digits.
    pub id: Box<str>,
    /// Its names, without the slash that the engine prefixes.
    pub names: Vec<Box<str>>,
    /// The state, in the engine's own word.
    pub state: Option<Box<str>>,
}

/// How a container ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerEnd {
    /// The exit code of its first process.
    pub exit_code: Option<i64>,
    /// Whether the kernel killed it because memory ran out.
    #[serde(rename = "OOMKilled")]
    pub oom_killed: Option<bool>,
    /// When it ended (RFC 3339).
    pub finished_at: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    api_version: String,
    version: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    #[serde(default)]
    state: Option<ContainerEnd>,
}

/// A call that failed: the status of the response, if there was one, and the reason for people.
#[derive(Debug)]
struct Failure {
    status: Option<StatusCode>,
    reason: String,
}

impl From<String> for Failure {
    fn from(reason: String) -> Failure {
        Failure { status: None, reason }
    }
}

impl Engine {
    /// Connects to the engine at `address`: `unix:///PATH`, or `tcp://HOST:PORT` without TLS. The client then uses the
    /// engine's own version of the API.
    ///
    /// # Errors
    ///
    /// Why the engine cannot be reached, for people.
    pub async fn connect(address: &str) -> Result<Engine, String> {
        let (http, base) = match address.split_once("://") {
            Some(("unix", path)) => (HttpClient::for_socket(Path::new(path)), "http://engine".to_owned()),
            Some(("tcp" | "http", place)) => {
                (HttpClient::for_plain_http(), format!("http://{}", place.trim_end_matches('/')))
            }
            _ => return Err(format!("{address}: the address must begin with unix:// or tcp://")),
        };
        let mut engine = Engine { http: http?, address: address.to_owned(), base, version: String::new() };
        let told: Version = engine.get("/version").await.map_err(|failure| failure.reason)?;
        // The version becomes a part of paths.
        if !told.api_version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return Err(format!("the engine at {address} has an unknown version of the API"));
        }
        engine.base = format!("{}/v{}", engine.base, told.api_version);
        engine.version = told.version.unwrap_or_else(|| "of unknown version".to_owned());
        Ok(engine)
    }

    /// All containers, running or not.
    ///
    /// # Errors
    ///
    /// Why the call failed, for people.
    pub async fn containers(&self) -> Result<Vec<ListedContainer>, String> {
        let listed: Vec<Value> = self.get("/containers/json?all=true").await.map_err(|failure| failure.reason)?;
        Ok(listed.iter().filter_map(ListedContainer::read).collect())
    }

    /// How a container ended; `None` if the engine no longer knows it.
    ///
    /// # Errors
    ///
    /// Why the call failed, for people.
    pub async fn how_it_ended(&self, container: &ListedContainer) -> Result<Option<ContainerEnd>, String> {
        match self.get::<Inspected>(&format!("/containers/{}/json", container.id)).await {
            Ok(inspected) => Ok(Some(inspected.state.unwrap_or_default())),
            Err(Failure { status: Some(StatusCode::NOT_FOUND), .. }) => Ok(None),
            Err(failure) => Err(failure.reason),
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let wrong = |why: &str| format!("cannot query the engine at {}: {why}", self.address);
        let request = Request::get(format!("{}{path}", self.base)).body(Bytes::new());
        let request = request.map_err(|error| wrong(&error.to_string()))?;
        let answer = self.http.fetch(request, PATIENCE, MAX_ANSWER).await.map_err(|error| wrong(&error.reason()))?;
        let (status, body) = (answer.status(), Response::into_body(answer));
        if !status.is_success() {
            let reason = wrong(&format!("it answers {status}{}", message(&body)));
            return Err(Failure { status: Some(status), reason });
        }
        Ok(serde_json::from_slice(&body).map_err(|error| wrong(&format!("its answer is malformed: {error}")))?)
    }
}

impl ListedContainer {
    /// Reads an item of the list; `None` if it has no id. Everything else may be missing or unknown.
    fn read(item: &Value) -> Option<ListedContainer> {
        let names = item.get("Names").and_then(Value::as_array);
        let names = names.into_iter().flatten().filter_map(Value::as_str);
        let id = item.get("Id")?.as_str().filter(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric()))?;
        Some(ListedContainer {
            id: id.into(),
            names: names.map(|name| name.trim_start_matches('/').into()).collect(),
            state: item.get("State").and_then(Value::as_str).filter(|state| !state.is_empty()).map(Into::into),
        })
    }
}

/// The message of an error's body, to follow the status.
fn message(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match body.get("message").and_then(Value::as_str) {
        Some(message) => format!(": {}", message.chars().take(MAX_MESSAGE).collect::<String>()),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_id_of_a_container_is_required() {
        let item = json!({"Id": "0123456789ab", "Names": ["/web", 7], "State": "stopped", "Ports": [{"Type": "quic"}]});
        let read = ListedContainer::read(&item).unwrap();
        let expected =
            ListedContainer { id: "0123456789ab".into(), names: vec!["web".into()], state: Some("stopped".into()) };
        assert_eq!(read, expected);
        for state in [json!(null), json!(""), json!(7)] {
            let item = json!({"Id": "ab", "Names": null, "State": state});
            assert_eq!(ListedContainer::read(&item).unwrap().state, None);
        }
        for item in [json!(null), json!({}), json!({"Id": 7}), json!({"Id": "../version"})] {
            assert_eq!(ListedContainer::read(&item), None, "{item}");
        }
    }
}
