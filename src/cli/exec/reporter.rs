//! What the registry is told of the command: later, when it cannot be reached now.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tracing::{info, warn};

use super::ExecArgs;
use super::link::Ending;
use super::unreported::{Outbox, Unreported};
use crate::client::{Client, ClientError, Lease, LeaseRequest};
use crate::liveness::host::this_host;
use crate::liveness::process::ProcessProbe;
use crate::telemetry::Origin;
use domain::plugin::{Name, Pid, PluginKey};

/// How often it is looked which processes there are.
const LOOK: Duration = Duration::from_secs(1);

/// How long the start of the command may be held up by a registry that does not answer.
const START: Duration = Duration::from_secs(2);

/// The pauses after a failure: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Keeps the registry's idea of the command up to date.
pub struct Reporter {
    client: Client,
    unique_id: String,
    plugin: serde_json::Value,
    request: LeaseRequest,
    patience: Duration,
    outbox: Option<Outbox>,
    lease: Option<Held>,
    /// Whether the registry has the plugin, with our lease.
    registered: bool,
    /// What it has been told that runs.
    told: BTreeSet<Pid>,
    /// What it may have been told: the answer has not come, or the command has ended before it.
    perhaps_told: BTreeSet<Pid>,
    /// What runs.
    running: BTreeSet<Pid>,
    failures: u32,
    next_try: Instant,
}

struct Held {
    lease: Lease,
    renew_at: Instant,
}

impl Reporter {
    /// A reporter that has told nothing yet, and whose requests come from `origin`.
    ///
    /// # Errors
    ///
    /// When the flags make no sense.
    pub fn new(args: &ExecArgs, origin: Origin) -> anyhow::Result<Reporter> {
        let name = |flag: &str, text: &str| Name::new(text).map_err(|wrong| anyhow::anyhow!("--{flag} {wrong}"));
        let key = PluginKey { category: name("category", &args.category)?, name: name("name", &args.name)? };
        let host = args.host.clone().unwrap_or_else(this_host);
        let labels: serde_json::Map<String, serde_json::Value> =
            args.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        let plugin = json!({
            "category": args.category,
            "name": args.name,
            "title": args.title.as_deref().unwrap_or(&args.name),
            "config_schema": {},
            "execution_mode": "subprocess",
            "manages_child_processes": true,
            "host": host,
            "labels": labels,
        });
        let holder = format!("exec {} (process {})", key.unique_id(), std::process::id());
        // What the registry takes for a holder's name is 256 characters.
        let holder = holder.chars().take(256).collect();
        Ok(Reporter {
            client: args.connection.client()?.from_origin(origin),
            unique_id: key.unique_id().to_string(),
            plugin,
            request: LeaseRequest { holder, host: Some(host), ttl_seconds: args.ttl },
            patience: Duration::from_secs(args.report_patience),
            outbox: Outbox::find(args.unreported.as_deref()),
            lease: None,
            registered: false,
            told: BTreeSet::new(),
            perhaps_told: BTreeSet::new(),
            running: BTreeSet::new(),
            failures: 0,
            next_try: Instant::now(),
        })
    }

    /// Registers before the command is started, if the registry answers.
    ///
    /// # Errors
    ///
    /// When it refuses: then there is something to mend.
    pub async fn begin(&mut self) -> Result<(), ClientError> {
        match timeout(START, self.register()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if !error.may_pass() => return Err(error),
            Ok(Err(error)) => self.put_off(&error.to_string()),
            Err(_) => self.put_off("the registry does not answer"),
        }
        Ok(())
    }

