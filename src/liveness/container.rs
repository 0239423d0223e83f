//! Does a container still run? Asked of the Docker Engine API, by calls that only read.
//!
//! An engine that does not answer says nothing about its containers: they are unknown, and never gone.

use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerState, ContainerSummary, ContainerSummaryStateEnum as Claimed};
use bollard::query_parameters::ListContainersOptionsBuilder;
use serde::{Deserialize, Serialize};

use domain::plugin::FreeJson;
use domain::record::ObservedState;

/// Where the engine listens, when nothing else is said.
pub const DEFAULT_ENGINE: &str = "unix:///var/run/docker.sock";

/// How long the engine may take for an answer, in seconds. A busy one takes seconds to list many containers.
const PATIENCE: u64 = 10;

/// How many hexadecimal digits make a full id; and how many at least a short one.
const FULL: usize = 64;
const SHORT: usize = 12;

/// What tells a container from every other: its full id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerIdentity {
    /// 64 hexadecimal digits.
    pub container_id: Box<str>,
}

impl ContainerIdentity {
    /// As JSON, for an observation.
    pub fn to_json(&self) -> FreeJson {
        FreeJson::from(&serde_json::to_value(self).unwrap_or_default())
    }

    /// Of JSON that an observation has kept; `None` when it is none of ours.
    pub fn from_json(json: &FreeJson) -> Option<ContainerIdentity> {
        serde_json::from_str(json.as_str()).ok()
    }
}

/// What was seen of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerVisibility {
    /// The state.
    pub state: ObservedState,
    /// More about it, for people.
    pub detail: Option<String>,
    /// Which container it is, when it is the right one.
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

/// Asks a Docker engine.
#[derive(Debug, Clone)]
pub struct ContainerProbe {
    engine: String,
}

/// Every container of an engine at one moment, whether it runs or not.
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

    /// Where the engine is asked.
    pub fn engine(&self) -> &str {
        &self.engine
    }

    /// Lists all containers.
    ///
    /// # Errors
    ///
    /// Why the engine cannot be asked, for people.
    pub async fn look_at_all(&self) -> Result<Containers, String> {
        let engine = self.connect().await?;
        let options = ListContainersOptionsBuilder::new().all(true).build();
        let listed = engine.list_containers(Some(options)).await.map_err(|error| self.reason(&error))?;
        Ok(Containers { engine, all: listed.into_iter().filter_map(Container::read).collect() })
    }

    /// The version that the engine says it has.
    ///
    /// # Errors
    ///
    /// Why the engine cannot be asked, for people.
    pub async fn version(&self) -> Result<String, String> {
        let engine = self.connect().await?;
        let version = engine.version().await.map_err(|error| self.reason(&error))?;
        Ok(version.version.unwrap_or_else(|| "without a version".into()))
    }

    async fn connect(&self) -> Result<Docker, String> {
        let version = bollard::API_DEFAULT_VERSION;
        let connected = match self.engine.strip_prefix("unix://") {
            Some(path) => Docker::connect_with_unix(path, PATIENCE, version),
            None if self.engine.starts_with("tcp://") || self.engine.starts_with("http://") => {
                Docker::connect_with_http(&self.engine, PATIENCE, version)
            }
            None => return Err(format!("{}: only unix:// and tcp:// are understood", self.engine)),
        };
        let docker = connected.map_err(|error| self.reason(&error))?;
        let negotiated = tokio::time::timeout(Duration::from_secs(PATIENCE), docker.negotiate_version()).await;
        let negotiated = negotiated.map_err(|_| format!("the engine at {} does not answer", self.engine))?;
        negotiated.map_err(|error| self.reason(&error))
    }

    fn reason(&self, error: &Error) -> String {
        let mut reason = format!("the engine at {} cannot be asked: {error}", self.engine);
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
            // The engine writes them with a slash in front.
            names: names.iter().map(|name| name.trim_start_matches('/').into()).collect(),
            claimed: summary.state,
        })
    }
}

