//! The task of a webhook: follows the changes, delivers the matching changes, and saves its position.
//!
//! No change is skipped: the task reads changes that the topic no longer has from the journal. The position advances
//! only past delivered or irrelevant changes.
//!
//! The task saves the position after a delivery, but at most once a second, because saving competes with the writer for
//! the disk. After a crash, the deliveries of the last second may be repeated.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;

use super::attempt::Attempt;
use super::back_off::BackOff;
use super::hook::Webhook;
use super::message::WebhookMessage;
use super::sender::WebhookSender;
use crate::clock::{Clock, new_identity};
use crate::registry::Registry;
use crate::registry::watch::{Subscription, Updates};
use crate::store::webhooks::DeliveryProgress;
use crate::store::{StoreError, WebhookStore};
use domain::Revision;
use domain::change::Transition;
use domain::change::history::ChangeRange;
use domain::query::Topic;

/// How many changes the task takes at a time.
const AT_A_TIME: usize = 256;

/// The least time between two saves of a position.
const SAVE_TIME: Duration = Duration::from_secs(1);

/// How long to wait after the journal could not be read.
const READ_PAUSE: Duration = Duration::from_secs(5);

/// The context that all tasks share.
pub(super) struct DeliveryContext {
    pub registry: Registry,
    pub sender: WebhookSender,
    pub clock: Arc<dyn Clock>,
    pub back_off: BackOff,
    pub pause: Duration,
    pub public_url: Option<Arc<Url>>,
}

/// The progress of a webhook, which its task and its readers share.
#[derive(Debug, Clone)]
pub(super) struct Shared(watch::Sender<DeliveryProgress>);

impl Shared {
    pub fn new(progress: DeliveryProgress) -> Shared {
        Shared(watch::Sender::new(progress))
    }

    pub fn get(&self) -> DeliveryProgress {
        self.0.borrow().clone()
    }

    pub fn watch(&self) -> watch::Receiver<DeliveryProgress> {
        self.0.subscribe()
    }
}

/// The task of a webhook.
pub(super) struct Delivery {
    context: Arc<DeliveryContext>,
    webhook: Arc<Webhook>,
    progress: Shared,
    stop: CancellationToken,
    saving: Saving,
    /// When the next message for people may be sent.
    next_text: Instant,
}

/// Whether the store has the current progress.
struct Saving {
    /// Whether the store's progress is out of date.
    due: bool,
    /// When the progress may be saved next.
    at: Instant,
    /// Whether the last save failed.
    failing: bool,
}

/// The task was stopped, the webhook was parked, or the registry is stopping.
struct Ended;

impl Delivery {
    pub fn new(
        context: Arc<DeliveryContext>,
        webhook: Arc<Webhook>,
        progress: Shared,
        stop: CancellationToken,
    ) -> Delivery {
        let saving = Saving { due: false, at: Instant::now(), failing: false };
        Delivery { context, webhook, progress, stop, saving, next_text: Instant::now() }
    }

    /// Delivers until the task is stopped or the webhook is parked.
    pub async fn run(mut self) {
        let Err(Ended) = self.work().await;
        if self.saving.due {
            self.save().await;
        }
    }

    async fn work(&mut self) -> Result<Infallible, Ended> {
        let mut topic = self.context.registry.topics().follow(&Topic::Everything);
        loop {
            self.await_attempt().await?;
            match topic.news(self.position(), AT_A_TIME) {
                Updates::Changes(changes, reached) if changes.is_empty() => {
                    self.advance(reached);
                    self.rest(&mut topic).await?;
                }
                Updates::Changes(changes, reached) => self.deliver_all(&changes, reached).await?,
                Updates::Compacted(until) => self.deliver_past(until).await?,
            }
        }
    }

