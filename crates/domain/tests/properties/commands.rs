//! Arbitrary commands over few names, so that they often meet.

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use domain::access::Principal;
use domain::change::Note;
use domain::command::request::{AcknowledgementTerms, BasedOn, ProbeResult, TagCondition};
use domain::command::{Command, Precondition, Request};
use domain::cost::{Budget, BurnCrossed, Notice, Projected, Reached};
use domain::plugin::{FreeJson, Name, Pids, Registration, RemoteResource, UniqueId};
use domain::record::{Finding, FindingChange, FindingKind, ObservedState, ResourceKind, Slot};
use domain::record::{StopAnswerTerms, StopTerms, StopVerdict};
use domain::{EntityTag, LeaseId, LeaseTerms, MicroUsd, Revision, StoreId};

/// A field with one of some values, or absent.
fn field(name: &'static str, values: Vec<Value>) -> impl Strategy<Value = Option<(String, Value)>> {
    prop::option::weighted(0.4, select(values).prop_map(move |value| (name.to_owned(), value)))
}

fn remotes() -> Vec<Value> {
    vec![
        json!({"provider": "aws", "status": "running", "instance_id": "i-1"}),
        json!({"provider": "gcp", "status": "provisioning", "gpu_type": "A100", "instance_id": "i-2"}),
        json!({"provider": "aws", "status": "stopped", "estimated_cost_per_hour": 0.300_000_000_000_000_04}),
        json!({"provider": "aws", "status": "running", "estimated_cost_per_hour": 24.5, "gpu_type": "A100"}),
        json!({"provider": "runpod", "status": "stopping", "estimated_cost_per_hour": 1_234_567.891_234}),
        json!({"provider": "custom", "metadata": {"a": {"b": [1.50, null]}}}),
    ]
}

/// Fields that a client can set in any way; all values are valid.
fn fields() -> impl Strategy<Value = Map<String, Value>> {
    let texts = || vec![json!(""), json!("x"), json!("Ä y"), Value::Null];
    let mut nullable_remotes = remotes();
    nullable_remotes.push(Value::Null);
    let first = (
        field("title", vec![json!("T"), json!("Über"), json!("")]),
        field("config_schema", vec![json!({}), json!({"type": "object"}), json!({"required": ["a"]})]),
        field("description", texts()),
        field("version", texts()),
        field("is_configured", vec![json!(true), json!(false)]),
        field("execution_mode", vec![json!("docker"), json!("cloud_vm"), json!("in_process")]),
        field("spawned_pids", vec![json!([]), json!([1, 2]), json!([2]), json!([4_294_967_295_u32, 1])]),
    );
    let second = (
        field("container_id", vec![json!(""), json!("x"), json!("/x"), json!("docker://x"), Value::Null]),
        field("conda_env_name", texts()),
        field("remote_resource", nullable_remotes),
        field("host", vec![json!(""), json!("x"), json!(" X"), json!("Ä y"), json!("ä y"), Value::Null]),
        field("labels", vec![json!({}), json!({"a": "1"}), json!({"b": "", "a": "2"})]),
        field("lease_id", texts()),
        field("manages_child_processes", vec![json!(true), json!(false)]),
    );
    (first, second).prop_map(|((a, b, c, d, e, f, g), (h, i, j, k, l, m, n))| {
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n].into_iter().flatten().collect()
    })
}

/// A registration document; ("a_b", "c") and ("a", "b_c") have the same id.
pub(crate) fn documents() -> impl Strategy<Value = Value> {
    (select(vec!["a", "a_b", "z"]), select(vec!["c", "b_c", "ü"]), fields()).prop_map(|(category, name, fields)| {
        let mut document = json!({"name": name, "category": category, "title": "T", "config_schema": {}});
        document.as_object_mut().unwrap().extend(fields);
        document
    })
}

pub(crate) fn registrations() -> impl Strategy<Value = Box<Registration>> {
    documents().prop_map(|document| Box::new(Registration::read(document).unwrap()))
}

fn ids() -> impl Strategy<Value = UniqueId> {
    select(vec!["a_c", "a_b_c", "a_ü", "a_b_b_c", "z_c", "z_b_c", "missing"]).prop_map(UniqueId::from_client)
}

fn pids() -> impl Strategy<Value = Pids> {
    prop::collection::vec(1_u32..6, 0..4).prop_map(Pids::from)
}

