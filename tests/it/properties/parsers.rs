//! Parsers of untrusted bytes: none panics, and each agrees with another implementation.

use proptest::prelude::*;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::Value;

use super::cases;
use super::commands::documents;
use domain::command::request::TagCondition;
use domain::plugin::{FreeJson, Name, Registration, RemoteResource, json, merge_patch};
use domain::query::sort::SortKey;
use domain::{EntityTag, StoreId};
use plugin_registry::http::extract::conditional::precondition;
use plugin_registry::http::query::cursor::{Cursor, ListCursor};
use plugin_registry::http::query::list_params::PluginList;
use plugin_registry::http::query::params::Params;
use plugin_registry::http::query::resource_params::ResourceList;
use plugin_registry::store::StoreUrl;

fn store() -> StoreId {
    StoreId::kept("0123456789abcdef0123456789abcdef")
}

/// Any JSON value, with numbers of every size.
fn values() -> impl Strategy<Value = Value> {
    let numbers = "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        numbers.prop_map(|text| serde_json::from_str(&text).unwrap()),
        "\\PC{0,12}".prop_map(Value::from),
        "[\\x01-\\x1f\"\\\\/\u{7f}-\u{ffff}]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map("[a-c~/ü]{0,3}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Almost valid JSON: a document with some bytes replaced, removed or inserted.
fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..4);
    (values(), edits).prop_map(|(value, edits)| {
        let mut text = value.to_string().into_bytes();
        for (place, byte, edit) in edits {
            let place = place.index(text.len() + 1);
            match edit {
                0 if place < text.len() => text[place] = byte,
                1 if place < text.len() => drop(text.remove(place)),
                _ => text.insert(place, byte),
            }
        }
        text
    })
}

/// Whether a text has a feature that this service refuses although it is JSON.
fn has_what_is_refused(text: &[u8]) -> bool {
    // A duplicate key or U+0000, found in another way than by the parser under test.
    struct Check;
    impl<'de> serde::de::DeserializeSeed<'de> for Check {
        type Value = bool;
        fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
            deserializer.deserialize_any(self)
        }
    }
    impl<'de> serde::de::Visitor<'de> for Check {
        type Value = bool;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("anything")
        }
        fn visit_unit<E>(self) -> Result<bool, E> {
            Ok(false)
        }
        fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
            Ok(false)
        }
        fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
            Ok(false)
        }
        fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
            Ok(false)
        }
        fn visit_str<E>(self, text: &str) -> Result<bool, E> {
            Ok(text.contains('\0'))
        }
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
            let mut refused = false;
            while let Some(item) = items.next_element_seed(Check)? {
                refused |= item;
            }
            Ok(refused)
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut entries: A) -> Result<bool, A::Error> {
            let (mut refused, mut keys) = (false, std::collections::HashSet::new());
            while let Some(key) = entries.next_key::<String>()? {
                refused |= entries.next_value_seed(Check)?;
                refused |= key.contains('\0') || !keys.insert(key);
            }
            Ok(refused)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    serde::de::DeserializeSeed::deserialize(Check, &mut deserializer).unwrap_or(false)
}