    /// Delivers changes in order, up to the first failure.
    async fn deliver_all(&mut self, changes: &[Arc<Transition>], reached: Revision) -> Result<(), Ended> {
        if self.webhook.format.is_for_people() {
            return self.deliver_text(changes, reached).await;
        }
        for transition in changes {
            if self.stop.is_cancelled() {
                return Err(Ended);
            }
            if self.webhook.wants(transition) && !self.deliver(transition).await? {
                return Ok(());
            }
            self.advance(transition.change.revision);
            self.save_if_due().await;
        }
        self.advance(reached);
        Ok(())
    }

    /// Delivers changes together, as one text, some time after the last one.
    async fn deliver_text(&mut self, changes: &[Arc<Transition>], reached: Revision) -> Result<(), Ended> {
        let wanted: Vec<&Transition> =
            changes.iter().map(|change| &**change).filter(|change| self.webhook.wants(change)).collect();
        let store = self.context.registry.snapshot().store.clone();
        let url = self.context.public_url.as_deref();
        if let Some(message) = WebhookMessage::for_people(&self.webhook, &wanted, &store, url) {
            if Instant::now() < self.next_text {
                // What comes meanwhile is read again with these changes, and joins the message.
                return self.unless_stopped(tokio::time::sleep_until(self.next_text)).await;
            }
            if !self.send(&message).await? {
                return Ok(());
            }
            self.next_text = Instant::now() + self.context.pause;
        }
        self.advance(reached);
        self.save_if_due().await;
        Ok(())
    }

    /// Delivers changes from the journal that the topic no longer has.
    async fn deliver_past(&mut self, until: Revision) -> Result<(), Ended> {
        let after = self.position();
        let range = ChangeRange { after, until: Some(until), limit: AT_A_TIME, ..ChangeRange::default() };
        let Ok(page) = self.context.registry.changes(range).await else {
            // The registry has logged the error.
            return self.unless_stopped(tokio::time::sleep(READ_PAUSE)).await;
        };
        if page.compact_revision > after {
            let compact_revision = page.compact_revision;
            let reason = format!("the events after {after} were compacted; set `after` to {compact_revision} or later");
            return self.park(reason).await;
        }
        let reached = match page.transitions.last() {
            Some(last) if !page.is_all => last.change.revision,
            _ => until,
        };
        self.deliver_all(&page.transitions, reached).await
    }

    /// Makes an attempt; returns whether the target accepted the message.
    async fn deliver(&mut self, transition: &Transition) -> Result<bool, Ended> {
        let registry = &self.context.registry;
        let trace = registry.topics().trace_of(transition.change.revision);
        let message = WebhookMessage::of(transition, &registry.snapshot().store, trace);
        self.send(&message).await
    }

    /// Makes an attempt; returns whether the target accepted the message.
    async fn send(&mut self, message: &WebhookMessage) -> Result<bool, Ended> {
        let (context, webhook) = (Arc::clone(&self.context), Arc::clone(&self.webhook));
        let attempt = self.unless_stopped(context.sender.send(&webhook, message, context.clock.now())).await?;
        let DeliveryProgress { failures, next_attempt_at, .. } = self.note(&attempt);
        match attempt {
            Attempt::Delivered { .. } => Ok(true),
            Attempt::Failed { reason, .. } if next_attempt_at.is_some() => {
                info!(webhook.id = webhook.id, webhook.failures = failures, reason, "webhook delivery failed");
                self.save().await;
                Ok(false)
            }
            Attempt::Gone | Attempt::Failed { .. } => {
                let reason = attempt.reason().unwrap_or_default().to_owned();
                self.park(reason).await.map(|()| false)
            }
        }
    }

