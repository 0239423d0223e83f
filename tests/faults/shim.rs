//! recorder.c, compiled when it is first needed: cargo has no place for a C library that only tests use.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::server::Launch;

/// A launch whose files in `directory` go through the shim.
pub(crate) fn under(launch: Launch, directory: &Path) -> Launch {
    let directory = directory.canonicalize().expect("the store's directory");
    launch.with("LD_PRELOAD", library()).with("RECORDER_DIRECTORY", directory)
}

fn library() -> OsString {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(compile).clone().into_os_string()
}

fn compile() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Under names of its own first: another run of the tests may be using the library right now.
    let own = |suffix: &str| target.join(format!("recorder-{}.{suffix}", std::process::id()));
    let (source, made, library) = (own("c"), own("so"), target.join("recorder.so"));
    std::fs::write(&source, include_str!("recorder.c")).expect("the source of the recorder");
    let compiler = Command::new("cc")
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-O2", "-o"])
        .args([&made, &source])
        .output()
        .expect("these tests need a C compiler, as cc");
    assert!(compiler.status.success(), "recorder.c:\n{}", String::from_utf8_lossy(&compiler.stderr));
    std::fs::remove_file(&source).expect("the source of the recorder");
    std::fs::rename(&made, &library).expect("the compiled recorder");
    library
}
