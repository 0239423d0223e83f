//! endpoints.md: by tag, what each operation does, who may do it, and what it takes and answers.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::markdown::{Page, code, codes, prose, sentence};
use super::schema::Schemas;
use domain::access::{Permission, Role};
use plugin_registry::http::operations::{Idempotency, OPERATIONS, Operation};

const ABOUT: &str = "All operations of the API. `/openapi.json` of a running registry describes the same for programs, \
and `plugin-registry openapi` prints it.

## How to read this

- **Roles** lists the roles of tokens that may use the operation. A registry without tokens lets every caller do everything.
  *Within its scope* means that a token with a scope reaches only the plugins of that scope.
- **Header fields** lists those that the operation uses beside [those of all operations](#header-fields-of-requests).
- **Parameters** of the query may stand once, or several times where a list is allowed. `a,b` is the same as two of them.
- **Body** and **answers** name the documents, which are in [Fields](fields.md).
- **Errors** lists the statuses that [many operations](#errors-of-many-operations) answer. An operation's own errors are in its table.
  Each error is a [problem](problems.md). Any operation may also answer another problem, for example 500.";

/// The description has this status for whatever else may go wrong; no page needs it.
const ANY_OTHER: &str = "default";

/// An error of at least as many operations is described once, for all.
const MANY: usize = 10;

/// The page.
pub(super) fn page(description: &Value) -> String {
    let operations = operations(description);
    let common = common_errors(&operations);
    let mut page = Page::new("Endpoints", ABOUT);
    headers(&mut page, description, &operations);
    page.heading(2, "Errors of many operations");
    page.table(&["status", "when"], &common_rows(&common));
    page.heading(2, "All operations");
    let rows: Vec<_> = operations.iter().map(|operation| operation.index_row()).collect();
    page.table(&["operation", "", "roles"], &rows);
    let schemas = Schemas { all: object(&description["components"]["schemas"]), page: "fields.md" };
    for tag in description["tags"].as_array().unwrap() {
        page.heading(2, tag["name"].as_str().unwrap());
        page.paragraph(&sentence(tag["description"].as_str().unwrap()));
        for operation in operations.iter().filter(|operation| operation.is_of(tag)) {
            operation.write(&mut page, &schemas, &common);
        }
    }
    page.finish()
}

/// An operation of the description, with its row in the table of operations.
struct Described<'a> {
    path: &'a str,
    method: String,
    row: &'static Operation,
    text: &'a Value,
}

/// Statuses with what the description says of them.
type Errors<'a> = Vec<(&'a str, &'a str)>;

fn operations(description: &Value) -> Vec<Described<'_>> {
    let mut all = Vec::new();
    for (path, methods) in object(&description["paths"]) {
        for (method, text) in object(methods) {
            let method = method.to_ascii_uppercase();
            let row = OPERATIONS.iter().find(|row| row.path == path && row.method == method).unwrap();
            all.push(Described { path, method, row, text });
        }
    }
    all
}

/// The errors that are described once. What a caller lacks is in the line of roles.
fn common_errors<'a>(operations: &[Described<'a>]) -> Errors<'a> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (status, answer) in operations.iter().flat_map(Described::answers) {
        if !is_success(status) {
            *counts.entry((status, answer["description"].as_str().unwrap())).or_default() += 1;
        }
    }
    counts
        .into_iter()
        .filter(|((status, _), count)| *status == "403" || *count >= MANY)
        .map(|(error, _)| error)
        .collect()
}

fn common_rows(common: &Errors<'_>) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (status, text) in common {
        let text = if *status == "403" { "The token's role or scope does not allow the request" } else { text };
        let row = vec![(*status).to_owned(), sentence(text)];
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    rows
}

