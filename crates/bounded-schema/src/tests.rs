//! The two checks, from outside.

use rstest::rstest;
use serde_json::{Map, Value, json};

use super::*;

const DRAFTS: [&str; 5] = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
];

fn mistakes(checked: Result<(), Invalid>) -> Vec<Mistake> {
    checked.err().map(|Invalid(errors)| errors).unwrap_or_default()
}

#[track_caller]
fn refused(schema: &Value) -> Mistake {
    mistakes(check(schema, "")).into_iter().next().unwrap_or_else(|| panic!("accepted: {schema:.300}"))
}

#[track_caller]
fn too_complex(config: &Value, schema: &Value) {
    check(schema, "").unwrap();
    let found = mistakes(check_config(config, schema));
    assert_eq!(found, [Mistake { pointer: String::new(), detail: "is too complex to be checked".into() }]);
}

/// `value`, put `depth` times into what `wrap` makes.
fn nested(depth: usize, value: Value, wrap: impl Fn(Value) -> Value) -> Value {
    (0..depth).fold(value, |value, _| wrap(value))
}

/// `$defs` a0, a1 … of `schema(reference to the next)`, and `last` at their end.
fn chain(length: usize, last: Value, schema: impl Fn(Value) -> Value) -> Value {
    let reference = |index| json!({"$ref": format!("#/$defs/a{index}")});
    let mut defs: Map<_, _> = (0..length).map(|index| (format!("a{index}"), schema(reference(index + 1)))).collect();
    defs.insert(format!("a{length}"), last);
    json!({"$ref": "#/$defs/a0", "$defs": defs})
}

#[test]
fn a_schema_of_every_draft_is_understood_by_its_own_rules() {
    for (draft, uri) in DRAFTS.into_iter().enumerate() {
        let schema = |keywords: Value| {
            let mut schema = json!({"$schema": uri});
            schema.as_object_mut().unwrap().extend(keywords.as_object().unwrap().clone());
            schema
        };
        let whole = json!({"type": "object", "properties": {"a": {"type": ["integer", "null"], "minimum": 1}},
            "definitions": {"b": {"pattern": "^x"}}, "additionalProperties": {"$ref": "#/definitions/b"}});
        check(&schema(whole.clone()), "").unwrap();
        let found = mistakes(check_config(&json!({"a": 0, "b": "y", "c": "x"}), &schema(whole)));
        assert_eq!(found.iter().map(|error| error.pointer.as_str()).collect::<Vec<_>>(), ["/a", "/b"], "{uri}");
        let bad = refused(&schema(json!({"properties": {"a/b": {"type": "strin"}}})));
        assert_eq!(bad.pointer, "/properties/a~1b/type", "{uri}");
        // What has changed between them.
        let exclusive = schema(json!({"minimum": 1, "exclusiveMinimum": true}));
        assert_eq!(check(&exclusive, "").is_ok(), draft == 0, "{uri}");
        let constant = schema(json!({"const": 1}));
        assert_eq!(check_config(&json!(2), &constant).is_ok(), draft == 0, "{uri}");
        let tuple = schema(json!({"items": [{"type": "null"}]}));
        assert_eq!(check(&tuple, "").is_ok(), draft < 4, "{uri}");
        let prefix = schema(json!({"prefixItems": [{"type": "null"}]}));
        assert_eq!(check_config(&json!([1]), &prefix).is_ok(), draft < 4, "{uri}");
        let unevaluated = schema(json!({"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": false}));
        assert_eq!(check_config(&json!({"b": 1}), &unevaluated).is_ok(), draft < 3, "{uri}");
        assert!(check_config(&json!({"a": 1}), &unevaluated).is_ok(), "{uri}");
        // Annotations in all of them.
        let annotated = schema(json!({"format": "email", "contentMediaType": "application/json"}));
        check_config(&json!("no"), &annotated).unwrap();
    }
}

