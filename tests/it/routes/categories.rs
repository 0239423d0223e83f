//! GET /categories and PUT /categories/{name}.

use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::trace::refused_without_trace;
use crate::harness::{Server, named};

#[tokio::test]
async fn categories_are_listed_if_in_use_or_named() {
    let server = Server::start().await;
    let client = server.client();
    assert_eq!(client.get("/categories").answers(200).await.json(), json!({"items": [], "revision": 0}));
    for (category, name) in [("fine_tuning", "a"), ("fine_tuning", "b"), ("Ärzte", "c")] {
        client.register(&named(category, name)).await;
    }
    let named_reply = client.put("/categories/inference", &json!({"display_name": "Serving"})).answers(200).await;
    assert_eq!(named_reply.json(), json!({"name": "inference", "display_name": "Serving", "plugins": 0}));
    assert_eq!(named_reply.revision(), 4);
    client.put("/categories/%C3%84rzte", &json!({"display_name": "Doctors"})).answers(200).await;
    assert_eq!(
        client.get("/categories").answers(200).await.json(),
        json!({"items": [
            {"name": "fine_tuning", "display_name": "Fine tuning", "plugins": 2},
            {"name": "inference", "display_name": "Serving", "plugins": 0},
            {"name": "Ärzte", "display_name": "Doctors", "plugins": 1},
        ], "revision": 5})
    );
}

#[tokio::test]
async fn null_removes_a_display_name() {
    let server = Server::start().await;
    let client = server.client();
    client.put("/categories/a_b", &json!({"display_name": "X"})).answers(200).await;
    let same = client.put("/categories/a_b", &json!({"display_name": "X"})).answers(200).await;
    assert_eq!(same.revision(), 1, "nothing has changed");
    let reset = client.put("/categories/a_b", &json!({"display_name": null})).answers(200).await;
    assert_eq!((reset.json()["display_name"].as_str(), reset.revision()), (Some("A b"), 2));
    assert_eq!(client.get("/categories").answers(200).await.items(), Vec::<Value>::new());
    assert_eq!(client.put("/categories/a_b", &json!({"display_name": null})).answers(200).await.revision(), 2);
}

#[tokio::test]
async fn a_listed_category_can_be_sent_back() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&named("a", "b")).await;
    client.put("/categories/a", &json!({"display_name": "X"})).answers(200).await;
    let item = client.get("/categories").answers(200).await.items()[0].clone();
    assert_eq!(client.put("/categories/a", &item).answers(200).await.revision(), 2);
}

#[rstest]
#[case::empty(json!({"display_name": ""}), "/display_name")]
#[case::number(json!({"display_name": 1}), "/display_name")]
#[case::missing(json!({}), "/display_name")]
#[case::control(json!({"display_name": "a\u{7}b"}), "/display_name")]
#[case::long(json!({"display_name": "x".repeat(257)}), "/display_name")]
#[case::misspelt(json!({"displayname": "x"}), "/displayname")]
#[case::bare(json!("x"), "")]
#[tokio::test]
async fn an_invalid_display_name_is_refused(#[case] body: Value, #[case] pointer: &str) {
    let server = Server::start().await;
    let client = server.client();
    let problem = refused_without_trace(&client, client.put("/categories/a", &body), 422).await;
    assert!(problem.pointers().contains(&pointer), "{}", problem.document);
}

#[rstest]
#[case("%20a")]
#[case("a%09")]
#[case("%00")]
#[tokio::test]
async fn an_invalid_category_is_refused(#[case] name: &str) {
    let server = Server::start().await;
    let client = server.client();
    let call = client.put(&format!("/categories/{name}"), &json!({"display_name": "x"}));
    refused_without_trace(&client, call, 400).await;
}

#[tokio::test]
async fn a_category_can_be_changed_on_condition_with_the_tag_of_its_reply() {
    let server = Server::start().await;
    let client = server.client();
    let put = |name: &str| client.put("/categories/a", &json!({"display_name": name}));
    put("first").header("if-none-match", "*").answers(200).await;
    assert_eq!(put("again").header("if-none-match", "*").refused(412).await.kind(), "precondition-failed");
    let tag = put("second").answers(200).await.etag();
    put("third").header("if-match", &tag).answers(200).await;
    put("fourth").header("if-match", &tag).refused(412).await;
    assert_eq!(client.get("/categories").answers(200).await.items()[0]["display_name"], "third");
}