/// A patch of a plugin; some are wrong.
fn patches() -> impl Strategy<Value = Map<String, Value>> {
    let wrong = select(vec![
        json!({"name": "other"}),
        json!({"category": null}),
        json!({"title": null}),
        json!({"nonsense": 1}),
        json!({"spawned_pids": [0]}),
        json!({"remote_resource": {"status": "running"}}),
        json!({"labels": {"a": null}}),
        json!({"config_schema": {"type": "nonsense"}}),
        json!({"config_schema": {"title": "x", "type": null}}),
        json!({"remote_resource": {"metadata": {"a": null}, "ssh_port": 0}}),
    ]);
    prop_oneof![3 => fields(), 1 => wrong.prop_map(|patch| patch.as_object().unwrap().clone())]
}

fn remote_patches() -> impl Strategy<Value = Map<String, Value>> {
    let patches = vec![
        json!({"status": "running"}),
        json!({"status": "stopping", "provider": "runpod"}),
        json!({"status": "running", "provider": "gcp", "estimated_cost_per_hour": 0.7}),
        json!({"estimated_cost_per_hour": null}),
        json!({"status": null}),
        json!({"provider": null}),
        json!({"metadata": {"a": {"b": null, "c": 1}}}),
        json!({"gpu_count": -1}),
        json!({"instance_id": "i-1"}),
        json!({}),
    ];
    select(patches).prop_map(|patch| patch.as_object().unwrap().clone())
}

fn configs() -> impl Strategy<Value = FreeJson> {
    select(vec![json!({}), json!({"a": 1.50}), json!({"b": []}), json!(null)])
        .prop_map(|config| FreeJson::from(&config))
}

fn leases() -> impl Strategy<Value = LeaseId> {
    select(vec!["l1", "x", "l3"]).prop_map(LeaseId::named)
}

fn slots() -> impl Strategy<Value = Slot> {
    let remotes = select(vec!["i-1", "i-2", ""]).prop_map(|id| (ResourceKind::Remote, id.to_owned()));
    let containers = select(vec!["c1", "x"]).prop_map(|id| (ResourceKind::Container, id.to_owned()));
    let processes = (1_u32..6).prop_map(|pid| (ResourceKind::Process, pid.to_string()));
    let hosts = prop::option::weighted(0.1, select(vec!["x", "Ä y"]));
    (prop_oneof![3 => processes, 1 => containers, 1 => remotes], hosts).prop_map(|((kind, id), host)| {
        let host = host.filter(|_| kind != ResourceKind::Remote).map(Into::into);
        Slot { host, ..Slot::new(kind, id) }
    })
}

fn looks() -> impl Strategy<Value = ProbeResult> {
    let identity = prop::option::of(select(vec![json!({"start_ticks": 1}), json!({"start_ticks": 2})]));
    let detail = prop::option::of(Just("exit code 1"));
    let parent = prop::option::of(select(vec![json!({"pid": 1}), json!({"pid": 2})]));
    let abandoned = prop::option::of(Just("its parent has ended"));
    let of_process = (identity, parent, abandoned);
    (slots(), select(ObservedState::ALL.to_vec()), 0_i64..20, of_process, detail).prop_map(
        |(slot, state, second, (identity, parent, abandoned), detail)| ProbeResult {
            slot,
            state,
            at: Timestamp::from_second(1_800_000_000 + second).unwrap(),
            heard_at: Timestamp::MAX,
            detail: detail.map(Into::into),
            identity: identity.map(|identity| FreeJson::from(&identity)),
            parent: parent.map(|parent| FreeJson::from(&parent)),
            abandoned: abandoned.map(Into::into),
            last_alive: None,
        },
    )
}

fn findings() -> impl Strategy<Value = FindingChange> {
    (slots(), select(FindingKind::ALL.to_vec()), 0_i64..20).prop_map(|(slot, finding, second)| {
        let since = Timestamp::from_second(1_800_000_000 + second).unwrap();
        FindingChange { slot, finding: Finding { finding, since, evidence: "seen".into(), cost: None } }
    })
}

/// The revisions of a finding: mostly outdated ones.
fn grounds() -> impl Strategy<Value = BasedOn> {
    let revisions = || (0_u64..12).prop_map(Revision);
    (revisions(), prop::option::weighted(0.1, revisions())).prop_map(|(plugin, lease)| BasedOn { plugin, lease })
}

