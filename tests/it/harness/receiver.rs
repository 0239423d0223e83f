//! A webhook target: a real HTTP server that stores the messages, and responds as scripted.

use std::collections::VecDeque;
use std::io::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::pending;
use http_body_util::BodyExt as _;
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::within_patience;

/// The response to a message.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// This status.
    Status(u16),
    /// A redirect to this address.
    Redirect(String),
    /// This status, and a body that never ends.
    Endless(u16),
    /// No response.
    Silence,
}

/// A received message.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).to_str().unwrap()
    }

    /// The event of the message.
    pub(crate) fn event(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The revision in the event.
    pub(crate) fn revision(&self) -> u64 {
        self.event()["data"]["revision"].as_u64().unwrap_or_else(|| panic!("no revision: {self:?}"))
    }

    /// Verifies the signature as a receiver would.
    #[track_caller]
    pub(crate) fn verify(&self, secret: &str) {
        let webhook = standardwebhooks::Webhook::new(secret).expect("a secret");
        webhook.verify(&self.body, &self.headers).unwrap_or_else(|error| panic!("{error}: {self:?}"));
    }
}

struct Stage {
    messages: UnboundedSender<Received>,
    answers: Mutex<VecDeque<Answer>>,
}

/// The target.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    stage: Arc<Stage>,
    messages: UnboundedReceiver<Received>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// A target that accepts everything until scripted otherwise.
    pub(crate) async fn start() -> Receiver {
        Receiver::at("127.0.0.1:0".parse().unwrap()).await
    }

    /// As [`Receiver::start`], at an address.
    pub(crate) async fn at(address: SocketAddr) -> Receiver {
        let listener = TcpListener::bind(address).await.expect("the address is free");
        let address = listener.local_addr().expect("a listener has an address");
        let (sender, messages) = unbounded_channel();
        let stage = Arc::new(Stage { messages: sender, answers: Mutex::default() });
        let router = Router::new().fallback(receive).with_state(Arc::clone(&stage));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Receiver { address, stage, messages, task }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Scripts the response to the first message without a script.
    pub(crate) fn next(&self, answer: Answer) {
        self.stage.answers.lock().unwrap().push_back(answer);
    }

    /// The next message.
    pub(crate) async fn message(&mut self) -> Received {
        within_patience("a delivery", self.messages.recv()).await.expect("the receiver is gone")
    }

    /// The revisions of the next messages.
    pub(crate) async fn revisions(&mut self, count: usize) -> Vec<u64> {
        let mut revisions = Vec::new();
        for _ in 0..count {
            revisions.push(self.message().await.revision());
        }
        revisions
    }

    /// Whether no unread message has arrived.
    pub(crate) fn is_silent(&mut self) -> bool {
        self.messages.try_recv().is_err()
    }

    /// Stops the target and closes its port.
    pub(crate) async fn stop(self) -> SocketAddr {
        self.task.abort();
        drop(self.task.await);
        self.address
    }
}

async fn receive(State(stage): State<Arc<Stage>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    // The test may have ended.
    drop(stage.messages.send(Received { path: parts.uri.path().to_owned(), headers: parts.headers, body }));
    let answer = stage.answers.lock().unwrap().pop_front();
    // One message per connection, so that a stopped receiver serves no request on an old connection.
    let response = Response::builder().header("connection", "close");
    let (response, body) = match answer {
        None => (response.status(204), Body::empty()),
        Some(Answer::Status(status)) => (response.status(status), Body::empty()),
        Some(Answer::Redirect(location)) => (response.status(307).header("location", location), Body::empty()),
        Some(Answer::Endless(status)) => {
            (response.status(status), Body::from_stream(pending::<Result<Bytes, Error>>()))
        }
        Some(Answer::Silence) => std::future::pending().await,
    };
    response.body(body).unwrap()
}