    /// Tells what there is to tell about the descendants of `guard`, for as long as it is polled.
    pub async fn keep_up(&mut self, guard: Pid) -> Infallible {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut probe = ProcessProbe::new().ok();
        let mut before = BTreeSet::new();
        loop {
            ticks.tick().await;
            let now: Vec<Pid> = match probe.as_mut().map(ProcessProbe::look_at_all) {
                Some(Ok(table)) => table.descendants(guard).into_iter().map(|one| one.pid).collect(),
                // Without /proc, what was told stays told.
                _ => continue,
            };
            // The command itself at once; what lives for less than a second is not worth a revision.
            let first = now.first().copied();
            self.running = now.iter().copied().filter(|pid| before.contains(pid) || first == Some(*pid)).collect();
            before = now.into_iter().collect();
            if Instant::now() >= self.next_try {
                match self.tell().await {
                    Ok(()) => self.failures = 0,
                    Err(error) => self.put_off(&error.to_string()),
                }
            }
        }
    }

    /// Tells the end: that nothing runs any more, how it ended, and that the lease is given back.
    pub async fn end(&mut self, ending: Option<Ending>) {
        if ending.is_none_or(|ending| ending.still_there == 0) {
            self.running.clear();
        }
        let deadline = Instant::now() + self.patience;
        loop {
            let told = tokio::time::timeout_at(deadline, self.tell_end(ending)).await;
            let error = match told {
                Ok(Ok(())) => return,
                Ok(Err(error)) if !error.may_pass() => {
                    warn!("the registry was not told that the command has ended: {error}");
                    return;
                }
                Ok(Err(error)) if Instant::now() + FIRST_PAUSE < deadline => {
                    info!("{error}");
                    tokio::time::sleep(FIRST_PAUSE).await;
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the registry does not answer".to_owned(),
            };
            self.leave_behind(ending, &error);
            return;
        }
    }

    /// Keeps what could not be told for somebody who can tell it.
    fn leave_behind(&self, ending: Option<Ending>, why: &str) {
        let report = Unreported {
            server: self.client.server().to_string(),
            unique_id: self.unique_id.clone(),
            plugin: self.plugin.clone(),
            is_registered: self.registered,
            lease_id: self.lease.as_ref().map(|held| held.lease.lease_id.clone()),
            pids: self.told.union(&self.perhaps_told).filter(|pid| !self.running.contains(pid)).copied().collect(),
            exit: ending.map(in_words),
        };
        match self.outbox.as_ref().map(|outbox| outbox.keep(&report)) {
            Some(Ok(())) => warn!("the registry is told later that the command has ended: {why}"),
            Some(Err(error)) => warn!(%error, "the registry was not told that the command has ended: {why}"),
            None => warn!(
                "the registry was not told that the command has ended, and there is no folder to keep it in: {why}"
            ),
        }
    }

    /// Tells what earlier commands could not, for as long as it is polled.
    pub fn catch_up(&self) -> impl Future<Output = ()> + use<> {
        let (client, outbox) = (self.client.clone(), self.outbox.clone());
        async move {
            if let Some(outbox) = outbox {
                outbox.deliver(&client).await;
            }
        }
    }

    async fn tell_end(&mut self, ending: Option<Ending>) -> Result<(), ClientError> {
        if !self.registered {
            self.register().await?;
        }
        self.tell_pids().await?;
        if let Some(ending) = ending {
            let patch = json!({ "labels": { "exec.exit": in_words(ending) } });
            self.client.patch_plugin(&self.unique_id, &patch).await?;
        }
        if let Some(held) = &self.lease {
            self.client.release_lease(&held.lease.lease_id).await?;
            self.lease = None;
        }
        Ok(())
    }

    async fn tell(&mut self) -> Result<(), ClientError> {
        if !self.registered {
            self.register().await?;
            info!(plugin = self.unique_id, "registered");
        }
        self.renew().await?;
        self.tell_pids().await
    }

    /// Makes the plugin ours: with a lease, and without touching what it is described by.
    async fn register(&mut self) -> Result<(), ClientError> {
        let lease = match &self.lease {
            Some(held) => held.lease.lease_id.clone(),
            None => self.take_lease().await?,
        };
        let mut plugin = self.plugin.clone();
        if let Some(fields) = plugin.as_object_mut() {
            fields.insert("lease_id".into(), json!(lease));
        }
        if !self.client.register_new(&plugin).await? {
            // It stands already, perhaps with processes of a predecessor that nobody has seen the end of: they stay.
            let mut patch = json!({ "lease_id": lease, "labels": plugin.get("labels"), "host": plugin.get("host") });
            if let Some(labels) = patch.get_mut("labels").and_then(serde_json::Value::as_object_mut) {
                labels.insert("exec.exit".into(), serde_json::Value::Null);
            }
            self.client.patch_plugin(&self.unique_id, &patch).await?;
        }
        self.registered = true;
        Ok(())
    }

    async fn take_lease(&mut self) -> Result<String, ClientError> {
        let lease = self.client.grant_lease(&self.request).await?;
        let id = lease.lease_id.clone();
        self.lease = Some(Held { renew_at: renewal(&lease), lease });
        Ok(id)
    }

    async fn renew(&mut self) -> Result<(), ClientError> {
        let Some(held) = self.lease.as_mut().filter(|held| held.renew_at <= Instant::now()) else { return Ok(()) };
        match self.client.renew_lease(&held.lease.lease_id).await {
            Ok(lease) => {
                held.renew_at = renewal(&lease);
                Ok(())
            }
            // It was released by somebody, or the registry has another store now: begin anew.
            Err(error) if matches!(error.status(), Some(404 | 409)) => {
                warn!("the lease is not known any more; a new one is taken: {error}");
                self.lease = None;
                self.registered = false;
                self.told.clear();
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Adds what has come, and takes away what has gone: what others hold under this name is not ours.
    async fn tell_pids(&mut self) -> Result<(), ClientError> {
        let come: Vec<Pid> = self.running.difference(&self.told).copied().collect();
        if !come.is_empty() {
            self.perhaps_told.extend(&come);
            self.client.add_pids(&self.unique_id, &come).await?;
            self.told.extend(come);
        }
        let ever_told = self.told.union(&self.perhaps_told);
        let gone: Vec<Pid> = ever_told.filter(|pid| !self.running.contains(pid)).copied().collect();
        for pid in gone {
            match self.client.remove_pid(&self.unique_id, pid).await {
                Ok(()) => {}
                // Somebody was faster.
                Err(error) if error.status() == Some(404) => {}
                Err(error) => return Err(error),
            }
            self.told.remove(&pid);
            self.perhaps_told.remove(&pid);
        }
        Ok(())
    }

    fn put_off(&mut self, why: &str) {
        if self.failures == 0 {
            warn!("{why}; the command runs all the same, and is reported later");
        }
        self.failures = self.failures.saturating_add(1);
        self.next_try = Instant::now() + pause(self.failures);
    }
}

/// The pause after so many failures in a row.
fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST_PAUSE)
}

fn renewal(lease: &Lease) -> Instant {
    let after = Duration::try_from_secs_f64(lease.renew_after_seconds).unwrap_or(FIRST_PAUSE);
    Instant::now() + after.min(Duration::from_hours(1))
}

fn in_words(ending: Ending) -> String {
    let how = match ending.signal {
        0 => format!("code {}", ending.code),
        signal => format!("signal {signal}"),
    };
    let ended = match ending.left_behind.saturating_sub(ending.still_there) {
        0 => String::new(),
        ended => format!(", {ended} left behind and ended"),
    };
    let left = match ending.still_there {
        0 => String::new(),
        left => format!(", {left} could not be ended"),
    };
    how + &ended + &left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        let pauses: Vec<u64> = [1, 2, 3, 5, 6, 7, u32::MAX].into_iter().map(|n| pause(n).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 16, 30, 30, 30]);
    }

    #[test]
    fn an_end_is_told_in_words() {
        let ending = |code, signal, left_behind, still_there| Ending { code, signal, left_behind, still_there };
        assert_eq!(in_words(ending(3, 0, 0, 0)), "code 3");
        assert_eq!(in_words(ending(137, 9, 0, 0)), "signal 9");
        assert_eq!(in_words(ending(0, 0, 3, 1)), "code 0, 2 left behind and ended, 1 could not be ended");
    }
}
