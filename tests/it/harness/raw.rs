//! Bytes over TCP, for requests that no HTTP client would send.

use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::{Problem, within_patience};

/// One connection.
pub(crate) struct RawConnection {
    stream: TcpStream,
    buffer: BytesMut,
}

/// A response as bytes on the wire.
#[derive(Debug)]
pub(crate) struct RawReply {
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub(crate) version: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl RawConnection {
    pub(crate) async fn open(address: SocketAddr) -> RawConnection {
        RawConnection { stream: TcpStream::connect(address).await.expect("no connection"), buffer: BytesMut::new() }
    }

    /// A connection with the smallest receive buffer that the kernel allows.
    pub(crate) async fn narrow(address: SocketAddr) -> RawConnection {
        let socket = TcpSocket::new_v4().expect("no socket");
        socket.set_recv_buffer_size(4096).expect("no smaller buffer");
        RawConnection { stream: socket.connect(address).await.expect("no connection"), buffer: BytesMut::new() }
    }

    /// Reads until `text` arrives; keeps the bytes for [`RawConnection::reply`].
    pub(crate) async fn until(&mut self, text: &str) {
        while find(&self.buffer, text.as_bytes()).is_none() {
            assert!(self.more().await, "the connection was closed before {text:?}: {:?}", self.buffer);
        }
    }

    /// Sends bytes. A closed connection is no failure: the response shows the reason.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        drop(within_patience("sending", self.stream.write_all(bytes.as_ref())).await);
    }

    /// Closes the sending side.
    pub(crate) async fn finish_sending(&mut self) {
        self.stream.shutdown().await.expect("half of the connection cannot be closed");
    }

    /// Sends bytes, and reads one response.
    pub(crate) async fn ask(&mut self, bytes: impl AsRef<[u8]>) -> RawReply {
        self.send(bytes).await;
        self.reply().await
    }

    /// Reads one response, to the end of its body and not a byte further.
    pub(crate) async fn reply(&mut self) -> RawReply {
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end;
            }
            assert!(self.more().await, "the connection was closed before a reply: {:?}", self.buffer);
        };
        let head = self.buffer.split_to(end);
        self.buffer.advance(4);
        let head = str::from_utf8(&head).expect("our headers are ASCII").to_owned();
        let (first, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
        let (version, rest) = first.split_once(' ').expect("a status line");
        let status = rest.get(..3).and_then(|code| code.parse().ok()).expect("a status code");
        let mut headers = HeaderMap::new();
        for field in fields.split("\r\n").filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once(':').unwrap_or_else(|| panic!("no field: {field:?}"));
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a field name");
            headers.append(name, HeaderValue::from_str(value.trim()).expect("a field value"));
        }
        let body = if status < 200 || status == 204 || status == 304 { Vec::new() } else { self.body(&headers).await };
        RawReply { version: version.to_owned(), status, headers, body }
    }

    async fn body(&mut self, headers: &HeaderMap) -> Vec<u8> {
        if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            return self.chunked().await;
        }
        let Some(length) = headers.get("content-length") else {
            while self.more().await {}
            return self.buffer.split().to_vec();
        };
        let length: usize = length.to_str().unwrap().parse().expect("a length");
        self.exactly(length).await
    }

    async fn chunked(&mut self) -> Vec<u8> {
        let mut whole = Vec::new();
        loop {
            let end = loop {
                if let Some(end) = find(&self.buffer, b"\r\n") {
                    break end;
                }
                assert!(self.more().await, "the body broke off");
            };
            let line = self.buffer.split_to(end);
            self.buffer.advance(2);
            let length = usize::from_str_radix(str::from_utf8(&line).unwrap(), 16).expect("a chunk's length");
            let chunk = self.exactly(length + 2).await;
            whole.extend_from_slice(&chunk[..length]);
            if length == 0 {
                return whole;
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length {
            assert!(self.more().await, "the body broke off: {:?}", self.buffer);
        }
        self.buffer.split_to(length).to_vec()
    }

    /// Waits until the server closes, and returns the unread bytes.
    pub(crate) async fn rest(&mut self) -> String {
        while self.more().await {}
        String::from_utf8_lossy(&self.buffer.split()).into_owned()
    }

    async fn more(&mut self) -> bool {
        let read = within_patience("a reply", self.stream.read_buf(&mut self.buffer)).await;
        // A reset also closes the connection.
        read.unwrap_or(0) > 0
    }
}

impl RawReply {
    /// The problem document of the response.
    #[track_caller]
    pub(crate) fn problem(&self) -> Problem {
        assert!(self.headers.contains_key("registry-revision"), "no Registry-Revision: {self:?}");
        assert!(self.headers.contains_key("registry-store"), "no Registry-Store: {self:?}");
        Problem::read("raw bytes", self.status, &self.headers, &self.body, None)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
