//! Does a container still run? The probe asks the Docker Engine API, with calls that only read.
//!
//! If the engine does not answer, its containers are unknown, never gone.

use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerState, ContainerSummary, ContainerSummaryStateEnum as Claimed};
use bollard::query_parameters::ListContainersOptionsBuilder;
use serde::{Deserialize, Serialize};

use domain::plugin::FreeJson;
use domain::record::ObservedState;

/// The default address of the engine.
pub const DEFAULT_ENGINE: &str = "unix:///var/run/docker.sock";

/// The timeout of one call in seconds. A busy engine takes seconds to list many containers.
const PATIENCE: u64 = 10;

/// The length of a full id in hexadecimal digits, and the minimum for a short one.
const FULL: usize = 64;
const SHORT: usize = 12;

/// The identity of a container: its full id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerIdentity {
    /// 64 hexadecimal digits.
    pub container_id: Box<str>,
}

impl ContainerIdentity {
    /// As the JSON of an observation.
    pub fn to_json(&self) -> FreeJson {
        FreeJson::from(&serde_json::to_value(self).unwrap_or_default())
    }

    /// From the JSON of an observation; `None` if it is not a container identity.
    pub fn from_json(json: &FreeJson) -> Option<ContainerIdentity> {
        serde_json::from_str(json.as_str()).ok()
    }
}

/// What a probe concludes about a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerVisibility {
    /// The state.
    pub state: ObservedState,
    /// The reason, for people.
    pub detail: Option<String>,
    /// The identity of the container, if it is the expected one.
    pub identity: Option<ContainerIdentity>,
}

impl ContainerVisibility {
    fn new(state: ObservedState, detail: impl Into<String>) -> ContainerVisibility {
        ContainerVisibility { state, detail: Some(detail.into()), identity: None }
    }

    fn of(self, container: &Container) -> ContainerVisibility {
        ContainerVisibility { identity: Some(ContainerIdentity { container_id: container.id.clone() }), ..self }
    }
}

/// Probes the containers of a Docker engine.
#[derive(Debug, Clone)]
pub struct ContainerProbe {
    engine: String,
}

/// All containers of an engine at one moment, running or not.
#[derive(Debug)]
pub struct Containers {
    engine: Docker,
    all: Vec<Container>,
}

/// One container.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Container {
    id: Box<str>,
    names: Vec<Box<str>>,
    claimed: Option<Claimed>,
}

impl ContainerProbe {
    /// A probe of the engine at `engine`: `unix:///PATH`, or `tcp://HOST:PORT` without TLS.
    pub fn new(engine: &str) -> ContainerProbe {
        ContainerProbe { engine: engine.to_owned() }
    }

    /// The address of the engine.
    pub fn engine(&self) -> &str {
        &self.engine
    }

    /// Lists all containers.
    ///
    /// # Errors
    ///
    /// Why the call failed, for people.
    pub async fn look_at_all(&self) -> Result<Containers, String> {
        let engine = self.connect().await?;
        let options = ListContainersOptionsBuilder::new().all(true).build();
        let listed = engine.list_containers(Some(options)).await.map_err(|error| self.reason(&error))?;
        Ok(Containers { engine, all: listed.into_iter().filter_map(Container::read).collect() })
    }

    /// The version of the engine.
    ///
    /// # Errors
    ///
    /// Why the call failed, for people.
    pub async fn version(&self) -> Result<String, String> {
        let engine = self.connect().await?;
        let version = engine.version().await.map_err(|error| self.reason(&error))?;
        Ok(version.version.unwrap_or_else(|| "of unknown version".into()))
    }

    async fn connect(&self) -> Result<Docker, String> {
        let version = bollard::API_DEFAULT_VERSION;
        let connected = match self.engine.strip_prefix("unix://") {
            Some(path) => Docker::connect_with_unix(path, PATIENCE, version),
            None if self.engine.starts_with("tcp://") || self.engine.starts_with("http://") => {
                Docker::connect_with_http(&self.engine, PATIENCE, version)
            }
            None => return Err(format!("{}: the address must begin with unix:// or tcp://", self.engine)),
        };
        let docker = connected.map_err(|error| self.reason(&error))?;
        let negotiated = tokio::time::timeout(Duration::from_secs(PATIENCE), docker.negotiate_version()).await;
        let negotiated = negotiated.map_err(|_| format!("the engine at {} does not answer in time", self.engine))?;
        negotiated.map_err(|error| self.reason(&error))
    }

