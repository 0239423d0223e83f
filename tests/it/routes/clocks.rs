//! Wall clocks that are wrong: set back, set ahead for a moment, apart between replicas. Nothing that is alive is lost,
//! nothing that was kept goes, and the registry still sees what happens.

use jiff::SignedDuration;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::durable::Durable;
use crate::harness::server::Setup;
use crate::harness::simulated_server::{SimulatedServer, holding, new_clock, process};
use crate::harness::{Client, named};
use domain::change::retention::Retention;
use domain::lease::OnGone;

/// Lets seconds pass, with a pass in each and a renewal of a lease in every third.
async fn live(server: &mut SimulatedServer, lease: &str, seconds: i64) {
    for second in 0..seconds {
        if second % 3 == 0 {
            server.renew(lease).await;
        }
        server.pass(1).await;
    }
}

#[rstest]
#[case::three_minutes_back(-180)]
#[case::an_hour_back(-3_600)]
#[case::five_seconds_back(-5)]
#[case::a_year_ahead(365 * 86_400)]
#[tokio::test]
async fn a_lease_that_was_renewed_all_the_time_was_lost_after_a_jump_of_the_clock(#[case] seconds: i64) {
    let mut passage = SimulatedServer::start().await;
    let lease = passage.lease("app", None, 5).await;
    live(&mut passage, &lease, 6).await;
    passage.clock.set(SignedDuration::from_secs(seconds));
    live(&mut passage, &lease, 150).await;
    let of_lease: Vec<_> = passage.kinds().await.into_iter().filter(|kind| kind.starts_with("lease.")).collect();
    assert_eq!(of_lease, ["lease.granted"]);
    passage.pass(70).await;
    assert_eq!(passage.state(&lease).await, "lost", "no client renews it any longer");
}

#[rstest]
#[case::an_hour_back(-3_600)]
#[case::a_year_back(-365 * 86_400)]
#[case::an_hour_ahead(3_600)]
#[tokio::test]
async fn the_registry_was_blind_for_as_long_as_the_clock_was_set_back(#[case] seconds: i64) {
    let mut passage = SimulatedServer::start().await;
    let lease = passage.lease("app", Some("h"), 3600).await;
    passage.client.register(&holding("a", "h", &[7], Some(&lease))).await;
    passage.seen_twice("h", "c_a", 7, "alive").await;
    passage.clock.set(SignedDuration::from_secs(seconds));
    for _ in 0..3 {
        let report = passage.report("h", json!([process("c_a", 7, "gone")])).await;
        assert_eq!((&report["accepted"], &report["ignored"]), (&json!(1), &json!([])));
        passage.pass(5).await;
    }
    let row = passage.row("plugin=c_a").await;
    assert_eq!((&row["observed"]["state"], &row["finding"]), (&json!("gone"), &json!("ghost")), "{row}");
    let seen: jiff::Timestamp = row["observed"]["since"].as_str().unwrap().parse().unwrap();
    assert!(seen <= passage.now(), "the time of an observation is by the present clock");
}

#[rstest]
#[case::eight_seconds(8)]
#[case::an_hour(3_600)]
#[tokio::test]
async fn a_lease_was_lost_at_a_replica_whose_clock_was_apart(#[case] seconds: i64) {
    let store = Durable::fresh();
    let (clock, apart) = (new_clock(), new_clock());
    apart.set(SignedDuration::from_secs(seconds));
    let mut one = SimulatedServer::at(&store, &clock, OnGone::Mark).await;
    let mut other = SimulatedServer::at(&store, &apart, OnGone::Mark).await;
    let lease = one.lease("app", None, 5).await;
    for second in 0..150 {
        if second % 2 == 0 {
            // A load balancer sends most renewals to one replica.
            let to = if second % 30 == 0 { &other } else { &one };
            to.renew(&lease).await;
        }
        one.pass(1).await;
        other.pass(1).await;
    }
    assert_eq!((one.state(&lease).await, other.state(&lease).await), ("active".into(), "active".into()));
    assert_eq!(one.kinds().await, ["lease.granted"]);
    for _ in 0..80 {
        one.pass(1).await;
        other.pass(1).await;
    }
    assert_eq!(one.state(&lease).await, "lost", "no client renews it any longer");
    assert_eq!(one.kinds().await, ["lease.granted", "lease.expired"]);
}

