//! Bad input, by example: each gets the right 4xx and a problem that points at the field. The registry changes nothing
//! and spends no revision.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::trace::refused_without_trace;
use crate::harness::{Client, Server, holding_everything, minimal, named};

const MIB: usize = 1024 * 1024;

async fn with_one() -> (Server, Client) {
    let server = Server::start().await;
    let client = server.client();
    client.register(&holding_everything()).await;
    (server, client)
}

/// Every write that takes a JSON body.
fn writes() -> Vec<(Method, &'static str)> {
    vec![
        (Method::POST, "/plugins"),
        (Method::PUT, "/plugins/finetuning_trainer"),
        (Method::PATCH, "/plugins/finetuning_trainer"),
        (Method::PUT, "/plugins/finetuning_trainer/spawned_pids"),
        (Method::POST, "/plugins/finetuning_trainer/spawned_pids"),
        (Method::PUT, "/plugins/finetuning_trainer/container_id"),
        (Method::PUT, "/plugins/finetuning_trainer/remote_resource"),
        (Method::PATCH, "/plugins/finetuning_trainer/remote_resource"),
        (Method::PUT, "/plugins/finetuning_trainer/config"),
        (Method::POST, "/plugins/finetuning_trainer/config/validate"),
        (Method::PUT, "/categories/finetuning"),
    ]
}

#[rstest]
#[case::empty(b"", None)]
#[case::blank(b" \r\n\t ", None)]
#[case::truncated(br#"{"name": "a", "#, None)]
#[case::truncated_string(br#"{"name": "a"#, None)]
#[case::two_documents(b"{} {}", None)]
#[case::trailing_comma(br#"{"title": "x",}"#, None)]
#[case::single_quotes(b"{'title': 'x'}", None)]
#[case::comment(b"{} // x", None)]
#[case::nan(br#"{"title": NaN}"#, None)]
#[case::infinity(br#"{"title": -Infinity}"#, None)]
#[case::hexadecimal(br#"{"title": 0x1}"#, None)]
#[case::leading_zero(br#"{"title": 01}"#, None)]
#[case::byte_order_mark(b"\xef\xbb\xbf{}", None)]
#[case::invalid_utf8(b"{\"title\": \"\xff\xfe\"}", None)]
#[case::utf8_surrogate(b"{\"title\": \"\xed\xa0\x80\"}", None)]
#[case::lone_surrogate(br#"{"title": "\ud800"}"#, None)]
#[case::reversed_surrogates(br#"{"title": "\udc00\ud800"}"#, None)]
#[case::lone_surrogate_in_a_key(br#"{"\udfff": 1}"#, None)]
#[case::control_character(b"{\"title\": \"a\nb\"}", None)]
#[case::control_character_in_a_key(b"{\"ti\ntle\": \"a\"}", None)]
#[case::u0001_in_a_key(b"{\"\x01\": \"a\"}", None)]
#[case::u0000(br#"{"title": "a\u0000b"}"#, Some("/title"))]
#[case::u0000_in_a_key(br#"{"labels": {"a\u0000": "x"}}"#, Some("/labels/a\0"))]
#[case::duplicate_key(br#"{"title": "a", "title": "b"}"#, Some("/title"))]
#[case::duplicate_key_escaped(br#"{"a/b": {"x~": 1, "x\u007e": 2}}"#, Some("/a~1b/x~0"))]
#[tokio::test]
async fn unacceptable_json_is_a_400_on_every_route(#[case] body: &'static [u8], #[case] pointer: Option<&str>) {
    let (_server, client) = with_one().await;
    for (method, path) in writes() {
        let call = client.request(method, path).body("application/json", body);
        let problem = refused_without_trace(&client, call, 400).await;
        assert_eq!(problem.kind(), "bad-json", "{path}");
        assert_eq!(problem.pointers().first().copied(), pointer, "{path}");
    }
}

