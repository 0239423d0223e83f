//! Reports the command to the registry: at once if the registry can be reached, otherwise later.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tracing::{info, warn};

use super::ExecArgs;
use super::control_socket::Ending;
use super::descendants::Descendants;
use super::spool::{Spool, Unreported};
use super::stop_requests::{EarlierRequest, StopRequests};
use crate::client::{Client, ClientError, Lease, LeaseRequest};
use crate::liveness::host::this_host;
use crate::telemetry::Origin;
use domain::lease::OnGone;
use domain::plugin::{Name, Pid, PluginKey, Registration};

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
    plugin: Value,
    request: LeaseRequest,
    patience: Duration,
    spool: Option<Spool>,
    lease: Option<Held>,
    /// Whether the registry has the plugin, with our lease.
    registered: bool,
    /// Processes that the registry has.
    reported: BTreeSet<Pid>,
    /// Processes that the registry may have: the request was sent, and no response has arrived.
    perhaps_reported: BTreeSet<Pid>,
    /// Processes that run.
    running: BTreeSet<Pid>,
    /// Takes the request to stop that stood at the first registration.
    announce: Option<oneshot::Sender<EarlierRequest>>,
    obeys_stop_requests: bool,
    failures: u32,
    next_try: Instant,
    /// Whether the end was reported or kept.
    is_reported: bool,
}

struct Held {
    lease: Lease,
    renew_at: Instant,
}

impl Reporter {
    /// A reporter, before its first request.
    ///
    /// # Errors
    ///
    /// If a flag is invalid. This applies the rules of the registry here, because no response of a registry may keep a
    /// command from running.
    pub fn new(args: &ExecArgs) -> anyhow::Result<Reporter> {
        let name = |flag: &str, text: &str| Name::new(text).map_err(|wrong| anyhow::anyhow!("--{flag} {wrong}"));
        let key = PluginKey { category: name("category", &args.category)?, name: name("name", &args.name)? };
        let host = args.host.clone().unwrap_or_else(this_host);
        let labels: serde_json::Map<String, Value> =
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
        Registration::read(plugin.clone()).context("the flags describe no valid plugin")?;
        let holder = format!("exec {} (process {})", key.unique_id(), std::process::id());
        // A holder's name has at most 256 characters.
        let holder = holder.chars().take(256).collect();
        Ok(Reporter {
            client: args.connection.client()?,
            unique_id: key.unique_id().to_string(),
            plugin,
            // If exec is killed together with all that watches it, the registry releases what is gone.
            request: LeaseRequest { holder, host: Some(host), ttl_seconds: args.ttl, on_gone: Some(OnGone::Prune) },
            patience: Duration::from_secs(args.report_patience),
            spool: Spool::find(args.unreported.as_deref()),
            lease: None,
            registered: false,
            reported: BTreeSet::new(),
            perhaps_reported: BTreeSet::new(),
            running: BTreeSet::new(),
            announce: None,
            obeys_stop_requests: !args.ignore_stop_requests,
            failures: 0,
            next_try: Instant::now(),
            is_reported: false,
        })
    }

    /// The same reporter, with traced requests.
    #[must_use]
    pub fn from_origin(self, origin: Origin) -> Reporter {
        Reporter { client: self.client.from_origin(origin), ..self }
    }

    /// Registers before the command starts, if the registry responds. If it does not respond or refuses, `run` retries.
    pub async fn begin(&mut self) {
        match timeout(START, self.register()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.put_off(&error.with_causes()),
            Err(_) => self.put_off("the registry does not respond"),
        }
    }

    /// Reports the descendants of `supervisor`, as long as it is polled.
    pub async fn keep_up(&mut self, supervisor: Pid) -> Infallible {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut descendants = Descendants::open();
        let mut before = BTreeSet::new();
        loop {
            ticks.tick().await;
            // Without /proc, this only renews the lease.
            let now: Vec<Pid> =
                descendants.of(supervisor).unwrap_or_default().into_iter().map(|one| one.shown).collect();
            // The command itself at once; what lives for less than a second is not worth a revision.
            let first = now.first().copied();
            self.running = now.iter().copied().filter(|pid| before.contains(pid) || first == Some(*pid)).collect();
            before = now.into_iter().collect();
            if Instant::now() >= self.next_try {
                match self.report().await {
                    Ok(()) => self.failures = 0,
                    Err(error) => self.put_off(&error.with_causes()),
                }
            }
        }
    }