/// Which container a claim means.
#[derive(Debug, PartialEq, Eq)]
enum Meant<'a> {
    One(&'a Container),
    /// Its name was given to another one.
    Another(&'a Container),
    Ambiguous(usize),
    None,
    /// No container has such a name, and the claim is no id.
    NoSuchName,
}

impl Containers {
    /// Looks at the container that a plugin calls `claimed`: an id of 12 to 64 hexadecimal digits, or a name.
    pub async fn probe(&self, claimed: &str, known: Option<&ContainerIdentity>) -> ContainerVisibility {
        let container = match meant(&self.all, claimed, known) {
            Meant::One(container) => container,
            Meant::Another(container) => {
                let detail = format!("another container has its name: {}", short(&container.id));
                return ContainerVisibility::new(ObservedState::Reused, detail);
            }
            Meant::Ambiguous(number) => {
                let detail = format!("the ids of {number} containers begin like this: name more digits");
                return ContainerVisibility::new(ObservedState::Unknown, detail);
            }
            Meant::None => return ContainerVisibility::new(ObservedState::Gone, "the engine knows no such container"),
            Meant::NoSuchName => {
                let detail = "the engine knows no container of this name, which may have been changed";
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
                ContainerVisibility::new(ObservedState::Gone, "it has exited, and was removed")
            }
            // That it has exited was in the list.
            Err(_) => ContainerVisibility::new(ObservedState::Gone, "it has exited"),
        }
    }
}

fn meant<'a>(all: &'a [Container], claimed: &str, known: Option<&ContainerIdentity>) -> Meant<'a> {
    if is_id(claimed) {
        // A known full id says more than the digits that it was claimed by.
        let wanted = known.map(|known| &*known.container_id).filter(|id| id.starts_with(claimed)).unwrap_or(claimed);
        let mut found = all.iter().filter(|container| container.id.starts_with(wanted));
        match (found.next(), found.count()) {
            (None, _) => {}
            (Some(one), 0) => return Meant::One(one),
            (Some(_), more) => return Meant::Ambiguous(more + 1),
        }
    }
    // Twelve hexadecimal digits may also be somebody's name.
    match (all.iter().find(|container| container.names.iter().any(|name| **name == *claimed)), known) {
        (Some(one), Some(known)) if one.id != known.container_id && !is_id(claimed) => Meant::Another(one),
        (Some(one), _) if !is_id(claimed) || known.is_none() => Meant::One(one),
        (None, Some(known)) if !is_id(claimed) => match all.iter().find(|container| container.id == known.container_id)
        {
            // It has another name now.
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
        Some(Claimed::PAUSED) => alive(Some("paused: it holds its memory, and its GPU")),
        Some(Claimed::RESTARTING) => alive(Some("restarting")),
        Some(Claimed::STOPPING) => alive(Some("stopping")),
        Some(Claimed::CREATED) => alive(Some("created, and not started yet")),
        Some(Claimed::REMOVING) => alive(Some("being removed")),
        Some(Claimed::EXITED | Claimed::DEAD) => ContainerVisibility::new(ObservedState::Gone, "it has exited"),
        Some(Claimed::EMPTY) | None => {
            ContainerVisibility::new(ObservedState::Unknown, "the engine does not say how it is")
        }
    }
}

fn ended(state: &ContainerState) -> ContainerVisibility {
    let mut detail = match state.exit_code {
        Some(code) => format!("exited with code {code}"),
        None => "exited".to_owned(),
    };
    if state.oom_killed == Some(true) {
        detail.push_str(", killed because memory ran out");
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
        // They differ in their last digit alone.
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
        // What was seen before decides, also when it is gone.
        assert_eq!(meant(&all, "0123456789ab", Some(&identity(&all[1]))), Meant::One(&all[1]));
        assert_eq!(meant(&all[..1], "0123456789ab", Some(&identity(&all[1]))), Meant::None);
        assert_eq!(meant(&all, "ffffffffffff", None), Meant::None);
    }

    #[test]
    fn names_are_taken_and_a_name_that_was_given_away_is_another_container() {
        let all = [container('1', "one"), container('2', "two")];
        assert_eq!(meant(&all, "two", None), Meant::One(&all[1]));
        assert_eq!(meant(&all, "two", Some(&identity(&all[1]))), Meant::One(&all[1]));
        assert_eq!(meant(&all, "two", Some(&identity(&all[0]))), Meant::Another(&all[1]));
        assert_eq!(meant(&all, "old name", Some(&identity(&all[0]))), Meant::One(&all[0]));
        assert_eq!(meant(&all[1..], "one", Some(&identity(&all[0]))), Meant::None);
        // It may be the name of a container that has a new one now.
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
    fn only_what_has_exited_is_gone(#[case] claimed: Option<Claimed>, #[case] state: ObservedState) {
        assert_eq!(while_it_is_there(claimed).state, state);
    }

    #[test]
    fn the_end_is_told_with_its_cause() {
        let state = ContainerState { exit_code: Some(137), oom_killed: Some(true), ..ContainerState::default() };
        assert_eq!(ended(&state).detail.as_deref(), Some("exited with code 137, killed because memory ran out"));
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_says_nothing() {
        let refused = ContainerProbe::new("unix:///nonexistent/docker.sock").look_at_all().await.unwrap_err();
        assert!(refused.contains("/nonexistent/docker.sock"), "{refused}");
        assert!(ContainerProbe::new("ssh://host").look_at_all().await.is_err());
    }
}