/// Commands about observations, findings and leases.
fn commands_of_truth() -> impl Strategy<Value = Command> {
    let revisions = || (0_u64..20).prop_map(Revision);
    let terms = LeaseTerms { holder: "app".into(), host: Some("h".into()), ttl_seconds: 30, on_gone: None };
    prop_oneof![
        3 => leases().prop_map(move |id| Command::GrantLease { id, terms: terms.clone() }),
        1 => leases().prop_map(|id| Command::RenewLease { id }),
        1 => leases().prop_map(|id| Command::ReleaseLease { id }),
        2 => (leases(), revisions()).prop_map(|(id, revision)| Command::ExpireLease { id, revision }),
        2 => (leases(), revisions()).prop_map(|(id, revision)| Command::ForgetLease { id, revision }),
        1 => (ids(), revisions()).prop_map(|(id, revision)| Command::CorrectTime { id, revision }),
        6 => (ids(), prop::collection::vec(looks(), 0..4)).prop_map(|(id, sightings)| {
            Command::Observe { id, by: "agent".into(), sightings }
        }),
        6 => (ids(), grounds(), prop::collection::vec(findings(), 0..3)).prop_map(|(id, ground, findings)| {
            Command::RaiseFindings { id, ground, findings }
        }),
        3 => (ids(), grounds(), prop::collection::vec(slots(), 0..3)).prop_map(|(id, ground, slots)| {
            Command::ClearFindings { id, ground, slots }
        }),
        2 => (ids(), prop::collection::vec(slots(), 0..4)).prop_map(|(id, slots)| Command::DropGone { id, slots }),
        1 => (ids(), prop::collection::vec(slots(), 0..4)).prop_map(|(id, slots)| Command::Release { id, slots }),
        1 => (ids(), slots(), prop::option::of(0_i64..40)).prop_map(|(id, slot, second)| {
            let expires_at = second.map(|second| Timestamp::from_second(1_800_000_000 + second).unwrap());
            Command::SetExpiry { id, slot, expires_at }
        }),
        1 => (ids(), slots()).prop_map(|(id, slot)| {
            let until = Timestamp::from_second(1_900_000_000).unwrap();
            Command::Acknowledge { id, slot, terms: AcknowledgementTerms { reason: "known".into(), until } }
        }),
        1 => (ids(), slots()).prop_map(|(id, slot)| Command::EndAcknowledgement { id, slot }),
        1 => ids().prop_map(|id| Command::Note { id, note: Note { text: "checkpoint 7".into(), data: None } }),
        2 => (ids(), select(vec![None, Some("costly")])).prop_map(|(id, reason)| {
            Command::RequestStop { id, request: StopTerms { reason: reason.map(Into::into), deadline: None } }
        }),
        2 => (ids(), select(StopVerdict::ALL.to_vec())).prop_map(|(id, answer)| {
            Command::AnswerStop { id, answer: StopAnswerTerms { answer, detail: None } }
        }),
        1 => (ids(), grounds(), prop::collection::vec(slots(), 0..3)).prop_map(|(id, ground, slots)| {
            Command::EndHoldings { id, ground, slots }
        }),
        1 => (ids(), grounds(), prop::collection::vec(slots(), 0..3)).prop_map(|(id, ground, slots)| {
            Command::ExpireAcknowledgements { id, ground, slots }
        }),
    ]
}

pub(crate) fn commands() -> impl Strategy<Value = Command> {
    let remote = select(remotes()).prop_map(|remote| Box::new(RemoteResource::read(remote, "").unwrap()));
    let category = select(vec!["a", "a_b", "unused"]).prop_map(|name| Name::new(name).unwrap());
    prop_oneof![
        6 => registrations().prop_map(Command::Register),
        1 => (ids(), registrations()).prop_map(|(id, registration)| Command::Replace { id, registration }),
        2 => registrations().prop_map(|registration| {
            Command::Replace { id: registration.key().unique_id(), registration }
        }),
        3 => (ids(), patches()).prop_map(|(id, patch)| Command::Patch { id, patch }),
        2 => (ids(), any::<bool>()).prop_map(|(id, force)| Command::Remove { id, force }),
        1 => (ids(), pids()).prop_map(|(id, pids)| Command::SetPids { id, pids }),
        1 => (ids(), pids()).prop_map(|(id, pids)| Command::AddPids { id, pids }),
        1 => (ids(), 1_u32..6).prop_map(|(id, pid)| Command::RemovePid { id, pid }),
        1 => (ids(), prop::option::of(select(vec!["", "c1", "/c1", "c2"]))).prop_map(|(id, container)| {
            Command::SetContainer { id, container_id: container.map(str::to_owned) }
        }),
        1 => (ids(), remote).prop_map(|(id, remote)| Command::SetRemote { id, remote }),
        1 => ids().prop_map(|id| Command::ReleasePids { id }),
        1 => ids().prop_map(|id| Command::ReleaseContainer { id }),
        1 => ids().prop_map(|id| Command::ReleaseRemote { id }),
        2 => (ids(), remote_patches()).prop_map(|(id, patch)| Command::PatchRemote { id, patch }),
        2 => (ids(), configs()).prop_map(|(id, config)| Command::SaveConfig { id, config }),
        1 => ids().prop_map(|id| Command::DeleteConfig { id }),
        2 => budget_commands(),
        1 => (category, prop::option::of(select(vec!["N", "M"]))).prop_map(|(name, display_name)| {
            Command::NameCategory { name, display_name: display_name.map(Into::into) }
        }),
        8 => commands_of_truth(),
    ]
}

