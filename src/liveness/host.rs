//! Which host this is, and that there is one agent of it.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use super::process::ProcessProbe;

/// What this machine calls itself (uname(2)); `localhost` when that is no text.
pub fn this_host() -> String {
    rustix::system::uname().nodename().to_str().ok().filter(|name| !name.is_empty()).unwrap_or("localhost").to_owned()
}

/// What an agent of `host` on this machine calls itself: the same after a restart, another on another
/// machine or in another container.
pub fn agent_name(host: &str) -> String {
    let Ok(probe) = ProcessProbe::new() else { return format!("agent of {host}") };
    let standpoint = probe.standpoint();
    let machine = standpoint.machine_id.get(..8).unwrap_or("unnamed");
    format!("agent of {host} on {machine}/{}", standpoint.pid_namespace)
}

/// Kept for as long as an agent runs: no other on this machine reports the same to the same registry.
#[derive(Debug)]
pub struct OnlyAgent {
    _name: UnixListener,
}

impl OnlyAgent {
    /// Becomes the agent of `host` for the registry at `server`.
    ///
    /// The claim is a name that the kernel keeps (abstract sockets, unix(7)): it ends with the process,
    /// however that ends.
    ///
    /// # Errors
    ///
    /// `AddrInUse` when there is one already.
    pub fn of(host: &str, server: &str) -> io::Result<OnlyAgent> {
        use std::hash::{Hash as _, Hasher as _};
        // A name may have 107 bytes, and a host more.
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
    fn there_is_one_agent_of_a_host_until_it_ends() {
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
