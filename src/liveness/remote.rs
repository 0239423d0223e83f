//! Does a rented resource still answer? Probes use HTTP, TCP and the provider's API.
//!
//! A resource that does not answer is unreachable: it may still run and bill. Only the provider's API
//! can report it gone. Plugins name the addresses, so these probes are off by default, and the address
//! policy restricts them.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use hyper::header::{ACCEPT, HeaderValue};
use hyper::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpStream;
use url::Url;

use super::backoff::Backoff;
use super::dedup::{LastReport, ReportDedup};
use super::provider::{Providers, Rented};
use crate::net::address_policy::ResolveError;
use crate::net::http_client::whole;
use crate::net::{AddressPolicy, Forbidden, HttpClient, RequestError, target_url};
use domain::plugin::{Labels, Plugin, RemoteResource};
use domain::record::{ObservedState, ReportedObservation, ResourceKey};

/// How many bytes of a provider's response are read.
const MAX_ANSWER: usize = 1 << 20;

/// How to probe remote resources.
#[derive(Debug, Clone, Copy)]
pub struct RemoteSettings {
    /// Where endpoints and SSH hosts may be. The operator sets the addresses of providers, so they are not restricted.
    pub address_policy: AddressPolicy,
    /// The timeout of one probe.
    pub timeout: Duration,
    /// How often to probe each resource.
    pub pace: Backoff,
    /// How many probes run at a time.
    pub concurrency: usize,
    /// When to resend an observation that has not changed.
    pub refresh: SignedDuration,
}

impl Default for RemoteSettings {
    fn default() -> RemoteSettings {
        RemoteSettings {
            address_policy: AddressPolicy::Public,
            timeout: Duration::from_secs(5),
            pace: Backoff::default(),
            concurrency: 16,
            refresh: SignedDuration::from_secs(50),
        }
    }
}

/// A remote resource that a plugin holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The key of the resource.
    pub key: ResourceKey,
    /// The plugin's document of the resource.
    pub resource: RemoteResource,
    /// The path to request at the endpoint, if it is not the endpoint itself.
    pub health_path: Option<String>,
    /// The labels of the plugin.
    pub labels: Labels,
}

impl Target {
    /// The remote resource of a plugin. `health_path` is a label of the plugin or in the resource's `metadata`.
    pub fn of(key: ResourceKey, plugin: &Plugin, resource: &RemoteResource) -> Target {
        let metadata = resource.metadata.to_value();
        let said = metadata.get("health_path").and_then(serde_json::Value::as_str).map(str::to_owned);
        let health_path = said.or_else(|| plugin.labels.get("health_path").map(str::to_owned));
        Target { key, resource: resource.clone(), health_path, labels: plugin.labels.clone() }
    }
}

/// Probes remote resources.
pub struct RemoteProber {
    guarded: Result<HttpClient, String>,
    operators: Result<HttpClient, String>,
    settings: RemoteSettings,
    providers: Providers,
    turns: HashMap<ResourceKey, ProbeTurn>,
    memory: ReportDedup,
}

/// When to probe a target next.
#[derive(Debug, Clone, Copy)]
struct ProbeTurn {
    failures: u32,
    at: Timestamp,
}

type ProbeAnswer = (ObservedState, String);

impl RemoteProber {
    /// A prober that has not probed yet.
    pub fn new(settings: RemoteSettings, providers: Providers) -> RemoteProber {
        RemoteProber {
            guarded: HttpClient::for_many_hosts(settings.address_policy),
            operators: HttpClient::for_many_hosts(AddressPolicy::Everything),
            settings,
            providers,
            turns: HashMap::new(),
            memory: ReportDedup::new(settings.refresh),
        }
    }