    /// Reports the end: no process runs, how the command ended, and the lease is released. If the registry cannot be
    /// reached or refuses the report, this keeps it.
    pub async fn end(&mut self, ending: Ending, wrapper_died: bool) {
        if ending.still_there == 0 {
            self.running.clear();
        }
        let exit = in_words(ending, wrapper_died);
        let deadline = Instant::now() + self.patience;
        let why = loop {
            match tokio::time::timeout_at(deadline, self.report_end(&exit)).await {
                Ok(Ok(())) => {
                    self.is_reported = true;
                    return;
                }
                Ok(Err(error)) if error.may_pass() && Instant::now() + FIRST_PAUSE < deadline => {
                    info!("{}", error.with_causes());
                    tokio::time::sleep(FIRST_PAUSE).await;
                }
                Ok(Err(error)) => break error.with_causes(),
                Err(_) => break "the registry does not respond".to_owned(),
            }
        };
        self.keep(ending, wrapper_died, &why);
    }

    /// Keeps the end for the next `exec` or the agent, unless it was already reported or kept.
    pub fn keep(&mut self, ending: Ending, wrapper_died: bool, why: &str) {
        if std::mem::replace(&mut self.is_reported, true) {
            return;
        }
        if ending.still_there == 0 {
            self.running.clear();
        }
        let report = Unreported {
            server: self.client.server().to_string(),
            unique_id: self.unique_id.clone(),
            plugin: self.plugin.clone(),
            is_registered: self.registered,
            lease_id: self.lease.as_ref().map(|held| held.lease.lease_id.clone()),
            pids: self
                .reported
                .union(&self.perhaps_reported)
                .filter(|pid| !self.running.contains(pid))
                .copied()
                .collect(),
            exit: Some(in_words(ending, wrapper_died)),
        };
        match self.spool.as_ref().map(|spool| spool.keep(&report)) {
            Some(Ok(())) => {
                warn!("kept the end of the command; the next `exec` or the agent reports it: {why}");
            }
            Some(Err(error)) => warn!(%error, "can neither report nor keep the end of the command: {why}"),
            None => warn!(
                "cannot report the end of the command, and no folder is set for keeping it; set one with --unreported: {why}"
            ),
        }
    }

    /// Reports the kept ends of earlier commands, as long as it is polled.
    pub fn catch_up(&self) -> impl Future<Output = ()> + use<> {
        let (client, spool) = (self.client.clone(), self.spool.clone());
        async move {
            if let Some(spool) = spool {
                spool.deliver(&client).await;
            }
        }
    }

    /// Follows the requests to stop the command, from its registration on, as long as it is polled. Sends to `stop` those
    /// that the command has to obey.
    pub fn stop_requests(&mut self, stop: mpsc::Sender<()>) -> impl Future<Output = ()> + use<> {
        let (announce, registered) = oneshot::channel();
        self.announce = Some(announce);
        let obeys = self.obeys_stop_requests;
        StopRequests::new(self.client.clone(), self.unique_id.clone(), obeys, stop).follow(registered)
    }

    async fn report_end(&mut self, exit: &str) -> Result<(), ClientError> {
        if !self.registered {
            self.register().await?;
        }
        self.report_pids().await?;
        let mut patch = json!({ "labels": { "exec.exit": exit } });
        // What it held remembers the lease; the plugin needs it no longer.
        let own = self.lease.as_ref().map(|held| held.lease.lease_id.as_str());
        let plugin = self.client.plugin(&self.unique_id).await?;
        let is_ours = own.is_some() && plugin.get("lease_id").and_then(Value::as_str) == own;
        if let Some(fields) = patch.as_object_mut().filter(|_| is_ours) {
            fields.insert("lease_id".into(), Value::Null);
        }
        self.client.patch_plugin(&self.unique_id, &patch).await?;
        if let Some(held) = &self.lease {
            match self.client.release_lease(&held.lease.lease_id).await {
                Ok(()) => {}
                // Another client released it.
                Err(error) if matches!(error.status(), Some(404 | 409 | 410)) => {}
                Err(error) => return Err(error),
            }
            self.lease = None;
        }
        Ok(())
    }

