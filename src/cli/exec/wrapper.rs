//! The wrapper: what the user has started, and what the registry takes for the plugin's application.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Signal, getpgrp, getpid, kill_current_process_group, set_child_subreaper};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tracing::{error, warn};

use super::end::end_descendants;
use super::link::{Ending, ToGuard, ToWrapper};
use super::reporter::Reporter;
use super::terminal::Terminal;
use super::{ExecArgs, OWN_FAILURE};
use crate::clock::new_identity;

/// How long the guard may take to call back. It is the same program, and does nothing before.
const CALL_BACK: Duration = Duration::from_secs(10);

/// Runs the command, and returns what to exit with.
///
/// # Errors
///
/// When the registry refuses the registration, or the command cannot be started at all.
pub fn run(args: &ExecArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ending = runtime.block_on(run_command(args))?;
    runtime.shutdown_background();
    Ok(ExitCode::from(ending.code))
}

async fn run_command(args: &ExecArgs) -> anyhow::Result<Ending> {
    // Before the command: what is sent early must reach it.
    let signals = all_signals()?;
    set_child_subreaper(Some(getpid())).context("this process is no subreaper")?;
    let mut reporter = Reporter::new(args)?;
    // A mistake in the flags should be told before anything runs; that nobody answers is no mistake.
    reporter.begin().await?;
    let catching_up = tokio::spawn(reporter.catch_up());
    let mut guarded = match Guarded::start(args, signals).await {
        Ok(guarded) => guarded,
        Err(error) => {
            reporter.end(None).await;
            return Err(error);
        }
    };
    let guard = guarded.guard.id();
    let ending = tokio::select! {
        ending = guarded.wait() => ending,
        never = reporter.keep_up(guard) => match never {},
    };
    let ending = match ending {
        Some(ending) => ending,
        None => without_guard(args.grace).await,
    };
    catching_up.abort();
    reporter.end(Some(ending)).await;
    // It has said its last word, or is dead.
    drop(guarded.guard.wait());
    Ok(ending)
}

/// The guard was killed, and the kernel has killed the command with it: ends all others.
async fn without_guard(grace: u64) -> Ending {
    error!("the guard was killed; everything that the command has started is ended");
    let ended = tokio::task::spawn_blocking(move || end_descendants(Duration::from_secs(grace))).await;
    let ended = ended.unwrap_or_default();
    Ending { code: OWN_FAILURE, signal: 0, left_behind: ended.found, still_there: ended.left }
}

/// The guard, and our link to it.
struct Guarded {
    guard: Child,
    heard: Lines<BufReader<OwnedReadHalf>>,
    told: OwnedWriteHalf,
    signals: UnboundedReceiver<i32>,
}

impl Guarded {
    async fn start(args: &ExecArgs, signals: UnboundedReceiver<i32>) -> anyhow::Result<Guarded> {
        // A name that the kernel keeps, and that nobody can guess.
        let name = format!("plugin-registry-exec-{}", new_identity().simple());
        let listener =
            UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?).context("no link to a guard")?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::UnixListener::from_std(listener)?;
        let guard = spawn_guard(args, &name).context("the guard cannot be started")?;
        let called = tokio::time::timeout(CALL_BACK, call_of(&listener, &guard)).await;
        let link = called.context("the guard does not call back")??;
        let (read, told) = link.into_split();
        Ok(Guarded { guard, heard: BufReader::new(read).lines(), told, signals })
    }

    /// Forwards signals until the command has ended; `None` when the guard has died before.
    async fn wait(&mut self) -> Option<Ending> {
        loop {
            tokio::select! {
                line = self.heard.next_line() => match line.ok().flatten().as_deref().map(ToWrapper::read) {
                    Some(Some(ToWrapper::Ended(ending))) => return Some(ending),
                    Some(Some(ToWrapper::Stopped)) => stop_with_the_job(),
                    Some(Some(ToWrapper::Started(_)) | None) => {}
                    None => return None,
                },
                Some(signal) = self.signals.recv() => self.forward(signal).await,
            }
        }
    }

    async fn forward(&mut self, signal: i32) {
        let told = if signal == Signal::CONT.as_raw() { ToGuard::Continue } else { ToGuard::Signal(signal) };
        // A guard that has died is noticed by whoever reads.
        drop(self.told.write_all(format!("{told}\n").as_bytes()).await);
    }
}

fn spawn_guard(args: &ExecArgs, link: &str) -> io::Result<Child> {
    let group = getpgrp().as_raw_nonzero().get();
    Command::new("/proc/self/exe")
        .arg0("plugin-registry")
        .args(["exec-guard", "--link", link, "--wrapper-group", &group.to_string()])
        .args(["--grace", &args.grace.to_string(), "--terminal", Terminal::of_this_process().as_str(), "--"])
        .args(&args.command)
        .spawn()
}

/// The connection that the guard has made; any other program that has guessed the name is turned away.
async fn call_of(listener: &tokio::net::UnixListener, guard: &Child) -> anyhow::Result<UnixStream> {
    loop {
        let (link, _) = listener.accept().await?;
        let caller = link.peer_cred()?.pid().and_then(|pid| u32::try_from(pid).ok());
        if caller == Some(guard.id()) {
            return Ok(link);
        }
        warn!(pid = caller, "a stranger has called in place of the guard");
    }
}

/// Stops this process and those that the shell has started with it, as the keyboard would have done.
fn stop_with_the_job() {
    if let Err(error) = kill_current_process_group(Signal::TSTP) {
        warn!(%error, "the shell cannot be told that the command was stopped");
    }
}

/// Every signal that is forwarded, as it comes.
fn all_signals() -> anyhow::Result<UnboundedReceiver<i32>> {
    let (sender, receiver) = unbounded_channel();
    let forwarded =
        [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM, Signal::USR1, Signal::USR2, Signal::WINCH, Signal::CONT];
    for kind in forwarded.map(Signal::as_raw) {
        let Ok(mut signals) = signal(SignalKind::from_raw(kind)) else { bail!("signal {kind} cannot be awaited") };
        let sender = sender.clone();
        tokio::spawn(async move { while signals.recv().await.is_some() && sender.send(kind).is_ok() {} });
    }
    Ok(receiver)
}