/// Sends a registration with a key.
async fn register_once(client: &Client, title: &str) -> bool {
    let mut plugin = named("c", "kept");
    plugin["title"] = json!(title);
    let call = client.request(Method::POST, "/plugins").header("idempotency-key", "k").json(&plugin);
    call.send().await.header("idempotency-replayed").is_some()
}

#[tokio::test]
async fn a_year_ahead_for_a_moment_erased_the_history_and_what_was_kept() {
    let store = Durable::fresh();
    let clock = new_clock();
    let retention = Retention { changes: 100_000, days: 90 };
    let start =
        async || Setup { journal: store.open(), clock: clock.clone(), retention, ..Setup::in_memory() }.start().await;
    let server = start().await;
    let client = server.client();
    assert!(!register_once(&client, "one").await);
    let ended = client.post("/leases", &json!({"holder": "app"})).answers(201).await.json();
    let lease = format!("/leases/{}", ended["lease_id"].as_str().unwrap());
    client.delete(&lease).answers(204).await;
    let before = client.get("/events").answers(200).await.items();
    clock.set(SignedDuration::from_hours(365 * 24));
    let mut sweeper = plugin_registry::registry::Sweeper::new(server.registry.clone(), OnGone::Mark);
    for second in 0..75 {
        clock.advance(SignedDuration::from_secs(1));
        sweeper.sweep().await;
        if second % 10 == 0 {
            client.register(&named("c", &second.to_string())).await;
            // An idle writer compacts, too.
            server.registry.catch_up().await.unwrap();
        }
    }
    let page = client.get("/events?limit=3").answers(200).await.json();
    assert_eq!((&page["horizon"], page["items"].as_array()), (&json!(0), Some(&before)), "the history is whole");
    assert!(register_once(&client, "one").await, "the response is kept");
    client.get(&lease).answers(200).await;
    clock.set(SignedDuration::from_hours(-365 * 24));
    assert!(register_once(&client, "one").await, "the response is kept");
    server.stop().await;
    // A restart brings the clock's error to no end.
    let server = start().await;
    server.registry.catch_up().await.unwrap();
    assert_eq!(server.client().get("/events?limit=3").answers(200).await.items(), before);
    server.stop().await;
}

/// The times of all changes, oldest first.
async fn times(client: &Client) -> Vec<jiff::Timestamp> {
    let events: Vec<Value> = client.get("/events").answers(200).await.items();
    events.iter().map(|event| event["time"].as_str().unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn the_times_of_a_process_that_runs_go_on_by_the_right_clock() {
    let mut passage = SimulatedServer::start().await;
    passage.clock.set(SignedDuration::from_hours(365 * 24));
    passage.client.register(&holding("early", "h", &[7], None)).await;
    passage.clock.set(SignedDuration::from_hours(-365 * 24));
    passage.pass(60).await;
    passage.client.register(&holding("late", "h", &[8], None)).await;
    let times = times(&passage.client).await;
    assert!(times[0] > passage.now(), "what was written keeps its time");
    assert_eq!(times.last(), Some(&passage.now()));
}

#[tokio::test]
async fn a_resource_cost_nothing_for_a_year_after_a_write_a_year_ahead() {
    let mut passage = SimulatedServer::start().await;
    passage.clock.set(SignedDuration::from_hours(365 * 24));
    let mut plugin = named("c", "rented");
    plugin["execution_mode"] = json!("cloud_gpu");
    plugin["remote_resource"] =
        json!({"provider": "aws", "status": "running", "instance_id": "i", "estimated_cost_per_hour": 3600});
    passage.client.register(&plugin).await;
    passage.clock.set(SignedDuration::from_hours(-365 * 24));
    passage.pass(60).await;
    let costs = passage.client.get("/costs").answers(200).await.json();
    let spent = costs["accrued"]["high_usd"].as_f64().unwrap_or_else(|| panic!("{costs}"));
    assert!((50.0..=60.0).contains(&spent), "{costs}");
    let kinds = passage.kinds().await;
    assert_eq!(kinds, ["plugin.registered", "plugin.updated"], "the correction is visible, and made once");
}
