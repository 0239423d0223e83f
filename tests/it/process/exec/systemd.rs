//! systemd's socket activation and notifications, with systemd's own programs.

use std::io::{IoSliceMut, Read as _};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;

use rustix::cmsg_space;
use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tempfile::TempDir;

use super::{NOWHERE, Running, exec, exec_by, needed};
use crate::harness::blocking;

#[tokio::test]
async fn socket_activation_reaches_the_command() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let runner = ["systemd-socket-activate", "--listen", &address];
    let script = "[ \"$LISTEN_PID\" = $$ ] && echo \"$LISTEN_FDS for the command\" >&2; readlink /proc/$$/fd/3 >&2";
    let mut running = Running::start(exec_by(&runner, NOWHERE, &[], script));
    blocking(move || {
        // systemd starts the command at the first connection.
        while running.child.try_wait().unwrap().is_none() {
            if let Ok(mut connection) = TcpStream::connect(&address) {
                drop(connection.read(&mut [0; 1]));
            }
        }
        let log = running.log();
        assert!(log.contains("1 for the command") && log.contains("socket:["), "{log}");
    })
    .await;
}

/// A message to the service manager, its sender, and its descriptors.
fn notification(socket: &UnixDatagram) -> (String, u32, Vec<OwnedFd>) {
    let mut message = [0; 4096];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(8), ScmCredentials(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received =
        recvmsg(socket, &mut [IoSliceMut::new(&mut message)], &mut ancillary, RecvFlags::CMSG_CLOEXEC).unwrap();
    let (mut sender, mut descriptors) = (0, Vec::new());
    for one in ancillary.drain() {
        match one {
            RecvAncillaryMessage::ScmCredentials(credentials) => {
                sender = credentials.pid.as_raw_nonzero().get().unsigned_abs();
            }
            RecvAncillaryMessage::ScmRights(more) => descriptors.extend(more),
            _ => {}
        }
    }
    (String::from_utf8_lossy(&message[..received.bytes]).into_owned(), sender, descriptors)
}

#[tokio::test]
async fn notifications_come_from_the_process_that_systemd_has_started() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    set_socket_passcred(&socket, true).unwrap();
    needed("systemd-notify");
    // systemd-notify waits until its message was handled: it passes a descriptor, and waits for its end.
    let script = "systemd-notify --ready --status='it runs' && echo handled";
    let mut command = exec(NOWHERE, &[], script);
    command.env("NOTIFY_SOCKET", &path);
    let mut running = Running::start(command);
    blocking(move || {
        let (message, sender, _) = notification(&socket);
        assert!(message.contains("READY=1") && message.contains("STATUS=it runs"), "{message}");
        assert_eq!(sender, running.child.id());
        let (message, _, descriptors) = notification(&socket);
        assert_eq!((message.trim(), descriptors.len()), ("BARRIER=1", 1));
        drop(descriptors);
        assert_eq!(running.line(), "handled");
        assert_eq!(running.code(), Some(0), "{}", running.log());
    })
    .await;
}

#[tokio::test]
async fn a_watchdog_is_the_commands() {
    let script = "[ \"$WATCHDOG_PID $SYSTEMD_EXEC_PID\" = \"$$ $$\" ] && echo \"${LISTEN_PIDFDID:-none}\"";
    let runner =
        ["sh", "-c", "export WATCHDOG_PID=$$ SYSTEMD_EXEC_PID=$$ LISTEN_PIDFDID=7 WATCHDOG_USEC=1; exec \"$0\" \"$@\""];
    let mut running = Running::start(exec_by(&runner, NOWHERE, &[], script));
    blocking(move || {
        assert_eq!(running.line(), "none");
        assert_eq!(running.code(), Some(0), "{}", running.log());
    })
    .await;
}
