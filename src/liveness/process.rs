//! Is a process still there, and is it still the same one?
//!
//! Everything is read from /proc, with plain reads into one buffer. What cannot be seen from here is
//! unknown, and never gone: another pid namespace, another start of the machine, /proc mounted with
//! `hidepid`.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::{fs, io};

use rustix::fs::{Dir, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::test_kill_process;

use super::identity::{ProcessIdentity, Standpoint};
use super::process_tree::ProcessTable;
use super::stat::Stat;
use crate::failpoints;
use domain::plugin::Pid;
use domain::record::ObservedState;

/// The longest line of /proc/PID/stat is far shorter: 52 numbers and a command of 64 bytes at most.
const LINE: usize = 4096;

/// What was found at a process id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessProbeResult {
    /// A process, or what is left of one.
    There(Stat),
    /// Nothing.
    NotThere,
    /// There may be one, but this process may not see it.
    Hidden(&'static str),
}

/// What that says about the process that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessVisibility {
    /// The state.
    pub state: ObservedState,
    /// More about it, for people.
    pub detail: Option<String>,
    /// Which process it is, when it is there and the right one.
    pub identity: Option<ProcessIdentity>,
}

/// Looks at processes.
#[derive(Debug)]
pub struct ProcessProbe {
    standpoint: Standpoint,
    proc: OwnedFd,
    path: String,
    line: Vec<u8>,
}

impl ProcessProbe {
    /// A probe of the processes that this one sees.
    ///
    /// # Errors
    ///
    /// When there is no /proc, or it is that of another pid namespace: its numbers are not ours.
    pub fn new() -> io::Result<ProcessProbe> {
        let own = fs::read_link("/proc/self")?;
        if own.as_os_str() != OsStr::new(&std::process::id().to_string()) {
            return Err(io::Error::other("/proc is that of another pid namespace"));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = rustix::fs::open("/proc", flags, Mode::empty())?;
        Ok(ProcessProbe { standpoint: standpoint()?, proc, path: String::new(), line: vec![0; LINE] })
    }

    /// Where this probe looks from.
    pub fn standpoint(&self) -> &Standpoint {
        &self.standpoint
    }

    /// Looks at one process id.
    pub fn look(&mut self, pid: Pid) -> ProcessProbeResult {
        match self.stat(pid) {
            Ok(Some(stat)) => ProcessProbeResult::There(stat),
            Ok(None) => ProcessProbeResult::Hidden("its line in /proc cannot be understood"),
            Err(Errno::ACCESS | Errno::PERM) => {
                ProcessProbeResult::Hidden("/proc does not let this process look (hidepid)")
            }
            // With hidepid=2 the processes of others look like none at all. A signal that is not sent tells.
            Err(Errno::NOENT | Errno::SRCH) => match exists(pid) {
                Ok(false) => ProcessProbeResult::NotThere,
                // It may have come between the two looks: the next sweep will see it.
                Ok(true) => ProcessProbeResult::Hidden("/proc does not show it (hidepid)"),
                Err(_) => ProcessProbeResult::Hidden("the system does not tell whether it is there"),
            },
            Err(_) => ProcessProbeResult::Hidden("its line in /proc cannot be read"),
        }
    }

    /// Every process that can be seen.
    ///
    /// # Errors
    ///
    /// When /proc cannot be listed.
    pub fn look_at_all(&mut self) -> io::Result<ProcessTable> {
        let mut table = ProcessTable::default();
        for entry in Dir::read_from(&self.proc)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            // One that has ended since it was listed, or may not be looked at, is left out.
            if let Ok(Some(stat)) = self.stat(pid) {
                table.insert(pid, stat);
            }
        }
        Ok(table)
    }

    /// What a look says about the process `pid` that is held, whose identity may be known.
    pub fn judge(&self, pid: Pid, look: ProcessProbeResult, known: Option<&ProcessIdentity>) -> ProcessVisibility {
        judge(&self.standpoint, pid, look, known)
    }

