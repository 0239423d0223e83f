//! Does a process still run, and is it the same process as before?
//!
//! The probe reads /proc, one file per read, into one buffer. A process that this host cannot see is
//! unknown, never gone: another pid namespace, an earlier boot, /proc mounted with `hidepid`.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;
use std::{fs, io};

use rustix::fs::{Dir, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::test_kill_process;

use super::identity::{Judgeable, ProcessIdentity, Standpoint};
use super::process_description::{Description, command};
use super::process_tree::ProcessTable;
use super::stat::Stat;
use crate::failpoints;
use domain::plugin::Pid;
use domain::record::ObservedState;

/// The longest line of /proc/PID/stat is far shorter: 52 numbers, and a command of at most 64 bytes.
const LINE: usize = 4096;

/// What /proc shows at a process id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessProbeResult {
    /// A process, perhaps a zombie.
    There(Stat),
    /// No process.
    NotThere,
    /// Perhaps a process, but /proc does not show it to this user.
    Hidden(&'static str),
}

/// What a probe concludes about the process that a plugin holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessVisibility {
    /// The state.
    pub state: ObservedState,
    /// The reason, for people.
    pub detail: Option<String>,
    /// The identity of the process, if it runs and is the expected one.
    pub identity: Option<ProcessIdentity>,
}

/// Probes processes.
#[derive(Debug)]
pub struct ProcessProbe {
    standpoint: Standpoint,
    proc: OwnedFd,
    path: String,
    line: Vec<u8>,
}

impl ProcessProbe {
    /// A probe of the processes in this process's pid namespace.
    ///
    /// # Errors
    ///
    /// If /proc is missing, or belongs to another pid namespace, whose numbers mean other processes.
    pub fn new() -> io::Result<ProcessProbe> {
        let own = fs::read_link("/proc/self")?;
        if own.as_os_str() != OsStr::new(&std::process::id().to_string()) {
            return Err(io::Error::other("/proc belongs to another pid namespace"));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = rustix::fs::open("/proc", flags, Mode::empty())?;
        Ok(ProcessProbe { standpoint: standpoint()?, proc, path: String::new(), line: vec![0; LINE] })
    }

    /// The standpoint of this probe.
    pub fn standpoint(&self) -> &Standpoint {
        &self.standpoint
    }

    /// Probes one process id.
    pub fn look(&mut self, pid: Pid) -> ProcessProbeResult {
        match self.stat(pid) {
            Ok(Some(stat)) => ProcessProbeResult::There(stat),
            Ok(None) => ProcessProbeResult::Hidden("its line in /proc is malformed"),
            Err(Errno::ACCESS | Errno::PERM) => ProcessProbeResult::Hidden("/proc refuses access to it (hidepid)"),
            // With hidepid=2, processes of other users look like missing ones. Signal 0, which is never delivered,
            // tells the two apart.
            Err(Errno::NOENT | Errno::SRCH) => match exists(pid) {
                Ok(false) => ProcessProbeResult::NotThere,
                // The process may have started between the two probes: the next sweep sees it.
                Ok(true) => ProcessProbeResult::Hidden("/proc does not show it (hidepid)"),
                Err(_) => ProcessProbeResult::Hidden("the kernel does not say whether it exists"),
            },
            Err(_) => ProcessProbeResult::Hidden("its line in /proc cannot be read"),
        }
    }

    /// All visible processes.
    ///
    /// # Errors
    ///
    /// If /proc cannot be listed.
    pub fn look_at_all(&mut self) -> io::Result<ProcessTable> {
        let mut table = ProcessTable::default();
        for entry in Dir::read_from(&self.proc)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            // Leaves out processes that ended since the listing, and hidden ones.
            if let Ok(Some(stat)) = self.stat(pid) {
                table.insert(pid, stat);
            }
        }
        Ok(table)
    }

    /// What `look` says about the process `pid` that a plugin holds; `known` is its identity, once seen.
    pub fn judge(&self, pid: Pid, look: ProcessProbeResult, known: Option<&ProcessIdentity>) -> ProcessVisibility {
        // Only a process of an earlier boot needs the time, and there are few.
        let up = if self.is_of_this_boot(known) { None } else { uptime() };
        judge(&self.standpoint, up, pid, look, known)
    }

    /// Returns true if and only if the process, once seen, was not seen in another boot.
    pub fn is_of_this_boot(&self, known: Option<&ProcessIdentity>) -> bool {
        known.is_none_or(|known| known.boot_id == self.standpoint.boot_id)
    }

    /// Describes the process that has this id and started at this time; `None` if it has ended or is hidden.
    pub fn describe(&mut self, pid: Pid, start_ticks: u64) -> Option<Description> {
        let name = String::from_utf8_lossy(self.read(pid, "comm").ok()?).trim_end().to_owned();
        let is_init = pid == 1 || is_first_of_its_namespace(self.read(pid, "status").ok()?);
        let command = command(self.read(pid, "cmdline").ok()?, &name);
        // Another process may have got the id between the reads.
        let is_same = self.stat(pid).ok()??.start_ticks == start_ticks;
        is_same.then_some(Description { command, name, is_init })
    }

