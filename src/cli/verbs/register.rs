//! `register`: one plugin by flags or a file, or many.

use std::path::PathBuf;

use clap::Args;
use hyper::Method;
use hyper::header::{ACCEPT, IF_NONE_MATCH};
use serde_json::{Map, Value, json};

use super::difference::between;
use super::document::{read, read_all};
use super::filters::pair;
use crate::cli::exit_code;
use crate::cli::failure::Usage;
use crate::cli::output::kind::{PLUGIN, REGISTERED};
use crate::cli::output::path;
use crate::cli::progress::Progress;
use crate::cli::session::{Session, SessionArgs};
use crate::client::{Call, ClientError};

/// How many plugins a request registers.
const BATCH: usize = 500;

/// The flags of `register`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry register --category transcription --name whisper --title Whisper
  plugin-registry register -f plugin.yaml --dry-run    new, changed or same, and what would change
  plugin-registry register -f all.ndjson               many: JSON, NDJSON or YAML

Next: plugin-registry hold ID --pid PID, plugin-registry get ID")]
pub struct RegisterArgs {
    /// A file with one plugin or many: JSON, NDJSON or YAML; `-` is standard input.
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["category", "name"])]
    file: Option<PathBuf>,
    /// The category.
    #[arg(long, required_unless_present = "file")]
    category: Option<String>,
    /// The name within the category.
    #[arg(long, required_unless_present = "file")]
    name: Option<String>,
    /// The display name. Default: the name.
    #[arg(long, conflicts_with = "file")]
    title: Option<String>,
    /// A file with the JSON Schema of configurations. Default: any object.
    #[arg(long, value_name = "FILE", conflicts_with = "file", hide_short_help = true)]
    config_schema: Option<PathBuf>,
    /// Where the plugin does its work, such as subprocess, docker or cloud_gpu.
    #[arg(long, value_name = "MODE", conflicts_with = "file", hide_short_help = true)]
    mode: Option<String>,
    /// The host of its processes and container.
    #[arg(long, value_name = "NAME", conflicts_with = "file", hide_short_help = true)]
    host: Option<String>,
    /// Its processes.
    #[arg(long, value_name = "PID", conflicts_with = "file", hide_short_help = true)]
    pid: Vec<u32>,
    /// A label.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair, conflicts_with = "file")]
    label: Vec<(String, String)>,
    /// Fail if the plugin exists (exit code 5).
    #[arg(long)]
    create_only: bool,
    /// Change nothing: show what is new, changed or the same.
    #[arg(long)]
    dry_run: bool,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// Registers plugins.
///
/// # Errors
///
/// If the registry is unreachable or refuses a request.
pub async fn run(session: Session, args: &RegisterArgs) -> anyhow::Result<u8> {
    let documents = match &args.file {
        Some(file) => read_all(file)?,
        None => vec![of_flags(args)?],
    };
    match documents.as_slice() {
        documents if args.dry_run => plan(&session, documents).await,
        [only] => {
            let plugin = session.json(&registration(only, args.create_only)).await?;
            session.printer.one(&PLUGIN, &plugin)?;
            Ok(0)
        }
        documents if args.create_only => one_by_one(&session, documents).await,
        documents => many(&session, documents).await,
    }
}

fn registration(document: &Value, create_only: bool) -> Call {
    let call = Call::new(Method::POST, &["plugins"]).json(document);
    if create_only { call.header(IF_NONE_MATCH, "*") } else { call }
}

fn of_flags(args: &RegisterArgs) -> anyhow::Result<Value> {
    let mut document = Map::new();
    let mut add = |name: &str, value: Value| document.insert(name.to_owned(), value);
    add("category", json!(args.category));
    add("name", json!(args.name));
    add("title", json!(args.title.as_ref().or(args.name.as_ref())));
    let schema = args.config_schema.as_ref().map(|file| read(file)).transpose()?;
    add("config_schema", schema.unwrap_or_else(|| json!({ "type": "object" })));
    if let Some(mode) = &args.mode {
        add("execution_mode", json!(mode));
    }
    if let Some(host) = &args.host {
        add("host", json!(host));
    }
    if !args.pid.is_empty() {
        add("spawned_pids", json!(args.pid));
    }
    if !args.label.is_empty() {
        add("labels", args.label.iter().map(|(key, value)| (key.clone(), json!(value))).collect::<Map<_, _>>().into());
    }
    Ok(Value::Object(document))
}

