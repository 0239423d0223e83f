//! Asks a provider's own API for the state of a rented resource: any API that answers JSON, without its SDK.
//!
//! Only the operator chooses the addresses, in a file. A plugin chooses none: its ids are
//! percent-encoded and fill path segments only. Credentials stay in the files and variables that the
//! operator names; each request reads them anew, and the registry never stores, logs or returns them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;
use serde_json_path::JsonPath;
use url::Url;

use domain::plugin::{Provider, RemoteResource};
use domain::record::ObservedState;

/// The configured APIs, by provider.
#[derive(Debug, Default)]
pub struct Providers(BTreeMap<Provider, ProviderApi>);

/// How to call one provider's API.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderApi {
    /// The provider.
    provider: Provider,
    /// The URL, with `{instance_id}`, `{job_id}` or `{region}` in its path or query.
    url: String,
    /// The JSONPath (RFC 9535) of the status in the response.
    status: JsonPath,
    /// The meaning of each status; a status that is not listed is unknown.
    states: BTreeMap<String, Meaning>,
    /// The meaning of 404. Some providers delete ended resources, others answer 404 to a wrong credential.
    #[serde(default)]
    missing: Meaning,
    /// The header that carries the credential.
    #[serde(default = "authorization")]
    header: String,
    /// The text in front of the credential, for example `Bearer `.
    #[serde(default)]
    prefix: String,
    /// The source of the credential.
    credential: Option<Credential>,
}

/// The meaning of a provider's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Meaning {
    Alive,
    Gone,
    #[default]
    Unknown,
}

/// The source of a credential.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Credential {
    /// An environment variable of this process.
    Env(String),
    /// A file; white space at both ends is trimmed.
    File(PathBuf),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderSettings {
    #[serde(default)]
    provider: Vec<ProviderApi>,
}

/// A request to a provider. It has no `Debug`, because its header holds a credential.
pub struct ProviderRequest {
    /// The target.
    pub url: Url,
    /// The header with the credential.
    pub header: Option<(String, String)>,
}

fn authorization() -> String {
    "authorization".to_owned()
}

impl Providers {
    /// Parses the settings: TOML, or JSON if they begin with `{`.
    ///
    /// # Errors
    ///
    /// A message for the operator that says what is wrong.
    pub fn read(text: &str) -> Result<Providers, String> {
        let settings: ProviderSettings = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| error.to_string())?
        } else {
            toml::from_str(text).map_err(|error| error.to_string())?
        };
        let mut apis = BTreeMap::new();
        for api in settings.provider {
            let provider = api.provider.as_str();
            api.check().map_err(|why| format!("provider {provider}: {why}"))?;
            if apis.insert(api.provider, api).is_some() {
                return Err(format!("provider {provider} is configured twice"));
            }
        }
        Ok(Providers(apis))
    }

    /// The API of a resource's provider, if the operator has configured it.
    pub fn of(&self, resource: &RemoteResource) -> Option<&ProviderApi> {
        self.0.get(&resource.provider)
    }
}

