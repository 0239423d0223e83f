//! GET /plugins: filters and projection.

use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{Client, Server, named};

/// Six plugins that differ in every field with a filter.
async fn with_six() -> (Server, Client) {
    let server = Server::in_memory().await;
    let client = server.client();
    let differences = [
        json!({"category": "asr", "name": "a", "title": "Whisper Tiny", "is_configured": true, "labels": {"team": "speech", "a.b": "1"}}),
        json!({"category": "asr", "name": "b", "spawned_pids": [10, 20], "host": "h1", "lease_id": "l1", "execution_mode": "subprocess"}),
        json!({"category": "llm", "name": "c", "container_id": "c0ffee", "host": "h2", "execution_mode": "docker", "labels": {"team": "text"}}),
        json!({"category": "llm", "name": "d", "execution_mode": "cloud_gpu", "description": "Größe, 50%",
               "remote_resource": {"provider": "aws", "status": "running", "gpu_type": "A100"}}),
        json!({"category": "fine, tuning", "name": "e", "execution_mode": "kubernetes", "spawned_pids": [20],
               "remote_resource": {"provider": "gcp", "status": "provisioning", "gpu_type": "V100"}}),
        json!({"category": "x", "name": "f", "execution_mode": "external", "container_id": "",
               "remote_resource": {"provider": "aws", "status": "stopped"}}),
    ];
    for difference in differences {
        let mut body = named("c", "n");
        json_patch::merge(&mut body, &difference);
        client.register(&body).await;
    }
    (server, client)
}

#[rstest]
#[case::all("", "abcdef")]
#[case::active("active=true", "bcde")]
#[case::inactive("active=false", "af")]
#[case::either("active=true,false", "abcdef")]
#[case::billable("billable=true", "de")]
#[case::not_billable("billable=false", "abcf")]
#[case::configured("configured=true", "a")]
#[case::unconfigured("configured=false", "bcdef")]
#[case::local("execution=local", "abcf")]
#[case::cloud("execution=cloud", "de")]
#[case::local_or_cloud("execution=local&execution=cloud", "abcdef")]
#[case::category("category=asr", "ab")]
#[case::categories("category=asr,llm", "abcd")]
#[case::category_repeated("category=asr&category=llm&category=asr", "abcd")]
#[case::categories_encoded("category=asr%2Cllm", "abcd")]
#[case::category_with_a_comma("category=fine%5C%2C%20tuning", "e")]
#[case::category_with_a_comma_among_others("category=asr,fine\\,%20tuning", "abe")]
#[case::category_plus_is_a_space("category=fine%5C%2C+tuning", "e")]
#[case::no_such_category("category=nope", "")]
#[case::impossible_category("category=", "")]
#[case::name("name=a,f", "af")]
#[case::mode("execution_mode=docker", "c")]
#[case::modes("execution_mode=docker,kubernetes,docker", "ce")]
#[case::provider("provider=aws", "df")]
#[case::providers("provider=aws,gcp", "def")]
#[case::unused_provider("provider=runpod", "")]
#[case::status("status=running,stopped", "df")]
#[case::own_status("status=hibernating", "")]
#[case::gpu_type("gpu_type=A100,V100", "de")]
#[case::host("host=h1,h2,h3", "bc")]
#[case::lease("lease_id=l1", "b")]
#[case::label("label.team=speech", "a")]
#[case::label_any("label.team=speech,text", "ac")]
#[case::label_with_a_dot("label.a.b=1", "a")]
#[case::labels_all("label.team=speech&label.a.b=2", "")]
#[case::pid("pid=20", "be")]
#[case::pids("pid=10,20", "be")]
#[case::pid_of_nobody("pid=4294967295", "")]
#[case::container("container_id=c0ffee", "c")]
#[case::no_container("container_id=", "")]
#[case::title("q=TINY", "a")]
#[case::id("q=llm_", "cd")]
#[case::description("q=GR%C3%96SSE,gr%C3%B6%C3%9Fe", "d")]
#[case::percent("q=50%25", "d")]
#[case::everywhere("q=", "abcdef")]
#[case::nowhere("q=zzz", "")]
#[case::anded("active=true&category=llm&provider=aws", "d")]
#[case::anded_by_index_and_scan("active=true&execution=cloud&status=provisioning", "e")]
#[case::contradiction("active=true&configured=true", "")]
#[case::since_long_ago("updated_since=2001-01-01T00:00:00Z", "abcdef")]
#[case::since_the_future("updated_since=2999-01-01T00:00:00%2B02:00", "")]
#[case::since_the_end_of_time("updated_since=9999-12-31T23:59:59Z", "")]
#[case::since_unencoded_offset("updated_since=2999-01-01T00:00:00+02:00", "")]
#[tokio::test]
async fn filters(#[case] query: &str, #[case] names: &str) {
    let (_server, client) = with_six().await;
    let reply = client.get(&format!("/plugins?{query}")).answers(200).await;
    let mut found: Vec<_> = reply.items().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect();
    found.sort();
    assert_eq!(found.concat(), names);
    let body = reply.json();
    assert_eq!(
        (&body["total"], &body["next_cursor"], &body["revision"]),
        (&json!(names.len()), &Value::Null, &json!(6))
    );
}