    fn stat(&mut self, pid: Pid) -> Result<Option<Stat>, Errno> {
        // The kernel returns the whole line in one read if the buffer has room.
        Ok(Stat::parse(self.read(pid, "stat")?))
    }

    /// The beginning of a file of /proc/PID.
    fn read(&mut self, pid: Pid, name: &str) -> Result<&[u8], Errno> {
        self.path.clear();
        // Writing to a String cannot fail.
        let _written = write!(self.path, "{pid}/{name}");
        let file = openat(&self.proc, self.path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let length = rustix::io::read(&file, &mut self.line[..])?;
        Ok(self.line.get(..length).unwrap_or_default())
    }
}

/// Whether a process is the first one of its pid namespace: the innermost number in the line `NSpid` of
/// /proc/PID/status (proc_pid_status(5)) is 1.
fn is_first_of_its_namespace(status: &[u8]) -> bool {
    let status = String::from_utf8_lossy(status);
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers.is_some_and(|numbers| numbers.split_whitespace().next_back() == Some("1"))
}

/// The standpoint of this process.
fn standpoint() -> io::Result<Standpoint> {
    let line = |path: &str| fs::read_to_string(path).map(|text| text.trim().into());
    // Containers and small systems may have no machine id; boot id and namespace must then suffice.
    let machine_id = line("/etc/machine-id").or_else(|_| line("/var/lib/dbus/machine-id")).unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid")?;
    let inode = namespace.to_str().and_then(|text| text.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok());
    let pid_namespace = inode.ok_or_else(|| io::Error::other("the pid namespace has no inode"))?;
    Ok(Standpoint { machine_id, boot_id: line("/proc/sys/kernel/random/boot_id")?, pid_namespace })
}

/// How long this machine has been up (proc_uptime(5)); `None` if /proc does not tell.
fn uptime() -> Option<Duration> {
    let text = fs::read_to_string("/proc/uptime").ok()?;
    Duration::try_from_secs_f64(text.split(' ').next()?.parse().ok()?).ok()
}

/// Whether a process or thread has this number, visible or not.
fn exists(pid: Pid) -> Result<bool, Errno> {
    // Linux allocates process ids up to 4194304, so a larger number has no process.
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return Ok(false) };
    match test_kill_process(pid) {
        Ok(()) | Err(Errno::PERM) => Ok(true),
        Err(Errno::SRCH) => Ok(false),
        Err(error) => Err(error),
    }
}

fn judge(
    from: &Standpoint,
    up: Option<Duration>,
    pid: Pid,
    look: ProcessProbeResult,
    known: Option<&ProcessIdentity>,
) -> ProcessVisibility {
    let sight = |state, detail: &str| ProcessVisibility { state, detail: Some(detail.to_owned()), identity: None };
    match known.map_or(Judgeable::Here, |known| from.judges(known, up)) {
        Judgeable::Here => {}
        // The application may have started anew and claimed the same number: then a process of this boot has it.
        Judgeable::EndedWithItsBoot => match look {
            ProcessProbeResult::There(stat) if !stat.has_ended() => {
                let detail = "its machine has restarted, and its process id now belongs to another process";
                return sight(ObservedState::Reused, detail);
            }
            _ => return sight(ObservedState::Gone, "its machine has restarted"),
        },
        Judgeable::Unknown(why) => return sight(ObservedState::Unknown, why),
    }
    match look {
        ProcessProbeResult::Hidden(why) => sight(ObservedState::Unknown, why),
        ProcessProbeResult::NotThere if known.is_none() && !from.sees_the_machine() => {
            sight(ObservedState::Unknown, "never seen from here, where only a container's processes are visible")
        }
        ProcessProbeResult::NotThere => sight(ObservedState::Gone, "there is no such process"),
        ProcessProbeResult::There(stat) if is_another(stat, known) => {
            sight(ObservedState::Reused, "its process id now belongs to a process with another start time")
        }
        ProcessProbeResult::There(stat) if stat.has_ended() => {
            let detail = format!("ended, but its parent {} has not waited for it yet (zombie)", stat.parent);
            sight(ObservedState::Gone, &detail)
        }
        ProcessProbeResult::There(stat) => {
            let detail = matches!(stat.state, b'T' | b't').then(|| "stopped".to_owned());
            let identity = Some(from.identity(pid, stat.start_ticks));
            ProcessVisibility { state: ObservedState::Alive, detail, identity }
        }
    }
}

