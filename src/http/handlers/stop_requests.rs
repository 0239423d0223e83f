//! `/plugins/{id}/stop_request`: clients ask to stop a plugin, and what runs it answers.
//!
//! The registry stops nothing itself. `exec` follows the events of its plugin and obeys.

use axum::response::Response;
use serde_json::Value;

use crate::http::extract::body::JsonBody;
use crate::http::extract::path::PluginPath;
use crate::http::extract::write::Write;
use crate::http::problem::Problem;
use domain::command::Command;
use domain::plugin::Invalid;
use domain::plugin::read::{ObjectReader, line, nullable, one_of, time};
use domain::record::{PluginDocument, StopAnswerTerms, StopTerms, StopVerdict};

/// The longest reason and the longest detail, in characters.
pub(crate) const MAX_TEXT: usize = 500;

/// The fields that [`request_of`] takes.
pub(crate) const REQUEST_FIELDS: &[&str] = &["reason", "deadline"];

/// The fields that [`answer_of`] takes.
pub(crate) const ANSWER_FIELDS: &[&str] = &["answer", "detail"];

/// Reads a request to stop.
pub(crate) fn request_of(body: Value) -> Result<StopTerms, Invalid> {
    let mut fields = ObjectReader::new(body, "", REQUEST_FIELDS, &[])?;
    let reason = fields.optional("reason", nullable(line(MAX_TEXT))).flatten();
    let deadline = fields.optional("deadline", nullable(time)).flatten();
    fields.finish()?;
    Ok(StopTerms { reason, deadline })
}

/// Reads an answer.
pub(crate) fn answer_of(body: Value) -> Result<StopAnswerTerms, Invalid> {
    let mut fields = ObjectReader::new(body, "", ANSWER_FIELDS, &[])?;
    let answer = fields.required("answer", one_of(StopVerdict::NAMES, StopVerdict::from_name));
    let detail = fields.optional("detail", nullable(line(MAX_TEXT))).flatten();
    fields.finish()?;
    let answer = answer.ok_or_else(|| Invalid::at("/answer", "is required"))?;
    Ok(StopAnswerTerms { answer, detail })
}

/// Ask to stop a plugin.
///
/// The registry stops nothing. It sends the event `plugin.stop_requested`, and shows the request as `stop_requested` until
/// it is answered, or until nothing that the plugin holds may still run or bill. `exec` obeys it, unless it was started
/// with `--ignore-stop-requests`. A new request replaces the earlier one.
#[utoipa::path(post, path = "/plugins/{id}/stop_request", tag = "plugins", responses(
    (status = OK, description = "The plugin after the change", body = PluginDocument),
    (status = CONFLICT, description = "The plugin holds nothing that may still run or bill"),
))]
pub(crate) async fn request_stop(
    PluginPath(id): PluginPath,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let request = request_of(body)?;
    if request.deadline.is_some_and(|deadline| deadline <= write.now()) {
        return Err(Invalid::at("/deadline", "must be in the future").into());
    }
    write.run(Command::RequestStop { id, request }).await
}

/// Answer the request to stop a plugin.
///
/// For what runs the plugin: an application, `exec` or an agent. `stop_requested` is null from then on, and `stop_answer`
/// has the answer with its request, until nothing that the plugin holds may still run or bill. A later answer replaces an
/// earlier one.
#[utoipa::path(put, path = "/plugins/{id}/stop_request/answer", tag = "plugins", responses(
    (status = OK, description = "The plugin after the change", body = PluginDocument),
    (status = CONFLICT, description = "There is no request to stop the plugin"),
))]
pub(crate) async fn answer_stop(
    PluginPath(id): PluginPath,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let answer = answer_of(body)?;
    write.run(Command::AnswerStop { id, answer }).await
}
