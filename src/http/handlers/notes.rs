//! `/plugins/{id}/notes`: lines that an application writes into the history of its plugin.

use axum::extract::State;
use axum::response::Response;
use serde_json::Value;

use crate::http::extract::body::JsonBody;
use crate::http::extract::path::PluginPath;
use crate::http::extract::write::Write;
use crate::http::middleware::rate_limit::RateLimitKey;
use crate::http::problem::{Kind, Problem};
use crate::http::state::Shared;
use domain::change::Note;
use domain::command::Command;
use domain::plugin::read::{ObjectReader, line};
use domain::plugin::{FreeJson, Invalid};
use domain::record::PluginDocument;

/// The longest line, in characters.
pub(crate) const MAX_TEXT: usize = 1_000;

/// The longest data of a line, in bytes as the registry writes them.
const MAX_DATA: usize = 4_096;

/// The fields that [`note_of`] takes.
pub(crate) const NOTE_FIELDS: &[&str] = &["text", "data"];

/// Reads a line.
pub(crate) fn note_of(body: Value) -> Result<Note, Invalid> {
    let mut fields = ObjectReader::new(body, "", NOTE_FIELDS, &[])?;
    let text = fields.required("text", line(MAX_TEXT));
    let data = fields.optional("data", data).flatten();
    fields.finish()?;
    let text = text.ok_or_else(|| Invalid::at("/text", "is required"))?;
    Ok(Note { text, data })
}

fn data(value: Value, pointer: &str) -> Result<Option<FreeJson>, Invalid> {
    let data = Some(value).filter(|value| !value.is_null()).map(|value| FreeJson::from(&value));
    if data.as_ref().is_some_and(|data| data.as_str().len() > MAX_DATA) {
        return Err(Invalid::at(pointer, format!("must not be longer than {MAX_DATA} bytes")));
    }
    Ok(data)
}

/// Write a line into a plugin's history.
///
/// For what an application wants people to see between the changes: a job started, a checkpoint was written. The line is
/// an event `plugin.noted`. A plugin takes 60 lines at once, and one more each second.
#[utoipa::path(post, path = "/plugins/{id}/notes", tag = "plugins", responses(
    (status = OK, description = "The plugin after the change", body = PluginDocument),
))]
pub(crate) async fn write_note(
    State(api): State<Shared>,
    PluginPath(id): PluginPath,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let note = note_of(body)?;
    if let Some(wait) = api.notes.count(&RateLimitKey::Named(id.as_str().into())).wait {
        let detail = "the plugin has too many notes; write one more each second";
        return Err(Problem::new(Kind::TooManyRequests, detail).with_retry_after(wait));
    }
    write.run(Command::Note { id, note }).await
}
