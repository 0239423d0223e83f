//! How much of everything is measured, and where.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

/// The amounts of a run.
#[derive(Debug)]
pub(crate) struct Settings {
    /// How often each side is measured.
    pub(crate) rounds: usize,
    /// How long one side is measured at a time.
    pub(crate) time: Duration,
    /// How many plugins are registered.
    pub(crate) plugins: usize,
    /// How many plugins are registered in the store that a longer list is compared with.
    pub(crate) fewer_plugins: usize,
    /// How many of them are active, in either store.
    pub(crate) active: usize,
    /// The folder of the stores: a temporary one on the disk to be measured.
    pub(crate) folder: tempfile::TempDir,
    /// Whether this is only to see that everything works.
    pub(crate) is_smoke: bool,
    /// The measurements that were asked for by name; none for all.
    chosen: Vec<String>,
}

impl Settings {
    /// What the command line and the environment ask for.
    ///
    /// `BENCH_SMOKE`, if set, makes everything small, and so does a start by `cargo test`, which does not say
    /// `--bench`. `BENCH_DIR` names the folder in which the stores are made; by default it is the build's own folder
    /// for such things (`target/tmp`), because `/tmp` may be kept in memory.
    pub(crate) fn of_this_run() -> anyhow::Result<Settings> {
        let mut chosen: Vec<String> = std::env::args().skip(1).collect();
        let is_bench = chosen.iter().any(|argument| argument == "--bench");
        chosen.retain(|argument| !argument.starts_with('-'));
        let is_smoke = !is_bench || std::env::var_os("BENCH_SMOKE").is_some();
        let parent = std::env::var_os("BENCH_DIR").map_or(PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
        let folder = tempfile::TempDir::with_prefix_in("bench-", &parent)
            .with_context(|| format!("no folder can be made in {}", parent.display()))?;
        let amounts = if is_smoke {
            Settings {
                rounds: 2,
                time: Duration::from_millis(100),
                plugins: 2_000,
                fewer_plugins: 500,
                active: 100,
                folder,
                is_smoke,
                chosen,
            }
        } else {
            Settings {
                rounds: 7,
                time: Duration::from_millis(1_500),
                plugins: 100_000,
                fewer_plugins: 1_000,
                active: 100,
                folder,
                is_smoke,
                chosen,
            }
        };
        Ok(amounts)
    }

    /// Returns true if and only if the measurement `name` was asked for.
    pub(crate) fn includes(&self, name: &str) -> bool {
        self.chosen.is_empty() || self.chosen.iter().any(|chosen| chosen == name)
    }
}
