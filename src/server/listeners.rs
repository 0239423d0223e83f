//! The sockets that accept connections: one for each address that a server listens on.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tokio::net::{TcpListener, TcpStream};

/// Sockets that accept connections together.
#[derive(Debug)]
pub struct Listeners {
    sockets: Vec<TcpListener>,
    /// The socket to poll first next time, so that a busy socket does not starve the others.
    next: usize,
}

impl From<TcpListener> for Listeners {
    fn from(socket: TcpListener) -> Listeners {
        Listeners { sockets: vec![socket], next: 0 }
    }
}

impl From<Vec<TcpListener>> for Listeners {
    fn from(sockets: Vec<TcpListener>) -> Listeners {
        Listeners { sockets, next: 0 }
    }
}

impl Listeners {
    /// The next connection on any socket.
    ///
    /// # Errors
    ///
    /// If the system cannot accept one.
    pub(super) async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|context| self.poll_accept(context)).await
    }

    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let count = self.sockets.len();
        let first = self.next;
        for (place, socket) in self.sockets.iter().enumerate().cycle().skip(first).take(count) {
            if let Poll::Ready(accepted) = socket.poll_accept(context) {
                self.next = (place + 1) % count;
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }
}
