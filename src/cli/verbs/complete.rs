//! Completion of values in a shell: ids, labels and words of the API.
//!
//! A shell waits for it: it asks the registry for at most 300 ms, keeps the answer for 10 seconds, and is silent when it
//! fails.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use serde_json::Value;

use crate::cli::config_file::ConfigFolder;
use crate::cli::connection::ConnectionArgs;
use crate::client::{Call, Client};
use crate::clock::{Clock as _, SystemClock};

/// Every kind of finding.
pub const FINDINGS: &str = "orphan,ghost,reused,unverified,overdue";

/// How long the registry may take.
const PATIENCE: Duration = Duration::from_millis(300);

/// How many values a shell is shown.
const MOST: &str = "200";

/// How long an answer is kept, in seconds.
const KEPT: i64 = 10;

/// The filters of `GET /plugins`.
const FILTERS: [&str; 20] = [
    "active=",
    "billable=",
    "category=",
    "name=",
    "execution_mode=",
    "execution=",
    "configured=",
    "provider=",
    "status=",
    "status_class=",
    "gpu_type=",
    "host=",
    "lease_id=",
    "label.",
    "pid=",
    "container_id=",
    "q=",
    "updated_since=",
    "finding=",
    "verified=",
];

/// Kinds of changes.
const CHANGES: [&str; 31] = [
    "plugin.registered",
    "plugin.updated",
    "plugin.pids_changed",
    "plugin.container_changed",
    "remote_resource.changed",
    "remote_resource.status_changed",
    "config.saved",
    "config.deleted",
    "plugin.removed",
    "category.named",
    "budget.saved",
    "budget.removed",
    "budget.threshold_reached",
    "budget.breach_projected",
    "budget.burn_exceeded",
    "budget.burn_recovered",
    "lease.granted",
    "lease.expired",
    "lease.revived",
    "lease.released",
    "lease.forgotten",
    "resource.observed",
    "resource.left_behind",
    "resource.ended",
    "resource.released",
    "resource.expires_soon",
    "resource.expiry_set",
    "finding.raised",
    "finding.cleared",
    "finding.acknowledged",
    "finding.unacknowledged",
];

fn words(words: &'static [&'static str]) -> ArgValueCompleter {
    ArgValueCompleter::new(move |typed: &OsStr| matching(words.iter().map(|word| (*word).to_owned()), typed))
}

/// Ids of plugins.
pub fn plugins() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| matching(ids(typed).into_iter(), typed))
}

/// Filters of plugins.
pub fn filters() -> ArgValueCompleter {
    words(&FILTERS)
}

/// Labels that plugins have: `KEY=VALUE`.
pub fn labels() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| matching(known_labels().into_iter(), typed))
}

/// Kinds of findings.
pub fn findings() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| matching(FINDINGS.split(',').map(str::to_owned), typed))
}

/// Kinds of resources.
pub fn kinds() -> ArgValueCompleter {
    words(&["process", "container", "remote"])
}

/// Kinds of changes.
pub fn changes() -> ArgValueCompleter {
    words(&CHANGES)
}

/// What costs are grouped by.
pub fn groups() -> ArgValueCompleter {
    words(&["plugin", "category", "provider", "gpu_type", "status_class", "host", "label."])
}

/// States of leases.
pub fn lease_states() -> ArgValueCompleter {
    words(&["active", "lost", "released"])
}

/// Names of contexts.
pub fn contexts() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let file = ConfigFolder::find().and_then(|folder| folder.read().ok()).unwrap_or_default();
        matching(file.contexts.into_keys(), typed)
    })
}

fn matching(words: impl Iterator<Item = String>, typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    words.filter(|word| word.starts_with(&*typed)).map(CompletionCandidate::new).collect()
}

fn ids(typed: &OsStr) -> Vec<String> {
    let typed = typed.to_string_lossy();
    let mut call = Call::get(&["plugins"]).with("fields", "unique_id").with("limit", MOST);
    if !typed.is_empty() {
        call = call.with("q", typed.as_ref());
    }
    let page = asked(&format!("ids-{typed}"), &call).unwrap_or_default();
    let items = page.get("items").and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| item.get("unique_id")?.as_str().map(str::to_owned)).collect()
}

fn known_labels() -> Vec<String> {
    let call = Call::get(&["plugins"]).with("fields", "labels").with("limit", MOST);
    let page = asked("labels", &call).unwrap_or_default();
    let items = page.get("items").and_then(Value::as_array).into_iter().flatten();
    let labels = items.filter_map(|item| item.get("labels")?.as_object()).flatten();
    let mut labels: Vec<String> =
        labels.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
    labels.sort();
    labels.dedup();
    labels
}

/// The registry's answer, or a recent one.
fn asked(key: &str, call: &Call) -> Option<Value> {
    let client = ConnectionArgs::of_environment()?.client().ok()?;
    let place = kept_at(&client, key);
    if let Some(kept) = place.as_ref().and_then(recent) {
        return Some(kept);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let asked = runtime.block_on(async { tokio::time::timeout(PATIENCE, client.call(call)).await });
    let answer = asked.ok()?.ok()?;
    let document = answer.json().ok()?;
    if let Some(place) = place {
        keep(&place, &document);
    }
    Some(document)
}

/// Where an answer is kept: the user's own folder, because it tells what the user may read.
fn kept_at(client: &Client, key: &str) -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    let safe = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let name: String = format!("{} {key}", client.server()).chars().map(safe).take(120).collect();
    Some(base.join("plugin-registry").join("completion").join(name))
}

fn recent(place: &PathBuf) -> Option<Value> {
    let kept: Value = serde_json::from_slice(&std::fs::read(place).ok()?).ok()?;
    let age = SystemClock.now().as_second() - kept.get("at")?.as_i64()?;
    (0..KEPT).contains(&age).then(|| kept.get("document").cloned())?
}

fn keep(place: &PathBuf, document: &Value) {
    let kept = serde_json::json!({ "at": SystemClock.now().as_second(), "document": document });
    let Some(folder) = place.parent() else { return };
    // Without a cache, the next completion asks again.
    let made = std::os::unix::fs::DirBuilderExt::mode(std::fs::DirBuilder::new().recursive(true), 0o700).create(folder);
    if made.is_ok()
        && let Ok(mut file) = tempfile::NamedTempFile::new_in(folder)
        && std::io::Write::write_all(&mut file, kept.to_string().as_bytes()).is_ok()
    {
        drop(file.persist(place));
    }
}