fn id_of(document: &Value) -> Result<String, Usage> {
    let field = |name: &str| document.get(name).and_then(Value::as_str);
    match (field("category"), field("name")) {
        (Some(category), Some(name)) => Ok(format!("{category}_{name}")),
        _ => Err(Usage("a registration needs `category` and `name`".into())),
    }
}

/// Shows what registrations would do.
async fn plan(session: &Session, documents: &[Value]) -> anyhow::Result<u8> {
    let mut rows = Vec::new();
    for document in documents {
        let id = id_of(document)?;
        let row = match session.json(&Call::get(&["plugins", &id])).await {
            Ok(present) => {
                let changed = changes(&present, document);
                let result = if changed.is_empty() { "same" } else { "changed" };
                for one in &changed {
                    let shown = |name: &str| one.get(name).map(Value::to_string).unwrap_or_default();
                    let field = path::raw(one.get("field"));
                    session.printer.say(&format!("{id}: {field}: {} -> {}", shown("before"), shown("after")));
                }
                json!({ "unique_id": id, "result": result, "changed": changed })
            }
            Err(error) if error.downcast_ref::<ClientError>().and_then(ClientError::status) == Some(404) => {
                json!({ "unique_id": id, "result": "new" })
            }
            Err(error) => return Err(error),
        };
        rows.push(row);
    }
    session.printer.whole_list(&REGISTERED, json!({ "items": rows }))?;
    Ok(0)
}

/// The fields that the document names and the plugin has otherwise.
fn changes(present: &Value, document: &Value) -> Vec<Value> {
    let mut after = present.clone();
    if let (Some(after), Some(document)) = (after.as_object_mut(), document.as_object()) {
        after.extend(document.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    between(present, &after)
}

/// A request for each, which must be new.
async fn one_by_one(session: &Session, documents: &[Value]) -> anyhow::Result<u8> {
    for document in documents {
        session.json(&registration(document, true)).await?;
    }
    session.printer.say(&format!("created {}", documents.len()));
    Ok(0)
}

/// What has been done so far.
#[derive(Debug, Default)]
struct Done {
    created: u64,
    present: u64,
    failed: u64,
}

impl Done {
    fn report(&self) -> String {
        format!("{} created, {} were there already, {} failed", self.created, self.present, self.failed)
    }
}

/// Batches of lines, with progress; Ctrl-C ends between two of them.
async fn many(session: &Session, documents: &[Value]) -> anyhow::Result<u8> {
    let mut progress = Progress::new("plugins", u64::try_from(documents.len()).ok(), session.printer.is_quiet());
    let mut list = session.printer.list(&REGISTERED);
    let mut done = Done::default();
    for batch in documents.chunks(BATCH) {
        let body: String = batch.iter().flat_map(|document| [document.to_string(), "\n".to_owned()]).collect();
        let call = Call::new(Method::POST, &["plugins"])
            .header(ACCEPT, "application/x-ndjson")
            .body("application/x-ndjson", body);
        let answer = tokio::select! {
            answer = session.call(&call) => answer?,
            _ = tokio::signal::ctrl_c() => {
                progress.end();
                session.printer.say(&format!("interrupted: {}; the last batch may be registered, too", done.report()));
                return Ok(exit_code::INTERRUPTED);
            }
        };
        let rows: Vec<Value> = String::from_utf8_lossy(&answer.body)
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .map(|row| counted(row, &mut done))
            .collect();
        progress.add(u64::try_from(rows.len()).unwrap_or_default(), &done.report());
        list.page(json!({ "items": rows }))?;
    }
    progress.end();
    list.end()?;
    session.printer.say(&done.report());
    Ok(if done.failed > 0 { exit_code::FAILED } else { 0 })
}

/// The result of a line, in a word.
fn counted(mut row: Value, done: &mut Done) -> Value {
    let result = match row.get("status").and_then(Value::as_u64) {
        Some(201) => {
            done.created += 1;
            "created"
        }
        Some(200..=299) => {
            done.present += 1;
            "present"
        }
        _ => {
            done.failed += 1;
            "failed"
        }
    };
    if let Some(members) = row.as_object_mut() {
        members.insert("result".into(), result.into());
    }
    row
}
