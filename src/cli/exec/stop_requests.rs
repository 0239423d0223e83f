//! Requests to stop the command, from the registry.
//!
//! The monitor follows the events of its plugin, of one kind: an idle connection. The registry sends nothing over it until
//! a client asks to stop the plugin, so that exec hears of it at once and no poll is needed.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::client::{Call, Client, ClientError};

/// How long the command keeps running while the registry takes the answer.
const ANSWER: Duration = Duration::from_secs(1);

/// The pauses after a failure: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The request to stop that stood when the command was registered, or null. It was meant for an earlier run.
pub type EarlierRequest = Value;

/// Follows the requests to stop one plugin.
pub struct StopRequests {
    client: Client,
    unique_id: String,
    obeys: bool,
    /// Where a request to stop the command goes.
    stop: mpsc::Sender<()>,
    /// Where the next stream begins: after this revision, or after the event with this id. `None` if unknown.
    position: Option<String>,
    /// The last request that was answered, or an earlier one.
    known: Value,
}

impl StopRequests {
    /// Requests to stop a plugin. If it `obeys`, each is sent to `stop`; else it is answered with a refusal.
    pub fn new(client: Client, unique_id: String, obeys: bool, stop: mpsc::Sender<()>) -> StopRequests {
        StopRequests { client, unique_id, obeys, stop, position: None, known: Value::Null }
    }

    /// Follows them from the registration of the command on, as long as it is polled.
    pub async fn follow(mut self, registered: oneshot::Receiver<EarlierRequest>) {
        // Without a registration, there is no plugin that could be asked to stop.
        let Ok(earlier) = registered.await else { return };
        self.known = earlier;
        let mut pause = FIRST_PAUSE;
        loop {
            let before = self.position.clone();
            match self.follow_once().await {
                Ok(()) => {}
                Err(error) => {
                    debug!("cannot follow requests to stop: {}", error.with_causes());
                    // The store is another one, or has compacted what came after the position.
                    if error.status() == Some(410) {
                        self.position = None;
                    }
                }
            }
            pause = if self.position == before { (pause * 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
            sleep(pause).await;
        }
    }

    async fn follow_once(&mut self) -> Result<(), ClientError> {
        if self.position.is_none() {
            let plugin = self.client.plugin(&self.unique_id).await?;
            self.position = plugin.get("revision").map(Value::to_string);
            self.notice(&plugin).await;
        }
        let call = Call::get(&["events"]).with("plugin", &*self.unique_id).with("kind", "plugin.stop_requested");
        let mut live = self.client.follow(call.with("lastEventId", self.position.clone().unwrap_or_default())).await?;
        while let Some(event) = live.next().await? {
            if event.name == "change"
                && let Ok(change) = serde_json::from_str::<Value>(&event.data)
                && let Some(plugin) = change.pointer("/data/plugin")
            {
                self.notice(plugin).await;
            }
            if !event.id.is_empty() {
                self.position = Some(event.id);
            }
        }
        Ok(())
    }

    /// Answers the request that a plugin's document shows, once.
    async fn notice(&mut self, plugin: &Value) {
        let Some(request) = plugin.get("stop_requested").filter(|request| !request.is_null()) else { return };
        if *request == self.known {
            return;
        }
        self.known = request.clone();
        let of = |field| request.get(field).and_then(Value::as_str);
        let (by, reason) = (of("by").unwrap_or("a client"), of("reason").unwrap_or("no reason given"));
        let answer = if self.obeys {
            warn!("{by} asks to stop the command: {reason}; sending SIGTERM");
            json!({"answer": "accepted", "detail": "exec sends SIGTERM to the command"})
        } else {
            info!("{by} asks to stop the command: {reason}; it goes on because of --ignore-stop-requests");
            json!({"answer": "refused", "detail": "exec was started with --ignore-stop-requests"})
        };
        match timeout(ANSWER, self.client.answer_stop(&self.unique_id, &answer)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!("cannot answer the request to stop: {}", error.with_causes()),
            Err(_) => warn!("cannot answer the request to stop: the registry does not respond"),
        }
        if self.obeys {
            // The monitor ends with the command, and then needs no more requests.
            let _ignored = self.stop.send(()).await;
        }
    }
}
