//! The body of a list, built while it is sent, from the serialised JSON of each record.
//!
//! Memory holds only one piece at a time, however long the list is.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use indexmap::IndexMap;
use serde_json::value::RawValue;

use domain::record::Record;

/// The least size of a piece, in bytes; only the last piece may be smaller.
const PIECE: usize = 128 * 1024;

/// How many bytes of documents a piece reads at most. Selecting fields reads whole documents and sends little of them,
/// so this bounds the time for a piece.
const READ: usize = 256 * 1024;

/// Items between a beginning and an end.
pub struct ListBody {
    begin: Bytes,
    separator: &'static [u8],
    end: Bytes,
    items: std::vec::IntoIter<Arc<Record>>,
    fields: Option<Vec<&'static str>>,
    state: ListProgress,
    /// How many bytes remain, if the length is known.
    remaining: Option<u64>,
    /// Whether other tasks run before the next piece is made.
    rests: bool,
}

#[derive(PartialEq, Eq)]
enum ListProgress {
    Begin,
    Items,
    Done,
}

impl ListBody {
    /// A body of `begin`, the items with `separator` between them, and `end`. Each item has only `fields`, if given.
    pub fn of(
        begin: Bytes,
        items: Vec<Arc<Record>>,
        separator: &'static [u8],
        end: Bytes,
        fields: Option<Vec<&'static str>>,
    ) -> axum::body::Body {
        let known = fields.is_none().then(|| {
            let separators = separator.len() * items.len().saturating_sub(1);
            let bytes = begin.len() + end.len() + separators + items.iter().map(|item| item.json.len()).sum::<usize>();
            bytes as u64
        });
        let body = ListBody {
            begin,
            separator,
            end,
            items: items.into_iter(),
            fields,
            state: ListProgress::Begin,
            remaining: known,
            rests: false,
        };
        axum::body::Body::new(body.map_err(|never| match never {}))
    }

    fn put(&self, piece: &mut BytesMut, item: &Record) {
        match &self.fields {
            None => piece.put_slice(&item.json),
            Some(fields) => piece.put_slice(&projected(&item.json, fields)),
        }
    }

    fn next_piece(&mut self) -> Option<Bytes> {
        if self.state == ListProgress::Done {
            return None;
        }
        let mut piece = BytesMut::with_capacity(
            self.remaining.map_or(PIECE, |bytes| PIECE.min(usize::try_from(bytes).unwrap_or(PIECE))),
        );
        let mut read = 0;
        if self.state == ListProgress::Begin {
            piece.put_slice(&self.begin);
            if let Some(first) = self.items.next() {
                read += first.json.len();
                self.put(&mut piece, &first);
            }
            self.state = ListProgress::Items;
        }
        while piece.len() < PIECE && read < READ {
            let Some(item) = self.items.next() else {
                piece.put_slice(&self.end);
                self.state = ListProgress::Done;
                break;
            };
            piece.put_slice(self.separator);
            read += item.json.len();
            self.put(&mut piece, &item);
        }
        Some(piece.freeze())
    }
}

impl Body for ListBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if std::mem::take(&mut self.rests) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = self.next_piece();
        self.rests = self.fields.is_some();
        if let (Some(piece), Some(remaining)) = (&piece, &mut self.remaining) {
            *remaining = remaining.saturating_sub(piece.len() as u64);
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.state == ListProgress::Done
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Selected fields of a document, in the document's order.
pub(crate) fn projected(json: &[u8], fields: &[&str]) -> Vec<u8> {
    let document: IndexMap<&str, &RawValue> = serde_json::from_slice(json).unwrap_or_default();
    let wanted: IndexMap<_, _> = document.into_iter().filter(|(name, _)| fields.contains(name)).collect();
    serde_json::to_vec(&wanted).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use domain::Revision;
    use domain::plugin::Registration;
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    /// Selecting fields read all documents of a list at once, if little of each was sent.
    #[test]
    fn selecting_fields_of_long_documents_lets_other_tasks_run() {
        let long = "x".repeat(READ / 2);
        let record = |name: usize| {
            let document = json!({
                "name": name.to_string(), "category": "c", "title": "T", "config_schema": {}, "description": long,
            });
            let plugin = Registration::read(document).unwrap().applied_to(None);
            let at = Timestamp::UNIX_EPOCH;
            Arc::new(Record::new(Arc::new(plugin), None, Revision(1), at, at))
        };
        let items: Vec<_> = (0..6).map(record).collect();
        let mut body =
            ListBody::of(Bytes::from_static(b"["), items, b",", Bytes::from_static(b"]"), Some(vec!["name"]));
        let mut context = Context::from_waker(Waker::noop());
        let (mut text, mut rests) = (Vec::new(), 0);
        loop {
            match Pin::new(&mut body).poll_frame(&mut context) {
                Poll::Ready(Some(frame)) => text.extend(frame.unwrap().into_data().unwrap()),
                Poll::Ready(None) => break,
                Poll::Pending => rests += 1,
            }
        }
        let text: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(text.as_array().unwrap().len(), 6);
        assert!(rests >= 3, "it read {READ} bytes at a time, and rested {rests} times");
    }
}