#[rstest]
#[case::arrays("[", "]")]
#[case::objects("{\"a\":", "}")]
#[tokio::test]
async fn a_document_nested_10_000_deep_is_a_400(#[case] open: &str, #[case] close: &str) {
    let (_server, client) = with_one().await;
    let deep = open.repeat(10_000) + "1" + &close.repeat(10_000);
    let bodies = [
        deep.clone(),
        open.repeat(MIB / open.len()),
        format!(r#"{{"name":"n","category":"c","title":"t","config_schema":{{"x":{deep}}}}}"#),
    ];
    for body in bodies {
        for (method, path) in writes() {
            let problem = client.request(method, path).body("application/json", body.clone()).refused(400).await;
            assert!(problem.detail().contains("128"), "{path}: {}", problem.detail());
        }
    }
}

#[tokio::test]
async fn a_document_nested_128_deep_is_stored_and_returned() {
    let (_server, client) = with_one().await;
    // The document and the schema take two levels.
    let inner = "[".repeat(126) + &"]".repeat(126);
    let body = |inner: &str| format!(r#"{{"name":"deep","category":"c","title":"t","config_schema":{{"x":{inner}}}}}"#);
    let post = |inner: &str| client.request(Method::POST, "/plugins").body("application/json", body(inner));
    let reply = post(&inner).answers(201).await;
    assert!(reply.text().contains(&inner));
    refused_without_trace(&client, post(&format!("[{inner}]")), 400).await;
    // A document that was accepted in parts is also accepted as a whole.
    let remote = |inner: &str| format!(r#"{{"provider":"aws","metadata":{{"x":{inner}}}}}"#);
    let put = |inner: &str| {
        client.request(Method::PUT, "/plugins/c_deep/remote_resource").body("application/json", remote(inner))
    };
    let reply = put(&"[".repeat(125).add_closing()).answers(200).await;
    assert_eq!(
        client
            .request(Method::PUT, "/plugins/c_deep")
            .body("application/json", reply.body.clone())
            .answers(200)
            .await
            .body,
        reply.body
    );
    refused_without_trace(&client, put(&"[".repeat(126).add_closing()), 400).await;
    client.patch("/plugins/c_deep", &json!({"title": "still patched"})).answers(200).await;
}

trait Nested {
    fn add_closing(&self) -> String;
}

impl Nested for String {
    fn add_closing(&self) -> String {
        self.clone() + &"]".repeat(self.len())
    }
}

#[tokio::test]
async fn a_body_of_a_mebibyte_is_accepted_and_one_byte_more_is_refused() {
    let (_server, client) = with_one().await;
    let padded = |length: usize| {
        let mut body = named("c", "big").to_string();
        body.push_str(&" ".repeat(length - body.len()));
        body
    };
    let post = |body: String| client.request(Method::POST, "/plugins").body("application/json", body);
    post(padded(MIB)).answers(201).await;
    for length in [MIB + 1, 3 * MIB, 20 * MIB] {
        let problem = refused_without_trace(&client, post(padded(length)), 413).await;
        assert!(problem.kind() == "too-large" && problem.detail().contains("1048576"), "{}", problem.detail());
    }
}

#[tokio::test]
async fn a_body_in_chunks_has_the_same_limit() {
    let (_server, client) = with_one().await;
    let chunked = |length: usize| {
        let mut body = named("c", "big").to_string();
        body.push_str(&" ".repeat(length - body.len()));
        reqwest::Body::wrap(Chunks(body.into()))
    };
    let post = |length| client.request(Method::POST, "/plugins").streamed("application/json", chunked(length));
    post(MIB).answers(201).await;
    refused_without_trace(&client, post(MIB + 1), 413).await;
}

/// A body without Content-Length.
struct Chunks(Bytes);

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        let next = self.0.len().min(65_536);
        let chunk = self.0.split_to(next);
        Poll::Ready((!chunk.is_empty()).then_some(Ok(hyper::body::Frame::data(chunk))))
    }
}

/// A registration with one field replaced.
fn with(field: &str, value: Value) -> Value {
    let mut body = minimal();
    body[field] = value;
    body
}

#[rstest]
#[case::name_empty(with("name", json!("")), "/name", "empty")]
#[case::name_long(with("name", json!("x".repeat(10_000))), "/name", "256")]
#[case::name_257(with("name", json!("ß".repeat(257))), "/name", "256")]
#[case::name_newline(with("name", json!("a\nb")), "/name", "control")]
#[case::name_delete(with("name", json!("a\u{7f}")), "/name", "control")]
#[case::name_c1(with("name", json!("a\u{85}b")), "/name", "control")]
#[case::name_leading_space(with("name", json!(" a")), "/name", "white space")]
#[case::name_trailing_space(with("name", json!("a ")), "/name", "white space")]
#[case::name_ideographic_space(with("name", json!("a\u{3000}")), "/name", "white space")]
#[case::name_only_space(with("name", json!(" ")), "/name", "white space")]
#[case::name_number(with("name", json!(1)), "/name", "string")]
#[case::name_null(with("name", json!(null)), "/name", "string")]
#[case::category_empty(with("category", json!("")), "/category", "empty")]
#[case::category_tab(with("category", json!("\t")), "/category", "control")]
#[case::category_array(with("category", json!([])), "/category", "string")]
#[case::title_missing({ let mut body = minimal(); body.as_object_mut().unwrap().remove("title"); body }, "/title", "required")]
#[case::title_number(with("title", json!(1)), "/title", "string")]
#[case::schema_missing({ let mut body = minimal(); body.as_object_mut().unwrap().remove("config_schema"); body }, "/config_schema", "required")]
#[case::schema_string(with("config_schema", json!("{}")), "/config_schema", "object")]
#[case::schema_true(with("config_schema", json!(true)), "/config_schema", "object")]
#[case::schema_null(with("config_schema", json!(null)), "/config_schema", "object")]
#[case::schema_no_schema(with("config_schema", json!({"type": "objekt"})), "/config_schema/type", "")]
#[case::schema_no_schema_below(with("config_schema", json!({"properties": {"a/b": {"minimum": "1"}}})), "/config_schema/properties/a~1b/minimum", "")]
#[case::schema_bad_pattern(with("config_schema", json!({"properties": {"a": {"pattern": "("}}})), "/config_schema/properties/a/pattern", "")]
#[case::schema_huge_pattern(with("config_schema", json!({"pattern": "(a{1000}){1000}"})), "/config_schema/pattern", "")]
#[case::schema_dangling_ref(with("config_schema", json!({"$ref": "#/$defs/nope"})), "/config_schema/$ref", "")]
#[case::description_number(with("description", json!(5)), "/description", "string")]
#[case::version_number(with("version", json!(1.0)), "/version", "string")]
#[case::configured_text(with("is_configured", json!("true")), "/is_configured", "true or false")]
#[case::configured_null(with("is_configured", json!(null)), "/is_configured", "true or false")]
#[case::configured_one(with("is_configured", json!(1)), "/is_configured", "true or false")]
#[case::mode_unknown(with("execution_mode", json!("cloud")), "/execution_mode", "in_process, subprocess, docker, conda_env, external, remote_ssh, cloud_vm, cloud_container, cloud_serverless, cloud_gpu, cloud_cpu, kubernetes")]
#[case::mode_case(with("execution_mode", json!("Docker")), "/execution_mode", "docker")]
#[case::mode_null(with("execution_mode", json!(null)), "/execution_mode", "")]
#[case::pid_zero(with("spawned_pids", json!([0])), "/spawned_pids/0", "4294967295")]
#[case::pid_negative(with("spawned_pids", json!([5, -1])), "/spawned_pids/1", "4294967295")]
#[case::pid_2_32(with("spawned_pids", json!([4_294_967_296_u64])), "/spawned_pids/0", "4294967295")]
#[case::pid_text(with("spawned_pids", json!(["12"])), "/spawned_pids/0", "4294967295")]
#[case::pid_huge(with("spawned_pids", serde_json::from_str("[1e400]").unwrap()), "/spawned_pids/0", "4294967295")]
#[case::pids_null(with("spawned_pids", json!(null)), "/spawned_pids", "array")]
#[case::unknown_field(with("spawned_pid", json!([1])), "/spawned_pid", "did you mean `spawned_pids`?")]
#[case::unknown_field_altogether(with("zzz", json!(1)), "/zzz", "use one of")]
#[case::unknown_field_escaped(with("a/b~c", json!(1)), "/a~1b~0c", "unknown field")]
#[case::remote_unknown_field(with("remote_resource", json!({"provider": "aws", "gpu": 1})), "/remote_resource/gpu", "gpu_")]
#[case::remote_without_provider(with("remote_resource", json!({})), "/remote_resource/provider", "required")]
#[case::remote_text(with("remote_resource", json!("aws")), "/remote_resource", "object")]
#[case::provider_unknown(with("remote_resource", json!({"provider": "hetzner"})), "/remote_resource/provider", "aws, gcp, azure, lambda_labs, runpod, vast_ai, paperspace, together_ai, custom")]
#[case::negative_cost(with("remote_resource", json!({"provider": "aws", "estimated_cost_per_hour": -1})), "/remote_resource/estimated_cost_per_hour", "USD")]
#[case::negative_gpus(with("remote_resource", json!({"provider": "aws", "gpu_count": -1})), "/remote_resource/gpu_count", "integer")]
#[case::port_zero(with("remote_resource", json!({"provider": "aws", "ssh_port": 0})), "/remote_resource/ssh_port", "65535")]
#[case::port_65536(with("remote_resource", json!({"provider": "aws", "ssh_port": 65536})), "/remote_resource/ssh_port", "65535")]
#[case::label_number(with("labels", json!({"a": 1})), "/labels/a", "string")]
#[case::label_null(with("labels", json!({"a": null})), "/labels/a", "string")]
#[case::label_without_key(with("labels", json!({"": "x"})), "/labels/", "empty")]
#[case::labels_array(with("labels", json!([])), "/labels", "object")]
#[case::lease_number(with("lease_id", json!(7)), "/lease_id", "string")]
#[case::array(json!([minimal()]), "", "object")]
#[case::text(json!("plugin"), "", "object")]
#[case::null(json!(null), "", "object")]
#[tokio::test]
async fn a_document_that_breaks_a_rule_is_a_422_that_points_at_the_field(
    #[case] body: Value,
    #[case] pointer: &str,
    #[case] told: &str,
) {
    let (_server, client) = with_one().await;
    for call in [client.post("/plugins", &body), client.put("/plugins/transcription_whisper", &body)] {
        let problem = refused_without_trace(&client, call, 422).await;
        assert_eq!(problem.kind(), "invalid-document");
        let about = problem.about(pointer);
        assert!(about.contains(told), "{about}");
    }
}

#[tokio::test]
async fn every_error_of_a_document_is_reported_at_once() {
    let (_server, client) = with_one().await;
    let body = json!({
        "name": "", "titel": "x", "config_schema": [], "spawned_pids": [0, 1, -1],
        "remote_resource": {"ssh_port": 0, "gpu_count": -1},
    });
    let problem = refused_without_trace(&client, client.post("/plugins", &body), 422).await;
    let mut pointers = problem.pointers();
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        [
            "/category",
            "/config_schema",
            "/name",
            "/remote_resource/gpu_count",
            "/remote_resource/provider",
            "/remote_resource/ssh_port",
            "/spawned_pids/0",
            "/spawned_pids/2",
            "/titel",
            "/title",
        ]
    );
}

