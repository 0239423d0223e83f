//! Detects requests that two servers could parse differently: requests with both Content-Length and Transfer-Encoding.
//!
//! RFC 9112 section 6.3 lets a server refuse such requests, because they allow request smuggling. hyper drops
//! Content-Length before a handler runs, so this scanner examines the bytes before hyper.

/// Names that must not occur in the same header, in lower case.
const LENGTH: &[u8] = b"content-length";
const CODING: &[u8] = b"transfer-encoding";

/// Searches for header fields at the beginnings of lines.
///
/// The scanner does not know where a header ends and a body begins. That is harmless: no line of a JSON document begins
/// with these names and a colon.
#[derive(Debug, Default)]
pub struct Scanner {
    /// The beginning of the current line, in lower case. One byte more than the longest name suffices.
    line: Vec<u8>,
    length: bool,
    coding: bool,
}

impl Scanner {
    /// Scans the next bytes. Returns true if and only if both fields occurred between two blank lines.
    pub fn sees_both(&mut self, mut bytes: &[u8]) -> bool {
        let mut both = false;
        loop {
            let end = memchr::memchr(b'\n', bytes);
            let part = end.map_or(bytes, |end| bytes.get(..end).unwrap_or_default());
            let room = (CODING.len() + 1).saturating_sub(self.line.len());
            self.line.extend(part.iter().take(room).map(u8::to_ascii_lowercase));
            let Some(end) = end else { return both };
            self.end_line();
            both |= self.length && self.coding;
            bytes = bytes.get(end + 1..).unwrap_or_default();
        }
    }

    fn end_line(&mut self) {
        let named = |name: &[u8]| self.line.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&b':'));
        match self.line.as_slice() {
            b"" | b"\r" => (self.length, self.coding) = (false, false),
            _ if named(LENGTH) => self.length = true,
            _ if named(CODING) => self.coding = true,
            _ => {}
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_fields_are_seen_in_either_order() {
        for text in [
            "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTRANSFER-ENCODING: chunked\r\nHost: x\r\ncontent-length:3\r\n\r\n",
            "POST / HTTP/1.1\nTransfer-Encoding: chunked\ncontent-length:3\n\n",
        ] {
            assert!(Scanner::default().sees_both(text.as_bytes()), "{text}");
        }
        for text in [
            "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nX-Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            assert!(!Scanner::default().sees_both(text.as_bytes()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_cut_does_not_matter(text in "[cC]?[a-z:\r\n-]{0,40}", cuts in prop::collection::vec(0usize..200, 0..8)) {
            let text = format!("{text}\r\nContent-Length: 1\r\n{text}\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
            let whole = Scanner::default().sees_both(&text);
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.push(text.len());
            cuts.sort_unstable();
            let mut scanner = Scanner::default();
            let mut from = 0;
            let mut seen = false;
            for cut in cuts {
                seen |= scanner.sees_both(&text[from..cut]);
                from = cut;
            }
            prop_assert_eq!(whole, seen);
        }
    }
}