fn header(name: &'static str, value: &[u8]) -> Option<HeaderMap> {
    Some(HeaderMap::from_iter([(reqwest::header::HeaderName::from_static(name), HeaderValue::from_bytes(value).ok()?)]))
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn json_is_accepted_as_serde_json_does_but_for_what_is_documented(text in nearly_json()) {
        let (ours, theirs) = (json::parse(&text), serde_json::from_slice::<Value>(&text));
        match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => {
                prop_assert_eq!(ours, theirs);
                prop_assert_eq!(ours.to_string(), theirs.to_string());
                prop_assert!(!has_what_is_refused(&text));
            }
            (Err(_), Err(_)) => {}
            (Err(error), Ok(_)) => {
                prop_assert!(error.pointer.is_some() && has_what_is_refused(&text), "{}: {}", String::from_utf8_lossy(&text), error);
            }
            (Ok(_), Err(error)) => prop_assert!(false, "{}: serde_json says {}", String::from_utf8_lossy(&text), error),
        }
    }

    #[test]
    fn no_bytes_make_the_json_parser_panic(text in prop::collection::vec(any::<u8>(), 0..64)) {
        drop(json::parse(&text));
    }

    #[test]
    fn free_json_is_returned_as_sent(value in values()) {
        let text = value.to_string();
        let kept = FreeJson::from(&json::parse(text.as_bytes()).unwrap());
        prop_assert_eq!(kept.as_str(), &text);
        prop_assert_eq!(kept.to_value().to_string(), text);
    }

    #[test]
    fn merge_patch_does_what_another_implementation_does(target in values(), patch in values()) {
        let (mut ours, mut theirs) = (target.clone(), target);
        merge_patch::merge(&mut ours, patch.clone());
        json_patch::merge(&mut theirs, &patch);
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn no_document_makes_the_reader_panic(mut document in documents(), field in "[a-z_]{1,16}", value in values()) {
        drop(Registration::read(value.clone()));
        drop(RemoteResource::read(value.clone(), "/x"));
        for name in domain::plugin::Plugin::FIELDS.iter().copied().chain([field.as_str()]) {
            let before = document[name].take();
            document[name] = value.clone();
            // An accepted document can be stored: its text parses as the same plugin.
            if let Ok(registration) = Registration::read(document.clone()) {
                let plugin = registration.applied_to(None);
                let text = serde_json::to_string(&plugin).unwrap();
                prop_assert_eq!(serde_json::from_str::<domain::plugin::Plugin>(&text).unwrap(), plugin);
            }
            if before.is_null() { document.as_object_mut().unwrap().remove(name); } else { document[name] = before; }
        }
    }

    #[test]
    fn a_stored_cost_is_read_back_to_the_last_bit(cost in 0.0_f64..1e9) {
        let document = serde_json::json!({"provider": "aws", "estimated_cost_per_hour": cost});
        let remote = RemoteResource::read(document, "").unwrap();
        let text = serde_json::to_string(&remote).unwrap();
        prop_assert_eq!(serde_json::from_str::<RemoteResource>(&text).unwrap(), remote);
    }

    #[test]
    fn names_are_accepted_if_and_only_if_valid(text in "\\PC{0,20}|[ \\t\\n\u{85}\u{a0}\u{2003}a]{0,5}|[a-zß]{250,260}") {
        let allowed = (1..=256).contains(&text.chars().count())
            && !text.chars().any(char::is_control)
            && !text.starts_with(char::is_whitespace)
            && !text.ends_with(char::is_whitespace);
        prop_assert_eq!(Name::new(&text).is_ok(), allowed);
    }

    #[test]
    fn a_query_survives_encoding_and_parsing(pairs in prop::collection::vec(("\\PC{1,8}", prop::collection::vec("\\PC{0,8}|[a,\\\\]{0,4}", 1..4)), 0..5), comma in ",|%2C") {
        use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let query: Vec<_> = pairs.iter().map(|(name, values)| {
            // A comma after a backslash separates no values, so those are sent one by one.
            let separator = if values.iter().any(|value| value.ends_with('\\')) { format!("&{}=", encode(name)) } else { comma.clone() };
            let values: Vec<_> = values.iter().map(|value| encode(&value.replace(',', "\\,"))).collect();
            format!("{}={}", encode(name), values.join(&separator))
        }).collect();
        let params = Params::parse(&query.join("&")).unwrap();
        let mut expected: Vec<(String, Vec<String>)> = Vec::new();
        for (name, values) in pairs {
            match expected.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => known.extend(values),
                None => expected.push((name, values)),
            }
        }
        let read: Vec<_> = params.iter().map(|(name, values)| (name.to_owned(), values.to_vec())).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn no_query_makes_the_reader_panic(query in "[a-z_.]{0,14}(=[%+,a-z0-9:\\-\u{e9}]{0,20})?(&(sort|limit|cursor|pid|updated_since|label.x|q|fields|active)=[%+,\\-a-zA-Z0-9:.]{0,24}){0,3}") {
        if let Ok(params) = Params::parse(&query) {
            drop(PluginList::read(params, &store()));
        }
        if let Ok(params) = Params::parse(&query) {
            drop(ResourceList::read(params, &store(), jiff::Timestamp::UNIX_EPOCH, 1));
        }
    }

    #[test]
    fn entity_tags_survive_formatting_and_parsing(revisions in prop::collection::vec((any::<u64>(), any::<bool>()), 1..5), comma in " ?,( ?, ?)?") {
        let tag = |revision: u64| EntityTag { store: store(), revision: domain::Revision(revision) };
        let list: Vec<_> = revisions.iter().map(|(revision, weak)| format!("{}{}", if *weak { "W/" } else { "" }, tag(*revision))).collect();
        let list = list.join(&comma);
        let read = precondition(&header("if-none-match", list.as_bytes()).unwrap()).unwrap();
        let all = revisions.iter().map(|(revision, _)| tag(*revision)).collect();
        prop_assert_eq!(read.if_none_match, Some(TagCondition::OneOf(all)));
        let strong: Vec<_> = revisions.iter().filter(|(_, weak)| !weak).map(|(revision, _)| tag(*revision)).collect();
        let read = precondition(&header("if-match", list.as_bytes()).unwrap());
        prop_assert_eq!(read.is_err(), strong.is_empty());
        if let Ok(read) = read {
            prop_assert_eq!(read.if_match, Some(TagCondition::OneOf(strong)));
        }
    }

    #[test]
    fn no_header_makes_the_reader_of_tags_panic(value in "[W/\"*, a-f0-9\\-\\t]{0,24}|\\PC{0,12}", bytes in prop::collection::vec(any::<u8>(), 0..16)) {
        for value in [value.as_bytes(), &bytes] {
            for name in ["if-match", "if-none-match"] {
                if let Some(headers) = header(name, value) {
                    drop(precondition(&headers));
                }
            }
        }
    }

    #[test]
    fn a_cursor_survives_formatting_and_fits_only_its_own_list(
        text in "\\PC{0,20}",
        number in any::<i64>(),
        flag in any::<bool>(),
        id in "\\PC{1,20}",
        list in "\\PC{0,20}",
        kind in 0..4_u8,
    ) {
        let key = match kind {
            0 => SortKey::Null,
            1 => SortKey::Flag(flag),
            2 => SortKey::Number(number),
            _ => SortKey::Text(text.into()),
        };
        let written = Cursor::write(&store(), &list, ListCursor { key: key.clone(), unique_id: id.clone() });
        prop_assert!(written.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'), "{}", written);
        let read: ListCursor = Cursor::read(&written, &store(), &list).unwrap();
        prop_assert_eq!((read.key, read.unique_id), (key, id));
        let another = list + "x";
        let of_another_list = Cursor::<ListCursor>::read(&written, &store(), &another);
        let of_another_store = Cursor::<ListCursor>::read(&written, &StoreId::kept("other"), &another);
        prop_assert!(of_another_list.is_err() && of_another_store.is_err());
    }

    #[test]
    fn no_text_makes_the_reader_of_cursors_panic(text in "[A-Za-z0-9_-]{0,40}|\\PC{0,12}") {
        drop(Cursor::<ListCursor>::read(&text, &store(), ""));
        drop(Cursor::<(String, usize)>::read(&text, &store(), ""));
        drop(text.parse::<EntityTag>());
        drop(text.parse::<StoreUrl>());
    }
}
