//! The structure of a schema: its subschemas, their nesting, and their content.
//!
//! The reader counts while it reads, and stops at the first exceeded limit. So neither the reader nor the later steps
//! take longer than the limits allow.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Number, Value};

use crate::keywords::Role;
use crate::validation_error::{ValidationErrors, pointer_push};
use crate::{canonical, ecma};

/// The maximum number of JSON values in a schema. A subschema takes about ten microseconds and a few kilobytes to
/// compile.
const MAX_VALUES: usize = 20_000;

/// The maximum nesting of subschemas. `depth` limits the recursion of the library, which references make deeper.
const MAX_NESTING: usize = 40;

/// The maximum length of a JSON Pointer to a subschema, in bytes: the library keeps one for every keyword.
const MAX_POINTER: usize = 2_000;

/// The maximum length of an identifier, in bytes: the library joins it with every reference, and keeps the result.
pub(crate) const MAX_ID: usize = 1_000;

/// The maximum length of a number in a schema, in characters, and its maximum power of ten. The library calculates
/// exactly, with all digits.
const MAX_NUMBER: usize = 64;
const MAX_EXPONENT: u64 = 400;

/// The maximum bytes of all schemas under `not`: the library copies each of them, including nested ones.
const MAX_NEGATED: usize = 8 << 20;

/// The weight of a JSON value in addition to its text, in bytes.
const VALUE_WEIGHT: usize = 64;

/// The parts of a schema that is within the limits.
pub(crate) struct Structure<'a> {
    pub root: &'a Value,
    /// Every subschema that is an object.
    pub subschemas: Vec<&'a Map<String, Value>>,
    pub references: Vec<NotedReference<'a>>,
    pub patterns: Vec<NotedPattern<'a>>,
    /// The longest pointer to a subschema, in bytes.
    pub longest_pointer: usize,
    /// The maximum text of the schema in one library message, in bytes: a name of `required`, a pattern, or a whole
    /// `not`.
    pub longest_copy: usize,
    /// The maximum number of digits in calculations with the schema's numbers; 0 if all are 64-bit integers.
    pub digits: u64,
    id_keyword: &'static str,
    anchors: HashMap<&'a str, &'a Value>,
    weights: HashMap<*const Map<String, Value>, usize>,
    listed: HashSet<*const Map<String, Value>>,
    values: usize,
    weight: usize,
    negated: usize,
    pointer: String,
    /// The growth of the pointer in the library's copy, where patterns are translated, in bytes.
    growth: usize,
}

/// A `$ref` or another referring keyword.
pub(crate) struct NotedReference<'a> {
    pub schema: &'a Map<String, Value>,
    pub keyword: &'static str,
    pub value: &'a Value,
    /// Its place, as a JSON Pointer.
    pub place: String,
}

/// A `pattern`, or a name in `patternProperties`.
pub(crate) struct NotedPattern<'a> {
    pub text: &'a str,
    /// Its place, as a JSON Pointer.
    pub place: String,
    /// Whether it applies to names of properties.
    pub of_names: bool,
}

