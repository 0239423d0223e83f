//! The monitor: sends requests to the registry, from a session of its own that no terminal reaches.
//!
//! It keeps running while the command and the wrapper are stopped, so the lease does not expire. If the wrapper is
//! killed, the monitor reports the end. If the supervisor is killed or hangs, the monitor itself ends the remaining
//! processes.

use std::io;
use std::process::{Child, ExitCode};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use rustix::process::{Pid, Signal, getpid, getppid, set_child_subreaper, set_parent_process_death_signal, setsid};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{error, warn};

use super::control_socket::{ControlSocket, Ending, Listener, Message};
use super::inherited_files::InheritedFiles;
use super::reap::{LAST_PATIENCE, end_descendants};
use super::reporter::Reporter;
use super::signals::{self, Blocked, send};
use super::{ExecArgs, OWN_FAILURE, own_program, set_process_name};
use crate::cli::logging::{self, LogFormat};
use crate::cli::otlp;
use crate::telemetry::{Origin, Traces};

/// The name of `exec` in traces.
const SERVICE: &str = "plugin-registry-exec";

/// How long the end may wait for the trace collector.
const LAST_TRACES: Duration = Duration::from_secs(1);

/// How much longer than the grace period the supervisor may take to end everything.
const OVERTIME: Duration = Duration::from_secs(2);

/// The flags that the wrapper passes to the monitor.
#[derive(Debug, Clone, Args)]
pub struct MonitorArgs {
    #[arg(long)]
    wrapper_socket: String,
    #[arg(long)]
    wrapper: u32,
    #[arg(long, default_value = "")]
    blocked: Blocked,
    /// The user's flags.
    #[command(flatten)]
    exec: ExecArgs,
}

/// Registers, starts the command through the supervisor, and reports until the end of the command.
///
/// # Errors
///
/// If a flag is invalid, or a system call fails.
pub fn run(args: &MonitorArgs) -> anyhow::Result<ExitCode> {
    signals::block().context("cannot block signals")?;
    set_process_name(c"exec-monitor");
    let inherited = InheritedFiles::find();
    // The kernel wakes a stopped monitor when the wrapper dies.
    set_parent_process_death_signal(Some(Signal::CONT))?;
    set_child_subreaper(Some(getpid())).context("the monitor is no subreaper")?;
    let wrapper = ControlSocket::call(&args.wrapper_socket).context("the wrapper does not listen")?;
    if getppid() != pid(args.wrapper) {
        return Ok(ExitCode::from(OWN_FAILURE));
    }
    let (_log, _level) = logging::start(LogFormat::Text, &args.exec.log_level)?;
    Ok(ExitCode::from(monitor(args, inherited, wrapper).map_or_else(
        |error| {
            error!("{error:#}");
            OWN_FAILURE
        },
        |()| 0,
    )))
}

fn monitor(args: &MonitorArgs, inherited: InheritedFiles, wrapper: ControlSocket) -> anyhow::Result<()> {
    let reporter = Reporter::new(&args.exec)?;
    let listener = Listener::new().context("cannot create a socket for the supervisor")?;
    let mut process = spawn_supervisor(args, &listener).context("cannot start the supervisor")?;
    // The supervisor has inherited the session and the group. setsid(2) fails only for a group leader, which has its
    // own.
    let _ignored = setsid();
    inherited.release();
    wrapper.send(Message::Supervisor(process.id()));
    let supervisor = listener.call_of(&mut process).context("the supervisor died")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reported = runtime.block_on(async {
        let (traces, origin) = traces(args);
        let monitor = Monitor {
            reporter: reporter.from_origin(origin),
            wrapper: AwaitedSocket::new(wrapper)?,
            supervisor: AwaitedSocket::new(supervisor)?,
            process,
            wrapper_pid: args.wrapper,
            grace: Duration::from_secs(args.exec.grace),
        };
        monitor.run().await;
        otlp::stop(&traces, LAST_TRACES).await;
        Ok(())
    });
    runtime.shutdown_background();
    reported
}

/// The tracing of this process. OpenTelemetry's variables are meant for the command, too, so an invalid value here must
/// not keep the command from running.
fn traces(args: &MonitorArgs) -> (Traces, Origin) {
    args.exec.traces.origin(SERVICE).unwrap_or_else(|error| {
        warn!("cannot trace the requests to the registry: {error:#}");
        (Traces::default(), Origin::default())
    })
}

fn spawn_supervisor(args: &MonitorArgs, listener: &Listener) -> io::Result<Child> {
    let mut supervisor = own_program("exec-supervisor");
    supervisor.args(["exec-supervisor", "--wrapper-socket", &args.wrapper_socket, "--monitor-socket", &listener.name]);
    supervisor.args(["--wrapper", &args.wrapper.to_string(), "--monitor", &std::process::id().to_string()]);
    supervisor.args(["--grace", &args.exec.grace.to_string(), "--signal", args.exec.signal.as_str()]);
    supervisor.args(["--blocked", &args.blocked.as_word(), "--"]).args(&args.exec.command);
    if !args.exec.pass_token {
        supervisor.env_remove("PLUGIN_REGISTRY_TOKEN");
    }
    supervisor.spawn()
}

