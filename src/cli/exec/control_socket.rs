//! Messages between wrapper, monitor and supervisor: lines over sockets. A socket ends when the process at its other
//! end dies.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::process::Child;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::signals::Received;
use crate::clock::new_identity;
use domain::plugin::Pid;

/// The most bytes of an incomplete line.
const LONGEST: usize = 4096;

/// How often to check that the expected caller still lives.
const ALIVE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// The monitor to the wrapper: the supervisor has this process id, and may connect.
    Supervisor(Pid),
    /// The monitor to the supervisor: start the command.
    Start,
    /// The wrapper to the supervisor: this process received a signal for the command.
    Signal(Received),
    /// The wrapper to the monitor: the user does not want to wait for the report.
    Hurry,
    /// The supervisor to both: the command has this process id.
    Started(Pid),
    /// The supervisor to the wrapper: this signal stopped the command, and the shell must see that.
    Stopped(i32),
    /// The supervisor to both: the command and the processes it left behind have ended. If the supervisor cannot send
    /// this, the monitor sends it to the wrapper.
    Ended(Ending),
}

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// The command's own exit code, or 128 plus its signal as in a shell.
    pub code: u8,
    /// The signal that killed the command, or 0.
    pub signal: i32,
    /// The number of processes that the command left behind.
    pub left_behind: usize,
    /// The number of them that could not be ended.
    pub still_there: usize,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Message::Supervisor(pid) => write!(f, "supervisor {pid}"),
            Message::Start => f.write_str("start"),
            Message::Signal(Received { signal, sender }) => write!(f, "signal {signal} {sender}"),
            Message::Hurry => f.write_str("hurry"),
            Message::Started(pid) => write!(f, "started {pid}"),
            Message::Stopped(signal) => write!(f, "stopped {signal}"),
            Message::Ended(end) => {
                write!(f, "ended {} {} {} {}", end.code, end.signal, end.left_behind, end.still_there)
            }
        }
    }
}

impl Message {
    /// Parses a line; `None` if it is no message.
    pub fn read(line: &str) -> Option<Message> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut numbers = rest.split(' ');
        match word {
            "supervisor" => rest.parse().ok().map(Message::Supervisor),
            "start" => Some(Message::Start),
            "signal" => Some(Message::Signal(Received {
                signal: numbers.next()?.parse().ok()?,
                sender: numbers.next()?.parse().ok()?,
            })),
            "hurry" => Some(Message::Hurry),
            "started" => rest.parse().ok().map(Message::Started),
            "stopped" => rest.parse().ok().map(Message::Stopped),
            "ended" => Some(Message::Ended(Ending {
                code: numbers.next()?.parse().ok()?,
                signal: numbers.next()?.parse().ok()?,
                left_behind: numbers.next()?.parse().ok()?,
                still_there: numbers.next()?.parse().ok()?,
            })),
            _ => None,
        }
    }
}

/// The socket to which the other processes connect.
#[derive(Debug)]
pub struct Listener {
    /// The abstract name of the socket (unix(7)). Other processes cannot guess it.
    pub name: String,
    listener: UnixListener,
}

impl Listener {
    /// Starts to listen.
    ///
    /// # Errors
    ///
    /// If the system has no socket left.
    pub fn new() -> io::Result<Listener> {
        let name = format!("plugin-registry-exec-{}", new_identity().simple());
        let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        listener.set_nonblocking(true)?;
        Ok(Listener { name, listener })
    }

    /// The next connection, and the process that made it; `None` if none is waiting.
    fn next(&self) -> Option<(Pid, ControlSocket)> {
        let (stream, _) = self.listener.accept().ok()?;
        // The kernel reports 0 for a process of another pid namespace.
        let caller = getsockopt(&stream, PeerCredentials).ok()?.pid();
        let socket = ControlSocket::of(stream).ok()?;
        Some((caller.unsigned_abs(), socket))
    }

