//! What this process can see of the host's resources, and how the operator can let it see more.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustix::fs::{Access, access};
use serde::Serialize;
use utoipa::ToSchema;

use super::container::ContainerProbe;
use super::probe_metrics::ProbeMetrics;
use super::process::ProcessProbe;

/// One thing that probes need to see, and whether they can.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Point {
    /// The subject.
    #[schema(value_type = String, examples("processes"))]
    pub what: &'static str,
    /// Whether probes can see it.
    pub visible: bool,
    /// The evidence.
    pub detail: String,
    /// What the operator can do so that probes see it; null if they do.
    #[schema(required)]
    pub advice: Option<String>,
}

impl Point {
    fn seen(what: &'static str, detail: String) -> Point {
        Point { what, visible: true, detail, advice: None }
    }

    fn hidden(what: &'static str, detail: String, advice: &str) -> Point {
        Point { what, visible: false, detail, advice: Some(advice.to_owned()) }
    }
}

/// The result of the last check, for frequent readers, and the durations of sweeps. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct Visibility {
    points: Arc<ArcSwap<Vec<Point>>>,
    passes: ProbeMetrics,
}

impl Visibility {
    /// The last result; empty before the first check.
    pub fn points(&self) -> Arc<Vec<Point>> {
        self.points.load_full()
    }

    /// How long sweeps take.
    pub fn passes(&self) -> &ProbeMetrics {
        &self.passes
    }

    /// Checks again, with the Docker engine at `engine`.
    pub async fn refresh(&self, engine: &str) {
        self.points.store(Arc::new(look_around(engine).await));
    }
}

/// Checks what this process can see, with the Docker engine at `engine`.
pub async fn look_around(engine: &str) -> Vec<Point> {
    let mut points = processes();
    points.push(containers(engine).await);
    points
}

fn processes() -> Vec<Point> {
    let probe = match ProcessProbe::new() {
        Ok(probe) => probe,
        Err(error) => {
            let advice = "mount the /proc of this pid namespace (proc(5)), or run an agent on the host";
            return vec![Point::hidden("processes", format!("/proc is unusable: {error}"), advice)];
        }
    };
    let from = probe.standpoint();
    let namespace = if from.sees_the_machine() {
        Point::seen("pid namespace", "the machine's initial one: process ids mean the same here as for plugins".into())
    } else {
        let advice = "start the container with --pid=host, or run `plugin-registry agent` on the host";
        let detail = format!("a container's ({}): only the container's own processes are visible", from.pid_namespace);
        Point::hidden("pid namespace", detail, advice)
    };
    let machine = if from.machine_id.is_empty() {
        let advice = "create one with systemd-machine-id-setup(1); in a container, mount /etc/machine-id read-only";
        Point::hidden(
            "machine id",
            "missing: only the boot id tells this machine's processes from another's".into(),
            advice,
        )
    } else {
        Point::seen("machine id", from.machine_id.to_string())
    };
    vec![namespace, hiding(), machine]
}

/// Whether /proc hides the processes of other users (hidepid in proc(5)).
fn hiding() -> Point {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    match hidepid(&mounts) {
        Some(level) if !Path::new("/proc/1/stat").exists() || fs::read("/proc/1/stat").is_err() => {
            let advice = "run as root, or as a member of the group in the mount option gid= of /proc";
            Point::hidden(
                "processes",
                format!("/proc is mounted with hidepid={level}, which hides the processes of other users"),
                advice,
            )
        }
        Some(level) => {
            Point::seen("processes", format!("/proc is mounted with hidepid={level}, which does not bind this user"))
        }
        None => Point::seen("processes", "/proc shows the processes of all users".into()),
    }
}

/// The value of the mount option hidepid of /proc, if it hides processes.
fn hidepid(mounts: &str) -> Option<&str> {
    // The last mount on /proc covers the earlier ones; its options stand after " - proc SOURCE ".
    let line = mounts.lines().rfind(|line| line.split(' ').nth(4) == Some("/proc") && line.contains(" - proc "))?;
    let options = line.rsplit(' ').next()?.split(',');
    options.filter_map(|option| option.strip_prefix("hidepid=")).find(|level| !matches!(*level, "0" | "off"))
}

async fn containers(engine: &str) -> Point {
    let what = "containers";
    let reason = match ContainerProbe::new(engine).version().await {
        Ok(version) => return Point::seen(what, format!("the Docker engine {version} at {engine} answers")),
        Err(reason) => reason,
    };
    let Some(path) = engine.strip_prefix("unix://") else {
        return Point::hidden(what, reason, "check DOCKER_HOST, or `--docker`");
    };
    if !Path::new(path).exists() {
        let advice = "if this host has a Docker engine, set its socket with `--docker` or DOCKER_HOST; in a container, \
            mount the socket (-v /var/run/docker.sock:/var/run/docker.sock:ro)";
        return Point::hidden(what, format!("{path} does not exist"), advice);
    }
    if access(path, Access::READ_OK | Access::WRITE_OK).is_err() {
        let advice = "run as a member of the group that owns the socket (usually `docker`), which gives power over \
            the machine, or put a read-only proxy in front of it";
        return Point::hidden(what, format!("this user may not open {path}"), advice);
    }
    Point::hidden(what, reason, "start the Docker engine")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidepid_is_read_from_the_last_mount_on_proc() {
        let plain = "24 30 0:22 / /proc rw,nosuid shared:12 - proc proc rw";
        let hiding = "99 30 0:22 / /proc rw,nosuid - proc proc rw,gid=5,hidepid=invisible";
        let elsewhere = "98 30 0:22 / /jail/proc rw - proc proc rw,hidepid=2";
        let off = "24 30 0:22 / /proc rw - proc proc rw,hidepid=0";
        assert_eq!(hidepid(plain), None);
        assert_eq!(hidepid(&format!("{plain}\n{hiding}")), Some("invisible"));
        assert_eq!(hidepid(&format!("{hiding}\n{plain}\n{elsewhere}")), None);
        assert_eq!(hidepid(off), None);
        assert_eq!(hidepid(""), None);
    }

    #[tokio::test]
    async fn an_engine_that_is_not_running_is_reported_with_advice() {
        let points = look_around("unix:///nonexistent/docker.sock").await;
        let containers = points.iter().find(|point| point.what == "containers").unwrap();
        assert!(!containers.visible && containers.advice.is_some(), "{containers:?}");
        assert!(points.iter().any(|point| point.what == "processes"));
    }
}
