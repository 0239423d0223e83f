//! `plugin-registry hold-lease`: renews a lease as long as a process lives.
//!
//! An application in an interpreter cannot always renew in time: a long computation keeps its other threads from
//! running. This process renews in its place. It follows the process by a pidfd (pidfd_open(2)), so a later process
//! with the same number is not mistaken for it. When the process dies, the lease is not released: it runs out, and the
//! registry reports what was left behind.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{PidfdFlags, pidfd_open, setsid};
use tokio::sync::oneshot;

use super::connection::ConnectionArgs;
use super::exit_code;
use crate::client::{Client, ClientError};
use crate::liveness::process::{ProcessProbe, ProcessProbeResult};
use domain::plugin::Pid;

/// The flags of `hold-lease`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry hold-lease --lease cec223e4f5a949c1bfd7fbe50f04712d --for-pid $$ &
  plugin-registry hold-lease --lease $LEASE --for-pid 4711 --start-ticks 883211

It prints one line when it holds the lease. If the registry cannot be reached, it retries.

Exit codes: 0 the process has ended; 3 there is no such lease; 4 the token may not renew it;
5 the lease was released; 1 the process cannot be followed; 2 the flags are invalid.")]
pub struct HoldLeaseArgs {
    /// Which registry.
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The id of the lease.
    #[arg(long, value_name = "ID")]
    lease: String,
    /// The process that the lease is held for.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..=0x7fff_ffff))]
    for_pid: Pid,
    /// When that process started: field 22 of /proc/PID/stat. Another process with its number does not count. Default:
    /// the process that has the number now.
    #[arg(long, value_name = "TICKS")]
    start_ticks: Option<u64>,
}

/// The first pause after a failure. Each further one is twice as long, until the lease's own rhythm.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The rhythm until a response has told the lease's own, and the shortest time for a response.
const UNKNOWN_RHYTHM: Duration = Duration::from_secs(2);

/// How often a process is probed on a kernel without pidfds.
const PROBE: Duration = Duration::from_secs(1);

/// Renews the lease until the process ends, or the registry refuses.
///
/// # Errors
///
/// If a flag is invalid, or the process cannot be followed.
pub fn run(args: &HoldLeaseArgs) -> anyhow::Result<ExitCode> {
    let client = args.connection.client()?;
    // The keys that interrupt the application do not end this process, which then reads the application's end itself.
    // setsid(2) fails only for a group leader: a shell has started it as a job of its own.
    let _ignored = setsid();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let Some(mut holder) = Holder::find(args.for_pid, args.start_ticks)? else {
            say(&format!("process {} has ended", args.for_pid));
            return Ok(ExitCode::SUCCESS);
        };
        tokio::select! {
            () = holder.has_ended() => {
                say(&format!("process {} has ended: lease {} runs out", args.for_pid, args.lease));
                Ok(ExitCode::SUCCESS)
            }
            refusal = renew(&client, args) => {
                say(&refusal.with_causes());
                Ok(ExitCode::from(exit_code::of(&refusal)))
            }
        }
    })
}

/// Renews the lease; returns the refusal that makes further renewals useless.
async fn renew(client: &Client, args: &HoldLeaseArgs) -> ClientError {
    let (mut rhythm, mut pause, mut is_ready, mut is_away) = (UNKNOWN_RHYTHM, FIRST_PAUSE, false, false);
    loop {
        let renewal = tokio::time::timeout(rhythm.max(UNKNOWN_RHYTHM), client.renew_lease(&args.lease)).await;
        let failure = match renewal {
            Ok(Ok(lease)) => {
                rhythm = Duration::try_from_secs_f64(lease.renew_after_seconds).unwrap_or(UNKNOWN_RHYTHM);
                None
            }
            Ok(Err(error)) if !error.may_pass() => return error,
            Ok(Err(error)) => Some(error.with_causes()),
            Err(_) => Some("the registry does not respond".to_owned()),
        };
        if !is_ready {
            is_ready = true;
            // The lease is held whether or not the line is read.
            let line = format!("holding lease {} for process {}\n", args.lease, args.for_pid);
            let mut stdout = std::io::stdout();
            drop(stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()));
        }
        match failure {
            None => {
                if std::mem::take(&mut is_away) {
                    say("the registry responds again");
                }
                pause = FIRST_PAUSE;
                tokio::time::sleep(rhythm).await;
            }
            Some(why) => {
                if !std::mem::replace(&mut is_away, true) {
                    say(&format!("cannot renew the lease: {why}; retrying"));
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(rhythm.max(FIRST_PAUSE));
            }
        }
    }
}

/// The process that the lease is held for.
struct Holder {
    pid: Pid,
    start_ticks: u64,
    probe: ProcessProbe,
    /// Completes when the process ends; `None` on a kernel without pidfds.
    end: Option<oneshot::Receiver<()>>,
}

impl Holder {
    /// Finds the process; `None` if it has ended.
    fn find(pid: Pid, start_ticks: Option<u64>) -> anyhow::Result<Option<Holder>> {
        let mut probe = ProcessProbe::new().context("cannot see processes here")?;
        // The pidfd comes first: whatever it refers to had the number when the process was looked at.
        let raw = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
        let pidfd = raw.and_then(|raw| pidfd_open(raw, PidfdFlags::empty()).ok());
        let stat = match probe.look(pid) {
            ProcessProbeResult::There(stat) => stat,
            ProcessProbeResult::NotThere => return Ok(None),
            ProcessProbeResult::Hidden(why) => bail!("cannot see process {pid}: {why}"),
        };
        let is_wanted = start_ticks.is_none_or(|wanted| wanted == stat.start_ticks);
        if !is_wanted || stat.has_ended() {
            return Ok(None);
        }
        Ok(Some(Holder { pid, start_ticks: stat.start_ticks, probe, end: pidfd.map(end_of) }))
    }

    /// Completes when the process has ended.
    async fn has_ended(&mut self) {
        if let Some(end) = &mut self.end
            && end.await.is_ok()
        {
            return;
        }
        self.end = None;
        while self.is_there() {
            tokio::time::sleep(PROBE).await;
        }
    }

    fn is_there(&mut self) -> bool {
        match self.probe.look(self.pid) {
            ProcessProbeResult::There(stat) => stat.start_ticks == self.start_ticks && !stat.has_ended(),
            ProcessProbeResult::NotThere => false,
            ProcessProbeResult::Hidden(_) => true,
        }
    }
}

/// Completes when the process of a pidfd ends. A thread waits, which does not outlive this process.
fn end_of(pidfd: OwnedFd) -> oneshot::Receiver<()> {
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        loop {
            match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None) {
                Ok(_) => {
                    // The receiver is gone when the registry has refused.
                    let _ignored = ended.send(());
                    return;
                }
                Err(rustix::io::Errno::INTR) => {}
                // The receiver notices that the sender is gone, and probes.
                Err(_) => return,
            }
        }
    });
    end
}

fn say(what: &str) {
    // Its parent may have closed standard error.
    drop(writeln!(std::io::stderr(), "plugin-registry hold-lease: {what}"));
}
