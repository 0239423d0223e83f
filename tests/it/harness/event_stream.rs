//! A live stream of events, parsed by the rules of Server-Sent Events (WHATWG HTML, section 9.2.6).

use bytes::BytesMut;
use serde_json::Value;

use super::within_patience;

/// An open stream.
pub(crate) struct EventStream {
    response: reqwest::Response,
    buffer: BytesMut,
    /// The data of the first message.
    pub(crate) hello: Option<Value>,
    /// The `id` that a reconnecting client would send.
    pub(crate) last_event_id: Option<String>,
}

/// An event, as a browser would dispatch it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Received {
    pub(crate) id: Option<String>,
    pub(crate) event: String,
    pub(crate) data: Value,
}

impl EventStream {
    /// The stream of a response, after a check of its headers.
    pub(crate) fn of(response: reqwest::Response) -> EventStream {
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("content-type").as_deref(), Some("text/event-stream"));
        assert_eq!(header("cache-control").as_deref(), Some("no-cache"));
        assert_eq!(header("vary").as_deref(), Some("accept"));
        assert!(header("content-encoding").is_none() && header("content-length").is_none());
        assert!(header("registry-revision").is_some() && header("registry-store").is_some());
        EventStream { response, buffer: BytesMut::new(), hello: None, last_event_id: None }
    }

    /// The next block with data, or the next comment line; `None` at the end of the stream.
    pub(crate) async fn block(&mut self) -> Option<String> {
        loop {
            let end: &[u8] = if self.buffer.starts_with(b":") { b"\n" } else { b"\n\n" };
            if let Some(place) = self.buffer.windows(end.len()).position(|piece| piece == end) {
                let block = self.buffer.split_to(place + end.len());
                let block = String::from_utf8(block.to_vec()).expect("a stream of events is UTF-8");
                let has_data = block.lines().any(|line| line.starts_with("data: "));
                assert!(has_data || block.starts_with(':'), "clients receive an empty message: {block:?}");
                let is_hello = block.contains("event: hello\n");
                assert_eq!(is_hello, self.hello.is_none(), "hello is the first message, and comes once: {block:?}");
                if let Some(data) = block.lines().find_map(|line| line.strip_prefix("data: ")).filter(|_| is_hello) {
                    self.hello = Some(serde_json::from_str(data).expect("data is JSON"));
                }
                let id = block.lines().find_map(|line| line.strip_prefix("id: ")).map(str::to_owned);
                self.last_event_id = id.or(self.last_event_id.take());
                return Some(block);
            }
            match within_patience("an event", self.response.chunk()).await {
                Ok(Some(chunk)) => self.buffer.extend_from_slice(&chunk),
                Ok(None) => {
                    assert!(self.buffer.is_empty(), "the stream ended within an event: {:?}", self.buffer);
                    return None;
                }
                Err(error) => panic!("the stream broke off: {error:?}"),
            }
        }
    }

    /// The next event that is neither the first message nor a bookmark; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Received> {
        loop {
            let block = self.block().await?;
            let (mut id, mut event, mut data) = (None, "message".to_owned(), None);
            for line in block.lines().filter(|line| !line.is_empty() && !line.starts_with(':')) {
                match line.split_once(": ").expect("every field has a value") {
                    ("id", value) => id = Some(value.to_owned()),
                    ("event", value) => event = value.to_owned(),
                    ("data", value) => data = Some(serde_json::from_str(value).expect("data is JSON")),
                    ("retry", value) => assert!(value.parse::<u32>().is_ok(), "{value}"),
                    (other, _) => panic!("an unknown field {other}"),
                }
            }
            if let Some(data) = data.filter(|_| !matches!(&*event, "hello" | "bookmark")) {
                return Some(Received { id, event, data });
            }
        }
    }

    /// The next `number` events.
    pub(crate) async fn take(&mut self, number: usize) -> Vec<Received> {
        let mut events = Vec::new();
        while events.len() < number {
            events.push(self.next().await.unwrap_or_else(|| panic!("the stream ended after {events:?}")));
        }
        events
    }

    /// The next `number` events, each as its name and its revision.
    pub(crate) async fn told(&mut self, number: usize) -> Vec<(String, u64)> {
        self.take(number).await.into_iter().map(|event| (event.event.clone(), event.revision())).collect()
    }

    /// Reads to the end of the stream; returns the events until then.
    pub(crate) async fn rest(&mut self) -> Vec<Received> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

impl Received {
    /// The revision of the change that the event reports.
    #[track_caller]
    pub(crate) fn revision(&self) -> u64 {
        let revision = self.data["data"]["revision"].as_u64().unwrap_or_else(|| panic!("no change: {self:?}"));
        let id = self.id.as_deref().unwrap_or_else(|| panic!("no id: {self:?}"));
        assert!(id.ends_with(&format!("-{revision}")), "{self:?}");
        revision
    }
}
