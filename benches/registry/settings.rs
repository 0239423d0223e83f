//! The amounts of a run, and its folder.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

/// The amounts of a run.
#[derive(Debug)]
pub(crate) struct Settings {
    /// How many rounds each side runs.
    pub(crate) rounds: usize,
    /// The duration of one round of one side.
    pub(crate) time: Duration,
    /// The number of registered plugins.
    pub(crate) plugins: usize,
    /// The number of plugins in the smaller store, for comparison.
    pub(crate) fewer_plugins: usize,
    /// The number of active plugins in each of the two stores.
    pub(crate) active: usize,
    /// The folder of the stores: a temporary one on the measured disk.
    pub(crate) folder: tempfile::TempDir,
    /// Whether this run only checks that everything works.
    pub(crate) is_smoke: bool,
    /// The requested measurements; empty for all.
    chosen: Vec<String>,
}

impl Settings {
    /// Reads the command line and the environment.
    ///
    /// `BENCH_SMOKE`, if set, makes everything small, and so does a start by `cargo test`, which does not pass
    /// `--bench`. `BENCH_DIR` names the folder of the stores; the default is the build's folder for such files
    /// (`target/tmp`), because `/tmp` may be in memory.
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

    /// Returns true if and only if the measurement `name` is requested.
    pub(crate) fn includes(&self, name: &str) -> bool {
        self.chosen.is_empty() || self.chosen.iter().any(|chosen| chosen == name)
    }
}
