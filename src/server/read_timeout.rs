//! An HTTP/1.1 stream that fails when the client sends too slowly, and turns hyper's own errors into problem documents.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use hyper::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::deadline::Deadline;
use super::settings::ServerSettings;
use super::smuggling::Scanner;
use crate::http::problem::Problem;
use crate::http::reply::refusal::Refusals;

/// The state that the stream and the service of a connection share.
#[derive(Debug, Default)]
pub struct Exchange {
    phase: AtomicU8,
    ambiguous: AtomicBool,
}

/// The phase of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// A header is arriving.
    Header = 0,
    /// A request is in progress; the body reader has its own deadline.
    Serving = 1,
    /// No request is in progress.
    Idle = 2,
}

impl Exchange {
    /// Enters a phase.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Header,
            1 => Phase::Serving,
            _ => Phase::Idle,
        }
    }

    /// Returns true if and only if a header had both Content-Length and Transfer-Encoding.
    pub fn is_ambiguous(&self) -> bool {
        self.ambiguous.load(Ordering::Acquire)
    }
}

/// A stream with deadlines for reads. [`super::write_timeout`] has the deadlines for writes.
pub struct ReadTimeout<S> {
    stream: S,
    exchange: Arc<Exchange>,
    settings: ServerSettings,
    scanner: Scanner,
    /// The phase of the current read, and its deadline.
    reading: Option<(Phase, Instant)>,
    deadline: Deadline,
    refusals: Refusals,
    /// The bytes that replace an error of hyper, and how many of them were written.
    instead: Option<(Vec<u8>, usize)>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> ReadTimeout<S> {
    /// Wraps a stream whose first byte has arrived.
    pub fn new(stream: S, exchange: Arc<Exchange>, settings: ServerSettings, refusals: Refusals) -> ReadTimeout<S> {
        let (scanner, deadline) = (Scanner::default(), Deadline::default());
        ReadTimeout { stream, exchange, settings, scanner, reading: None, deadline, refusals, instead: None }
    }

    /// Ready with an error once the client was silent, or slow with a header, for too long.
    fn poll_too_slow(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let phase = self.exchange.phase();
        let allowed = match phase {
            Phase::Header => self.settings.header_time,
            Phase::Idle => self.settings.idle_time,
            Phase::Serving => {
                self.reading = None;
                return Poll::Pending;
            }
        };
        let until = match self.reading {
            Some((waited_for, until)) if waited_for == phase => until,
            _ => Instant::now() + allowed,
        };
        self.reading = Some((phase, until));
        ready!(self.deadline.poll_passed(until, context));
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the client was silent or slow for too long"))
    }

    /// Writes the replacement for hyper's error of `length` bytes.
    fn poll_write_instead(&mut self, length: usize, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while let Some((text, written)) = &mut self.instead {
            let rest = text.get(*written..).unwrap_or_default();
            if rest.is_empty() {
                self.instead = None;
                break;
            }
            match Pin::new(&mut self.stream).poll_write(context, rest) {
                Poll::Ready(Ok(more)) => *written += more,
                other => return other,
            }
        }
        Poll::Ready(Ok(length))
    }

    /// The problem document for an error that hyper itself generates, if `head` is such an error.
    fn replacement(&self, head: &[u8]) -> Option<Vec<u8>> {
        let status = bare_error(head)?;
        Some(self.refusals.write(&Problem::of_status(status)))
    }
}

/// The status of an error that hyper itself generates: a short head without a body and without `X-Request-Id`. Every
/// reply of the service has a request id.
fn bare_error(head: &[u8]) -> Option<StatusCode> {
    let rest = head.strip_prefix(b"HTTP/1.1 ")?;
    if !matches!(rest.first(), Some(b'4' | b'5')) || head.len() > 256 {
        return None;
    }
    if memchr::memmem::find(head, b"x-request-id").is_some() {
        return None;
    }
    StatusCode::from_bytes(rest.get(..3)?).ok()
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for ReadTimeout<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buf) {
            Poll::Ready(Ok(())) => {
                let read = buf.filled().get(before..).unwrap_or_default();
                if this.exchange.phase() == Phase::Idle && !read.is_empty() {
                    this.exchange.enter(Phase::Header);
                    // The next phase has a new deadline.
                    this.reading = None;
                }
                if this.scanner.sees_both(read) {
                    this.exchange.ambiguous.store(true, Ordering::Release);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending => this.poll_too_slow(context).map(Err),
            Poll::Ready(failed) => Poll::Ready(failed),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ReadTimeout<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.instead.is_none() {
            this.instead = this.replacement(buf).map(|text| (text, 0));
        }
        if this.instead.is_some() {
            return this.poll_write_instead(buf.len(), context);
        }
        Pin::new(&mut this.stream).poll_write(context, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let head = bufs.first().map_or::<&[u8], _>(&[], |buf| buf);
        if bare_error(head).is_some() || this.instead.is_some() {
            return Pin::new(this).poll_write(context, head);
        }
        Pin::new(&mut this.stream).poll_write_vectored(context, bufs)
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
