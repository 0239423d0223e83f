//! Manages all webhooks for the rest of the service: create, change, read, stop.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;
use url::Url;

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

/// The most webhooks, because the task of each webhook examines every change.
pub const MAX_WEBHOOKS: usize = 100;

/// How often the delivering process checks that it still holds the claim.
const LOOK: Duration = Duration::from_secs(1);

/// How often other processes try to take the claim. The longer time lets a process that insists on the claim go first.
const STAND_BACK: Duration = Duration::from_secs(3);

/// The settings of deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliverySettings {
    /// The addresses that deliveries may go to.
    pub address_policy: AddressPolicy,
    /// How long an attempt may take. A longer time lets a slow target delay its later deliveries; a shorter time fails
    /// slow but successful attempts.
    pub attempt_time: Duration,
    /// When to retry failed deliveries.
    pub back_off: BackOff,
    /// The least time between two messages for people of one webhook.
    pub pause: Duration,
    /// Where people open the dashboard.
    pub public_url: Option<Arc<Url>>,
}

impl Default for DeliverySettings {
    fn default() -> DeliverySettings {
        DeliverySettings {
            address_policy: AddressPolicy::Public,
            attempt_time: Duration::from_secs(15),
            back_off: BackOff::default(),
            pause: Duration::from_secs(10),
            public_url: None,
        }
    }
}

