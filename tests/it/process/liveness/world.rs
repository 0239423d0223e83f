//! Tests that must run elsewhere: they start the test binary again, for that one test.

use std::process::Command;

use crate::harness::process::finish;

/// Marks the second start.
const INSIDE: &str = "PLUGIN_REGISTRY_TEST_INSIDE";

/// Returns true if and only if this process is the second start.
pub(crate) fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs the test `name` again under `launcher`, for example `unshare`, and requires that it passes there.
pub(crate) async fn run_inside(launcher: &[&str], name: &str) {
    let (passed, said) = try_inside(launcher, name).await;
    assert!(passed, "{name} in {launcher:?}:\n{said}");
}

/// Runs the test `name` again under `launcher`; returns whether it passed, and its output.
pub(crate) async fn try_inside(launcher: &[&str], name: &str) -> (bool, String) {
    let mut command = Command::new(launcher[0]);
    command.args(&launcher[1..]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(INSIDE, "1");
    let output = finish(command).await;
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success() && said.contains("1 passed"), format!("{said}\n{complained}"))
}