    /// Probes the targets of `held` that are due, and returns the observations to report. `chance` spreads
    /// the next probes.
    pub async fn sweep(
        &mut self,
        held: &[Target],
        now: Timestamp,
        chance: impl Fn() -> f64,
    ) -> Vec<ReportedObservation> {
        self.memory.forget_all_but(held.iter().map(|target| &target.key));
        let turns = std::mem::take(&mut self.turns);
        self.turns = held.iter().filter_map(|target| Some((target.key.clone(), *turns.get(&target.key)?))).collect();
        let mut probes = Vec::new();
        for target in held {
            if self.turns.get(&target.key).is_none_or(|turn| turn.at <= now) {
                let this = &*self;
                probes.push(async move { (target, this.probe(target).await) });
            }
        }
        let answers: Vec<_> = stream::iter(probes).buffer_unordered(self.settings.concurrency.max(1)).collect().await;
        let mut news = Vec::new();
        for (target, (state, detail)) in answers {
            let before = self.turns.get(&target.key).map_or(0, |turn| turn.failures);
            let failures = if state == ObservedState::Alive { 0 } else { before.saturating_add(1) };
            let at = self.settings.pace.next(failures, now, chance());
            self.turns.insert(target.key.clone(), ProbeTurn { failures, at });
            let detail: Option<Box<str>> = Some(detail.chars().take(1024).collect::<String>().into());
            let sighting = ReportedObservation {
                key: target.key.clone(),
                state,
                at: now,
                detail: detail.clone(),
                identity: None,
                parent: None,
                abandoned: None,
            };
            news.extend(self.memory.news(LastReport { sighting, headline: detail }));
        }
        news
    }

    /// Asks the provider first, then the endpoint, then SSH: the first definite answer wins.
    async fn probe(&self, target: &Target) -> ProbeAnswer {
        let mut answers = Vec::new();
        match self.ask_provider(target).await {
            Some(answer @ (ObservedState::Alive | ObservedState::Gone, _)) => return answer,
            Some(answer) => answers.push(answer),
            None => {}
        }
        if let Some(endpoint) = &target.resource.endpoint_url {
            let answer = self.ask_endpoint(endpoint, target.health_path.as_deref()).await;
            if answer.0 == ObservedState::Alive {
                return answer;
            }
            answers.push(answer);
        }
        if let Some(host) = &target.resource.ssh_host {
            let answer = self.knock(host, target.resource.ssh_port).await;
            if answer.0 == ObservedState::Alive {
                return answer;
            }
            answers.push(answer);
        }
        together(answers)
    }

    async fn ask_provider(&self, target: &Target) -> Option<ProbeAnswer> {
        let resource = &target.resource;
        let api = self.providers.of(Rented { resource, labels: &target.labels })?;
        let request = match api.request(resource) {
            Ok(request) => request?,
            Err(why) => return Some((ObservedState::Unknown, why)),
        };
        let header = request.header.as_ref().map(|(name, value)| (name.as_str(), value.as_str()));
        let answered = get(&self.operators, &request.url, header, self.settings.timeout).await;
        Some(match answered {
            Ok((status, body)) => api.judge(status, &body),
            Err(why) => (ObservedState::Unknown, format!("cannot query {}: {why}", api.called())),
        })
    }

    async fn ask_endpoint(&self, endpoint: &str, path: Option<&str>) -> ProbeAnswer {
        let url = match target_url::read(endpoint) {
            Ok(url) => url,
            Err(why) => return (ObservedState::Unknown, format!("the endpoint {why}")),
        };
        let url = match path.map(|path| url.join(path)) {
            None => url,
            Some(Ok(there)) if there.origin() == url.origin() => there,
            Some(_) => return (ObservedState::Unknown, "`health_path` is not a path of the endpoint".into()),
        };
        match get(&self.guarded, &url, None, self.settings.timeout).await {
            Ok((status, _)) => healthy(status),
            Err(why) => why.of("the endpoint"),
        }
    }

    async fn knock(&self, host: &str, port: u16) -> ProbeAnswer {
        // Some plugins write the host as for ssh(1): USER@HOST.
        let host = host.rsplit('@').next().unwrap_or(host);
        let connected = tokio::time::timeout(self.settings.timeout, async {
            let addresses = self.settings.address_policy.addresses(host).await?;
            let mut last = std::io::Error::other("the name has no address");
            for address in addresses {
                match TcpStream::connect((address, port)).await {
                    Ok(_) => return Ok(()),
                    Err(error) => last = error,
                }
            }
            Err(ResolveError::System(last))
        });
        match connected.await {
            Ok(Ok(())) => (ObservedState::Alive, format!("port {port} accepts connections")),
            Ok(Err(ResolveError::Forbidden(forbidden))) => out_of_reach("the SSH host", &forbidden),
            Ok(Err(error)) => (ObservedState::Unreachable, format!("port {port} accepts no connection: {error}")),
            Err(_) => (ObservedState::Unreachable, format!("port {port} does not answer")),
        }
    }
}

