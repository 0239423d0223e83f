//! `-w`: prints a list, then the rows that are new or different, whenever the registry changes.

use std::collections::HashMap;

use futures_util::FutureExt as _;
use serde_json::{Value, json};

use crate::cli::output::kind::Kind;
use crate::cli::output::printer::Printer;
use crate::cli::session::Session;
use crate::client::{Call, Live};

/// Prints a list, and its changes until Ctrl-C.
///
/// # Errors
///
/// If the registry refuses the request, or standard output is closed.
pub async fn list(session: &Session, kind: &'static Kind, call: &Call) -> anyhow::Result<()> {
    let mut shown: HashMap<String, Value> = HashMap::new();
    let mut printer = session.printer.clone();
    loop {
        // The stream begins before the list is read, so that no change falls between them.
        let mut live = session.follow(Call::get(&["events"])).await?;
        loop {
            let document = session.whole_list(call).await?;
            changes(&mut printer, kind, &document, &mut shown)?;
            if !has_changed(&mut live).await {
                break;
            }
        }
        session.printer.say("the connection is lost; connecting again");
        tokio::time::sleep(super::RETRY).await;
    }
}

/// Waits for a change, and takes all that have come with it: one reading shows them all. Returns false if the stream has
/// ended.
async fn has_changed(live: &mut Live) -> bool {
    let mut goes_on = is_changed(live).await;
    while goes_on {
        match is_changed(live).now_or_never() {
            Some(changed) => goes_on = changed,
            None => return true,
        }
    }
    false
}

/// Waits for one change.
async fn is_changed(live: &mut Live) -> bool {
    loop {
        match live.next().await {
            Ok(Some(event)) if matches!(event.name.as_str(), "change" | "removal") => return true,
            Ok(Some(event)) if event.name == "cut_off" => return false,
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return false,
        }
    }
}

fn changes(
    printer: &mut Printer,
    kind: &'static Kind,
    document: &Value,
    shown: &mut HashMap<String, Value>,
) -> anyhow::Result<()> {
    let items = document.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let present: HashMap<String, Value> = items.iter().map(|item| (kind.name_of(item), item.clone())).collect();
    for gone in shown.keys().filter(|name| !present.contains_key(*name)) {
        printer.say(&format!("gone: {gone}"));
    }
    let fresh: Vec<Value> = items.into_iter().filter(|item| shown.get(&kind.name_of(item)) != Some(item)).collect();
    if !fresh.is_empty() {
        printer.whole_list(kind, json!({ "items": fresh }))?;
        *printer = printer.clone().continued();
    }
    *shown = present;
    Ok(())
}
