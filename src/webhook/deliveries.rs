//! All webhooks, as the rest of the program holds them: made, changed, asked for, and stopped.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::back_off::BackOff;
use super::courier::{Attempt, Courier};
use super::delivery::{Delivery, Means, Shared, blocking};
use super::hook::{Draft, Webhook};
use super::message::Message;
use super::target::Reach;
use crate::clock::{Clock, new_identity};
use crate::plugin::Invalid;
use crate::registry::history::ChangeRange;
use crate::registry::past::PastError;
use crate::registry::{Registry, Revision};
use crate::store::{Progress, StoreError};

/// The most webhooks that there can be: each is a task that looks at every change.
pub const MAX_WEBHOOKS: usize = 100;

/// How deliveries are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Where they may go.
    pub reach: Reach,
    /// How long an attempt may take. More lets one slow target lag behind; less gives up answers that would come.
    pub attempt_time: Duration,
    /// When one that failed is tried again.
    pub back_off: BackOff,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { reach: Reach::Public, attempt_time: Duration::from_secs(15), back_off: BackOff::default() }
    }
}

/// Why something could not be done with a webhook.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// There is none of that id.
    #[error("there is no webhook `{0}`")]
    NotFound(String),
    /// There are as many as there can be.
    #[error("there are {MAX_WEBHOOKS} webhooks already, which is the most; remove one first")]
    TooMany,
    /// What was sent breaks the rules.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The store did not do it.
    #[error("the store did not take it")]
    Store(#[from] StoreError),
    /// The journal cannot be read.
    #[error(transparent)]
    Past(#[from] PastError),
    /// The service is stopping, or has a fault.
    #[error("the service is stopping")]
    Stopped,
}

/// A webhook at a moment.
#[derive(Debug, Clone)]
pub struct View {
    /// What its owner has set.
    pub webhook: Arc<Webhook>,
    /// How far it has come.
    pub progress: Progress,
}

/// All webhooks. Cheap to clone.
#[derive(Clone)]
pub struct Deliveries(Arc<Inner>);

struct Inner {
    means: Arc<Means>,
    reach: Reach,
    running: Mutex<BTreeMap<String, Running>>,
    /// Held while webhooks are changed, so that one change is whole before the next begins.
    changing: tokio::sync::Mutex<()>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// A webhook and its task, if it has one.
#[derive(Clone)]
struct Running {
    webhook: Arc<Webhook>,
    progress: Shared,
    stop: CancellationToken,
    /// Has ended when the task has.
    tasks: TaskTracker,
}

impl Running {
    fn view(&self) -> View {
        View { webhook: Arc::clone(&self.webhook), progress: self.progress.get() }
    }

    /// Stops the task, and returns when nothing is sent any more.
    async fn end(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Deliveries {
    /// Goes on with the webhooks that the registry's store keeps. Call it within a runtime; it reads the store.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn start(registry: Registry, clock: Arc<dyn Clock>, settings: Settings) -> Result<Deliveries, StoreError> {
        let Settings { reach, attempt_time, back_off } = settings;
        let kept = registry.webhooks().list()?;
        let means = Means { registry, courier: Courier::new(reach, attempt_time), clock, back_off };
        let inner = Inner {
            means: Arc::new(means),
            reach,
            running: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let deliveries = Deliveries(Arc::new(inner));
        for kept in kept {
            deliveries.run(Webhook::of_kept(&kept)?, kept.progress);
        }
        Ok(deliveries)
    }

    /// All webhooks, the oldest first.
    pub fn list(&self) -> Vec<View> {
        let mut views: Vec<_> = self.running().values().map(Running::view).collect();
        views.sort_by_key(|view| view.webhook.created_at);
        views
    }

    /// One webhook.
    ///
    /// # Errors
    ///
    /// When there is none of that id.
    pub fn get(&self, id: &str) -> Result<View, WebhookError> {
        self.find(id).map(|running| running.view())
    }

    /// Makes a webhook.
    ///
    /// # Errors
    ///
    /// When the document is not right, there are too many, or the store does not take it.
    pub async fn create(&self, body: Value) -> Result<View, WebhookError> {
        let draft = Draft::read(body, self.0.reach)?;
        self.whole(|this| async move {
            if this.running().len() >= MAX_WEBHOOKS {
                return Err(WebhookError::TooMany);
            }
            let position = match draft.after {
                Some(after) => this.kept_after(after).await?,
                None => this.head(),
            };
            let id = new_identity().simple().to_string();
            let webhook = Webhook::new(draft, id, this.0.means.clock.now());
            this.put(webhook, Progress { position, ..Progress::default() }).await
        })
        .await
    }

    /// Changes a webhook by a merge patch (RFC 7396). One that is parked, or waits, goes on at once when it
    /// is enabled, or gets another target or position.
    ///
    /// # Errors
    ///
    /// As [`Deliveries::create`], or when there is none of that id.
    pub async fn change(&self, id: String, patch: Map<String, Value>) -> Result<View, WebhookError> {
        self.whole(|this| async move {
            let running = this.find(&id)?;
            let goes_on = patch.get("enabled") == Some(&Value::Bool(true));
            let (webhook, after) = running.webhook.patched(patch, this.0.reach, this.0.means.clock.now())?;
            let after = match after {
                Some(after) => Some(this.kept_after(after).await?),
                None => None,
            };
            let starts_anew = goes_on || after.is_some() || webhook.url != running.webhook.url;
            running.end().await;
            let before = running.progress.get();
            let mut progress = before.clone();
            if starts_anew {
                let Progress { position, last_error, last_status, last_delivered_at, .. } = before.clone();
                let position = after.unwrap_or(position);
                progress = Progress { position, last_error, last_status, last_delivered_at, ..Progress::default() };
            }
            let changed = this.put(webhook, progress).await;
            if changed.is_err() {
                // As it was before.
                this.run(Webhook::clone(&running.webhook), before);
            }
            changed
        })
        .await
    }

    /// Removes a webhook; when this returns, nothing is sent any more.
    ///
    /// # Errors
    ///
    /// When there is none of that id, or the store does not take it.
    pub async fn remove(&self, id: String) -> Result<(), WebhookError> {
        self.whole(|this| async move {
            let running = this.find(&id)?;
            let (store, forgotten) = (Arc::clone(this.0.means.registry.webhooks()), id.clone());
            blocking(move || store.delete(&forgotten)).await?;
            this.running().remove(&id);
            running.end().await;
            Ok(())
        })
        .await
    }

    /// Sends a test event now, beside all others, and tells what came of it.
    ///
    /// # Errors
    ///
    /// When there is none of that id.
    pub async fn test(&self, id: &str) -> Result<(Message, Attempt), WebhookError> {
        let webhook = self.find(id)?.webhook;
        let Means { registry, courier, clock, .. } = &*self.0.means;
        let store = registry.snapshot().store.clone();
        let message = Message::test(&webhook, &store, &new_identity().simple().to_string(), clock.now());
        let attempt = courier.send(&webhook, &message, clock.now()).await;
        Ok((message, attempt))
    }

    /// How far a webhook comes, until it is changed or removed.
    ///
    /// # Errors
    ///
    /// When there is none of that id.
    pub fn watch(&self, id: &str) -> Result<watch::Receiver<Progress>, WebhookError> {
        self.find(id).map(|running| running.progress.watch())
    }

    /// How many changes there are that a webhook has not come to.
    pub fn lag(&self, view: &View) -> u64 {
        self.head().0.saturating_sub(view.progress.position.0)
    }

    /// Stops all deliveries, and returns when their positions are written. What is on its way is
    /// given up, and sent again after the next start.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: &str) -> Result<Running, WebhookError> {
        self.running().get(id).cloned().ok_or_else(|| WebhookError::NotFound(id.chars().take(64).collect()))
    }

    fn head(&self) -> Revision {
        self.0.means.registry.snapshot().state.revision()
    }

    /// Does a change to its end, one at a time, also when the one who asked for it goes away.
    async fn whole<T, F>(&self, change: impl FnOnce(Deliveries) -> F + Send + 'static) -> Result<T, WebhookError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, WebhookError>> + Send,
    {
        let this = self.clone();
        let changing = tokio::spawn(async move {
            let held = this.clone();
            let _one_at_a_time = held.0.changing.lock().await;
            if this.0.stop.is_cancelled() {
                return Err(WebhookError::Stopped);
            }
            change(this).await
        });
        changing.await.unwrap_or(Err(WebhookError::Stopped))
    }

    /// A revision after which every change is kept, and which is not beyond the newest.
    async fn kept_after(&self, after: Revision) -> Result<Revision, WebhookError> {
        let head = self.head();
        if after > head {
            let detail = format!("lies in the future: the newest revision is {head}");
            return Err(Invalid::at("/after", detail).into());
        }
        let nothing = ChangeRange { after: head, limit: 0, ..ChangeRange::default() };
        let horizon = self.0.means.registry.changes(nothing).await?.horizon;
        if after < horizon {
            let detail = format!("is no longer kept: {horizon} is the oldest revision after which every event is");
            return Err(Invalid::at("/after", detail).into());
        }
        Ok(after)
    }

    async fn put(&self, webhook: Webhook, progress: Progress) -> Result<View, WebhookError> {
        let (store, kept) = (Arc::clone(self.0.means.registry.webhooks()), webhook.kept(progress.clone()));
        blocking(move || store.put(&kept)).await?;
        Ok(self.run(webhook, progress))
    }

    /// Starts the task of a webhook, if it is to be delivered to.
    fn run(&self, webhook: Webhook, progress: Progress) -> View {
        let delivers = webhook.enabled && progress.parked_at.is_none();
        let (webhook, progress) = (Arc::new(webhook), Shared::new(progress));
        let running = Running { webhook, progress, stop: self.0.stop.child_token(), tasks: TaskTracker::new() };
        if delivers {
            let (webhook, progress) = (Arc::clone(&running.webhook), running.progress.clone());
            let delivery = Delivery::new(Arc::clone(&self.0.means), webhook, progress, running.stop.clone());
            self.0.tasks.spawn(running.tasks.track_future(delivery.run()));
        }
        let view = running.view();
        self.running().insert(view.webhook.id.clone(), running);
        view
    }
}
