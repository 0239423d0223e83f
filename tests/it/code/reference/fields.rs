//! fields.md: the values that fields take, and the fields of every document.

use serde_json::{Map, Value};

use super::markdown::{Page, code, codes, prose, sentence};
use super::schema::Schemas;
use domain::access::{Permission, Role};
use domain::plugin::remote_status::STATUS_WORDS;
use domain::plugin::{ExecutionMode, StatusClass};
use plugin_registry::http::operations::OPERATIONS;

const ABOUT: &str = "All documents that the API takes and gives, and the values of their fields.

## How to read this

- [Values](#values) has the fields that take one of several names.
- [Documents](#documents) has a table for each document. **Required** fields must be in a request, and are in every answer.
- A request with a field that its document does not list is refused (422). Answers may get more fields in later versions.
- `null` in a merge patch (RFC 7396) sets a field back to its default.";

/// The page.
pub(super) fn page(description: &Value) -> String {
    let all = description["components"]["schemas"].as_object().unwrap();
    let mut page = Page::new("Fields", ABOUT);
    let (values, documents): (Vec<_>, Vec<_>) = all.iter().partition(|(_, schema)| schema.get("enum").is_some());
    page.heading(2, "Values");
    for (name, schema) in values {
        write_values(&mut page, name, schema);
    }
    write_statuses(&mut page);
    write_permissions(&mut page);
    page.heading(2, "Documents");
    let schemas = Schemas { all, page: "" };
    for (name, schema) in documents {
        write_document(&mut page, &schemas, name, schema);
    }
    page.finish()
}

fn write_values(page: &mut Page, name: &str, schema: &Value) {
    page.heading(3, &code(name));
    page.paragraph(&sentence(schema["description"].as_str().unwrap_or_else(|| panic!("{name} has no description"))));
    let names = schema["enum"].as_array().unwrap().iter().map(|value| value.as_str().unwrap());
    let rows: Vec<_> =
        names.map(|value| vec![code(value), meaning(name, schema, value), place(name, value).into()]).collect();
    page.table(&["value", "meaning", "where it runs"], &rows);
}

fn meaning(name: &str, schema: &Value, value: &str) -> String {
    let meaning = schema["x-enumDescriptions"][value].as_str();
    sentence(meaning.unwrap_or_else(|| panic!("{value} of {name} has no meaning: declare it with `wire_names!`")))
}

/// Whether an execution mode counts as local.
fn place(name: &str, value: &str) -> &'static str {
    match ExecutionMode::from_name(value).filter(|_| name == "ExecutionMode") {
        Some(mode) if mode.is_local() => "`execution=local`",
        Some(_) => "`execution=cloud`",
        None => "",
    }
}

fn write_statuses(page: &mut Page) {
    page.heading(3, "Status of a remote resource");
    page.paragraph(
        "`status` of [RemoteResource](#remoteresource) takes any string, and the registry keeps it as sent. \
         These words have a meaning. Case, blanks, `-` and `_` do not matter: `InService` is `in service`.",
    );
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let row = |(class, words): &(StatusClass, &[&str])| {
        let words: Vec<_> = words.iter().map(|word| code(word)).collect();
        vec![code(class.as_str()), words.join(", "), yes(class.surely_bills())]
    };
    let mut rows: Vec<_> = STATUS_WORDS.iter().map(row).collect();
    let other = "any other word, `unknown` and `failed` included";
    let may =
        "if it has an `instance_id`, `job_id`, `endpoint_url` or `ssh_host`; then it costs from nothing to the price";
    rows.push(vec![code(StatusClass::Unknown.as_str()), other.to_owned(), may.to_owned()]);
    page.table(&["status_class", "words", "billable"], &rows);
    page.paragraph(
        "A plugin is active while it holds a process, a container, or a remote resource whose status is exactly `running`. \
         Costs count while a remote resource is billable.",
    );
}

fn write_permissions(page: &mut Page) {
    page.heading(3, "Roles and permissions");
    page.paragraph("Each operation needs one permission. [Endpoints](endpoints.md) lists the roles of each operation.");
    let permissions = [
        Permission::Public,
        Permission::Read,
        Permission::Write,
        Permission::Observe,
        Permission::AnswerStop,
        Permission::Administer,
    ];
    let row = |permission: Permission| {
        let count = OPERATIONS.iter().filter(|operation| operation.permission == permission).count();
        let mut cells = vec![about(permission).to_owned(), count.to_string()];
        cells.extend(Role::ALL.iter().map(|role| if role.may(permission) { "yes" } else { "" }.to_owned()));
        cells
    };
    let mut head = vec!["permission", "operations"];
    head.extend(Role::NAMES);
    page.table(&head, &permissions.map(row));
    let scoped = Role::ALL.iter().filter(|role| role.takes_scope()).map(|role| role.as_str());
    page.paragraph(&format!("A scope can bind tokens of the roles {}.", codes(scoped)));
}

fn about(permission: Permission) -> &'static str {
    match permission {
        Permission::Public => "none: health and the description, without a token",
        Permission::Read => "read everything but secrets",
        Permission::Write => "change plugins and leases",
        Permission::Observe => "report observations",
        Permission::AnswerStop => "answer requests to stop",
        Permission::Administer => {
            "read and change tokens, webhooks, budgets, names of categories; back up; set the log level"
        }
    }
}

fn write_document(page: &mut Page, schemas: &Schemas<'_>, name: &str, schema: &Value) {
    page.heading(3, &code(name));
    if let Some(text) = schema["description"].as_str() {
        page.paragraph(&sentence(text));
    }
    let required =
        |field: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|name| name == field));
    let fields = schema["properties"].as_object().into_iter().flat_map(Map::iter);
    let (ignored, fields): (Vec<_>, Vec<_>) = fields.partition(|(_, schema)| is_ignored(schema));
    let row = |(field, schema): (&String, &Value)| {
        let is_required = if required(field) { "yes" } else { "" };
        vec![code(field), schemas.values(schema), is_required.into(), text_of(schema)]
    };
    let rows: Vec<_> = fields.into_iter().map(row).collect();
    page.table(&["field", "values", "required", "meaning"], &rows);
    if !ignored.is_empty() {
        let names = codes(ignored.iter().map(|(field, _)| field.as_str()));
        page.paragraph(&format!("Accepted, so that a reply can be sent back, and ignored: {names}."));
    }
    for (pattern, schema) in schema["patternProperties"].as_object().into_iter().flat_map(Map::iter) {
        page.paragraph(&format!("Fields that match {}: {}.", code(pattern), schemas.values(schema)));
    }
}

/// Whether a request may have the field only because replies have it.
fn is_ignored(schema: &Value) -> bool {
    schema["description"] == "Accepted, so that a reply can be sent back, and ignored."
}

/// What a field means: its own description, or that of its only choice; and its first example.
fn text_of(schema: &Value) -> String {
    let inner = &schema["oneOf"][0];
    let text = schema["description"].as_str().or_else(|| inner["description"].as_str()).unwrap_or_default();
    let example = [schema, inner].into_iter().find_map(|schema| schema["examples"].get(0));
    let example = example.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let text = if text.is_empty() { prose(text) } else { sentence(text) };
    match example {
        Some(example) => format!("{text} Example: {}", code(&example)).trim().to_owned(),
        None => text,
    }
}
