//! The targets of references.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;

#[rstest]
fn nothing_outside_the_schema_is_followed(
    #[values(
        "http://example.com/x.json",
        "https://json-schema.org/draft/2020-12/meta/core",
        "file:///etc/passwd",
        "root.json/below",
        "?query",
        "other.json#/a",
        "urn:x:y"
    )]
    reference: &str,
    #[values("$ref", "$dynamicRef", "$recursiveRef")] keyword: &str,
) {
    let error = refused(&json!({"$id": "http://example.com/root.json", "items": {keyword: reference}}));
    assert_eq!(error.pointer, format!("/items/{keyword}"));
    assert!(error.detail.contains("only references within the schema"), "{}", error.detail);
    // Data that looks like a reference.
    check(&json!({"default": {keyword: reference}, "enum": [{keyword: reference}], "x": {keyword: reference}}), "")
        .unwrap();
    check(&json!({"properties": {keyword: {"type": "string"}}}), "").unwrap();
}

#[test]
fn references_within_the_schema_are_followed() {
    let tree = json!({"$id": "http://example.com/s", "properties": {
            "pointer": {"$ref": "#/$defs/tree"}, "absolute": {"$ref": "http://example.com/s#/$defs/tree"},
            "anchor": {"$ref": "#tree"}, "dynamic": {"$dynamicRef": "#tree"}, "escaped": {"$ref": "#/x-y/a~1b%20c"}},
        "$defs": {"tree": {"$anchor": "tree", "properties": {"left": {"$ref": "#tree"}, "root": {"$ref": ""}},
            "additionalProperties": false}},
        "x-y": {"a/b c": {"$ref": "#/$defs/tree"}}});
    check(&tree, "").unwrap();
    let deep = nested(120, json!({}), |below| json!({"left": below}));
    for property in ["pointer", "absolute", "anchor", "dynamic", "escaped"] {
        check_config(&json!({property: deep}), &tree).unwrap();
        let found = mistakes(check_config(&json!({property: {"left": {"x": 1}}}), &tree));
        assert_eq!(found[0].pointer, format!("/{property}/left"));
    }
    let plain_name =
        json!({"$schema": DRAFTS[2], "items": {"$ref": "#a"}, "definitions": {"x": {"$id": "#a", "type": "null"}}});
    assert_eq!(mistakes(check_config(&json!([1]), &plain_name))[0].pointer, "/0");
    let recursive = json!({"$schema": DRAFTS[3], "items": {"$recursiveRef": "#"}, "type": "array"});
    assert_eq!(mistakes(check_config(&json!([[[1]]]), &recursive))[0].pointer, "/0/0/0");
}

#[test]
fn a_relative_reference_to_the_schema_itself_is_followed() {
    for (id, reference) in [
        ("https://example.test/schemas/plugin.json", "plugin.json#/$defs/count"),
        ("https://example.test/schemas/plugin.json", "/schemas/plugin.json#/$defs/count"),
        ("https://example.test/schemas/plugin.json#", "./x/../plugin.json#count"),
        ("https://example.test/schemas/plugin.json", "//example.test/schemas/plugin.json#/$defs/count"),
        ("https://example.test/schemas/plugin.json", "HTTPS://EXAMPLE.test/schemas/plugin.json#/$defs/count"),
        ("plugin.json", "./plugin.json#/$defs/count"),
        ("plugin.json", "plugin.json#/$defs/count"),
        ("urn:example:plugin", "urn:example:plugin#/$defs/count"),
    ] {
        let schema = json!({"$id": id, "type": "object", "properties": {"a": {"$ref": reference}},
            "$defs": {"count": {"$anchor": "count", "type": "integer"}}});
        check(&schema, "").unwrap();
        check_config(&json!({"a": 1}), &schema).unwrap();
        assert_eq!(mistakes(check_config(&json!({"a": "x"}), &schema))[0].pointer, "/a", "{reference}");
    }
    let whole = json!({"$id": "plugin.json", "additionalProperties": {"$ref": "plugin.json"}, "required": ["a"]});
    assert_eq!(mistakes(check_config(&json!({"a": {"a": {}}}), &whole))[0].pointer, "/a/a");
    let empty = json!({"additionalProperties": {"$ref": ""}, "type": "object"});
    assert_eq!(mistakes(check_config(&json!({"a": {"a": 1}}), &empty))[0].pointer, "/a/a");
}

