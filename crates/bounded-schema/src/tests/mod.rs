//! The two checks, through the public interface.

use rstest::rstest;
use serde_json::{Map, Value, json};

use super::*;

mod attacks;
mod references;

const DRAFTS: [&str; 5] = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
];

fn mistakes(checked: Result<(), ValidationErrors>) -> Vec<ValidationError> {
    checked.err().map(|ValidationErrors(errors)| errors).unwrap_or_default()
}

#[track_caller]
fn refused(schema: &Value) -> ValidationError {
    mistakes(check(schema, "")).into_iter().next().unwrap_or_else(|| panic!("accepted: {schema:.300}"))
}

/// `value`, wrapped `depth` times by `wrap`.
fn nested(depth: usize, value: Value, wrap: impl Fn(Value) -> Value) -> Value {
    (0..depth).fold(value, |value, _| wrap(value))
}

/// `$defs` a0, a1 … of `schema(reference to the next)`, with `last` at the end.
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
        // The differences between the drafts.
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
        // Annotations in all drafts.
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
#[case(json!({"$recursiveRef": "#/$defs/a", "$defs": {"a": {}}}), "/$recursiveRef")]
#[case(json!({"$ref": "http://json-schema.org/draft-07/schema#/nowhere"}), "/$ref")]
#[case(json!({"$ref": "http://json-schema.org/draft-03/schema#"}), "/$ref")]
#[case(json!({"x": {"y": {"$ref": "other.json"}}, "$ref": "#/x/y"}), "/x/y/$ref")]
#[case(json!({"$defs": {"unused": {"pattern": "("}}}), "/$defs/unused/pattern")]
#[case(json!({"$schema": DRAFTS[2], "properties": {"a": {"pattern": "^a]?$"}}}), "/properties/a/pattern")]
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
#[case(json!({"pattern": "^.{0,1000}$"}), "too large")]
#[case(json!({"pattern": "^{.*}$"}), "not a regular expression")]
#[case(json!({"patternProperties": {"^.{1,255}$": {}}}), "too large")]
#[case(json!({"pattern": "^(?!x)"}), "under `not`")]
#[case(json!({"pattern": "^(?=.*[a-z])"}), "under `allOf`")]
#[case(json!({"pattern": "(a)\\1"}), "back-references")]
#[case(json!({"properties": {"size": {"items": [{"type": "integer"}, {"type": "integer"}]}}}), "draft-07")]
#[case(json!({"properties": {"size": {"minimum": 0, "exclusiveMinimum": true}}}), "draft-04")]
#[case(json!({"definitions": {"a": {"$id": "#a"}}}), "`$anchor`")]
#[case(json!({"$schema": DRAFTS[4], "pattern": "^\\Aa\\Z"}), "the end of the text is `$`")]
fn a_refusal_offers_what_to_do(#[case] schema: Value, #[case] offer: &str) {
    let told = refused(&schema).detail;
    assert!(told.contains(offer), "{told}");
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
            "/tags the value lacks an item that `contains` requires",
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
    // So many mistakes that collecting them takes too long: then the check reports the first.
    let found = mistakes(check_config(&Value::Array(vec![json!(1); 200_000]), &json!({"items": {"type": "string"}})));
    assert_eq!((found.len(), found[0].pointer.as_str()), (1, "/0"));
}

#[test]
fn quick_schemas_are_told_from_others() {
    assert!(is_quick(r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{}}}"##));
    for text in [
        r#"{"pattern":"a"}"#,
        r#"{"patternProperties":{}}"#,
        r#"{"unevaluatedItems":false}"#,
        r#"{"$ref":"http://json%2Dschema.org/draft-07/schema"}"#,
        &" ".repeat(2049),
    ] {
        assert!(!is_quick(text), "{text}");
    }
}

#[rstest]
#[case(r"^\<b\>$", Some("<b>"), "b")]
#[case(r"^[\<\>]+$", Some("<>"), "\\")]
#[case("^a.b$", Some("a\u{85}b"), "a\u{2028}b")]
#[case("^a.b$", Some("a\u{f6}b"), "a\rb")]
#[case("^[.]$", Some("."), "a")]
// Only letters of ASCII are word characters.
#[case(r"^\b\u00e9", None, "\u{e9}")]
#[case(r"x\By", Some("xy"), "x")]
#[case(r"^[\b]$", Some("\u{8}"), "b")]
#[case(r"^\0$", Some("\0"), "0")]
#[case(r"^[\ud83d\ude00-\ud83d\ude4f]$", Some("\u{1f601}"), "x")]
#[case(r"^(?s:a.b)$", Some("a\nb"), "ab")]
fn a_pattern_means_what_ecma_262_says(#[case] pattern: &str, #[case] matching: Option<&str>, #[case] other: &str) {
    let schema = json!({"pattern": pattern});
    check(&schema, "").unwrap();
    check_config(&json!(matching), &schema).unwrap();
    assert!(check_config(&json!(other), &schema).is_err());
    let names = json!({"patternProperties": {pattern: {"type": "null"}}, "additionalProperties": {"type": "string"}});
    check(&names, "").unwrap();
    assert!(matching.is_none_or(|matching| check_config(&json!({matching: "text"}), &names).is_err()));
    check_config(&json!({other: "text"}), &names).unwrap();
}

#[test]
fn a_pattern_that_is_too_large_is_told_from_one_that_is_none() {
    let schema = json!({"properties": {"a": {"pattern": "^.{0,1000}$"}, "b": {"pattern": "^{.*}$"}}});
    let found = mistakes(check(&schema, ""));
    let told: Vec<_> = found.iter().map(|mistake| (mistake.pointer.as_str(), mistake.detail.as_str())).collect();
    assert!(
        matches!(told[..], [("/properties/a/pattern", large), ("/properties/b/pattern", none)]
        if large.contains("too large") && none.contains("not a regular expression")),
        "{told:?}"
    );
    // The number that was possible before the dots were translated.
    let names: Map<_, _> = [200, 250, 255]
        .iter()
        .map(|most| (format!("p{most}"), json!({"pattern": format!("^.{{1,{most}}}$")})))
        .collect();
    check(&json!({"properties": names, "patternProperties": {"^.{1,30}$": {}}}), "").unwrap();
}
