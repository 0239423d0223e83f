//! The name of this host, and the lock that keeps a second agent from starting.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use super::process::ProcessProbe;
use domain::host::{self, HostNames, LOCALHOST};

/// The node name of this machine (uname(2)); `localhost` if it is not UTF-8.
pub fn this_host() -> String {
    rustix::system::uname().nodename().to_str().ok().filter(|name| !name.is_empty()).unwrap_or("localhost").to_owned()
}

/// All names of this host, which is called `host`: the names of the loopback, and its fully qualified name.
pub fn names_of(host: &str) -> HostNames {
    let file = |path| std::fs::read_to_string(path).unwrap_or_default();
    names(host, &file("/etc/hosts"), &file("/etc/resolv.conf"))
}

/// As [`names_of`], from the text of the hosts file and of the resolver's configuration.
///
/// A short name is completed as the resolver does it: by the names that stand with it in a line of hosts(5), or by the
/// first domain of resolv.conf(5). No query is sent.
fn names(host: &str, hosts: &str, resolver: &str) -> HostNames {
    let own = HostNames::of([host]);
    let short = host.split_once('.').map_or(host, |(short, _)| short);
    let is_its = |name: &&str| name.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default().split_whitespace().skip(1));
    let lines = lines.filter(|names| names.clone().any(|name| own.contains(name)));
    let listed: Vec<&str> = lines.flatten().filter(is_its).collect();
    let domain = resolver.lines().rev().find_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| matches!(*word, "search" | "domain"))?;
        words.next()
    });
    // The domain completes short names that are not listed.
    let is_complete = listed.iter().chain([&host]).any(|name| name.contains('.'));
    let resolved = domain.filter(|_| !is_complete).map(|domain| format!("{host}.{domain}"));
    HostNames::of([host, LOCALHOST].into_iter().chain(listed).chain(resolved.as_deref()))
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
        (host::normal(host), server).hash(&mut hash);
        let name = format!("plugin-registry-agent-{:016x}", hash.finish());
        let address = SocketAddr::from_abstract_name(name)?;
        Ok(OnlyAgent { _name: UnixListener::bind_addr(&address)? })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_second_agent_of_a_host_waits_for_the_end_of_the_first() {
        let first = OnlyAgent::of("test", "http://only-agent.test").unwrap();
        assert_eq!(OnlyAgent::of("test", "http://only-agent.test").unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert!(OnlyAgent::of("other", "http://only-agent.test").is_ok());
        drop(first);
        assert!(OnlyAgent::of("test", "http://only-agent.test").is_ok());
    }

    #[rstest]
    #[case::in_the_hosts_file("gpu-1", "127.0.1.1 gpu-1.example.com gpu-1 # here\n", "", "gpu-1.example.com")]
    #[case::by_the_resolver(
        "GPU-1",
        "127.0.0.1 localhost\n",
        "nameserver 10.0.0.1\nsearch example.com b\n",
        "gpu-1.example.com"
    )]
    #[case::by_itself("gpu-1.example.com", "", "search other.example\n", "gpu-1.example.com")]
    fn the_fully_qualified_name_of_a_host_is_known(
        #[case] host: &str,
        #[case] hosts: &str,
        #[case] resolver: &str,
        #[case] qualified: &str,
    ) {
        let names = names(host, hosts, resolver);
        assert!(names.contains(qualified) && names.contains(host) && names.contains("127.0.0.1"), "{names:?}");
        assert!(!names.contains("gpu-1.other.example") && !names.contains("gpu-10"), "{names:?}");
    }

    #[test]
    fn the_lines_of_other_hosts_name_other_hosts() {
        let names = names("gpu-1", "10.0.0.2 gpu-1.other gpu-2\n127.0.0.1 localhost\n", "");
        assert_eq!(names, HostNames::of(["gpu-1", LOCALHOST]));
    }

    #[test]
    fn an_agent_has_the_same_name_after_a_restart() {
        assert_eq!(agent_name("h"), agent_name("h"));
        assert_ne!(agent_name("h"), agent_name("i"));
        assert!(!this_host().is_empty());
    }
}