#[test]
fn characters_that_a_uri_has_not_are_taken_in_a_reference() {
    for name in ["Page<Box>", "a b", "100%", "größe", r#"{"x"}|^`\"#, "a#b", "[0]", "a%20b"] {
        let reference = format!("#/$defs/{}", name.replace("a%20b", "a%2520b"));
        let schema = json!({"items": {"$ref": reference}, "$defs": {name: {"type": "null"}}});
        check(&schema, "").unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(mistakes(check_config(&json!([1]), &schema))[0].pointer, "/0", "{name}");
    }
}

#[test]
fn a_reference_to_a_meta_schema_is_followed() {
    for uri in DRAFTS {
        for written in [uri, uri.trim_end_matches('#'), &uri.replace("https:", "http:")] {
            let schema = json!({"properties": {"schema": {"$ref": written}}});
            check(&schema, "").unwrap();
            check_config(&json!({"schema": {"type": "string"}}), &schema).unwrap();
            assert!(check_config(&json!({"schema": {"type": "strin"}}), &schema).is_err(), "{written}");
        }
    }
    let part = json!({"properties": {"n": {"$ref": "http://json-schema.org/draft-07/schema#/definitions/nonNegativeInteger"}}});
    check_config(&json!({"n": 1}), &part).unwrap();
    assert_eq!(mistakes(check_config(&json!({"n": -1}), &part))[0].pointer, "/n");
}

#[test]
fn a_reference_through_a_translated_name_is_followed() {
    let schema = json!({"patternProperties": {r"^\<": {"type": "null"}, "^<": {"maxLength": 1}, "^x.$": {"$defs": {"n": {"type": "integer"}}}},
        "properties": {"a": {"$ref": r"#/patternProperties/^\<"}, "b": {"$ref": "#/patternProperties/%5Ex.$/$defs/n"}}});
    check(&schema, "").unwrap();
    let wrong = json!({"<": "xx", "a": 1, "b": "1"});
    let found: Vec<_> = mistakes(check_config(&wrong, &schema)).into_iter().map(|mistake| mistake.pointer).collect();
    // Both patterns with the same meaning apply.
    assert_eq!(found.iter().filter(|pointer| *pointer == "/<").count(), 2, "{found:?}");
    assert!(found.contains(&"/a".into()) && found.contains(&"/b".into()), "{found:?}");
}

#[rstest]
#[case(json!({"$ref": "#"}))]
#[case(json!({"not": {"$ref": "#"}}))]
#[case(json!({"allOf": [{"$ref": "#/$defs/b"}], "$defs": {"b": {"anyOf": [{"$ref": "#"}]}}}))]
#[case(json!({"$dynamicAnchor": "n", "if": {"$dynamicRef": "#n"}}))]
#[case(json!({"$defs": {"unused": {"oneOf": [{"$ref": "#/$defs/unused"}]}}}))]
#[case(json!({"dependentSchemas": {"a": {"$ref": "#"}}, "unevaluatedProperties": false}))]
fn a_schema_that_means_itself_is_refused(#[case] schema: Value) {
    assert!(refused(&schema).detail.contains("back to itself"));
}

#[test]
fn an_identifier_that_is_a_pointer_may_occur_twice() {
    let schema = json!({"$schema": DRAFTS[2], "$id": "http://example.com/root.json",
        "definitions": {"a": {"$id": "#/definitions/a", "type": "null"}, "b": {"$id": "#/definitions/a", "type": "string"}},
        "properties": {"a": {"$ref": "#/definitions/a"}, "b": {"$ref": "#/definitions/b"}}});
    check(&schema, "").unwrap();
    check_config(&json!({"a": null, "b": "text"}), &schema).unwrap();
    assert_eq!(mistakes(check_config(&json!({"a": 1, "b": 1}), &schema)).len(), 2);
}
