//! JSON values whose every read is paid for.
//!
//! How long a check takes depends on the schema and on the value together, and can grow
//! exponentially with both: only counting while it runs can bound it. The library reads the values
//! it checks through the traits implemented here, and each read takes fuel. When that runs out, or
//! the stack, the check is ended by unwinding, since the library has no other way to be stopped.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::panic::{self, AssertUnwindSafe};

use jsonschema::JsonType;
use jsonschema::json::{self, Json, NodeIdentity, SerdeJson};
use serde_json::{Map, Number, Value};

use super::canonical;

/// What one check may spend. A unit is about 50 ns, so that the whole is 0.2 s. A configuration of
/// 1 MiB needs about a quarter of it under a plain schema.
const FUEL: u64 = 4_000_000;

/// How much stack a check may take, in bytes: half of what a thread of tokio or a test has.
const STACK: usize = 1 << 20;

/// How much memory an error of the library may take for a unit of fuel, in bytes. It collects all
/// errors before it shows the first.
const ERROR_BYTES: u64 = 8;

/// What reads cost in one check, besides a unit each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prices {
    /// For a byte of a property's name, which is compared with the `patternProperties`.
    pub name_byte: u64,
    /// For a number, in digits of the schema's numbers it is calculated with.
    pub digits: u64,
    /// For an error, in bytes of memory.
    pub error_bytes: u64,
}

thread_local! {
    static TANK: Tank = const { Tank { left: Cell::new(0), bottom: Cell::new(0), prices: Cell::new(Prices { name_byte: 0, digits: 0, error_bytes: 0 }) } };
}

/// The fuel of the check that runs on this thread. Nodes cannot carry it: the library makes some
/// of them out of nothing but a string.
struct Tank {
    left: Cell<u64>,
    /// Where the stack stood when the check began. It grows downwards.
    bottom: Cell<usize>,
    prices: Cell<Prices>,
}

/// What unwinds a check that is out of fuel.
struct Stopped;

/// Runs `check`, which reads [`Metered`] values, on a full tank. `None` when it had to be stopped.
pub(super) fn metered<T>(prices: Prices, check: impl FnOnce() -> T) -> Option<T> {
    TANK.with(|tank| {
        tank.left.set(FUEL);
        tank.bottom.set(stack_pointer());
        tank.prices.set(prices);
    });
    match panic::catch_unwind(AssertUnwindSafe(check)) {
        Ok(checked) => Some(checked),
        Err(stopped) if stopped.is::<Stopped>() => None,
        Err(panic) => panic::resume_unwind(panic),
    }
}

/// Takes fuel for work that is done now.
pub(super) fn charge(units: u64) {
    TANK.with(|tank| {
        let deep = tank.bottom.get().saturating_sub(stack_pointer()) > STACK;
        match tank.left.get().checked_sub(units) {
            Some(left) if !deep => tank.left.set(left),
            // Unlike a panic, this prints nothing.
            _ => panic::resume_unwind(Box::new(Stopped)),
        }
    });
}

fn stack_pointer() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(&here).addr()
}

fn prices() -> Prices {
    TANK.with(|tank| tank.prices.get())
}

/// The representation of JSON that the library is given.
pub(super) struct MeteredJson;

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
pub(super) struct Metered<'a>(pub &'a Value);

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

    /// Called for errors alone. They do not get the value: the library would copy it into every
    /// error beneath `anyOf`, and what they do not have they cannot tell.
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
pub(super) struct Members<'a>(&'a Map<String, Value>);

impl<'a> json::Object<'a, MeteredJson> for Members<'a> {
    type Node = Metered<'a>;
    type MemberName = &'a str;
    type MembersIter = std::iter::Map<serde_json::map::Iter<'a>, fn((&'a String, &'a Value)) -> (&'a str, Metered<'a>)>;

    /// The library may reserve memory for so many.
    fn len(&self) -> usize {
        charge(1 + self.0.len() as u64);
        self.0.len()
    }

    fn is_empty(&self) -> bool {
        charge(1);
        self.0.is_empty()
    }

    fn get(&self, name: &String) -> Option<Metered<'a>> {
        charge(1);
        self.0.get(name).map(Metered)
    }

    fn members(&self) -> Self::MembersIter {
        self.0.iter().map(|(name, value)| {
            charge(2 + text_cost(name) + name.len() as u64 * prices().name_byte);
            (name.as_str(), Metered(value))
        })
    }
}

/// A JSON array.
pub(super) struct Items<'a>(&'a [Value]);

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

    /// Compares canonical texts. The library hashes numbers as binary64, so that long integers
    /// which share one would all be compared with each other.
    fn is_unique(&self) -> bool {
        let mut seen = HashSet::with_capacity(self.0.len());
        self.0.iter().all(|item| {
            charge(4 * cost(item));
            seen.insert(canonical::text(item))
        })
    }
}

/// What it costs to read a whole value.
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

/// What arithmetic costs. That of the library is exact: it takes some 0.2 µs for a digit, and 1 ns
/// for every two of them, unless all numbers are 64-bit integers.
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
