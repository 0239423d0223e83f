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

use super::status_table::{Meaning, StatusTable, words_of};
use domain::plugin::{Labels, Provider, RemoteResource};
use domain::record::ObservedState;

/// How many words of a response an observation repeats.
const SHOWN_WORDS: usize = 5;

/// The configured APIs, by provider; of each provider, those with conditions come first.
#[derive(Debug, Default)]
pub struct Providers(BTreeMap<Provider, Vec<ProviderApi>>);

/// How to call one provider's API.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderApi {
    /// The provider.
    provider: Provider,
    /// Only for resources of this name: the label `provider` of the plugin, or `provider` in the resource's `metadata`.
    name: Option<String>,
    /// Only for plugins that have all these labels.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// The URL, with `{instance_id}`, `{job_id}` or `{region}` in its path or query.
    url: String,
    /// The JSONPath (RFC 9535) of the status in the response.
    status: JsonPath,
    /// The meaning of each status; a status that is not listed is unknown.
    states: StatusTable,
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

/// What identifies a resource's API.
#[derive(Debug, Clone, Copy)]
pub struct Rented<'a> {
    /// The plugin's document of the resource.
    pub resource: &'a RemoteResource,
    /// The labels of the plugin.
    pub labels: &'a Labels,
}

impl Rented<'_> {
    fn is_of(&self, name: &str) -> bool {
        let metadata = self.resource.metadata.to_value();
        let said = metadata.get("provider").and_then(Value::as_str);
        said.or_else(|| self.labels.get("provider")).is_some_and(|said| said == name)
    }
}

impl Providers {
    /// Parses the settings: TOML, or JSON if they begin with `{`.
    ///
    /// # Errors
    ///
    /// A message for the operator that says what is wrong.
    pub fn read(text: &str) -> Result<Providers, String> {
        // Editors of Windows begin a file with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let settings: ProviderSettings = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| error.to_string())?
        } else {
            toml::from_str(text).map_err(|error| error.to_string())?
        };
        let mut providers: BTreeMap<Provider, Vec<ProviderApi>> = BTreeMap::new();
        for api in settings.provider {
            let called = api.called();
            api.check().map_err(|why| format!("provider {called}: {why}"))?;
            let apis = providers.entry(api.provider).or_default();
            if apis.iter().any(|other| (&other.name, &other.labels) == (&api.name, &api.labels)) {
                return Err(format!(
                    "provider {called} is configured twice; give each of its APIs another `name`, or other `labels`"
                ));
            }
            apis.push(api);
        }
        for apis in providers.values_mut() {
            apis.sort_by_key(ProviderApi::is_unconditional);
        }
        Ok(Providers(providers))
    }

    /// The API for a resource, if the operator has configured one: the first whose conditions the resource meets.
    pub fn of(&self, rented: Rented<'_>) -> Option<&ProviderApi> {
        self.0.get(&rented.resource.provider)?.iter().find(|api| api.is_for(rented))
    }
}

impl ProviderApi {
    /// The name of the API in messages.
    pub fn called(&self) -> &str {
        self.name.as_deref().unwrap_or(self.provider.as_str())
    }

    fn is_unconditional(&self) -> bool {
        self.name.is_none() && self.labels.is_empty()
    }

    fn is_for(&self, rented: Rented<'_>) -> bool {
        self.name.as_deref().is_none_or(|name| rented.is_of(name))
            && self.labels.iter().all(|(key, value)| rented.labels.get(key) == Some(value))
    }

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
        let provider = self.called();
        if status == 404 {
            return (self.missing.state(), format!("{provider} answers 404: no such resource"));
        }
        if !(200..300).contains(&status) {
            return (ObservedState::Unknown, format!("{provider} answers {status}"));
        }
        let Ok(answer) = serde_json::from_slice::<Value>(body) else {
            return (ObservedState::Unknown, format!("the response of {provider} is not JSON"));
        };
        let found = self.status.query(&answer).all();
        let words: Vec<String> = found.into_iter().flat_map(words_of).collect();
        if words.is_empty() {
            return (ObservedState::Unknown, format!("the response of {provider} has no status at {}", self.status));
        }
        let shown = words.iter().take(SHOWN_WORDS).map(|word| word.chars().take(100).collect());
        let shown: Vec<String> = shown.map(|word: String| format!("`{word}`")).collect();
        (self.states.of_all(&words).state(), format!("{provider} reports {}", shown.join(", ")))
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
        16 = "alive"
        true = "alive"
        terminated = "gone"
    "#;

    fn resource(id: Option<&str>) -> RemoteResource {
        let document = json!({"provider": "lambda_labs", "instance_id": id, "region": "us/west"});
        RemoteResource::read(document, "").unwrap()
    }

