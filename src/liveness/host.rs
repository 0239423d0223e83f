//! The name of this host, and the lock that keeps a second agent from starting.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use super::process::ProcessProbe;

/// The node name of this machine (uname(2)); `localhost` if it is not UTF-8.
pub fn this_host() -> String {
    rustix::system::uname().nodename().to_str().ok().filter(|name| !name.is_empty()).unwrap_or("localhost").to_owned()
}

/// The name of an agent of `host` on this machine. It survives a restart; each machine and each
/// container has another.
pub fn agent_name(host: &str) -> String {
    let Ok(probe) = ProcessProbe::new() else { return format!("agent of {host}") };
    let standpoint = probe.standpoint();
    let machine = standpoint.machine_id.get(..8).unwrap_or("unnamed");
    format!("agent of {host} on {machine}/{}", standpoint.pid_namespace)
}

/// The lock of a running agent: no second process on this machine reports the same host to the same registry.
#[derive(Debug)]
pub struct OnlyAgent {
    _name: UnixListener,
}

impl OnlyAgent {
    /// Takes the lock for `host` and the registry at `server`.
    ///
    /// The lock is an abstract socket (unix(7)): the kernel releases it when the process ends, even after
    /// SIGKILL.
    ///
    /// # Errors
    ///
    /// `AddrInUse` if another agent holds the lock.
    pub fn of(host: &str, server: &str) -> io::Result<OnlyAgent> {
        use std::hash::{Hash as _, Hasher as _};
        // A socket name has at most 107 bytes; a host name may be longer.
        let mut hash = fnv::FnvHasher::default();
        (host, server).hash(&mut hash);
        let name = format!("plugin-registry-agent-{:016x}", hash.finish());
        let address = SocketAddr::from_abstract_name(name)?;
        Ok(OnlyAgent { _name: UnixListener::bind_addr(&address)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_agent_of_a_host_waits_for_the_end_of_the_first() {
        let first = OnlyAgent::of("test", "http://only-agent.test").unwrap();
        assert_eq!(OnlyAgent::of("test", "http://only-agent.test").unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert!(OnlyAgent::of("other", "http://only-agent.test").is_ok());
        drop(first);
        assert!(OnlyAgent::of("test", "http://only-agent.test").is_ok());
    }

    #[test]
    fn an_agent_has_the_same_name_after_a_restart() {
        assert_eq!(agent_name("h"), agent_name("h"));
        assert_ne!(agent_name("h"), agent_name("i"));
        assert!(!this_host().is_empty());
    }
}
