//! All webhooks, as the rest of the program holds them: made, changed, asked for, and stopped.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::attempt::Attempt;
use super::back_off::BackOff;
use super::delivery::{Delivery, DeliveryContext, Shared, blocking};
use super::hook::{Draft, Webhook};
use super::measures::Measures;
use super::message::WebhookMessage;
use super::sender::WebhookSender;
use crate::clock::{Clock, new_identity};
use crate::net::AddressPolicy;
use crate::registry::Registry;
use crate::registry::journal_error::JournalReadError;
use crate::store::webhooks::DeliveryProgress;
use crate::store::{Claim, StoreError};
use domain::Revision;
use domain::change::history::ChangeRange;
use domain::plugin::Invalid;

/// The most webhooks that there can be: each is a task that looks at every change.
pub const MAX_WEBHOOKS: usize = 100;

/// How often the process that delivers looks whether it still may.
const LOOK: Duration = Duration::from_secs(1);

/// How often the others look whether they may; longer, so that the one who insists comes first.
const STAND_BACK: Duration = Duration::from_secs(3);

/// How deliveries are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliverySettings {
    /// Where they may go.
    pub address_policy: AddressPolicy,
    /// How long an attempt may take. More lets one slow target lag behind; less gives up answers that would come.
    pub attempt_time: Duration,
    /// When one that failed is tried again.
    pub back_off: BackOff,
}