#[rstest]
#[case(json!(true), "")]
#[case(json!([]), "")]
#[case(json!({"$schema": "http://json-schema.org/draft-03/schema#"}), "/$schema")]
#[case(json!({"$schema": "https://example.com/dialect"}), "/$schema")]
#[case(json!({"$schema": 7}), "/$schema")]
#[case(json!({"properties": []}), "/properties")]
#[case(json!({"required": [1]}), "/required/0")]
#[case(json!({"multipleOf": 0}), "/multipleOf")]
#[case(json!({"minLength": -1}), "/minLength")]
#[case(json!({"allOf": []}), "/allOf")]
#[case(json!({"$id": "http://[bad"}), "")]
#[case(json!({"properties": {"a": {"$id": "other"}}}), "/properties/a")]
#[case(json!({"$defs": {"a": {"$anchor": "x"}, "b": {"$anchor": "x"}}}), "/$defs/b")]
#[case(json!({"$ref": 12}), "/$ref")]
#[case(json!({"$schema": DRAFTS[0], "$ref": 12}), "/$ref")]
#[case(json!({"items": {"$ref": "#/nowhere"}}), "/items/$ref")]
#[case(json!({"items": {"$ref": "#nowhere"}}), "/items/$ref")]
#[case(json!({"title": "a", "items": {"$ref": "#/title"}}), "/items/$ref")]
#[case(json!({"$ref": "#/$defs/%ff"}), "/$ref")]
#[case(json!({"$ref": "#/$defs/a b", "$defs": {"a b": {}}}), "/$ref")]
#[case(json!({"x": {"y": {"$ref": "other.json"}}, "$ref": "#/x/y"}), "/x/y/$ref")]
#[case(json!({"$defs": {"unused": {"pattern": "("}}}), "/$defs/unused/pattern")]
#[case(json!({"patternProperties": {"a(": {}}}), "/patternProperties/a(")]
#[case(json!({"pattern": "^(?=.*[a-z])"}), "/pattern")]
#[case(json!({"pattern": "(a)\\1"}), "/pattern")]
fn a_bad_schema_is_refused_where_it_is_wrong(#[case] schema: Value, #[case] pointer: &str) {
    let error = refused(&schema);
    assert_eq!(error.pointer, pointer, "{schema}: {}", error.detail);
    let below = mistakes(check(&schema, "/config_schema"));
    assert_eq!(below[0].pointer, format!("/config_schema{pointer}"));
}