    /// The API for a resource of a plugin without labels.
    fn api<'a>(providers: &'a Providers, resource: &RemoteResource) -> &'a ProviderApi {
        providers.of(Rented { resource, labels: &Labels::default() }).unwrap()
    }

    #[test]
    fn ids_are_encoded_and_never_choose_the_host() {
        let providers = Providers::read(&LAMBDA.replace("credential =", "#")).unwrap();
        let api = api(&providers, &resource(None));
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
        let api = api(&providers, &resource(None));
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
        assert!(api(&providers, &resource).request(&resource).is_err(), "{id} in {path}");
    }

    #[test]
    fn dots_in_the_query_ask_for_nothing_else() {
        let text =
            LAMBDA.replace("instances/{instance_id}?full=1", "instances?q={instance_id}").replace("credential =", "#");
        let providers = Providers::read(&text).unwrap();
        let request = api(&providers, &resource(None)).request(&resource(Some(".."))).unwrap().unwrap();
        assert_eq!(request.url.as_str(), "https://api.example/v1/us%2Fwest/instances?q=%2E%2E");
    }

    #[test]
    fn credentials_are_read_for_each_request_and_not_shown_in_debug() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = LAMBDA.replace("/nonexistent", &file.path().display().to_string());
        let providers = Providers::read(&text).unwrap();
        let api = api(&providers, &resource(None));
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
    #[case(200, r#"{"data":{"status":16}}"#, ObservedState::Alive)]
    #[case(200, r#"{"data":{"status":true}}"#, ObservedState::Alive)]
    #[case(200, r#"{"data":{"status":1}}"#, ObservedState::Unknown)]
    #[case(200, r#"{"data":{"status":null}}"#, ObservedState::Unknown)]
    #[case(200, r#"{"data":{"status":["terminated","terminated"]}}"#, ObservedState::Gone)]
    #[case(200, r#"{"data":{"status":["terminated","active"]}}"#, ObservedState::Alive)]
    #[case(200, r#"{"data":{"status":["terminated","unhealthy"]}}"#, ObservedState::Unknown)]
    #[case(200, r#"{"data":{"status":[]}}"#, ObservedState::Unknown)]
    #[case(200, r#"{"data":{}}"#, ObservedState::Unknown)]
    #[case(200, "<html>", ObservedState::Unknown)]
    #[case(404, "", ObservedState::Gone)]
    #[case(401, r#"{"data":{"status":"terminated"}}"#, ObservedState::Unknown)]
    #[case(500, "", ObservedState::Unknown)]
    fn responses_become_states(#[case] status: u16, #[case] body: &str, #[case] state: ObservedState) {
        let providers = Providers::read(LAMBDA).unwrap();
        assert_eq!(api(&providers, &resource(None)).judge(status, body.as_bytes()).0, state);
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
    fn one_provider_had_one_api_although_custom_stands_for_many() {
        let entry = |condition: &str, host: &str| {
            format!(
                "[[provider]]\nprovider = 'custom'\n{condition}\nurl = 'http://{host}/{{instance_id}}'\nstatus = '$.s'\nstates = {{}}\n"
            )
        };
        let text = [
            entry("", "any"),
            entry("name = 'hetzner'", "hetzner"),
            entry("labels = { cloud = 'own', zone = 'a' }", "own"),
        ];
        let providers = Providers::read(&text.concat()).unwrap();
        let host_of = |metadata: Value, labels: Value| {
            let document = json!({"provider": "custom", "instance_id": "i", "metadata": metadata});
            let plugin = json!({"name": "n", "category": "c", "title": "T", "config_schema": {}, "labels": labels});
            let plugin = domain::plugin::Registration::read(plugin).unwrap();
            let resource = RemoteResource::read(document, "").unwrap();
            let api = providers.of(Rented { resource: &resource, labels: &plugin.labels }).unwrap();
            api.request(&resource).unwrap().unwrap().url.host_str().unwrap().to_owned()
        };
        for (metadata, labels, host) in [
            (json!({"provider": "hetzner"}), json!({}), "hetzner"),
            (json!({}), json!({"provider": "hetzner"}), "hetzner"),
            (json!({"provider": "scaleway"}), json!({"provider": "hetzner"}), "any"),
            (json!({}), json!({"cloud": "own", "zone": "a", "team": "x"}), "own"),
            (json!({}), json!({"cloud": "own"}), "any"),
            (json!({"provider": 1}), json!({}), "any"),
        ] {
            assert_eq!(host_of(metadata.clone(), labels.clone()), host, "{metadata} {labels}");
        }
        let twice = entry("name = 'hetzner'", "a") + &entry("name = 'hetzner'", "b");
        let refused = Providers::read(&twice).unwrap_err();
        assert!(refused.contains("hetzner is configured twice") && refused.contains("`labels`"), "{refused}");
        let alone = Providers::read(&entry("name = 'hetzner'", "a")).unwrap();
        let resource = RemoteResource::read(json!({"provider": "custom"}), "").unwrap();
        assert!(alone.of(Rented { resource: &resource, labels: &Labels::default() }).is_none());
    }

    #[test]
    fn json_is_accepted_and_unknown_settings_are_refused() {
        let json = json!({"provider": [{"provider": "aws", "url": "http://h/", "status": "$.s", "states": {}}]});
        for text in [json.to_string(), format!("\u{feff}{json}"), format!("\u{feff}{LAMBDA}")] {
            assert!(Providers::read(&text).is_ok(), "{text}");
        }
        assert!(Providers::read(&LAMBDA.replace("prefix", "prefixes")).is_err());
        assert!(Providers::read(&format!("{LAMBDA}{LAMBDA}")).unwrap_err().contains("twice"));
    }
}
