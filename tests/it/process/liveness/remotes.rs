//! Remote resources, at real endpoints.

use jiff::SignedDuration;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{at, only};
use crate::harness::receiver::{Answer, Receiver};
use domain::plugin::{Labels, RemoteResource, UniqueId};
use domain::record::ObservedState::{Alive, Gone, Unknown, Unreachable};
use domain::record::{ObservedState, ResourceKey, ResourceKind};
use plugin_registry::liveness::backoff::Backoff;
use plugin_registry::liveness::provider::Providers;
use plugin_registry::liveness::remote::{RemoteProber, RemoteSettings, Target};
use plugin_registry::net::AddressPolicy;

async fn answering(answers: Vec<Answer>) -> Receiver {
    let receiver = Receiver::start().await;
    answers.into_iter().for_each(|answer| receiver.next(answer));
    receiver
}

fn target(document: Value) -> Target {
    let mut document = document;
    document["provider"] = document.get("provider").cloned().unwrap_or(json!("custom"));
    let resource = RemoteResource::read(document, "").unwrap();
    let key =
        ResourceKey { plugin: UniqueId::from_client("c_n"), kind: ResourceKind::Remote, id: "r".into(), host: None };
    Target { key, resource, health_path: None, labels: Labels::default() }
}

fn prober(address_policy: AddressPolicy, providers: &str) -> RemoteProber {
    let settings =
        RemoteSettings { address_policy, timeout: std::time::Duration::from_secs(2), ..RemoteSettings::default() };
    RemoteProber::new(settings, Providers::read(providers).unwrap())
}

async fn seen(address_policy: AddressPolicy, document: Value) -> (ObservedState, String) {
    let sighting = only(prober(address_policy, "").sweep(&[target(document)], at(0), || 0.5).await);
    (sighting.state, sighting.detail.unwrap_or_default().into())
}

#[rstest]
#[case(Answer::Status(200), Alive, "200")]
#[case(Answer::Status(401), Alive, "behind authentication")]
#[case(Answer::Status(503), Unreachable, "not healthy")]
#[case(Answer::Redirect("http://127.0.0.1:1/".into()), Unreachable, "not healthy")]
#[case(Answer::Silence, Unreachable, "no response")]
#[tokio::test]
async fn an_endpoint_is_probed_by_http(#[case] answer: Answer, #[case] state: ObservedState, #[case] told: &str) {
    let receiver = answering(vec![answer]).await;
    let endpoint = format!("http://{}/v1", receiver.address);
    let (seen, detail) = seen(AddressPolicy::Everything, json!({"endpoint_url": endpoint})).await;
    assert!(seen == state && detail.contains(told), "{seen:?}: {detail}");
}

#[tokio::test]
async fn an_ssh_host_is_probed_by_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let host = json!({"ssh_host": "ubuntu@127.0.0.1", "ssh_port": port});
    assert_eq!(seen(AddressPolicy::Everything, host.clone()).await.0, Alive);
    drop(listener);
    assert_eq!(seen(AddressPolicy::Everything, host).await.0, Unreachable);
}

#[rstest]
#[case(json!({"endpoint_url": "http://127.0.0.1:1/"}))]
#[case(json!({"endpoint_url": "http://localhost:1/"}))]
#[case(json!({"endpoint_url": "http://[::ffff:169.254.169.254]/latest/meta-data/"}))]
#[case(json!({"ssh_host": "127.0.0.1"}))]
#[case(json!({"ssh_host": "localhost"}))]
#[tokio::test]
async fn probes_do_not_connect_to_private_addresses(#[case] document: Value) {
    let (state, detail) = seen(AddressPolicy::Public, document).await;
    assert!(state == Unknown && detail.contains("the address policy forbids"), "{state:?}: {detail}");
}

#[tokio::test]
async fn failures_increase_the_interval_of_a_probe() {
    let receiver = answering(vec![Answer::Status(503), Answer::Status(503), Answer::Status(200)]).await;
    let pace = Backoff { interval: SignedDuration::from_secs(10), longest: SignedDuration::from_secs(40) };
    let settings = RemoteSettings {
        address_policy: AddressPolicy::Everything,
        pace,
        refresh: SignedDuration::ZERO,
        ..RemoteSettings::default()
    };
    let mut prober = RemoteProber::new(settings, Providers::default());
    let held = [target(json!({"endpoint_url": format!("http://{}/", receiver.address)}))];
    let mut asked = Vec::new();
    for second in 0..100 {
        if !prober.sweep(&held, at(second), || 0.5).await.is_empty() {
            asked.push(second);
        }
    }
    assert_eq!(asked, [0, 20, 60, 70, 80, 90]);
}

#[tokio::test]
async fn the_answer_of_a_provider_outranks_other_probes() {
    let receiver = answering(vec![Answer::Status(404), Answer::Status(500)]).await;
    let providers = format!(
        "[[provider]]\nprovider = \"aws\"\nurl = \"http://{}/i/{{instance_id}}\"\nstatus = \"$.s\"\nmissing = \"gone\"\nstates = {{}}",
        receiver.address
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let document = json!({"provider": "aws", "instance_id": "i-1", "ssh_host": "127.0.0.1", "ssh_port": port});
    let held = [target(document)];
    let gone = only(prober(AddressPolicy::Everything, &providers).sweep(&held, at(0), || 0.5).await);
    assert_eq!(gone.state, Gone, "{gone:?}");
    // A provider with an unknown answer leaves the decision to the other probes.
    let alive = only(prober(AddressPolicy::Everything, &providers).sweep(&held, at(0), || 0.5).await);
    assert_eq!(alive.state, Alive, "{alive:?}");
}
