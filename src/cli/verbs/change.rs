//! `update`, `label` and `rm`: one plugin's document.

use clap::Args;
use hyper::Method;
use hyper::header::IF_MATCH;
use serde_json::{Map, Value, json};

use super::get::plugin;
use crate::cli::exit_code;
use crate::cli::failure::{Failure, Usage};
use crate::cli::output::kind::PLUGIN;
use crate::cli::output::path;
use crate::cli::session::{Session, SessionArgs};
use crate::client::{Call, ClientError};

/// The flags of `update`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry update inference_llm title='LLM server' remote_resource.status=running
  plugin-registry update inference_llm host=null       clears a field
  plugin-registry update inference_llm --patch '{\"remote_resource\": {\"gpu_count\": 4}}'

A value is JSON, or else a string. Next: plugin-registry history ID")]
pub struct UpdateArgs {
    /// The plugin's unique_id.
    #[arg(value_name = "ID", add = super::complete::plugins())]
    id: String,
    /// Fields, deep ones by dots.
    #[arg(value_name = "FIELD=VALUE", required_unless_present = "patch", value_parser = super::filters::pair)]
    fields: Vec<(String, String)>,
    /// A merge patch (RFC 7396) instead.
    #[arg(long, value_name = "JSON", conflicts_with = "fields")]
    patch: Option<String>,
    /// Only if the plugin still has this ETag, or this revision.
    #[arg(long, value_name = "ETAG|REVISION")]
    if_match: Option<String>,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// The flags of `label`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry label inference_llm team=speech stage=test
  plugin-registry label inference_llm stage-           removes a label")]
pub struct LabelArgs {
    /// The plugin's unique_id.
    #[arg(value_name = "ID", add = super::complete::plugins())]
    id: String,
    /// Labels to set, or to remove.
    #[arg(value_name = "KEY=VALUE|KEY-", required = true)]
    labels: Vec<String>,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// The flags of `rm`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry rm inference_llm               asks first, and shows what it holds
  plugin-registry rm inference_llm --yes
  plugin-registry rm inference_llm --force       even if it holds something; the registry then forgets that

Exit code 5: it still holds something. Next: plugin-registry release ID KIND:X")]
pub struct RmArgs {
    /// The plugins' unique_ids.
    #[arg(value_name = "ID", required = true, add = super::complete::plugins())]
    ids: Vec<String>,
    /// Remove it even if it holds resources that may still run or bill.
    #[arg(long)]
    force: bool,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// Changes fields of a plugin.
///
/// # Errors
///
/// If the registry is unreachable or refuses the request.
pub async fn update(session: Session, args: &UpdateArgs) -> anyhow::Result<u8> {
    let patch = match &args.patch {
        Some(text) => serde_json::from_str(text).map_err(|error| Usage(format!("--patch is no JSON: {error}")))?,
        None => patch_of(&args.fields),
    };
    let mut call = Call::new(Method::PATCH, &["plugins", &args.id]).json(&patch);
    if let Some(wanted) = &args.if_match {
        call = call.header(IF_MATCH, tag(&session, &args.id, wanted).await?);
    }
    let changed = session.json(&call).await?;
    session.printer.one(&PLUGIN, &changed)?;
    Ok(0)
}

/// The ETag that is wanted; that of a revision is read first.
async fn tag(session: &Session, id: &str, wanted: &str) -> anyhow::Result<String> {
    let Ok(revision) = wanted.parse::<u64>() else {
        return Ok(if wanted.starts_with('"') || wanted == "*" { wanted.to_owned() } else { format!("\"{wanted}\"") });
    };
    let answer = session.call(&Call::get(&["plugins", id])).await?;
    let found = answer.json()?.get("revision").and_then(Value::as_u64);
    // A tag that no plugin has lets the registry refuse in its own words.
    let outdated = || "\"outdated\"".to_owned();
    Ok(answer.tag().filter(|_| found == Some(revision)).unwrap_or_else(outdated))
}

/// The merge patch of `FIELD=VALUE` words.
fn patch_of(fields: &[(String, String)]) -> Value {
    let mut patch = Map::new();
    for (field, text) in fields {
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
        put(&mut patch, field, value);
    }
    Value::Object(patch)
}

fn put(document: &mut Map<String, Value>, field: &str, value: Value) {
    // A label's key may have dots itself.
    let deep = field.split_once('.');
    let Some((first, rest)) = deep else {
        document.insert(field.to_owned(), value);
        return;
    };
    let inner = document.entry(first).or_insert_with(|| json!({}));
    if let Value::Object(inner) = inner {
        if first == "labels" {
            inner.insert(rest.to_owned(), value);
        } else {
            put(inner, rest, value);
        }
    }
}

/// Sets and removes labels.
///
/// # Errors
///
/// If the registry is unreachable or refuses the request.
pub async fn label(session: Session, args: &LabelArgs) -> anyhow::Result<u8> {
    let mut labels = Map::new();
    for word in &args.labels {
        match (word.split_once('='), word.strip_suffix('-')) {
            (Some((key, value)), _) if !key.is_empty() => labels.insert(key.into(), value.into()),
            (None, Some(key)) if !key.is_empty() => labels.insert(key.into(), Value::Null),
            _ => return Err(Usage(format!("`{word}` is no label: write KEY=VALUE, or KEY- to remove it")).into()),
        };
    }
    let call = Call::new(Method::PATCH, &["plugins", &args.id]).json(&json!({ "labels": labels }));
    let changed = session.json(&call).await?;
    session.printer.one(&PLUGIN, &changed)?;
    Ok(0)
}

/// Removes plugins.
///
/// # Errors
///
/// If one does not exist or still holds something, or the registry is unreachable or refuses the request.
pub async fn remove(session: Session, args: &RmArgs) -> anyhow::Result<u8> {
    for id in &args.ids {
        if session.may_ask() && !args.yes {
            let held = held_by(&plugin(&session, id).await?);
            let what = if held.is_empty() { "nothing".to_owned() } else { held.join(", ") };
            session.confirm(&format!("{id} holds {what}. Remove it?"), false)?;
        }
        let mut call = Call::new(Method::DELETE, &["plugins", id]);
        if args.force {
            call = call.with("force", "true");
        }
        match session.call(&call).await {
            Ok(_) => session.printer.say(&format!("removed {id}")),
            Err(error) => return Err(still_held(&session, id, error).await),
        }
    }
    Ok(0)
}

/// The failure of a removal: if the plugin still holds something, it names what, and the command that releases it.
async fn still_held(session: &Session, id: &str, error: anyhow::Error) -> anyhow::Error {
    let is_conflict = |error: &ClientError| matches!(error, ClientError::Refused { status: 409, .. });
    if !error.downcast_ref().is_some_and(is_conflict) {
        return error;
    }
    match plugin(session, id).await.map(|plugin| held_by(&plugin)) {
        Ok(held) if !held.is_empty() => anyhow::Error::new(Failure {
            what: format!("`{id}` still holds {}; release that first, or remove it with --force", held.join(", ")),
            advice: Some(format!("plugin-registry release {id} {}", held.join(" "))),
            code: exit_code::CONFLICT,
        }),
        _ => error,
    }
}

/// What a plugin holds, as `KIND:ID`.
fn held_by(plugin: &Value) -> Vec<String> {
    let field = |name: &str| path::at(plugin, name).filter(|value| !value.is_null());
    let pids = field("spawned_pids").and_then(Value::as_array).into_iter().flatten();
    let mut held: Vec<String> = pids.map(|pid| format!("process:{pid}")).collect();
    held.extend(field("container_id").map(|id| format!("container:{}", path::raw(Some(id)))));
    let name = ["instance_id", "job_id", "endpoint_url", "ssh_host"]
        .iter()
        .find_map(|name| field(&format!("remote_resource.{name}")));
    held.extend(name.map(|id| format!("remote:{}", path::raw(Some(id)))));
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_a_merge_patch() {
        let words = [("title", "A b"), ("host", "null"), ("remote_resource.gpu_count", "4"), ("labels.a.b", "c")];
        let words = words.map(|(field, value)| (field.to_owned(), value.to_owned()));
        let patch = json!({
            "title": "A b", "host": null, "remote_resource": { "gpu_count": 4 }, "labels": { "a.b": "c" },
        });
        assert_eq!(patch_of(&words), patch);
    }
}
