//! JSON values that charge fuel for every read; the library checks these.

use std::borrow::Cow;
use std::collections::HashSet;

use jsonschema::JsonType;
use jsonschema::json::{self, Json, NodeIdentity, SerdeJson};
use serde_json::{Map, Number, Value};

use crate::canonical;
use crate::fuel::{charge, prices};

/// The bytes of error memory for one unit of fuel. The library collects all errors before it returns the first.
const ERROR_BYTES: u64 = 4;

/// The representation of JSON for the library.
pub(crate) struct MeteredJson;

impl Json for MeteredJson {
    type Node<'a> = Metered<'a>;
    type PreparedKey = String;
    type StringBuffer = Value;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>(buffer: &mut Value, string: &str, check: impl FnOnce(Metered<'_>) -> T) -> T {
        SerdeJson::with_string_node(buffer, string, |value| check(Metered(value)))
    }
}

/// A JSON value.
#[derive(Clone, Copy)]
pub(crate) struct Metered<'a>(pub &'a Value);

impl<'a> json::Node<'a, MeteredJson> for Metered<'a> {
    type Object = Members<'a>;
    type Array = Items<'a>;
    type Number = &'a Number;

    fn as_object(&self) -> Option<Members<'a>> {
        charge(1);
        self.0.as_object().map(Members)
    }

    fn as_array(&self) -> Option<Items<'a>> {
        charge(1);
        self.0.as_array().map(|items| Items(items))
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        let text = self.0.as_str();
        charge(1 + text.map_or(0, text_cost));
        text.map(Cow::Borrowed)
    }

    fn as_number(&self) -> Option<&'a Number> {
        let number = self.0.as_number();
        charge(1 + number.map_or(0, arithmetic_cost));
        number
    }

    fn as_boolean(&self) -> Option<bool> {
        charge(1);
        self.0.as_bool()
    }

    fn is_null(&self) -> bool {
        charge(1);
        self.0.is_null()
    }

    fn is_number(&self) -> bool {
        charge(1);
        self.0.is_number()
    }

    fn json_type(&self) -> JsonType {
        charge(1);
        json::Node::<SerdeJson>::json_type(&self.0)
    }

    fn string_length(&self) -> Option<u64> {
        charge(1 + self.0.as_str().map_or(0, text_cost));
        json::Node::<SerdeJson>::string_length(&self.0)
    }

    fn equals_value(&self, expected: &Value) -> bool {
        equal(self.0, expected)
    }

    /// The library calls this for errors only. It gets no value, because it would copy the value into every error below
    /// `anyOf`, and because error details must not contain values.
    fn to_value(&self) -> Cow<'a, Value> {
        const WITHHELD: &Value = &Value::Null;
        charge(1 + prices().error_bytes / ERROR_BYTES);
        Cow::Borrowed(WITHHELD)
    }

    fn identity(&self) -> Option<NodeIdentity> {
        charge(1);
        json::Node::<SerdeJson>::identity(&self.0)
    }
}

/// A JSON object.
pub(crate) struct Members<'a>(&'a Map<String, Value>);

impl<'a> json::Object<'a, MeteredJson> for Members<'a> {
    type Node = Metered<'a>;
    type MemberName = &'a str;
    type MembersIter = std::iter::Map<serde_json::map::Iter<'a>, fn((&'a String, &'a Value)) -> (&'a str, Metered<'a>)>;

    /// The library may reserve memory for this many members.
    fn len(&self) -> usize {
        charge(1 + self.0.len() as u64);
        self.0.len()
    }

    fn is_empty(&self) -> bool {
        charge(1);
        self.0.is_empty()
    }

    fn get(&self, name: &String) -> Option<Metered<'a>> {
        charge(1 + text_cost(name));
        self.0.get(name).map(Metered)
    }

    fn members(&self) -> Self::MembersIter {
        self.0.iter().map(|(name, value)| {
            // An error may list all names.
            charge(4 + text_cost(name) + name.len() as u64 * prices().name_byte);
            (name.as_str(), Metered(value))
        })
    }
}

/// A JSON array.
pub(crate) struct Items<'a>(&'a [Value]);

impl<'a> json::Array<'a, MeteredJson> for Items<'a> {
    type Node = Metered<'a>;
    type ElementsIter = std::iter::Map<std::slice::Iter<'a, Value>, fn(&'a Value) -> Metered<'a>>;

    fn len(&self) -> usize {
        charge(1 + self.0.len() as u64);
        self.0.len()
    }

    fn elements(&self) -> Self::ElementsIter {
        self.0.iter().map(|item| {
            charge(1);
            Metered(item)
        })
    }

    /// Compares canonical texts. The library hashes numbers as binary64. Long integers with the same binary64 would all
    /// be compared with each other.
    fn is_unique(&self) -> bool {
        let mut seen = HashSet::with_capacity(self.0.len());
        self.0.iter().all(|item| {
            charge(4 * cost(item));
            seen.insert(canonical::text(item))
        })
    }
}

/// The cost of reading a whole value.
fn cost(value: &Value) -> u64 {
    match value {
        Value::Array(items) => 1 + items.iter().map(cost).sum::<u64>(),
        Value::Object(members) => 2 + members.iter().map(|(name, value)| text_cost(name) + cost(value)).sum::<u64>(),
        Value::String(text) => 1 + text_cost(text),
        Value::Number(number) => 1 + text_cost(number.as_str()),
        Value::Null | Value::Bool(_) => 1,
    }
}

fn text_cost(text: &str) -> u64 {
    text.len() as u64 / 32
}

/// The cost of arithmetic. The library calculates exactly: about 0.2 µs for a digit, and 1 ns for every two of them,
/// unless all numbers are 64-bit integers.
fn arithmetic_cost(number: &Number) -> u64 {
    let in_schema = prices().digits;
    let digits = match canonical::digits(number) {
        0 if in_schema > 0 => in_schema + number.as_str().len() as u64,
        0 => 0,
        digits => in_schema + digits,
    };
    2 + text_cost(number.as_str()) + 3 * digits + digits * digits / 50
}

/// Whether two values are equal by JSON Schema: `1` and `1.0` are. The library would calculate.
fn equal(left: &Value, right: &Value) -> bool {
    charge(1);
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            charge(8 + text_cost(left.as_str()));
            canonical::number_text(left) == canonical::number_text(right)
        }
        (Value::String(left), Value::String(right)) => {
            charge(text_cost(left));
            left == right
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let same = |(name, left)| right.get(name).is_some_and(|right| equal(left, right));
            left.len() == right.len() && left.iter().all(same)
        }
        _ => left == right,
    }
}
