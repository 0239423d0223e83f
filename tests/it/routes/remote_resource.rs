//! PUT, PATCH, DELETE /plugins/{id}/remote_resource.

use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::trace::refused_without_trace;
use crate::harness::{Client, Server, minimal};

const PATH: &str = "/plugins/transcription_whisper/remote_resource";

async fn with_one() -> (Server, Client) {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    (server, client)
}

#[tokio::test]
async fn the_life_of_a_cloud_machine() {
    let (_server, client) = with_one().await;
    let set = client.put(PATH, &json!({"provider": "runpod", "instance_id": "i-1"})).answers(200).await.json();
    assert_eq!(
        set["remote_resource"],
        json!({
            "provider": "runpod", "region": null, "instance_id": "i-1", "job_id": null, "endpoint_url": null,
            "ssh_host": null, "ssh_port": 22, "status": "unknown", "resource_type": null, "gpu_count": 0,
            "gpu_type": null, "estimated_cost_per_hour": null, "metadata": {},
        })
    );
    for (status, active, billable) in [
        ("provisioning", false, true),
        ("running", true, true),
        ("stopping", false, true),
        ("stopped", false, false),
        ("hibernating", false, true),
        ("RUNNING", false, true),
        ("", false, true),
    ] {
        let reply = client.patch(PATH, &json!({"status": status})).answers(200).await.json();
        assert_eq!(reply["remote_resource"]["status"], status, "kept as sent");
        assert_eq!(reply["remote_resource"]["instance_id"], "i-1");
        assert_eq!([&reply["has_active_resources"], &reply["billable"]], [active, billable], "{status}");
    }
    let replaced = client.put(PATH, &json!({"provider": "aws"})).answers(200).await.json();
    assert_eq!(replaced["remote_resource"]["instance_id"], Value::Null, "PUT replaces the whole");
    let cleared = client.delete(PATH).answers(200).await;
    assert_eq!(cleared.json()["remote_resource"], Value::Null);
    assert_eq!(client.delete(PATH).answers(200).await.etag(), cleared.etag());
}

#[tokio::test]
async fn a_patch_creates_a_remote_resource_if_complete() {
    let (_server, client) = with_one().await;
    let problem = refused_without_trace(&client, client.patch(PATH, &json!({"status": "running"})), 422).await;
    assert_eq!(problem.pointers(), ["/provider"]);
    let made = client.patch(PATH, &json!({"status": "running", "provider": "gcp"})).answers(200).await;
    assert_eq!(made.json()["has_active_resources"], true);
}

#[tokio::test]
async fn a_patch_clears_with_null_and_keeps_the_rest() {
    let (_server, client) = with_one().await;
    let whole = json!({
        "provider": "aws", "region": "r", "status": "running", "ssh_port": 2222, "gpu_count": 4,
        "estimated_cost_per_hour": 0.1, "metadata": {"a": 1, "b": {"c": 2}},
    });
    client.put(PATH, &whole).answers(200).await;
    let patch = json!({"region": null, "status": null, "ssh_port": null, "metadata": {"a": null, "b": {"d": 3}}});
    let after = client.patch(PATH, &patch).answers(200).await.json()["remote_resource"].clone();
    assert_eq!((&after["region"], &after["status"], &after["ssh_port"]), (&Value::Null, &json!("unknown"), &json!(22)));
    assert_eq!((&after["gpu_count"], &after["estimated_cost_per_hour"]), (&json!(4), &json!(0.1)));
    assert_eq!(after["metadata"], json!({"b": {"c": 2, "d": 3}}));
}

#[rstest]
#[case::no_provider("provider", json!(null), "must be one of aws")]
#[case::unknown_provider("provider", json!("amazon"), "must be one of aws, gcp, azure, lambda_labs, runpod, vast_ai, paperspace, together_ai, custom")]
#[case::port_zero("ssh_port", json!(0), "65535")]
#[case::port_too_large("ssh_port", json!(65_536), "65535")]
#[case::port_text("ssh_port", json!("22"), "65535")]
#[case::negative_gpus("gpu_count", json!(-1), "0 to")]
#[case::half_a_gpu("gpu_count", json!(0.5), "0 to")]
#[case::negative_cost("estimated_cost_per_hour", json!(-0.01), "USD")]
#[case::cost_text("estimated_cost_per_hour", json!("24.50"), "USD")]
#[case::huge_cost("estimated_cost_per_hour", serde_json::from_str("1e400").unwrap(), "USD")]
#[case::status_number("status", json!(1), "string")]
#[case::metadata_array("metadata", json!([]), "object")]
#[case::metadata_null("metadata", json!(null), "object")]
#[case::unknown_field("statuss", json!("running"), "did you mean `status`")]
#[tokio::test]
async fn a_wrong_field_is_named(#[case] field: &str, #[case] value: Value, #[case] told: &str) {
    let (_server, client) = with_one().await;
    let mut remote = json!({"provider": "aws"});
    remote[field] = value.clone();
    let problem = refused_without_trace(&client, client.put(PATH, &remote), 422).await;
    let about = problem.about(&format!("/{field}"));
    assert!(about.contains(told) || about.contains("must be a string"), "{about}");
    let mut body = minimal();
    body["remote_resource"] = remote;
    let problem = refused_without_trace(&client, client.post("/plugins", &body), 422).await;
    problem.about(&format!("/remote_resource/{field}"));
    if !value.is_null() {
        client.put(PATH, &json!({"provider": "aws"})).answers(200).await;
        let problem = refused_without_trace(&client, client.patch(PATH, &json!({field: value})), 422).await;
        problem.about(&format!("/{field}"));
    }
}

#[tokio::test]
async fn a_cost_is_a_number_that_keeps_its_value() {
    let (_server, client) = with_one().await;
    for (sent, shown) in [("24.50", "24.5"), ("0", "0.0"), ("-0.0", "0.0"), ("1e9", "1000000000.0"), ("0.1", "0.1")] {
        let body = format!(r#"{{"provider":"aws","estimated_cost_per_hour":{sent}}}"#);
        let reply = client.request(reqwest::Method::PUT, PATH).body("application/json", body).answers(200).await;
        let kept = reply.json()["remote_resource"]["estimated_cost_per_hour"].clone();
        assert_eq!(kept.as_f64(), shown.parse().ok(), "{sent} became {kept}");
        assert!(!kept.to_string().starts_with('-'), "{sent} became {kept}");
    }
}