fn headers(page: &mut Page, description: &Value, operations: &[Described<'_>]) {
    page.heading(2, "Header fields of requests");
    let everywhere = [
        ("Authorization", "The token: `Bearer plr_…`. Every operation takes it; see [Access](../guide/access.md)."),
        ("X-Request-Id", "Names the request in the log. Every operation takes it."),
    ];
    let mut rows: Vec<_> = everywhere.iter().map(|(name, text)| vec![code(name), (*text).to_owned()]).collect();
    let mut seen = BTreeMap::new();
    for parameter in operations.iter().flat_map(|operation| operation.parameters("header")) {
        seen.entry(parameter["name"].as_str().unwrap())
            .or_insert(parameter["description"].as_str().unwrap_or_default());
    }
    rows.extend(seen.into_iter().map(|(name, text)| vec![code(name), sentence(text)]));
    page.table(&["field", "meaning"], &rows);
    page.heading(2, "Header fields of answers");
    let all = object(&description["components"]["headers"]);
    let rows: Vec<_> =
        all.iter().map(|(name, header)| vec![code(name), sentence(header["description"].as_str().unwrap())]).collect();
    page.table(&["field", "meaning"], &rows);
}

impl<'a> Described<'a> {
    fn is_of(&self, tag: &Value) -> bool {
        self.text["tags"].as_array().is_some_and(|tags| tags.contains(&tag["name"]))
    }

    fn title(&self) -> String {
        format!("`{} {}`", self.method, self.path)
    }

    fn link(&self) -> String {
        let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | ' ');
        let anchor: String = self.title().to_lowercase().chars().filter(kept).collect();
        format!("[{}](#{})", self.title(), anchor.replace(' ', "-"))
    }

    fn index_row(&self) -> Vec<String> {
        vec![self.link(), prose(self.text["summary"].as_str().unwrap()), self.roles()]
    }

    fn roles(&self) -> String {
        match self.row.permission {
            Permission::Public => "none needed".into(),
            Permission::Read => "all".into(),
            permission => codes(Role::that_may(permission).map(Role::as_str)),
        }
    }

    fn answers(&self) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        object(&self.text["responses"])
            .iter()
            .map(|(status, answer)| (status.as_str(), answer))
            .filter(|(status, _)| *status != ANY_OTHER)
    }

    fn parameters(&self, place: &str) -> impl Iterator<Item = &'a Value> {
        let all = self.text["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().filter(move |parameter| parameter["in"] == place)
    }

    fn write(&self, page: &mut Page, schemas: &Schemas<'_>, common: &Errors<'_>) {
        page.heading(3, &self.title());
        page.paragraph(&sentence(self.text["summary"].as_str().unwrap()));
        for paragraph in
            self.text["description"].as_str().unwrap_or_default().split("\n\n").filter(|text| !text.is_empty())
        {
            page.paragraph(&prose(paragraph));
        }
        page.list(&self.facts(schemas, common));
        let parameters: Vec<_> = ["path", "query"]
            .into_iter()
            .flat_map(|place| self.parameters(place).map(move |parameter| (place, parameter)))
            .map(|(place, parameter)| {
                let name = parameter["name"].as_str().unwrap();
                // Labels are one parameter each.
                let shown = if name == "labels" { "label.KEY" } else { name };
                let text = parameter["description"].as_str().unwrap_or_default();
                vec![code(shown), place.into(), parameter_values(schemas, &parameter["schema"]), sentence(text)]
            })
            .collect();
        page.table(&["parameter", "in", "values", "meaning"], &parameters);
        page.table(&["answer", "when", "document"], &self.own_answers(schemas, common));
    }

    fn facts(&self, schemas: &Schemas<'_>, common: &Errors<'_>) -> Vec<String> {
        let scoped = Role::that_may(self.row.permission).any(Role::takes_scope)
            && !matches!(self.row.permission, Permission::Public | Permission::Read);
        let mut facts = vec![format!("Roles: {}{}", self.roles(), if scoped { ", within its scope" } else { "" })];
        let mut fields: Vec<_> = self.parameters("header").map(|field| code(field["name"].as_str().unwrap())).collect();
        if let Idempotency::Refused(why) = self.row.idempotency {
            fields.push(format!("`Idempotency-Key` is refused: {why}"));
        }
        if !fields.is_empty() {
            facts.push(format!("Header fields: {}", fields.join(", ")));
        }
        let body = documents(schemas, &self.text["requestBody"]["content"]);
        if !body.is_empty() {
            let optional = if self.text["requestBody"]["required"] == true { "" } else { " (may be left out)" };
            facts.push(format!("Body: {body}{optional}"));
        }
        let shared = self.answers().filter(|(status, answer)| is_common(common, status, answer));
        let mut errors: Vec<_> = shared.map(|(status, _)| status).collect();
        errors.sort();
        facts.push(format!("Errors: {}", errors.join(", ")));
        facts
    }

    fn own_answers(&self, schemas: &Schemas<'_>, common: &Errors<'_>) -> Vec<Vec<String>> {
        let mut own: Vec<_> = self.answers().filter(|(status, answer)| !is_common(common, status, answer)).collect();
        own.sort_by_key(|(status, _)| *status);
        let row = |(status, answer): (&str, &Value)| {
            let is_problem = answer["content"].get("application/problem+json").is_some();
            let document = if is_problem { String::new() } else { documents(schemas, &answer["content"]) };
            vec![status.to_owned(), sentence(answer["description"].as_str().unwrap()), document]
        };
        own.into_iter().map(row).collect()
    }
}

fn is_success(status: &str) -> bool {
    status.starts_with('2') || status.starts_with('3')
}

fn is_common(common: &Errors<'_>, status: &str, answer: &Value) -> bool {
    common.iter().any(|error| *error == (status, answer["description"].as_str().unwrap()))
}

/// Several values of one parameter are a list.
fn parameter_values(schemas: &Schemas<'_>, schema: &Value) -> String {
    if schema["type"] == "array" {
        let most = schema["maxItems"].as_u64().map(|most| format!("at most {most} ")).unwrap_or_default();
        return format!("list of {most}{}", schemas.values(&schema["items"]));
    }
    if schema.get("propertyNames").is_some() {
        return schemas.values(&schema["additionalProperties"]);
    }
    schemas.values(schema)
}

/// The documents of a body, with their media types.
fn documents(schemas: &Schemas<'_>, content: &Value) -> String {
    let Some(content) = content.as_object() else { return String::new() };
    let document = |(media_type, content): (&String, &Value)| match media_type.as_str() {
        "application/json" => schemas.values(&content["schema"]),
        "application/merge-patch+json" => format!("{} as {}", schemas.values(&content["schema"]), code(media_type)),
        _ => code(media_type),
    };
    content.iter().map(document).collect::<Vec<_>>().join(" or ")
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}