    async fn report(&mut self) -> Result<(), ClientError> {
        self.renew().await?;
        if !self.registered {
            self.register().await?;
            info!(plugin = self.unique_id, "registered");
        }
        self.report_pids().await
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
        let mut earlier = EarlierRequest::Null;
        if !self.client.register_new(&plugin).await? {
            // The plugin exists. Processes of an earlier run stay, because they may still run.
            let mut patch = json!({ "lease_id": lease, "labels": plugin.get("labels"), "host": plugin.get("host") });
            if let Some(labels) = patch.get_mut("labels").and_then(Value::as_object_mut) {
                labels.insert("exec.exit".into(), Value::Null);
            }
            let plugin = self.client.patch_plugin(&self.unique_id, &patch).await?;
            earlier = plugin.get("stop_requested").cloned().unwrap_or_default();
        }
        if let Some(announce) = self.announce.take() {
            // Nothing follows requests to stop once the command has ended.
            let _ignored = announce.send(earlier);
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
                self.verify().await
            }
            // Another client released the lease, or the registry has another store now, so exec takes a new lease.
            Err(error) if matches!(error.status(), Some(404 | 409)) => {
                warn!("the registry does not know the lease; exec takes a new one: {error}");
                self.lease = None;
                self.registered = false;
                self.reported.clear();
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Checks that the registry still has the plugin and its processes. Another client may have removed the plugin, or
    /// released its processes, while they run.
    async fn verify(&mut self) -> Result<(), ClientError> {
        if !self.registered {
            return Ok(());
        }
        let plugin = match self.client.plugin(&self.unique_id).await {
            Ok(plugin) => plugin,
            Err(error) if error.status() == Some(404) => {
                warn!(plugin = self.unique_id, "the plugin was removed while its command runs; registering it again");
                self.registered = false;
                self.reported.clear();
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let held = |pid: &Pid| {
            let mut pids = plugin.get("spawned_pids").and_then(Value::as_array).into_iter().flatten();
            pids.any(|held| held.as_u64() == Some(u64::from(*pid)))
        };
        let before = self.reported.len();
        self.reported.retain(held);
        if self.reported.len() < before {
            warn!(
                plugin = self.unique_id,
                processes = before - self.reported.len(),
                "processes of the command were released while they run; reporting them again"
            );
        }
        if plugin.get("lease_id").is_none_or(Value::is_null) {
            warn!(plugin = self.unique_id, "the plugin lost its lease while its command runs; attaching it again");
            self.registered = false;
        }
        Ok(())
    }

    /// Adds the processes that have started, and removes those that have ended. Processes that other clients reported
    /// under this name stay.
    async fn report_pids(&mut self) -> Result<(), ClientError> {
        let come: Vec<Pid> = self.running.difference(&self.reported).copied().collect();
        if !come.is_empty() {
            self.perhaps_reported.extend(&come);
            self.client.add_pids(&self.unique_id, &come).await?;
            self.reported.extend(come);
        }
        let ever_reported = self.reported.union(&self.perhaps_reported);
        let gone: Vec<Pid> = ever_reported.filter(|pid| !self.running.contains(pid)).copied().collect();
        for pid in gone {
            match self.client.remove_pid(&self.unique_id, pid).await {
                Ok(()) => {}
                // Another client removed it first.
                Err(error) if error.status() == Some(404) => {}
                Err(error) => return Err(error),
            }
            self.reported.remove(&pid);
            self.perhaps_reported.remove(&pid);
        }
        Ok(())
    }

    fn put_off(&mut self, why: &str) {
        if self.failures == 0 {
            warn!("{why}; the command runs nevertheless, and exec reports it later");
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

fn in_words(ending: Ending, wrapper_died: bool) -> String {
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
    let why = if wrapper_died { ", because exec was killed" } else { "" };
    how + &ended + &left + why
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
        assert_eq!(in_words(ending(3, 0, 0, 0), false), "code 3");
        assert_eq!(in_words(ending(137, 9, 0, 0), true), "signal 9, because exec was killed");
        assert_eq!(in_words(ending(0, 0, 3, 1), false), "code 0, 2 left behind and ended, 1 could not be ended");
    }
}
