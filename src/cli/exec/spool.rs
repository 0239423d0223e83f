//! Keeps the end of a command that could not be reported in a file, until the registry can be reached.
//!
//! The next `exec` or the agent of the same account delivers it to the same registry. A second delivery does no harm,
//! so there is no lock. The files hold no secrets.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::{debug, info, warn};

use crate::client::{Client, ClientError};
use crate::clock::new_identity;
use domain::plugin::Pid;

/// How many reports are kept at most.
const MOST: usize = 10_000;

/// The kept end of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unreported {
    /// The address of the registry.
    pub server: String,
    /// The plugin.
    pub unique_id: String,
    /// The plugin to register, if it was never registered.
    pub plugin: Value,
    /// Whether the registry has the plugin, with our lease.
    pub is_registered: bool,
    /// Our lease, if there is one.
    pub lease_id: Option<String>,
    /// Processes that the registry may believe to run.
    pub pids: Vec<Pid>,
    /// How the command has ended, in words.
    pub exit: Option<String>,
}

impl Unreported {
    /// Delivers the end. If the plugin has another lease by now, another process reports it, so this changes nothing.
    async fn deliver(&self, client: &Client) -> Result<(), ClientError> {
        if let Some(lease) = &self.lease_id {
            known(client.release_lease(lease).await)?;
        }
        if self.is_registered {
            let plugin = known(client.plugin(&self.unique_id).await)?;
            if plugin.is_some_and(|plugin| plugin.get("lease_id").and_then(Value::as_str) == self.lease_id.as_deref()) {
                for pid in &self.pids {
                    known(client.remove_pid(&self.unique_id, *pid).await)?;
                }
                known(client.patch_plugin(&self.unique_id, &json!({ "labels": { "exec.exit": self.exit } })).await)?;
            }
        } else {
            let mut plugin = self.plugin.clone();
            if let (Some(Value::Object(labels)), Some(exit)) = (plugin.get_mut("labels"), &self.exit) {
                labels.insert("exec.exit".into(), json!(exit));
            }
            client.register_new(&plugin).await?;
        }
        Ok(())
    }
}

/// The registry's response, if the resource still exists. A removed resource needs no end.
fn known<T>(answer: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if matches!(error.status(), Some(404 | 409 | 410)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The folder in which reports wait, a file each.
#[derive(Debug, Clone)]
pub struct Spool(PathBuf);

impl Spool {
    /// The folder that was named, or the account's own (XDG Base Directory Specification: `$XDG_STATE_HOME`). `None` where
    /// there is no such folder, as for a service without a home.
    pub fn find(named: Option<&Path>) -> Option<Spool> {
        let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = || variable("XDG_STATE_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/state")));
        named.map(Path::to_owned).or_else(|| state().map(|state| state.join("plugin-registry/unreported"))).map(Spool)
    }

    /// Keeps a report.
    ///
    /// # Errors
    ///
    /// If it cannot be written, or too many ends wait already.
    pub fn keep(&self, report: &Unreported) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        if fs::read_dir(&self.0)?.count() >= MOST {
            return Err(io::Error::other(format!("{} holds {MOST} reports already", self.0.display())));
        }
        let path = self.0.join(format!("{}.json", new_identity().simple()));
        let unfinished = path.with_extension("tmp");
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(&serde_json::to_vec(report)?)?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(&self.0)?.sync_all()
    }

    /// Delivers all kept ends for a registry, until the registry cannot be reached.
    pub async fn deliver(&self, client: &Client) {
        for (path, report) in self.waiting(client.server().as_str()) {
            match report.deliver(client).await {
                Ok(()) => info!(plugin = report.unique_id, "the end of an earlier command was reported"),
                Err(error) if error.may_pass() || error.status().is_none() => return,
                // The token is an agent's, or was revoked; the next `exec` may have another.
                Err(error) if matches!(error.status(), Some(401 | 403)) => {
                    debug!(
                        plugin = report.unique_id,
                        "kept the end of an earlier command for another token to report: {error}"
                    );
                    continue;
                }
                Err(error) => warn!(plugin = report.unique_id, "the end of an earlier command was refused: {error}"),
            }
            // Another process may have removed the file.
            drop(fs::remove_file(path));
        }
    }

    fn waiting(&self, server: &str) -> Vec<(PathBuf, Unreported)> {
        let Ok(folder) = fs::read_dir(&self.0) else { return Vec::new() };
        let paths = folder.filter_map(|entry| Some(entry.ok()?.path()));
        let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
        let read = |path: &PathBuf| serde_json::from_slice::<Unreported>(&fs::read(path).ok()?).ok();
        let reports = paths.filter_map(|path| Some((read(&path)?, path)));
        reports.filter(|(report, _)| report.server == server).map(|(report, path)| (path, report)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(server: &str) -> Unreported {
        Unreported {
            server: server.into(),
            unique_id: "c_n".into(),
            plugin: json!({"name": "n"}),
            is_registered: true,
            lease_id: Some("l".into()),
            pids: vec![7],
            exit: Some("code 0".into()),
        }
    }

    #[test]
    fn a_report_waits_for_its_own_registry() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::find(Some(&folder.path().join("a/b"))).unwrap();
        assert!(spool.waiting("http://one/").is_empty());
        spool.keep(&report("http://one/")).unwrap();
        spool.keep(&report("http://two/")).unwrap();
        fs::write(spool.0.join("torn.json"), "{").unwrap();
        let waiting: Vec<_> = spool.waiting("http://one/").into_iter().map(|(_, report)| report).collect();
        assert_eq!(waiting, [report("http://one/")]);
    }
}