#[rstest]
#[case::unknown("activ=true", "did you mean `active`")]
#[case::unknown_altogether("zzz=1", "use one of")]
#[case::case_matters("Active=true", "unknown")]
#[case::flag("active=yes", "true or false")]
#[case::flag_empty("active=", "true or false")]
#[case::flag_alone("active", "true or false")]
#[case::flag_case("billable=TRUE", "true or false")]
#[case::one_of_two("configured=true,maybe", "true or false")]
#[case::mode(
    "execution_mode=cloud",
    "in_process, subprocess, docker, conda_env, external, remote_ssh, cloud_vm, cloud_container, cloud_serverless, cloud_gpu, cloud_cpu, kubernetes"
)]
#[case::execution("execution=remote", "local, cloud")]
#[case::provider("provider=amazon", "aws, gcp, azure")]
#[case::provider_of_another_name("provider=amazon", "any other provider is `custom`")]
#[case::pid_zero("pid=0", "4294967295")]
#[case::pid_negative("pid=-1", "4294967295")]
#[case::pid_large("pid=4294967296", "4294967295")]
#[case::pid_text("pid=1,x", "4294967295")]
#[case::label_without_key("label.=x", "unknown")]
#[case::since("updated_since=yesterday", "RFC 3339")]
#[case::since_date("updated_since=2026-11-21", "RFC 3339")]
#[case::since_local("updated_since=2026-11-21T00:00:00", "RFC 3339")]
#[case::since_twice("updated_since=2026-11-21T00:00:00Z,2026-11-21T00:00:00Z", "one value")]
#[case::sort("sort=titel", "unique_id, name")]
#[case::sort_not_scalar("sort=labels", "must be one of")]
#[case::sort_by_nothing("sort=-", "must be one of")]
#[case::sort_twice("sort=name&sort=title", "one value")]
#[case::sort_with_an_encoded_comma("sort=name%2Ctitle", "must be one of")]
#[case::limit_zero("limit=0", "1 to 10000")]
#[case::limit_large("limit=10001", "1 to 10000")]
#[case::limit_negative("limit=-1", "1 to 10000")]
#[case::limit_plus("limit=%2B1", "1 to 10000")]
#[case::limit_text("limit=ten", "1 to 10000")]
#[case::limit_huge("limit=99999999999999999999999", "1 to 10000")]
#[case::fields("fields=titel", "did you mean `title`")]
#[case::fields_empty("fields=", "unknown field")]
#[case::cursor("cursor=abc", "next_cursor")]
#[case::cursor_no_base64("cursor=%20%20", "next_cursor")]
#[case::broken_escape("q=%zz", "hexadecimal")]
#[case::no_utf8("q=%ff", "UTF-8")]
#[case::nul("q=a%00b", "U+0000")]
#[tokio::test]
async fn an_unknown_parameter_or_value_is_refused_with_the_allowed_ones(#[case] query: &str, #[case] told: &str) {
    let server = Server::in_memory().await;
    let problem = server.client().get(&format!("/plugins?{query}")).refused(400).await;
    assert_eq!(problem.kind(), "bad-parameter");
    assert!(problem.detail().contains(told), "{}", problem.detail());
}

