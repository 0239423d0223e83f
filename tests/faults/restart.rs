//! What must be so after a server was stopped or killed, and after it was started again.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Client, Reply};
use crate::content::Content;
use crate::image::{Documents, Image, open_image};
use crate::violation::Violation;

/// Opens a copy of the store's files: the recovery of the files themselves is left to the server.
pub(crate) fn open_copy(store: &Path) -> Result<Image, Violation> {
    let copy = TempDir::new()?;
    for suffix in ["", "-wal", "-journal"] {
        let mut source = store.as_os_str().to_owned();
        source.push(suffix);
        if Path::new(&source).exists() {
            std::fs::copy(&source, copy.path().join(format!("copy{suffix}")))?;
        }
    }
    open_image(&copy.path().join("copy")).map_err(Violation::Corrupt)
}

/// Checks that a restarted server, before anybody writes, says what `image` held before it was started, neither
/// more nor less.
pub(crate) async fn check_restarted(
    client: &Client,
    image: &Image,
    documents: &mut Documents,
) -> Result<(), Violation> {
    let Reply::Answer(answer) = client.list().await? else {
        return Err(Violation::Server("did not answer after its start".into()));
    };
    let items = answer.body.get("items").and_then(Value::as_array);
    let items = items.ok_or_else(|| Violation::WrongReply(answer.body.to_string()))?;
    if answer.revision != image.head || items.len() != image.plugins.len() {
        let (there, here) = (image.plugins.len(), items.len());
        let (head, listed) = (image.head, answer.revision);
        return Err(Violation::Lost(format!(
            "the journal had {there} plugins at {head}, the server {here} at {listed}"
        )));
    }
    items.iter().try_for_each(|item| check_item(item, image, documents))
}

fn check_item(item: &Value, image: &Image, documents: &mut Documents) -> Result<(), Violation> {
    let unique_id = item.get("unique_id").and_then(Value::as_str).unwrap_or_default();
    let Some((revision, document)) = image.plugins.get(unique_id) else {
        return Err(Violation::Twice(format!("the journal has no {unique_id}, the server {item}")));
    };
    let same_revision = item.get("revision").and_then(Value::as_u64) == Some(*revision);
    let same_content = Content::of(item).map_err(Violation::Half)? == *documents.content(*revision, document)?;
    if same_revision && same_content {
        return Ok(());
    }
    Err(Violation::Twice(format!("the journal has {document} at {revision}, the server {item}")))
}
