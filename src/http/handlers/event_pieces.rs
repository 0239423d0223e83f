//! The pieces of an event stream's body that wait to be sent.
//!
//! All readers share the bytes of a large event, so a thousand readers that do not read hold one copy. Small events are
//! copied into one piece, because each piece costs a chunk of the response.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};

/// From this size on, readers share an event, in bytes.
const SHARED: usize = 4 << 10;

/// A stream makes no further pieces while so many bytes wait.
const MOST: usize = 32 << 10;

/// Pieces of a body, in their order.
#[derive(Debug, Default)]
pub(super) struct EventPieces {
    ready: VecDeque<Bytes>,
    open: BytesMut,
    bytes: usize,
}

impl EventPieces {
    /// One piece with a text.
    pub(super) fn of(text: impl AsRef<[u8]>) -> EventPieces {
        let mut pieces = EventPieces::default();
        pieces.put(text.as_ref());
        pieces
    }

    /// Adds a text.
    pub(super) fn put(&mut self, text: &[u8]) {
        self.bytes += text.len();
        self.open.put_slice(text);
    }

    /// Adds the bytes of an event, without a copy if they are many.
    pub(super) fn put_event(&mut self, event: &Bytes) {
        if event.len() < SHARED {
            self.put(event);
            return;
        }
        self.close();
        self.bytes += event.len();
        self.ready.push_back(event.clone());
    }

    /// Whether enough bytes wait.
    pub(super) fn are_enough(&self) -> bool {
        self.bytes >= MOST
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.open.is_empty()
    }

    /// The next piece.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        if self.ready.is_empty() {
            self.close();
        }
        self.ready.pop_front()
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.ready.push_back(std::mem::take(&mut self.open).freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reader_had_a_copy_of_a_large_event() {
        let (large, small) = (Bytes::from(vec![b'x'; SHARED]), Bytes::from_static(b"small"));
        for _reader in 0..2 {
            let mut pieces = EventPieces::of("id: 1\n");
            pieces.put_event(&small);
            pieces.put(b"\n\nid: 2\n");
            pieces.put_event(&large);
            pieces.put(b"\n\n");
            assert_eq!(pieces.next().unwrap(), "id: 1\nsmall\n\nid: 2\n");
            assert_eq!(pieces.next().unwrap().as_ptr(), large.as_ptr(), "the same bytes");
            assert!(!pieces.is_empty());
            assert_eq!(pieces.next().unwrap(), "\n\n");
            assert_eq!((pieces.is_empty(), pieces.next()), (true, None));
        }
    }

    #[test]
    fn pieces_that_wait_are_bounded() {
        let mut pieces = EventPieces::default();
        let small = Bytes::from(vec![b'x'; SHARED - 1]);
        let copied = std::iter::repeat_with(|| pieces.put_event(&small)).take(MOST / SHARED);
        assert_eq!(copied.count(), MOST / SHARED);
        assert!(!pieces.are_enough());
        pieces.put_event(&small);
        assert!(pieces.are_enough());
    }
}
