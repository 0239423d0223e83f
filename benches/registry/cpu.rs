//! The processor time of threads in seconds, as the kernel counts it (proc(5), `schedstat`).

use std::fs::{read_dir, read_to_string};

use anyhow::Context as _;

/// The processor time of the calling thread so far.
pub(crate) fn of_this_thread() -> anyhow::Result<f64> {
    time_of(&read_to_string("/proc/thread-self/schedstat")?)
}

/// The processor time so far of all threads with the name `name`.
pub(crate) fn of_threads(name: &str) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for thread in read_dir("/proc/self/task")? {
        let folder = thread?.path();
        // A thread that ends during the read does not belong to the measured ones.
        let (Ok(called), Ok(stat)) = (read_to_string(folder.join("comm")), read_to_string(folder.join("schedstat")))
        else {
            continue;
        };
        if called.trim() == name {
            sum += time_of(&stat)?;
        }
    }
    Ok(sum)
}

fn time_of(stat: &str) -> anyhow::Result<f64> {
    let nanoseconds: Option<f64> = stat.split(' ').next().and_then(|field| field.parse().ok());
    Ok(nanoseconds.context("no processor time")? / 1e9)
}
