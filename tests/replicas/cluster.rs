//! A PostgreSQL server of the test's own.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::PATIENCE;

/// The server, with a database for each name that is asked for.
pub(crate) struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    /// Where it listens.
    pub(crate) port: u16,
}

impl Cluster {
    /// Makes a cluster, and starts it.
    pub(crate) fn start() -> Cluster {
        let cluster = Cluster::make();
        cluster.run();
        cluster
    }

    /// Makes a cluster that does not run yet.
    pub(crate) fn make() -> Cluster {
        let cluster = Cluster::empty();
        let data = cluster.data();
        cluster.order("initdb", &["-D", &data, "-U", "postgres", "--auth", "trust", "--no-sync"]);
        cluster
    }

    /// Another server on a port, with the data of this one, which is stopped: a standby that has everything.
    pub(crate) fn twin_at(&self, port: u16) -> Cluster {
        let mut twin = Cluster::empty();
        twin.port = port;
        // As root: the server's own folders are closed to others.
        let copied = Command::new("cp").args(["-a", &self.data(), &twin.data()]).status();
        assert!(copied.expect("cp can be started").success(), "the data can be copied");
        twin
    }

    fn empty() -> Cluster {
        let folder = TempDir::new().expect("a temporary folder");
        if geteuid().is_root() {
            // The server refuses to run as root: Debian's package has a user for it.
            let owner = fs::metadata("/var/lib/postgresql").expect("Debian's postgresql is installed");
            chown(folder.path(), Some(owner.uid()), Some(owner.gid())).expect("the folder can be given away");
        }
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = socket.local_addr().expect("it is bound").port();
        Cluster { folder, programs: programs(), port }
    }

    /// The URL of its database.
    pub(crate) fn url(&self) -> String {
        url_by(self.port)
    }

    /// Starts the server, and waits until it takes connections.
    pub(crate) fn run(&self) {
        self.run_with("");
    }

    /// Starts the server with TLS, which it demands of everybody; returns the file of the authority that it is known by.
    pub(crate) fn run_with_tls(&self) -> PathBuf {
        let data = self.data();
        self.shell(&format!(
            "cd {data} && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -keyout server.key \
             -out server.crt -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE 2> /dev/null \
             && chmod 600 server.key && echo 'hostssl all all 127.0.0.1/32 trust' > pg_hba.conf"
        ));
        self.run_with("-c ssl=on");
        self.folder.path().join("data/server.crt")
    }

    fn run_with(&self, more: &str) {
        let folder = self.folder.path().display();
        let options = format!(
            "-p {} -k {folder} -c listen_addresses=127.0.0.1 -c max_connections=100 -c log_min_messages=fatal {more}",
            self.port
        );
        let log = format!("{folder}/server.log");
        self.order("pg_ctl", &["-D", &self.data(), "-l", &log, "-w", "-o", &options, "start"]);
    }

    /// Stops it in order.
    pub(crate) fn stop(&self) {
        self.order("pg_ctl", &["-D", &self.data(), "-m", "fast", "-w", "stop"]);
    }

    /// Kills every process of it at once: what was not synced by then may be lost.
    pub(crate) fn kill(&self) {
        let file = fs::read_to_string(format!("{}/postmaster.pid", self.data())).expect("it runs");
        let postmaster: i32 = file.lines().next().and_then(|pid| pid.parse().ok()).expect("the file begins with it");
        let mut processes = children(postmaster);
        processes.insert(0, postmaster);
        for &pid in &processes {
            // A process that has ended meanwhile cannot be killed any more.
            let killed = Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::KILL));
            assert!(killed.is_some(), "a process has a number");
        }
        // Its lock file names a process until that is gone.
        let deadline = Instant::now() + PATIENCE;
        while processes.iter().any(|pid| fs::exists(format!("/proc/{pid}")).is_ok_and(|is_there| is_there)) {
            assert!(Instant::now() < deadline, "the server does not die");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A copy of the data of a server that is stopped.
    pub(crate) fn copy(&self) -> PathBuf {
        let copy = self.folder.path().join("copy");
        self.shell(&format!("rm -rf {copy} && cp -a {data} {copy}", copy = copy.display(), data = self.data()));
        copy
    }

    /// Puts a copy in the place of the data of a server that is stopped.
    pub(crate) fn put_back(&self, copy: &Path) {
        self.shell(&format!("rm -rf {data} && cp -a {copy} {data}", copy = copy.display(), data = self.data()));
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn order(&self, program: &str, arguments: &[&str]) {
        let path = self.programs.join(program);
        let mut command = as_server(path.to_str().expect("a path of ASCII"));
        let done = command.args(arguments).current_dir(self.folder.path()).output().expect("it can be started");
        assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn shell(&self, script: &str) {
        let done = as_server("sh").args(["-c", script]).current_dir(self.folder.path()).status();
        assert!(done.expect("a shell can be started").success(), "{script}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut command = as_server(self.programs.join("pg_ctl").to_str().expect("a path of ASCII"));
        command.args(["-D", &self.data(), "-m", "immediate", "stop"]);
        // It may have been stopped before.
        drop(command.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null()).status());
    }
}

/// The URL of a cluster's database, by a way that begins at `port`.
pub(crate) fn url_by(port: u16) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable")
}

/// A program that runs as the server does.
fn as_server(program: &str) -> Command {
    if geteuid().is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--", program]);
        command
    } else {
        Command::new(program)
    }
}

/// Where Debian has the server's programs.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("`./tests/run postgres` installs PostgreSQL");
    let newest = versions.filter_map(Result::ok).map(|entry| entry.path()).max();
    newest.expect("`./tests/run postgres` installs PostgreSQL").join("bin")
}

/// The processes that a process has started.
fn children(parent: i32) -> Vec<i32> {
    let processes = fs::read_dir("/proc").expect("there is /proc").filter_map(Result::ok);
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    ids.filter(|pid| {
        // The command may hold spaces and parentheses; the state and the parent come after the last one.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent_of = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
        parent_of == Some(parent)
    })
    .collect()
}