impl ProviderApi {
    fn check(&self) -> Result<(), String> {
        let url = Url::parse(&self.url).map_err(|error| format!("the url is invalid: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("the url must begin with `https://` or `http://`".into());
        }
        let authority = self.url.split("://").nth(1).and_then(|rest| rest.split(['/', '?', '#']).next());
        if authority.is_none_or(|authority| authority.contains(['{', '@'])) {
            return Err("the host of the url must contain no placeholder and no user name or password".into());
        }
        let mut rest = self.url.as_str();
        while let Some((_, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("a placeholder of the url lacks its closing `}`")?;
            if !matches!(name, "instance_id" | "job_id" | "region") {
                return Err(format!("unknown placeholder `{{{name}}}`: use {{instance_id}}, {{job_id}} or {{region}}"));
            }
            rest = after;
        }
        if written_path(&self.url).is_some_and(holds_dot_segment) {
            return Err("the path of the url must be written without `.` and `..`".into());
        }
        Ok(())
    }

    /// The request for a resource; `None` if the resource lacks an id that the URL needs.
    ///
    /// # Errors
    ///
    /// If an id would change the path of the URL, or the credential cannot be read. The message contains no part of either.
    pub fn request(&self, resource: &RemoteResource) -> Result<Option<ProviderRequest>, String> {
        let mut filled = self.url.clone();
        let path = written_path(&self.url).unwrap_or_default();
        let ids =
            [("{instance_id}", &resource.instance_id), ("{job_id}", &resource.job_id), ("{region}", &resource.region)];
        for (placeholder, id) in ids {
            if filled.contains(placeholder) {
                let Some(id) = id.as_deref().filter(|id| !id.is_empty()) else { return Ok(None) };
                if path.contains(placeholder) && holds_dot_segment(id) {
                    return Err(format!("{placeholder} holds `.` or `..`, which would change the path"));
                }
                filled = filled.replace(placeholder, &utf8_percent_encode(id, NON_ALPHANUMERIC).to_string());
            }
        }
        let url = Url::parse(&filled).map_err(|_| "the ids of this resource make the url invalid".to_owned())?;
        if !self.keeps_its_path(&filled, &url) {
            return Err("the ids of this resource would change the path of the url".into());
        }
        let credential = self.credential.as_ref().map(Credential::read).transpose()?;
        let header = credential.map(|credential| (self.header.clone(), format!("{}{credential}", self.prefix)));
        Ok(Some(ProviderRequest { url, header }))
    }

    /// Returns true if and only if the ids fill segments of the template's path, and change nothing else of it. The
    /// filled path has no dot segment, which the parser would remove, and a server that decodes it again finds none.
    fn keeps_its_path(&self, filled: &str, url: &Url) -> bool {
        let count = |path: &str| path.split('/').count();
        let (Some(template), Some(written)) = (written_path(&self.url), written_path(filled)) else { return false };
        let asked = url.path().strip_prefix('/').unwrap_or_default();
        !holds_dot_segment(written) && count(template) == count(written) && count(template) == count(asked)
    }

    /// The state that a response means, with the reason.
    pub fn judge(&self, status: u16, body: &[u8]) -> (ObservedState, String) {
        let provider = self.provider.as_str();
        if status == 404 {
            return (self.missing.state(), format!("{provider} answers 404: no such resource"));
        }
        if !(200..300).contains(&status) {
            return (ObservedState::Unknown, format!("{provider} answers {status}"));
        }
        let Ok(answer) = serde_json::from_slice::<Value>(body) else {
            return (ObservedState::Unknown, format!("the response of {provider} is not JSON"));
        };
        let found = self.status.query(&answer).at_most_one();
        let Some(word) = found.ok().flatten().and_then(Value::as_str) else {
            return (ObservedState::Unknown, format!("the response of {provider} has no status at {}", self.status));
        };
        let meaning = self.states.get(word).copied().unwrap_or_default();
        (meaning.state(), format!("{provider} reports `{}`", word.chars().take(100).collect::<String>()))
    }
}

/// The path of a URL as written, without its first `/`; empty if there is none.
fn written_path(address: &str) -> Option<&str> {
    let (_, rest) = address.split_once("://")?;
    let rest = rest.split(['?', '#']).next()?;
    Some(rest.split_once('/').map_or("", |(_, path)| path))
}

/// Returns true if and only if a part of a text between slashes is `.` or `..`, even if percent-encoded several times:
/// a gateway may decode it before the server does.
fn holds_dot_segment(text: &str) -> bool {
    let mut text = text.as_bytes().to_vec();
    loop {
        if text.split(|byte| matches!(byte, b'/' | b'\\')).any(|part| matches!(part, b"." | b"..")) {
            return true;
        }
        let decoded = percent_decode(&text).collect::<Vec<_>>();
        if decoded == text {
            return false;
        }
        text = decoded;
    }
}

impl Meaning {
    fn state(self) -> ObservedState {
        match self {
            Meaning::Alive => ObservedState::Alive,
            Meaning::Gone => ObservedState::Gone,
            Meaning::Unknown => ObservedState::Unknown,
        }
    }
}

impl Credential {
    fn read(&self) -> Result<String, String> {
        let (text, place) = match self {
            Credential::Env(name) => (std::env::var(name).ok(), format!("the environment variable {name}")),
            Credential::File(path) => (std::fs::read_to_string(path).ok(), format!("the file {}", path.display())),
        };
        let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        text.ok_or_else(|| format!("cannot read the credential from {place}"))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const LAMBDA: &str = r#"
        [[provider]]
        provider = "lambda_labs"
        url = "https://api.example/v1/{region}/instances/{instance_id}?full=1"
        status = "$.data.status"
        prefix = "Bearer "
        credential = { file = "/nonexistent" }
        missing = "gone"
        [provider.states]
        active = "alive"
        terminated = "gone"
    "#;

    fn resource(id: Option<&str>) -> RemoteResource {
        let document = json!({"provider": "lambda_labs", "instance_id": id, "region": "us/west"});
        RemoteResource::read(document, "").unwrap()
    }

    #[test]
    fn ids_are_encoded_and_never_choose_the_host() {
        let providers = Providers::read(&LAMBDA.replace("credential =", "#")).unwrap();
        let api = providers.of(&resource(None)).unwrap();
        let request = api.request(&resource(Some("a.b..c/d?e#f@evil"))).unwrap().unwrap();
        let encoded = "a%2Eb%2E%2Ec%2Fd%3Fe%23f%40evil";
        assert_eq!(request.url.as_str(), format!("https://api.example/v1/us%2Fwest/instances/{encoded}?full=1"));
        assert!(request.header.is_none());
        assert!(api.request(&resource(None)).unwrap().is_none(), "the URL needs an id");
    }

    #[rstest]
    fn an_id_of_dots_climbed_out_of_the_path_and_was_asked_with_the_credential(
        #[values(
            ".",
            "..",
            "%2e%2e",
            "%2E.",
            ".%2e",
            "%252e%252e",
            "%25252e%2525252e",
            "../a",
            "a/..",
            "a/../b",
            "a%2f..",
            "..\\a",
            "a%5c%2e%2e"
        )]
        id: &str,
        #[values(
            "v1/{region}/instances/{instance_id}",
            "v1/{instance_id}",
            "v1/{instance_id}/status",
            "{instance_id}"
        )]
        path: &str,
    ) {
        let text = LAMBDA.replace("v1/{region}/instances/{instance_id}", path).replace("credential =", "#");
        let providers = Providers::read(&text).unwrap();
        let api = providers.of(&resource(None)).unwrap();
        assert!(api.request(&resource(Some(id))).is_err(), "{id} in {path}");
        let document = json!({"provider": "lambda_labs", "instance_id": "i", "region": id});
        let region = RemoteResource::read(document, "").unwrap();
        assert_eq!(api.request(&region).is_err(), path.contains("{region}"), "{id} in {path}");
    }

    #[rstest]
    #[case("v1/.{instance_id}", ".")]
    #[case("v1/{instance_id}.", ".")]
    #[case("v1/{region}{instance_id}", ".")]
    #[case("v1/%2{instance_id}", "e")]
    fn an_id_made_a_segment_of_dots_together_with_what_stands_beside_it(#[case] path: &str, #[case] id: &str) {
        let text = LAMBDA.replace("v1/{region}/instances/{instance_id}", path).replace("credential =", "#");
        let providers = Providers::read(&text).unwrap();
        let document = json!({"provider": "lambda_labs", "instance_id": id, "region": "."});
        let resource = RemoteResource::read(document, "").unwrap();
        assert!(providers.of(&resource).unwrap().request(&resource).is_err(), "{id} in {path}");
    }

    #[test]
    fn dots_in_the_query_ask_for_nothing_else() {
        let text =
            LAMBDA.replace("instances/{instance_id}?full=1", "instances?q={instance_id}").replace("credential =", "#");
        let api = Providers::read(&text).unwrap();
        let request = api.of(&resource(None)).unwrap().request(&resource(Some(".."))).unwrap().unwrap();
        assert_eq!(request.url.as_str(), "https://api.example/v1/us%2Fwest/instances?q=%2E%2E");
    }

    #[test]
    fn credentials_are_read_for_each_request_and_not_shown_in_debug() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = LAMBDA.replace("/nonexistent", &file.path().display().to_string());
        let providers = Providers::read(&text).unwrap();
        let api = providers.of(&resource(None)).unwrap();
        assert!(api.request(&resource(Some("1"))).is_err(), "the file is empty");
        std::fs::write(file.path(), "s3cret\n").unwrap();
        let request = api.request(&resource(Some("1"))).unwrap().unwrap();
        assert_eq!(request.header.unwrap(), ("authorization".to_owned(), "Bearer s3cret".to_owned()));
        assert!(!format!("{providers:?}").contains("s3cret"));
    }

    #[rstest]
    #[case(200, r#"{"data":{"status":"active"}}"#, ObservedState::Alive)]
    #[case(200, r#"{"data":{"status":"terminated"}}"#, ObservedState::Gone)]
    #[case(200, r#"{"data":{"status":"unhealthy"}}"#, ObservedState::Unknown)]
    #[case(200, r#"{"data":{"status":1}}"#, ObservedState::Unknown)]
    #[case(200, r#"{"data":{}}"#, ObservedState::Unknown)]
    #[case(200, "<html>", ObservedState::Unknown)]
    #[case(404, "", ObservedState::Gone)]
    #[case(401, r#"{"data":{"status":"terminated"}}"#, ObservedState::Unknown)]
    #[case(500, "", ObservedState::Unknown)]
    fn responses_become_states(#[case] status: u16, #[case] body: &str, #[case] state: ObservedState) {
        let providers = Providers::read(LAMBDA).unwrap();
        assert_eq!(providers.of(&resource(None)).unwrap().judge(status, body.as_bytes()).0, state);
    }

    #[rstest]
    #[case("https://{instance_id}.example/", "host")]
    #[case("https://user@api.example/{instance_id}", "host")]
    #[case("https://api.example/{name}", "{name}")]
    #[case("https://api.example/{instance_id", "closing")]
    #[case("ftp://api.example/", "https://")]
    #[case("api.example", "url")]
    #[case("https://api.example/v1/../{instance_id}", "without `.`")]
    fn urls_whose_host_a_plugin_could_change_are_refused(#[case] url: &str, #[case] told: &str) {
        let text = LAMBDA.replace("https://api.example/v1/{region}/instances/{instance_id}?full=1", url);
        let refused = Providers::read(&text).unwrap_err();
        assert!(refused.contains(told), "{refused}");
    }

    #[test]
    fn json_is_accepted_and_unknown_settings_are_refused() {
        let json = json!({"provider": [{"provider": "aws", "url": "http://h/", "status": "$.s", "states": {}}]});
        assert!(Providers::read(&json.to_string()).is_ok());
        assert!(Providers::read(&LAMBDA.replace("prefix", "prefixes")).is_err());
        assert!(Providers::read(&format!("{LAMBDA}{LAMBDA}")).unwrap_err().contains("twice"));
    }
}