struct Monitor {
    reporter: Reporter,
    wrapper: AwaitedSocket,
    supervisor: AwaitedSocket,
    process: Child,
    wrapper_pid: u32,
    grace: Duration,
}

impl Monitor {
    async fn run(mut self) {
        let (stop, mut stops) = mpsc::channel(1);
        let following = tokio::spawn(self.reporter.stop_requests(stop));
        self.reporter.begin().await;
        self.supervisor.send(Message::Start);
        let catching_up = tokio::spawn(self.reporter.catch_up());
        let (ending, wrapper_died) = self.watch(&mut stops).await;
        catching_up.abort();
        following.abort();
        tokio::select! {
            () = self.reporter.end(ending, wrapper_died) => {}
            () = hurried(&mut self.wrapper), if !wrapper_died => {}
        }
        // Does nothing if the end was reported.
        self.reporter.keep(ending, wrapper_died, "exec did not wait for the report");
    }

    /// Reports the running processes until the command ends. Returns how it ended, and whether the wrapper died first.
    async fn watch(&mut self, stops: &mut mpsc::Receiver<()>) -> (Ending, bool) {
        let (mut wrapper_died, mut deadline) = (false, None);
        let keeping_up = self.reporter.keep_up(self.process.id());
        tokio::pin!(keeping_up);
        loop {
            tokio::select! {
                messages = self.supervisor.receive() => match messages {
                    Some(messages) => if let Some(ending) = ending_of(&messages) { return (ending, wrapper_died) },
                    None => break,
                },
                messages = self.wrapper.receive(), if !wrapper_died => if messages.is_none() {
                    error!("the wrapper was killed; ending everything that the command started");
                    wrapper_died = true;
                    deadline = Some(Instant::now() + self.grace + LAST_PATIENCE + OVERTIME);
                    signal(&self.process, Signal::CONT);
                },
                // As if a terminal or a service manager had asked: the wrapper forwards the signal to the command.
                Some(()) = stops.recv(), if !wrapper_died => if let Some(wrapper) = pid(self.wrapper_pid) {
                    send(wrapper, Signal::TERM.as_raw());
                },
                () = sleep_until(deadline) => {
                    warn!("the supervisor does not end its descendants; killing it");
                    deadline = None;
                    signal(&self.process, Signal::KILL);
                },
                never = &mut keeping_up => match never {},
            }
        }
        error!("the supervisor was killed; ending everything that the command started");
        // The kernel has killed the command, too.
        let grace = self.grace;
        let ended = tokio::task::spawn_blocking(move || end_descendants(grace, &mut |_, _| {})).await;
        let ended = ended.unwrap_or_default();
        let ending = Ending { code: OWN_FAILURE, signal: 0, left_behind: ended.found, still_there: ended.left };
        self.wrapper.send(Message::Ended(ending));
        (ending, wrapper_died)
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Completes when the user loses patience, or the wrapper dies.
async fn hurried(wrapper: &mut AwaitedSocket) {
    while wrapper.receive().await.is_some_and(|messages| !messages.contains(&Message::Hurry)) {}
}

fn ending_of(messages: &[Message]) -> Option<Ending> {
    messages.iter().find_map(|message| if let Message::Ended(ending) = message { Some(*ending) } else { None })
}

fn signal(process: &Child, signal: Signal) {
    if let Some(pid) = pid(process.id()) {
        send(pid, signal.as_raw());
    }
}

fn pid(number: u32) -> Option<Pid> {
    i32::try_from(number).ok().and_then(Pid::from_raw)
}

/// A control socket in the async runtime.
struct AwaitedSocket {
    socket: ControlSocket,
    /// The same socket, for the runtime: it becomes readable when a message arrives.
    readiness: UnixStream,
}

impl AwaitedSocket {
    fn new(socket: ControlSocket) -> io::Result<AwaitedSocket> {
        let readiness = UnixStream::from_std(socket.another()?)?;
        Ok(AwaitedSocket { socket, readiness })
    }

    fn send(&self, message: Message) {
        self.socket.send(message);
    }

    /// The next messages; `None` after the other end has died.
    async fn receive(&mut self) -> Option<Vec<Message>> {
        loop {
            self.readiness.readable().await.ok()?;
            let socket = &mut self.socket;
            let received = self.readiness.try_io(Interest::READABLE, || match socket.receive() {
                Some(messages) if messages.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
                received => Ok(received),
            });
            if let Ok(received) = received {
                return received;
            }
        }
    }
}