    fn stat(&mut self, pid: Pid) -> Result<Option<Stat>, Errno> {
        self.path.clear();
        // Writing to a String cannot fail.
        let _written = write!(self.path, "{pid}/stat");
        let file = openat(&self.proc, self.path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        // The kernel gives the whole line to one read that has room for it.
        let length = rustix::io::read(&file, &mut self.line[..])?;
        Ok(self.line.get(..length).and_then(Stat::parse))
    }
}

/// Where this process stands.
fn standpoint() -> io::Result<Standpoint> {
    let line = |path: &str| fs::read_to_string(path).map(|text| text.trim().into());
    // A container or a small system may have none; then boot id and namespace have to do.
    let machine_id = line("/etc/machine-id").or_else(|_| line("/var/lib/dbus/machine-id")).unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid")?;
    let inode = namespace.to_str().and_then(|text| text.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok());
    let pid_namespace = inode.ok_or_else(|| io::Error::other("the pid namespace has no number"))?;
    Ok(Standpoint { machine_id, boot_id: line("/proc/sys/kernel/random/boot_id")?, pid_namespace })
}

/// Whether any process or thread has this number, visible or not.
fn exists(pid: Pid) -> Result<bool, Errno> {
    // Linux stops at 4194304: what does not fit cannot be there.
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return Ok(false) };
    match test_kill_process(pid) {
        Ok(()) | Err(Errno::PERM) => Ok(true),
        Err(Errno::SRCH) => Ok(false),
        Err(error) => Err(error),
    }
}

fn judge(from: &Standpoint, pid: Pid, look: ProcessProbeResult, known: Option<&ProcessIdentity>) -> ProcessVisibility {
    let sight = |state, detail: &str| ProcessVisibility { state, detail: Some(detail.to_owned()), identity: None };
    if let Some(why) = known.and_then(|known| from.cannot_judge(known)) {
        return sight(ObservedState::Unknown, why);
    }
    match look {
        ProcessProbeResult::Hidden(why) => sight(ObservedState::Unknown, why),
        ProcessProbeResult::NotThere if known.is_none() && !from.sees_the_machine() => {
            sight(ObservedState::Unknown, "it was never seen from here, and here only a container's processes are seen")
        }
        ProcessProbeResult::NotThere => sight(ObservedState::Gone, "there is no such process"),
        ProcessProbeResult::There(stat) if is_another(stat, known) => {
            sight(ObservedState::Reused, "its number belongs to a process that was started at another time")
        }
        ProcessProbeResult::There(stat) if stat.has_ended() => {
            let detail = format!("it has ended; its parent {} has not taken note yet (zombie)", stat.parent);
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
    fn looks_are_judged(#[case] look: ProcessProbeResult, #[case] ticks: Option<u64>, #[case] state: ObservedState) {
        let known = ticks.map(|ticks| here().identity(42, ticks));
        let sight = judge(&here(), 42, look, known.as_ref());
        assert_eq!(sight.state, state);
        // Only what is there, and the right one, is named.
        assert_eq!(sight.identity, (state == ObservedState::Alive).then(|| here().identity(42, 100)));
    }

    #[rstest]
    #[case::there(ProcessProbeResult::There(STAT))]
    #[case::not_there(ProcessProbeResult::NotThere)]
    #[case::zombie(ProcessProbeResult::There(zombie()))]
    fn what_was_seen_from_elsewhere_is_never_judged(#[case] look: ProcessProbeResult) {
        let elsewhere = Standpoint { boot_id: "x".into(), ..here() };
        let sight = judge(&here(), 42, look, Some(&elsewhere.identity(42, 100)));
        assert_eq!((sight.state, sight.identity), (ObservedState::Unknown, None));
    }

    #[test]
    fn a_container_cannot_say_that_what_it_never_saw_is_gone() {
        let container = Standpoint { pid_namespace: 4_026_532_000, ..here() };
        assert_eq!(judge(&container, 42, ProcessProbeResult::NotThere, None).state, ObservedState::Unknown);
        let known = container.identity(42, 100);
        assert_eq!(judge(&container, 42, ProcessProbeResult::NotThere, Some(&known)).state, ObservedState::Gone);
    }

    #[test]
    fn this_process_is_seen_and_is_in_the_table_of_all() {
        let mut probe = ProcessProbe::new().unwrap();
        let own = std::process::id();
        let ProcessProbeResult::There(stat) = probe.look(own) else { panic!("this process is here") };
        assert_eq!(probe.look_at_all().unwrap().get(own).map(|stat| stat.start_ticks), Some(stat.start_ticks));
    }

    #[rstest]
    #[case(u32::MAX)]
    #[case(i32::MAX.unsigned_abs())]
    // Beyond what the kernel ever gives out (proc_pid_max in proc_sys_kernel(5)).
    #[case(4_194_305)]
    fn a_number_that_no_process_can_have_is_not_there(#[case] pid: Pid) {
        assert_eq!(ProcessProbe::new().unwrap().look(pid), ProcessProbeResult::NotThere);
    }
}
