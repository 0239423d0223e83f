//! The machine of the measurement, in one line.

use std::fs::read_to_string;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

/// Processors, memory, kernel, the file system of `folder`, and the compiler.
pub(crate) fn describe(folder: &tempfile::TempDir) -> anyhow::Result<String> {
    let processors = std::thread::available_parallelism()?;
    let model = value_of(&read_to_string("/proc/cpuinfo")?, "model name");
    let memory = value_of(&read_to_string("/proc/meminfo")?, "MemTotal");
    let kilobytes: u64 = memory.trim_end_matches("kB").trim().parse().context("the memory has no size")?;
    let kernel = read_to_string("/proc/sys/kernel/osrelease")?;
    let compiler = Command::new("rustc").arg("--version").output()?;
    Ok(format!(
        "Measured on {processors} × {model}, {} GiB, Linux {}, stores on {}, {}",
        kilobytes.div_ceil(1024 * 1024),
        kernel.trim(),
        file_system_of(folder.path())?,
        String::from_utf8_lossy(&compiler.stdout).trim(),
    ))
}

/// The value of the first line `name : value`.
fn value_of(text: &str, name: &str) -> String {
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'));
    found.unwrap_or("?").trim().to_owned()
}

/// The type of a folder's file system, from the longest mount point that is a prefix of its path.
fn file_system_of(folder: &Path) -> anyhow::Result<String> {
    let folder = folder.canonicalize()?;
    let mounts = read_to_string("/proc/self/mounts")?;
    let mount_points = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let longest = mount_points.filter(|(point, _)| folder.starts_with(point)).max_by_key(|(point, _)| point.len());
    Ok(longest.map_or("?", |(_, kind)| kind).to_owned())
}