fn budgets() -> impl Strategy<Value = Budget> {
    let documents = vec![
        json!({"name": "all", "limit_usd": 0.01, "period": "total", "limit_usd_per_hour": 1}),
        json!({"name": "aws", "limit_usd": 0.01, "period": "day", "filters": {"provider": "aws"}}),
        json!({"name": "of a", "limit_usd": 1, "period": "week", "filters": {"label.a": ["1", "2"]}, "threshold_percent": [7]}),
    ];
    select(documents).prop_map(|document| Budget::read(document).unwrap())
}

fn budget_commands() -> impl Strategy<Value = Command> {
    let id = || select(vec!["b1", "b2"]).prop_map(Box::<str>::from);
    let patches =
        vec![json!({"limit_usd": 2}), json!({"filters": {"provider": null}}), json!({"period": "x"}), json!({})];
    let told = (id(), notices(), 0_u64..12);
    prop_oneof![
        3 => (id(), budgets()).prop_map(|(id, budget)| Command::MakeBudget { id, budget: Box::new(budget) }),
        1 => (id(), select(patches)).prop_map(|(id, patch)| {
            Command::PatchBudget { id, patch: patch.as_object().unwrap().clone() }
        }),
        1 => id().prop_map(|id| Command::RemoveBudget { id }),
        3 => told.prop_map(|(id, notice, told)| {
            Command::TellBudget { id, notice: Box::new(notice), burn_told: Revision(told) }
        }),
    ]
}

fn notices() -> impl Strategy<Value = Notice> {
    let period_start = |budget: &Budget| budget.period.start(Timestamp::from_second(1_800_000_001).unwrap());
    let reached = (budgets(), select(vec![7_u32, 50, 100])).prop_map(move |(budget, percent)| {
        Notice::Reached(Reached {
            name: budget.name.as_str().into(),
            percent,
            limit_usd: budget.limit,
            period: budget.period,
            period_start: period_start(&budget),
            low_usd: MicroUsd(1),
            high_usd: MicroUsd(2),
        })
    });
    let projected = budgets().prop_map(move |budget| {
        Notice::Projected(Projected {
            name: budget.name.as_str().into(),
            limit_usd: budget.limit,
            period: budget.period,
            period_start: period_start(&budget),
            projected_breach_at: Timestamp::from_second(1_800_000_100).unwrap(),
            burn_usd_per_hour: MicroUsd(3),
            low_usd: MicroUsd(1),
            high_usd: MicroUsd(2),
        })
    });
    let burn = (budgets(), select(vec![1, 5_000_000])).prop_map(|(budget, burn)| {
        Notice::Burn(BurnCrossed {
            name: budget.name.as_str().into(),
            limit_usd_per_hour: budget.limit_per_hour.unwrap_or(MicroUsd(7)),
            burn_usd_per_hour: MicroUsd(burn),
        })
    });
    prop_oneof![2 => reached, 1 => projected, 2 => burn]
}

fn conditions() -> impl Strategy<Value = Option<TagCondition>> {
    let store = StoreId::kept("0123456789abcdef0123456789abcdef");
    let tags = prop::collection::vec(
        (0_u64..12).prop_map(move |revision| EntityTag { store: store.clone(), revision: Revision(revision) }),
        0..4,
    );
    prop_oneof![8 => Just(None), 1 => Just(Some(TagCondition::Any)), 1 => tags.prop_map(|tags| Some(TagCondition::OneOf(tags)))]
}

/// A command, sometimes with a precondition.
pub(crate) fn requests() -> impl Strategy<Value = Request> {
    let principals = select(vec![None, Some(Principal::unrestricted())]);
    (commands(), conditions(), conditions(), prop::option::of(Just("r-1")), principals).prop_map(
        |(command, if_match, if_none_match, id, principal)| Request {
            command,
            precondition: Precondition { if_match, if_none_match },
            principal,
            reason: None,
            request_id: id.map(Into::into),
            attempt: None,
        },
    )
}