fn is_another(stat: Stat, known: Option<&ProcessIdentity>) -> bool {
    known.is_some_and(|known| known.start_ticks != stat.start_ticks) && !failpoints::ignores_start_ticks()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const STAT: Stat = Stat { state: b'S', parent: 1, session: 40, threads: 1, start_ticks: 100 };

    fn here() -> Standpoint {
        Standpoint { machine_id: "m".into(), boot_id: "b".into(), pid_namespace: 0xEFFF_FFFC }
    }

    fn zombie() -> Stat {
        Stat { state: b'Z', ..STAT }
    }

    #[rstest]
    #[case(ProcessProbeResult::There(STAT), None, ObservedState::Alive)]
    #[case(ProcessProbeResult::There(STAT), Some(100), ObservedState::Alive)]
    #[case(ProcessProbeResult::There(STAT), Some(99), ObservedState::Reused)]
    #[case(ProcessProbeResult::There(Stat { state: b'T', ..STAT }), Some(100), ObservedState::Alive)]
    #[case(ProcessProbeResult::There(zombie()), Some(100), ObservedState::Gone)]
    #[case(ProcessProbeResult::There(zombie()), None, ObservedState::Gone)]
    #[case(ProcessProbeResult::There(zombie()), Some(7), ObservedState::Reused)]
    #[case(ProcessProbeResult::There(Stat { threads: 3, ..zombie() }), Some(100), ObservedState::Alive)]
    #[case(ProcessProbeResult::NotThere, Some(100), ObservedState::Gone)]
    #[case(ProcessProbeResult::NotThere, None, ObservedState::Gone)]
    #[case(ProcessProbeResult::Hidden("why"), Some(100), ObservedState::Unknown)]
    #[case(ProcessProbeResult::Hidden("why"), None, ObservedState::Unknown)]
    fn probe_results_become_states(
        #[case] look: ProcessProbeResult,
        #[case] ticks: Option<u64>,
        #[case] state: ObservedState,
    ) {
        let known = ticks.map(|ticks| here().identity(42, ticks));
        let sight = judge(&here(), None, 42, look, known.as_ref());
        assert_eq!(sight.state, state);
        // Only a running process that is the expected one gets an identity.
        assert_eq!(sight.identity, (state == ObservedState::Alive).then(|| here().identity(42, 100)));
    }

    #[rstest]
    #[case::there(ProcessProbeResult::There(STAT))]
    #[case::not_there(ProcessProbeResult::NotThere)]
    #[case::zombie(ProcessProbeResult::There(zombie()))]
    fn a_process_seen_from_another_standpoint_is_unknown(#[case] look: ProcessProbeResult) {
        let elsewhere = Standpoint { boot_id: "x".into(), ..here() };
        let sight = judge(&here(), None, 42, look, Some(&elsewhere.identity(42, 100)));
        assert_eq!((sight.state, sight.identity), (ObservedState::Unknown, None));
    }

    #[test]
    fn a_process_of_an_earlier_boot_has_ended_once_the_machine_is_up_for_ten_minutes() {
        let earlier = Standpoint { boot_id: "a".into(), ..here() }.identity(42, 100);
        let look = |minutes, look| judge(&here(), Some(Duration::from_mins(minutes)), 42, look, Some(&earlier));
        assert_eq!(look(9, ProcessProbeResult::NotThere).state, ObservedState::Unknown);
        for seen in
            [ProcessProbeResult::NotThere, ProcessProbeResult::Hidden("why"), ProcessProbeResult::There(zombie())]
        {
            let gone = look(10, seen);
            assert_eq!((gone.state, gone.detail.as_deref()), (ObservedState::Gone, Some("its machine has restarted")));
        }
        // The same start tick in another boot is another process.
        assert_eq!(look(10, ProcessProbeResult::There(STAT)).state, ObservedState::Reused);
        assert!(uptime().is_some());
    }

    #[test]
    fn a_process_that_a_container_never_saw_is_unknown_and_not_gone() {
        let container = Standpoint { pid_namespace: 4_026_532_000, ..here() };
        assert_eq!(judge(&container, None, 42, ProcessProbeResult::NotThere, None).state, ObservedState::Unknown);
        let known = container.identity(42, 100);
        assert_eq!(judge(&container, None, 42, ProcessProbeResult::NotThere, Some(&known)).state, ObservedState::Gone);
    }

    #[test]
    fn this_process_is_found_alone_and_in_the_table() {
        let mut probe = ProcessProbe::new().unwrap();
        let own = std::process::id();
        let ProcessProbeResult::There(stat) = probe.look(own) else { panic!("/proc shows this process") };
        assert_eq!(probe.look_at_all().unwrap().get(own).map(|stat| stat.start_ticks), Some(stat.start_ticks));
    }

    #[rstest]
    #[case(u32::MAX)]
    #[case(i32::MAX.unsigned_abs())]
    // Above the highest pid_max of the kernel (proc_sys_kernel(5)).
    #[case(4_194_305)]
    fn a_number_above_pid_max_is_not_there(#[case] pid: Pid) {
        assert_eq!(ProcessProbe::new().unwrap().look(pid), ProcessProbeResult::NotThere);
    }
}