#[tokio::test]
async fn the_number_of_reported_errors_is_bounded() {
    let (_server, client) = with_one().await;
    let unknown: serde_json::Map<_, _> = (0..80_000).map(|n| (format!("f{n}"), json!(0))).collect();
    let labels: serde_json::Map<_, _> = (0..80_000).map(|n| (format!("f{n}"), json!(0))).collect();
    let pids = vec![json!(0); 10_000];
    let bodies =
        [Value::Object(unknown), with("labels", Value::Object(labels)), with("spawned_pids", Value::Array(pids))];
    for body in bodies {
        let reply = client.post("/plugins", &body).answers(422).await;
        assert!(reply.body.len() < 256 * 1024, "{} bytes of mistakes", reply.body.len());
    }
}

#[tokio::test]
async fn a_long_key_is_not_repeated_at_length() {
    let (_server, client) = with_one().await;
    let reply = client.post("/plugins", &with(&"k".repeat(500_000), json!(1))).answers(422).await;
    assert!(reply.body.len() < 64 * 1024, "{} bytes about one field", reply.body.len());
}

#[tokio::test]
async fn a_schema_that_takes_exponential_time_delays_no_other_client() {
    use crate::harness::{Daemon, within_patience};
    let folder = tempfile::TempDir::new().unwrap();
    let daemon = Daemon::start(&folder.path().join("registry.db")).await;
    let client = daemon.client();
    let mut definitions = json!({"d40": {"type": "string"}});
    for n in 0..40 {
        let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
        definitions[format!("d{n}")] = json!({"anyOf": [next, {"allOf": [next]}]});
    }
    let body = with("config_schema", json!({"$defs": definitions, "$ref": "#/$defs/d0"}));
    // To refuse such a schema would also be right.
    if client.post("/plugins", &body).send().await.status != 201 {
        return;
    }
    let attackers: Vec<_> = (0..8)
        .map(|n| {
            let client = daemon.client();
            let path = "/plugins/transcription_whisper/config";
            tokio::spawn(async move {
                let call = if n % 2 == 0 {
                    client.put(path, &json!(5))
                } else {
                    client.post(&format!("{path}/validate"), &json!(5))
                };
                drop(tokio::time::timeout(crate::harness::PATIENCE, call.send()).await);
            })
        })
        .collect();
    // A good client on connections of its own sends requests until all the slow ones have arrived.
    let served = async {
        for n in 0..200 {
            daemon.client().get("/healthz").answers(200).await;
            daemon.client().register(&named("good", &n.to_string())).await;
        }
    };
    within_patience("a good client beside a bad schema", served).await;
    attackers.iter().for_each(tokio::task::JoinHandle::abort);
}