    fn reason(&self, error: &Error) -> String {
        let mut reason = format!("cannot query the engine at {}: {error}", self.engine);
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            let told = error.to_string();
            if !reason.contains(&told) {
                reason.push_str(": ");
                reason.push_str(&told);
            }
            cause = error.source();
        }
        reason
    }
}

impl Container {
    fn read(summary: ContainerSummary) -> Option<Container> {
        let names = summary.names.unwrap_or_default();
        Some(Container {
            id: summary.id?.into(),
            // The engine prefixes names with a slash.
            names: names.iter().map(|name| name.trim_start_matches('/').into()).collect(),
            claimed: summary.state,
        })
    }
}

/// The container that a plugin's claim means.
#[derive(Debug, PartialEq, Eq)]
enum Meant<'a> {
    One(&'a Container),
    /// The name now belongs to another container.
    Another(&'a Container),
    Ambiguous(usize),
    None,
    /// No container has this name, and the claim is not an id.
    NoSuchName,
}

impl Containers {
    /// Probes the container that a plugin calls `claimed`: an id of 12 to 64 hexadecimal digits, or a name.
    pub async fn probe(&self, claimed: &str, known: Option<&ContainerIdentity>) -> ContainerVisibility {
        let container = match meant(&self.all, claimed, known) {
            Meant::One(container) => container,
            Meant::Another(container) => {
                let detail = format!("its name now belongs to another container: {}", short(&container.id));
                return ContainerVisibility::new(ObservedState::Reused, detail);
            }
            Meant::Ambiguous(number) => {
                let detail = format!("{number} containers have ids with this prefix: register a longer id");
                return ContainerVisibility::new(ObservedState::Unknown, detail);
            }
            Meant::None => return ContainerVisibility::new(ObservedState::Gone, "the engine knows no such container"),
            Meant::NoSuchName => {
                let detail = "the engine knows no container of this name; it may have been renamed";
                return ContainerVisibility::new(ObservedState::Unknown, detail);
            }
        };
        let sight = match container.claimed {
            Some(Claimed::EXITED | Claimed::DEAD) => self.how_it_ended(container).await,
            claimed => while_it_is_there(claimed),
        };
        sight.of(container)
    }

    async fn how_it_ended(&self, container: &Container) -> ContainerVisibility {
        match self.engine.inspect_container(&container.id, None).await {
            Ok(found) => ended(&found.state.unwrap_or_default()),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => {
                ContainerVisibility::new(ObservedState::Gone, "exited and removed")
            }
            // The list said that the container has exited; only the details are missing.
            Err(_) => ContainerVisibility::new(ObservedState::Gone, "exited"),
        }
    }
}

fn meant<'a>(all: &'a [Container], claimed: &str, known: Option<&ContainerIdentity>) -> Meant<'a> {
    if is_id(claimed) {
        // A known full id is more precise than the claimed prefix.
        let wanted = known.map(|known| &*known.container_id).filter(|id| id.starts_with(claimed)).unwrap_or(claimed);
        let mut found = all.iter().filter(|container| container.id.starts_with(wanted));
        match (found.next(), found.count()) {
            (None, _) => {}
            (Some(one), 0) => return Meant::One(one),
            (Some(_), more) => return Meant::Ambiguous(more + 1),
        }
    }
    // Twelve hexadecimal digits may also be a name.
    match (all.iter().find(|container| container.names.iter().any(|name| **name == *claimed)), known) {
        (Some(one), Some(known)) if one.id != known.container_id && !is_id(claimed) => Meant::Another(one),
        (Some(one), _) if !is_id(claimed) || known.is_none() => Meant::One(one),
        (None, Some(known)) if !is_id(claimed) => match all.iter().find(|container| container.id == known.container_id)
        {
            // The container was renamed.
            Some(one) => Meant::One(one),
            None => Meant::None,
        },
        (None, None) if !is_id(claimed) => Meant::NoSuchName,
        _ => Meant::None,
    }
}

