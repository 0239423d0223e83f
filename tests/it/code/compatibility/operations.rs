//! Compares paths, parameters, bodies and responses.

use serde_json::{Map, Value};

use super::schemas::Schemas;

/// The differences between `old` and `new` that a client could notice, one a line.
pub(super) fn breaks(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (path, operations) in fields(&old["paths"]) {
        for (method, operation) in fields(operations) {
            let name = format!("{} {path}", method.to_uppercase());
            match new["paths"].get(path).and_then(|operations| operations.get(method)) {
                None => found.push(format!("{name}: is gone")),
                Some(now) => {
                    let mut comparison = Comparison { old, new, name, found: &mut found };
                    comparison.parameters(operation, now);
                    comparison.body(&operation["requestBody"], &now["requestBody"]);
                    comparison.answers(&operation["responses"], &now["responses"]);
                }
            }
        }
    }
    found
}

/// The comparison of an operation.
struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    name: String,
    found: &'a mut Vec<String>,
}

impl Comparison<'_> {
    fn note(&mut self, what: &str) {
        self.found.push(format!("{}: {what}", self.name));
    }

    fn parameters(&mut self, was: &Value, now: &Value) {
        for parameter in list(&now["parameters"]) {
            let before = same_parameter(&was["parameters"], parameter);
            let was_required = before.is_some_and(|before| before["required"] == true);
            if parameter["required"] == true && !was_required {
                self.note(&format!("{} is required", named(parameter)));
            }
        }
        for parameter in list(&was["parameters"]) {
            match same_parameter(&now["parameters"], parameter) {
                None => self.note(&format!("{} is gone", named(parameter))),
                Some(now) => {
                    let place = parameter["name"].as_str().unwrap();
                    self.taken(place, &parameter["schema"], &now["schema"]);
                }
            }
        }
    }

    fn body(&mut self, was: &Value, now: &Value) {
        if now["required"] == true && was["required"] != true {
            self.note("the body is required");
        }
        for (media_type, content) in fields(&was["content"]) {
            match now["content"].get(media_type) {
                None => self.note(&format!("takes no {media_type}")),
                Some(now) => self.taken("body", &content["schema"], &now["schema"]),
            }
        }
    }

    fn answers(&mut self, was: &Value, now: &Value) {
        // Clients tell errors apart by the problem type, so the set of error responses may change.
        for (status, answer) in fields(was).filter(|(status, _)| status.starts_with('2') || *status == "304") {
            let Some(now) = now.get(status) else {
                self.note(&format!("does not answer {status}"));
                continue;
            };
            for (header, _) in fields(&answer["headers"]) {
                if now["headers"].get(header).is_none() {
                    self.note(&format!("{status}: the header field {header} is gone"));
                }
            }
            for (media_type, content) in fields(&answer["content"]) {
                match now["content"].get(media_type) {
                    None => self.note(&format!("{status}: gives no {media_type}")),
                    Some(now) => self.given(status, &content["schema"], &now["schema"]),
                }
            }
        }
    }

    /// The new API must accept what the old one accepted.
    fn taken(&mut self, place: &str, was: &Value, now: &Value) {
        let differences = Schemas::requests(self.old, self.new).differences(place, was, now);
        differences.iter().for_each(|difference| self.note(difference));
    }

    /// The old API must have been able to return what the new one returns.
    fn given(&mut self, place: &str, was: &Value, now: &Value) {
        let differences = Schemas::answers(self.new, self.old).differences(place, now, was);
        differences.iter().for_each(|difference| self.note(difference));
    }
}

fn same_parameter<'a>(parameters: &'a Value, wanted: &Value) -> Option<&'a Value> {
    list(parameters).find(|one| one["name"] == wanted["name"] && one["in"] == wanted["in"])
}

fn named(parameter: &Value) -> String {
    format!("the {} parameter {}", parameter["in"].as_str().unwrap(), parameter["name"].as_str().unwrap())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}