impl<'a> Structure<'a> {
    /// Reads `root`, whose dialect names a schema by `id_keyword`.
    pub fn read(root: &'a Value, id_keyword: &'static str) -> Result<Structure<'a>, ValidationErrors> {
        let mut structure = Structure {
            root,
            subschemas: Vec::new(),
            references: Vec::new(),
            patterns: Vec::new(),
            longest_pointer: 0,
            longest_copy: 0,
            digits: 0,
            id_keyword,
            anchors: HashMap::new(),
            weights: HashMap::new(),
            listed: HashSet::new(),
            values: 0,
            weight: 0,
            negated: 0,
            pointer: String::new(),
            growth: 0,
        };
        structure.value(root, Role::Schema, 0)?;
        Ok(structure)
    }

    /// Reads a value that is a schema only because a reference points to it, unless it was read before.
    pub fn read_also(&mut self, schema: &'a Value, pointer: &str) -> Result<(), ValidationErrors> {
        match schema.as_object() {
            Some(object) if !self.listed.contains(&std::ptr::from_ref(object)) => {
                pointer.clone_into(&mut self.pointer);
                // It is unknown which tokens are patterns, so all count as patterns.
                let translated =
                    if pointer.contains("/patternProperties/") { ecma::translate(pointer).len() } else { 0 };
                self.growth = translated.saturating_sub(pointer.len());
                self.value(schema, Role::Schema, 0)
            }
            _ => Ok(()),
        }
    }

    /// The identifier of the whole schema, without an empty fragment; empty if there is none.
    pub fn id(&self) -> &'a str {
        self.root.get(self.id_keyword).and_then(Value::as_str).unwrap_or_default().trim_end_matches('#')
    }

    /// Whether a subschema takes part in the self-reference of the meta-schemas of 2019-09 and 2020-12.
    pub fn extends_meta_schema(&self) -> bool {
        self.subschemas.iter().any(|schema| {
            schema.contains_key("$recursiveAnchor") || schema.get("$dynamicAnchor").is_some_and(|name| name == "meta")
        })
    }

    /// The subschema with a plain-name `$anchor`.
    pub fn anchor(&self, name: &str) -> Option<&'a Value> {
        self.anchors.get(name).copied()
    }

    /// The weight of a subschema, in bytes.
    pub fn weight(&self, schema: &Map<String, Value>) -> usize {
        self.weights.get(&std::ptr::from_ref(schema)).copied().unwrap_or_default()
    }

    /// The pointer to a subschema. This searches for it, because only a refusal needs it.
    pub fn place_of(&self, schema: &Map<String, Value>) -> String {
        let mut pointer = String::new();
        find(schema, self.root, &mut pointer);
        pointer
    }

    fn value(&mut self, value: &'a Value, role: Role, nesting: usize) -> Result<(), ValidationErrors> {
        self.values += 1;
        self.weight += VALUE_WEIGHT;
        if self.values > MAX_VALUES {
            return Err(ValidationErrors::at("", format!("must have at most {MAX_VALUES} JSON values in total")));
        }
        match value {
            Value::Object(members) if role == Role::Schema => self.schema(value, members, nesting),
            Value::Object(members) if role == Role::PatternMap => self.pattern_members(members, nesting),
            Value::Object(members) => self.members(members, |_, _| role.of_member(), nesting),
            Value::Array(items) => self.items(items, role.of_item(), nesting),
            Value::Number(number) => self.number(number),
            Value::String(text) => {
                self.text(text);
                Ok(())
            }
            Value::Null | Value::Bool(_) => Ok(()),
        }
    }

    fn schema(
        &mut self,
        value: &'a Value,
        keywords: &'a Map<String, Value>,
        nesting: usize,
    ) -> Result<(), ValidationErrors> {
        if nesting > MAX_NESTING {
            return Err(self.refuse(format!("is nested deeper than {MAX_NESTING} subschemas")));
        }
        let pointer = self.pointer.len() + self.growth;
        if pointer > MAX_POINTER {
            let place: String = self.pointer.chars().take(MAX_POINTER).collect();
            return Err(ValidationErrors::at(
                place,
                format!("the JSON Pointer to this subschema exceeds {MAX_POINTER} bytes; use shorter names"),
            ));
        }
        self.longest_pointer = self.longest_pointer.max(pointer);
        self.listed.insert(std::ptr::from_ref(keywords));
        self.subschemas.push(keywords);
        self.name(value, keywords)?;
        self.note_references(keywords);
        self.note_patterns(keywords);
        let before = self.weight - VALUE_WEIGHT;
        self.members(keywords, Role::of_keyword, nesting + 1)?;
        self.weights.insert(std::ptr::from_ref(keywords), self.weight - before);
        let negated = keywords.get("not").and_then(Value::as_object).map_or(0, |negated| self.weight(negated));
        self.longest_copy = self.longest_copy.max(negated);
        self.negated += negated;
        if self.negated > MAX_NEGATED {
            return Err(self.refuse("is nested in too many `not`, or has too much content in them".into()));
        }
        Ok(())
    }

    /// Records the names by which references can address a schema.
    ///
    /// A second identifier within the schema would give a reference a meaning for each path to it. The compiled schema
    /// would then grow with the number of paths.
    fn name(&mut self, value: &'a Value, keywords: &'a Map<String, Value>) -> Result<(), ValidationErrors> {
        let text = |keyword| keywords.get(keyword).and_then(Value::as_str);
        let id = text(self.id_keyword);
        if id.is_some_and(|id| id.len() > MAX_ID) {
            return Err(self.refuse(format!("`{}` must have at most {MAX_ID} bytes", self.id_keyword)));
        }
        if !self.pointer.is_empty() && id.is_some_and(|id| !id.starts_with('#')) {
            let keyword = self.id_keyword;
            return Err(self.refuse(format!("`{keyword}` is supported only at the root of the schema")));
        }
        // Some generators give every subschema its JSON Pointer, and copies have the same one. Such an identifier is
        // not a name.
        let plain = id.and_then(|id| id.strip_prefix('#')).filter(|name| !name.starts_with('/'));
        let names = [plain, text("$anchor"), text("$dynamicAnchor")];
        for name in names.into_iter().flatten().filter(|name| !name.is_empty()) {
            let known = self.anchors.insert(name, value);
            if known.is_some_and(|known| !std::ptr::eq(known, value)) {
                return Err(self.refuse(format!("the anchor `{name}` occurs twice")));
            }
        }
        Ok(())
    }

    fn note_references(&mut self, keywords: &'a Map<String, Value>) {
        for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
            let Some(value) = keywords.get(keyword) else { continue };
            let place = format!("{}/{keyword}", self.pointer);
            self.references.push(NotedReference { schema: keywords, keyword, value, place });
        }
    }

    fn note_patterns(&mut self, keywords: &'a Map<String, Value>) {
        if let Some(pattern) = keywords.get("pattern").and_then(Value::as_str) {
            let place = format!("{}/pattern", self.pointer);
            self.patterns.push(NotedPattern { text: pattern, place, of_names: false });
        }
        for name in keywords.get("patternProperties").and_then(Value::as_object).into_iter().flat_map(Map::keys) {
            let mut place = format!("{}/patternProperties", self.pointer);
            pointer_push(&mut place, name);
            self.patterns.push(NotedPattern { text: name, place, of_names: true });
        }
    }

    fn members(
        &mut self,
        members: &'a Map<String, Value>,
        role: impl Fn(&str, &Value) -> Role,
        nesting: usize,
    ) -> Result<(), ValidationErrors> {
        let here = self.pointer.len();
        for (name, member) in members {
            self.text(name);
            pointer_push(&mut self.pointer, name);
            self.value(member, role(name, member), nesting)?;
            self.pointer.truncate(here);
        }
        Ok(())
    }

    fn pattern_members(&mut self, members: &'a Map<String, Value>, nesting: usize) -> Result<(), ValidationErrors> {
        let (here, growth) = (self.pointer.len(), self.growth);
        for (name, member) in members {
            self.text(name);
            pointer_push(&mut self.pointer, name);
            self.growth += ecma::translate(name).len().saturating_sub(name.len());
            self.value(member, Role::PatternMap.of_member(), nesting)?;
            self.pointer.truncate(here);
            self.growth = growth;
        }
        Ok(())
    }

    fn items(&mut self, items: &'a [Value], role: Role, nesting: usize) -> Result<(), ValidationErrors> {
        let here = self.pointer.len();
        for (index, item) in items.iter().enumerate() {
            pointer_push(&mut self.pointer, &index.to_string());
            self.value(item, role, nesting)?;
            self.pointer.truncate(here);
        }
        Ok(())
    }

    fn number(&mut self, number: &Number) -> Result<(), ValidationErrors> {
        let text = number.as_str();
        if text.len() > MAX_NUMBER || canonical::exponent(text) > MAX_EXPONENT {
            let detail =
                format!("must have at most {MAX_NUMBER} characters, and an exponent of at most {MAX_EXPONENT}");
            return Err(self.refuse(detail));
        }
        self.digits = self.digits.max(canonical::digits(number));
        Ok(())
    }

    fn text(&mut self, text: &str) {
        self.weight += text.len();
        self.longest_copy = self.longest_copy.max(text.len());
    }

    fn refuse(&self, detail: String) -> ValidationErrors {
        ValidationErrors::at(self.pointer.clone(), detail)
    }
}

/// Extends `pointer`, which leads to `value`, to `schema`, if `value` contains it.
fn find(schema: &Map<String, Value>, value: &Value, pointer: &mut String) -> bool {
    let members: Vec<(String, &Value)> = match value {
        Value::Object(members) if std::ptr::eq(members, schema) => return true,
        Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), member)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect(),
        _ => return false,
    };
    let here = pointer.len();
    members.into_iter().any(|(token, member)| {
        pointer.truncate(here);
        pointer_push(pointer, &token);
        find(schema, member, pointer)
    })
}