impl Default for DeliverySettings {
    fn default() -> DeliverySettings {
        DeliverySettings {
            address_policy: AddressPolicy::Public,
            attempt_time: Duration::from_secs(15),
            back_off: BackOff::default(),
        }
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
    Past(#[from] JournalReadError),
    /// The service is stopping, or has a fault.
    #[error("the service is stopping")]
    Stopped,
}

/// A webhook at a moment.
#[derive(Debug, Clone)]
pub struct WebhookView {
    /// What its owner has set.
    pub webhook: Arc<Webhook>,
    /// How far it has come.
    pub progress: DeliveryProgress,
}

/// All webhooks. Cheap to clone.
#[derive(Clone)]
pub struct Deliveries(Arc<Inner>);

struct Inner {
    context: Arc<DeliveryContext>,
    address_policy: AddressPolicy,
    /// `None` as long as it is not this process that delivers.
    running: Mutex<Option<BTreeMap<String, RunningDelivery>>>,
    /// Held while webhooks are changed, so that one change is whole before the next begins.
    changing: tokio::sync::Mutex<()>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// A webhook and its task, if it has one.
#[derive(Clone)]
struct RunningDelivery {
    webhook: Arc<Webhook>,
    progress: Shared,
    stop: CancellationToken,
    /// Has ended when the task has.
    tasks: TaskTracker,
}

impl RunningDelivery {
    fn view(&self) -> WebhookView {
        WebhookView { webhook: Arc::clone(&self.webhook), progress: self.progress.get() }
    }

    /// Stops the task, and returns when nothing is sent any more.
    async fn end(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Deliveries {
    /// Goes on with the webhooks that the registry's store keeps, as soon as that has been read, and it is for this
    /// process to deliver. Call it within a runtime.
    pub fn start(registry: Registry, clock: Arc<dyn Clock>, settings: DeliverySettings) -> Deliveries {
        let DeliverySettings { address_policy, attempt_time, back_off } = settings;
        let sender = WebhookSender::new(address_policy, attempt_time);
        let context = DeliveryContext { registry, sender, clock, back_off };
        let inner = Inner {
            context: Arc::new(context),
            address_policy,
            running: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let deliveries = Deliveries(Arc::new(inner));
        deliveries.0.tasks.spawn(deliveries.clone().hold_leadership());
        deliveries
    }

    /// All webhooks, the oldest first.
    ///
    /// # Errors
    ///
    /// When another process delivers, and the store cannot be read.
    pub async fn list(&self) -> Result<Vec<WebhookView>, WebhookError> {
        let mut views = match self.delivered_here() {
            Some(views) => views,
            None => {
                self.read().await?.into_iter().map(|(webhook, progress)| WebhookView::of(webhook, progress)).collect()
            }
        };
        views.sort_by_key(|view| view.webhook.created_at);
        Ok(views)
    }

    /// One webhook.
    ///
    /// # Errors
    ///
    /// When there is none of that id, or another process delivers, and the store cannot be read.
    pub async fn get(&self, id: &str) -> Result<WebhookView, WebhookError> {
        let mut views = self.list().await?;
        let place = views.iter().position(|view| view.webhook.id == id);
        place.map(|place| views.swap_remove(place)).ok_or_else(|| not_found(id))
    }

    /// The webhooks that are delivered from here, without asking the store; `None` while another process delivers.
    pub fn delivered_here(&self) -> Option<Vec<WebhookView>> {
        self.running().as_ref().map(|running| running.values().map(RunningDelivery::view).collect())
    }

    /// What is counted and timed of attempts to deliver.
    pub fn measures(&self) -> &Measures {
        self.0.context.sender.measures()
    }

    /// Makes a webhook.
    ///
    /// # Errors
    ///
    /// When the document is not right, there are too many, or the store does not take it.
    pub async fn create(&self, body: Value) -> Result<WebhookView, WebhookError> {
        let draft = Draft::read(body, self.0.address_policy)?;
        self.whole(|this| async move {
            if this.running().as_ref().map_or(0, BTreeMap::len) >= MAX_WEBHOOKS {
                return Err(WebhookError::TooMany);
            }
            let position = match draft.after {
                Some(after) => this.kept_after(after).await?,
                None => this.head(),
            };
            let id = new_identity().simple().to_string();
            let webhook = Webhook::new(draft, id, this.0.context.clock.now());
            this.put(webhook, DeliveryProgress { position, ..DeliveryProgress::default() }).await
        })
        .await
    }

    /// Changes a webhook by a merge patch (RFC 7396). One that is parked, or waits, goes on at once when it
    /// is enabled, or gets another target or position.
    ///
    /// # Errors
    ///
    /// As [`Deliveries::create`], or when there is none of that id.
    pub async fn change(&self, id: String, patch: Map<String, Value>) -> Result<WebhookView, WebhookError> {
        self.whole(|this| async move {
            let running = this.find(&id)?;
            let goes_on = patch.get("enabled") == Some(&Value::Bool(true));
            let (webhook, after) = running.webhook.patched(patch, this.0.address_policy, this.0.context.clock.now())?;
            let after = match after {
                Some(after) => Some(this.kept_after(after).await?),
                None => None,
            };
            let starts_anew = goes_on || after.is_some() || webhook.url != running.webhook.url;
            running.end().await;
            let before = running.progress.get();
            let mut progress = before.clone();
            if starts_anew {
                let DeliveryProgress { position, last_error, last_status, last_delivered_at, .. } = before.clone();
                let position = after.unwrap_or(position);
                progress = DeliveryProgress {
                    position,
                    last_error,
                    last_status,
                    last_delivered_at,
                    ..DeliveryProgress::default()
                };
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
            let (store, forgotten) = (Arc::clone(this.0.context.registry.webhooks()), id.clone());
            blocking(move || store.delete(&forgotten)).await?;
            if let Some(all) = this.running().as_mut() {
                all.remove(&id);
            }
            running.end().await;
            Ok(())
        })
        .await
    }

    /// Sends a test event now, beside all others, and tells what came of it.
    ///
    /// # Errors
    ///
    /// As [`Deliveries::get`].
    pub async fn test(&self, id: &str) -> Result<(WebhookMessage, Attempt), WebhookError> {
        let webhook = self.get(id).await?.webhook;
        let DeliveryContext { registry, sender, clock, .. } = &*self.0.context;
        let store = registry.snapshot().store.clone();
        let message = WebhookMessage::test(&webhook, &store, &new_identity().simple().to_string(), clock.now());
        let attempt = sender.send(&webhook, &message, clock.now()).await;
        Ok((message, attempt))
    }

    /// How far a webhook comes, until it is changed or removed, if it is this process that delivers.
    ///
    /// # Errors
    ///
    /// When there is none of that id here.
    pub fn watch(&self, id: &str) -> Result<watch::Receiver<DeliveryProgress>, WebhookError> {
        self.find(id).map(|running| running.progress.watch())
    }

    /// How many changes there are that a webhook has not come to.
    pub fn lag(&self, view: &WebhookView) -> u64 {
        self.head().0.saturating_sub(view.progress.position.0)
    }

    /// Stops all deliveries, and returns when their positions are written. What is on its way is
    /// given up, and sent again after the next start.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    fn running(&self) -> MutexGuard<'_, Option<BTreeMap<String, RunningDelivery>>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: &str) -> Result<RunningDelivery, WebhookError> {
        self.running().as_ref().and_then(|running| running.get(id)).cloned().ok_or_else(|| not_found(id))
    }

    /// Delivers whenever it is for this process to do so, until all is stopped.
    async fn hold_leadership(self) {
        let stop = self.0.stop.clone();
        let keeping = async {
            self.0.context.registry.loaded().await;
            loop {
                let one_at_a_time = self.0.changing.lock().await;
                let pause = match self.look_for_the_right().await {
                    Ok(Claim::Alone) => return,
                    Ok(Claim::New | Claim::Held) => LOOK,
                    Ok(Claim::Wanted | Claim::Taken) => STAND_BACK,
                    Err(error) => {
                        warn!(error = error.chain(), "nothing is delivered from here for now");
                        self.end_all().await;
                        STAND_BACK
                    }
                };
                drop(one_at_a_time);
                tokio::time::sleep(pause).await;
            }
        };
        if stop.run_until_cancelled(keeping).await.is_none() {
            // The tasks write their positions before anybody else goes on from them.
            self.end_all().await;
            let store = Arc::clone(self.0.context.registry.webhooks());
            drop(blocking(move || store.release()).await);
        }
    }

    async fn look_for_the_right(&self) -> Result<Claim, StoreError> {
        let store = Arc::clone(self.0.context.registry.webhooks());
        let claim = blocking(move || store.claim()).await?;
        match claim {
            Claim::Alone | Claim::Held => self.run_all().await?,
            Claim::New => {
                // What is known here of positions may be old.
                self.end_all().await;
                self.run_all().await?;
            }
            Claim::Wanted => {
                self.end_all().await;
                let store = Arc::clone(self.0.context.registry.webhooks());
                blocking(move || store.release()).await?;
            }
            Claim::Taken => self.end_all().await,
        }
        Ok(claim)
    }

    /// Delivers from here, if it does not yet.
    async fn run_all(&self) -> Result<(), StoreError> {
        if self.running().is_none() {
            let kept = self.read().await?;
            *self.running() = Some(BTreeMap::new());
            for (webhook, progress) in kept {
                self.run(webhook, progress);
            }
        }
        Ok(())
    }

    /// Delivers from here no more; returns when nothing is sent and every position is written.
    async fn end_all(&self) {
        let running = self.running().take();
        for running in running.into_iter().flatten().map(|(_, running)| running) {
            running.end().await;
        }
    }

    /// The webhooks as the store keeps them.
    async fn read(&self) -> Result<Vec<(Webhook, DeliveryProgress)>, StoreError> {
        let store = Arc::clone(self.0.context.registry.webhooks());
        let kept = blocking(move || store.list()).await?;
        kept.into_iter().map(|kept| Ok((Webhook::of_kept(&kept)?, kept.progress))).collect()
    }

    fn head(&self) -> Revision {
        self.0.context.registry.snapshot().state.revision()
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
            // Webhooks are changed where they are delivered from, so that a change is true when it is answered.
            if this.running().is_none() {
                let store = Arc::clone(this.0.context.registry.webhooks());
                blocking(move || store.insist()).await?;
                this.run_all().await?;
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
        let compact_revision = self.0.context.registry.changes(nothing).await?.compact_revision;
        if after < compact_revision {
            let detail =
                format!("is no longer kept: {compact_revision} is the oldest revision after which every event is");
            return Err(Invalid::at("/after", detail).into());
        }
        Ok(after)
    }

    async fn put(&self, webhook: Webhook, progress: DeliveryProgress) -> Result<WebhookView, WebhookError> {
        let (store, kept) = (Arc::clone(self.0.context.registry.webhooks()), webhook.kept(progress.clone()));
        blocking(move || store.put(&kept)).await?;
        Ok(self.run(webhook, progress))
    }

    /// Starts the task of a webhook, if it is to be delivered to.
    fn run(&self, webhook: Webhook, progress: DeliveryProgress) -> WebhookView {
        let delivers = webhook.enabled && progress.parked_at.is_none();
        let (webhook, progress) = (Arc::new(webhook), Shared::new(progress));
        let running = RunningDelivery { webhook, progress, stop: self.0.stop.child_token(), tasks: TaskTracker::new() };
        if delivers {
            let (webhook, progress) = (Arc::clone(&running.webhook), running.progress.clone());
            let delivery = Delivery::new(Arc::clone(&self.0.context), webhook, progress, running.stop.clone());
            self.0.tasks.spawn(running.tasks.track_future(delivery.run()));
        }
        let view = running.view();
        if let Some(all) = self.running().as_mut() {
            all.insert(view.webhook.id.clone(), running);
        }
        view
    }
}

impl WebhookView {
    fn of(webhook: Webhook, progress: DeliveryProgress) -> WebhookView {
        WebhookView { webhook: Arc::new(webhook), progress }
    }
}

fn not_found(id: &str) -> WebhookError {
    WebhookError::NotFound(id.chars().take(64).collect())
}
