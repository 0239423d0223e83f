//! Schemas and documents that try to exhaust time, memory or stack.

use serde_json::{Map, Value, json};

use super::*;

#[track_caller]
fn too_complex(config: &Value, schema: &Value) {
    check(schema, "").unwrap();
    let found = mistakes(check_config(config, schema));
    assert_eq!(
        found,
        [ValidationError {
            pointer: String::new(),
            detail: "is too complex to check; simplify the schema or shorten the value".into()
        }]
    );
}

#[test]
fn what_would_take_the_stack_is_refused_and_what_would_nearly_is_not() {
    for wrap in [
        |below| json!({"items": below}),
        |below| json!({"additionalProperties": below}),
        |below| json!({"anyOf": [below]}),
        |below| json!({"contains": below}),
        |below| json!({"properties": {"a": below}}),
    ] {
        check(&nested(40, json!({}), wrap), "").unwrap();
        assert!(refused(&nested(41, json!({}), wrap)).detail.contains("deeper than 40"));
    }
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

/// Runs `check` with less stack than a tokio thread or a test has (2 MiB), because handlers use a part of it.
fn on_little_stack(check: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(1600 << 10).spawn(check).unwrap().join().unwrap();
}

#[test]
fn references_and_nesting_together_take_no_more_stack_than_there_is() {
    on_little_stack(|| {
        let wraps = [
            |below| json!({"items": below}),
            |below| json!({"properties": {"a": {}}, "patternProperties": {"^x": {}}, "additionalProperties": below}),
            |below| json!({"unevaluatedProperties": below}),
            |below| json!({"unevaluatedItems": below}),
            |below| json!({"items": {"oneOf": [below, {"type": "string"}]}}),
            |below| json!({"items": {"dependentSchemas": {"a": below}}}),
        ];
        let tails = [
            |below| json!({"allOf": [below]}),
            |below: Value| below,
            |below| json!({"if": below}),
            |below| json!({"patternProperties": {"^a": below}, "allOf": [below]}),
        ];
        let mut taken = 0;
        for wrap in wraps {
            // The library recurses through eight references at a time.
            for depth in (1..=40).step_by(3) {
                taken += u32::from(check(&chain(20, json!({}), |next| nested(depth, next, wrap)), "").is_ok());
            }
            // The compilation of `unevaluated…` is deepest at the end of the library's recursion.
            for tail in tails {
                for (depth, length) in [(4, 15), (8, 15), (12, 15), (12, 30), (13, 15), (13, 30)] {
                    let mut schema = chain(7, json!({"$ref": "#/$defs/e0", "unevaluatedProperties": false}), |next| {
                        nested(depth, next, wrap)
                    });
                    let end = chain(length, json!({}), tail).to_string().replace("#/$defs/a", "#/$defs/e");
                    let end: Value = serde_json::from_str(&end).unwrap();
                    for (name, member) in end["$defs"].as_object().unwrap() {
                        schema["$defs"][name.replace('a', "e")] = member.clone();
                    }
                    taken += u32::from(check(&schema, "").is_ok());
                }
            }
        }
        assert!(taken > 50, "{taken}");
    });
    let steep = chain(20, json!({}), |next| nested(18, next, |below| json!({"items": below})));
    assert!(refused(&steep).detail.contains("more than 100 nested subschemas"));
}

#[test]
fn a_thousand_recursive_references_do_not_overflow_the_stack() {
    let references: Vec<_> = (0..5_000).map(|index| json!({"$recursiveRef": format!("#/$defs/a{index}")})).collect();
    let defs: Map<_, _> = (0..5_000).map(|index| (format!("a{index}"), json!({}))).collect();
    on_little_stack(move || {
        refused(&json!({"$schema": DRAFTS[3], "items": references, "$defs": defs}));
    });
    let all: Vec<_> = (0..5_000).map(|_| json!({"items": {"$recursiveRef": "#"}})).collect();
    on_little_stack(move || check(&json!({"$schema": DRAFTS[3], "items": {"anyOf": all}}), "").unwrap());
}

#[test]
fn references_to_meta_schemas_stay_within_the_limits() {
    let uris = DRAFTS.map(|uri| uri.trim_end_matches('#'));
    for uri in uris {
        // Very many references, each on its own path.
        let many: Map<_, _> = (0..4_000).map(|index| (format!("p{index}"), json!({"$ref": uri}))).collect();
        on_little_stack(move || check(&json!({"properties": many}), "").unwrap());
        let deep =
            chain(7, json!({"$ref": uri}), |next| nested(9, next, |below| json!({"unevaluatedProperties": below})));
        on_little_stack(move || check(&deep, "").unwrap());
        // Repeated compilation for `unevaluated…` counts.
        let evaluated = vec![json!({"$ref": uri}); 17];
        assert!(
            refused(&json!({"allOf": evaluated, "unevaluatedProperties": false})).detail.contains("reach too much")
        );
        let few = json!({"allOf": vec![json!({"$ref": uri}); 15], "unevaluatedProperties": false});
        on_little_stack(move || check(&few, "").unwrap());
        assert!(refused(&chain(57, json!({"$ref": uri}), |next| next)).detail.contains("more than 64"));
        // A deep untrusted document against it.
        let schema = json!({"properties": {"schema": {"$ref": uri}}});
        let document = json!({"schema": nested(60, json!({}), |below| json!({"properties": {"a": below}}))});
        on_little_stack(move || drop(check_config(&document, &schema)));
    }
    for extended in [
        json!({"$dynamicAnchor": "meta", "allOf": [{"$ref": uris[4]}]}),
        json!({"$schema": uris[3], "$recursiveAnchor": true, "allOf": [{"$ref": uris[3]}]}),
    ] {
        assert!(refused(&extended).detail.contains("extends a meta-schema"));
    }
}

#[test]
fn a_deep_schema_is_checked_within_the_fuel() {
    let wraps = [
        |below| json!({"anyOf": [{"properties": {"a": below}}, {"properties": {"a": {"type": "string"}}}]}),
        |below| json!({"properties": {"a": below}, "additionalProperties": false, "required": ["a"]}),
        |below| json!({"items": below, "unevaluatedItems": false}),
    ];
    for wrap in wraps {
        let deep = nested(20, json!({"type": "null"}), wrap);
        check(&deep, "").unwrap();
        let wide = |value: Value| Value::Array(vec![value; 20_000]);
        for value in [
            nested(40, json!(1), |below| json!({"a": below})),
            nested(20, json!(vec![1; 50_000]), |below| json!([below])),
            wide(json!({"a": {"a": 1}})),
        ] {
            let deep = deep.clone();
            on_little_stack(move || drop(check_config(&value, &deep)));
        }
    }
    // Two paths at each of forty levels.
    let mut ways = nested(
        19,
        json!({"type": "null"}),
        |below| json!({"properties": {"a": {"oneOf": [{"$ref": "#/$defs/no"}, below, {"not": {"not": {}}}]}}}),
    );
    ways["$defs"] = json!({"no": {"type": "string"}});
    check(&ways, "").unwrap();
    drop(check_config(&nested(40, json!(1), |below| json!({"a": below})), &ways));
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
    // The library gets these dots in a longer form, and keeps a pointer with them for every keyword below.
    let dots = ".".repeat(100);
    let below = json!({"properties": many(10_000)});
    assert!(refused(&json!({"patternProperties": {dots.as_str(): below}})).detail.contains("2000 bytes"));
    let data = json!({"$ref": format!("#/x/patternProperties/{dots}/y"), "x": {"patternProperties": {dots.as_str(): {"y": below}}}});
    assert!(refused(&data).detail.contains("2000 bytes"));
    // The library copies the schema of every `not`.
    let large = json!({"enum": vec!["x".repeat(60); 10_000]});
    check(&json!({"not": large}), "").unwrap();
    assert!(refused(&nested(39, large, |below| json!({"not": below}))).detail.contains("`not`"));
    let names: Map<_, _> = (0..9_000).map(|index| (format!("{}{index}", "ab".repeat(20)), json!({}))).collect();
    let patterns: Map<_, _> = (0..9).map(|index| (format!("[ab]*a[ab]{{99}}c{index}"), json!({}))).collect();
    refused(&json!({"properties": names, "patternProperties": patterns, "additionalProperties": false}));
}

#[test]
fn a_check_that_would_take_too_long_is_stopped() {
    // Two paths at every level of the value.
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
    // Long integers with the same binary64 are as quick to compare as others.
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
    // … and the negated schema, or a name, into an error for every item.
    let not = json!({"items": {"not": {"enum": (0..900).collect::<Vec<_>>()}}});
    assert_eq!(mistakes(check_config(&ones(200_000), &not)).len(), 1);
    let required = json!({"items": {"required": ["r".repeat(50_000)]}});
    let found = mistakes(check_config(&Value::Array(vec![json!({}); 200_000]), &required));
    assert!(found.len() == 1 && found[0].detail.len() < 510, "{}", found[0].detail.len());
}

#[test]
fn a_long_identifier_is_not_copied_for_every_reference() {
    // This took 34 s and 8.8 GB.
    let references: Map<_, _> =
        (0..3_000).map(|index| (format!("p{index}"), json!({"$ref": format!("#/$defs/a{index}")}))).collect();
    let defs: Map<_, _> = (0..3_000).map(|index| (format!("a{index}"), json!({}))).collect();
    let with_id = |length: usize| json!({"$id": format!("http://x/{}", "a".repeat(length - 9)), "properties": references, "$defs": defs});
    assert!(refused(&with_id(500_000)).detail.contains("1000 bytes"));
    assert!(refused(&with_id(1_001)).detail.contains("1000 bytes"));
    check(&with_id(1_000), "").unwrap();
    let nested = json!({"$schema": DRAFTS[2], "items": {"$id": format!("#{}", "a".repeat(1_000))}});
    assert!(refused(&nested).detail.contains("1000 bytes"));
    let elsewhere: Map<_, _> =
        (0..9_000).map(|index| (format!("p{index}"), json!({"$ref": format!("{}{index}", "a".repeat(90))}))).collect();
    assert_eq!(mistakes(check(&json!({"properties": elsewhere}), "")).len(), 100);
}