/// Why an operation on a webhook failed.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// No webhook has this id.
    #[error("no webhook has the id `{0}`")]
    NotFound(String),
    /// The maximum number of webhooks exists.
    #[error("the registry has the maximum of {MAX_WEBHOOKS} webhooks; remove a webhook first")]
    TooMany,
    /// The request's document is invalid.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The store failed.
    #[error("the store did not make the change")]
    Store(#[from] StoreError),
    /// The journal cannot be read.
    #[error(transparent)]
    Past(#[from] JournalReadError),
    /// The service is stopping, or a task has panicked.
    #[error("the service is stopping; retry when it is up again")]
    Stopped,
}

/// A webhook and its progress at a moment.
#[derive(Debug, Clone)]
pub struct WebhookView {
    /// The client's settings.
    pub webhook: Arc<Webhook>,
    /// The progress of deliveries.
    pub progress: DeliveryProgress,
}

/// Manages all webhooks. Clones are cheap.
#[derive(Clone)]
pub struct Deliveries(Arc<Inner>);

struct Inner {
    context: Arc<DeliveryContext>,
    address_policy: AddressPolicy,
    /// `None` while another process delivers.
    running: Mutex<Option<BTreeMap<String, RunningDelivery>>>,
    /// Serialises changes of webhooks.
    changing: tokio::sync::Mutex<()>,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// Where deliveries run, whichever request changes a webhook.
    runtime: Handle,
}

/// A webhook and its task; a disabled or parked webhook has no task.
#[derive(Clone)]
struct RunningDelivery {
    webhook: Arc<Webhook>,
    progress: Shared,
    stop: CancellationToken,
    /// Empty once the task has ended.
    tasks: TaskTracker,
}

impl RunningDelivery {
    fn view(&self) -> WebhookView {
        WebhookView { webhook: Arc::clone(&self.webhook), progress: self.progress.get() }
    }

    /// Stops the task, and returns after its last request.
    async fn end(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Deliveries {
    /// Starts deliveries for the webhooks in the registry's store, once the store is loaded and this process holds the
    /// claim. Must be called within a runtime.
    pub fn start(registry: Registry, clock: Arc<dyn Clock>, settings: DeliverySettings) -> Deliveries {
        let DeliverySettings { address_policy, attempt_time, back_off, pause, public_url } = settings;
        let sender = WebhookSender::new(address_policy, attempt_time);
        let context = DeliveryContext { registry, sender, clock, back_off, pause, public_url };
        let inner = Inner {
            context: Arc::new(context),
            address_policy,
            running: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
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

    /// Reads a webhook.
    ///
    /// # Errors
    ///
    /// When no webhook has this id; or when another process delivers, and the store cannot be read.
    pub async fn get(&self, id: &str) -> Result<WebhookView, WebhookError> {
        let mut views = self.list().await?;
        let place = views.iter().position(|view| view.webhook.id == id);
        place.map(|place| views.swap_remove(place)).ok_or_else(|| not_found(id))
    }

    /// The webhooks that this process delivers, without reading the store; `None` while another process delivers.
    pub fn delivered_here(&self) -> Option<Vec<WebhookView>> {
        self.running().as_ref().map(|running| running.values().map(RunningDelivery::view).collect())
    }

    /// The metrics of delivery attempts.
    pub fn measures(&self) -> &Measures {
        self.0.context.sender.measures()
    }

    /// Creates a webhook.
    ///
    /// # Errors
    ///
    /// When the document is invalid, the maximum number of webhooks exists, or the store fails.
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

    /// Changes a webhook with a merge patch (RFC 7396). A parked or waiting webhook resumes at once when it is enabled,
    /// or gets another target or position.
    ///
    /// # Errors
    ///
    /// Like [`Deliveries::create`], and when no webhook has this id.
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
                // The store kept the previous webhook, so its task must run again.
                this.run(Webhook::clone(&running.webhook), before);
            }
            changed
        })
        .await
    }

    /// Removes a webhook. After this returns, no request is sent for the webhook.
    ///
    /// # Errors
    ///
    /// When no webhook has this id, or the store fails.
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

    /// Sends a test event at once, in parallel to other deliveries, and returns the outcome.
    ///
    /// # Errors
    ///
    /// Like [`Deliveries::get`].
    pub async fn test(&self, id: &str) -> Result<(WebhookMessage, Attempt), WebhookError> {
        let webhook = self.get(id).await?.webhook;
        let DeliveryContext { registry, sender, clock, .. } = &*self.0.context;
        let store = registry.snapshot().store.clone();
        let message = WebhookMessage::test(&webhook, &store, &new_identity().simple().to_string(), clock.now());
        let attempt = sender.send(&webhook, &message, clock.now()).await;
        Ok((message, attempt))
    }

    /// Follows the progress of a webhook until it is changed or removed, if this process delivers.
    ///
    /// # Errors
    ///
    /// When this process delivers no webhook with this id.
    pub fn watch(&self, id: &str) -> Result<watch::Receiver<DeliveryProgress>, WebhookError> {
        self.find(id).map(|running| running.progress.watch())
    }

    /// How many changes come after a webhook's position.
    pub fn lag(&self, view: &WebhookView) -> u64 {
        self.head().0.saturating_sub(view.progress.position.0)
    }

    /// Stops all deliveries, and returns once all positions are saved. Interrupted deliveries are repeated after the
    /// next start.
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

    /// Delivers whenever this process holds the claim, until all deliveries stop.
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
                        warn!(error = error.chain(), "cannot claim webhook deliveries; retrying");
                        self.end_all().await;
                        STAND_BACK
                    }
                };
                drop(one_at_a_time);
                tokio::time::sleep(pause).await;
            }
        };
        if stop.run_until_cancelled(keeping).await.is_none() {
            // The tasks must save their positions before another process continues from them.
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
                // Another process may have advanced the positions, so the cached positions are stale.
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

    /// Starts deliveries in this process, if they are not running.
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

    /// Stops deliveries in this process; returns after the last request, when all positions are saved.
    async fn end_all(&self) {
        let running = self.running().take();
        for running in running.into_iter().flatten().map(|(_, running)| running) {
            running.end().await;
        }
    }

    /// Reads the webhooks from the store.
    async fn read(&self) -> Result<Vec<(Webhook, DeliveryProgress)>, StoreError> {
        let store = Arc::clone(self.0.context.registry.webhooks());
        let kept = blocking(move || store.list()).await?;
        kept.into_iter().map(|kept| Ok((Webhook::of_kept(&kept)?, kept.progress))).collect()
    }

    fn head(&self) -> Revision {
        self.0.context.registry.snapshot().state.revision()
    }

    /// Completes a change even if the client disconnects, and runs only one change at a time.
    async fn whole<T, F>(&self, change: impl FnOnce(Deliveries) -> F + Send + 'static) -> Result<T, WebhookError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, WebhookError>> + Send,
    {
        let this = self.clone();
        let changing = self.0.runtime.spawn(async move {
            let held = this.clone();
            let _one_at_a_time = held.0.changing.lock().await;
            if this.0.stop.is_cancelled() {
                return Err(WebhookError::Stopped);
            }
            // Only the delivering process changes webhooks, so a change is effective when the reply is sent.
            if this.running().is_none() {
                let store = Arc::clone(this.0.context.registry.webhooks());
                blocking(move || store.insist()).await?;
                this.run_all().await?;
            }
            change(this).await
        });
        changing.await.unwrap_or(Err(WebhookError::Stopped))
    }

    /// Checks that the journal has every change after a revision, and that the revision is not in the future.
    async fn kept_after(&self, after: Revision) -> Result<Revision, WebhookError> {
        let head = self.head();
        if after > head {
            let detail = format!("lies in the future: the newest revision is {head}");
            return Err(Invalid::at("/after", detail).into());
        }
        let nothing = ChangeRange { after: head, limit: 0, ..ChangeRange::default() };
        let compact_revision = self.0.context.registry.changes(nothing).await?.compact_revision;
        if after < compact_revision {
            let detail = format!("was compacted; the oldest possible value is {compact_revision}");
            return Err(Invalid::at("/after", detail).into());
        }
        Ok(after)
    }

    async fn put(&self, webhook: Webhook, progress: DeliveryProgress) -> Result<WebhookView, WebhookError> {
        let (store, kept) = (Arc::clone(self.0.context.registry.webhooks()), webhook.kept(progress.clone()));
        blocking(move || store.put(&kept)).await?;
        Ok(self.run(webhook, progress))
    }

    /// Starts the task of a webhook, unless the webhook is disabled or parked.
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