    /// The connection of a child; `None` if the child died first.
    pub fn call_of(&self, child: &mut Child) -> Option<ControlSocket> {
        self.call_by(child.id(), || child.try_wait().is_ok_and(|status| status.is_none()))
    }

    /// The connection of this process; `None` if the process died first. Drops the connections of other programs that
    /// found the name.
    pub fn call_by(&self, pid: Pid, mut is_alive: impl FnMut() -> bool) -> Option<ControlSocket> {
        loop {
            while let Some((caller, socket)) = self.next() {
                if caller == pid {
                    return Some(socket);
                }
            }
            if !is_alive() {
                return None;
            }
            let _ignored = poll(&mut [PollFd::new(&self.listener, PollFlags::IN)], Some(&ALIVE));
        }
    }
}

/// One end of a connection.
#[derive(Debug)]
pub struct ControlSocket {
    stream: UnixStream,
    read: Vec<u8>,
}

impl ControlSocket {
    /// Connects to the process that listens under this name.
    ///
    /// # Errors
    ///
    /// If no process listens: it has died.
    pub fn call(name: &str) -> io::Result<ControlSocket> {
        ControlSocket::of(UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?)
    }

    fn of(stream: UnixStream) -> io::Result<ControlSocket> {
        stream.set_nonblocking(true)?;
        Ok(ControlSocket { stream, read: Vec::new() })
    }

    /// Another descriptor of the same end.
    ///
    /// # Errors
    ///
    /// If the system has no descriptor left.
    pub fn another(&self) -> io::Result<UnixStream> {
        self.stream.try_clone()
    }

    /// Sends to the other end. If the other end has died, the next [`ControlSocket::receive`] reports it.
    pub fn send(&self, message: Message) {
        drop((&self.stream).write_all(format!("{message}\n").as_bytes()));
    }

    /// The messages that have arrived; `None` after the other end has died and all messages were read.
    pub fn receive(&mut self) -> Option<Vec<Message>> {
        let mut is_open = true;
        let mut buffer = [0; 512];
        while self.read.len() < LONGEST {
            match self.stream.read(&mut buffer) {
                Ok(length @ 1..) => self.read.extend(buffer.iter().take(length)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => {
                    is_open = false;
                    break;
                }
            }
        }
        let complete = self.read.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let lines: Vec<u8> = self.read.drain(..complete).collect();
        let messages: Vec<Message> = String::from_utf8_lossy(&lines).lines().filter_map(Message::read).collect();
        (is_open || !messages.is_empty()).then_some(messages)
    }
}

impl AsFd for ControlSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Message; 7] = [
        Message::Supervisor(41),
        Message::Start,
        Message::Signal(Received { signal: 15, sender: 7 }),
        Message::Hurry,
        Message::Started(42),
        Message::Stopped(20),
        Message::Ended(Ending { code: 137, signal: 9, left_behind: 3, still_there: 1 }),
    ];

    #[test]
    fn every_line_is_read_as_it_was_written() {
        for message in ALL {
            assert_eq!(Message::read(&message.to_string()), Some(message));
        }
        assert_eq!((Message::read("signal"), Message::read("ended 1 2"), Message::read("")), (None, None, None));
    }

    #[test]
    fn messages_before_the_end_are_read_before_the_end() {
        let listener = Listener::new().unwrap();
        let sender = ControlSocket::call(&listener.name).unwrap();
        let (caller, mut receiver) = listener.next().unwrap();
        assert_eq!(caller, std::process::id());
        assert_eq!(receiver.receive(), Some(Vec::new()));
        for message in ALL {
            sender.send(message);
        }
        drop(sender);
        assert_eq!(receiver.receive(), Some(ALL.to_vec()));
        // A process that another test has forked holds a copy of the sender until it runs its program.
        while let Some(more) = receiver.receive() {
            assert_eq!(more, Vec::new());
            std::thread::yield_now();
        }
    }
}