#[tokio::test]
async fn updated_since_is_inclusive_to_the_microsecond() {
    let (_server, client) = with_six().await;
    let all = client.get("/plugins?sort=updated_at").answers(200).await.items();
    for item in &all {
        let time = item["updated_at"].as_str().unwrap();
        let since = client.get(&format!("/plugins?updated_since={time}")).answers(200).await.items();
        let expected = all.iter().filter(|other| {
            let parse = |time: &Value| time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
            parse(&other["updated_at"]) >= parse(&item["updated_at"])
        });
        assert_eq!(since.len(), expected.count(), "{time}");
    }
}

#[tokio::test]
async fn fields_selects_fields_in_the_order_of_the_document() {
    let (_server, client) = with_six().await;
    let reply = client.get("/plugins?fields=revision,name&fields=unique_id,name&category=asr").answers(200).await;
    let shown: Vec<_> = reply.items().iter().map(Value::to_string).collect();
    assert_eq!(
        shown,
        [r#"{"unique_id":"asr_a","name":"a","revision":1}"#, r#"{"unique_id":"asr_b","name":"b","revision":2}"#]
    );
    let whole = client.get("/plugins?category=asr").answers(200).await.items();
    let every: Vec<_> = whole[0].as_object().unwrap().keys().cloned().collect();
    let all = client.get(&format!("/plugins?category=asr&fields={}", every.join(","))).answers(200).await;
    assert_eq!(all.items(), whole, "every field can be asked for");
}

#[tokio::test]
async fn an_item_of_a_list_is_the_plugin_byte_by_byte() {
    let (_server, client) = with_six().await;
    let list = client.get("/plugins").answers(200).await;
    for id in list.ids() {
        let path = format!("/plugins/{}", id.replace(", ", "%2C%20"));
        let one = client.get(&path).answers(200).await;
        assert!(list.text().contains(one.text()), "{id}");
    }
}

#[tokio::test]
async fn a_long_list_is_compressed_when_the_client_takes_gzip() {
    let (server, client) = with_six().await;
    let plain = client.get("/plugins").answers(200).await;
    assert!(plain.header("content-encoding").is_none());
    assert_eq!(plain.header("content-length").unwrap().parse(), Ok(plain.body.len()));
    let request = "GET /plugins HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n";
    let reply = server.raw().await.ask(request).await;
    assert_eq!(reply.headers["content-encoding"], "gzip");
    assert!(reply.headers["etag"].to_str().unwrap().starts_with("W/"), "a strong tag is for one encoding only");
    let vary: Vec<_> = reply.headers.get_all("vary").iter().map(|value| value.to_str().unwrap()).collect();
    assert!(vary.join(",").to_lowercase().contains("accept-encoding"), "{vary:?}");
    assert_eq!(reply.body[..2], [0x1f, 0x8b]);
    assert!(reply.body.len() < plain.body.len());
}

#[tokio::test]
async fn a_search_takes_no_more_texts_than_people_type() {
    let (_server, client) = with_six().await;
    let parts = |count: usize, chars: usize| vec!["x".repeat(chars); count].join(",");
    for path in ["/plugins", "/costs", "/events"] {
        client.get(&format!("{path}?q={}", parts(16, 256))).answers(200).await;
        for wrong in [parts(17, 1), parts(1, 257)] {
            let refused = client.get(&format!("{path}?q={wrong}")).refused(400).await;
            assert!(refused.detail().contains("at most 16 texts"), "{}", refused.detail());
        }
    }
}
