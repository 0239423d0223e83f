//! A stream that gives up on a peer that is too slow, and that says why in the form of our errors.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use hyper::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::settings::Settings;
use super::smuggling::Scanner;
use crate::http::problem::Problem;
use crate::http::refusal::Refusals;

/// What the stream and the service of one connection tell each other.
#[derive(Debug, Default)]
pub struct Exchange {
    phase: AtomicU8,
    ambiguous: AtomicBool,
}

/// Where a connection is between two requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// A header is arriving.
    Header = 0,
    /// A request is being served; its body has a deadline of its own.
    Serving = 1,
    /// Nothing is under way.
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

/// A TCP stream with deadlines.
pub struct Guarded {
    stream: TcpStream,
    exchange: Arc<Exchange>,
    settings: Settings,
    scanner: Scanner,
    reading: Deadline,
    writing: Deadline,
    refusals: Refusals,
    /// What is written instead of an error that hyper has made, and how much of it was written.
    instead: Option<(Vec<u8>, usize)>,
}

/// A point in time that is set often and reached seldom: the timer is moved only when it fires.
#[derive(Default)]
struct Deadline {
    phase: Option<Phase>,
    at: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// Ready once the deadline has passed.
    fn poll_passed(&mut self, at: Instant, context: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        while timer.as_mut().poll(context).is_ready() {
            if at <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(at);
        }
        if timer.deadline() > at {
            timer.as_mut().reset(at);
            return self.poll_passed(at, context);
        }
        Poll::Pending
    }
}

impl Guarded {
    /// Guards a stream whose first byte has arrived.
    pub fn new(stream: TcpStream, exchange: Arc<Exchange>, settings: Settings, refusals: Refusals) -> Guarded {
        Guarded {
            stream,
            exchange,
            settings,
            scanner: Scanner::default(),
            reading: Deadline::default(),
            writing: Deadline::default(),
            refusals,
            instead: None,
        }
    }

    /// Ready with an error once the peer has been silent, or slow with a header, for too long.
    fn poll_too_slow(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let phase = self.exchange.phase();
        let allowed = match phase {
            Phase::Header => self.settings.header_time,
            Phase::Idle => self.settings.idle_time,
            Phase::Serving => {
                self.reading.phase = None;
                return Poll::Pending;
            }
        };
        if self.reading.phase != Some(phase) {
            self.reading.phase = Some(phase);
            self.reading.at = Some(Instant::now() + allowed);
        }
        let at = self.reading.at.unwrap_or_else(Instant::now);
        ready!(self.reading.poll_passed(at, context));
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the peer was silent or slow for too long"))
    }

    /// Ready with an error once the peer has taken no byte for too long.
    fn poll_stalled(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let at = *self.writing.at.get_or_insert_with(|| Instant::now() + self.settings.write_time);
        ready!(self.writing.poll_passed(at, context));
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the peer takes no more of the answer"))
    }

    fn guard_write(&mut self, written: Poll<io::Result<usize>>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => self.poll_stalled(context).map(Err),
            Poll::Ready(written) => {
                self.writing.at = None;
                Poll::Ready(written)
            }
        }
    }

    /// Writes what stands instead of hyper's error of `length` bytes.
    fn poll_write_instead(&mut self, length: usize, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while let Some((text, written)) = &mut self.instead {
            let rest = text.get(*written..).unwrap_or_default();
            if rest.is_empty() {
                self.instead = None;
                break;
            }
            match Pin::new(&mut self.stream).poll_write(context, rest) {
                Poll::Ready(Ok(more)) => *written += more,
                other => return self.guard_write(other, context),
            }
        }
        Poll::Ready(Ok(length))
    }

    /// The problem document for an error that hyper answers by itself, when `head` is one.
    fn replacement(&self, head: &[u8]) -> Option<Vec<u8>> {
        let status = bare_error(head)?;
        Some(self.refusals.write(&Problem::of_status(status)))
    }
}

/// The status of an error that hyper answers by itself: a short head with no body, and without the
/// request id that every answer of ours has.
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

impl AsyncRead for Guarded {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buf) {
            Poll::Ready(Ok(())) => {
                let read = buf.filled().get(before..).unwrap_or_default();
                if this.exchange.phase() == Phase::Idle && !read.is_empty() {
                    this.exchange.enter(Phase::Header);
                    // The next silence, or header, has a deadline of its own.
                    this.reading.phase = None;
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

impl AsyncWrite for Guarded {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.instead.is_none() {
            this.instead = this.replacement(buf).map(|text| (text, 0));
        }
        if this.instead.is_some() {
            return this.poll_write_instead(buf.len(), context);
        }
        let written = Pin::new(&mut this.stream).poll_write(context, buf);
        this.guard_write(written, context)
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
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, bufs);
        this.guard_write(written, context)
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