#[rstest]
fn nothing_outside_the_schema_is_followed(
    #[values(
        "http://example.com/x.json",
        "https://json-schema.org/draft/2020-12/schema",
        "file:///etc/passwd",
        "other.json#/a",
        "urn:x:y"
    )]
    reference: &str,
    #[values("$ref", "$dynamicRef", "$recursiveRef")] keyword: &str,
) {
    let error = refused(&json!({"$id": "http://example.com/root.json", "items": {keyword: reference}}));
    assert_eq!(error.pointer, format!("/items/{keyword}"));
    assert!(error.detail.contains("only references within the schema"), "{}", error.detail);
    // What only looks like a reference is none.
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
fn what_would_take_the_stack_is_refused_and_what_would_nearly_is_not() {
    for wrap in [
        |below| json!({"items": below}),
        |below| json!({"additionalProperties": below, "unevaluatedProperties": false}),
        |below| json!({"anyOf": [below]}),
        |below| json!({"unevaluatedItems": below}),
        |below| json!({"properties": {"a": below}}),
    ] {
        check(&nested(20, json!({}), wrap), "").unwrap();
        assert!(refused(&nested(21, json!({}), wrap)).detail.contains("deeper than 20"));
    }
    // The library recurses through eight references at a time.
    let steep = chain(20, json!({}), |next| nested(18, next, |below| json!({"unevaluatedProperties": below})));
    check(&steep, "").unwrap();
    check(&chain(62, json!({}), |next| next), "").unwrap();
    for length in [64, 1_000, 4_000] {
        assert!(refused(&chain(length, json!({}), |next| next)).detail.contains("more than 64"));
        refused(&chain(length, json!({}), |next| json!({"allOf": [next], "unevaluatedProperties": false})));
        refused(&chain(
            length,
            json!({}),
            |next| json!({"unevaluatedItems": {"unevaluatedItems": false, "$ref": next["$ref"]}, "$ref": next["$ref"]}),
        ));
    }
    let recursive = chain(60, json!({"items": {"$ref": "#"}}), |next| json!({"allOf": [next]}));
    drop(check_config(&nested(128, json!([]), |below| json!([below])), &recursive));
}

#[test]
fn what_would_take_the_time_or_the_memory_is_refused() {
    let twice = |next: Value| json!({"allOf": [next, next]});
    let mut diamond = chain(30, json!({}), twice);
    diamond["unevaluatedProperties"] = json!(false);
    assert!(refused(&diamond).detail.contains("reach too much"));
    // Each level compiles the next one twice, though for another value.
    let mut unfolding = chain(
        30,
        json!({}),
        |next| json!({"additionalProperties": {"unevaluatedProperties": false, "allOf": [next, next]}}),
    );
    unfolding["unevaluatedProperties"] = json!(false);
    assert!(refused(&unfolding).detail.contains("reach too much"));
    let many = |count: usize| -> Map<_, _> { (0..count).map(|index| (format!("p{index}"), json!({}))).collect() };
    let copies = json!({"unevaluatedProperties": false, "allOf": vec![json!({"$ref": "#/$defs/a"}); 900], "$defs": {"a": {"properties": many(5_000)}}});
    assert!(refused(&copies).detail.contains("reach too much"));
    assert!(refused(&json!({"properties": many(20_000)})).detail.contains("20000 JSON values"));
    assert!(refused(&json!({"properties": {"k".repeat(2_000): {}}})).detail.contains("2000 bytes"));
    for number in ["1e401", "1e-401", "1e99999999999999999999", &"1".repeat(65)] {
        let schema: Value = serde_json::from_str(&format!(r#"{{"items":{{"minimum":{number}}}}}"#)).unwrap();
        assert_eq!(refused(&schema).pointer, "/items/minimum");
    }
    let with_patterns = |count: usize, pattern: &str| -> Map<_, _> {
        (0..count).map(|index| (format!("p{index}"), json!({"pattern": format!("{pattern}{index}")}))).collect()
    };
    check(&json!({"properties": with_patterns(100, "^[a-z]+")}), "").unwrap();
    for (count, pattern) in [(101, "^[a-z]+"), (5, "^.{250}"), (1, "((a{99}){99}){99}"), (1, &"a".repeat(1_000))] {
        refused(&json!({"properties": with_patterns(count, pattern)}));
    }
    refused(&json!({"patternProperties": {"^.{1,255}$": {}}}));
    let names: Map<_, _> = (0..9_000).map(|index| (format!("{}{index}", "ab".repeat(20)), json!({}))).collect();
    let patterns: Map<_, _> = (0..9).map(|index| (format!("[ab]*a[ab]{{99}}c{index}"), json!({}))).collect();
    refused(&json!({"properties": names, "patternProperties": patterns, "additionalProperties": false}));
}

#[test]
fn a_check_that_would_take_too_long_is_stopped() {
    // Two ways at every level of the value.
    let left_or_right = json!({"anyOf": [{"properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {"properties": {"a": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}, "required": ["a"]}]});
    too_complex(&nested(100, json!({}), |below| json!({"a": below})), &left_or_right);
    too_complex(&json!("x"), &chain(30, json!({"type": "null"}), |next| json!({"oneOf": [next, next]})));
    // A pattern that takes 4 µs for each byte, 400 KB.
    let mut random = 1_u32;
    let text: String = (0..400_000)
        .map(|_| {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            if random & 1 == 0 { 'a' } else { 'b' }
        })
        .collect();
    too_complex(&json!(text), &json!({"pattern": "[ab]*a[ab]{100}c"}));
    // A name that takes 0.1 ms to look up, in 40,000 objects.
    let objects = Value::Array(vec![json!({"a": 1}); 40_000]);
    too_complex(&objects, &json!({"items": {"not": {"required": ["r".repeat(100_000)]}}}));
    // Numbers that take 20 ms to calculate with.
    let digits: Value = serde_json::from_str(&format!("0.{}", "3".repeat(9_000))).unwrap();
    too_complex(&Value::Array(vec![digits; 100]), &json!({"items": {"minimum": 0.1}}));
    // Long integers that share a binary64 are as quick to tell apart as others.
    let long: Vec<Value> = (0..20_000).map(|index| serde_json::from_str(&format!("1{index:039}")).unwrap()).collect();
    check_config(&Value::Array(long), &json!({"uniqueItems": true})).unwrap();
    assert_eq!(mistakes(check_config(&json!([1, {"a": 1}, {"a": 1.0}]), &json!({"uniqueItems": true}))).len(), 1);
}

#[test]
fn errors_take_no_more_memory_than_they_are_worth() {
    let ones = |count| Value::Array(vec![json!(1); count]);
    // The library would copy the value into an error for every branch …
    let branches: Vec<_> = (0..300).map(|least| json!({"type": "string", "minLength": least})).collect();
    assert_eq!(mistakes(check_config(&ones(300_000), &json!({"anyOf": branches}))).len(), 1);
    // … the negated schema, or a name, into one for every item.
    let not = json!({"items": {"not": {"enum": (0..900).collect::<Vec<_>>()}}});
    assert_eq!(mistakes(check_config(&ones(200_000), &not)).len(), 1);
    let required = json!({"items": {"required": ["r".repeat(50_000)]}});
    let found = mistakes(check_config(&Value::Array(vec![json!({}); 200_000]), &required));
    assert!(found.len() == 1 && found[0].detail.len() < 510, "{}", found[0].detail.len());
}

#[test]
fn a_large_configuration_of_a_plain_schema_is_checked() {
    let schema = json!({"type": "object", "additionalProperties": {"type": "array", "items": {"type": "object",
        "properties": {"name": {"type": "string", "maxLength": 100, "pattern": "^[a-z0-9-]+$"}, "size": {"type": ["integer", "null"], "minimum": 0},
            "kind": {"enum": ["a", "b"]}, "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": true}},
        "required": ["name"], "additionalProperties": false}}});
    let item = |index: usize| json!({"name": format!("item-{index}"), "size": index, "kind": "b", "tags": ["x", "y"]});
    let items: Vec<_> = (0..16_000).map(item).collect();
    let config = json!({"all": items});
    assert!(config.to_string().len() > 900_000);
    check_config(&config, &schema).unwrap();
}

#[test]
fn a_configuration_is_refused_where_it_is_wrong_with_what_would_be_right() {
    let schema = json!({
        "properties": {
            "port": {"type": "integer", "maximum": 65535}, "mode": {"enum": ["a", "b"]}, "name": {"pattern": "^[a-z]+$"},
            "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "odd/one": {"minLength": 3}, "tags": {"contains": {"const": "x"}},
            "map": {"propertyNames": {"maxLength": 2}}, "gone": false,
        },
        "required": ["port"], "additionalProperties": false,
    });
    let wrong = json!({"mode": "c", "name": "A", "limit": "no", "odd/one": "a", "tags": [], "map": {"abc": 1}, "gone": 1, "extra": 1});
    let told: Vec<_> = mistakes(check_config(&wrong, &schema))
        .into_iter()
        .map(|error| format!("{} {}", error.pointer, error.detail))
        .collect();
    assert_eq!(
        told,
        [
            "/mode the value is not one of \"a\" or \"b\"",
            "/name the value does not match the pattern `^[a-z]+$`",
            "/limit the value is not valid in any of the allowed ways: the value is not of type \"integer\"; \
             or: the value is not of type \"null\"",
            "/odd~1one the value is shorter than 3 characters",
            "/tags the value lacks an item that `contains` asks for",
            "/map the name of a property is not allowed: the name is longer than 2 characters",
            "/gone the value is not allowed here",
            " additional properties are not allowed ('extra' was unexpected)",
            " \"port\" is a required property",
        ]
    );
}

#[test]
fn no_mistake_tells_a_value_of_the_configuration() {
    let keywords = [
        json!({"type": "null"}),
        json!({"const": 1}),
        json!({"enum": [1]}),
        json!({"pattern": "^x"}),
        json!({"not": {}}),
        json!({"maxLength": 1}),
        json!({"anyOf": [{"type": "null"}, {"const": {"SAFE": 1}}]}),
        json!({"oneOf": [{}, {}]}),
        json!({"oneOf": [{"type": "null"}]}),
        json!({"items": {"type": "null"}}),
        json!({"items": {"maximum": 1, "multipleOf": 7}}),
        json!({"contains": {"type": "null"}}),
        json!({"uniqueItems": true}),
        json!({"prefixItems": [{}], "items": false}),
        json!({"prefixItems": [{}], "unevaluatedItems": false}),
        json!({"maxItems": 1}),
        json!({"additionalProperties": {"type": "null"}}),
        json!({"additionalProperties": false}),
        json!({"unevaluatedProperties": false}),
        json!({"propertyNames": {"pattern": "^x"}}),
        json!({"dependentRequired": {"key": ["x"]}}),
        json!({"dependentSchemas": {"key": false}}),
        json!({"if": {}, "then": false}),
        json!({"maxProperties": 0}),
        json!({"minProperties": 9}),
        json!(false),
    ];
    let mut refusals = 0;
    for value in [
        json!("SECRET"),
        json!(["SECRET", "SECRET", 57_005]),
        json!({"key": "SECRET"}),
        json!({"key": ["SECRET"]}),
        json!(57_005),
    ] {
        for keyword in &keywords {
            for schema in
                [json!({"allOf": [keyword]}), json!({"properties": {"secret": keyword}}), json!({"anyOf": [keyword]})]
            {
                for config in [value.clone(), json!({"secret": value})] {
                    for error in mistakes(check_config(&config, &schema)) {
                        refusals += 1;
                        assert!(
                            !error.detail.contains("SECRET") && !error.detail.contains("57005"),
                            "{schema}: {}",
                            error.detail
                        );
                    }
                }
            }
        }
    }
    assert!(refusals > 300, "{refusals}");
}

#[test]
fn at_most_100_mistakes_are_listed() {
    let config = json!(vec![1; 500]);
    assert_eq!(mistakes(check_config(&config, &json!({"items": {"type": "string"}}))).len(), 100);
    assert_eq!(mistakes(check(&json!({"allOf": vec![json!({"type": 1}); 500]}), "")).len(), 100);
    assert_eq!(mistakes(check(&json!({"allOf": vec![json!({"$ref": "#/no"}); 500]}), "")).len(), 100);
    // So many that they are not even collected: then it is the first.
    let found = mistakes(check_config(&Value::Array(vec![json!(1); 200_000]), &json!({"items": {"type": "string"}})));
    assert_eq!((found.len(), found[0].pointer.as_str()), (1, "/0"));
}

#[test]
fn quick_schemas_are_told_from_others() {
    assert!(is_quick(r#"{"type":"object","properties":{}}"#));
    for text in
        [r#"{"pattern":"a"}"#, r#"{"patternProperties":{}}"#, r#"{"unevaluatedItems":false}"#, &" ".repeat(2049)]
    {
        assert!(!is_quick(text), "{text}");
    }
}
