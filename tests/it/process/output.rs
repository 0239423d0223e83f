//! The output of `backup` and `export`: files are replaced atomically, and devices, pipes and links stay.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rstest::rstest;
use tempfile::TempDir;

use crate::harness::process::{complaint, finish, run};
use crate::harness::{Daemon, blocking, named};
use crate::store::moving::{done, url};

/// A closed store with a plugin.
async fn a_store() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    let daemon = Daemon::start(&store).await;
    daemon.client().register(&named("c", "n")).await;
    daemon.stop().await;
    (folder, store)
}

/// `backup` or `export` of a store to a path.
async fn written(command: &str, store: &Path, to: &str) -> Output {
    let store = url(store);
    match command {
        "backup" => run(&["backup", to, "--store", &store]).await,
        _ => run(&["export", "--output", to, "--store", &store]).await,
    }
}

fn is_whole(text: &str) -> bool {
    text.starts_with(r#"{"archive""#) && text.contains(r#""name":"n""#) && text.trim_end().lines().count() >= 3
}

/// A device that the test may damage. Without the right to create one, the system's device, which is then safe.
fn device(folder: &TempDir, name: &str, minor: &str) -> Option<PathBuf> {
    let own = folder.path().join(name);
    let made = Command::new("mknod").arg(&own).args(["c", "1", minor]).output().unwrap().status.success();
    if made && fs::OpenOptions::new().write(true).open(&own).is_ok() {
        return Some(own);
    }
    (!rustix::process::geteuid().is_root()).then(|| Path::new("/dev").join(name))
}

#[rstest]
#[tokio::test]
async fn a_device_was_replaced_by_a_file_and_the_exit_code_was_0(#[values("backup", "export")] command: &str) {
    let (folder, store) = a_store().await;
    for (name, minor, code) in [("null", "3", 0), ("full", "7", 1)] {
        let Some(device) = device(&folder, name, minor) else { continue };
        let output = written(command, &store, device.to_str().unwrap()).await;
        assert_eq!(output.status.code(), Some(code), "{name}: {}", complaint(&output));
        assert_eq!(complaint(&output).contains("No space left"), code == 1, "{}", complaint(&output));
        assert!(fs::metadata(&device).unwrap().file_type().is_char_device(), "{name} is a device no longer");
        assert!(!folder.path().join(format!("{name}.partial")).exists());
    }
}

#[rstest]
#[tokio::test]
async fn standard_output_gets_the_archive_and_nothing_else(
    #[values("backup", "export")] command: &str,
    #[values("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")] to: &str,
) {
    let (folder, store) = a_store().await;
    let output = written(command, &store, to).await;
    assert!(output.status.success(), "{}", complaint(&output));
    assert!(is_whole(&String::from_utf8_lossy(&output.stdout)));
    assert!(complaint(&output).contains("revision"), "the summary is on standard error");
    // A shell's redirection continues at its position, and its file stays the same.
    let file = folder.path().join("redirected");
    fs::write(&file, "first\n").unwrap();
    let mut shell = Command::new("sh");
    let binary = env!("CARGO_BIN_EXE_plugin-registry");
    let script = match command {
        "backup" => "exec \"$0\" backup \"$1\" --store \"$2\" >>\"$3\"",
        _ => "exec \"$0\" export --output \"$1\" --store \"$2\" >>\"$3\"",
    };
    shell.args(["-c", script, binary, to, &url(&store), file.to_str().unwrap()]).env_clear();
    let output = finish(shell).await;
    assert!(output.status.success(), "{}", complaint(&output));
    let text = fs::read_to_string(&file).unwrap();
    assert!(is_whole(text.strip_prefix("first\n").unwrap()), "{text}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644, "it is the shell's file");
}

#[rstest]
#[tokio::test]
async fn a_named_pipe_was_replaced_by_a_file(#[values("backup", "export")] command: &str) {
    let (folder, store) = a_store().await;
    let pipe = folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let reader = pipe.clone();
    let read = tokio::spawn(blocking(move || fs::read_to_string(reader).unwrap()));
    let output = written(command, &store, pipe.to_str().unwrap()).await;
    assert!(output.status.success(), "{}", complaint(&output));
    assert!(is_whole(&read.await.unwrap()));
    assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
}

#[rstest]
#[tokio::test]
async fn a_link_was_replaced_by_a_file(#[values("backup", "export")] command: &str) {
    let (folder, store) = a_store().await;
    let (there, link) = (folder.path().join("there"), folder.path().join("link"));
    fs::create_dir(&there).unwrap();
    symlink("there/archive", &link).unwrap();
    // At first the link has no target.
    for _ in 0..2 {
        let output = written(command, &store, link.to_str().unwrap()).await;
        assert!(output.status.success(), "{}", complaint(&output));
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("there/archive"));
        assert!(is_whole(&fs::read_to_string(there.join("archive")).unwrap()));
        assert_eq!(fs::metadata(there.join("archive")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&there).unwrap().count(), 1);
    }
}

#[rstest]
#[tokio::test]
async fn what_is_no_output_is_refused_and_left_alone(#[values("backup", "export")] command: &str) {
    let (folder, store) = a_store().await;
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let circle = folder.path().join("circle");
    symlink("circle", &circle).unwrap();
    let before = fs::read(&store).unwrap();
    for (to, told) in [
        (folder.path().to_str().unwrap(), "is a folder"),
        (socket.to_str().unwrap(), "neither a file"),
        (circle.to_str().unwrap(), "symbolic links"),
        // The store itself as the output.
        (store.to_str().unwrap(), "SQLite database"),
    ] {
        let output = written(command, &store, to).await;
        assert_eq!(output.status.code(), Some(1), "{to}");
        assert!(complaint(&output).contains(told), "{to}: {}", complaint(&output));
    }
    assert_eq!(fs::read(&store).unwrap(), before);
    done(&["store", "verify", "--store", &url(&store)]).await;
}