    /// Records the outcome of an attempt, and the time of the next attempt.
    fn note(&self, attempt: &Attempt) -> DeliveryProgress {
        let now = self.context.clock.now();
        let mut progress = self.progress.get();
        progress.last_status = attempt.status();
        progress.next_attempt_at = None;
        if let Some(reason) = attempt.reason() {
            progress.last_error = Some(reason.to_owned());
            progress.failures = progress.failures.saturating_add(1);
            let since = *progress.first_failed_at.get_or_insert(now);
            let next = self.context.back_off.next_attempt(progress.failures, since, now, chance());
            let asked = attempt.retry_after().and_then(|wait| now.checked_add(wait).ok());
            progress.next_attempt_at = next.map(|next| asked.map_or(next, |asked| asked.max(next)));
        } else {
            progress.last_delivered_at = Some(now);
            progress.failures = 0;
            progress.first_failed_at = None;
        }
        self.progress.0.send_replace(progress.clone());
        progress
    }

    /// Parks the webhook until a client enables it again.
    async fn park(&mut self, reason: String) -> Result<(), Ended> {
        warn!(webhook.id = self.webhook.id, reason, "parked the webhook");
        self.progress.0.send_modify(|progress| {
            progress.parked_at = Some(self.context.clock.now());
            progress.next_attempt_at = None;
            progress.last_error = Some(reason);
        });
        self.save().await;
        Err(Ended)
    }

    /// Waits for the time of the next attempt after a failure.
    async fn await_attempt(&self) -> Result<(), Ended> {
        let next = self.progress.0.borrow().next_attempt_at;
        // The bound protects against a clock that was set back.
        let wait = next.map(|next| next.duration_since(self.context.clock.now()).min(self.context.back_off.longest));
        match wait.and_then(|wait| Duration::try_from(wait).ok()) {
            Some(wait) => self.unless_stopped(tokio::time::sleep(wait)).await,
            None => Ok(()),
        }
    }

    /// Waits for changes, and saves the position when a save is due.
    async fn rest(&mut self, topic: &mut Subscription) -> Result<(), Ended> {
        loop {
            let stop = self.stop.clone();
            tokio::select! {
                () = stop.cancelled() => return Err(Ended),
                () = tokio::time::sleep_until(self.saving.at), if self.saving.due => self.save().await,
                goes_on = topic.wait() => return if goes_on { Ok(()) } else { Err(Ended) },
            }
        }
    }

    async fn unless_stopped<F: Future>(&self, work: F) -> Result<F::Output, Ended> {
        self.stop.run_until_cancelled(work).await.ok_or(Ended)
    }

    fn position(&self) -> Revision {
        self.progress.0.borrow().position
    }

    fn advance(&mut self, to: Revision) {
        self.saving.due |= self.progress.0.send_if_modified(|progress| {
            let goes_on = to > progress.position;
            progress.position = progress.position.max(to);
            goes_on
        });
    }

    async fn save_if_due(&mut self) {
        if self.saving.due && Instant::now() >= self.saving.at {
            self.save().await;
        }
    }

    /// Saves the progress. After a failure, deliveries continue and the save is repeated.
    async fn save(&mut self) {
        let (id, progress) = (self.webhook.id.clone(), self.progress.get());
        let store: Arc<dyn WebhookStore> = Arc::clone(self.context.registry.webhooks());
        let saved = blocking(move || store.set_progress(&id, &progress)).await;
        self.saving.due = saved.is_err();
        self.saving.at = Instant::now() + SAVE_TIME;
        let was_failing = std::mem::replace(&mut self.saving.failing, saved.is_err());
        match saved {
            Err(error) if !was_failing => {
                warn!(webhook.id = self.webhook.id, error = error.chain(), "cannot save a webhook's position");
            }
            Ok(()) if was_failing => info!(webhook.id = self.webhook.id, "saved a webhook's position again"),
            _ => {}
        }
    }
}

/// Runs blocking work on a thread for blocking work.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(StoreError::unusable("the store's work ended by a panic", error)))
}

/// A random number from 0 to 1.
fn chance() -> f64 {
    // The first 32 bits of a new identity are random.
    let (random, ..) = new_identity().as_fields();
    f64::from(random) / f64::from(u32::MAX)
}