/// Why a request has no response.
enum NoAnswer {
    OutOfReach(&'static str),
    Failed(String),
}

impl NoAnswer {
    fn of(self, what: &str) -> ProbeAnswer {
        match self {
            NoAnswer::OutOfReach(is) => (ObservedState::Unknown, beyond(what, is)),
            NoAnswer::Failed(why) => (ObservedState::Unreachable, format!("{what} does not answer: {why}")),
        }
    }
}

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NoAnswer::OutOfReach(is) => write!(f, "it is {is}"),
            NoAnswer::Failed(why) => f.write_str(why),
        }
    }
}

async fn get(
    client: &Result<HttpClient, String>,
    url: &Url,
    header: Option<(&str, &str)>,
    time: Duration,
) -> Result<(u16, Bytes), NoAnswer> {
    let client = client.as_ref().map_err(|why| NoAnswer::Failed(why.clone()))?;
    let mut request = Request::get(url.as_str()).header(ACCEPT, "application/json, */*;q=0.1");
    if let Some((name, value)) = header {
        // The error of `HeaderValue` would show the credential.
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| NoAnswer::Failed("the credential is not a valid header value".into()))?;
        value.set_sensitive(true);
        request = request.header(name, value);
    }
    let request = request.body(Bytes::new()).map_err(|_| NoAnswer::Failed("the request is invalid".into()))?;
    let answer = tokio::time::timeout(time, async {
        let response = client.send(request).await.map_err(|error| match error {
            RequestError::Forbidden(forbidden) => NoAnswer::OutOfReach(forbidden.what()),
            error => NoAnswer::Failed(error.reason()),
        })?;
        let status = response.status().as_u16();
        // If the body is too long or breaks off, the status still counts.
        let body = whole(response, MAX_ANSWER).await.map(Response::into_body);
        Ok((status, body.unwrap_or_default()))
    });
    answer.await.unwrap_or_else(|_| Err(NoAnswer::Failed(format!("no response within {} s", time.as_secs()))))
}

fn healthy(status: u16) -> ProbeAnswer {
    match status {
        200..=299 => (ObservedState::Alive, format!("the endpoint answers {status}")),
        401 | 403 => (ObservedState::Alive, format!("the endpoint answers {status}: alive, behind authentication")),
        _ => (ObservedState::Unreachable, format!("the endpoint is not healthy: status {status}")),
    }
}

fn out_of_reach(what: &str, forbidden: &Forbidden) -> ProbeAnswer {
    (ObservedState::Unknown, beyond(what, forbidden.what()))
}

fn beyond(what: &str, is: &str) -> String {
    format!("{what} is {is}, which the address policy forbids (allow it with --probe-remotes everything)")
}

/// Combines answers of which none is alive.
fn together(answers: Vec<ProbeAnswer>) -> ProbeAnswer {
    let state = answers.iter().map(|(state, _)| *state);
    let state = state.reduce(|one, other| if one == other { one } else { ObservedState::Unreachable });
    let details: Vec<String> = answers.into_iter().map(|(_, detail)| detail).collect();
    match state {
        Some(state) => (state, details.join("; ")),
        None => (ObservedState::Unknown, "no endpoint, SSH host or configured provider".into()),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(200, ObservedState::Alive)]
    #[case(204, ObservedState::Alive)]
    #[case(401, ObservedState::Alive)]
    #[case(403, ObservedState::Alive)]
    #[case(301, ObservedState::Unreachable)]
    #[case(404, ObservedState::Unreachable)]
    #[case(503, ObservedState::Unreachable)]
    fn http_statuses_become_states(#[case] status: u16, #[case] state: ObservedState) {
        assert_eq!(healthy(status).0, state);
    }

    #[test]
    fn a_resource_that_does_not_answer_is_never_gone() {
        use ObservedState::{Unknown, Unreachable};
        let of = |states: &[ObservedState]| together(states.iter().map(|state| (*state, "why".into())).collect()).0;
        assert_eq!(of(&[]), Unknown);
        assert_eq!(of(&[Unknown, Unknown]), Unknown);
        assert_eq!(of(&[Unreachable]), Unreachable);
        assert_eq!(of(&[Unknown, Unreachable]), Unreachable);
    }
}
