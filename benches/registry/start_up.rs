//! The real binary on a full store: time to the first response, and memory per plugin.

use plugin_registry::store::StoreUrl;

use crate::documents::unique_id;
use crate::process::Process;
use crate::samples::Samples;
use crate::settings::Settings;
use crate::stores::{self, Stores};
use crate::table::{Aim, Table};

/// Runs the measurement.
pub(crate) fn measure(settings: &Settings, stores: &Stores, table: &mut Table) -> anyhow::Result<()> {
    let [mut times, mut times_empty, mut overheads] = [Samples::default(), Samples::default(), Samples::default()];
    let json = mean_length(stores)?;
    for _ in 0..settings.rounds {
        let empty = Process::start(&stores.empty, "/healthz")?;
        let full = Process::start(&stores.full, &format!("/plugins/{}", unique_id(settings.plugins / 2)))?;
        let plugin = (full.memory()? - empty.memory()?) / settings.plugins as f64;
        overheads.push((plugin - json) / 1024.0);
        times.push(full.ready_after.as_secs_f64());
        times_empty.push(empty.ready_after.as_secs_f64());
    }
    let what = format!("Start with {} plugins until the first answer", settings.plugins);
    table.judge(&what, (&times, "s"), (&times_empty, "s, with none"), Aim::AtMost(2.0));
    table.judge_alone("Memory of a plugin over its JSON", (&overheads, "KiB"), Aim::AtMost(3.0));
    table.note(format!(
        "Start: the release binary on a store whose file the kernel has in memory, from before its process is made \
         to the whole answer to a GET. Memory: resident, right after that, less that of the binary with no plugin, \
         divided by the plugins, less the {json:.0} bytes of a plugin's JSON."
    ));
    Ok(())
}

/// The average length of a plugin's JSON in bytes.
fn mean_length(stores: &Stores) -> anyhow::Result<f64> {
    let snapshot = stores::open(&StoreUrl::Sqlite(stores.full.clone()))?.snapshot();
    let plugins = snapshot.state.plugins();
    let sum: usize = plugins.values().map(|record| record.json.len()).sum();
    Ok(sum as f64 / plugins.size() as f64)
}
