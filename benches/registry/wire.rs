//! A client's connection: hand-written HTTP/1.1, because the client must cost less than the measured servers.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// The maximum size of a response head, and the minimum buffer for a whole response, in bytes.
const ROOM: usize = 16 * 1024;

/// The fields that curl sends with every request.
const USUAL_FIELDS: &str = "Host: 127.0.0.1:8080\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n";

/// A keep-alive connection with at most one request in progress.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A response.
pub(crate) struct Answer<'a> {
    /// The status code.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: &'a [u8],
}

impl Connection {
    /// Connects.
    pub(crate) fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: vec![0; ROOM] })
    }

    /// Sends a whole request.
    pub(crate) fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request)
    }

    /// Waits for the complete response. Both sides declare the length of each measured response.
    pub(crate) fn receive(&mut self) -> io::Result<Answer<'_>> {
        let mut filled = 0;
        let (status, begin, end) = loop {
            filled += self.read_after(filled)?;
            if let Some(head) = head_of(self.buffer.get(..filled).unwrap_or_default())? {
                break head;
            }
        };
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        while filled < end {
            filled += self.read_after(filled)?;
        }
        if filled > end {
            return Err(broken("more was answered than was asked for"));
        }
        Ok(Answer { status, body: self.buffer.get(begin..end).unwrap_or_default() })
    }

    /// Reads the available bytes into the buffer, after the existing ones.
    fn read_after(&mut self, filled: usize) -> io::Result<usize> {
        let room = self.buffer.get_mut(filled..).unwrap_or_default();
        if room.is_empty() {
            return Err(broken("the head of an answer does not fit"));
        }
        match self.stream.read(room)? {
            0 => Err(broken("the connection was closed")),
            read => Ok(read),
        }
    }
}

/// A request for `path`, with the header fields of curl.
pub(crate) fn get(path: &str) -> Vec<u8> {
    get_with(path, "")
}

/// The same with additional header fields, each with its line end.
pub(crate) fn get_with(path: &str, fields: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\n{USUAL_FIELDS}{fields}\r\n").into_bytes()
}

/// Appends a POST of a JSON document to `path`.
pub(crate) fn post(request: &mut Vec<u8>, path: &str, document: &str) {
    let length = document.len();
    let fields = format!("{USUAL_FIELDS}Content-Type: application/json\r\nContent-Length: {length}\r\n");
    request.extend_from_slice(format!("POST {path} HTTP/1.1\r\n{fields}\r\n{document}").as_bytes());
}

/// The status of a response and the bounds of its body, once the head is complete.
fn head_of(bytes: &[u8]) -> io::Result<Option<(u16, usize, usize)>> {
    let Some(begin) = memchr::memmem::find(bytes, b"\r\n\r\n").map(|end| end + 4) else { return Ok(None) };
    let head = std::str::from_utf8(bytes.get(..begin).unwrap_or_default()).map_err(|_| broken("a head is not text"))?;
    let status = head.get(9..12).and_then(|status| status.parse().ok()).ok_or_else(|| broken("no status"))?;
    // hyper writes the names of header fields in lower case.
    let length = head.split_once("content-length: ").and_then(|(_, rest)| rest.split_once('\r')?.0.parse().ok());
    let length: usize = length.ok_or_else(|| broken("an answer does not declare its length"))?;
    Ok(Some((status, begin, begin + length)))
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