fn is_id(claimed: &str) -> bool {
    (SHORT..=FULL).contains(&claimed.len()) && claimed.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

fn while_it_is_there(claimed: Option<Claimed>) -> ContainerVisibility {
    let alive = |detail: Option<&str>| ContainerVisibility {
        state: ObservedState::Alive,
        detail: detail.map(str::to_owned),
        identity: None,
    };
    match claimed {
        Some(Claimed::RUNNING) => alive(None),
        Some(Claimed::PAUSED) => alive(Some("paused: keeps its memory and its GPU")),
        Some(Claimed::RESTARTING) => alive(Some("restarting")),
        Some(Claimed::STOPPING) => alive(Some("stopping")),
        Some(Claimed::CREATED) => alive(Some("created, not started yet")),
        Some(Claimed::REMOVING) => alive(Some("being removed")),
        Some(Claimed::EXITED | Claimed::DEAD) => ContainerVisibility::new(ObservedState::Gone, "exited"),
        Some(Claimed::EMPTY) | None => ContainerVisibility::new(ObservedState::Unknown, "the engine reports no state"),
    }
}

fn ended(state: &ContainerState) -> ContainerVisibility {
    let mut detail = match state.exit_code {
        Some(code) => format!("exited with code {code}"),
        None => "exited".to_owned(),
    };
    if state.oom_killed == Some(true) {
        detail.push_str(", killed when memory ran out");
    }
    if let Some(at) = state.finished_at.as_deref().filter(|at| !at.is_empty()) {
        detail.push_str(" at ");
        detail.push_str(at);
    }
    ContainerVisibility::new(ObservedState::Gone, detail)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn container(id: char, name: &str) -> Container {
        // The ids differ only in their last digit.
        let id = format!("{}{id}", "0123456789ab".repeat(6).get(..63).unwrap());
        Container { id: id.into(), names: vec![name.into()], claimed: Some(Claimed::RUNNING) }
    }

    fn identity(container: &Container) -> ContainerIdentity {
        ContainerIdentity { container_id: container.id.clone() }
    }

    #[test]
    fn short_ids_are_resolved_and_ambiguous_ones_refused() {
        let all = [container('1', "one"), container('2', "two")];
        assert_eq!(meant(&all, &all[0].id, None), Meant::One(&all[0]));
        assert_eq!(meant(&all[..1], "0123456789ab", None), Meant::One(&all[0]));
        assert_eq!(meant(&all, "0123456789ab", None), Meant::Ambiguous(2));
        // A container that was seen before decides, even once it is gone.
        assert_eq!(meant(&all, "0123456789ab", Some(&identity(&all[1]))), Meant::One(&all[1]));
        assert_eq!(meant(&all[..1], "0123456789ab", Some(&identity(&all[1]))), Meant::None);
        assert_eq!(meant(&all, "ffffffffffff", None), Meant::None);
    }

    #[test]
    fn names_are_resolved_and_a_reassigned_name_is_another_container() {
        let all = [container('1', "one"), container('2', "two")];
        assert_eq!(meant(&all, "two", None), Meant::One(&all[1]));
        assert_eq!(meant(&all, "two", Some(&identity(&all[1]))), Meant::One(&all[1]));
        assert_eq!(meant(&all, "two", Some(&identity(&all[0]))), Meant::Another(&all[1]));
        assert_eq!(meant(&all, "old name", Some(&identity(&all[0]))), Meant::One(&all[0]));
        assert_eq!(meant(&all[1..], "one", Some(&identity(&all[0]))), Meant::None);
        // The container may have been renamed.
        assert_eq!(meant(&all, "three", None), Meant::NoSuchName);
        let digits = [container('1', "abcdefabcdef")];
        assert_eq!(meant(&digits, "abcdefabcdef", None), Meant::One(&digits[0]));
    }

    #[rstest]
    #[case(Some(Claimed::RUNNING), ObservedState::Alive)]
    #[case(Some(Claimed::PAUSED), ObservedState::Alive)]
    #[case(Some(Claimed::RESTARTING), ObservedState::Alive)]
    #[case(Some(Claimed::CREATED), ObservedState::Alive)]
    #[case(Some(Claimed::REMOVING), ObservedState::Alive)]
    #[case(Some(Claimed::EXITED), ObservedState::Gone)]
    #[case(None, ObservedState::Unknown)]
    fn only_exited_containers_are_gone(#[case] claimed: Option<Claimed>, #[case] state: ObservedState) {
        assert_eq!(while_it_is_there(claimed).state, state);
    }

    #[test]
    fn the_detail_names_exit_code_and_out_of_memory() {
        let state = ContainerState { exit_code: Some(137), oom_killed: Some(true), ..ContainerState::default() };
        assert_eq!(ended(&state).detail.as_deref(), Some("exited with code 137, killed when memory ran out"));
    }

    #[tokio::test]
    async fn an_engine_that_is_not_running_is_an_error() {
        let refused = ContainerProbe::new("unix:///nonexistent/docker.sock").look_at_all().await.unwrap_err();
        assert!(refused.contains("/nonexistent/docker.sock"), "{refused}");
        assert!(ContainerProbe::new("ssh://host").look_at_all().await.is_err());
    }
}
