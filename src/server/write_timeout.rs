//! A TCP stream that gives up on a peer that takes nothing.
//!
//! It stands below TLS, where it can be seen whether bytes leave this host: TLS takes what is written into
//! a buffer of its own, whether or not the peer reads.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::deadline::Deadline;

/// A TCP stream with a deadline for each write.
pub struct WriteTimeout {
    stream: TcpStream,
    /// How long the peer may take no byte.
    patience: Duration,
    until: Option<Instant>,
    deadline: Deadline,
}

impl WriteTimeout {
    /// A stream whose peer may take no byte for so long.
    pub fn new(stream: TcpStream, patience: Duration) -> WriteTimeout {
        WriteTimeout { stream, patience, until: None, deadline: Deadline::default() }
    }

    /// The stream itself.
    pub fn get_ref(&self) -> &TcpStream {
        &self.stream
    }

    fn guard(&mut self, written: Poll<io::Result<usize>>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.until = None;
            return written;
        }
        let until = *self.until.get_or_insert_with(|| Instant::now() + self.patience);
        ready!(self.deadline.poll_passed(until, context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes no more of the answer")))
    }
}

impl AsyncRead for WriteTimeout {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buf)
    }
}

impl AsyncWrite for WriteTimeout {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, buf);
        this.guard(written, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, bufs);
        this.guard(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
