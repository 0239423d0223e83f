//! Forwards systemd notifications from the command through the wrapper (sd_notify(3)).
//!
//! systemd accepts them only from the process that it started, unless `NotifyAccess=` allows others. That process is
//! the wrapper. So the command gets a socket of the wrapper, and the wrapper forwards each message with its
//! descriptors.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    SocketAddrUnix, recvmsg, sendmsg_addr,
};
use tracing::warn;

use crate::clock::new_identity;

/// The variable that names the socket.
pub const VARIABLE: &str = "NOTIFY_SOCKET";

/// The most bytes of a message; systemd accepts 4096.
const LONGEST: usize = 16 * 1024;

/// The most descriptors of a message (unix(7), SCM_MAX_FD).
const MOST_DESCRIPTORS: usize = 253;

/// A socket for the command, and the address of the service manager.
#[derive(Debug)]
pub struct NotifySocket {
    socket: UnixDatagram,
    folder: PathBuf,
    manager: SocketAddrUnix,
}

impl NotifySocket {
    /// Listens in place of the service manager; `None` if there is none, or none with a socket on this machine.
    pub fn open() -> Option<NotifySocket> {
        let manager = address(&std::env::var_os(VARIABLE)?)?;
        NotifySocket::before(manager)
            .inspect_err(|error| warn!(%error, "cannot forward the command's notifications to the service manager"))
            .ok()
    }

    fn before(manager: SocketAddrUnix) -> io::Result<NotifySocket> {
        let folder = std::env::temp_dir().join(format!("plugin-registry-notify-{}", new_identity().simple()));
        // The command may run as another account, which finds the socket by its name but cannot list the folder.
        DirBuilder::new().mode(0o711).create(&folder)?;
        let bound = UnixDatagram::bind(folder.join("socket")).and_then(|socket| {
            fs::set_permissions(folder.join("socket"), Permissions::from_mode(0o777))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        let socket = bound.inspect_err(|_| drop(fs::remove_dir_all(&folder)))?;
        Ok(NotifySocket { socket, folder, manager })
    }

    /// The value of [`VARIABLE`] for the command.
    pub fn path(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// Forwards the messages that have arrived.
    pub fn forward(&self) {
        while self.forward_one().is_ok() {}
    }

    fn forward_one(&self) -> io::Result<()> {
        let mut message = [0; LONGEST];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut message)];
        let received = recvmsg(&self.socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        let descriptors: Vec<OwnedFd> = ancillary
            .drain()
            .filter_map(|one| match one {
                RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
                _ => None,
            })
            .flatten()
            .collect();
        let descriptors: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        let message = message.get(..received.bytes).unwrap_or_default();
        let sent =
            sendmsg_addr(&self.socket, &self.manager, &[IoSlice::new(message)], &mut ancillary, SendFlags::NOSIGNAL);
        if let Err(error) = sent {
            warn!(%error, "cannot forward a notification of the command to the service manager");
        }
        Ok(())
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for NotifySocket {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// The address in the variable: a path, or an abstract name after `@`.
fn address(named: &OsString) -> Option<SocketAddrUnix> {
    match named.as_bytes() {
        [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name).ok(),
        path @ [b'/', ..] => SocketAddrUnix::new(path).ok(),
        _ => None,
    }
}
