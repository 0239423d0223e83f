//! Does a container still run? The probe asks the Docker Engine API, with calls that only read.
//!
//! If the engine does not answer, its containers are unknown, never gone.

use serde::{Deserialize, Serialize};

use super::engine::{ContainerEnd, Engine, ListedContainer};
use domain::plugin::FreeJson;
use domain::plugin::container_id::{is_id, normal, without_prefix};
use domain::record::ObservedState;

/// The default address of the engine.
pub const DEFAULT_ENGINE: &str = "unix:///var/run/docker.sock";

/// The length of a short id, in hexadecimal digits.
const SHORT: usize = 12;

/// The longest word for a state that is repeated, in characters.
const MAX_WORD: usize = 64;

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

    fn of(self, container: &ListedContainer) -> ContainerVisibility {
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
    engine: Engine,
    all: Vec<ListedContainer>,
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
        let engine = Engine::connect(&self.engine).await?;
        Ok(Containers { all: engine.containers().await?, engine })
    }

    /// The version of the engine, which then can list its containers.
    ///
    /// # Errors
    ///
    /// Why a call failed, for people.
    pub async fn version(&self) -> Result<String, String> {
        Ok(self.look_at_all().await?.engine.version)
    }
}

/// The container that a plugin's claim means.
#[derive(Debug, PartialEq, Eq)]
enum Meant<'a> {
    One(&'a ListedContainer),
    /// The name now belongs to another container.
    Another(&'a ListedContainer),
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
        let sight = match container.state.as_deref() {
            Some("exited" | "dead") => self.how_it_ended(container).await,
            state => while_it_is_there(state),
        };
        sight.of(container)
    }

    async fn how_it_ended(&self, container: &ListedContainer) -> ContainerVisibility {
        match self.engine.how_it_ended(container).await {
            Ok(Some(end)) => ended(&end),
            Ok(None) => ContainerVisibility::new(ObservedState::Gone, "exited and removed"),
            // The list said that the container has exited; only the details are missing.
            Err(_) => ContainerVisibility::new(ObservedState::Gone, "exited"),
        }
    }
}

fn meant<'a>(all: &'a [ListedContainer], claimed: &str, known: Option<&ContainerIdentity>) -> Meant<'a> {
    let id = normal(claimed);
    let claimed_id = is_id(&id);
    if claimed_id {
        // A known full id is more precise than the claimed prefix.
        let wanted = known.map(|known| &*known.container_id).filter(|known| known.starts_with(&*id)).unwrap_or(&id);
        let mut found = all.iter().filter(|container| container.id.starts_with(wanted));
        match (found.next(), found.count()) {
            (None, _) => {}
            (Some(one), 0) => return Meant::One(one),
            (Some(_), more) => return Meant::Ambiguous(more + 1),
        }
    }
    // Twelve hexadecimal digits may also be a name, whose letters keep their case.
    let claimed = without_prefix(claimed);
    match (all.iter().find(|container| container.names.iter().any(|name| **name == *claimed)), known) {
        (Some(one), Some(known)) if one.id != known.container_id && !claimed_id => Meant::Another(one),
        (Some(one), _) if !claimed_id || known.is_none() => Meant::One(one),
        (None, Some(known)) if !claimed_id => match all.iter().find(|container| container.id == known.container_id) {
            // The container was renamed.
            Some(one) => Meant::One(one),
            None => Meant::None,
        },
        (None, None) if !claimed_id => Meant::NoSuchName,
        _ => Meant::None,
    }
}

fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

/// What a state of the list means, in the words of the Docker Engine API.
fn while_it_is_there(state: Option<&str>) -> ContainerVisibility {
    let alive = |detail: Option<&str>| ContainerVisibility {
        state: ObservedState::Alive,
        detail: detail.map(str::to_owned),
        identity: None,
    };
    match state {
        Some("running") => alive(None),
        Some("paused") => alive(Some("paused: keeps its memory and its GPU")),
        Some("restarting") => alive(Some("restarting")),
        Some("stopping") => alive(Some("stopping")),
        Some("created") => alive(Some("created, not started yet")),
        Some("removing") => alive(Some("being removed")),
        Some("exited" | "dead") => ContainerVisibility::new(ObservedState::Gone, "exited"),
        Some(word) => {
            let word: String = word.chars().take(MAX_WORD).collect();
            let detail = format!("the engine calls its state `{word}`, which is not a word of the Docker Engine API");
            ContainerVisibility::new(ObservedState::Unknown, detail)
        }
        None => ContainerVisibility::new(ObservedState::Unknown, "the engine reports no state"),
    }
}

fn ended(end: &ContainerEnd) -> ContainerVisibility {
    let mut detail = match end.exit_code {
        Some(code) => format!("exited with code {code}"),
        None => "exited".to_owned(),
    };
    if end.oom_killed == Some(true) {
        detail.push_str(", killed when memory ran out");
    }
    if let Some(at) = end.finished_at.as_deref().filter(|at| !at.is_empty()) {
        detail.push_str(" at ");
        detail.push_str(at);
    }
    ContainerVisibility::new(ObservedState::Gone, detail)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn container(id: char, name: &str) -> ListedContainer {
        // The ids differ only in their last digit.
        let id = format!("{}{id}", "0123456789ab".repeat(6).get(..63).unwrap());
        ListedContainer { id: id.into(), names: vec![name.into()], state: Some("running".into()) }
    }

    fn identity(container: &ListedContainer) -> ContainerIdentity {
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
    fn a_container_was_not_found_by_its_id_with_a_scheme_or_in_capitals() {
        let all = [container('1', "web")];
        for claimed in ["0123456789AB", "docker://0123456789ab", "containerd://0123456789AB", "cri-o://0123456789ab"] {
            assert_eq!(meant(&all, claimed, None), Meant::One(&all[0]), "{claimed}");
        }
        for claimed in ["web", "/web", "podman://web"] {
            assert_eq!(meant(&all, claimed, None), Meant::One(&all[0]), "{claimed}");
        }
        // Names are compared with their case, even if they look like ids.
        let capitals = [container('1', "ABCDEFABCDEF")];
        assert_eq!(meant(&capitals, "/ABCDEFABCDEF", None), Meant::One(&capitals[0]));
        assert_eq!(meant(&all, "Web", None), Meant::NoSuchName);
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
    #[case(Some("running"), ObservedState::Alive)]
    #[case(Some("paused"), ObservedState::Alive)]
    #[case(Some("restarting"), ObservedState::Alive)]
    #[case(Some("created"), ObservedState::Alive)]
    #[case(Some("removing"), ObservedState::Alive)]
    #[case(Some("exited"), ObservedState::Gone)]
    #[case(Some("stopped"), ObservedState::Unknown)]
    #[case(None, ObservedState::Unknown)]
    fn only_exited_containers_are_gone(#[case] word: Option<&str>, #[case] state: ObservedState) {
        assert_eq!(while_it_is_there(word).state, state);
    }

    #[test]
    fn the_detail_names_exit_code_and_out_of_memory() {
        let end = ContainerEnd { exit_code: Some(137), oom_killed: Some(true), ..ContainerEnd::default() };
        assert_eq!(ended(&end).detail.as_deref(), Some("exited with code 137, killed when memory ran out"));
    }

    #[tokio::test]
    async fn an_engine_that_is_not_running_is_an_error() {
        let refused = ContainerProbe::new("unix:///nonexistent/docker.sock").look_at_all().await.unwrap_err();
        assert!(refused.contains("/nonexistent/docker.sock"), "{refused}");
        assert!(ContainerProbe::new("ssh://host").look_at_all().await.is_err());
    }
}
